import Foundation

/// The Unicode data behind the normal forms, collected on first use (some milliseconds).
///
/// Decompositions come from Foundation, one code point at a time. Its normalisation of whole strings is not used: it
/// mistakes some characters beyond U+FFFF for others. Characters younger than Unicode 9 are left alone, because the
/// library that model tokenizers were trained with does so.
struct NormalizationData: Sendable {
    struct Flags: OptionSet, Sendable {
        var rawValue: UInt8
        /// Has a canonical decomposition.
        static let decomposes = Flags(rawValue: 1)
        /// Has a compatibility decomposition that differs from the canonical one.
        static let decomposesByCompatibility = Flags(rawValue: 2)
        /// May change together with what stands before it.
        static let continues = Flags(rawValue: 4)
        /// Is not itself in its composed form.
        static let isNotComposed = Flags(rawValue: 8)
    }

    static let shared = NormalizationData()

    private var flags = [UInt8](repeating: 0, count: 0x30000)
    private(set) var canonical: [UInt32: [UInt32]] = [:]
    private(set) var compatibility: [UInt32: [UInt32]] = [:]
    private var composites: [UInt64: UInt32] = [:]
    private var classes: [UInt32: UInt8] = [:]

    /// Where decompositions and combining classes occur. Hangul syllables are computed instead.
    private static let ranges: [ClosedRange<UInt32>] = [
        0xA0...0x33FF, 0xA66F...0xABFF, 0xF900...0xFFEF, 0x10000...0x11FFF, 0x16A00...0x16FFF, 0x1BC00...0x1BCFF,
        0x1D100...0x1D7FF, 0x1E000...0x1F2FF, 0x2F800...0x2FA1F,
    ]

    private init() {
        for range in Self.ranges {
            for value in range {
                guard let scalar = Unicode.Scalar(value), let age = scalar.properties.age, age.major <= 9 else {
                    continue
                }
                collect(scalar)
            }
        }
        for (value, parts) in canonical.sorted(by: { $0.value.count < $1.value.count }) {
            collectComposite(value, parts)
        }
        for value in UInt32(0x1161)...0x1175 { insert(.continues, value) }
        for value in UInt32(0x11A8)...0x11C2 { insert(.continues, value) }
        for (value, parts) in canonical.merging(compatibility, uniquingKeysWith: { $1 }) {
            if let first = parts.first, self[first].contains(.continues) { insert(.continues, value) }
        }
    }

    private mutating func collect(_ scalar: Unicode.Scalar) {
        let combiningClass = scalar.properties.canonicalCombiningClass.rawValue
        if combiningClass != 0 {
            classes[scalar.value] = combiningClass
            insert(.continues, scalar.value)
        }
        let text = String(scalar)
        let parts = text.decomposedStringWithCanonicalMapping.unicodeScalars.map(\.value)
        if parts != [scalar.value] {
            canonical[scalar.value] = parts
            insert(.decomposes, scalar.value)
            let composed = text.precomposedStringWithCanonicalMapping.unicodeScalars.map(\.value)
            if composed != [scalar.value] { insert(.isNotComposed, scalar.value) }
        }
        let plain = text.decomposedStringWithCompatibilityMapping.unicodeScalars.map(\.value)
        if plain != parts {
            compatibility[scalar.value] = plain
            insert(.decomposesByCompatibility, scalar.value)
        }
    }

    /// A composite joins its last part with the composite of the others, which has fewer parts and is known already.
    private mutating func collectComposite(_ value: UInt32, _ parts: [UInt32]) {
        guard !self[value].contains(.isNotComposed), let last = parts.last, var first = parts.first else { return }
        for part in parts.dropFirst().dropLast() {
            guard let joined = composites[Self.pair(first, part)] else { return }
            first = joined
        }
        composites[Self.pair(first, last)] = value
        insert(.continues, last)
    }

    private static func pair(_ first: UInt32, _ second: UInt32) -> UInt64 { UInt64(first) << 32 | UInt64(second) }

    private mutating func insert(_ flag: Flags, _ value: UInt32) { flags[Int(value)] |= flag.rawValue }

    @inline(__always)
    subscript(value: UInt32) -> Flags { Flags(rawValue: value < 0x30000 ? flags[Int(value)] : 0) }

    func combiningClass(_ value: UInt32) -> UInt8 { self[value].contains(.continues) ? classes[value] ?? 0 : 0 }

    /// The character that two characters join to; Hangul by calculation.
    func composite(_ first: UInt32, _ second: UInt32) -> UInt32? {
        if 0x1100...0x1112 ~= first, 0x1161...0x1175 ~= second {
            return 0xAC00 + ((first - 0x1100) * 21 + (second - 0x1161)) * 28
        }
        if 0xAC00...0xD7A3 ~= first, (first - 0xAC00) % 28 == 0, 0x11A8...0x11C2 ~= second {
            return first + (second - 0x11A7)
        }
        return composites[Self.pair(first, second)]
    }

    /// Appends the full decomposition of a character.
    func appendDecomposition(of value: UInt32, byCompatibility: Bool, to output: inout [UInt32]) {
        if 0xAC00...0xD7A3 ~= value {
            let index = value - 0xAC00
            output += [0x1100 + index / 588, 0x1161 + index % 588 / 28]
            if index % 28 != 0 { output.append(0x11A7 + index % 28) }
        } else if byCompatibility, let parts = compatibility[value] {
            output += parts
        } else if let parts = canonical[value] {
            output += parts
        } else {
            output.append(value)
        }
    }
}
