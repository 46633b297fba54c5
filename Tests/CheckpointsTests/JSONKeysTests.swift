import Checkpoints
import Foundation
import Testing

@Suite struct JSONKeysTests {
    @Test(arguments: [
        (#"{"a": 1, "m": {"z": 1, "b": {"m": {"x": 0}}, "a\u0041": [1, {"q": 2}]}, "c": {}}"#, ["z", "b", "aA"]),
        (#"{"m": {"a": 1, "a": 2}}"#, ["a", "a"]), (#"{"m": {}}"#, []), (#"{"m": null}"#, []), (#"{"m": [1]}"#, []),
        (#"{"a": {"m": {"x": 1}}}"#, []), ("[]", []), ("", []), (#"{"m": {"a"#, []),
    ])
    func areInTheOrderOfTheText(text: String, expected: [String]) {
        #expect(JSONKeys.keys(of: "m", in: Data(text.utf8)) == expected)
    }
}
