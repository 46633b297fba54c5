import Tokenization

/// `{"segments": [{"text": …, "train": true}, …]}`: pieces of one text, for those who lay out conversations themselves.
/// `label` is read in the place of `train`; a `weight` says how much a trained piece counts.
enum SegmentsFormat {
    static let requiredKeys = ["segments"]

    static func example(from fields: RecordFields) throws(DatasetProblemKind) -> Example {
        let entries = try fields.array("segments")
        if entries.isEmpty { throw .emptyField("segments") }
        var segments: [Segment] = []
        for (position, entry) in entries.enumerated() {
            func wrongType(_ key: String, _ expected: String) -> DatasetProblemKind {
                let found = entry[key]?.kindDescription ?? "missing"
                return .wrongType(key: "segments[\(position)].\(key)", expected: expected, found: found)
            }
            guard let text = entry["text"]?.stringValue else { throw wrongType("text", "a string") }
            let weight = entry["weight"].map(LossWeight.init)
            if case .some(nil) = weight, let found = entry["weight"].map(LossWeight.found) {
                throw .wrongType(key: "segments[\(position)].weight", expected: LossWeight.expected, found: found)
            }
            let flag = (entry["train"] ?? entry["label"])?.boolValue
            guard flag != nil || weight != nil && entry["train"] == nil && entry["label"] == nil else {
                throw wrongType("train", "true or false")
            }
            if !text.isEmpty { segments.append(Segment(text, weight: flag == false ? 0 : weight??.value ?? 1)) }
        }
        guard segments.contains(where: \.isTrained) else { throw .emptyField("segments") }
        return .segments(segments)
    }
}
