import TensorCore

/// Reproducible blocks of a format, whose numbers are of size one.
func storedBlocks(_ format: StoredFormat, elements: Int, seed: UInt64) -> [UInt8] {
    if let number = plainNumber(format) { return noise(elements, seed).flatMap(number) }
    var state = seed
    var bytes = (0..<elements / format.blockElements * format.blockBytes).map { _ in
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return UInt8(truncatingIfNeeded: state >> 56)
    }
    for block in stride(from: 0, to: bytes.count, by: format.blockBytes) {
        // Exponents of half-precision scales and minima, of either sign, and the power of two.
        switch format {
        case .q4_0, .q5_0: tame(&bytes[block + 1], isSmall: false)
        case .q8_0: tame(&bytes[block + 1], isSmall: true)
        case .q4_1, .q5_1: for at in [1, 3] { tame(&bytes[block + at], isSmall: false) }
        case .q4_K, .q5_K: for at in [1, 3] { tame(&bytes[block + at], isSmall: true) }
        case .q6_K: tame(&bytes[block + 209], isSmall: true)
        case .mxfp4: bytes[block] = 124 + bytes[block] % 4
        case .float32, .float16, .bfloat16: break
        }
    }
    return bytes
}

/// Sets the upper bits of the exponent in the upper byte of a half, whose size is then 2⁻⁴ to 2⁻³, or 2⁻⁸ to 2⁻⁷.
private func tame(_ byte: inout UInt8, isSmall: Bool) { byte = byte & 0x83 | (isSmall ? 0x1C : 0x2C) }

/// How a number of a format without blocks is written.
private func plainNumber(_ format: StoredFormat) -> ((Float) -> [UInt8])? {
    func littleEndian(_ bits: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: bits.littleEndian) { Array($0) }
    }
    switch format {
    case .float32: return { littleEndian($0.bitPattern) }
    case .bfloat16: return { littleEndian(UInt16($0.bitPattern >> 16)) }
    case .float16: return { littleEndian(Float16($0).bitPattern) }
    default: return nil
    }
}
