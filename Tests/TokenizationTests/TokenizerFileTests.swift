import Testing
import Tokenization

/// Damaged and unsupported files end in an error that says what is wrong.
@Suite struct TokenizerFileTests {
    private func failure(_ json: JSONValue, _ configuration: JSONValue? = nil) -> TokenizationError? {
        do {
            _ = try Tokenizer(tokenizerJSON: json, configuration: configuration)
            return nil
        } catch {
            return error
        }
    }

    /// The small file with one member of the root, or of the model, replaced.
    private func file(_ key: String, _ value: JSONValue) -> JSONValue {
        var root = TinyTokenizer.json().objectValue ?? [:]
        root[key] = value
        return .object(root)
    }

    private func model(_ key: String, _ value: JSONValue) -> JSONValue {
        var model = TinyTokenizer.json()["model"]?.objectValue ?? [:]
        model[key] = value
        return file("model", .object(model))
    }

    @Test func acceptsTheSoundFile() { #expect(failure(TinyTokenizer.json()) == nil) }

    @Test func refusesWrongShapes() {
        #expect(
            failure(.null)?.description
                == "tokenizer.json: found null where an object is expected; the file is damaged or no tokenizer file")
        #expect(failure([]) != nil)
        #expect(failure([:])?.description.contains("model") == true)
        #expect(failure(file("model", [])) != nil)
        #expect(failure(file("model", ["type": "BPE", "merges": []]))?.description.contains("model.vocab") == true)
        #expect(failure(model("vocab", ["a", "b"])) != nil)
        #expect(failure(model("vocab", ["a": "b"])) != nil)
        #expect(failure(model("vocab", ["a": .number(1.5)])) != nil)
        #expect(failure(model("merges", ["a": "b"])) != nil)
        #expect(failure(model("merges", nil)) != nil)
        for merge: JSONValue in ["ab", "a b c", " a", "a ", ["a"], ["a", "b", "c"], ["a", 1], 7, ""] {
            #expect(failure(model("merges", [merge])) != nil, "\(merge)")
        }
        #expect(failure(model("ignore_merges", "yes")) != nil)
        #expect(failure(file("added_tokens", ["x": 1])) != nil)
        #expect(failure(file("added_tokens", ["x"])) != nil)
        #expect(failure(file("pre_tokenizer", ["type": 3])) != nil)
        #expect(failure(TinyTokenizer.json(), ["bos_token": 3]) != nil)
        #expect(failure(TinyTokenizer.json(), ["chat_template": 3]) != nil)
        #expect(failure(TinyTokenizer.json(), "text") != nil)
    }

