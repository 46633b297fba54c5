/// Which tokens go to which expert: every token has `chosen` rows, and the rows of an expert lie together.
///
/// Within an expert rows are in the order of tokens, so that everything computed from them is the same on every run.
public struct TokenGroups: Sendable {
    /// Expert e has the rows `offsets[e]..<offsets[e + 1]`; one more than there are experts.
    public let offsets: [Int]
    /// Token of each row.
    public let tokens: [Int32]
    /// Row of each choice: choice j of token t is number `t · chosen + j`.
    public let rows: [Int32]
    /// Choices of each token.
    public let chosen: Int

    /// Sorts choices by expert.
    /// - Parameters:
    ///   - choices: expert of each choice, `chosen` for every token.
    ///   - experts: number of experts; all choices are below it.
    public init(_ choices: [Int32], chosen: Int, experts: Int) {
        var starts = [Int](repeating: 0, count: experts + 1)
        for expert in choices { starts[Int(expert) + 1] += 1 }
        for expert in 0..<experts { starts[expert + 1] += starts[expert] }
        offsets = starts
        self.chosen = chosen
        var tokens = [Int32](repeating: 0, count: choices.count)
        var rows = tokens
        choices.withUnsafeBufferPointer { choices in
            tokens.withUnsafeMutableBufferPointer { tokens in
                rows.withUnsafeMutableBufferPointer { rows in
                    for (number, expert) in choices.enumerated() {
                        let row = starts[Int(expert)]
                        starts[Int(expert)] = row + 1
                        rows[number] = Int32(row)
                        tokens[row] = Int32(number / chosen)
                    }
                }
            }
        }
        (self.tokens, self.rows) = (tokens, rows)
    }

    /// Rows of each expert.
    public var counts: [Int] { zip(offsets, offsets.dropFirst()).map { $1 - $0 } }
    /// Number of tokens.
    public var tokenCount: Int { rows.count / chosen }
}
