/// What stands inside `{{ … }}` and `{% … %}`.
extension TemplateLexer {
    mutating func tag(isBlock: Bool) throws(TemplateFailure) {
        var open: [Unicode.Scalar] = []
        let startLine = currentLine()
        while true {
            position = skippingWhitespace(from: position)
            if open.isEmpty, endTag(isBlock: isBlock) { return }
            guard let scalar = peek() else {
                throw TemplateFailure.syntax(
                    "the tag that starts here is never closed with \(isBlock ? "%}" : "}}")", line: startLine)
            }
            switch scalar {
            case "0"..."9": try number()
            case "'", "\"": try string(quote: scalar)
            case "_": name()
            default:
                if scalar.properties.isXIDStart {
                    name()
                } else {
                    try symbol(&open)
                }
            }
        }
    }

    private mutating func endTag(isBlock: Bool) -> Bool {
        let end = isBlock ? "%}" : "}}"
        var sign: Unicode.Scalar = " "
        var at = position
        if let first = peek(), first == "-" || (isBlock && first == "+"), starts(with: end, at: position + 1) {
            sign = first
            at += 1
        } else if !starts(with: end, at: position) {
            return false
        }
        emit(isBlock ? .blockEnd : .variableEnd)
        position = afterTag(at + 2, sign: sign, trims: isBlock)
        return true
    }

    private mutating func name() {
        let start = position
        while let scalar = peek(), scalar.properties.isXIDContinue || scalar == "_" { position += 1 }
        let name = slice(start..<position)
        emit(.name(name))
    }

    private mutating func symbol(_ open: inout [Unicode.Scalar]) throws(TemplateFailure) {
        let one = slice(position..<position + 1)
        if position + 1 < source.count, let symbol = TemplateToken.Symbol(rawValue: slice(position..<position + 2)) {
            emit(.symbol(symbol))
            position += 2
            return
        }
        guard let symbol = TemplateToken.Symbol(rawValue: one) else { throw failure("unexpected character \(one)") }
        switch symbol {
        case .leftBrace: open.append("}")
        case .leftParenthesis: open.append(")")
        case .leftBracket: open.append("]")
        case .rightBrace, .rightParenthesis, .rightBracket:
            guard let expected = open.popLast() else { throw failure("unexpected \(one)") }
            guard expected == source[position] else { throw failure("found \(one) where \(expected) is expected") }
        default: break
        }
        emit(.symbol(symbol))
        position += 1
    }
}

// MARK: - Numbers
extension TemplateLexer {
    private mutating func number() throws(TemplateFailure) {
        let start = position
        if peek() == "0", let radix = radix(of: peek(1)) {
            position += 2
            let digits = takeDigits { $0.properties.numericType == .decimal || $0.isASCIILetter }
            guard let value = Int(digits, radix: radix) else {
                throw failure("\(slice(start..<position)) is no number")
            }
            return emit(.integer(value))
        }
        let follows: Bool = start > 0 && source[start - 1] == "."
        var text = takeDigits(\.isASCIIDigit)
        var isNumber = false
        if !follows, peek() == ".", peek(1)?.isASCIIDigit == true {
            position += 1
            text += "." + takeDigits(\.isASCIIDigit)
            isNumber = true
        }
        if !follows, let exponent = exponent() {
            text += exponent
            isNumber = true
        }
        if isNumber {
            guard let value = Double(text) else { throw failure("\(text) is no number") }
            return emit(.number(value))
        }
        if text.utf8.first == UInt8(ascii: "0"), !text.utf8.allSatisfy({ $0 == UInt8(ascii: "0") }) {
            throw failure("\(text) starts with a zero, which Python refuses")
        }
        guard let value = Int(text) else { throw failure("the integer \(text) exceeds 64 bits") }
        emit(.integer(value))
    }

    private func radix(of letter: Unicode.Scalar?) -> Int? {
        switch letter {
        case "x", "X": 16
        case "o", "O": 8
        case "b", "B": 2
        default: nil
        }
    }

    /// Digits with single underscores between them.
    private mutating func takeDigits(_ isDigit: (Unicode.Scalar) -> Bool) -> String {
        var digits = ""
        while let scalar = peek() {
            if isDigit(scalar) {
                digits.unicodeScalars.append(scalar)
            } else if scalar != "_" || peek(1).map(isDigit) != true {
                break
            }
            position += 1
        }
        return digits
    }

    private mutating func exponent() -> String? {
        guard peek() == "e" || peek() == "E" else { return nil }
        let hasSign = peek(1) == "+" || peek(1) == "-"
        guard peek(hasSign ? 2 : 1)?.isASCIIDigit == true else { return nil }
        let sign = peek(1) == "-" ? "-" : ""
        position += hasSign ? 2 : 1
        return "e" + sign + takeDigits(\.isASCIIDigit)
    }
}

// MARK: - Strings
extension TemplateLexer {
    private mutating func string(quote: Unicode.Scalar) throws(TemplateFailure) {
        let start = position
        var text = String.UnicodeScalarView()
        var at = position + 1
        while at < source.count, source[at] != quote {
            if source[at] == "\\" {
                at = try escape(at, into: &text)
            } else {
                text.append(source[at])
                at += 1
            }
        }
        guard at < source.count else { throw failure("the string that starts here is never closed") }
        position = start
        emit(.string(String(text)))
        position = at + 1
    }

    /// Python's escapes; an unknown one stays as it is.
    private mutating func escape(_ at: Int, into text: inout String.UnicodeScalarView) throws(TemplateFailure) -> Int {
        guard at + 1 < source.count else { return at + 1 }
        let letter = source[at + 1]
        let simple: [Unicode.Scalar: Unicode.Scalar] = [
            "n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", "\"": "\"", "a": "\u{7}", "b": "\u{8}",
            "f": "\u{c}", "v": "\u{b}",
        ]
        if let scalar = simple[letter] {
            text.append(scalar)
            return at + 2
        }
        switch letter {
        case "\n": return at + 2
        case "x": return try hexadecimal(at, count: 2, into: &text)
        case "u": return try hexadecimal(at, count: 4, into: &text)
        case "U": return try hexadecimal(at, count: 8, into: &text)
        case "0"..."7": return octal(at, into: &text)
        case "N": throw failure("named characters (\\N{…}) in a string are not supported; write \\uXXXX")
        default:
            text.append("\\")
            text.append(letter)
            return at + 2
        }
    }

    private mutating func hexadecimal(
        _ at: Int, count: Int, into text: inout String.UnicodeScalarView
    ) throws(TemplateFailure) -> Int {
        let end = min(at + 2 + count, source.count)
        let digits = slice(at + 2..<end)
        guard digits.utf8.count == count, digits.utf8.first != UInt8(ascii: "+"),
            let value = UInt32(digits, radix: 16), let scalar = Unicode.Scalar(value)
        else { throw failure("\(slice(at..<end)) is no character") }
        text.append(scalar)
        return end
    }

    private func octal(_ at: Int, into text: inout String.UnicodeScalarView) -> Int {
        var (value, end): (UInt32, Int) = (0, at + 1)
        while end < min(at + 4, source.count), "0"..."7" ~= source[end] {
            value = value * 8 + source[end].value - 0x30
            end += 1
        }
        if let scalar = Unicode.Scalar(value) { text.append(scalar) }
        return end
    }
}
