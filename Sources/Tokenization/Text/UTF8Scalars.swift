/// Code points as bytes.
extension [UInt8] {
    /// Appends the UTF-8 form of a code point.
    @inline(__always)
    mutating func appendUTF8(_ value: UInt32) {
        switch value {
        case 0..<0x80: append(UInt8(truncatingIfNeeded: value))
        case 0..<0x800:
            append(0xC0 | UInt8(truncatingIfNeeded: value >> 6))
            appendTail(value, 0)
        case 0..<0x10000:
            append(0xE0 | UInt8(truncatingIfNeeded: value >> 12))
            appendTail(value, 6)
            appendTail(value, 0)
        default:
            append(0xF0 | UInt8(truncatingIfNeeded: value >> 18))
            appendTail(value, 12)
            appendTail(value, 6)
            appendTail(value, 0)
        }
    }

    @inline(__always)
    private mutating func appendTail(_ value: UInt32, _ shift: UInt32) {
        append(0x80 | UInt8(truncatingIfNeeded: value >> shift & 0x3F))
    }
}
