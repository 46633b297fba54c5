/// A record as examples, with what a report on its source says of it.
struct EncodedRecord: Sendable {
    let outcomes: [EncodingOutcome]
    let place: RecordPlace
    let remarks: Set<RecordRemark>
    /// Keys that its format does not use.
    let unusedKeys: [String]
    /// Keys of its format that should be read from another key, which it does not have.
    let missingFields: [String]

    var examples: [EncodedExample] { outcomes.compactMap(\.example) }
}
