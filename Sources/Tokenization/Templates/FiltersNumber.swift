import Foundation

/// Filters on numbers.
extension Evaluator {
    func numberFilter(
        _ filter: TemplateFilter, _ value: TemplateValue, _ call: FilterArguments
    ) throws(TemplateFailure) -> TemplateValue? {
        switch filter {
        case .abs:
            try call.none()
            switch Numeric(value) {
            case .integer(let value)? where value >= 0: return .integer(value)
            case .integer(let value)?: return try Numeric.apply(.subtract, .integer(0), .integer(value))
            case .number(let value)?: return .number(value.magnitude)
            case nil: return nil
            }
        case .float:
            let fallback = try call.bound("default")[0] ?? .number(0)
            if case .undefined(let box) = value { throw box.failure }
            return value.pythonFloat.map(TemplateValue.number) ?? fallback
        case .int: return try int(value, call)
        case .round: return try round(value, call)
        default: return nil
        }
    }

    private func int(_ value: TemplateValue, _ call: FilterArguments) throws(TemplateFailure) -> TemplateValue {
        let bound = try call.bound("default", "base")
        let base = try call.integer(bound[1], default: 10)
        switch value {
        case .undefined(let box): throw box.failure
        case .bool(let flag): return .integer(flag ? 1 : 0)
        case .integer: return value
        case .string(let text), .markup(let text):
            if let integer = try text.pythonInteger(base: base) { return .integer(integer) }
        default: break
        }
        guard let number = value.pythonFloat, number.isFinite else { return bound[0] ?? .integer(0) }
        guard let integer = Int(exactly: number.rounded(.towardZero)) else {
            throw .limit("an integer exceeds 64 bits")
        }
        return .integer(integer)
    }

    private func round(_ value: TemplateValue, _ call: FilterArguments) throws(TemplateFailure) -> TemplateValue? {
        let bound = try call.bound("precision", "method")
        let digits = try call.integer(bound[0], default: 0)
        let method = bound[1]?.text ?? "common"
        guard let number = Numeric(value) else { return nil }
        switch method {
        case "common": return try commonlyRounded(number, digits)
        case "ceil", "floor":
            guard -300...300 ~= digits else { throw .limit("numbers cannot be rounded to \(digits) digits") }
            let scale = pow(10, Double(digits))
            let scaled = number.double * scale
            return .number((method == "ceil" ? scaled.rounded(.up) : scaled.rounded(.down)) / scale)
        default: throw .evaluation("the filter round knows the methods common, ceil and floor, not \(method)")
        }
    }

    /// Python rounds halves to even, by the exact decimal value.
    private func commonlyRounded(_ number: Numeric, _ digits: Int) throws(TemplateFailure) -> TemplateValue {
        switch number {
        case .integer(let value):
            if digits >= 0 { return .integer(value) }
            guard digits > -19 else { return .integer(0) }
            let unit = (0..<(-digits)).reduce(1) { result, _ in result * 10 }
            let remainder = ((value % unit) + unit) % unit
            let (down, overflow) = value.subtractingReportingOverflow(remainder)
            guard !overflow else { throw .limit("an integer exceeds 64 bits") }
            let isUp = remainder * 2 > unit || (remainder * 2 == unit && down / unit % 2 != 0)
            return isUp ? try Numeric.apply(.add, .integer(down), .integer(unit)) : .integer(down)
        case .number(let value):
            guard value.isFinite, digits < 320 else { return .number(value) }
            if digits >= 0 { return .number(Double(String(format: "%.\(digits)f", value)) ?? value) }
            guard digits > -308 else { return .number(0) }
            let unit = pow(10, Double(-digits))
            return .number((value / unit).rounded(.toNearestOrEven) * unit)
        }
    }
}

extension TemplateValue {
    /// Python's `float(value)`; `nil` where Python raises.
    fileprivate var pythonFloat: Double? {
        if let number = Numeric(self) { return number.double }
        guard let text = text?.stripped().withASCIIDigits else { return nil }
        switch text.lowercased() {
        case "inf", "+inf", "infinity", "+infinity": return .infinity
        case "-inf", "-infinity": return -.infinity
        case "nan", "+nan", "-nan": return .nan
        default: break
        }
        guard text.utf8.allSatisfy({ "0123456789.eE+-_".utf8.contains($0) }), let plain = text.withoutDigitUnderscores
        else { return nil }
        return Double(plain)
    }
}

extension String {
    /// Decimal digits of other scripts, which Python reads as well, become ASCII ones.
    fileprivate var withASCIIDigits: String {
        guard !utf8.allSatisfy({ $0 < 0x80 }) else { return self }
        return unicodeScalars.map { scalar in
            guard scalar.properties.numericType == .decimal, let value = scalar.properties.numericValue else {
                return String(scalar)
            }
            return String(Int(value))
        }.joined()
    }

    /// Underscores stand singly between digits; `nil` where they do not.
    fileprivate var withoutDigitUnderscores: String? {
        let bytes = Array(utf8)
        func isDigit(_ at: Int) -> Bool {
            guard bytes.indices.contains(at) else { return false }
            let scalar = Unicode.Scalar(bytes[at])
            return scalar.isASCIIDigit || scalar.isASCIILetter
        }
        for (at, byte) in bytes.enumerated() where byte == UInt8(ascii: "_") {
            guard isDigit(at - 1), isDigit(at + 1) else { return nil }
        }
        return String(decoding: bytes.filter { $0 != UInt8(ascii: "_") }, as: UTF8.self)
    }

    /// Python's `int(text, base)`; `nil` where Python raises.
    fileprivate func pythonInteger(base: Int) throws(TemplateFailure) -> Int? {
        guard base == 0 || 2...36 ~= base else { return nil }
        var text = stripped().withASCIIDigits
        let isNegative = text.hasPrefix("-")
        if isNegative || text.hasPrefix("+") { text.removeFirst() }
        var radix = base == 0 ? 10 : base
        for (prefix, value) in [("0x", 16), ("0o", 8), ("0b", 2)]
        where (base == 0 || base == value) && text.lowercased().hasPrefix(prefix) {
            text = String(text.dropFirst(2))
            if text.hasPrefix("_") { text.removeFirst() }
            radix = value
        }
        guard let digits = text.withoutDigitUnderscores, !digits.isEmpty, !digits.hasPrefix("-"), !digits.hasPrefix("+")
        else { return nil }
        guard digits.unicodeScalars.allSatisfy({ Int(String($0), radix: radix) != nil }) else { return nil }
        guard let value = Int((isNegative ? "-" : "") + digits, radix: radix) else {
            throw .limit("an integer exceeds 64 bits")
        }
        return value
    }
}
