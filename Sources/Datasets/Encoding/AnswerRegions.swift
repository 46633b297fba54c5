import Foundation
import Tokenization

/// Where the parts of one assistant turn stand in its text.
///
/// They are found by rendering the conversation with other words in the place of each part: where the text begins to
/// differ, the part begins. So no template needs to be known. What stands between two parts (the end of a thinking
/// block, say) belongs to the earlier one.
struct AnswerRegions {
    /// Starts in UTF-8 bytes of the text, ascending.
    private let starts: [(byte: Int, part: AnswerPart)]

    init(_ differences: AnswerDifferences, message: Int, turn: Range<Int>) {
        func start(_ part: AnswerPart) -> Int? { differences[part, message].flatMap { turn.contains($0) ? $0 : nil } }
        var found: [(byte: Int, part: AnswerPart)] = []
        if let at = start(.final) { found.append((at, .final)) }
        if let at = start(.toolCalls) { found.append((at, .toolCalls)) }
        // Templates may leave the reasoning out; what begins the turn is then the next part's.
        if start(.thinking) != nil { found.append((turn.lowerBound, .thinking)) }
        // Where two begin at the same byte, the earlier one is empty: the template left it out.
        found.sort { $0.byte == $1.byte ? $0.part == .thinking : $0.byte < $1.byte }
        starts = found
    }

    /// The part to which a token of the turn belongs: that of its last byte. What precedes all parts is the first's.
    func part(of token: Range<Int>) -> AnswerPart {
        (starts.last { $0.byte < token.upperBound } ?? starts.first)?.part ?? .final
    }
}

/// An assistant's message taken apart.
struct Answer {
    private let object: JSONObject
    /// Reasoning that is part of the content, with the mark that ends it and the white space behind, which many tokenizers
    /// write with the mark's last letter as one token.
    private let inlineThinking: String
    private let final: String
    private static let thinkingKeys = ["reasoning_content", "thinking", "reasoning"]
    private static let thinkingEnd = "</think>"

    init(_ message: Message) {
        object = message.json.objectValue ?? [:]
        let content = message.content ?? ""
        let thinking = content.range(of: Self.thinkingEnd).map { end in
            content[..<(content[end.upperBound...].firstIndex { !$0.isWhitespace } ?? content.endIndex)]
        }
        inlineThinking = thinking.map(String.init) ?? ""
        final = String(content[(thinking?.endIndex ?? content.startIndex)...])
    }

    var hasFinal: Bool { final.contains { !$0.isWhitespace } }
    var hasToolCalls: Bool { object["tool_calls"]?.arrayValue?.isEmpty == false }
    var hasThinking: Bool {
        !inlineThinking.isEmpty || reasoning != nil
    }

    /// Whether nothing is said, thought or called.
    var isEmpty: Bool { !hasFinal && !hasToolCalls && !hasThinking }

    /// The reasoning under a key of its own.
    var reasoning: String? { Self.thinkingKeys.lazy.compactMap { object[$0]?.stringValue }.first { !$0.isEmpty } }

    func has(_ part: AnswerPart) -> Bool {
        switch part {
        case .final: hasFinal
        case .thinking: hasThinking
        case .toolCalls: hasToolCalls
        }
    }

    /// The message with words in the place of a part: two of them, since one may start like what it replaces.
    func withOther(_ part: AnswerPart) -> [Message] {
        switch part {
        case .final: withOtherFinal
        case .thinking: withOtherThinking
        case .toolCalls: withOtherEnd
        }
    }

    private var withOtherFinal: [Message] {
        Self.words.compactMap { message(with: [("content", .string(inlineThinking + $0))]) }
    }

    private var withOtherEnd: [Message] {
        Self.words.compactMap {
            message(with: [("content", .string(inlineThinking + final + $0))], without: "tool_calls")
        }
    }

    private var withOtherThinking: [Message] {
        Self.words.compactMap { word in
            let keys = Self.thinkingKeys.filter { object[$0]?.stringValue?.isEmpty == false }
            let inline = inlineThinking.isEmpty ? "" : "<think>\n\(word)\n\(Self.thinkingEnd)\n\n"
            return message(with: keys.map { ($0, .string(word)) } + [("content", .string(inline + final))])
        }
    }

    private static let words = ["A", "z"]

    private func message(with members: [(key: String, value: JSONValue)], without key: String? = nil) -> Message? {
        try? Message(JSONObject(object.members.filter { $0.key != key } + members))
    }
}
