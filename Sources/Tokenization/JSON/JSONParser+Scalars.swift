/// Strings and numbers: the parts of the parser that decide its speed.
extension JSONParser {
    mutating func string() throws(JSONError) -> String {
        let opening = position
        var at = position + 1
        let end = bytes.count
        var seen: UInt8 = 0
        while at < end {
            let byte = bytes[at]
            if byte == UInt8(ascii: "\"") {
                position = at + 1
                let content = UnsafeBufferPointer(rebasing: bytes[(opening + 1)..<at])
                // ASCII, by far the most frequent case, needs no validation.
                return seen < 0x80 ? String(decoding: content, as: UTF8.self) : try text(of: content, at: opening + 1)
            }
            seen |= byte
            if byte == UInt8(ascii: "\\") { return try stringWithEscapes(from: opening + 1, firstEscape: at) }
            if byte < 0x20 { throw error(.controlCharacter(byte), at: at) }
            at += 1
        }
        throw error(.unexpectedEnd(expected: "a closing quotation mark"), at: end)
    }

    private func text(of buffer: UnsafeBufferPointer<UInt8>, at offset: Int) throws(JSONError) -> String {
        guard let text = String(validating: buffer, as: UTF8.self) else { throw error(.invalidUTF8, at: offset) }
        return text
    }

    private mutating func stringWithEscapes(from start: Int, firstEscape: Int) throws(JSONError) -> String {
        scratch.removeAll(keepingCapacity: true)
        scratch.append(contentsOf: bytes[start..<firstEscape])
        position = firstEscape
        while position < bytes.count {
            let byte = bytes[position]
            switch byte {
            case UInt8(ascii: "\""):
                position += 1
                guard let text = String(validating: scratch, as: UTF8.self) else {
                    throw error(.invalidUTF8, at: start)
                }
                return text
            case UInt8(ascii: "\\"): try escape()
            case 0..<0x20: throw error(.controlCharacter(byte))
            default:
                scratch.append(byte)
                position += 1
            }
        }
        throw error(.unexpectedEnd(expected: "a closing quotation mark"))
    }

    private mutating func escape() throws(JSONError) {
        guard position + 1 < bytes.count else {
            throw error(.unexpectedEnd(expected: "an escape"), at: bytes.count)
        }
        let replacement: UInt8
        switch bytes[position + 1] {
        case UInt8(ascii: "\""): replacement = 0x22
        case UInt8(ascii: "\\"): replacement = 0x5C
        case UInt8(ascii: "/"): replacement = 0x2F
        case UInt8(ascii: "b"): replacement = 0x08
        case UInt8(ascii: "f"): replacement = 0x0C
        case UInt8(ascii: "n"): replacement = 0x0A
        case UInt8(ascii: "r"): replacement = 0x0D
        case UInt8(ascii: "t"): replacement = 0x09
        case UInt8(ascii: "u"): return try unicodeEscape()
        default:
            let rest = bytes[position..<min(bytes.count, position + 5)]
            let shown = String(decoding: rest, as: UTF8.self).unicodeScalars.prefix(2)
            throw error(.invalidEscape(String(String.UnicodeScalarView(shown))))
        }
        scratch.append(replacement)
        position += 2
    }

    private mutating func unicodeEscape() throws(JSONError) {
        let first = try hexadecimal(at: position)
        position += 6
        var value = UInt32(first)
        if 0xD800..<0xDC00 ~= first, position + 1 < bytes.count, bytes[position] == UInt8(ascii: "\\"),
            bytes[position + 1] == UInt8(ascii: "u")
        {
            let second = try hexadecimal(at: position)
            if 0xDC00..<0xE000 ~= second {
                value = 0x10000 + (UInt32(first) - 0xD800) << 10 + (UInt32(second) - 0xDC00)
                position += 6
            }
        }
        scratch.append(contentsOf: String(Unicode.Scalar(value) ?? "\u{FFFD}").utf8)
    }

    /// The four digits of the `\uXXXX` that starts at `offset`.
    private func hexadecimal(at offset: Int) throws(JSONError) -> UInt16 {
        guard offset + 6 <= bytes.count else {
            throw error(.unexpectedEnd(expected: "four hexadecimal digits"), at: bytes.count)
        }
        var value: UInt16 = 0
        for byte in bytes[(offset + 2)..<(offset + 6)] {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt16(byte - 0x30)
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = value << 4 | UInt16(byte - 0x57)
            case UInt8(ascii: "A")...UInt8(ascii: "F"): value = value << 4 | UInt16(byte - 0x37)
            default:
                let shown = String(decoding: bytes[offset..<(offset + 6)], as: UTF8.self)
                throw error(.invalidEscape(shown), at: offset)
            }
        }
        return value
    }

    mutating func number() throws(JSONError) -> JSONValue {
        let start = position
        let isNegative = bytes[position] == UInt8(ascii: "-")
        if isNegative { position += 1 }
        guard let first = peekDigit() else { throw unexpected("a digit") }
        position += 1
        var magnitude = UInt64(first)
        var isInteger = true
        if first != 0 {
            while let digit = peekDigit() {
                let (product, overflow) = magnitude.multipliedReportingOverflow(by: 10)
                let (sum, carry) = product.addingReportingOverflow(UInt64(digit))
                if overflow || carry { isInteger = false }
                magnitude = sum
                position += 1
            }
        } else if peekDigit() != nil {
            throw unexpected("a number without leading zeros")
        }
        if position < bytes.count, bytes[position] == UInt8(ascii: ".") {
            isInteger = false
            position += 1
            try digits()
        }
        if position < bytes.count, bytes[position] | 0x20 == UInt8(ascii: "e") {
            isInteger = false
            position += 1
            if position < bytes.count, bytes[position] == UInt8(ascii: "+") || bytes[position] == UInt8(ascii: "-") {
                position += 1
            }
            try digits()
        }
        if isInteger, magnitude <= UInt64(Int.max) { return .integer(isNegative ? -Int(magnitude) : Int(magnitude)) }
        if isInteger, isNegative, magnitude == UInt64(Int.max) + 1 { return .integer(Int.min) }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        guard let value = Double(text), value.isFinite else { throw error(.numberOutOfRange(text), at: start) }
        return .number(value)
    }

    @inline(__always)
    private func peekDigit() -> UInt8? {
        guard position < bytes.count, 0x30...0x39 ~= bytes[position] else { return nil }
        return bytes[position] - 0x30
    }

    private mutating func digits() throws(JSONError) {
        guard peekDigit() != nil else { throw unexpected("a digit") }
        while peekDigit() != nil { position += 1 }
    }
}
