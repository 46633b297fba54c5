import Testing
import Tokenization

@Suite struct JSONWriterTests {
    /// The texts are what Python's `repr` prints.
    @Test(arguments: [
        (0.0, "0.0"), (-0.0, "-0.0"), (1.0, "1.0"), (0.1, "0.1"), (1e-5, "1e-05"), (0.0001, "0.0001"), (1e16, "1e+16"),
        (123456789012345.0, "123456789012345.0"), (9007199254740992.0, "9007199254740992.0"),
        (18014398509481984.0, "1.8014398509481984e+16"), (10000000000000002.0, "1.0000000000000002e+16"),
        (1e15, "1000000000000000.0"), (-1.5e-7, "-1.5e-07"), (1e100, "1e+100"), (.leastNonzeroMagnitude, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"), (100.25, "100.25"), (0.00012345, "0.00012345"),
        (3.14159, "3.14159"),
    ])
    func writesFloatsAsPythonDoes(number: Double, text: String) {
        #expect(JSONValue.number(number).serialized(pretty: false) == text)
    }

    @Test func writesCompactAndPrettyAsPythonDoes() throws {
        let value = try JSONValue(parsing: #"{"b":[1,2.0,{"x":[]}],"a":{"é":"q\"\\\u0001\u001f\n","o":{}},"A":null}"#)
        #expect(
            value.serialized(pretty: false)
                == #"{"b": [1, 2.0, {"x": []}], "a": {"é": "q\"\\\u0001\u001f\n", "o": {}}, "A": null}"#)
        #expect(
            value.serialized(pretty: true, sortedKeys: true)
                == """
                {
                  "A": null,
                  "a": {
                    "o": {},
                    "é": "q\\"\\\\\\u0001\\u001f\\n"
                  },
                  "b": [
                    1,
                    2.0,
                    {
                      "x": []
                    }
                  ]
                }
                """)
    }

    @Test func readsBackWhatItWrote() throws {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<2000 {
            let number = Double(bitPattern: random.next())
            guard number.isFinite else { continue }
            #expect(try JSONValue(parsing: number.pythonDescription).doubleValue == number)
        }
        let text = String((0..<0x3000).compactMap { Unicode.Scalar($0) }.map(Character.init))
        let value = JSONValue.array([.string(text), .object(["": .string("\u{7F}\u{2028}😀")])])
        #expect(try JSONValue(parsing: value.serialized(pretty: false)) == value)
    }
}
