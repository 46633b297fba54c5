/// Finds examples of a data set by what is in them.
private struct ExampleIndex {
    private var places: [UInt64: [Int32]] = [:]

    /// The first example kept under this hash that `matches`.
    func first(_ hash: UInt64, where matches: (Int) -> Bool) -> Int? {
        places[hash]?.first { matches(Int($0)) }.map(Int.init)
    }

    mutating func insert(_ hash: UInt64, _ place: Int) { places[hash, default: []].append(Int32(place)) }

    /// FNV-1a over whole numbers: collisions only cost a comparison.
    static func hash(_ values: ArraySlice<Int32>, _ seed: UInt64 = 0xCBF2_9CE4_8422_2325) -> UInt64 {
        values.reduce(seed) { ($0 ^ UInt64(UInt32(bitPattern: $1))) &* 0x100_0000_01B3 }
    }
}

extension EncodedDataset {
    /// Removes every example of which an earlier one has the same ids and labels, whatever its source.
    /// - Returns: How many were removed from each source.
    public mutating func removeDuplicates() -> [Int] {
        var kept = EncodedDataset()
        var index = ExampleIndex()
        var removed = sources.map { _ in 0 }
        for (source, range) in sourceRanges.enumerated() {
            kept.beginSource(sources[source])
            for example in range {
                let hash = ExampleIndex.hash(labels(of: example), ExampleIndex.hash(ids(of: example)))
                let isKnown = index.first(hash) { earlier in
                    kept.ids(of: earlier) == ids(of: example) && kept.labels(of: earlier) == labels(of: example)
                } != nil
                if isKnown {
                    removed[source] += 1
                } else {
                    index.insert(hash, kept.count)
                    kept.append(self[example])
                }
            }
        }
        self = kept
        return removed
    }

    /// The examples whose tokens also stand in another data set, whatever is trained of them there.
    public func examples(alsoIn other: EncodedDataset) -> [Int] {
        var index = ExampleIndex()
        for example in 0..<other.count { index.insert(ExampleIndex.hash(other.ids(of: example)), example) }
        return (0..<count).filter { example in
            index.first(ExampleIndex.hash(ids(of: example))) { other.ids(of: $0) == ids(of: example) } != nil
        }
    }
}
