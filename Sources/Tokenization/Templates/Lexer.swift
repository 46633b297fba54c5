/// A piece of a template.
struct TemplateToken: Equatable {
    enum Kind: Equatable {
        case text(String)
        case blockBegin, blockEnd, variableBegin, variableEnd
        case name(String)
        case string(String)
        case integer(Int)
        case number(Double)
        case symbol(Symbol)
        case end
    }

    enum Symbol: String {
        case plus = "+"
        case minus = "-"
        case slash = "/"
        case floorDivide = "//"
        case times = "*"
        case percent = "%"
        case power = "**"
        case tilde = "~"
        case leftBracket = "["
        case rightBracket = "]"
        case leftParenthesis = "("
        case rightParenthesis = ")"
        case leftBrace = "{"
        case rightBrace = "}"
        case equal = "=="
        case notEqual = "!="
        case greater = ">"
        case greaterOrEqual = ">="
        case less = "<"
        case lessOrEqual = "<="
        case assign = "="
        case dot = "."
        case colon = ":"
        case pipe = "|"
        case comma = ","
        case semicolon = ";"
    }

    let kind: Kind
    let line: Int
}

/// Cuts a template into tokens, with `trim_blocks` and `lstrip_blocks` in force.
struct TemplateLexer {
    let source: [Unicode.Scalar]
    var position = 0
    private var tokens: [TemplateToken] = []
    private var line = 1
    private var countedTo = 0

    static func tokens(of text: String) throws(TemplateFailure) -> [TemplateToken] {
        guard text.utf8.count <= TemplateLimits.sourceBytes else {
            throw TemplateFailure.syntax("the template is longer than \(TemplateLimits.sourceBytes) bytes", line: 1)
        }
        var lexer = TemplateLexer(text)
        while lexer.position < lexer.source.count { try lexer.text() }
        lexer.emit(.end)
        return lexer.tokens
    }

    /// Every kind of line end becomes a line feed, and one at the very end is dropped.
    private init(_ text: String) {
        var scalars: [Unicode.Scalar] = []
        scalars.reserveCapacity(text.utf8.count)
        var previous: Unicode.Scalar = " "
        for scalar in text.unicodeScalars {
            if scalar == "\r" {
                scalars.append("\n")
            } else if scalar != "\n" || previous != "\r" {
                scalars.append(scalar)
            }
            previous = scalar
        }
        if scalars.last == "\n" { scalars.removeLast() }
        source = scalars
    }
}

// MARK: - Looking and moving
extension TemplateLexer {
    func peek(_ offset: Int = 0) -> Unicode.Scalar? {
        position + offset < source.count ? source[position + offset] : nil
    }

    func starts(with word: String, at offset: Int) -> Bool {
        var at = offset
        for scalar in word.unicodeScalars {
            guard at < source.count, source[at] == scalar else { return false }
            at += 1
        }
        return true
    }

    func skippingWhitespace(from offset: Int) -> Int {
        var at = offset
        while at < source.count, source[at].isPythonWhitespace { at += 1 }
        return at
    }

    func slice(_ range: Range<Int>) -> String { String(String.UnicodeScalarView(source[range])) }

    mutating func currentLine() -> Int {
        while countedTo < position {
            if source[countedTo] == "\n" { line += 1 }
            countedTo += 1
        }
        return line
    }

    mutating func emit(_ kind: TemplateToken.Kind) {
        tokens.append(TemplateToken(kind: kind, line: currentLine()))
    }

    mutating func failure(_ reason: String) -> TemplateFailure { .syntax(reason, line: currentLine()) }
}

