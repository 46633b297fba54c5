/// A record as examples, with what a report on its source says of it.
struct EncodedRecord: Sendable {
    let outcomes: [EncodingOutcome]
    let place: RecordPlace
    let remarks: Set<RecordRemark>
    /// Keys that its format does not use.
    let unusedKeys: [String]

    var examples: [EncodedExample] { outcomes.compactMap(\.example) }
}
