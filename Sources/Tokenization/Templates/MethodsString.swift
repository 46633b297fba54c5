/// Methods of strings, under Python's names.
enum StringMethod: String {
    case capitalize, center, count, endswith, expandtabs, find, format, index, isalnum, isalpha, isascii, isdecimal
    case isdigit, islower, isnumeric, isspace, istitle, isupper, join, ljust, lower, lstrip, partition, removeprefix
    case removesuffix, replace, rfind, rindex, rjust, rpartition, rsplit, rstrip, split, splitlines, startswith, strip
    case swapcase, title, upper, zfill
}

extension Evaluator {
    func stringMethod(
        _ method: StringMethod, _ text: String, _ arguments: CallValues
    ) throws(TemplateFailure) -> TemplateValue {
        try charge(bytes: text.utf8.count)
        let call = MethodArguments(method: method, values: arguments)
        switch method {
        case .strip: return try charged(.string(text.stripped(characters(try call.one))))
        case .lstrip: return try charged(.string(text.stripped(characters(try call.one), right: false)))
        case .rstrip: return try charged(.string(text.stripped(characters(try call.one), left: false)))
        case .split, .rsplit: return try split(text, call)
        case .splitlines: return try splitlines(text, call)
        case .partition, .rpartition: return try partition(text, call)
        case .startswith, .endswith: return .bool(try hasAffix(text, call))
        case .find, .rfind, .index, .rindex, .count: return try search(text, call)
        case .replace:
            let bound = try call.bound("old", "new", "count")
            return try replaced(text, try call.text(bound[0]), try call.text(bound[1]), try call.integer(bound[2], -1))
        case .join: return try join(text, call)
        case .format: return try charged(.string(BraceFormatter.run(text, arguments, self)))
        case .center, .ljust, .rjust, .zfill: return try charged(.string(pad(text, call)))
        case .removeprefix, .removesuffix: return .string(try removeAffix(text, call))
        case .expandtabs: return try charged(.string(expandTabs(text, try call.integer(try call.one, 8))))
        default: return try simpleMethod(method, text, call)
        }
    }

    private func simpleMethod(
        _ method: StringMethod, _ text: String, _ call: MethodArguments
    ) throws(TemplateFailure) -> TemplateValue {
        _ = try call.bound()
        try charge(charactersOf: text)
        let scalars = text.unicodeScalars
        switch method {
        case .upper: return try charged(.string(text.pythonUppercased))
        case .lower: return try charged(.string(text.pythonLowercased))
        case .title: return try charged(.string(text.pythonTitled))
        case .capitalize: return try charged(.string(text.pythonCapitalized))
        case .swapcase: return try charged(.string(text.pythonCaseSwapped))
        case .islower: return .bool(text.isAllCased(upper: false))
        case .isupper: return .bool(text.isAllCased(upper: true))
        case .istitle: return .bool(text.isTitled)
        case .isascii: return .bool(scalars.allSatisfy(\.isASCII))
        case .isspace: return .bool(!text.isEmpty && scalars.allSatisfy(\.isPythonWhitespace))
        case .isalpha: return .bool(!text.isEmpty && scalars.allSatisfy(\.isPythonLetter))
        case .isalnum: return .bool(!text.isEmpty && scalars.allSatisfy(\.isPythonAlphanumeric))
        case .isdecimal: return .bool(!text.isEmpty && scalars.allSatisfy { $0.properties.numericType == .decimal })
        case .isdigit:
            return .bool(
                !text.isEmpty
                    && scalars.allSatisfy {
                        $0.properties.numericType == .decimal || $0.properties.numericType == .digit
                    })
        case .isnumeric: return .bool(!text.isEmpty && scalars.allSatisfy { $0.properties.numericType != nil })
        default: throw .evaluation("strings have no method \(method.rawValue)")
        }
    }

    private func split(_ text: String, _ call: MethodArguments) throws(TemplateFailure) -> TemplateValue {
        let bound = try call.bound("sep", "maxsplit")
        let given = try call.integer(bound[1], -1)
        let limit = given < 0 ? Int.max : given
        let fromRight = call.method == .rsplit
        guard let separator = try characters(bound[0]) else {
            return try strings(text.words(limit: limit, fromRight: fromRight))
        }
        guard !separator.isEmpty else { throw .evaluation("a string cannot be split at the empty string") }
        let cuts =
            fromRight
            ? text.occurrencesFromRight(of: separator, limit: limit).reversed()
            : text.occurrences(of: separator, limit: limit)
        return try strings(text.pieces(cutAt: cuts, width: separator.utf8.count))
    }

