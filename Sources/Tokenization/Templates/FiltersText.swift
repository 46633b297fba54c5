/// Filters on texts. Whatever is not a string is printed first, as in Jinja.
extension Evaluator {
    func textFilter(
        _ filter: TemplateFilter, _ value: TemplateValue, _ call: FilterArguments
    ) throws(TemplateFailure) -> TemplateValue? {
        if let text = value.text { try charge(bytes: text.utf8.count) }
        switch filter {
        case .trim: return try like(value, printed(value).stripped(characters(try call.bound("chars")[0])))
        case .replace: return try replace(value, call)
        case .indent: return try indent(value, call)
        case .center: return try center(value, call)
        case .truncate: return try truncate(value, call)
        case .format: return try format(value, call)
        default: break
        }
        try call.none()
        let text = try printed(value)
        if filter != .string, filter != .safe { try charge(charactersOf: text) }
        switch filter {
        case .upper: return try like(value, text.pythonUppercased)
        case .lower: return try like(value, text.pythonLowercased)
        case .capitalize: return try like(value, text.pythonCapitalized)
        case .title: return .string(text.jinjaTitled)
        case .string: return value.text == nil ? .string(text) : value
        case .safe: return .markup(text)
        case .escape, .e:
            if case .markup = value { return value }
            return try charged(.markup(text.htmlEscaped))
        case .forceescape: return try charged(.markup(text.htmlEscaped))
        case .urlencode: return try urlEncoded(value)
        case .wordcount: return .integer(text.wordCount)
        default: return nil
        }
    }

    /// A text that is marked safe if the value it was made of is.
    private func like(_ value: TemplateValue, _ text: String) throws(TemplateFailure) -> TemplateValue {
        if case .markup = value { return try charged(.markup(text)) }
        return try charged(.string(text))
    }

    func characters(_ value: TemplateValue?) throws(TemplateFailure) -> String? {
        switch value {
        case nil, .some(.none): return nil
        case .string(let text)?, .markup(let text)?: return text
        case let other?: throw .evaluation("the characters to strip must be a string, not of type \(other.typeName)")
        }
    }

    private func replace(_ value: TemplateValue, _ call: FilterArguments) throws(TemplateFailure) -> TemplateValue {
        let bound = try call.bound("old", "new", "count")
        let old = try printed(try call.required(bound[0], "old"))
        let new = try printed(try call.required(bound[1], "new"))
        var count = -1
        if let given = bound[2], !given.equals(.none) { count = try call.integer(given, default: -1) }
        return try replaced(try printed(value), old, new, count)
    }

    /// Estimates the size before making the text.
    func replaced(_ text: String, _ old: String, _ new: String, _ count: Int) throws(TemplateFailure) -> TemplateValue {
        let places = old.isEmpty ? text.utf8.count + 1 : text.utf8.count / old.utf8.count
        if new.utf8.count > old.utf8.count {
            let (growth, overflow) = min(places, count < 0 ? Int.max : count)
                .multipliedReportingOverflow(by: new.utf8.count)
            if overflow || growth > limits.stringBytes {
                try checkLength(text.utf8.count + text.occurrences(of: old).count * new.utf8.count)
                if old.isEmpty { try checkLength(growth) }
            }
        }
        return try charged(.string(text.replacing(old, by: new, limit: count)))
    }

    private func indent(_ value: TemplateValue, _ call: FilterArguments) throws(TemplateFailure) -> TemplateValue? {
        guard let text = value.text else { return nil }
        let bound = try call.bound("width", "first", "blank")
        let width: String
        if let given = bound[0]?.text {
            width = given
        } else {
            width = String(repeating: " ", count: try NumberFormat.checked(max(0, call.integer(bound[0], default: 4))))
        }
        let lines = (text + "\n").pythonLines
        try checkLength(text.utf8.count + lines.count * width.utf8.count)
        var result = bound[1]?.isTrue == true ? width : ""
        for (at, line) in lines.enumerated() {
            if at > 0 { result += "\n" }
            if at > 0, !line.isEmpty || bound[2]?.isTrue == true { result += width }
            result += line
        }
        return try like(value, result)
    }

    private func center(_ value: TemplateValue, _ call: FilterArguments) throws(TemplateFailure) -> TemplateValue {
        let width = try NumberFormat.checked(try call.integer(try call.bound("width")[0], default: 80))
        return try charged(.string(printed(value).centered(width, " ")))
    }

