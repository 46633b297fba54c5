/// The unused parts of a row of bytes, in order of address and never touching each other.
package struct FreeRanges {
    /// The ranges.
    package private(set) var ranges: [Range<Int>] = []

    /// Nothing is free.
    package init() {}

    /// Takes `size` bytes from the lowest range that holds them and returns where they begin; `nil` if none does.
    ///
    /// Low addresses first keeps what lives long together at the bottom and the end of the used memory low.
    package mutating func take(_ size: Int) -> Int? {
        guard let index = ranges.firstIndex(where: { $0.count >= size }) else { return nil }
        let start = ranges[index].lowerBound
        if ranges[index].count == size {
            ranges.remove(at: index)
        } else {
            ranges[index] = start + size..<ranges[index].upperBound
        }
        return start
    }

    /// Gives a range back and joins it with its neighbours.
    package mutating func give(_ range: Range<Int>) {
        let next = firstIndex(after: range.lowerBound)
        let joinsNext = next < ranges.count && ranges[next].lowerBound == range.upperBound
        let joinsPrevious = next > 0 && ranges[next - 1].upperBound == range.lowerBound
        switch (joinsPrevious, joinsNext) {
        case (true, true):
            ranges[next - 1] = ranges[next - 1].lowerBound..<ranges[next].upperBound
            ranges.remove(at: next)
        case (true, false): ranges[next - 1] = ranges[next - 1].lowerBound..<range.upperBound
        case (false, true): ranges[next] = range.lowerBound..<ranges[next].upperBound
        case (false, false): ranges.insert(range, at: next)
        }
    }

    /// Takes the last range if it ends at `end`, and returns where it begins.
    package mutating func takeLast(endingAt end: Int) -> Int? {
        ranges.last?.upperBound == end ? ranges.removeLast().lowerBound : nil
    }

    /// Index of the first range that begins after `address`.
    private func firstIndex(after address: Int) -> Int {
        var (low, high) = (0, ranges.count)
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].lowerBound > address { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
