import Tokenization

/// `{"input_ids": […], "labels": […]}`: ids as they are. Labels are aligned with them (the shift by one is ours), −100
/// is not trained; without labels everything is trained.
enum TokensFormat {
    static let requiredKeys = ["input_ids"]

    static func example(from fields: RecordFields) throws(DatasetProblemKind) -> Example {
        let ids = try integers("input_ids", fields)
        if ids.isEmpty { throw .emptyField("input_ids") }
        for (position, id) in ids.enumerated() where id < 0 {
            throw .tokenIDOutside(id: Int(id), position: position, vocabularySize: nil)
        }
        guard fields.optional("labels") != nil else { return .tokens(inputIDs: ids, labels: nil) }
        let labels = try integers("labels", fields)
        guard labels.count == ids.count else { throw .labelCount(ids: ids.count, labels: labels.count) }
        for (position, label) in labels.enumerated() where label < 0 && label != TokenBatch.ignoredLabel {
            throw .invalidLabel(Int(label), position: position)
        }
        if areShifted(labels, ids) { throw .shiftedLabels }
        return .tokens(inputIDs: ids, labels: labels)
    }

    /// Whether the labels were shifted by one already: trained on the token after the next, a model learns nonsense
    /// without any other sign of it.
    private static func areShifted(_ labels: [Int32], _ ids: [Int32]) -> Bool {
        let trained = labels.indices.filter { labels[$0] != TokenBatch.ignoredLabel && $0 + 1 < ids.count }
        return trained.count > 1 && trained.allSatisfy { labels[$0] == ids[$0 + 1] }
            && trained.contains { labels[$0] != ids[$0] }
    }

    private static func integers(_ key: String, _ fields: RecordFields) throws(DatasetProblemKind) -> [Int32] {
        let elements = try fields.array(key)
        var values: [Int32] = []
        values.reserveCapacity(elements.count)
        for (position, element) in elements.enumerated() {
            guard let whole = element.intValue else {
                throw .wrongType(
                    key: "\(key)[\(position)]", expected: "a whole number", found: element.kindDescription)
            }
            guard let value = Int32(exactly: whole) else {
                throw .tokenIDOutside(id: whole, position: position, vocabularySize: nil)
            }
            values.append(value)
        }
        return values
    }
}
