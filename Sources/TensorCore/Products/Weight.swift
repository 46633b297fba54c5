import CKernels

/// The matrix that a linear layer multiplies with, `[outputs, inputs]`, in whatever form it is held. Passing it on
/// counts one reference.
public enum Weight: Sendable {
    /// As it lies in a file; expanded panel by panel when it is used.
    case stored(StoredTensor)
    /// In memory as float32.
    indirect case dense(Tensor)

    /// Number of outputs.
    public var rows: Int {
        switch self {
        case .stored(let tensor): tensor.rows
        case .dense(let tensor): tensor.rows
        }
    }

    /// Number of inputs.
    public var columns: Int {
        switch self {
        case .stored(let tensor): tensor.columns
        case .dense(let tensor): tensor.columns
        }
    }

    /// Bytes that its elements take as they are held.
    public var byteCount: Int {
        switch self {
        case .stored(let tensor): tensor.byteCount
        case .dense(let tensor): tensor.count * tensor.elementType.byteCount
        }
    }

    /// The runs of bytes that it is read from; none if it is not stored.
    var storedBytes: [MappedBytes] { if case .stored(let tensor) = self { tensor.storedBytes } else { [] } }

    /// Takes what lies in a mapped file out of the process's memory until it is touched again.
    public func release() {
        if case .stored(let tensor) = self { tensor.release() }
    }

    /// The matrix in runs of about `count` rows that begin on multiples of ``Compute/sharedTileStep``, not copied; whole where
    /// its form does not let rows be taken out.
    package func parts(ofRows count: Int) -> [Weight] {
        let starts = stride(from: Compute.sharedTileStep, to: rows, by: Compute.sharedTileStep)
        guard let step = sliceStep, let unit = starts.first(where: { $0 * columns % step == 0 }) else { return [self] }
        let parts = TileGrid.heights(of: 0..<rows, at: max(unit, count / unit * unit)).compactMap { range -> Weight? in
            switch self {
            case .stored(let tensor): tensor.rowSlice(range).map { .stored($0) }
            case .dense(let tensor): .dense(tensor.rowSlice(range))
            }
        }
        return parts.reduce(0) { $0 + $1.rows } == rows ? parts : [self]
    }

    /// On whose multiples of elements rows can be taken out; `nil` where the form does not let that be done.
    private var sliceStep: Int? {
        switch self {
        case .stored(let tensor): tensor.sliceStep
        case .dense: 1
        }
    }

    /// Whether both are the same stored tensor: a head that is tied to the embedding.
    public func isSameMemory(as other: Weight) -> Bool {
        switch (self, other) {
        case (.stored(let a), .stored(let b)): a.name == b.name
        case (.dense(let a), .dense(let b)): a.floats == b.floats
        default: false
        }
    }

    /// The elements where they lie, if they lie as float32 `[rows, columns]`.
    var float32Pointer: UnsafePointer<Float>? {
        switch self {
        case .stored(let tensor): tensor.float32Pointer
        case .dense(let tensor): tensor.floats
        }
    }

    /// The elements where they lie, if they lie as bfloat16 `[rows, columns]`.
    var bfloat16Pointer: UnsafePointer<UInt16>? {
        switch self {
        case .stored(let tensor): tensor.bfloat16Pointer
        case .dense: nil
        }
    }

    /// The rows where they lie, if each is blocks of a format.
    var rowsInPlace: RowsInPlace? {
        switch self {
        case .stored(let tensor): tensor.rowsInPlace
        case .dense(let tensor):
            RowsInPlace(
                format: .float32, start: UnsafeRawPointer(tensor.floats), bytesPerRow: 4 * columns, order: .plain)
        }
    }

    /// Its numbers, if they are held in 4 bits: those expand to bfloat16 at once.
    var fourBitMatrix: FourBitMatrix? {
        guard case .stored(let tensor) = self, case .fourBit(let matrix) = tensor.contents else { return nil }
        return matrix
    }

    /// Writes rows as float32 `[rows.count, columns]`, rounded to bfloat16 if the precision says so.
    package func expand(rows: Range<Int>, precision: Precision, into target: UnsafeMutablePointer<Float>) {
        switch self {
        case .stored(let tensor): tensor.expand(rows: rows, into: target)
        case .dense(let tensor):
            target.update(from: tensor.floats + rows.lowerBound * columns, count: rows.count * columns)
        }
        round(target, rows.count * columns, precision)
    }

    /// Elements on whose multiples a range of columns should begin and end.
    var columnBlock: Int {
        switch self {
        case .stored(let tensor): tensor.columnBlock
        case .dense: 1
        }
    }

    /// Rows that should be expanded together.
    var rowBlock: Int { if case .stored(let tensor) = self { tensor.rowBlock } else { 1 } }

    /// Writes some columns of rows as float32 `[rows.count, part.count]`, rounded to bfloat16 if the precision says so.
    func expand(
        rows: Range<Int>, columns part: Range<Int>, precision: Precision, into target: UnsafeMutablePointer<Float>
    ) {
        switch self {
        case .stored(let tensor): tensor.expand(rows: rows, columns: part, into: target)
        case .dense(let tensor):
            for (index, row) in rows.enumerated() {
                (target + index * part.count).update(from: tensor.floats + row * columns + part.lowerBound, count: part.count)
            }
        }
        round(target, rows.count * part.count, precision)
    }

    /// Rounds expanded elements as the precision asks, unless they are bfloat16 numbers anyway.
    private func round(_ values: UnsafeMutablePointer<Float>, _ count: Int, _ precision: Precision) {
        if precision == .float32 { return }
        if case .stored(let tensor) = self, tensor.format == .bfloat16 { return }
        martlet_round_to_bfloat16(Int64(count), values, values)
    }
}
