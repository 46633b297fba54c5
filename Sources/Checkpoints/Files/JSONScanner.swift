/// What is wrong with a JSON text.
public enum JSONProblem: Sendable, Hashable, CustomStringConvertible {
    /// The text ends where more is needed.
    case unexpectedEnd
    /// Something else was expected here.
    case expected(String)
    /// A string is not valid UTF-8 or has a bad escape.
    case badString
    /// A number is negative, fractional or too large where a size is expected.
    case badSize
    /// Objects and arrays are nested too deeply.
    case tooDeep
    /// Something follows the end of the value.
    case trailingBytes

    /// What was found or expected, to follow a colon.
    public var description: String {
        switch self {
        case .unexpectedEnd: "it ends too early"
        case .expected(let what): "expected \(what)"
        case .badString: "a string is not valid UTF-8 or has a bad escape"
        case .badSize: "expected a whole number that is not negative and fits 63 bits"
        case .tooDeep: "it is nested too deeply"
        case .trailingBytes: "something follows its end"
        }
    }
}

/// Reads JSON front to back without building a tree, so that duplicate keys and exact integers stay visible and
/// nothing is allocated that the file does not contain.
struct JSONScanner {
    /// Where and why scanning stopped.
    struct Failure: Error {
        let offset: Int
        let problem: JSONProblem
    }

    private let bytes: UnsafeRawBufferPointer
    /// Index of the next byte.
    private(set) var offset = 0

    /// Scans `bytes`, which must stay valid as long as the scanner is used.
    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    private func failure(_ problem: JSONProblem) -> Failure { Failure(offset: offset, problem: problem) }

    private mutating func skipSpace() {
        while offset < bytes.count {
            switch bytes[offset] {
            case 0x20, 0x0A, 0x0D, 0x09: offset += 1
            default: return
            }
        }
    }

    /// The next byte that is not white space, without passing it.
    private mutating func peek() throws(Failure) -> UInt8 {
        skipSpace()
        guard offset < bytes.count else { throw failure(.unexpectedEnd) }
        return bytes[offset]
    }

    private mutating func pass(_ character: Unicode.Scalar, _ what: String) throws(Failure) {
        guard try peek() == UInt8(ascii: character) else { throw failure(.expected(what)) }
        offset += 1
    }

    /// Calls `member` with each key of an object; `member` must read the value.
    mutating func object(
        _ member: (inout JSONScanner, String) throws(Failure) -> Void
    ) throws(Failure) {
        try pass("{", "an object")
        if try peek() == UInt8(ascii: "}") {
            offset += 1
            return
        }
        while true {
            let key = try string()
            try pass(":", "a colon")
            try member(&self, key)
            if try peek() == UInt8(ascii: "}") { break }
            try pass(",", "a comma or the end of an object")
        }
        offset += 1
    }

    /// Calls `element` before each element of an array; `element` must read it.
    mutating func array(_ element: (inout JSONScanner) throws(Failure) -> Void) throws(Failure) {
        try pass("[", "an array")
        if try peek() == UInt8(ascii: "]") {
            offset += 1
            return
        }
        while true {
            try element(&self)
            if try peek() == UInt8(ascii: "]") { break }
            try pass(",", "a comma or the end of an array")
        }
        offset += 1
    }

