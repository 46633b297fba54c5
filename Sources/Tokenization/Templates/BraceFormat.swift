/// Python's `format.format(values)`.
struct BraceFormatter {
    private let format: [Unicode.Scalar]
    private let arguments: CallValues
    private let evaluator: Evaluator
    private var position = 0
    private var automatic = 0
    private var output = ""

    static func run(
        _ format: String, _ arguments: CallValues, _ evaluator: Evaluator
    ) throws(TemplateFailure) -> String {
        var formatter = BraceFormatter(format, arguments, evaluator)
        try formatter.run(insideField: false)
        return formatter.output
    }

    private init(_ format: String, _ arguments: CallValues, _ evaluator: Evaluator) {
        self.format = Array(format.unicodeScalars)
        self.arguments = arguments
        self.evaluator = evaluator
    }

    /// Inside a field, the format ends at the closing brace, which stays.
    private mutating func run(insideField: Bool) throws(TemplateFailure) {
        while position < format.count {
            let scalar = format[position]
            let isDoubled = position + 1 < format.count && format[position + 1] == scalar
            switch scalar {
            case "{" where isDoubled && !insideField, "}" where isDoubled && !insideField:
                output.unicodeScalars.append(scalar)
                position += 2
            case "{":
                position += 1
                try field(insideField: insideField)
            case "}":
                guard insideField else { throw .evaluation("a format has a single } outside of a field") }
                return
            default:
                output.unicodeScalars.append(scalar)
                position += 1
            }
            try evaluator.checkLength(output.utf8.count)
        }
        if insideField { throw unclosed }
    }

    private var unclosed: TemplateFailure { .evaluation("a field of a format is never closed with }") }

    private mutating func field(insideField: Bool) throws(TemplateFailure) {
        let name = take { $0 == "}" || $0 == ":" || $0 == "!" || $0 == "{" }
        let value = try value(of: name)
        var conversion: Unicode.Scalar?
        guard position < format.count else { throw unclosed }
        if format[position] == "!" {
            guard position + 1 < format.count else { throw unclosed }
            conversion = format[position + 1]
            position += 2
        }
        var spec = ""
        if position < format.count, format[position] == ":" {
            guard !insideField else { throw .evaluation("the fields of a format are nested too deep") }
            position += 1
            (spec, output) = (output, "")
            try run(insideField: true)
            (spec, output) = (output, spec)
        }
        guard position < format.count, format[position] == "}" else { throw unclosed }
        position += 1
        output += try text(value, conversion, spec)
    }

    private mutating func take(until isEnd: (Unicode.Scalar) -> Bool) -> String {
        let start = position
        while position < format.count, !isEnd(format[position]) { position += 1 }
        return String(format[start..<position])
    }

    /// `0`, `name`, `name.attribute`, `name[key]` or nothing.
    private mutating func value(of path: String) throws(TemplateFailure) -> TemplateValue {
        var rest = Array(path.unicodeScalars)[...]
        func name(_ rest: inout ArraySlice<Unicode.Scalar>) -> String {
            let part = rest.prefix { $0 != "." && $0 != "[" }
            rest = rest.dropFirst(part.count)
            return String(part)
        }
        var value = try first(name(&rest))
        while let sign = rest.popFirst() {
            if sign == "." {
                value = try evaluator.attribute(name(&rest), of: value)
            } else {
                guard let end = rest.firstIndex(of: "]") else { throw .evaluation("a [ in a format is never closed") }
                let key = String(rest[..<end])
                rest = rest[(end + 1)...]
                value = try evaluator.item(Int(key).map(TemplateValue.integer) ?? .string(key), of: value)
            }
        }
        return value
    }

    private mutating func first(_ name: String) throws(TemplateFailure) -> TemplateValue {
        var position = Int(name)
        if name.isEmpty {
            position = automatic
            automatic += 1
        }
        if let position {
            guard arguments.positional.indices.contains(position) else {
                throw .evaluation("a format has more places than there are values for it")
            }
            return arguments.positional[position]
        }
        try evaluator.spend(arguments.named.count >> 3)
        guard let value = arguments.named.first(where: { $0.name == name })?.value else {
            throw .evaluation("the values of a format have no \(name)")
        }
        return value
    }
}

// MARK: - One field
extension BraceFormatter {
    private func text(
        _ value: TemplateValue, _ conversion: Unicode.Scalar?, _ spec: String
    ) throws(TemplateFailure) -> String {
        switch conversion {
        case nil: return try text(value, spec)
        case "s": return try text(.string(evaluator.printed(value)), spec)
        case "r":
            try evaluator.spend(value.extent.weight)
            return try text(.string(value.repr), spec)
        default: throw .evaluation("a format has the unknown conversion !\(conversion ?? " ")")
        }
    }

