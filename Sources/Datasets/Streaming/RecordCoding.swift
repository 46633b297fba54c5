/// The examples of a record as the token cache holds them: words of 32 bits, of which the first is a checksum of the
/// others. Each example has four words (tokens, line, which parts follow, 0), its ids, and what is trained.
enum RecordCoding {
    /// The record does not read back.
    struct Damaged: Error {}

    private static let header = 4
    private static let explicitLabels: UInt32 = 1
    private static let withWeights: UInt32 = 2

    static func words(_ examples: [EncodedExample]) -> [UInt32] {
        if examples.isEmpty { return [] }
        var words: [UInt32] = [0]
        for example in examples {
            // Nearly always a label is the id or nothing: then a bit says which.
            let isMask = zip(example.ids, example.labels).allSatisfy { $0 == $1 || $1 == TokenBatch.ignoredLabel }
            let parts = (isMask ? 0 : explicitLabels) | (example.weights == nil ? 0 : withWeights)
            words += [UInt32(example.ids.count), UInt32(clamping: example.line), parts, 0]
            words += example.ids.map { UInt32(bitPattern: $0) }
            words += isMask ? mask(example.labels) : example.labels.map { UInt32(bitPattern: $0) }
            words += example.weights?.map(\.bitPattern) ?? []
        }
        words[0] = words.dropFirst().withUnsafeBufferPointer(WordHash.checksum)
        return words
    }

    static func examples(_ words: [UInt32]) throws(Damaged) -> [EncodedExample] {
        var examples: [EncodedExample] = []
        try forEach(words) { count, line, parts, body in
            let ids = body.prefix(count).map { Int32(bitPattern: $0) }
            var rest = body.dropFirst(count)
            let labels: [Int32]
            if parts & explicitLabels != 0 {
                labels = rest.prefix(count).map { Int32(bitPattern: $0) }
                rest = rest.dropFirst(count)
            } else {
                let start = rest.startIndex
                labels = ids.indices.map { position in
                    words[start + position / 32] >> UInt32(position % 32) & 1 == 1
                        ? ids[position] : TokenBatch.ignoredLabel
                }
                rest = rest.dropFirst((count + 31) / 32)
            }
            let weights = parts & withWeights == 0 ? nil : rest.map { Float(bitPattern: $0) }
            examples.append(EncodedExample(ids: ids, labels: labels, weights: weights, line: line))
        }
        return examples
    }

    static func lengths(_ words: [UInt32]) throws(Damaged) -> [Int32] {
        var lengths: [Int32] = []
        try forEach(words) { count, _, _, _ in lengths.append(Int32(count)) }
        return lengths
    }

    /// Goes through the examples of a record that has been read back.
    private static func forEach(
        _ words: [UInt32], _ body: (_ count: Int, _ line: Int, _ parts: UInt32, _ words: ArraySlice<UInt32>) -> Void
    ) throws(Damaged) {
        guard let sum = words.first else { return }
        guard words.dropFirst().withUnsafeBufferPointer(WordHash.checksum) == sum else { throw Damaged() }
        var at = 1
        while at < words.count {
            guard words.count - at >= header else { throw Damaged() }
            let (count, line, parts) = (Int(words[at]), Int(words[at + 1]), words[at + 2])
            let labels = parts & explicitLabels != 0 ? count : (count + 31) / 32
            let size = count + labels + (parts & withWeights != 0 ? count : 0)
            at += header
            guard size <= words.count - at else { throw Damaged() }
            body(count, line, parts, words[at..<(at + size)])
            at += size
        }
    }

    private static func mask(_ labels: [Int32]) -> [UInt32] {
        var words = [UInt32](repeating: 0, count: (labels.count + 31) / 32)
        for (position, label) in labels.enumerated() where label != TokenBatch.ignoredLabel {
            words[position / 32] |= 1 << UInt32(position % 32)
        }
        return words
    }
}

