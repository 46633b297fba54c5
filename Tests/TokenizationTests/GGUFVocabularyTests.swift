import Testing
import Tokenization

@Suite struct GGUFVocabularyTests {
    /// What a GGUF file of this tokenizer holds.
    private func vocabulary(_ fixture: TokenizerFixture, pre: String) throws -> GGUFVocabulary {
        let model = try #require(fixture.tokenizerJSON["model"])
        let special = fixture.tokenizer.specialTokens
        let tokens = (0..<fixture.tokenizer.vocabularySize).map { fixture.tokenizer.piece(for: TokenID($0)) ?? "" }
        let merges = (model["merges"]?.arrayValue ?? []).map { pair in
            "\(pair[0]?.stringValue ?? "") \(pair[1]?.stringValue ?? "")"
        }
        return GGUFVocabulary(
            model: "gpt2", pre: pre, tokens: tokens,
            tokenTypes: tokens.indices.map { fixture.tokenizer.isSpecial(TokenID($0)) ? 3 : 1 },
            merges: merges,
            bosID: special.bos?.id, eosID: special.eos?.id, unkID: special.unk?.id, padID: special.pad?.id,
            chatTemplate: "{{ messages }}")
    }

    @Test(arguments: [("smollm2", "smollm"), ("tiny-bytelevel-llama3", "llama-bpe")])
    func givesTheReferenceIDs(name: String, pre: String) throws {
        let fixture = try TokenizerFixture(name)
        let tokenizer = try Tokenizer(vocabulary: vocabulary(fixture, pre: pre))
        for item in fixture.cases {
            #expect(tokenizer.encode(item.text) == item.ids, "\(item.text.debugDescription)")
            #expect(tokenizer.encode(item.text, addSpecialTokens: false) == item.idsWithoutSpecial)
        }
        for item in fixture.decodeCases { #expect(tokenizer.decode(item.ids).isSame(as: item.decoded)) }
        #expect(tokenizer.specialTokens == fixture.tokenizer.specialTokens)
        #expect(tokenizer.vocabularySize == fixture.tokenizer.vocabularySize)
        #expect(tokenizer.chatTemplate == "{{ messages }}")
    }

    @Test(arguments: [("smollm2", "smollm"), ("tiny-bytelevel-llama3", "llama-bpe")])
    func becomesHuggingFaceFiles(name: String, pre: String) throws {
        let fixture = try TokenizerFixture(name)
        let tokenizer = try Tokenizer(vocabulary: vocabulary(fixture, pre: pre))
        let file = try JSONValue(parsing: tokenizer.tokenizerJSON().serialized(pretty: false))
        if name == "smollm2" { #expect(file == fixture.tokenizerJSON) }
        let configuration = tokenizer.tokenizerConfigurationJSON()
        #expect(configuration["eos_token"] == fixture.configuration["eos_token"])
        let again = try Tokenizer(tokenizerJSON: file, configuration: configuration)
        for item in fixture.cases { #expect(again.encode(item.text) == item.ids) }
        #expect(again.specialTokens == tokenizer.specialTokens)
        #expect(again.chatTemplate == "{{ messages }}")
    }

    @Test func keepsUserDefinedTokensAndTheEndOfTurn() throws {
        let fixture = try TokenizerFixture("bytelevel-added-tokens")
        var values = try vocabulary(fixture, pre: "dbrx")
        for id in values.tokens.indices where id >= 1502 { values.tokenTypes[id] = 4 }
        values.eotID = 1500
        values.addBOS = true
        values.addEOS = true
        values.bosID = 1502
        let tokenizer = try Tokenizer(vocabulary: values)
        #expect(tokenizer.specialTokens.stop == [1500, 1501])
        #expect(!tokenizer.isSpecial(1503))
        let ids = tokenizer.encode("</think>wordy")
        #expect(ids.first == 1502)
        #expect(ids.dropFirst() == [1503, 1506, 1501])
        #expect(tokenizer.encode("", addSpecialTokens: true) == [1502, 1501])
        #expect(tokenizer.encode("", addSpecialTokens: false) == [])
    }

    @Test func refusesWhatItCannotRead() throws {
        let sound = try vocabulary(TokenizerFixture("tiny-bytelevel-llama3"), pre: "llama-bpe")
        func failure(_ change: (inout GGUFVocabulary) -> Void) -> TokenizationError? {
            var values = sound
            change(&values)
            do {
                _ = try Tokenizer(vocabulary: values)
                return nil
            } catch {
                return error
            }
        }
        #expect(failure { _ in } == nil)
        #expect(failure { $0.model = "bert" }?.description.contains("\"bert\"") == true)
        #expect(failure { $0.pre = "unheard-of" }?.description.contains("\"unheard-of\"") == true)
        #expect(failure { $0.tokenTypes.removeLast() } != nil)
        #expect(failure { $0.tokenTypes = [] } == nil)
        #expect(failure { $0.tokens[5] = $0.tokens[6] } == .duplicateToken(sound.tokens[6]))
        #expect(failure { $0.merges.append("a nothing") } != nil)
        #expect(failure { $0.merges.append("nospace") } != nil)
        #expect(failure { $0.bosID = 288 } != nil)
        #expect(failure { $0.eosID = -1 } != nil)
        #expect(failure { $0.eotID = 5000 } != nil)
        #expect(failure { $0.tokens = [] } != nil)
    }

    @Test(arguments: [
        "gpt-2", "smollm", "llama-bpe", "qwen2", "qwen35", "gpt-4o", "tekken", "deepseek-v3", "deepseek-coder", "glm4",
        "default",
    ])
    func readsEverySplitStyle(pre: String) throws {
        let fixture = try TokenizerFixture("bytelevel-added-tokens")
        var values = try vocabulary(fixture, pre: pre)
        values.addBOS = false
        let tokenizer = try Tokenizer(vocabulary: values)
        for item in fixture.cases {
            let ids = tokenizer.encode(item.text)
            // Qwen's normaliser composes characters; otherwise nothing may be lost.
            if pre != "qwen2" { #expect(tokenizer.decode(ids).isSame(as: item.text)) }
        }
    }
}
