import Checkpoints
import Foundation
import Layers

/// `rank_pattern` and `alpha_pattern`: read in the order of the file, because the first pattern that matches counts, and
/// written so that the order does not matter.
extension PEFTConfiguration {
    /// The values that the file has for layers by name.
    /// - Parameters:
    ///   - values: what the file's text `data` has under `key`.
    static func patterns<Value>(
        _ key: CodingKeys, _ values: [String: Value]?, in data: Data, place: String
    ) throws(ModelError) -> NamePatterns<Value> {
        let (values, name) = (values ?? [:], key.rawValue)
        let keys = values.isEmpty ? [] : JSONKeys.keys(of: name, in: data)
        if keys.count != values.count {
            throw .adapterConfiguration(place: place, reason: "\(name) has a key more than once")
        }
        do { return try NamePatterns(keys.compactMap { key in values[key].map { (key, $0) } }) } catch {
            guard case .badPattern(let pattern, let reason) = error else { throw .adapter(place: place, error) }
            throw .adapterConfiguration(
                place: place, reason: "\(name) has the key \(pattern), which is not a regular expression: \(reason)")
        }
    }

    /// What is wrong with the values of the patterns, if something is.
    var patternProblem: String? {
        for (pattern, rank) in (rankPattern ?? [:]).sorted(by: { $0.key < $1.key }) {
            if Int(exactly: rank).map(Self.ranks.contains) == true { continue }
            return "rank_pattern gives \(pattern) the rank \(rank), expected a whole number from 1 to \(Self.ranks.upperBound)"
        }
        for (pattern, alpha) in (alphaPattern ?? [:]).sorted(by: { $0.key < $1.key }) where !Float(alpha).isFinite {
            return "alpha_pattern gives \(pattern) the alpha \(alpha), expected a finite number"
        }
        return nil
    }

    /// Patterns for the layers whose value is not the usual one: the last part of the path where all layers of that name
    /// agree, else the whole path. No two of them match the same layer.
    static func patterns<Value: Equatable>(
        of adapter: LoRAAdapter, usual: Value, _ value: (AdapterStrength) -> Value
    ) -> [String: Value]? {
        let layers = zip(adapter.layers, adapter.strengths).map { (name: $0.name, value: value($1)) }
        var patterns: [String: Value] = [:]
        for (ending, layers) in Dictionary(grouping: layers, by: { LoRAAdapter.ending(of: $0.name) }) {
            let agree = layers.allSatisfy { $0.value == layers[0].value }
            for layer in layers where layer.value != usual { patterns[agree ? ending : layer.name] = layer.value }
        }
        return patterns.isEmpty ? nil : patterns
    }
}
