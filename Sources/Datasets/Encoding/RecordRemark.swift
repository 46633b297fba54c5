/// What is no problem of a record and yet may not be meant.
public enum RecordRemark: String, Sendable, Codable, CaseIterable {
    /// The chat template does not write the reasoning of the last answer.
    case reasoningLeftOut = "reasoning_left_out"
    /// The chat template does not write the tools beside the messages.
    case toolsLeftOut = "tools_left_out"
    /// Of several answers that are trained some are empty.
    case emptyAnswer = "empty_answer"

    /// What is to be said of so many records.
    func sentence(_ records: String) -> String {
        switch self {
        case .reasoningLeftOut:
            "the chat template leaves out the reasoning of the last answer in \(records), so that it is not learnt"
        case .toolsLeftOut: "the chat template leaves out the tools of \(records)"
        case .emptyAnswer: "an answer is empty in \(records), so that the model learns to say nothing there"
        }
    }
}
