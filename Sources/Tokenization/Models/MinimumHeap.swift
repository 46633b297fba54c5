/// A binary heap in an array, smallest element first.
extension [UInt64] {
    /// Adds an element.
    mutating func pushHeap(_ element: UInt64) {
        append(element)
        var child = count - 1
        while child > 0, self[child] < self[(child - 1) / 2] {
            swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func popSmallest() -> UInt64? {
        guard let smallest = first, let last = popLast() else { return nil }
        guard !isEmpty else { return smallest }
        self[0] = last
        var parent = 0
        while true {
            var child = 2 * parent + 1
            guard child < count else { break }
            if child + 1 < count, self[child + 1] < self[child] { child += 1 }
            guard self[child] < self[parent] else { break }
            swapAt(child, parent)
            parent = child
        }
        return smallest
    }
}