    private func strings(_ texts: [String]) throws(TemplateFailure) -> TemplateValue {
        try spend(texts.count)
        return try .list(texts.map(TemplateValue.string))
    }

    private func splitlines(_ text: String, _ call: MethodArguments) throws(TemplateFailure) -> TemplateValue {
        guard try call.bound("keepends")[0]?.isTrue != true else {
            throw .evaluation("splitlines with keepends is not supported")
        }
        return try strings(text.pythonLines)
    }

    private func partition(_ text: String, _ call: MethodArguments) throws(TemplateFailure) -> TemplateValue {
        let separator = try call.text(try call.one)
        guard !separator.isEmpty else { throw .evaluation("a string cannot be split at the empty string") }
        let isLast = call.method == .rpartition
        let cut =
            isLast
            ? text.occurrencesFromRight(of: separator, limit: 1) : text.occurrences(of: separator, limit: 1)
        guard !cut.isEmpty else {
            return try .tuple((isLast ? ["", "", text] : [text, "", ""]).map(TemplateValue.string))
        }
        let pieces = text.pieces(cutAt: cut, width: separator.utf8.count)
        return try .tuple([.string(pieces[0]), .string(separator), .string(pieces[1])])
    }

    private func join(_ separator: String, _ call: MethodArguments) throws(TemplateFailure) -> TemplateValue {
        guard let list = try call.one else { throw .evaluation("join needs something to join") }
        var texts: [String] = []
        var length = 0
        for item in try counted(list) {
            guard let text = item.text else {
                throw .evaluation("join needs strings, not a value of type \(item.typeName)")
            }
            length += text.utf8.count + separator.utf8.count
            try checkLength(length)
            texts.append(text)
        }
        return try charged(.string(texts.joined(separator)))
    }
}

// MARK: - Searching and padding
extension Evaluator {
    /// `startswith` and `endswith`, for one affix or a tuple of them.
    private func hasAffix(_ text: String, _ call: MethodArguments) throws(TemplateFailure) -> Bool {
        let bound = try call.bound("prefix", "start", "end")
        guard let affix = bound[0] else { throw .evaluation("\(call.method.rawValue) needs a string") }
        guard let part = try call.window(text, bound[1], bound[2])?.text else { return false }
        var affixes = [affix]
        if case .tuple(let box) = affix { affixes = box.items }
        for affix in affixes {
            let affix = try call.text(affix)
            if call.method == .startswith ? part.hasPrefix(exactly: affix) : part.hasSuffix(exactly: affix) {
                return true
            }
        }
        return false
    }

    private func removeAffix(_ text: String, _ call: MethodArguments) throws(TemplateFailure) -> String {
        let affix = try call.text(try call.one)
        let length = affix.utf8.count
        if call.method == .removeprefix {
            return text.hasPrefix(exactly: affix) ? String(decoding: text.utf8.dropFirst(length), as: UTF8.self) : text
        }
        return text.hasSuffix(exactly: affix) ? String(decoding: text.utf8.dropLast(length), as: UTF8.self) : text
    }

    /// `find`, `rfind`, `index`, `rindex` and `count`, in characters.
    private func search(_ text: String, _ call: MethodArguments) throws(TemplateFailure) -> TemplateValue {
        let bound = try call.bound("sub", "start", "end")
        let part = try call.text(bound[0])
        guard let (window, offset) = try call.window(text, bound[1], bound[2]) else {
            if call.method == .count { return .integer(0) }
            return try notFound(call)
        }
        let length = window.unicodeScalars.count
        if call.method == .count {
            return .integer(part.isEmpty ? length + 1 : window.occurrences(of: part).count)
        }
        let isLast = call.method == .rfind || call.method == .rindex
        if part.isEmpty { return .integer(offset + (isLast ? length : 0)) }
        let found = isLast ? window.occurrencesFromRight(of: part, limit: 1) : window.occurrences(of: part, limit: 1)
        guard let at = found.first else { return try notFound(call) }
        let before = window.utf8.prefix(at).reduce(0) { $1 & 0xC0 == 0x80 ? $0 : $0 + 1 }
        return .integer(offset + before)
    }

    private func notFound(_ call: MethodArguments) throws(TemplateFailure) -> TemplateValue {
        if call.method == .find || call.method == .rfind { return .integer(-1) }
        throw .evaluation("the text that \(call.method.rawValue) looks for is not there")
    }

