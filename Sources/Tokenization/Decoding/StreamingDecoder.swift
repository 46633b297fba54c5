/// Decodes tokens one at a time for printing while text is generated.
///
/// The pieces put together are what `Tokenizer.decode` makes of all the ids; a character spread over several tokens
/// comes out whole, with the token that completes it, or where it is spelled in byte tokens with the one behind them.
public struct StreamingDecoder: Sendable {
    private let core: TokenizerCore
    private let skipSpecialTokens: Bool
    private var run: DecodingRun

    /// Starts a text.
    public init(_ tokenizer: Tokenizer, skipSpecialTokens: Bool = false) {
        core = tokenizer.core
        run = DecodingRun(core.decoder)
        self.skipSpecialTokens = skipSpecialTokens
    }

    /// Takes the next token and returns the text that is complete by now; often one word, sometimes nothing.
    public mutating func append(_ id: TokenID) -> String {
        core.decode(id, skipSpecialTokens: skipSpecialTokens, into: &run)
        return String(decoding: run.takeOutput(), as: UTF8.self)
    }

    /// Ends the text: returns what was kept back, such as U+FFFD if it broke off inside a character.
    public mutating func finish() -> String {
        run.finish()
        defer { run = DecodingRun(core.decoder) }
        return String(decoding: run.takeOutput(), as: UTF8.self)
    }
}

extension TokenizerCore {
    /// Decodes one more token; ids that are not in the vocabulary add nothing.
    func decode(_ id: TokenID, skipSpecialTokens: Bool, into run: inout DecodingRun) {
        guard let piece = vocabulary.piece(of: id), !(skipSpecialTokens && skippedIDs.contains(id)) else { return }
        run.append((spellings[id] ?? piece).utf8)
    }
}

/// Looks at the end of bytes that are to be text.
enum UTF8Ending {
    /// How many bytes at the end are the valid beginning of a character that needs more.
    static func unfinishedCount(_ bytes: [UInt8]) -> Int {
        for count in 1...3 where count <= bytes.count {
            let tail = bytes.suffix(count)
            guard let lead = tail.first, lead >= 0x80 else { return 0 }
            if lead < 0xC0 { continue }
            let needed = lead < 0xC2 || lead > 0xF4 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4
            guard count < needed else { return 0 }
            return count == 1 || isSecond(tail[tail.startIndex + 1], after: lead) ? count : 0
        }
        return 0
    }

    /// Whether a byte may come second: some leads do not allow every continuation byte.
    private static func isSecond(_ byte: UInt8, after lead: UInt8) -> Bool {
        switch lead {
        case 0xE0: 0xA0...0xBF ~= byte
        case 0xED: 0x80...0x9F ~= byte
        case 0xF0: 0x90...0xBF ~= byte
        case 0xF4: 0x80...0x8F ~= byte
        default: 0x80...0xBF ~= byte
        }
    }
}
