import Autograd
public import Checkpoints
public import Layers
public import TensorCore

/// The tensors of a base model with an adapter folded in: `W + scale · B · A`, formed a piece at a time.
public struct MergedTensors: TensorSource {
    private let base: any TensorSource
    private let updates: [String: Update]

    /// A low-rank update as it was when the merge began.
    private struct Update {
        let a, b: Tensor
        let scale: Float
    }

    /// Elements of a piece.
    private static let pieceElements = 1 << 22

    /// Folds an adapter into the tensors of its base; `nil` gives the base as it is.
    public init(_ base: any TensorSource, adapter: LoRAAdapter?) {
        self.base = base
        updates = Dictionary(
            uniqueKeysWithValues: (adapter?.layers ?? []).compactMap { layer in
                layer.adapter.map { (layer.name + ".weight", Update(a: $0.a.value, b: $0.b.value, scale: $0.scale)) }
            })
    }

    /// Names of the tensors that the adapter changes: those whose update is not zero.
    public var changedNames: [String] {
        updates.filter { $0.value.b.toArray().contains { $0 != 0 } && $0.value.a.toArray().contains { $0 != 0 } }
            .keys.sorted()
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
                    UnsafeMutableRawBufferPointer(rebasing: target[offset...]).copyMemory(from: UnsafeRawBufferPointer(piece))
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
        let update = updates[name]
        let rowsPerPiece = max(1, Self.pieceElements / max(1, tensor.columns))
        let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: min(rowsPerPiece, max(1, tensor.rows)) * max(1, tensor.columns))
        defer { buffer.deallocate() }
        guard let start = buffer.baseAddress else { return }
        for first in stride(from: 0, to: tensor.rows, by: rowsPerPiece) {
            let rows = first..<min(tensor.rows, first + rowsPerPiece)
            tensor.expand(rows: rows, into: start)
            if let update { Self.add(update, rows, start) }
            try body(UnsafeBufferPointer(start: start, count: rows.count * tensor.columns))
        }
    }

    private static func add(_ update: Update, _ rows: Range<Int>, _ values: UnsafeMutablePointer<Float>) {
        let (a, b) = (update.a, update.b)
        sgemm(
            rows.count, a.columns, a.rows, alpha: update.scale,
            MatrixPointer(b.floats + rows.lowerBound * b.columns, stride: b.columns), MatrixPointer(a.floats, stride: a.columns),
            beta: 1, into: values, stride: a.columns)
    }
}
