import Foundation

/// How a number or text is laid out: what stands between `%` and its letter, or after the colon in `{:…}`.
struct NumberFormat {
    static let widthLimit = 100_000

    var fill: Unicode.Scalar = " "
    /// `<`, `>`, `^`, or `=` (padding after the sign); `nil` for the default of the kind.
    var alignment: Unicode.Scalar?
    /// `+` or a space stands before positive numbers.
    var positiveSign = ""
    var isAlternate = false
    var width = 0
    var grouping: Unicode.Scalar?
    var precision: Int?
    var letter: Unicode.Scalar?
    /// `0` stands before the width: numbers are filled with zeros behind the sign.
    var padsZeros = false
    var hasSign = false

    /// Signs, grouping and padding behind the sign are for numbers only.
    var fitsText: Bool { !hasSign && grouping == nil && alignment != "=" && !isAlternate }

    static func checked(_ width: Int) throws(TemplateFailure) -> Int {
        guard width <= widthLimit else { throw .limit("a width or precision of \(width) is too large") }
        return width
    }

    func padded(_ body: String, sign: String = "", default alignment: Unicode.Scalar) -> String {
        let missing = width - sign.unicodeScalars.count - body.unicodeScalars.count
        guard missing > 0 else { return sign + body }
        func fill(_ count: Int) -> String { String(repeating: String(self.fill), count: count) }
        switch self.alignment ?? alignment {
        case "<": return sign + body + fill(missing)
        case "^": return fill(missing / 2) + sign + body + fill(missing - missing / 2)
        case "=": return sign + fill(missing) + body
        default: return fill(missing) + sign + body
        }
    }

    func text(_ text: String) -> String {
        let cut = precision.map { String(text.unicodeScalars.prefix($0)) } ?? text
        return padded(cut, default: "<")
    }

    func integer(_ value: Int, radix: Int, prefix: String, uppercase: Bool = false) -> String {
        var digits = String(value.magnitude, radix: radix, uppercase: uppercase)
        if let precision, digits.utf8.count < precision {
            digits = String(repeating: "0", count: precision - digits.utf8.count) + digits
        }
        let sign = (value < 0 ? "-" : positiveSign) + (isAlternate ? prefix : "")
        return padded(grouped(digits, every: radix == 10 ? 3 : 4), sign: sign, default: ">")
    }

    /// `letter` is one of `e`, `f`, `g` and their capitals.
    func double(_ value: Double, letter: Unicode.Scalar, suffix: String = "") -> String {
        let sign = value.sign == .minus && !value.isNaN ? "-" : positiveSign
        guard value.isFinite else {
            let name = value.isNaN ? "nan" : "inf"
            return padded((letter.properties.isUppercase ? name.uppercased() : name) + suffix, sign: sign, default: ">")
        }
        let format = "%\(isAlternate ? "#" : "").\(precision ?? 6)\(letter)"
        let body = String(format: format, value.magnitude)
        return padded(grouped(body, every: 3) + suffix, sign: sign, default: ">")
    }

    /// Puts the grouping sign between groups of digits before the decimal point.
    func grouped(_ digits: String, every size: Int) -> String {
        guard let grouping else { return digits }
        let scalars = Array(digits.unicodeScalars)
        let whole = scalars.prefix { $0 != "." && $0 != "e" && $0 != "E" }
        var result = String.UnicodeScalarView()
        for (at, scalar) in whole.enumerated() {
            if at > 0, (whole.count - at) % size == 0 { result.append(grouping) }
            result.append(scalar)
        }
        result.append(contentsOf: scalars[whole.count...])
        return String(result)
    }
}
