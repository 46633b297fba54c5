import Testing
import Tokenization

/// Ids and texts of the reference, string by string.
@Suite struct ReferenceTests {
    @Test(arguments: TokenizerFixture.names)
    func encodesAsTheReference(name: String) throws {
        let fixture = try TokenizerFixture(name)
        #expect(fixture.cases.count == 150)
        for item in fixture.cases {
            #expect(fixture.tokenizer.encode(item.text) == item.ids, "\(item.text.debugDescription)")
            #expect(
                fixture.tokenizer.encode(item.text, addSpecialTokens: false) == item.idsWithoutSpecial,
                "\(item.text.debugDescription)")
        }
    }

    @Test(arguments: TokenizerFixture.names)
    func decodesAsTheReference(name: String) throws {
        let fixture = try TokenizerFixture(name)
        #expect(fixture.decodeCases.count > 10)
        for item in fixture.cases {
            let decoded = fixture.tokenizer.decode(item.idsWithoutSpecial)
            #expect(decoded.isSame(as: item.decoded))
            let skipped = fixture.tokenizer.decode(item.ids, skipSpecialTokens: true)
            #expect(skipped.isSame(as: item.decodedWithoutSpecial))
        }
        for item in fixture.decodeCases {
            #expect(fixture.tokenizer.decode(item.ids).isSame(as: item.decoded))
            let skipped = fixture.tokenizer.decode(item.ids, skipSpecialTokens: true)
            #expect(skipped.isSame(as: item.decodedWithoutSpecial))
        }
    }

    @Test(arguments: TokenizerFixture.names)
    func streamsWhatItDecodes(name: String) throws {
        let fixture = try TokenizerFixture(name)
        for ids in fixture.decodeCases.map(\.ids) + fixture.cases.map(\.ids) {
            for skip in [false, true] {
                var decoder = StreamingDecoder(fixture.tokenizer, skipSpecialTokens: skip)
                var text = ids.map { decoder.append($0) }.joined()
                text += decoder.finish()
                #expect(text.isSame(as: fixture.tokenizer.decode(ids, skipSpecialTokens: skip)))
            }
        }
    }

    @Test func streamsWholeCharacters() throws {
        let tokenizer = try TokenizerFixture("tiny-bytelevel-llama3").tokenizer
        let ids = tokenizer.encode("a日😀é", addSpecialTokens: false)
        var decoder = StreamingDecoder(tokenizer)
        let pieces = ids.map { decoder.append($0) }
        #expect(pieces == ["a", "", "", "日", "", "", "", "😀", "", "é"])
        #expect(decoder.finish() == "")
        decoder = StreamingDecoder(tokenizer)
        #expect(ids.prefix(3).map { decoder.append($0) } == ["a", "", ""])
        #expect(decoder.finish() == "\u{FFFD}")
    }

    @Test(arguments: TokenizerFixture.names)
    func offsetsCoverTheText(name: String) throws {
        let fixture = try TokenizerFixture(name)
        for item in fixture.cases {
            let bytes = Array(item.text.utf8)
            let encoded = fixture.tokenizer.encodeWithOffsets(item.text)
            #expect(encoded.ids == item.ids)
            try #require(encoded.ranges.count == encoded.ids.count)
            var position = 0
            for range in encoded.ranges {
                // Normalisation drops some characters of the last tokenizer's texts, and joins others.
                #expect(name == "unigram" ? range.upperBound >= position : range.lowerBound == position)
                position = range.upperBound
            }
            #expect(name == "unigram" ? position <= bytes.count : position == bytes.count)
            // The third tokenizer has tokens that swallow white space, whose ranges say more than their texts; the
            // last ones take a space from the start of every text.
            if name == "bytelevel-added-tokens" || !TokenizerFixture.byteLevelNames.contains(name) { continue }
            for (id, range) in zip(encoded.ids, encoded.ranges) where !range.isEmpty {
                #expect(fixture.tokenizer.decode([id]) == String(decoding: bytes[range], as: UTF8.self))
            }
        }
    }

    @Test(arguments: TokenizerFixture.names)
    func writesAnEquivalentFile(name: String) throws {
        let fixture = try TokenizerFixture(name)
        let written = fixture.tokenizer.tokenizerJSON()
        #expect(written == fixture.tokenizerJSON)
        let text = written.serialized(pretty: true)
        let again = try Tokenizer(
            tokenizerJSON: JSONValue(parsing: text), configuration: fixture.tokenizer.tokenizerConfigurationJSON())
        for item in fixture.cases { #expect(again.encode(item.text) == item.ids) }
    }

    @Test func knowsTheTokensWithARole() throws {
        let small = try TokenizerFixture("smollm2").tokenizer
        #expect(small.vocabularySize == 49152)
        #expect(small.specialTokens.bos?.text == "<|im_start|>")
        #expect(small.specialTokens.eos?.id == 2)
        #expect(small.specialTokens.unk?.id == 0)
        #expect(small.specialTokens.stop == [2])
        #expect(small.isSpecial(2))
        #expect(!small.isSpecial(100))
        #expect(small.piece(for: 2) == "<|im_end|>")
        #expect(small.id(for: "Ġthe").map { small.decode([$0]) } == " the")
        #expect(small.piece(for: -1) == nil)
        #expect(small.piece(for: 49152) == nil)
        #expect(small.decode([-5, 49152, .max]) == "")
        let llama = try TokenizerFixture("tiny-bytelevel-llama3").tokenizer
        #expect(llama.vocabularySize == 288)
        #expect(llama.specialTokens.eos?.text == "<|eot_id|>")
        #expect(llama.specialTokens.bos?.id == 280)
    }

    @Test func threadsShareATokenizer() async throws {
        let fixture = try TokenizerFixture("smollm2")
        let (tokenizer, cases) = (fixture.tokenizer, fixture.cases.map { ($0.text, $0.ids) })
        await withTaskGroup(of: Bool.self) { group in
            for start in 0..<8 {
                group.addTask {
                    cases.indices.allSatisfy { at in
                        let item = cases[(at + 17 * start) % cases.count]
                        return tokenizer.encode(item.0) == item.1
                    }
                }
            }
            for await isRight in group { #expect(isRight) }
        }
    }
}
