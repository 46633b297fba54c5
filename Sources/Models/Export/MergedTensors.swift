import Autograd
public import Checkpoints
public import Layers
public import TensorCore

/// The tensors of a base model with an adapter folded in: `W + scale · B · A`, formed a piece at a time.
public struct MergedTensors: TensorSource {
    private let base: any TensorSource
    private let updates: [String: [Update]]

    /// A low-rank update of some rows of a tensor, as it was when the merge began.
    private struct Update {
        let rows: Range<Int>
        let columns, rank: Int
        let left, right: StridedMatrix
        let scale: Float

        init(_ update: StoredUpdate) {
            (rows, columns, rank, scale) = (update.rows, update.columns, update.rank, update.scale)
            (left, right) = (update.left.matrix, update.right.matrix)
        }
    }

    /// Elements of a piece.
    package static let pieceElements = 1 << 22

    /// Folds an adapter into the tensors of its base; `nil` gives the base as it is.
    public init(_ base: any TensorSource, adapter: LoRAAdapter?) {
        self.base = base
        updates = Dictionary(grouping: (adapter?.layers ?? []).flatMap(\.storedUpdates), by: \.tensor).mapValues {
            $0.map(Update.init)
        }
    }

    /// Names of the tensors that the adapter changes: those whose update is not zero.
    /// For parameters with all experts that is all of them.
    public var changedNames: [String] {
        func vanishes(_ factor: StridedMatrix) -> Bool { factor.tensor.toArray().allSatisfy { $0 == 0 } }
        return updates.filter { $0.value.contains { !vanishes($0.left) && !vanishes($0.right) } }.keys.sorted()
    }

    /// All names, sorted.
    public var names: [String] { base.names }

    /// Whether there is a tensor called `name`.
    public func contains(_ name: String) -> Bool { base.contains(name) }

    /// The tensor called `name`: one that the adapter changes as float32 in memory, any other as it lies in the base.
    public func tensor(_ name: String) throws(CheckpointError) -> StoredTensor {
        let tensor = try base.tensor(name)
        guard updates[name] != nil else { return tensor }
        var offset = 0
        do {
            let bytes = try MappedBytes(count: 4 * tensor.elementCount) { target in
                try forEachPiece(of: name) { piece in
                    UnsafeMutableRawBufferPointer(rebasing: target[offset...]).copyMemory(
                        from: UnsafeRawBufferPointer(piece))
                    offset += 4 * piece.count
                }
            }
            return try StoredTensor(name: name, shape: tensor.shape, format: .float32, bytes: bytes)
        } catch let error as CheckpointError {
            throw error
        } catch {
            throw .noTensor(path: "", name: name)
        }
    }

    /// Hands out a tensor as float32 in pieces of whole rows, in order. In memory is one piece.
    public func forEachPiece(
        of name: String, _ body: (UnsafeBufferPointer<Float>) throws -> Void
    ) throws {
        let tensor = try base.tensor(name)
        let updates = updates[name] ?? []
        let rowsPerPiece = max(1, Self.pieceElements / max(1, tensor.columns))
        let buffer = UnsafeMutableBufferPointer<Float>.allocate(
            capacity: min(rowsPerPiece, max(1, tensor.rows)) * max(1, tensor.columns))
        defer {
            buffer.deallocate()
            tensor.release()
        }
        guard let start = buffer.baseAddress else { return }
        for first in stride(from: 0, to: tensor.rows, by: rowsPerPiece) {
            let rows = first..<min(tensor.rows, first + rowsPerPiece)
            tensor.expand(rows: rows, into: start)
            for update in updates { Self.add(update, rows, start) }
            try body(UnsafeBufferPointer(start: start, count: rows.count * tensor.columns))
        }
    }

    /// Adds the part of an update that falls on `rows`, whose values are given.
    private static func add(_ update: Update, _ rows: Range<Int>, _ values: UnsafeMutablePointer<Float>) {
        let part = update.rows.clamped(to: rows)
        if part.isEmpty { return }
        let first = part.lowerBound - update.rows.lowerBound
        let left = update.left.values(rows: first..<first + part.count, columns: update.rank)
        let right = update.right.values(rows: 0..<update.rank, columns: update.columns)
        left.withUnsafeBufferPointer { left in
            right.withUnsafeBufferPointer { right in
                guard let left = left.baseAddress, let right = right.baseAddress else { return }
                sgemm(
                    part.count, update.columns, update.rank, alpha: update.scale,
                    MatrixPointer(left, stride: update.rank),
                    MatrixPointer(right, stride: update.columns), beta: 1,
                    into: values + (part.lowerBound - rows.lowerBound) * update.columns, stride: update.columns)
            }
        }
    }
}
