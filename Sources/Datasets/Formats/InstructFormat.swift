import Tokenization

/// `{"instruction": …, "input": …, "output": …}`, `input` optional: laid out under headings, for base models without a
/// chat template of their own. `system` stands before them, and the earlier exchanges of `history`, pairs of an
/// instruction and its answer, under headings of their own; both are only read.
enum InstructFormat {
    static let requiredKeys = ["instruction", "output"]

    static func example(from fields: RecordFields) throws(DatasetProblemKind) -> Example {
        let instruction = try fields.string("instruction")
        if instruction.isEmpty { throw .emptyField("instruction") }
        let input = try fields.text("input") ?? ""
        let output = try fields.string("output")
        if output.isEmpty { throw .emptyField("output") }
        var before = try fields.text("system").map { $0 + "\n\n" } ?? ""
        for (question, answer) in try history(fields) {
            before += prompt(instruction: question, input: "") + answer + "\n\n"
        }
        return .completion(prompt: before + prompt(instruction: instruction, input: input), response: output)
    }

    /// What the model reads before it answers.
    static func prompt(instruction: String, input: String) -> String {
        let context = input.isEmpty ? "" : "### Input:\n\(input)\n\n"
        return "### Instruction:\n\(instruction)\n\n\(context)### Response:\n"
    }

    private static func history(
        _ fields: RecordFields
    ) throws(DatasetProblemKind) -> [(question: String, answer: String)] {
        guard fields.hold("history") else { return [] }
        var exchanges: [(question: String, answer: String)] = []
        for (position, entry) in try fields.array("history").enumerated() {
            let texts = entry.arrayValue?.compactMap(\.stringValue) ?? []
            guard texts.count == 2, entry.arrayValue?.count == 2 else {
                let found = entry.arrayValue.map { "an array of \($0.count)" } ?? entry.kindDescription
                throw .wrongType(
                    key: "history[\(position)]", expected: "an instruction and its answer, two strings in an array",
                    found: found)
            }
            exchanges.append((texts[0], texts[1]))
        }
        return exchanges
    }
}
