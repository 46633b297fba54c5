import CKernels
import Synchronization

/// Rows of activations packed as left operands of products on tiles, group by group.
struct PackedRows: Sendable {
    /// The tiles, as bfloat16 elements.
    let tiles: Tensor
    /// Columns of the matrix.
    let depth: Int
    /// Group g has the rows `offsets[g]..<offsets[g + 1]`.
    let offsets: [Int]
    /// Blocks of 16 rows before each group.
    private let firstBlocks: [Int]

    fileprivate init(_ rows: Int, depth: Int, offsets: [Int], on compute: Compute) {
        (self.depth, self.offsets) = (depth, offsets)
        var blocks = [0]
        for (start, end) in zip(offsets, offsets.dropFirst()) {
            blocks.append(blocks[blocks.count - 1] + TilePack.blocks(end - start))
        }
        firstBlocks = blocks
        tiles = compute.empty([blocks[blocks.count - 1] * TilePack.step(depth: depth)], .bfloat16)
    }

    /// Elements between blocks of 16 rows.
    var step: Int { TilePack.step(depth: depth) }

    /// The tiles of a group from the given row (a multiple of 16) of it and column (a multiple of 32) on.
    func start(group: Int = 0, row: Int = 0, column: Int = 0) -> UnsafePointer<UInt16> {
        precondition(
            row % TilePack.side == 0 && column % TilePack.depth == 0, "tiles do not begin at \(row), \(column)")
        return tiles.bfloats + (firstBlocks[group] + row / TilePack.side) * step + column / TilePack.depth
            * TilePack.elements
    }

    /// Where packing writes.
    fileprivate func output(group: Int, row: Int) -> UnsafeMutablePointer<UInt16> {
        UnsafeMutablePointer(mutating: start(group: group, row: row))
    }
}

/// Remembers the rows that were packed last: the projections of a block multiply the same input one after another, and a
/// gradient meets first its adapter and then its weight.
final class PackedRowsCache: Sendable {
    private struct Entry: @unchecked Sendable {
        // `@unchecked`: a weak reference is only read, under the lock.
        weak var storage: Storage?
        let offset, rows: Int
        let packed: PackedRows
    }
    private let entry = Mutex<Entry?>(nil)

    func find(_ x: Tensor, offsets: [Int]) -> PackedRows? {
        entry.withLock { entry in
            guard let entry, let storage = entry.storage, storage === x.storage, entry.offset == x.offset,
                entry.rows == x.rows, entry.packed.depth == x.columns, entry.packed.offsets == offsets
            else { return nil }
            return entry.packed
        }
    }

    func keep(_ packed: PackedRows, of x: Tensor) {
        entry.withLock { $0 = Entry(storage: x.storage, offset: x.offset, rows: x.rows, packed: packed) }
    }

    /// Gives the memory back.
    func clear() { entry.withLock { $0 = nil } }
}

extension Compute {
    /// The rows of `x` as left operands, packed by all threads unless they were packed last time.
    /// - Parameter offsets: group g has the rows `offsets[g]..<offsets[g + 1]`; `nil` is one group.
    func packedRows(_ x: Tensor, offsets: [Int]? = nil) -> PackedRows {
        let offsets = offsets ?? [0, x.rows]
        if let packed = packedRowsCache.find(x, offsets: offsets) { return packed }
        // The old tiles go back to the pool before new ones are asked for.
        packedRowsCache.clear()
        let packed = packRows(offsets: offsets, depth: x.columns) { TileSource(x, row: $0) }
        packedRowsCache.keep(packed, of: x)
        return packed
    }

    /// Packs rows from anywhere; `source` gives the matrix from a row on.
    func packRows(offsets: [Int], depth: Int, _ source: (Int) -> TileSource) -> PackedRows {
        let packed = PackedRows(offsets[offsets.count - 1], depth: depth, offsets: offsets, on: self)
        let size = max(TilePack.side, (1 << 16) / max(1, depth) / TilePack.side * TilePack.side)
        var pieces: [(group: Int, rows: Range<Int>)] = []
        for group in 0..<offsets.count - 1 {
            let count = offsets[group + 1] - offsets[group]
            for row in stride(from: 0, to: count, by: size) { pieces.append((group, row..<min(count, row + size))) }
        }
        threads.run(tiles: pieces.count) { tile in
            let (group, rows) = pieces[tile]
            source(offsets[group] + rows.lowerBound).packLeft(
                rows: rows.count, depth: depth, into: packed.output(group: group, row: rows.lowerBound),
                step: packed.step)
        }
        return packed
    }
}
