import Foundation
import Tokenization

/// A tokenizer with the strings that it is checked against.
struct TokenizerFixture {
    static let names = [
        "smollm2", "tiny-bytelevel-llama3", "bytelevel-added-tokens", "spm-bpe-llama2", "spm-bpe-metaspace", "unigram",
    ]
    /// Those that give back every character of a text.
    static let byteLevelNames = Array(names.prefix(3))

    struct Case {
        let text: String
        let ids: [TokenID]
        let idsWithoutSpecial: [TokenID]
        let decoded: String
        let decodedWithoutSpecial: String
    }

    struct DecodeCase {
        let ids: [TokenID]
        let decoded: String
        let decodedWithoutSpecial: String
    }

    let tokenizerJSON: JSONValue
    let configuration: JSONValue
    let tokenizer: Tokenizer
    let cases: [Case]
    let decodeCases: [DecodeCase]

    init(_ name: String) throws {
        func read(_ file: String) throws -> JSONValue {
            let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures/tokenizers")
            return try JSONValue(parsing: Data(contentsOf: folder.appending(path: "\(name)/\(file)")))
        }
        tokenizerJSON = try read("tokenizer.json")
        configuration = try read("tokenizer_config.json")
        tokenizer = try Tokenizer(tokenizerJSON: tokenizerJSON, configuration: configuration)
        let expected = try read("cases.json")
        func ids(_ value: JSONValue?) -> [TokenID] {
            value?.arrayValue?.compactMap { $0.intValue.map(TokenID.init) } ?? []
        }
        func text(_ value: JSONValue?) -> String { value?.stringValue ?? "missing in the fixture" }
        cases = (expected["cases"]?.arrayValue ?? []).map {
            Case(
                text: text($0["text"]), ids: ids($0["ids"]), idsWithoutSpecial: ids($0["ids_no_special"]),
                decoded: text($0["decoded"]), decodedWithoutSpecial: text($0["decoded_skip_special"]))
        }
        decodeCases = (expected["decode_cases"]?.arrayValue ?? []).map {
            DecodeCase(
                ids: ids($0["ids"]), decoded: text($0["decoded"]),
                decodedWithoutSpecial: text($0["decoded_skip_special"]))
        }
    }
}

extension String {
    /// Equality of bytes: `==` would overlook a changed normal form.
    func isSame(as other: String) -> Bool { Array(utf8) == Array(other.utf8) }
}
