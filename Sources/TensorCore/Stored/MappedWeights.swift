/// Weights that are used together, as far as they lie in mapped files, to take them out of the process's memory together.
public struct MappedWeights: Sendable {
    /// Bytes of them that lie in mapped files.
    public let byteCount: Int
    private let stretches: [Stretch]

    /// A stretch of a file without gaps.
    private struct Stretch: Sendable {
        let file: MappedFile
        var range: Range<Int>
    }

    /// Finds where the weights lie. Those on the heap are none of its business.
    public init(_ weights: [Weight]) {
        let places = weights.flatMap(\.storedBytes).compactMap(\.place)
        byteCount = places.reduce(0) { $0 + $1.range.count }
        var stretches: [Stretch] = []
        for (file, range) in places.sorted(by: { ($0.file.path, $0.range.lowerBound) < ($1.file.path, $1.range.lowerBound) }) {
            if let last = stretches.last, last.file === file, range.lowerBound <= last.range.upperBound + Self.gap {
                stretches[stretches.count - 1].range = last.range.lowerBound..<max(last.range.upperBound, range.upperBound)
            } else {
                stretches.append(Stretch(file: file, range: range))
            }
        }
        self.stretches = stretches
    }

    /// Bytes between two weights that are not worth a call of their own.
    private static let gap = 4096

    /// Takes their pages out of the process's memory (``MappedFile/release(_:)``) until they are touched again.
    public func release() {
        for stretch in stretches { stretch.file.release(stretch.range) }
    }
}
