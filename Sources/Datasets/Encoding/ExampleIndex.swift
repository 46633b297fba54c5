/// Finds examples of a data set by what is in them.
private struct ExampleIndex {
    private var places: [UInt64: [Int32]] = [:]

    /// The examples kept under a hash.
    subscript(hash: UInt64) -> [Int32] { places[hash] ?? [] }

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
                let isKnown = index[hash].contains { earlier in
                    kept.ids(of: Int(earlier)) == ids(of: example)
                        && kept.labels(of: Int(earlier)) == labels(of: example)
                        && kept.weights(of: Int(earlier)) == weights(of: example)
                }
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
    /// - Complexity: Memory for this data set's examples only, however large the other one is.
    public func examples(alsoIn other: EncodedDataset) -> [Int] {
        var index = ExampleIndex()
        for example in 0..<count { index.insert(ExampleIndex.hash(ids(of: example)), example) }
        var found = Set<Int32>()
        for example in 0..<other.count {
            let known = index[ExampleIndex.hash(other.ids(of: example))]
            found.formUnion(known.filter { ids(of: Int($0)) == other.ids(of: example) })
        }
        return found.sorted().map(Int.init)
    }
}