    private func text(_ value: TemplateValue, _ spec: String) throws(TemplateFailure) -> String {
        if spec.isEmpty { return try evaluator.printed(value) }
        try evaluator.spend(value.extent.weight)
        let format = try Self.parse(spec)
        switch value {
        case .string(let text), .markup(let text):
            guard format.letter == nil || format.letter == "s", format.fitsText else { break }
            return format.text(text)
        case .bool, .integer, .number:
            var format = format
            if format.padsZeros { format.alignment = "=" }
            if let number = Numeric(value), let text = number.formatted(format) { return text }
        default: break
        }
        throw .evaluation("the format \(spec) does not fit a value of type \(value.typeName)")
    }

    /// `[[fill]align][sign][#][0][width][grouping][.precision][letter]`
    private static func parse(_ spec: String) throws(TemplateFailure) -> NumberFormat {
        var rest = Array(spec.unicodeScalars)[...]
        var format = NumberFormat()
        let alignments: Set<Unicode.Scalar> = ["<", ">", "^", "="]
        if rest.count > 1, alignments.contains(rest[1]) {
            (format.fill, format.alignment) = (rest[0], rest[1])
            rest = rest.dropFirst(2)
        } else if let first = rest.first, alignments.contains(first) {
            format.alignment = first
            rest = rest.dropFirst()
        }
        if let sign = rest.first, ["+", "-", " "].contains(sign) {
            format.positiveSign = sign == "-" ? "" : String(sign)
            format.hasSign = true
            rest = rest.dropFirst()
        }
        if rest.first == "#" { (format.isAlternate, rest) = (true, rest.dropFirst()) }
        if rest.first == "0" {
            if format.alignment == nil { (format.fill, format.padsZeros) = ("0", true) }
            rest = rest.dropFirst()
        }
        format.width = try number(&rest) ?? 0
        if let sign = rest.first, sign == "," || sign == "_" { (format.grouping, rest) = (sign, rest.dropFirst()) }
        if rest.first == "." {
            rest = rest.dropFirst()
            format.precision = try number(&rest)
        }
        format.letter = rest.popFirst()
        guard rest.isEmpty else { throw .evaluation("\(spec) is no format") }
        return format
    }

    private static func number(_ rest: inout ArraySlice<Unicode.Scalar>) throws(TemplateFailure) -> Int? {
        var value: Int?
        while let digit = rest.first, digit.isASCIIDigit {
            value = try NumberFormat.checked((value ?? 0) * 10 + Int(digit.value) - 0x30)
            rest = rest.dropFirst()
        }
        return value
    }
}

extension Numeric {
    /// The number in a `{:…}` format; `nil` if the letter does not fit.
    fileprivate func formatted(_ format: NumberFormat) -> String? {
        if case .integer = self, format.precision != nil, !"eEfFgG%".unicodeScalars.contains(format.letter ?? "d") {
            return nil
        }
        return switch (self, format.letter) {
        case (.integer(let value), nil), (.integer(let value), "d"), (.integer(let value), "n"):
            format.integer(value, radix: 10, prefix: "")
        case (.integer(let value), "x"): format.integer(value, radix: 16, prefix: "0x")
        case (.integer(let value), "X"): format.integer(value, radix: 16, prefix: "0X", uppercase: true)
        case (.integer(let value), "o"): format.integer(value, radix: 8, prefix: "0o")
        case (.integer(let value), "b"): format.integer(value, radix: 2, prefix: "0b")
        case (.integer(let value), "c"):
            UInt32(exactly: value).flatMap(Unicode.Scalar.init).map { format.padded(String($0), default: "<") }
        case (_, "e"), (_, "E"), (_, "f"), (_, "F"), (_, "g"), (_, "G"):
            format.double(double, letter: format.letter ?? "f")
        case (.number, "n"): format.double(double, letter: "g")
        case (_, "%"): percent(format)
        case (.number(let value), nil): shortest(value, format)
        default: nil
        }
    }

    private func percent(_ format: NumberFormat) -> String {
        format.double(double * 100, letter: "f", suffix: "%")
    }

    private func shortest(_ value: Double, _ format: NumberFormat) -> String {
        let sign = value.sign == .minus ? "-" : format.positiveSign
        guard let precision = format.precision, value.isFinite else {
            return format.padded(format.grouped(value.magnitude.pythonPrinted, every: 3), sign: sign, default: ">")
        }
        var plain = NumberFormat()
        plain.precision = max(precision, 1)
        var body = plain.double(value.magnitude, letter: "g")
        if !body.contains(where: { $0 == "." || $0 == "e" }) { body += ".0" }
        return format.padded(format.grouped(body, every: 3), sign: sign, default: ">")
    }
}
