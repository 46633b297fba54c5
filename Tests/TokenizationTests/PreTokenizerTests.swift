import Testing
import Tokenization

@Suite struct PreTokenizerTests {
    /// The pieces are those of the tokenizers library.
    @Test(arguments: [
        ("Isolated", false, "a|-|b|-|-|c|-"), ("Removed", false, "a|b|c"), ("MergedWithPrevious", false, "a-|b-|-|c-"),
        ("MergedWithNext", false, "a|-b|-|-c|-"), ("Contiguous", false, "a|-|b|--|c|-"),
        ("Removed", true, "-|-|-|-"),
        ("MergedWithPrevious", true, "a|-b|-|-c|-"), ("MergedWithNext", true, "a-|b-|-|c-"),
    ])
    func splitsAtLiterals(behavior: String, isInverted: Bool, expected: String) throws {
        for pattern: JSONValue in [["String": "-"], ["Regex": "-"]] {
            let tokenizer = try TinyTokenizer.make(steps: [
                ["type": "Split", "pattern": pattern, "behavior": .string(behavior), "invert": .bool(isInverted)]
            ])
            #expect(TinyTokenizer.pieces(tokenizer, "a-b--c-") == expected)
        }
    }

    @Test(arguments: [(true, "a|1|2|½|b"), (false, "a|12½|b")])
    func splitsAtDigits(individual: Bool, expected: String) throws {
        let tokenizer = try TinyTokenizer.make(steps: [["type": "Digits", "individual_digits": .bool(individual)]])
        #expect(TinyTokenizer.pieces(tokenizer, "a12½b") == expected)
    }

    /// Oniguruma takes the plus for a repetition of the interval, `\h` for a hexadecimal digit.
    @Test(arguments: [
        (#"\p{N}{1,3}+"#, "a|12345|b"), (#"\p{N}{2,}+"#, "a|12345|b"), (#"\p{N}{2}"#, "a|12|34|5b"),
        (#"\h+"#, "a12345b"), (#"[\d]{1,2}"#, "a|12|34|5|b"), (#"x*"#, "a|1|2|3|4|5|b"),
    ])
    func readsPatternsAsOnigurumaDoes(pattern: String, expected: String) throws {
        #expect(TinyTokenizer.pieces(try TinyTokenizer.make(pattern: pattern), "a12345b") == expected)
    }

    @Test func rangesLeaveOutPrefixSpaces() throws {
        let tokenizer = try TinyTokenizer.make(steps: [["type": "Digits", "individual_digits": true]])
        let encoded = tokenizer.encodeWithOffsets("é1")
        #expect(encoded.ids.map { tokenizer.decode([$0]) } == [" ", "\u{FFFD}", "\u{FFFD}", " ", "1"])
        #expect(encoded.ranges == [0..<0, 0..<1, 1..<2, 2..<2, 2..<3])
    }

    @Test func normalisesAndKeepsThePlaces() throws {
        var file = TinyTokenizer.json().objectValue ?? [:]
        file["normalizer"] = ["type": "Sequence", "normalizers": [["type": "NFC"]]]
        let tokenizer = try Tokenizer(tokenizerJSON: .object(file), configuration: nil)
        func composed(_ text: String) -> [Unicode.Scalar] {
            Array(tokenizer.decode(tokenizer.encode(text)).unicodeScalars.dropFirst())
        }
        #expect(composed("e\u{301}") == ["\u{E9}"])
        #expect(composed("\u{E9}a") == ["\u{E9}", "a"])
        #expect(composed("a\u{300}\u{323}") == ["\u{1EA1}", "\u{300}"])
        #expect(composed("\u{1100}\u{1161}\u{11A8}") == ["\u{AC01}"])
        #expect(composed("\u{212B}\u{958}") == ["\u{C5}", "\u{915}", "\u{93C}"])
        // Beyond U+FFFF no base may be mistaken for another character.
        #expect(composed("\u{2004C}\u{301}\u{E0070}\u{301}") == ["\u{2004C}", "\u{301}", "\u{E0070}", "\u{301}"])
        #expect(composed("\u{11099}\u{110BA}") == ["\u{1109A}"])
        let encoded = tokenizer.encodeWithOffsets(" xe\u{301}y")
        #expect(encoded.ranges == [0..<1, 1..<2, 2..<5, 2..<5, 5..<6])
    }

    @Test func normalFormsMayBeNested() throws {
        for (form, expected) in [("NFD", "fi e\u{301}".dropFirst(0)), ("NFKD", "fi e\u{301}"), ("NFKC", "fi \u{E9}")] {
            var file = TinyTokenizer.json().objectValue ?? [:]
            file["normalizer"] = ["type": .string(form)]
            let tokenizer = try Tokenizer(tokenizerJSON: .object(file), configuration: nil)
            let source = form == "NFD" ? "fi \u{E9}" : "\u{FB01} \u{E9}"
            let decoded = tokenizer.decode(tokenizer.encode(source)).unicodeScalars.dropFirst()
            #expect(Array(decoded) == Array(expected.unicodeScalars))
        }
    }
}