    private func truncate(_ value: TemplateValue, _ call: FilterArguments) throws(TemplateFailure) -> TemplateValue? {
        let bound = try call.bound("length", "killwords", "end", "leeway")
        let end = try bound[2].map(printed) ?? "..."
        let length = try call.integer(bound[0], default: 255)
        let leeway = try call.integer(bound[3], default: 5)
        let endCount = end.unicodeScalars.count
        guard length >= endCount, leeway >= 0 else {
            throw .evaluation("the filter truncate is given too short a length")
        }
        if let count = try paidLength(value), count - leeway <= length { return value }
        guard let text = value.text else { return nil }
        let cut = String(text.unicodeScalars.prefix(length - endCount))
        if bound[1]?.isTrue == true { return .string(cut + end) }
        let words = cut.occurrencesFromRight(of: " ", limit: 1)
        return .string(words.isEmpty ? cut + end : cut.pieces(cutAt: words, width: 1)[0] + end)
    }

    private func format(_ value: TemplateValue, _ call: FilterArguments) throws(TemplateFailure) -> TemplateValue {
        let values = call.values
        guard values.positional.isEmpty || values.named.isEmpty else {
            throw .evaluation("the filter format takes positional or named values, not both")
        }
        let text = try printed(value)
        if values.named.isEmpty { return try percentFormatted(text, try .tuple(values.positional)) }
        let dict = try DictBox(values.named.map { (.string($0.name), $0.value) })
        return try percentFormatted(text, .dict(dict))
    }

    private func urlEncoded(_ value: TemplateValue) throws(TemplateFailure) -> TemplateValue {
        let pairs: [TemplateValue]
        switch value {
        case .string(let text), .markup(let text): return try charged(.string(text.urlQuoted(keepsSlash: true)))
        case .dict(let box): pairs = try counted(.view(DictView(part: .items, dict: box)))
        case .list, .tuple, .view, .iterator, .undefined, .range: pairs = try counted(value)
        default: return try charged(.string(printed(value).urlQuoted(keepsSlash: true)))
        }
        var parts: [String] = []
        for pair in pairs {
            let items = try counted(pair)
            guard items.count == 2 else { throw .evaluation("the filter urlencode needs pairs") }
            let texts = try [printed(items[0]), printed(items[1])].map { $0.urlQuoted(keepsSlash: false) }
            try charge(bytes: texts[0].utf8.count + texts[1].utf8.count)
            parts.append(texts.joined("="))
        }
        return try charged(.string(parts.joined("&")))
    }
}

extension String {
    var htmlEscaped: String {
        var result = ""
        for scalar in unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&#34;"
            case "'": result += "&#39;"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// The filter `title`: words start after white space, hyphens and opening brackets.
    fileprivate var jinjaTitled: String {
        var result = ""
        var word = ""
        func finished(_ word: String) -> String {
            let first = word.unicodeScalars.prefix(1).map(\.properties.uppercaseMapping).joined()
            return first + String(word.unicodeScalars.dropFirst()).pythonLowercased
        }
        for scalar in unicodeScalars {
            if scalar.isPythonWhitespace || ["-", "(", "{", "[", "<"].contains(scalar) {
                result += finished(word)
                result.unicodeScalars.append(scalar)
                word = ""
            } else {
                word.unicodeScalars.append(scalar)
            }
        }
        return result + finished(word)
    }

    /// Runs of letters, digits and underscores.
    fileprivate var wordCount: Int {
        var count = 0
        var isInside = false
        for scalar in unicodeScalars {
            let isWord = scalar == "_" || scalar.isPythonAlphanumeric
            if isWord, !isInside { count += 1 }
            isInside = isWord
        }
        return count
    }

    fileprivate func urlQuoted(keepsSlash: Bool) -> String {
        var result = ""
        for byte in utf8 {
            let scalar = Unicode.Scalar(byte)
            if scalar.isASCIILetter || scalar.isASCIIDigit || "_.-~".unicodeScalars.contains(scalar)
                || (keepsSlash && scalar == "/")
            {
                result.unicodeScalars.append(scalar)
            } else if !keepsSlash, scalar == " " {
                result += "+"
            } else {
                result += (byte < 16 ? "%0" : "%") + String(byte, radix: 16, uppercase: true)
            }
        }
        return result
    }

    func centered(_ width: Int, _ fill: String) -> String {
        let missing = width - unicodeScalars.count
        guard missing > 0 else { return self }
        let left = missing / 2 + (missing & width & 1)
        return String(repeating: fill, count: left) + self + String(repeating: fill, count: missing - left)
    }
}
