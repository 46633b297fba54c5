/// What identifies the inputs of a run and the arithmetic that it was done with.
public struct RunIdentity: Codable, Sendable, Equatable {
    /// SHA-256 digests of the base model, the tokenizer and template, and the encoded training and validation data.
    public var base, tokenizer, data, validation: String
    /// Architecture and sizes of the network, in words.
    public var network: String
    /// The resolved recipe, key by key. Of paths there is only a digest: a checkpoint may be handed on.
    public var settings: [String: String]
    /// Version of the program.
    public var version: String
    /// Precision, instruction set and OpenBLAS core: with the same three the bits are the same.
    public var precision, instructionSet, openBLASCore: String

    /// Lists the parts.
    public init(
        base: String, tokenizer: String, data: String, validation: String, network: String, settings: [String: String],
        version: String, precision: String, instructionSet: String, openBLASCore: String
    ) {
        (self.base, self.tokenizer, self.data, self.validation) = (base, tokenizer, data, validation)
        (self.network, self.settings, self.version) = (network, settings, version)
        (self.precision, self.instructionSet, self.openBLASCore) = (precision, instructionSet, openBLASCore)
    }

    /// Whether the arithmetic is the same to the bit.
    public func hasSameArithmetic(as other: RunIdentity) -> Bool {
        precision == other.precision && instructionSet == other.instructionSet && openBLASCore == other.openBLASCore
    }
}

/// Something about a run that is not as it was when its checkpoint was written.
public struct RunChange: Sendable, Equatable, CustomStringConvertible {
    /// What it means for resuming.
    public enum Effect: Sendable, Equatable {
        /// The result stays the same.
        case none
        /// The run goes on in another way than it would have: only if that is asked for.
        case otherResult
        /// The checkpoint does not fit.
        case impossible
    }

    /// The recipe's key, or `base`, `tokenizer`, `data`, `version`, `memory`, `network`.
    public let key: String
    /// What it was and what it is, in words.
    public let earlier, now: String
    /// What it means for resuming.
    public let effect: Effect

    /// Names a change.
    public init(key: String, earlier: String, now: String, effect: Effect) {
        (self.key, self.earlier, self.now, self.effect) = (key, earlier, now, effect)
    }

    /// Keys of changes that no recipe makes.
    public static let otherKeys = ["base", "tokenizer", "data", "version", "memory"]

    /// `key (was → is)`.
    public var description: String { "\(key) (\(earlier) → \(now))" }
}
