import Testing
import Tokenization

@Suite struct JSONParserTests {
    @Test(arguments: [
        ("null", JSONValue.null), (" true ", .bool(true)), ("false", .bool(false)), ("0", .integer(0)),
        ("-0", .integer(0)), ("-12", .integer(-12)), ("1.0", .number(1)), ("1e2", .number(100)),
        ("-2.5E-1", .number(-0.25)), ("9223372036854775807", .integer(.max)),
        ("-9223372036854775808", .integer(.min)), ("9223372036854775808", .number(9_223_372_036_854_775_808)),
        ("\"\"", .string("")), ("\"a\\n\\u00e9\\/\\\"\"", .string("a\né/\"")), ("\"日本\"", .string("日本")),
        ("\"\\ud83d\\ude00\"", .string("😀")), ("\"\\ud83d\"", .string("\u{FFFD}")),
        ("\"\\ud83dx\\ude00\"", .string("\u{FFFD}x\u{FFFD}")),
        ("\"\\ud83d\\u0041\"", .string("\u{FFFD}A")), ("[]", .array([])), ("{}", .object([:])),
        ("[1, [2 ,\"x\"]]", .array([.integer(1), .array([.integer(2), .string("x")])])),
        ("\u{FEFF}[1]", .array([.integer(1)])),
    ])
    func acceptsWhatTheStandardAllows(text: String, expected: JSONValue) throws {
        #expect(try JSONValue(parsing: text) == expected)
        #expect(try JSONValue(parsing: Array(text.utf8)) == expected)
    }

    @Test(arguments: [
        "", " ", "[", "[1", "[1,", "[1,]", "[,1]", "{", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,}", "{a:1}", "nul",
        "nulls", "True", "NaN", "Infinity", "-", "+1", ".5", "1.", "1e", "1e+", "01", "-01", "0x1", "1e999", "\"",
        "\"a",
        "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\\", "\"a\nb\"", "1 2", "[1] ]", "'a'", "// x\n1", "{\"a\" 1}",
    ])
    func refusesEverythingElse(text: String) {
        #expect(throws: JSONError.self) { try JSONValue(parsing: text) }
    }

    @Test func everyTruncationOfADocumentIsRefused() {
        let text = Array(#"{"a": [1, 2.5e3, "x\u00e9\n"], "é": {"b": null, "c": [true, false]}}"#.utf8)
        for count in 0..<text.count {
            #expect(throws: JSONError.self) { try JSONValue(parsing: text[..<count]) }
        }
    }

    @Test func namesLineAndColumn() throws {
        let error = try #require(failure("{\n  \"é\": 1,\n  \"日本\": x\n}"))
        #expect(error.line == 3)
        #expect(error.column == 9)
        #expect(error.description == "line 3, column 9: found \"x\" where a value is expected")
        #expect(failure("[1,\n2")?.line == 2)
    }

    @Test func refusesDuplicateKeysOnlyWhenTheBytesAgree() throws {
        let error = try #require(failure("{\"a\": 1, \"b\": 2, \"a\": 3}"))
        #expect(error.reason == .duplicateKey("a"))
        #expect(error.column == 18)
        let two = try JSONValue(parsing: "{\"\u{E9}\": 1, \"e\u{301}\": 2, \"K\": 3, \"\u{212A}\": 4}")
        #expect(two.objectValue?.members.map(\.value) == [.integer(1), .integer(2), .integer(3), .integer(4)])
        #expect(two["e\u{301}"] == .integer(2))
        let many = (0..<40).map { "\"k\($0)\": \($0)" }.joined(separator: ", ")
        #expect(failure("{\(many), \"k7\": 1}")?.reason == .duplicateKey("k7"))
        #expect(try JSONValue(parsing: "{\(many)}")["k39"] == .integer(39))
    }

    @Test func boundsTheDepth() throws {
        let deep = { (depth: Int) in String(repeating: "[", count: depth) + String(repeating: "]", count: depth) }
        _ = try JSONValue(parsing: deep(512))
        #expect(failure(deep(513))?.reason == .tooDeep(limit: 512))
        #expect(failure(String(repeating: "{\"a\":", count: 100_000))?.reason == .tooDeep(limit: 512))
    }

    @Test func refusesBrokenUTF8() {
        for bytes: [UInt8] in [[0x22, 0xFF, 0x22], [0x22, 0xC3, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22, 0x20]] {
            let error = #expect(throws: JSONError.self) { try JSONValue(parsing: bytes) }
            #expect(error?.reason == .invalidUTF8)
        }
        #expect(throws: JSONError.self) { try JSONValue(parsing: [0xFF, 0xFE] as [UInt8]) }
    }

    @Test func accessorsAnswerOnlyForTheirKind() throws {
        let value = try JSONValue(parsing: #"{"s": "x", "i": 3, "f": 3.0, "h": 3.5, "b": true, "n": null, "a": [1]}"#)
        #expect(value["s"]?.stringValue == "x")
        #expect(value["s"]?.intValue == nil)
        #expect(value["i"]?.intValue == 3)
        #expect(value["f"]?.intValue == 3)
        #expect(value["h"]?.intValue == nil)
        #expect(value["h"]?.doubleValue == 3.5)
        #expect(value["b"]?.boolValue == true)
        #expect(value["n"]?.isNull == true)
        #expect(value["a"]?[0] == .integer(1))
        #expect(value["a"]?[1] == nil)
        #expect(value["missing"] == nil)
        #expect(value["a"]?["x"] == nil)
    }

    private func failure(_ text: String) -> JSONError? {
        do {
            _ = try JSONValue(parsing: text)
            return nil
        } catch {
            return error
        }
    }
}