// MARK: - Outside of tags
extension TemplateLexer {
    private mutating func text() throws(TemplateFailure) {
        guard let opening = nextOpening() else {
            emit(.text(slice(position..<source.count)))
            position = source.count
            return
        }
        let kind = source[opening + 1]
        let sign = signAfterOpening(opening)
        emitText(upTo: opening, sign: sign, isVariable: kind == "{")
        position = opening
        if kind == "%", let body = rawBody(opening, sign) {
            position = body
            return try raw()
        }
        let begin = opening + (sign == nil ? 2 : 3)
        switch kind {
        case "#":
            try comment(from: begin)
        case "%":
            emit(.blockBegin)
            position = begin
            try tag(isBlock: true)
        default:
            emit(.variableBegin)
            position = begin
            try tag(isBlock: false)
        }
    }

    private func nextOpening() -> Int? {
        var at = position
        while at + 1 < source.count {
            if source[at] == "{", source[at + 1] == "{" || source[at + 1] == "%" || source[at + 1] == "#" { return at }
            at += 1
        }
        return nil
    }

    private func signAfterOpening(_ opening: Int) -> Unicode.Scalar? {
        guard opening + 2 < source.count, source[opening + 2] == "-" || source[opening + 2] == "+" else { return nil }
        return source[opening + 2]
    }

    /// `-` removes all white space before the tag; without a sign, a block or comment that stands first on its line
    /// loses its indentation.
    private mutating func emitText(upTo opening: Int, sign: Unicode.Scalar?, isVariable: Bool) {
        var end = opening
        if sign == "-" {
            while end > position, source[end - 1].isPythonWhitespace { end -= 1 }
        } else if sign == nil, !isVariable {
            var start = opening
            while start > position, source[start - 1] != "\n", source[start - 1].isPythonWhitespace { start -= 1 }
            let startsLine = start > position ? source[start - 1] == "\n" : start == 0 || source[start - 1] == "\n"
            if startsLine { end = start }
        }
        if end > position { emit(.text(slice(position..<end))) }
    }

    private mutating func comment(from begin: Int) throws(TemplateFailure) {
        var at = begin
        while at + 1 < source.count {
            if source[at] == "#", source[at + 1] == "}" {
                let sign = at > begin ? source[at - 1] : " "
                position = afterTag(at + 2, sign: sign, trims: true)
                return
            }
            at += 1
        }
        throw failure("the comment that starts here is never closed with #}")
    }

    /// Where the text after the end of a tag starts: `-` skips white space, and a plain end of a block one line feed.
    func afterTag(_ end: Int, sign: Unicode.Scalar, trims: Bool) -> Int {
        if sign == "-" { return skippingWhitespace(from: end) }
        if trims, sign != "+", end < source.count, source[end] == "\n" { return end + 1 }
        return end
    }

    /// Where the text after `{% raw %}` starts, if that is what stands at `opening`.
    private func rawBody(_ opening: Int, _ sign: Unicode.Scalar?) -> Int? {
        let word = skippingWhitespace(from: opening + (sign == nil ? 2 : 3))
        guard starts(with: "raw", at: word) else { return nil }
        let end = skippingWhitespace(from: word + 3)
        if starts(with: "-%}", at: end) { return skippingWhitespace(from: end + 3) }
        return starts(with: "%}", at: end) ? end + 2 : nil
    }

    private mutating func raw() throws(TemplateFailure) {
        var at = position
        while at + 1 < source.count {
            if source[at] == "{", source[at + 1] == "%", let after = endOfRaw(at) {
                emitText(upTo: at, sign: signAfterOpening(at), isVariable: false)
                position = after
                return
            }
            at += 1
        }
        throw failure("the raw block that starts here is never closed with {% endraw %}")
    }

    private func endOfRaw(_ opening: Int) -> Int? {
        let word = skippingWhitespace(from: opening + (signAfterOpening(opening) == nil ? 2 : 3))
        guard starts(with: "endraw", at: word) else { return nil }
        let end = skippingWhitespace(from: word + 6)
        for sign: Unicode.Scalar in ["-", "+"] where starts(with: "\(sign)%}", at: end) {
            return afterTag(end + 3, sign: sign, trims: true)
        }
        return starts(with: "%}", at: end) ? afterTag(end + 2, sign: " ", trims: true) : nil
    }
}
