/// Tokens that stand for single bytes: `<0x0A>`.
enum ByteFallback {
    /// The token of each byte; −1 where the vocabulary has none.
    static func tokens(_ vocabulary: Vocabulary) -> [TokenID] {
        (0...255).map { (byte: UInt8) in vocabulary.id(of: name(of: byte)) ?? -1 }
    }

    static func name(of byte: UInt8) -> String {
        let digits = String(byte, radix: 16, uppercase: true)
        return "<0x\(digits.count < 2 ? "0" : "")\(digits)>"
    }

    /// The byte that a token stands for, in either case of its digits.
    static func byte(_ token: [UInt8]) -> UInt8? {
        guard token.count == 6, token.starts(with: "<0x".utf8), token[5] == UInt8(ascii: ">") else { return nil }
        // As the tokenizers library reads numbers: a plus sign may stand before one digit.
        return UInt8(String(decoding: token[3..<5], as: UTF8.self), radix: 16)
    }
}
