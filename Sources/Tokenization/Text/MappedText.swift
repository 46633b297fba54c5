/// Text that differs from the user's (normalised, or with a space put before it) and knows where it came from.
struct MappedText: Sendable {
    private(set) var bytes: [UInt8] = []
    /// For each byte, the range of original bytes that it stands for; empty for a byte put in.
    private var starts: [Int] = []
    private var ends: [Int] = []

    mutating func append(_ byte: UInt8, from original: Range<Int>) {
        bytes.append(byte)
        starts.append(original.lowerBound)
        ends.append(original.upperBound)
    }

    /// The original bytes that `range` stands for.
    func original(_ range: Range<Int>) -> Range<Int> {
        guard let first = range.first, let last = range.last else { return 0..<0 }
        return starts[first]..<max(starts[first], ends[last])
    }
}

/// Where the bytes of a piece lie in the user's text.
enum Origin: Sendable {
    /// So many bytes further on.
    case shifted(by: Int)
    case mapped(MappedText)

    func original(_ range: Range<Int>) -> Range<Int> {
        switch self {
        case .shifted(let distance): range.lowerBound + distance..<range.upperBound + distance
        case .mapped(let text): text.original(range)
        }
    }
}
