/// Valid UTF-8 that is read scalar by scalar.
struct PieceText {
    let bytes: UnsafeBufferPointer<UInt8>

    init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    /// The code point at `position` and the position after it.
    @inline(__always)
    func scalar(_ position: Int) -> (value: UInt32, end: Int) {
        let lead = UInt32(bytes[position])
        if lead < 0x80 { return (lead, position + 1) }
        if lead < 0xE0 { return ((lead & 0x1F) << 6 | tail(position + 1), position + 2) }
        if lead < 0xF0 {
            return ((lead & 0x0F) << 12 | tail(position + 1) << 6 | tail(position + 2), position + 3)
        }
        let high = (lead & 0x07) << 18 | tail(position + 1) << 12
        return (high | tail(position + 2) << 6 | tail(position + 3), position + 4)
    }

    @inline(__always)
    private func tail(_ position: Int) -> UInt32 { UInt32(bytes[position] & 0x3F) }
}
