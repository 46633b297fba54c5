import Synchronization

/// How a program ends when the system refuses memory in the middle of a computation, where nothing can go on without it.
public enum MemoryRefusal {
    /// Takes one sentence, and ends the program.
    public typealias Answer = @Sendable (String) -> Never

    private static let answer = Mutex<Answer?>(nil)

    /// Sets what is done; without it the program traps with the sentence.
    public static func answer(with new: @escaping Answer) { answer.withLock { $0 = new } }

    static func end(refused bytes: Int, beside others: Int) -> Never {
        let sentence =
            "out of memory: the system refused \(inWords(bytes)) beside \(inWords(others)) that are in use; take shorter "
            + "texts, smaller batches or a smaller model, or free some memory"
        guard let answer = answer.withLock({ $0 }) else { fatalError(sentence) }
        answer(sentence)
    }

    private static func inWords(_ bytes: Int) -> String { "\((bytes + 999_999) / 1_000_000) MB" }
}
