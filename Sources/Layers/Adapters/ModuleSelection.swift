import Foundation

/// A choice of linear layers, with the meanings of PEFT's `target_modules`.
public enum ModuleSelection: Sendable, Equatable {
    /// Layers by what they are for.
    public enum Group: String, Sendable, CaseIterable {
        /// Every linear layer of the blocks, those of experts included; never router, head or embedding.
        case allLinear = "all-linear"
        /// Projections of attention.
        case attention
        /// Projections of dense feed-forward blocks.
        case mlp
        /// Projections of experts that every token passes.
        case sharedExperts = "shared-experts"
        /// Projections of routed experts.
        case experts
        /// What scores the experts.
        case router

        func contains(_ role: ModuleRole) -> Bool { self == .allLinear ? role != .router : rawValue == role.rawValue }
    }

    /// A named group.
    case group(Group)
    /// Module names (the whole path or its end after a dot); an entry with characters of a regular expression is one
    /// that must match the whole path.
    case names([String])
    /// One regular expression that must match the whole path.
    case pattern(String)

    /// The layers selected, in order.
    /// - Throws: ``AdapterError/badPattern(_:reason:)`` and ``AdapterError/noSuchModule(_:available:)`` for an entry that
    ///   selects nothing.
    public func select(from layers: [any AdapterTarget]) throws(AdapterError) -> [any AdapterTarget] {
        switch self {
        case .group(let group): return layers.filter { group.contains($0.role) && $0.isInGroups }
        case .pattern(let pattern): return try Self.matching([pattern], in: layers, plainNames: false)
        case .names(let names): return try Self.matching(names, in: layers, plainNames: true)
        }
    }

    private static func matching(
        _ entries: [String], in layers: [any AdapterTarget], plainNames: Bool
    ) throws(AdapterError) -> [any AdapterTarget] {
        let layers = layers.filter(\.isModule)
        var chosen = Set<String>()
        for entry in entries {
            let matches: (String) -> Bool
            if plainNames && entry.allSatisfy({ $0.isLetter || $0.isNumber || "._-".contains($0) }) {
                matches = { $0 == entry || $0.hasSuffix("." + entry) }
            } else {
                matches = try wholeMatch(entry)
            }
            let found = layers.map(\.name).filter(matches)
            if found.isEmpty { throw .noSuchModule(entry, available: Self.endings(of: layers)) }
            chosen.formUnion(found)
        }
        return layers.filter { chosen.contains($0.name) }
    }

    private static func wholeMatch(_ pattern: String) throws(AdapterError) -> (String) -> Bool {
        do {
            let expression = try NSRegularExpression(pattern: "^(?:\(pattern))$")
            return { name in
                expression.firstMatch(in: name, range: NSRange(location: 0, length: name.utf16.count)) != nil
            }
        } catch {
            throw .badPattern(pattern, reason: error.localizedDescription)
        }
    }

    /// The parameters with the weights of all experts that `target_parameters` names.
    /// - Throws: ``AdapterError/noSuchParameter(_:available:)`` for an entry that names none.
    static func parameters(
        _ entries: [String], from layers: [any AdapterTarget]
    ) throws(AdapterError) -> [any AdapterTarget] {
        let parameters = layers.filter { !$0.isModule }
        func isNamed(_ name: String, by entry: String) -> Bool { name == entry || name.hasSuffix("." + entry) }
        for entry in entries where !parameters.contains(where: { isNamed($0.name, by: entry) }) {
            throw .noSuchParameter(entry, available: endings(of: parameters))
        }
        return parameters.filter { parameter in entries.contains { isNamed(parameter.name, by: $0) } }
    }

    private static func endings(of layers: [any AdapterTarget]) -> [String] {
        var seen: [String] = []
        for layer in layers {
            let ending = String(layer.name.split(separator: ".").last ?? "")
            if !seen.contains(ending) { seen.append(ending) }
        }
        return seen
    }
}

/// What can be wrong with the settings or files of an adapter.
public enum AdapterError: Error, CustomStringConvertible, Equatable {
    /// A target names no layer of the model.
    case noSuchModule(String, available: [String])
    /// A target parameter names no parameter of the model that holds many experts.
    case noSuchParameter(String, available: [String])
    /// An adapter over all experts cannot have dropout.
    case dropoutOverExperts(parameter: String)
    /// A target is not a valid regular expression.
    case badPattern(String, reason: String)
    /// Nothing is left to train.
    case nothingSelected
    /// A tensor of an adapter file does not fit the model.
    case shape(tensor: String, found: [Int], expected: [Int])
    /// A layer's factors have another rank than the configuration says.
    case rank(tensor: String, found: Int, expected: Int)
    /// A tensor of an adapter belongs to no layer of the model, or is of a kind that is not supported.
    case unknownTensor(String, reason: String)
    /// One of the two factors of an update is missing.
    case missingTensor(String)

    /// One sentence: what was found, what was expected, what to do.
    public var description: String {
        switch self {
        case .noSuchModule(let name, let available):
            "the module name \(name) matches no linear layer of this model; it has \(available.joined(separator: ", "))"
        case .noSuchParameter(let name, let available):
            available.isEmpty
                ? "target parameter \(name) matches nothing: this model has no parameters that hold many experts"
                : "target parameter \(name) matches no parameter that holds many experts; the model has \(available.joined(separator: ", "))"
        case .dropoutOverExperts(let parameter):
            "\(parameter) holds all experts, and an adapter over it cannot have dropout; set dropout to 0 or leave the experts out"
        case .badPattern(let pattern, let reason):
            "the pattern of module names \(pattern) is not a regular expression: \(reason)"
        case .nothingSelected:
            "the target modules, less the excluded ones, select no layer: there is nothing to train"
        case .shape(let tensor, let found, let expected):
            "adapter tensor \(tensor) has shape \(found), but this model needs \(expected); was the adapter made for another base model?"
        case .rank(let tensor, let found, let expected):
            "adapter tensor \(tensor) is of rank \(found), but the adapter's configuration (r and rank_pattern) gives the layer rank \(expected); configuration and weights do not belong together"
        case .unknownTensor(let name, let reason): "adapter tensor \(name) cannot be used: \(reason)"
        case .missingTensor(let name): "the adapter lacks the tensor \(name); the file is incomplete"
        }
    }
}
