/// The 256 printable characters by which byte-level vocabularies write bytes: `Ġ` is a space, `Ċ` a line feed.
///
/// Printable Latin-1 characters stand for themselves; the other bytes take the code points from U+0100 on, in order.
enum ByteLevelAlphabet {
    /// The character of each byte.
    static let scalars: [Unicode.Scalar] = {
        var next: UInt8 = 0
        return (0...255).map { (byte: UInt8) in
            switch byte {
            case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF: return Unicode.Scalar(byte)
            default:
                defer { next += 1 }
                return Unicode.Scalar(0x100 + UInt16(next)) ?? "\u{100}"
            }
        }
    }()

    /// The byte of each code point below U+0144, or −1.
    private static let bytes: [Int16] = {
        var table = [Int16](repeating: -1, count: 0x144)
        for (byte, scalar) in scalars.enumerated() { table[Int(scalar.value)] = Int16(byte) }
        return table
    }()

    /// Appends the bytes that a piece stands for; `false`, with nothing appended, if it uses any other character.
    static func appendBytes(of piece: String, to output: inout [UInt8]) -> Bool {
        let start = output.count
        for scalar in piece.unicodeScalars {
            guard scalar.value < 0x144, bytes[Int(scalar.value)] >= 0 else {
                output.removeSubrange(start...)
                return false
            }
            output.append(UInt8(truncatingIfNeeded: bytes[Int(scalar.value)]))
        }
        return true
    }

    /// The piece that stands for these bytes.
    static func piece(for bytes: some Sequence<UInt8>) -> String {
        var piece = String.UnicodeScalarView()
        for byte in bytes { piece.append(scalars[Int(byte)]) }
        return String(piece)
    }

    /// The characters as UTF-8, by byte.
    private static let utf8: [[UInt8]] = scalars.map { Array(String($0).utf8) }

    /// Appends a piece of text, written in the alphabet.
    static func append(_ piece: PieceRange, of text: PlacedText, to mapped: inout MappedText) {
        for at in piece.start..<piece.end {
            mapped.append(utf8[Int(text.bytes[at])], from: text.origin.original(at..<at + 1))
        }
    }

    /// The text written in the alphabet; `nil` if it is empty.
    static func apply(to text: PlacedText, keepsOrigin: Bool) -> MappedText? {
        if text.bytes.isEmpty { return nil }
        var mapped = MappedText(keepsOrigin: keepsOrigin, capacity: 2 * text.bytes.count)
        append(text.whole, of: text, to: &mapped)
        return mapped
    }
}
