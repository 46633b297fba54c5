/// `{"text": …}`: everything is learnt.
enum TextFormat {
    static let requiredKeys = ["text"]

    static func example(from fields: RecordFields) throws(DatasetProblemKind) -> Example {
        let text = try fields.string("text")
        if text.isEmpty { throw .emptyField("text") }
        return .text(text)
    }
}
