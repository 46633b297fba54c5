/// Text that differs from the user's (normalised, or with a space put before it) and knows where it came from.
struct MappedText: Sendable {
    private(set) var bytes: [UInt8] = []
    /// For each byte, the range of original bytes that it stands for; empty for a byte put in. Nothing is kept where
    /// nobody will ask.
    private var starts: [Int] = []
    private var ends: [Int] = []
    let keepsOrigin: Bool

    init(keepsOrigin: Bool, capacity: Int = 0) {
        self.keepsOrigin = keepsOrigin
        bytes.reserveCapacity(capacity)
        guard keepsOrigin else { return }
        starts.reserveCapacity(capacity)
        ends.reserveCapacity(capacity)
    }

    /// Adds bytes that all stand for the same original range.
    mutating func append(_ content: some Collection<UInt8>, from original: @autoclosure () -> Range<Int>) {
        bytes.append(contentsOf: content)
        guard keepsOrigin else { return }
        let original = original()
        starts.append(contentsOf: repeatElement(original.lowerBound, count: content.count))
        ends.append(contentsOf: repeatElement(original.upperBound, count: content.count))
    }

    /// Adds part of another text as it stands.
    mutating func copy(_ range: Range<Int>, of text: PlacedText) {
        guard !range.isEmpty else { return }
        bytes.append(contentsOf: UnsafeBufferPointer(rebasing: text.bytes[range]))
        guard keepsOrigin else { return }
        switch text.origin {
        case .shifted(let distance):
            starts.append(contentsOf: range.lowerBound + distance..<range.upperBound + distance)
            ends.append(contentsOf: range.lowerBound + distance + 1..<range.upperBound + distance + 1)
        case .mapped(let other):
            starts.append(contentsOf: other.starts[range])
            ends.append(contentsOf: other.ends[range])
        }
    }

    /// The original bytes that `range` stands for.
    func original(_ range: Range<Int>) -> Range<Int> {
        guard keepsOrigin, let first = range.first, let last = range.last else { return 0..<0 }
        return starts[first]..<max(starts[first], ends[last])
    }

    /// Hands over the text together with its origin.
    func withText<Result>(_ body: (PlacedText) -> Result) -> Result {
        bytes.withUnsafeBufferPointer { body(PlacedText(bytes: $0, origin: .mapped(self))) }
    }
}

/// Where the bytes of a text lie in the user's text.
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

/// Valid UTF-8 together with the place that it has in the user's text.
struct PlacedText {
    let bytes: UnsafeBufferPointer<UInt8>
    let origin: Origin

    /// The range of the whole.
    var whole: PieceRange { PieceRange(start: 0, end: bytes.count) }
}
