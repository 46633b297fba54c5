/// `str()` and `repr()` as Python prints them.
extension TemplateValue {
    /// What `{{ value }}` prints.
    var printed: String {
        get throws(TemplateFailure) {
            switch self {
            case .string(let text), .markup(let text): return text
            case .undefined: return ""
            default: return try repr
            }
        }
    }

    /// What stands inside a printed list or dict.
    var repr: String {
        get throws(TemplateFailure) {
            var writer = ReprWriter()
            try writer.write(self)
            return writer.output
        }
    }
}

extension Double {
    var pythonPrinted: String {
        if isNaN { return "nan" }
        if isInfinite { return self < 0 ? "-inf" : "inf" }
        return pythonDescription
    }
}

private struct ReprWriter {
    var output = ""
    private var depth = 0

    mutating func write(_ value: TemplateValue) throws(TemplateFailure) {
        depth += 1
        defer { depth -= 1 }
        guard depth <= TemplateLimits.valueDepth else { throw .limit("a value is nested too deep to be printed") }
        guard output.utf8.count <= TemplateLimits().stringBytes else {
            throw .limit("a value is too long to be printed")
        }
        switch value {
        case .undefined: output += "Undefined"
        case .none: output += "None"
        case .bool(let value): output += value ? "True" : "False"
        case .integer(let value): output += String(value)
        case .number(let value): output += value.pythonPrinted
        case .string(let text): write(text)
        case .markup(let text):
            output += "Markup("
            write(text)
            output += ")"
        case .list(let box): try write(box.items, "[", "]")
        case .tuple(let box): try write(box.items, "(", box.items.count == 1 ? ",)" : ")")
        case .dict(let box): try write(box.entries)
        case .view(let view):
            output += "dict_\(view.part.rawValue)("
            try write(try view.items, "[", "]")
            output += ")"
        case .range(let range): write(range)
        case .namespace(let box):
            output += "<Namespace "
            try write(box.attributes.map { (key: .string($0.name), value: $0.value) })
            output += ">"
        case .loop(let box): output += "<LoopContext \(box.index0 + 1)/\(try box.length())>"
        case .callable(let box): try write(box)
        case .iterator:
            throw .evaluation("the result of a lazy filter like map or select is printed; put | list behind it")
        case .cycler: throw .evaluation("a cycler is printed; print its next() instead")
        }
    }

    private mutating func write(_ box: CallableBox) throws(TemplateFailure) {
        guard case .macro(let definition, _) = box.kind else {
            throw .evaluation("a function or method is printed; parentheses are missing behind its name")
        }
        output += "<Macro "
        write(definition.name)
        output += ">"
    }

    private mutating func write(_ range: PythonRange) {
        output += "range(\(range.start), \(range.stop)" + (range.step == 1 ? ")" : ", \(range.step))")
    }

    private mutating func write(_ items: [TemplateValue], _ open: String, _ close: String) throws(TemplateFailure) {
        output += open
        for (at, item) in items.enumerated() {
            if at > 0 { output += ", " }
            try write(item)
        }
        output += close
    }

    private mutating func write(_ entries: [DictBox.Entry]) throws(TemplateFailure) {
        output += "{"
        for (at, entry) in entries.enumerated() {
            if at > 0 { output += ", " }
            try write(entry.key)
            output += ": "
            try write(entry.value)
        }
        output += "}"
    }

    /// Single quotes unless the text has some and no double ones; what cannot be seen is escaped.
    private mutating func write(_ text: String) {
        let quote: Unicode.Scalar =
            text.unicodeScalars.contains("'") && !text.unicodeScalars.contains("\"") ? "\"" : "'"
        output.unicodeScalars.append(quote)
        for scalar in text.unicodeScalars {
            switch scalar {
            case quote, "\\": output += "\\\(scalar)"
            case "\n": output += "\\n"
            case "\r": output += "\\r"
            case "\t": output += "\\t"
            case _ where scalar.isPythonPrintable: output.unicodeScalars.append(scalar)
            default: output += scalar.pythonEscape
            }
        }
        output.unicodeScalars.append(quote)
    }
}

extension Unicode.Scalar {
    /// `\x1b`, `\u200b` or `\U000e0001`.
    fileprivate var pythonEscape: String {
        let digits = String(value, radix: 16)
        let (letter, width) = value < 0x100 ? ("x", 2) : value < 0x10000 ? ("u", 4) : ("U", 8)
        return "\\" + letter + String(repeating: "0", count: width - digits.utf8.count) + digits
    }
}
