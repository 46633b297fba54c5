/// Python's `format % values`.
extension Evaluator {
    @inline(never)
    func percentFormatted(_ format: String, _ values: TemplateValue) throws(TemplateFailure) -> TemplateValue {
        try charge(charactersOf: format)
        var formatter = PercentFormatter(format: Array(format.unicodeScalars), values: values, evaluator: self)
        return try charged(.string(formatter.run()))
    }
}

private struct PercentFormatter {
    let format: [Unicode.Scalar]
    let values: TemplateValue
    let evaluator: Evaluator
    var position = 0
    var used = 0
    var output = ""

    init(format: [Unicode.Scalar], values: TemplateValue, evaluator: Evaluator) {
        self.format = format
        self.values = values
        self.evaluator = evaluator
    }

    mutating func run() throws(TemplateFailure) -> String {
        while position < format.count {
            let scalar = format[position]
            position += 1
            if scalar == "%" {
                try conversion()
            } else {
                output.unicodeScalars.append(scalar)
            }
            try evaluator.checkLength(output.utf8.count)
        }
        let isMapping =
            switch values {
            case .dict, .list, .range, .undefined: true
            default: false
            }
        guard isMapping || used == available else {
            throw .evaluation("a format has fewer places than there are values for it")
        }
        return output
    }

    private var available: Int {
        if case .tuple(let box) = values { box.items.count } else { 1 }
    }

    private mutating func nextValue() throws(TemplateFailure) -> TemplateValue {
        guard used < available else { throw .evaluation("a format has more places than there are values for it") }
        used += 1
        if case .tuple(let box) = values { return box.items[used - 1] }
        return values
    }

    private func peek() throws(TemplateFailure) -> Unicode.Scalar {
        guard position < format.count else { throw .evaluation("a format ends in the middle of a % conversion") }
        return format[position]
    }

    private mutating func conversion() throws(TemplateFailure) {
        let keyed = try key()
        var spec = NumberFormat()
        try flags(&spec)
        if let width = try number() {
            spec.width = abs(width)
            if width < 0 { spec.alignment = "<" }
        }
        if try peek() == "." {
            position += 1
            spec.precision = max(0, try number() ?? 0)
        }
        while try ["h", "l", "L"].contains(peek()) { position += 1 }
        let letter = try peek()
        position += 1
        if letter == "%" {
            output += "%"
            return
        }
        let value: TemplateValue
        if let keyed { value = keyed } else { value = try nextValue() }
        output += try text(value, letter, spec)
    }

    /// The value of `%(name)s`.
    private mutating func key() throws(TemplateFailure) -> TemplateValue? {
        guard try peek() == "(" else { return nil }
        guard let end = format[position...].firstIndex(of: ")") else { throw .evaluation("a %( is never closed") }
        let name = String(format[(position + 1)..<end])
        position = end + 1
        guard case .dict(let box) = values else { throw .evaluation("the format %(\(name)) needs a dict of values") }
        guard let value = box[name] else { throw .evaluation("the values of a format have no \(name)") }
        return value
    }

    private mutating func flags(_ spec: inout NumberFormat) throws(TemplateFailure) {
        while true {
            switch try peek() {
            case "-": spec.alignment = "<"
            case "+": spec.positiveSign = "+"
            case " ": if spec.positiveSign.isEmpty { spec.positiveSign = " " }
            case "#": spec.isAlternate = true
            case "0":
                if spec.alignment == nil { (spec.fill, spec.alignment) = ("0", "=") }
            default: return
            }
            position += 1
        }
    }

    private mutating func number() throws(TemplateFailure) -> Int? {
        if try peek() == "*" {
            position += 1
            guard case .integer(let value)? = Numeric(try nextValue()) else {
                throw .evaluation("the * of a format needs an integer")
            }
            _ = try NumberFormat.checked(Int(min(value.magnitude, UInt(Int.max))))
            return value
        }
        var value: Int?
        while position < format.count, format[position].isASCIIDigit {
            value = try NumberFormat.checked((value ?? 0) * 10 + Int(format[position].value) - 0x30)
            position += 1
        }
        return value
    }

    private func text(
        _ value: TemplateValue, _ letter: Unicode.Scalar, _ spec: NumberFormat
    ) throws(TemplateFailure) -> String {
        var spec = spec
        switch letter {
        case "s", "r", "c":
            if spec.fill == "0" { (spec.fill, spec.alignment) = (" ", nil) }
            if spec.alignment == nil { spec.alignment = ">" }
            if letter == "c" { return spec.padded(try character(value), default: ">") }
            try evaluator.spend(value.extent.weight)
            return spec.text(try letter == "s" ? value.printed : value.repr)
        case "d", "i", "u": return spec.integer(try integer(value, letter), radix: 10, prefix: "")
        case "x": return spec.integer(try exactInteger(value, letter), radix: 16, prefix: "0x")
        case "X": return spec.integer(try exactInteger(value, letter), radix: 16, prefix: "0X", uppercase: true)
        case "o": return spec.integer(try exactInteger(value, letter), radix: 8, prefix: "0o")
        case "e", "E", "f", "F", "g", "G":
            guard let number = Numeric(value) else { throw wrong(value, letter) }
            return spec.double(number.double, letter: letter)
        default: throw .evaluation("a format has the unknown conversion %\(letter)")
        }
    }

    private func character(_ value: TemplateValue) throws(TemplateFailure) -> String {
        if let text = value.text, text.unicodeScalars.count == 1 { return text }
        guard case .integer(let code)? = Numeric(value), let small = UInt32(exactly: code),
            let scalar = Unicode.Scalar(small)
        else { throw wrong(value, "c") }
        return String(scalar)
    }

    private func integer(_ value: TemplateValue, _ letter: Unicode.Scalar) throws(TemplateFailure) -> Int {
        if case .number(let number) = value, let whole = Int(exactly: number.rounded(.towardZero)) { return whole }
        return try exactInteger(value, letter)
    }

    private func exactInteger(_ value: TemplateValue, _ letter: Unicode.Scalar) throws(TemplateFailure) -> Int {
        guard case .integer(let integer)? = Numeric(value) else { throw wrong(value, letter) }
        return integer
    }

    private func wrong(_ value: TemplateValue, _ letter: Unicode.Scalar) -> TemplateFailure {
        .evaluation("%\(letter) cannot print a value of type \(value.typeName)")
    }
}
