/// Why a text is no valid JSON, and where.
public struct JSONError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What is wrong.
    public enum Reason: Sendable, Hashable {
        /// The text ends where `expected` should stand.
        case unexpectedEnd(expected: String)
        /// `found` stands where `expected` should.
        case unexpected(found: String, expected: String)
        /// A backslash is followed by something that JSON does not know.
        case invalidEscape(String)
        /// A control character stands unescaped inside a string.
        case controlCharacter(UInt8)
        /// The bytes of a string are no UTF-8.
        case invalidUTF8
        /// An object names one key twice.
        case duplicateKey(String)
        /// Arrays and objects are nested more than `limit` deep.
        case tooDeep(limit: Int)
        /// A number exceeds what 64-bit floating point can hold.
        case numberOutOfRange(String)
    }

    /// What is wrong.
    public let reason: Reason
    /// The line, counted from 1.
    public let line: Int
    /// The column, counted from 1 in Unicode code points.
    public let column: Int
    /// The distance from the start of the text in bytes.
    public let byteOffset: Int

    /// One sentence with the place.
    public var description: String { "line \(line), column \(column): \(message)" }

    /// The sentence without the place.
    public var message: String {
        switch reason {
        case .unexpectedEnd(let expected): "the JSON text ends where \(expected) is expected"
        case .unexpected(let found, let expected): "found \(found) where \(expected) is expected"
        case .invalidEscape(let escape): "\(escape) is no escape that JSON knows; write \\\\ for a backslash"
        case .controlCharacter(let byte):
            "a string holds the unescaped control character 0x\(String(byte, radix: 16)); write it as an escape"
        case .invalidUTF8: "a string holds bytes that are no valid UTF-8; save the file as UTF-8"
        case .duplicateKey(let key): "the key \"\(key)\" occurs twice in one object; remove one of them"
        case .tooDeep(let limit): "arrays and objects are nested more than \(limit) deep, which is refused"
        case .numberOutOfRange(let text): "the number \(text) is too large for 64-bit floating point"
        }
    }
}
