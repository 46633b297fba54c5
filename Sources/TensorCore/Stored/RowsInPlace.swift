/// Rows of blocks where they lie, without a reference to what keeps them alive: threads that count references to the
/// same object wait for each other.
struct RowsInPlace {
    let format: StoredFormat
    let start: UnsafeRawPointer
    let bytesPerRow: Int
    let order: RowOrder

    /// Calls `body` for parts of `rows`, in order, that lie at equal distances, with the first row and the bytes from
    /// row to row.
    func forEachRun(of rows: Range<Int>, _ body: (Range<Int>, UnsafeRawPointer, Int) -> Void) {
        var first = rows.lowerBound
        while first < rows.upperBound {
            let (count, step) = order.run(from: first)
            let run = first..<min(rows.upperBound, count.map { first + $0 } ?? rows.upperBound)
            body(run, start + order.storedRow(first) * bytesPerRow, step * bytesPerRow)
            first = run.upperBound
        }
    }
}

extension RowOrder {
    /// How many rows from this one on lie at equal distances, nil if all that follow do, and how many rows apart.
    fileprivate func run(from row: Int) -> (count: Int?, step: Int) {
        switch self {
        case .plain: (nil, 1)
        case .interleavedHalves(let size): (size / 2 - row % (size / 2), 2)
        }
    }
}
