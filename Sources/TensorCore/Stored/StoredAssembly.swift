/// A tensor that a file keeps in another arrangement: its rows come in groups of equal size, and each group is put
/// together from the same group of other tensors, some of which lie transposed.
///
/// Experts that a file keeps as `[experts, outputs, inputs]` are so the `[experts, inputs, outputs]` that the
/// architecture has. Nothing is moved before it is asked for.
public struct StoredAssembly: Sendable {
    /// How the parts of a group lie to each other.
    public enum Arrangement: Sendable {
        /// Columns follow one another.
        case sideBySide
        /// Rows follow one another.
        case stacked
    }

    /// A tensor that fills a rectangle of every group.
    public struct Part: Sendable {
        /// Where the numbers lie.
        public let tensor: StoredTensor
        /// Whether a group's rows are columns there.
        public let isTransposed: Bool
        /// What it fills of a group.
        let rows, columns: Range<Int>
    }

    /// Number of groups.
    public let groups: Int
    /// Rows of a group.
    public let rowsPerGroup: Int
    /// Columns of all groups.
    public let columns: Int
    /// The parts in order.
    public let parts: [Part]

    /// Bytes that the parts take.
    var byteCount: Int { parts.reduce(0) { $0 + $1.tensor.byteCount } }

    /// Puts parts together after checking that they fit. Each part has the rows of all groups one after another.
    /// - Parameter name: of the whole, for errors.
    public init(
        name: String, groups: Int, _ tensors: [(tensor: StoredTensor, isTransposed: Bool)], _ arrangement: Arrangement
    ) throws(StoredTensorError) {
        var parts: [Part] = []
        var (rows, columns) = (0, 0)
        for (index, (tensor, isTransposed)) in tensors.enumerated() {
            guard groups > 0, tensor.rows % groups == 0 else {
                throw .assembly(tensor: name, part: tensor.name, shape: tensor.shape)
            }
            let stored = tensor.rows / groups
            let (height, width) = isTransposed ? (tensor.columns, stored) : (stored, tensor.columns)
            let isFirst = index == 0
            switch arrangement {
            case .sideBySide:
                guard isFirst || height == rows else {
                    throw .assembly(tensor: name, part: tensor.name, shape: tensor.shape)
                }
                let part = columns..<columns + width
                parts.append(Part(tensor: tensor, isTransposed: isTransposed, rows: 0..<height, columns: part))
                (rows, columns) = (height, columns + width)
            case .stacked:
                guard isFirst || width == columns else {
                    throw .assembly(tensor: name, part: tensor.name, shape: tensor.shape)
                }
                let part = rows..<rows + height
                parts.append(Part(tensor: tensor, isTransposed: isTransposed, rows: part, columns: 0..<width))
                (rows, columns) = (rows + height, width)
            }
        }
        (self.groups, self.parts, rowsPerGroup, self.columns) = (groups, parts, rows, columns)
    }

    /// Writes some columns of rows as float32, `[rows.count, columns.count]`.
    func expand(rows: Range<Int>, columns: Range<Int>, into target: UnsafeMutablePointer<Float>) {
        var row = rows.lowerBound
        while row < rows.upperBound {
            let (group, first) = row.quotientAndRemainder(dividingBy: rowsPerGroup)
            let within = first..<min(rowsPerGroup, first + rows.upperBound - row)
            for part in parts {
                let (r, c) = (within.clamped(to: part.rows), columns.clamped(to: part.columns))
                if r.isEmpty || c.isEmpty { continue }
                let line = row - rows.lowerBound + r.lowerBound - first
                part.expand(
                    group: group, rows: r, columns: c,
                    into: target + line * columns.count + c.lowerBound - columns.lowerBound, stride: columns.count)
            }
            row += within.count
        }
    }
}

extension StoredAssembly.Part {
    /// Writes a rectangle of a group, which lies in this part, as rows that are `stride` floats apart.
    fileprivate func expand(
        group: Int, rows: Range<Int>, columns: Range<Int>, into target: UnsafeMutablePointer<Float>, stride: Int
    ) {
        let rows = rows.lowerBound - self.rows.lowerBound..<rows.upperBound - self.rows.lowerBound
        let columns = columns.lowerBound - self.columns.lowerBound..<columns.upperBound - self.columns.lowerBound
        if isTransposed {
            let first = group * self.columns.count
            return transpose(
                rows: first + columns.lowerBound..<first + columns.upperBound, columns: rows, into: target,
                stride: stride)
        }
        let first = group * self.rows.count
        for (line, row) in rows.enumerated() {
            tensor.expand(
                rows: first + row..<first + row + 1, columns: columns, into: target + line * stride)
        }
    }

    /// Writes stored rows as columns.
    private func transpose(
        rows: Range<Int>, columns: Range<Int>, into target: UnsafeMutablePointer<Float>, stride: Int
    ) {
        // Whole blocks, of which some columns are left aside.
        let block = tensor.columnBlock
        let start = columns.lowerBound / block * block
        let whole = start..<min(tensor.columns, (columns.upperBound + block - 1) / block * block)
        let most = min(rows.count, 64)
        withUnsafeTemporaryAllocation(of: Float.self, capacity: most * whole.count) { scratch in
            guard let scratch = scratch.baseAddress else { return }
            for first in Swift.stride(from: rows.lowerBound, to: rows.upperBound, by: most) {
                let some = first..<min(rows.upperBound, first + most)
                tensor.expand(rows: some, columns: whole, into: scratch)
                let source = scratch + (columns.lowerBound - start)
                let column = target + (first - rows.lowerBound)
                for line in 0..<columns.count {
                    for index in 0..<some.count { column[line * stride + index] = source[index * whole.count + line] }
                }
            }
        }
    }
}
