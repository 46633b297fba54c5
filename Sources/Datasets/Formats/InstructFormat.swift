/// `{"instruction": …, "input": …, "output": …}`, `input` optional: laid out under headings, for base models without a
/// chat template of their own.
enum InstructFormat {
    static let requiredKeys = ["instruction", "output"]

    static func example(from fields: RecordFields) throws(DatasetProblemKind) -> Example {
        let instruction = try fields.string("instruction")
        if instruction.isEmpty { throw .emptyField("instruction") }
        let input = fields.optional("input") == nil ? "" : try fields.string("input")
        let output = try fields.string("output")
        if output.isEmpty { throw .emptyField("output") }
        return .completion(prompt: prompt(instruction: instruction, input: input), response: output)
    }

    /// What the model reads before it answers.
    static func prompt(instruction: String, input: String) -> String {
        let context = input.isEmpty ? "" : "### Input:\n\(input)\n\n"
        return "### Instruction:\n\(instruction)\n\n\(context)### Response:\n"
    }
}
