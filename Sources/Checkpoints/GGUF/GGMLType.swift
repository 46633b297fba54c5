public import TensorCore

/// The number that a GGUF file gives for a tensor's element type. Any number is representable; known ones have a name.
public struct GGMLType: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
    /// The number in the file.
    public let rawValue: UInt32

    /// The type with this number, known or not.
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    private struct Known: Sendable {
        let name: String
        var blockElements = 0
        var blockBytes = 0
    }

    /// Types that were given up have a name but no layout, so that a file with one is refused by name.
    private static let known: [UInt32: Known] = [
        0: Known(name: "F32", blockElements: 1, blockBytes: 4),
        1: Known(name: "F16", blockElements: 1, blockBytes: 2),
        2: Known(name: "Q4_0", blockElements: 32, blockBytes: 18),
        3: Known(name: "Q4_1", blockElements: 32, blockBytes: 20),
        4: Known(name: "Q4_2"),
        5: Known(name: "Q4_3"),
        6: Known(name: "Q5_0", blockElements: 32, blockBytes: 22),
        7: Known(name: "Q5_1", blockElements: 32, blockBytes: 24),
        8: Known(name: "Q8_0", blockElements: 32, blockBytes: 34),
        9: Known(name: "Q8_1", blockElements: 32, blockBytes: 40),
        10: Known(name: "Q2_K", blockElements: 256, blockBytes: 84),
        11: Known(name: "Q3_K", blockElements: 256, blockBytes: 110),
        12: Known(name: "Q4_K", blockElements: 256, blockBytes: 144),
        13: Known(name: "Q5_K", blockElements: 256, blockBytes: 176),
        14: Known(name: "Q6_K", blockElements: 256, blockBytes: 210),
        15: Known(name: "Q8_K", blockElements: 256, blockBytes: 292),
        16: Known(name: "IQ2_XXS", blockElements: 256, blockBytes: 66),
        17: Known(name: "IQ2_XS", blockElements: 256, blockBytes: 74),
        18: Known(name: "IQ3_XXS", blockElements: 256, blockBytes: 98),
        19: Known(name: "IQ1_S", blockElements: 256, blockBytes: 50),
        20: Known(name: "IQ4_NL", blockElements: 32, blockBytes: 18),
        21: Known(name: "IQ3_S", blockElements: 256, blockBytes: 110),
        22: Known(name: "IQ2_S", blockElements: 256, blockBytes: 82),
        23: Known(name: "IQ4_XS", blockElements: 256, blockBytes: 136),
        24: Known(name: "I8", blockElements: 1, blockBytes: 1),
        25: Known(name: "I16", blockElements: 1, blockBytes: 2),
        26: Known(name: "I32", blockElements: 1, blockBytes: 4),
        27: Known(name: "I64", blockElements: 1, blockBytes: 8),
        28: Known(name: "F64", blockElements: 1, blockBytes: 8),
        29: Known(name: "IQ1_M", blockElements: 256, blockBytes: 56),
        30: Known(name: "BF16", blockElements: 1, blockBytes: 2),
        31: Known(name: "Q4_0_4_4"),
        32: Known(name: "Q4_0_4_8"),
        33: Known(name: "Q4_0_8_8"),
        34: Known(name: "TQ1_0", blockElements: 256, blockBytes: 54),
        35: Known(name: "TQ2_0", blockElements: 256, blockBytes: 66),
        36: Known(name: "IQ4_NL_4_4"),
        37: Known(name: "IQ4_NL_4_8"),
        38: Known(name: "IQ4_NL_8_8"),
        39: Known(name: "MXFP4", blockElements: 32, blockBytes: 17),
        40: Known(name: "NVFP4", blockElements: 64, blockBytes: 36),
        41: Known(name: "Q1_0", blockElements: 128, blockBytes: 18),
    ]

    /// The type's usual name, or "type 99" for a number that is not known.
    public var description: String { Self.known[rawValue]?.name ?? "type \(rawValue)" }

    /// The format to compute with; nil if this type is only listed.
    public var storedFormat: StoredFormat? { Self.known[rawValue].flatMap { StoredFormat(rawValue: $0.name) } }

    /// Elements and bytes of one block; nil if the layout is not known.
    public var block: (elements: Int, bytes: Int)? {
        guard let known = Self.known[rawValue], known.blockElements > 0 else { return nil }
        return (known.blockElements, known.blockBytes)
    }
}
