extension JSONValue {
    /// Parses one JSON text (RFC 8259, strict): no comments, no trailing commas, no `NaN`, no duplicate keys, at most
    /// 512 levels deep. A leading byte order mark is skipped. An escaped surrogate without its partner becomes U+FFFD.
    ///
    /// Arrays, `Data` and buffer pointers are read in place, without a copy.
    /// - Throws: `JSONError` with line and column.
    public init(parsing bytes: some Sequence<UInt8>) throws(JSONError) {
        let inPlace = bytes.withContiguousStorageIfAvailable { (buffer: UnsafeBufferPointer<UInt8>) in
            Result { () throws(JSONError) -> JSONValue in try JSONParser.parse(buffer) }
        }
        if let inPlace {
            self = try inPlace.get()
        } else {
            self = try Array(bytes).withUnsafeBufferPointer { (buffer) throws(JSONError) -> JSONValue in
                try JSONParser.parse(buffer)
            }
        }
    }

    /// Parses one JSON text; see `init(parsing:)` for bytes.
    /// - Throws: `JSONError` with line and column.
    public init(parsing text: String) throws(JSONError) { try self.init(parsing: text.utf8) }
}

/// A recursive-descent parser over bytes. Every error is thrown at the byte where the text stops being JSON.
struct JSONParser {
    static let depthLimit = 512

    let bytes: UnsafeBufferPointer<UInt8>
    var position = 0
    private var depth = 0
    /// Holds the bytes of a string with escapes while it is put together.
    var scratch: [UInt8] = []

    private init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    static func parse(_ bytes: UnsafeBufferPointer<UInt8>) throws(JSONError) -> JSONValue {
        var parser = JSONParser(bytes)
        if bytes.count >= 3, bytes[0] == 0xEF, bytes[1] == 0xBB, bytes[2] == 0xBF { parser.position = 3 }
        let value = try parser.value()
        parser.skipWhitespace()
        if parser.position < bytes.count { throw parser.unexpected("the end of the text") }
        return value
    }

    @inline(__always)
    mutating func skipWhitespace() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x0A, 0x0D, 0x09: position += 1
            default: return
            }
        }
    }

    private mutating func value() throws(JSONError) -> JSONValue {
        skipWhitespace()
        guard position < bytes.count else { throw error(.unexpectedEnd(expected: "a value")) }
        switch bytes[position] {
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "{"): return .object(try object())
        case UInt8(ascii: "["): return .array(try array())
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
        case UInt8(ascii: "t"): return try literal("true", .bool(true))
        case UInt8(ascii: "f"): return try literal("false", .bool(false))
        case UInt8(ascii: "n"): return try literal("null", .null)
        default: throw unexpected("a value")
        }
    }

    private mutating func literal(_ word: StaticString, _ value: JSONValue) throws(JSONError) -> JSONValue {
        for offset in 0..<word.utf8CodeUnitCount {
            guard position + offset < bytes.count, bytes[position + offset] == word.utf8Start[offset] else {
                throw unexpected("a value")
            }
        }
        position += word.utf8CodeUnitCount
        return value
    }

    private mutating func enter() throws(JSONError) {
        guard depth < Self.depthLimit else { throw error(.tooDeep(limit: Self.depthLimit)) }
        depth += 1
        position += 1
        skipWhitespace()
    }

    /// Consumes the closing bracket if it stands here.
    private mutating func leave(_ bracket: UInt8) -> Bool {
        guard position < bytes.count, bytes[position] == bracket else { return false }
        position += 1
        depth -= 1
        return true
    }

    /// Consumes a comma, or the closing bracket and says so.
    private mutating func separatorEnds(_ bracket: UInt8, _ expected: String) throws(JSONError) -> Bool {
        skipWhitespace()
        guard position < bytes.count else { throw error(.unexpectedEnd(expected: expected)) }
        if bytes[position] == UInt8(ascii: ",") {
            position += 1
            return false
        }
        if leave(bracket) { return true }
        throw unexpected(expected)
    }

    private mutating func array() throws(JSONError) -> [JSONValue] {
        try enter()
        var elements: [JSONValue] = []
        if leave(UInt8(ascii: "]")) { return elements }
        repeat { elements.append(try value()) } while try !separatorEnds(UInt8(ascii: "]"), "a comma or ]")
        return elements
    }

    private mutating func object() throws(JSONError) -> JSONObject {
        try enter()
        var object = JSONObject()
        if leave(UInt8(ascii: "}")) { return object }
        repeat {
            skipWhitespace()
            let keyPosition = position
            guard position < bytes.count else { throw error(.unexpectedEnd(expected: "a key in quotation marks")) }
            guard bytes[position] == UInt8(ascii: "\"") else { throw unexpected("a key in quotation marks") }
            let key = try string()
            skipWhitespace()
            guard position < bytes.count else { throw error(.unexpectedEnd(expected: "a colon")) }
            guard bytes[position] == UInt8(ascii: ":") else { throw unexpected("a colon") }
            position += 1
            let value = try value()
            guard object.append(key, value) else { throw error(.duplicateKey(key), at: keyPosition) }
        } while try !separatorEnds(UInt8(ascii: "}"), "a comma or }")
        return object
    }
}

extension JSONParser {
    func error(_ reason: JSONError.Reason, at offset: Int? = nil) -> JSONError {
        let offset = offset ?? position
        var (line, column) = (1, 1)
        let start = bytes.count >= 3 && bytes[0] == 0xEF && bytes[1] == 0xBB && bytes[2] == 0xBF ? 3 : 0
        for at in start..<max(start, offset) {
            if bytes[at] == 0x0A {
                (line, column) = (line + 1, 1)
            } else if bytes[at] & 0xC0 != 0x80 {
                column += 1
            }
        }
        return JSONError(reason: reason, line: line, column: column, byteOffset: offset)
    }

    /// The error for whatever stands at the current position.
    func unexpected(_ expected: String) -> JSONError {
        guard position < bytes.count else { return error(.unexpectedEnd(expected: expected)) }
        let rest = bytes[position..<min(bytes.count, position + 4)]
        let found = String(decoding: rest, as: UTF8.self).unicodeScalars.first.map { scalar in
            scalar.value < 0x20 || scalar.value == 0x7F || scalar == "\u{FFFD}"
                ? "the byte 0x\(String(bytes[position], radix: 16))" : "\"\(scalar)\""
        }
        return error(.unexpected(found: found ?? "nothing", expected: expected))
    }
}