    private func pad(_ text: String, _ call: MethodArguments) throws(TemplateFailure) -> String {
        let bound = try call.bound("width", "fillchar")
        let width = try NumberFormat.checked(try call.integer(bound[0], 0))
        let fill = try bound[1].map { (value) throws(TemplateFailure) in try call.text(value) } ?? " "
        guard fill.unicodeScalars.count == 1 else { throw .evaluation("a text is padded with one character") }
        let missing = max(0, width - text.unicodeScalars.count)
        switch call.method {
        case .ljust: return text + String(repeating: fill, count: missing)
        case .rjust: return String(repeating: fill, count: missing) + text
        case .center: return text.centered(width, fill)
        default:
            let sign =
                text.hasPrefix(exactly: "-") || text.hasPrefix(exactly: "+")
                ? String(text.unicodeScalars.prefix(1)) : ""
            return sign + String(repeating: "0", count: missing)
                + String(text.unicodeScalars.dropFirst(sign.utf8.count))
        }
    }

    private func expandTabs(_ text: String, _ size: Int) throws(TemplateFailure) -> String {
        let size = try NumberFormat.checked(max(0, size))
        var result = ""
        var column = 0
        for scalar in text.unicodeScalars {
            if scalar == "\t" {
                let count = size == 0 ? 0 : size - column % size
                result += String(repeating: " ", count: count)
                column += count
                try checkLength(result.utf8.count)
            } else {
                result.unicodeScalars.append(scalar)
                column = scalar == "\n" || scalar == "\r" ? 0 : column + 1
            }
        }
        return result
    }
}

/// The arguments of a string method.
struct MethodArguments {
    let method: StringMethod
    let values: CallValues

    func bound(_ names: String...) throws(TemplateFailure) -> [TemplateValue?] {
        try values.bound(to: names, of: method.rawValue)
    }

    var one: TemplateValue? {
        get throws(TemplateFailure) {
            try values.bound(to: [method == .expandtabs ? "tabsize" : "value"], of: method.rawValue)[0]
        }
    }

    func text(_ value: TemplateValue?) throws(TemplateFailure) -> String {
        guard let text = value?.text else {
            throw .evaluation("\(method.rawValue) needs a string, not a value of type \(value?.typeName ?? "nothing")")
        }
        return text
    }

    func integer(_ value: TemplateValue?, _ fallback: Int) throws(TemplateFailure) -> Int {
        guard let value else { return fallback }
        guard case .integer(let integer)? = Numeric(value) else {
            throw .evaluation("\(method.rawValue) needs an integer, not a value of type \(value.typeName)")
        }
        return integer
    }

    /// The part of the text between two positions, and where it starts; `nil` if it would start behind the end.
    func window(
        _ text: String, _ start: TemplateValue?, _ end: TemplateValue?
    ) throws(TemplateFailure) -> (text: String, offset: Int)? {
        func given(_ value: TemplateValue?) throws(TemplateFailure) -> Int? {
            guard let value, !value.equals(.none) else { return nil }
            return try integer(value, 0)
        }
        let (first, last) = (try given(start), try given(end))
        if first == nil, last == nil { return (text, 0) }
        let count = text.unicodeScalars.count
        func position(_ value: Int) -> Int { value < 0 ? max(0, max(value, -count) + count) : value }
        let from = position(first ?? 0)
        let to = min(count, position(last ?? count))
        guard from <= to else { return nil }
        return (String(text.unicodeScalars.dropFirst(from).prefix(to - from)), from)
    }
}

extension Unicode.Scalar {
    /// `str.isalpha` for one character.
    var isPythonLetter: Bool {
        switch properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: true
        default: false
        }
    }

    /// `str.isalnum` for one character.
    var isPythonAlphanumeric: Bool { isPythonLetter || properties.numericType != nil }
}

extension String {
    /// `str.istitle`
    fileprivate var isTitled: Bool {
        var (isAfterCased, hasCased) = (false, false)
        for scalar in unicodeScalars {
            let isUpper = scalar.properties.isUppercase || scalar.properties.generalCategory == .titlecaseLetter
            if isUpper ? isAfterCased : scalar.properties.isLowercase && !isAfterCased { return false }
            isAfterCased = isUpper || scalar.properties.isLowercase
            if isAfterCased { hasCased = true }
        }
        return hasCased
    }
}
