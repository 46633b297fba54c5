/// How a value of one type stands in a recipe: read with its problems, written, described.
struct ValueKind<Value: Sendable>: Sendable {
    /// What is expected, as it follows "expected": `a whole number from 1 to 4096`.
    let type: String
    /// The value of a node, or `nil` after reporting why it has none.
    let read: @Sendable (RecipeNode, String, inout RecipeReader) -> Value?
    /// The value as a recipe writes it.
    let write: @Sendable (Value) -> RecipeNode.Content

    /// A kind that is one scalar; `convert` yields the value or the hint that goes with its refusal.
    static func scalar(
        _ type: String, _ convert: @escaping @Sendable (RecipeScalar) -> Conversion,
        write: @escaping @Sendable (Value) -> RecipeNode.Content
    ) -> ValueKind {
        ValueKind(
            type: type,
            read: { node, key, reader in
                var hint: String?
                if let scalar = node.scalar {
                    switch convert(scalar) {
                    case .value(let value): return value
                    case .refused(let reason): hint = reason
                    }
                    if scalar == .null { hint = "give a value or remove the key" }
                }
                reader.refuse(node, key, expected: type, hint: hint)
                return nil
            },
            write: write)
    }

    enum Conversion {
        case value(Value)
        case refused(hint: String?)
    }
}

extension ValueKind<Int> {
    static func integer(_ range: ClosedRange<Int>) -> Self {
        let least = range.lowerBound
        let bounds = range.upperBound == .max ? "of \(least) or more" : "from \(least) to \(range.upperBound)"
        return scalar("a whole number \(bounds)") { scalar in
            switch scalar {
            case .integer(let value?) where range.contains(value): .value(value)
            case .text(let text): .refused(hint: hintForNumber(text))
            default: .refused(hint: nil)
            }
        } write: {
            .scalar(String($0), isPlain: true)
        }
    }
}

extension ValueKind<Double> {
    /// A finite number that `accepts`, also in 32 bits; `bounds` says which, as in `a number above 0`.
    static func number(_ bounds: String, _ accepts: @escaping @Sendable (Double) -> Bool) -> Self {
        let fits: @Sendable (Double) -> Bool = { value in
            Float(value).isFinite && accepts(value) && accepts(Double(Float(value)))
        }
        return scalar("a number \(bounds)") { scalar in
            switch scalar {
            case .integer(let value?) where fits(Double(value)): .value(Double(value))
            case .number(let value) where fits(value): .value(value)
            case .text(let text): .refused(hint: hintForNumber(text))
            default: .refused(hint: nil)
            }
        } write: {
            .scalar(Int(exactly: $0).map(String.init) ?? String($0), isPlain: true)
        }
    }
}

/// A quoted number is text in YAML; that is worth a word.
private func hintForNumber(_ text: String) -> String? {
    switch RecipeScalar(text, isPlain: true) {
    case .integer, .number: "write it without quotes"
    default: nil
    }
}

extension ValueKind<Bool> {
    static let bool = scalar("true or false") { scalar in
        if case .bool(let value) = scalar { .value(value) } else { .refused(hint: nil) }
    } write: {
        .scalar(String($0), isPlain: true)
    }
}

extension ValueKind<String> {
    /// Text with at least one character.
    static let text = text("a text")

    static func text(_ type: String) -> Self {
        scalar(type) { scalar in
            switch scalar {
            case .text(let text) where !text.isEmpty && !text.contains("\0"): .value(text)
            case .text, .null: .refused(hint: nil)
            case .bool, .integer, .number: .refused(hint: "put it in quotes if it is meant as text")
            }
        } write: {
            .scalar($0, isPlain: false)
        }
    }
}

extension ValueKind where Value: RawRepresentable & CaseIterable, Value.RawValue == String {
    /// One word of a closed set. `planned` words are known but not available yet; `others` maps other tools' words,
    /// `explained` those that are more than a word here.
    static func choice(
        planned: [String] = [], others: [String: String] = [:], explained: [String: String] = [:]
    ) -> Self {
        let words = Value.allCases.map(\.rawValue)
        return scalar(words.inWords("or")) { scalar in
            guard case .text(let text) = scalar else { return .refused(hint: nil) }
            if let value = Value(rawValue: text) { return .value(value) }
            if planned.contains(text) { return .refused(hint: "\(text) is planned; this version does not have it yet") }
            if let hint = explained[text] { return .refused(hint: hint) }
            return .refused(hint: (others[text] ?? nearest(to: text, in: words)).map { "did you mean \($0)?" })
        } write: {
            .scalar($0.rawValue, isPlain: false)
        }
    }
}

extension Sequence<String> {
    /// `a`, `a or b`, `a, b or c`.
    func inWords(_ conjunction: String) -> String {
        let words = Array(self)
        guard let last = words.last, words.count > 1 else { return words.first ?? "" }
        return words.dropLast().joined(separator: ", ") + " \(conjunction) " + last
    }
}
