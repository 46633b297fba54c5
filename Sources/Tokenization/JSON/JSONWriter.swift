extension JSONValue {
    /// The JSON text, byte for byte as Python's `json.dumps(value, ensure_ascii=False)` writes it.
    ///
    /// - Parameters:
    ///   - pretty: One member a line with an indentation of two spaces, instead of everything on one line.
    ///   - sortedKeys: Keys in the order of their code points, instead of the object's own order.
    public func serialized(pretty: Bool, sortedKeys: Bool = false) -> String {
        var writer = JSONWriter(pretty: pretty, sortedKeys: sortedKeys)
        writer.write(self, depth: 0)
        return String(decoding: writer.output, as: UTF8.self)
    }
}

private struct JSONWriter {
    let pretty: Bool
    let sortedKeys: Bool
    var output: [UInt8] = []

    mutating func write(_ value: JSONValue, depth: Int) {
        switch value {
        case .null: put("null")
        case .bool(let flag): put(flag ? "true" : "false")
        case .integer(let integer): put(String(integer))
        case .number(let number): put(number.pythonDescription)
        case .string(let text): write(text)
        case .array(let elements):
            guard !elements.isEmpty else { return put("[]") }
            put("[")
            for (at, element) in elements.enumerated() {
                separate(isFirst: at == 0, depth: depth + 1)
                write(element, depth: depth + 1)
            }
            close("]", depth: depth)
        case .object(let object):
            guard !object.members.isEmpty else { return put("{}") }
            put("{")
            for (at, member) in ordered(object).enumerated() {
                separate(isFirst: at == 0, depth: depth + 1)
                write(member.key)
                put(": ")
                write(member.value, depth: depth + 1)
            }
            close("}", depth: depth)
        }
    }

    private func ordered(_ object: JSONObject) -> [(key: String, value: JSONValue)] {
        guard sortedKeys else { return object.members }
        // UTF-8 bytes sort as code points do.
        return object.members.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
    }

    private mutating func put(_ text: String) { output.append(contentsOf: text.utf8) }

    private mutating func separate(isFirst: Bool, depth: Int) {
        if pretty {
            if !isFirst { put(",") }
            indent(depth)
        } else if !isFirst {
            put(", ")
        }
    }

    private mutating func close(_ bracket: String, depth: Int) {
        if pretty { indent(depth) }
        put(bracket)
    }

    private mutating func indent(_ depth: Int) {
        output.append(0x0A)
        output.append(contentsOf: repeatElement(0x20, count: 2 * depth))
    }

    private mutating func write(_ text: String) {
        output.append(0x22)
        for byte in text.utf8 {
            switch byte {
            case 0x22: put("\\\"")
            case 0x5C: put("\\\\")
            case 0x0A: put("\\n")
            case 0x0D: put("\\r")
            case 0x09: put("\\t")
            case 0x08: put("\\b")
            case 0x0C: put("\\f")
            case 0..<0x10: put("\\u000" + String(byte, radix: 16))
            case 0x10..<0x20: put("\\u00" + String(byte, radix: 16))
            default: output.append(byte)
            }
        }
        output.append(0x22)
    }
}

extension Double {
    /// The shortest text that reads back as this number, laid out as Python's `repr` does: `1.0`, `1e-05`, `1e+16`.
    ///
    /// Infinities and NaN become `Infinity`, `-Infinity` and `NaN`, which Python reads but JSON proper does not.
    public var pythonDescription: String {
        if isNaN { return "NaN" }
        if isInfinite { return self < 0 ? "-Infinity" : "Infinity" }
        let sign = self.sign == .minus ? "-" : ""
        if isZero { return sign + "0.0" }
        let (digits, exponent) = magnitude.shortestDecimal
        if exponent < -4 || exponent >= 16 {
            let fraction = digits.count > 1 ? "." + digits.dropFirst() : ""
            let size = String(abs(exponent))
            let padded = size.count < 2 ? "0" + size : size
            return "\(sign)\(digits.prefix(1))\(fraction)e\(exponent < 0 ? "-" : "+")\(padded)"
        }
        if exponent < 0 { return sign + "0." + String(repeating: "0", count: -exponent - 1) + digits }
        let whole = digits.prefix(exponent + 1)
        let fraction = digits.dropFirst(exponent + 1)
        let zeros = String(repeating: "0", count: exponent + 1 - whole.count)
        return sign + whole + zeros + "." + (fraction.isEmpty ? "0" : fraction)
    }

    /// The digits of a positive number without leading or trailing zeros, and the power of ten of the first digit.
    private var shortestDecimal: (digits: String, exponent: Int) {
        let parts = description.split(separator: "e")
        let mantissa = parts[0].split(separator: ".", omittingEmptySubsequences: false)
        let whole = mantissa[0]
        let all = whole + (mantissa.count > 1 ? mantissa[1] : "")
        let leading = all.prefix { $0 == "0" }.count
        var digits = String(all.dropFirst(leading))
        while digits.count > 1, digits.hasSuffix("0") { digits.removeLast() }
        let power = parts.count > 1 ? Int(parts[1]) ?? 0 : 0
        return (digits, power + whole.count - 1 - leading)
    }
}
