/// Best-fit-decreasing packing inside windows of a given order.
///
/// Windows keep the shuffle meaningful: an example moves by at most one window from where the order put it, and the
/// work per window is bounded, so that millions of examples pack in seconds.
package struct Packing {
    /// How many examples are packed at a time.
    package static let windowSize = 1024

    /// Tokens per batch.
    let budget: Int

    /// Packs the examples of one window.
    /// - Parameters:
    ///   - window: Example indices in the order of the epoch.
    ///   - lengths: Length in tokens of every example of the data set.
    /// - Returns: Batches whose members keep the order of the window, themselves in the order of their first members.
    func pack(_ window: ArraySlice<Int32>, lengths: [Int32]) -> [[Int32]] {
        let places = Array(window)
        var byLength = Array(places.indices)
        byLength.sort { a, b in
            let (left, right) = (lengths[Int(places[a])], lengths[Int(places[b])])
            return left == right ? a < b : left > right
        }
        var bins: [[Int]] = []
        var open = OpenBins()
        for place in byLength {
            let length = Int(lengths[Int(places[place])])
            if let (bin, room) = open.takeTightest(for: length) {
                bins[bin].append(place)
                open.insert(bin: bin, room: room - length)
            } else {
                bins.append([place])
                open.insert(bin: bins.count - 1, room: budget - length)
            }
        }
        let ordered = bins.map { $0.sorted() }.sorted { $0[0] < $1[0] }
        return ordered.map { bin in bin.map { places[$0] } }
    }
}

/// The batches that still have room, ordered by room and then by number, so that ties are settled the same everywhere.
private struct OpenBins {
    private var entries: [(room: Int, bin: Int)] = []

    /// Removes and returns the fullest bin that still takes `length` tokens.
    mutating func takeTightest(for length: Int) -> (bin: Int, room: Int)? {
        let at = firstIndex(room: length, bin: 0)
        guard at < entries.count else { return nil }
        let entry = entries.remove(at: at)
        return (entry.bin, entry.room)
    }

    /// Adds a bin; full ones, and those of examples beyond the budget, are forgotten.
    mutating func insert(bin: Int, room: Int) {
        guard room > 0 else { return }
        entries.insert((room, bin), at: firstIndex(room: room, bin: bin))
    }

    private func firstIndex(room: Int, bin: Int) -> Int {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if entries[middle] < (room, bin) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
