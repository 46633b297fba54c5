import Foundation

/// The local time that `strftime_now` shows to a template.
public struct TemplateClock: Sendable, Hashable {
    let year, month, day, hour, minute, second, microsecond: Int

    /// The local time at this moment.
    public static var current: TemplateClock {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        var parts = tm()
        localtime_r(&now.tv_sec, &parts)
        return TemplateClock(
            year: Int(parts.tm_year) + 1900, month: Int(parts.tm_mon) + 1, day: Int(parts.tm_mday),
            hour: Int(parts.tm_hour), minute: Int(parts.tm_min), second: min(Int(parts.tm_sec), 59),
            microsecond: Int(now.tv_nsec) / 1000)
    }

    private init(year: Int, month: Int, day: Int, hour: Int, minute: Int, second: Int, microsecond: Int) {
        (self.year, self.month, self.day) = (year, month, day)
        (self.hour, self.minute, self.second, self.microsecond) = (hour, minute, second, microsecond)
    }

    /// A fixed time, so that a rendering can be repeated: `2024-07-26 12:00:00`, `2024-07-26T12:00:00` or `2024-07-26`.
    /// - Throws: `TemplateError.invalidTime` for anything else.
    public init(_ text: String) throws(TemplateError) {
        let halves = text.split(maxSplits: 1, whereSeparator: { $0 == " " || $0 == "T" })
        let date = (halves.first ?? "").split(separator: "-", omittingEmptySubsequences: false).map { Self.number($0) }
        let clock =
            halves.count == 2 ? halves[1].split(separator: ":", omittingEmptySubsequences: false) : ["0", "0", "0"]
        let time = clock.map { Self.number($0) }
        guard date.count == 3, time.count == 3, let year = date[0], let month = date[1], let day = date[2],
            let hour = time[0], let minute = time[1], let second = time[2], 1...9999 ~= year, 1...12 ~= month,
            1...Self.days(in: month, of: year) ~= day, 0...23 ~= hour, 0...59 ~= minute, 0...59 ~= second
        else { throw .invalidTime(text) }
        self.init(year: year, month: month, day: day, hour: hour, minute: minute, second: second, microsecond: 0)
    }

    private static func number(_ text: Substring) -> Int? {
        text.utf8.allSatisfy { 0x30...0x39 ~= $0 } && text.utf8.count <= 4 ? Int(text) : nil
    }

    private static func isLeap(_ year: Int) -> Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }

    private static func days(in month: Int, of year: Int) -> Int {
        switch month {
        case 2: isLeap(year) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    private var dayOfYear: Int {
        (1..<month).reduce(day) { $0 + Self.days(in: $1, of: year) }
    }

    /// 0 is Sunday.
    private var weekday: Int {
        let before = year - 1
        return (before * 365 + before / 4 - before / 100 + before / 400 + dayOfYear) % 7
    }
}

// MARK: - strftime
extension TemplateClock {
    private static let weekdays = [
        "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday",
    ]
    private static let months = [
        "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
        "December",
    ]

    /// `datetime.strftime` in the C locale; unknown conversions stay as they are.
    func formatted(_ format: String) -> String {
        var result = ""
        var rest = Array(format.unicodeScalars)[...]
        while let scalar = rest.popFirst() {
            guard scalar == "%", let first = rest.popFirst() else {
                result.unicodeScalars.append(scalar)
                continue
            }
            var padding: Unicode.Scalar?
            var letter = first
            if ["-", "_", "0"].contains(first), let next = rest.popFirst() { (padding, letter) = (first, next) }
            if let text = conversion(letter, padding) {
                result += text
            } else {
                result += "%" + (padding.map { String($0) } ?? "") + String(letter)
            }
        }
        return result
    }

    private func conversion(_ letter: Unicode.Scalar, _ padding: Unicode.Scalar?) -> String? {
        func digits(_ value: Int, _ width: Int, _ fill: String = "0") -> String {
            let fill = padding == "_" ? " " : padding == "0" ? "0" : fill
            let text = String(value)
            return padding == "-" ? text : String(repeating: fill, count: max(0, width - text.utf8.count)) + text
        }
        let hour12 = hour % 12 == 0 ? 12 : hour % 12
        switch letter {
        case "a": return String(Self.weekdays[weekday].prefix(3))
        case "A": return Self.weekdays[weekday]
        case "b", "h": return String(Self.months[month - 1].prefix(3))
        case "B": return Self.months[month - 1]
        case "d": return digits(day, 2)
        case "e": return digits(day, 2, " ")
        case "m": return digits(month, 2)
        case "y": return digits(year % 100, 2)
        case "Y": return String(year)
        case "C": return digits(year / 100, 2)
        case "H": return digits(hour, 2)
        case "k": return digits(hour, 2, " ")
        case "I": return digits(hour12, 2)
        case "l": return digits(hour12, 2, " ")
        case "M": return digits(minute, 2)
        case "S": return digits(second, 2)
        case "f": return digits(microsecond, 6)
        case "j": return digits(dayOfYear, 3)
        case "p": return hour < 12 ? "AM" : "PM"
        case "P": return hour < 12 ? "am" : "pm"
        case "w": return String(weekday)
        case "u": return String(weekday == 0 ? 7 : weekday)
        case "U": return digits((dayOfYear + 6 - weekday) / 7, 2)
        case "W": return digits((dayOfYear + 6 - (weekday + 6) % 7) / 7, 2)
        case "n": return "\n"
        case "t": return "\t"
        case "z", "Z": return ""
        case "%": return "%"
        default: return combined(letter)
        }
    }

    private func combined(_ letter: Unicode.Scalar) -> String? {
        switch letter {
        case "c": formatted("%a %b %e %H:%M:%S %Y")
        case "D", "x": formatted("%m/%d/%y")
        case "F": formatted("%Y-%m-%d")
        case "R": formatted("%H:%M")
        case "r": formatted("%I:%M:%S %p")
        case "T", "X": formatted("%H:%M:%S")
        default: nil
        }
    }
}
