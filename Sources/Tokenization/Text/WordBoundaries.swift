/// Looks at the characters around an added token.
extension UnsafeBufferPointer<UInt8> {
    /// The scalar that starts at `position` and where it ends. The bytes must be valid UTF-8.
    fileprivate func scalar(at position: Int) -> (scalar: Unicode.Scalar, end: Int) {
        let text = PieceText(self)
        let (value, end) = text.scalar(position)
        return (Unicode.Scalar(value) ?? "\u{FFFD}", end)
    }

    fileprivate func scalarStart(before position: Int) -> Int {
        var start = position - 1
        while start > 0, self[start] & 0xC0 == 0x80 { start -= 1 }
        return start
    }

    func isWord(at position: Int) -> Bool {
        position < count && scalar(at: position).scalar.isWordCharacter
    }

    func isWord(before position: Int) -> Bool {
        position > 0 && scalar(at: scalarStart(before: position)).scalar.isWordCharacter
    }

    func startOfWhitespace(before position: Int) -> Int {
        var start = position
        while start > 0 {
            let previous = scalarStart(before: start)
            guard scalar(at: previous).scalar.properties.isWhitespace else { break }
            start = previous
        }
        return start
    }

    func endOfWhitespace(from position: Int) -> Int {
        var end = position
        while end < count {
            let (scalar, next) = scalar(at: end)
            guard scalar.properties.isWhitespace else { break }
            end = next
        }
        return end
    }
}

extension Unicode.Scalar {
    /// What `\w` means in Unicode regular expressions: letters, marks, decimal digits, connectors, joiners.
    fileprivate var isWordCharacter: Bool {
        if properties.isAlphabetic || properties.isJoinControl { return true }
        switch properties.generalCategory {
        case .nonspacingMark, .spacingMark, .enclosingMark, .decimalNumber, .connectorPunctuation: return true
        default: return false
        }
    }
}
