/// `{"prompt": …, "completion": …}`: the prompt is read, the completion is learnt. Nothing is put between the two.
enum CompletionFormat {
    static let requiredKeys = ["prompt", "completion"]

    static func example(from fields: RecordFields) throws(DatasetProblemKind) -> Example {
        // Where they belong is for the author to say: nothing is put between prompt and completion, nor before them.
        for key in ["system", "history"] where fields.hold(key) {
            throw .noPlace(key: key, format: .completion)
        }
        let response = try fields.string("completion")
        if response.isEmpty { throw .emptyField("completion") }
        return .completion(prompt: try fields.string("prompt"), response: response)
    }
}
