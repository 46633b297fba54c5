import ArgumentParser
import Checkpoints
import Datasets
import Foundation
import Recipes
import Tokenization

struct Tokenize: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows the token ids of text, or the text of ids.",
        discussion: """
            Text comes from --text, from a .jsonl file (objects with a key "text", or "ids" for the way back) or from a \
            file of lines; one result per record, in order. Only tokenizer files are needed, no weights. \
            With --count the file may be data of any format and size; what its records say is counted, text by text, \
            without a chat template.
            """)

    @Option(help: "A model folder, a folder with tokenizer.json, or a .gguf file.")
    var model: String

    @Option(help: "The text.")
    var text: String?

    @Argument(help: "A .jsonl file of objects with \"text\" or \"ids\", or a file of lines.")
    var file: String?

    @Option(name: .customLong("decode-ids"), help: "Ids to turn into text, separated by commas.")
    var decodeIDs: String?

    @Flag(name: .customLong("no-special"), help: "Leave out the tokens that the tokenizer puts around a text (BOS, EOS).")
    var noSpecial = false

    @Flag(help: "Print only how many records and tokens the file has.")
    var count = false

    @Flag(help: "Print one JSON object per record: ids and pieces.")
    var json = false

    func validate() throws {
        if [text, file, decodeIDs].compactMap({ $0 }).count != 1 {
            throw ValidationError("give exactly one of --text, a file, or --decode-ids")
        }
        if count && file == nil { throw ValidationError("--count needs a file") }
    }

    func run() throws {
        let tokenizer = try openTokenizer()
        if let decodeIDs { return try decode(decodeIDs, tokenizer) }
        if let text { return print(text, tokenizer) }
        if count { return try printCounts(of: file ?? "", tokenizer) }
        for record in try records(file ?? "") {
            switch record {
            case .text(let text): print(text, tokenizer)
            case .ids(let ids): print(ids, tokenizer)
            }
        }
    }

    private func openTokenizer() throws -> Tokenizer {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: model, isDirectory: &isFolder) else {
            throw BaseModelError.nothing(at: model)
        }
        let tokenizer = isFolder.boolValue
            ? try BaseModel.readTokenizer(URL(fileURLWithPath: model)).tokenizer
            : try BaseModel.readTokenizer(GGUFFile(path: model)).tokenizer
        guard let tokenizer else { throw BaseModelError.noTokenizer(path: model) }
        return tokenizer
    }

    private func print(_ text: String, _ tokenizer: Tokenizer) {
        let ids = tokenizer.encode(text, addSpecialTokens: !noSpecial)
        let pieces = ids.map { tokenizer.piece(for: $0) ?? "" }
        if json {
            return Terminal.output([
                "ids": .array(ids.map { .integer(Int($0)) }), "pieces": .array(pieces.map { .string($0) }),
            ])
        }
        Terminal.output(zip(ids, pieces).map { "\($0) \($1)" }.joined(separator: "\n"))
    }

    private func printCounts(of path: String, _ tokenizer: Tokenizer) throws {
        var (records, tokens) = (0, 0)
        for record in try DatasetReader(path: path).records() {
            records += 1
            for text in try record.get().example.texts {
                tokens += tokenizer.encode(text, addSpecialTokens: !noSpecial).count
            }
        }
        if json { return Terminal.output(["records": .integer(records), "tokens": .integer(tokens)]) }
        Terminal.output("\(records) records, \(tokens) tokens")
    }

    private func decode(_ list: String, _ tokenizer: Tokenizer) throws {
        print(try TokenIDList.parse(list, option: "--decode-ids"), tokenizer)
    }

    private func print(_ ids: [TokenID], _ tokenizer: Tokenizer) {
        let text = tokenizer.decode(ids, skipSpecialTokens: noSpecial)
        json ? Terminal.output(["text": .string(text)]) : Terminal.output(text)
    }

    /// Lines without their ends, "\n" or "\r\n"; the end of the last line begins no further one.
    private static func lines(of text: String) -> [String] {
        var lines = text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false)
        if lines.last?.isEmpty == true { lines.removeLast() }
        return lines.map { String($0.last == "\r" ? $0.dropLast() : $0) }
    }

    private enum Record {
        case text(String)
        case ids([TokenID])

        init?(_ value: JSONValue) {
            if let text = value["text"]?.stringValue {
                self = .text(text)
            } else if let ids = value["ids"]?.arrayValue {
                let known = ids.compactMap { $0.intValue.flatMap(TokenID.init(exactly:)) }
                guard known.count == ids.count else { return nil }
                self = .ids(known)
            } else {
                return nil
            }
        }
    }

    private func records(_ path: String) throws -> [Record] {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw CommandError(.missingInput, "\(path): there is no such file, or it cannot be read")
        }
        guard let contents = String(validating: data, as: UTF8.self) else {
            throw CommandError(.unsuitableData, "\(path): not valid UTF-8")
        }
        let lines = Self.lines(of: contents)
        guard path.hasSuffix(".jsonl") else { return lines.map { .text($0) } }
        return try lines.enumerated().compactMap { index, line in
            if line.allSatisfy(\.isWhitespace) { return nil }
            do {
                if let record = Record(try JSONValue(parsing: line)) { return record }
            } catch {
                throw CommandError(.unsuitableData, "\(path):\(index + 1): not valid JSON: \(error)")
            }
            throw CommandError(.unsuitableData, "\(path):\(index + 1): expected an object with the key \"text\" (or \"ids\", a list of integers)")
        }
    }
}

/// Token ids on a command line.
enum TokenIDList {
    static func parse(_ list: String, option: String) throws -> [TokenID] {
        let places = list.split(separator: ",", omittingEmptySubsequences: false)
        if places.count > 1, places.contains(where: { $0.allSatisfy(\.isWhitespace) }) {
            throw CommandError(.usage, "\(option) has a comma without an id beside it, expected token ids separated by commas")
        }
        return try list.split(whereSeparator: { $0 == "," || $0 == " " }).map { part in
            guard let id = TokenID(part), id >= 0 else {
                throw CommandError(.usage, "\(option) holds \(part), expected token ids separated by commas")
            }
            return id
        }
    }
}

extension Example {
    /// Everything it says, piece by piece.
    fileprivate var texts: [String] {
        switch self {
        case .conversation(let conversation): conversation.messages.compactMap(\.content)
        case .completion(let prompt, let response): [prompt, response]
        case .text(let text): [text]
        case .segments(let segments): segments.map(\.text)
        case .preference(let preference):
            [preference.prompt, preference.chosen, preference.rejected].flatMap { content in
                switch content {
                case .text(let text): [text]
                case .messages(let messages): messages.compactMap(\.content)
                }
            }
        case .tokens: []
        }
    }
}
