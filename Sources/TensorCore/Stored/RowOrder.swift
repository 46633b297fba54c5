/// In which order a file keeps the rows of a matrix.
public enum RowOrder: Sendable, Hashable {
    /// As Hugging Face has them.
    case plain
    /// As GGUF files of the llama architecture keep query and key rows: within each head of `headSize` rows, the two
    /// halves alternate. Hugging Face row `h·D + half·D/2 + i` lies in the file at row `h·D + 2·i + half`.
    case interleavedHalves(headSize: Int)

    /// The row of the file that holds Hugging Face row `row`.
    @inlinable
    public func storedRow(_ row: Int) -> Int {
        switch self {
        case .plain: return row
        case .interleavedHalves(let size):
            let (head, within) = row.quotientAndRemainder(dividingBy: size)
            let (half, i) = within.quotientAndRemainder(dividingBy: size / 2)
            return head * size + 2 * i + half
        }
    }
}