    /// Reads a whole number from 0 to `Int.max`.
    mutating func size() throws(Failure) -> Int {
        let start = try peek()
        guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(start) else { throw failure(.badSize) }
        var value = 0
        while offset < bytes.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[offset]) {
            let (scaled, over) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = scaled.addingReportingOverflow(Int(bytes[offset] - UInt8(ascii: "0")))
            guard !over, !carry else { throw failure(.badSize) }
            value = sum
            offset += 1
        }
        if offset < bytes.count, [".", "e", "E"].map(UInt8.init(ascii:)).contains(bytes[offset]) {
            throw failure(.badSize)
        }
        return value
    }

    /// Reads an array of whole numbers.
    mutating func sizes() throws(Failure) -> [Int] {
        var values: [Int] = []
        try array { (scanner) throws(Failure) in values.append(try scanner.size()) }
        return values
    }

    /// Fails unless only white space is left.
    mutating func end() throws(Failure) {
        skipSpace()
        guard offset == bytes.count else { throw failure(.trailingBytes) }
    }

    /// Passes over any value.
    mutating func skipValue(depth: Int = 0) throws(Failure) {
        guard depth < 100 else { throw failure(.tooDeep) }
        switch try peek() {
        case UInt8(ascii: "{"):
            try object { (scanner, _) throws(Failure) in try scanner.skipValue(depth: depth + 1) }
        case UInt8(ascii: "["): try array { (scanner) throws(Failure) in try scanner.skipValue(depth: depth + 1) }
        case UInt8(ascii: "\""): _ = try string()
        default: try skipWord()
        }
    }

    /// Passes over a number, `true`, `false` or `null`.
    private mutating func skipWord() throws(Failure) {
        let start = offset
        while offset < bytes.count, isWordByte(bytes[offset]) { offset += 1 }
        let word = bytes[start..<offset]
        let isName = ["true", "false", "null"].contains { word.elementsEqual($0.utf8) }
        guard isName || Double(String(decoding: word, as: UTF8.self)) != nil else {
            offset = start
            throw failure(.expected("a value"))
        }
    }

    private func isWordByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"),
            UInt8(ascii: "+"), UInt8(ascii: "."), UInt8(ascii: "E"):
            true
        default: false
        }
    }
}

extension JSONScanner {
    /// Reads a string.
    mutating func string() throws(Failure) -> String {
        try pass("\"", "a string")
        let start = offset
        while offset < bytes.count, bytes[offset] != UInt8(ascii: "\""), bytes[offset] != UInt8(ascii: "\\") {
            guard bytes[offset] >= 0x20 else { throw failure(.badString) }
            offset += 1
        }
        guard offset < bytes.count else { throw failure(.unexpectedEnd) }
        var text = Array(bytes[start..<offset])
        while bytes[offset] != UInt8(ascii: "\"") {
            try appendNext(to: &text)
            guard offset < bytes.count else { throw failure(.unexpectedEnd) }
        }
        guard let string = String(validating: text, as: UTF8.self) else { throw failure(.badString) }
        offset += 1
        return string
    }

    /// Appends one plain byte or one escape sequence.
    private mutating func appendNext(to text: inout [UInt8]) throws(Failure) {
        let byte = bytes[offset]
        guard byte >= 0x20 else { throw failure(.badString) }
        offset += 1
        guard byte == UInt8(ascii: "\\") else {
            text.append(byte)
            return
        }
        guard offset < bytes.count else { throw failure(.unexpectedEnd) }
        let escape = bytes[offset]
        offset += 1
        switch Unicode.Scalar(escape) {
        case "\"", "\\", "/": text.append(escape)
        case "b": text.append(0x08)
        case "f": text.append(0x0C)
        case "n": text.append(0x0A)
        case "r": text.append(0x0D)
        case "t": text.append(0x09)
        case "u": text.append(contentsOf: Array(String(try unicodeEscape()).utf8))
        default: throw failure(.badString)
        }
    }

    /// Reads what follows `\u`, with the second half of a surrogate pair.
    private mutating func unicodeEscape() throws(Failure) -> Character {
        var code = try fourHexDigits()
        if (0xD800..<0xDC00).contains(code) {
            guard offset + 1 < bytes.count, bytes[offset] == UInt8(ascii: "\\"), bytes[offset + 1] == UInt8(ascii: "u")
            else { throw failure(.badString) }
            offset += 2
            let low = try fourHexDigits()
            guard (0xDC00..<0xE000).contains(low) else { throw failure(.badString) }
            code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
        }
        guard let scalar = Unicode.Scalar(code) else { throw failure(.badString) }
        return Character(scalar)
    }

    private mutating func fourHexDigits() throws(Failure) -> UInt32 {
        guard offset + 4 <= bytes.count else { throw failure(.unexpectedEnd) }
        var code: UInt32 = 0
        for byte in bytes[offset..<offset + 4] {
            guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue else { throw failure(.badString) }
            code = code << 4 | UInt32(digit)
        }
        offset += 4
        return code
    }
}
