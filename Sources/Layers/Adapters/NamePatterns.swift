import Foundation

/// Values for layers by name, with the meaning of PEFT's `rank_pattern` and `alpha_pattern`: regular expressions that
/// match a whole name or its end after a dot; the first that matches counts.
public struct NamePatterns<Value: Sendable & Equatable>: Sendable, Equatable {
    private struct Entry: Sendable, Equatable {
        let expression: NSRegularExpression
        let value: Value
    }
    private let entries: [Entry]

    /// Compiles the patterns, which are asked in their order.
    /// - Throws: ``AdapterError/badPattern(_:reason:)``.
    public init(_ patterns: [(pattern: String, value: Value)] = []) throws(AdapterError) {
        var entries: [Entry] = []
        for (pattern, value) in patterns {
            do {
                // The groups are PEFT's, so that numbers of groups in a pattern mean the same.
                let expression = try NSRegularExpression(pattern: "(.*\\.)?(\(pattern))$")
                entries.append(Entry(expression: expression, value: value))
            } catch {
                throw .badPattern(pattern, reason: error.localizedDescription)
            }
        }
        self.entries = entries
    }

    /// No patterns.
    public static var none: Self { Self(entries: []) }

    private init(entries: [Entry]) { self.entries = entries }

    /// The value of the first pattern that matches, if one does.
    public func value(for name: String) -> Value? {
        let whole = NSRange(location: 0, length: name.utf16.count)
        return entries.first { $0.expression.firstMatch(in: name, options: .anchored, range: whole) != nil }?.value
    }
}
