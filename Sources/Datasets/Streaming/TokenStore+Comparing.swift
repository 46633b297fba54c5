extension TokenStore {
    /// How many hashes are held at once: at 16 bytes each, and the room of a table, some 50 MB.
    private static let heldHashes = 1 << 20

    /// Leaves out every example of which an earlier one, in whatever store, has the same ids, labels and weights.
    ///
    /// They are told apart by hashes of 128 bits. All examples are gone through as often as it takes to look at a
    /// million of them at a time.
    /// - Complexity: Memory for a million hashes and a bit for each example.
    public static func removeDuplicates(in stores: inout [TokenStore]) throws(DatasetProblem) {
        try removeDuplicates(in: &stores, holding: heldHashes)
    }

    package static func removeDuplicates(in stores: inout [TokenStore], holding limit: Int) throws(DatasetProblem) {
        let passes = UInt64(max(1, (stores.reduce(0) { $0 + $1.exampleCount } + limit - 1) / limit))
        for pass in 0..<passes {
            var known = Set<ExampleHash>()
            for store in stores.indices {
                var found: [Int] = []
                try stores[store].forEachHash(.all) { example, hash in
                    if hash.low % passes == pass, !known.insert(hash).inserted { found.append(example) }
                }
                if !found.isEmpty { stores[store].remove(found) }
            }
        }
    }

    /// The examples of a data set in memory whose tokens also stand in this store, whatever is trained of them there.
    /// - Complexity: Memory for the data set's hashes only.
    public func places(in dataset: EncodedDataset) throws(DatasetProblem) -> [Int] {
        var places: [ExampleHash: [Int]] = [:]
        for example in 0..<dataset.count { places[ExampleHash(dataset[example], .ids), default: []].append(example) }
        var found = Set<Int>()
        try forEachHash(.ids) { _, hash in found.formUnion(places[hash] ?? []) }
        return found.sorted()
    }
}
