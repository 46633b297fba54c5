import CKernels
import TensorCore

/// Keys or values in the form that attention multiplies with, every head of every sequence by itself, packed once for
/// all queries.
struct AttentionOperand {
    /// Which operands of products are wanted. Rows of float32 serve for all; tiles and float16 for one each.
    enum Form {
        /// The matrix `[tokens, size]`, its transpose, or both.
        case whole, transposed, both
    }

    /// Rows of float32, rounded as the precision says; words of float16, in place of float32, with what undoes the scale of
    /// every block, `[heads, blocks]`; or tiles.
    private let rows, words, inverses, tiles, transposed: Tensor?
    private let stride, size: Int
    /// Parts of tiles along the depth: one, or those with which hardly anything is lost to rounding.
    private let parts: Int
    private let isExact: Bool
    private let stretches: [Stretch]
    private let keyCount: Int

    /// The tokens of a sequence among all rows, and where its tiles begin in those of a head.
    private struct Stretch {
        let tokens: Range<Int>
        let tiles, transposed, blocks: Int
    }

    /// Packs the rows that the sequences of the layout have: `x` is `[prefix + tokens, heads · size]`, of either type.
    ///
    /// Where `exact` float32 is not rounded, neither in rows nor, but for the least, in whole tiles. On vectors that multiply
    /// bfloat16 an exact operand is rows where it is wanted whole: tiles of three parts take half as long again. Where products
    /// run in float16, it is float32 there, and every other operand is float16.
    /// - Parameter unit: what multiplies tiles, if anything does.
    init(
        _ x: Tensor, _ size: Int, _ layout: SequenceLayout, _ form: Form, exact: Bool = false, inFloat16: Bool,
        on unit: TileUnit?, _ compute: Compute
    ) {
        let parts = exact && x.elementType == .float32 ? Int(MARTLET_ATTENTION_PARTS) : 1
        let isInRows = exact && unit == .vectors && form != .transposed
        (self.size, self.parts, isExact) = (size, parts, exact)
        stride = Int(martlet_attention_spread(Int64(size)))
        var stretches: [Stretch] = [], (tileCount, transposedCount, blockCount) = (0, 0, 0)
        for (start, end) in zip(layout.offsets, layout.offsets.dropFirst()) {
            let tokens = start..<end + layout.prefix
            stretches.append(
                Stretch(tokens: tokens, tiles: tileCount, transposed: transposedCount, blocks: blockCount))
            blockCount += TileOrder.pieces(tokens, AttentionPass.blockSize).count
            tileCount += parts * TilePack.count(tokens.count, depth: size)
            transposedCount += TilePack.count(size, depth: tokens.count)
        }
        (self.stretches, keyCount) = (stretches, layout.prefix + layout.tokenCount)
        let heads = x.columns / size
        let shape = [heads * keyCount, stride]
        rows = isInRows || unit == nil && (exact || !inFloat16) ? compute.empty(shape) : nil
        words = inFloat16 && !(exact && form == .whole) ? compute.empty(shape) : nil
        inverses = words.map { _ in compute.empty([heads, blockCount]) }
        tiles = unit == nil || isInRows || form == .transposed ? nil : compute.emptyTiles([heads, tileCount])
        transposed = unit == nil || form == .whole ? nil : compute.emptyTiles([heads, transposedCount])
        pack(x, heads, compute)
    }

    /// A sequence at a head.
    func at(_ sequence: Int, _ head: Int) -> martlet_attention_operand {
        let stretch = stretches[sequence]
        var operand = martlet_attention_operand()
        let row = (head * keyCount + stretch.tokens.lowerBound) * stride
        operand.rows = rows.map { $0.floats + row }
        operand.words = words.map { UnsafeRawPointer($0.floats + row).assumingMemoryBound(to: UInt32.self) }
        operand.inverses = inverses.map { $0.floats + head * $0.columns + stretch.blocks }
        operand.stride = Int64(stride)
        operand.tiles = tiles.map { $0.bfloats + head * $0.columns + stretch.tiles }
        operand.transposed = transposed.map { $0.bfloats + head * $0.columns + stretch.transposed }
        operand.parts = Int64(parts)
        operand.step = Int64(parts * TilePack.step(depth: size))
        operand.transposed_step = Int64(TilePack.step(depth: stretch.tokens.count))
        return operand
    }

    // MARK: Packing

    private func pack(_ x: Tensor, _ heads: Int, _ compute: Compute) {
        let pieces = stretches.indices.flatMap { sequence in
            TileOrder.pieces(0..<stretches[sequence].tokens.count, AttentionPass.blockSize).map { (sequence, $0) }
        }
        let rounds = compute.precision == .bfloat16 && !isExact
        compute.threads.run(tiles: pieces.count) { tile in
            let (sequence, part) = pieces[tile]
            let row = stretches[sequence].tokens.lowerBound + part.lowerBound
            for head in 0..<heads {
                let source = row..<row + part.count, place = (head * keyCount + row) * stride
                if let rows { copy(x, source, head, to: rows.output + place, rounds: rounds) }
                if let words, let inverses {
                    let block = stretches[sequence].blocks + part.lowerBound / AttentionPass.blockSize
                    copy(x, source, head, to: words.output + place, rounds: false)
                    martlet_to_float16_words(
                        Int64(part.count), Int64(size), words.output + place, Int64(stride),
                        inverses.output + head * inverses.columns + block)
                }
                packTiles(x, row, part, head, at(sequence, head), compute)
            }
        }
    }

    /// Copies rows of a head as float32.
    /// - Parameter rounds: to what bfloat16 has.
    private func copy(
        _ x: Tensor, _ rows: Range<Int>, _ head: Int, to target: UnsafeMutablePointer<Float>, rounds: Bool
    ) {
        for (index, row) in rows.enumerated() {
            let (from, target) = (row * x.rowStride + head * size, target + index * stride)
            switch x.elementType {
            case .bfloat16: martlet_from_bfloat16(Int64(size), x.bfloatRows + from, target)
            case .float32 where rounds: martlet_round_to_bfloat16(Int64(size), x.floatRows + from, target)
            case .float32: target.update(from: x.floatRows + from, count: size)
            }
        }
    }

    /// Packs rows of a head as left operands, from `row` on; in their sequence they are `part`, which begins on a multiple
    /// of the tiles' sides.
    private func packTiles(
        _ x: Tensor, _ row: Int, _ part: Range<Int>, _ head: Int, _ operand: martlet_attention_operand,
        _ compute: Compute
    ) {
        let source = TileSource(x, row: row, column: head * size)
        if let target = operand.tiles.map({ UnsafeMutablePointer(mutating: $0) }) {
            let step = Int(operand.step), target = target + part.lowerBound / TilePack.side * step
            if parts > 1 {
                let start = x.floatRows + row * x.rowStride + head * size
                compute.withScratch(part.count * size) { scratch in
                    martlet_attention_pack_keys(
                        Int64(part.count), Int64(size), start, Int64(x.rowStride), scratch, target)
                }
            } else {
                source.packLeft(rows: part.count, depth: size, into: target, step: step)
            }
        }
        if let target = operand.transposed.map({ UnsafeMutablePointer(mutating: $0) }) {
            source.transposed.packLeft(
                rows: size, depth: part.count, into: target + part.lowerBound / TilePack.depth * TilePack.elements,
                step: Int(operand.transposed_step))
        }
    }
}
