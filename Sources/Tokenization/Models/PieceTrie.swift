/// Byte strings that are looked for at a position of a text, shortest first.
///
/// Nodes are numbered level by level, so that the children of a node stand side by side, in the order of their bytes.
struct PieceTrie: Sendable {
    /// Of each node: the byte that leads to it, its first child (the next node's first child ends the list), and the
    /// value stored there, −1 for none.
    private var labels: [UInt8] = []
    private var firstChildren: [Int32] = []
    private var values: [Int32] = []
    /// The root's children by byte; −1 where there is none.
    private var roots = [Int32](repeating: -1, count: 256)

    /// - Parameter pieces: What is looked for, with the values. Empty pieces are left out; of equal ones the first
    ///   counts.
    init(_ pieces: [(bytes: [UInt8], value: Int32)]) {
        let sorted = pieces.indices.filter { !pieces[$0].bytes.isEmpty }.sorted {
            let (a, b) = (pieces[$0].bytes, pieces[$1].bytes)
            return a == b ? $0 < $1 : a.lexicographicallyPrecedes(b)
        }
        // Each node stands for a range of `sorted` that shares its first `depth` bytes.
        var level = [(range: sorted.indices, node: -1)]
        var depth = 0
        var childrenStart: [Int32] = []
        while !level.isEmpty {
            var next: [(range: Range<Int>, node: Int)] = []
            for (range, node) in level {
                if node >= 0 { childrenStart.append(Int32(labels.count)) }
                var start = range.lowerBound
                while start < range.upperBound, pieces[sorted[start]].bytes.count == depth { start += 1 }
                while start < range.upperBound {
                    let byte = pieces[sorted[start]].bytes[depth]
                    var end = start + 1
                    while end < range.upperBound, pieces[sorted[end]].bytes[depth] == byte { end += 1 }
                    if node < 0 { roots[Int(byte)] = Int32(labels.count) }
                    next.append((start..<end, labels.count))
                    labels.append(byte)
                    let shortest = pieces[sorted[start]]
                    values.append(shortest.bytes.count == depth + 1 ? shortest.value : -1)
                    start = end
                }
            }
            (level, depth) = (next, depth + 1)
        }
        firstChildren = childrenStart + [Int32(labels.count)]
    }

    var isEmpty: Bool { labels.isEmpty }

    /// Whether a piece starts with this byte.
    @inline(__always)
    func mayStart(with byte: UInt8) -> Bool { roots[Int(byte)] >= 0 }

    /// Calls `body` with the end and the value of every piece that starts at `position`, shortest first.
    @inline(__always)
    func forEachMatch(
        _ text: UnsafeBufferPointer<UInt8>, _ position: Int, end: Int, _ body: (_ end: Int, _ value: Int32) -> Void
    ) {
        guard position < end else { return }
        labels.withUnsafeBufferPointer { labels in
            firstChildren.withUnsafeBufferPointer { firstChildren in
                var node = Int(roots[Int(text[position])])
                var at = position + 1
                while node >= 0 {
                    if values[node] >= 0 { body(at, values[node]) }
                    guard at < end else { return }
                    node = Self.child(text[at], of: node, labels, firstChildren)
                    at += 1
                }
            }
        }
    }

    @inline(__always)
    private static func child(
        _ byte: UInt8, of node: Int, _ labels: UnsafeBufferPointer<UInt8>, _ firstChildren: UnsafeBufferPointer<Int32>
    ) -> Int {
        var (low, high) = (Int(firstChildren[node]), Int(firstChildren[node + 1]))
        while high - low > 8 {
            let middle = (low + high) / 2
            if labels[middle] <= byte { low = middle } else { high = middle }
        }
        while low < high, labels[low] != byte { low += 1 }
        return low < high ? low : -1
    }

    /// The longest piece that starts at `position`.
    @inline(__always)
    func longestMatch(_ text: UnsafeBufferPointer<UInt8>, _ position: Int, end: Int) -> (value: Int32, end: Int)? {
        var best: (value: Int32, end: Int)?
        forEachMatch(text, position, end: end) { best = ($1, $0) }
        return best
    }
}