    @Test func refusesContradictions() {
        #expect(failure(model("vocab", ["a": 0, "b": 0])) == .duplicateID(id: 0, first: "a", second: "b"))
        #expect(failure(model("vocab", ["a": -1])) != nil)
        #expect(failure(model("vocab", ["a": .integer(1 << 40)])) != nil)
        #expect(
            failure(model("merges", [["a", "b"]]))
                == .mergeOfUnknownToken(place: "tokenizer.json: model.merges[0]", token: "ab"))
        #expect(
            failure(model("merges", ["a xyz"]))
                == .mergeOfUnknownToken(place: "tokenizer.json: model.merges[0]", token: "xyz"))
        // Nothing is unknown where every byte has a token; else the token must be there.
        #expect(failure(model("unk_token", "<unk>")) == nil)
        let file: JSONValue = ["model": ["type": "BPE", "vocab": ["a": 0], "merges": [], "unk_token": "<unk>"]]
        #expect(failure(file) == .unknownSpecialToken(role: "unk_token", token: "<unk>"))
        #expect(failure(TinyTokenizer.json(), ["eos_token": ["content": "<e>"]]) != nil)
    }

    @Test func checksAddedTokens() {
        func added(_ tokens: (JSONValue, JSONValue)...) -> TokenizationError? {
            failure(file("added_tokens", .array(tokens.map { ["id": $0.0, "content": $0.1, "special": true] })))
        }
        #expect(added((256, "<a>"), (257, "<b>")) == nil)
        #expect(added((65, "A")) == nil)
        #expect(added((256, "<a>"), (256, "<b>")) == .duplicateID(id: 256, first: "<a>", second: "<b>"))
        #expect(added((256, "<a>"), (257, "<a>")) != nil)
        #expect(added((300, "<a>")) == .addedTokenIDMismatch(token: "<a>", found: 300, expected: 256))
        #expect(added((66, "A")) == .addedTokenIDMismatch(token: "A", found: 66, expected: 65))
        #expect(added((256, "")) != nil)
        #expect(added((-1, "<a>")) != nil)
        #expect(added((.integer(1 << 50), "<a>")) != nil)
    }

    static let unsupported: [(String, JSONValue, String)] = [
        ("normalizer", ["type": "Uppercase"], "Uppercase"), ("model", ["type": "Trigram", "vocab": [:]], "Trigram"),
        ("normalizer", ["type": "Sequence", "normalizers": [["type": "NFC"], ["type": "Mirror"]]], "Mirror"),
        ("pre_tokenizer", ["type": "UnicodeScripts"], "UnicodeScripts"),
        ("pre_tokenizer", ["type": "Sequence", "pretokenizers": [["type": "FixedLength"]]], "FixedLength"),
        ("model", ["type": "Unigram", "vocab": [["a", 0.0]]], "unk_id"),
        ("model", ["type": "BPE", "dropout": 0.1, "vocab": [:], "merges": []], "dropout"),
        ("post_processor", ["type": "PairProcessing"], "PairProcessing"), ("decoder", ["type": "CTC"], "CTC"),
        ("decoder", ["type": "Sequence", "decoders": [["type": "Fuse"], ["type": "Blend"]]], "Blend"),
    ]

    @Test(arguments: unsupported)
    func namesWhatItDoesNotSupport(key: String, value: JSONValue, name: String) {
        guard case .unsupported(_, let found, _)? = failure(file(key, value)) else {
            Issue.record("accepted, or refused for another reason: \(String(describing: failure(file(key, value))))")
            return
        }
        #expect(found.contains(name))
    }

    @Test func refusesBrokenTemplates() {
        func template(_ single: JSONValue, _ ids: JSONValue = [1]) -> TokenizationError? {
            failure(
                file(
                    "post_processor",
                    ["type": "TemplateProcessing", "single": single, "special_tokens": ["<s>": ["ids": ids]]]))
        }
        let (sequence, token): (JSONValue, JSONValue) = (["Sequence": ["id": "A"]], ["SpecialToken": ["id": "<s>"]])
        #expect(template([token, sequence]) == nil)
        #expect(template([token]) != nil)
        #expect(template([sequence, sequence]) != nil)
        #expect(template([["Sequence": ["id": "B"]]]) != nil)
        #expect(template([["SpecialToken": ["id": "<x>"]], sequence]) != nil)
        #expect(template([token, sequence], [256]) != nil)
        #expect(template([token, sequence], [-1]) != nil)
        #expect(template([token, sequence], "x") != nil)
        #expect(template([[:], sequence]) != nil)
    }

    @Test func refusesPatternsThatDoNotCompile() {
        let split: JSONValue = ["type": "Split", "pattern": ["Regex": "(a"], "behavior": "Isolated"]
        #expect(failure(TinyTokenizer.json(steps: [split])) != nil)
        let behavior: JSONValue = ["type": "Split", "pattern": ["Regex": "a"], "behavior": "Sideways"]
        #expect(failure(TinyTokenizer.json(steps: [behavior])) != nil)
    }

    @Test func tellsTokensApartByTheirBytes() throws {
        let tokenizer = try TinyTokenizer.make(steps: [], extra: ["\u{212A}", "\u{E9}x", "e\u{301}x"])
        #expect(tokenizer.id(for: "K") == 75)
        #expect(tokenizer.id(for: "\u{212A}") == 256)
        #expect(tokenizer.id(for: "\u{E9}x") == 257)
        #expect(tokenizer.id(for: "e\u{301}x") == 258)
    }

    @Test func readsRolesAndTemplates() throws {
        let named: JSONValue = [["name": "tool_use", "template": "T"], ["name": "default", "template": "D"]]
        let tokenizer = try Tokenizer(
            tokenizerJSON: TinyTokenizer.json(),
            configuration: [
                "bos_token": ["content": "A"], "eos_token": "B", "pad_token": "gone", "chat_template": named,
            ])
        #expect(tokenizer.specialTokens.bos?.id == 65)
        #expect(tokenizer.specialTokens.eos?.text == "B")
        #expect(tokenizer.specialTokens.stop == [66])
        #expect(tokenizer.specialTokens.pad == nil)
        #expect(tokenizer.chatTemplate == "D")
        #expect(try Tokenizer(tokenizerJSON: TinyTokenizer.json(), configuration: nil).chatTemplate == nil)
    }

    @Test func longWordsMergeAsShortOnesDo() throws {
        // aa, aaaa: the leftmost pair of the lowest rank first, for words on both sides of the heap's threshold.
        let tokenizer = try TinyTokenizer.make(
            steps: [], merges: [["a", "a"], ["aa", "aa"], ["a", "b"]], extra: ["aa", "aaaa", "ab"])
        for count in [1, 2, 3, 4, 5, 7, 45, 46, 47, 48, 49, 50, 51, 97, 1000, 100_003] {
            let ids = tokenizer.encode(String(repeating: "a", count: count) + "b").dropFirst()
            var expected = [TokenID](repeating: 257, count: count / 4)
            if count % 4 >= 2 { expected.append(256) }
            expected += count % 2 == 1 ? [258] : [98]
            #expect(Array(ids) == expected, "\(count)")
        }
    }
}
