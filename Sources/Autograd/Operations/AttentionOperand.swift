import CKernels
import TensorCore

/// Keys or values in the form that attention multiplies with, every head of every sequence by itself, packed once for
/// all queries.
struct AttentionOperand {
    /// Which operands of products are wanted where products run on tiles.
    enum Form {
        /// The matrix `[tokens, size]`, its transpose, or both.
        case whole, transposed, both
    }

    /// Rows of float32, rounded as the precision says, or tiles.
    private let rows, tiles, transposed: Tensor?
    private let stride, size: Int
    /// Whether nothing is lost to rounding: rows are not rounded, and tiles are those of the rounded matrix, again of the
    /// rounded matrix, and of what rounding took from it, one after another along the depth.
    private let isExact: Bool
    private let stretches: [Stretch]
    private let keyCount: Int

    /// The tokens of a sequence among all rows, and where its tiles begin in those of a head.
    private struct Stretch {
        let tokens: Range<Int>
        let tiles, transposed: Int
    }

    private static let side = Int(MARTLET_TILE_SIDE), depth = Int(MARTLET_TILE_DEPTH), elements = Int(MARTLET_TILE_ELEMENTS)

    private static func step(_ size: Int) -> Int { (size + depth - 1) / depth * elements }
    private static func count(_ sides: Int, _ size: Int) -> Int { (sides + side - 1) / side * step(size) }

    /// Packs the rows that the sequences of the layout have: `x` is `[prefix + tokens, heads · size]`, of either type.
    init(
        _ x: Tensor, _ size: Int, _ layout: SequenceLayout, _ form: Form, exact: Bool = false, _ compute: Compute
    ) {
        (self.size, isExact) = (size, exact && x.elementType == .float32)
        stride = Int(martlet_attention_spread(Int64(size)))
        var stretches: [Stretch] = [], (tileCount, transposedCount) = (0, 0)
        for (start, end) in zip(layout.offsets, layout.offsets.dropFirst()) {
            let tokens = start..<end + layout.prefix
            stretches.append(Stretch(tokens: tokens, tiles: tileCount, transposed: transposedCount))
            tileCount += (isExact ? Int(MARTLET_ATTENTION_PARTS) : 1) * Self.count(tokens.count, size)
            transposedCount += Self.count(size, tokens.count)
        }
        (self.stretches, keyCount) = (stretches, layout.prefix + layout.tokenCount)
        let heads = x.columns / size
        if compute.tiles == nil {
            rows = compute.empty([heads * keyCount, stride])
            (tiles, transposed) = (nil, nil)
        } else {
            rows = nil
            tiles = form == .transposed ? nil : compute.empty([heads, tileCount], .bfloat16)
            transposed = form == .whole ? nil : compute.empty([heads, transposedCount], .bfloat16)
        }
        pack(x, heads, compute)
    }

    /// A sequence at a head.
    func at(_ sequence: Int, _ head: Int) -> martlet_attention_operand {
        let stretch = stretches[sequence]
        var operand = martlet_attention_operand()
        operand.rows = rows.map { $0.floats + (head * keyCount + stretch.tokens.lowerBound) * stride }
        operand.stride = Int64(stride)
        operand.tiles = tiles.map { $0.bfloats + head * $0.columns + stretch.tiles }
        operand.transposed = transposed.map { $0.bfloats + head * $0.columns + stretch.transposed }
        operand.parts = isExact ? Int64(MARTLET_ATTENTION_PARTS) : 1
        (operand.step, operand.transposed_step) = (
            operand.parts * Int64(Self.step(size)), Int64(Self.step(stretch.tokens.count))
        )
        return operand
    }

    // MARK: Packing

    private func pack(_ x: Tensor, _ heads: Int, _ compute: Compute) {
        let pieces = stretches.indices.flatMap { sequence in
            TileOrder.pieces(0..<stretches[sequence].tokens.count, AttentionPass.blockSize).map { (sequence, $0) }
        }
        compute.threads.run(tiles: pieces.count) { tile in
            let (sequence, part) = pieces[tile]
            let row = stretches[sequence].tokens.lowerBound + part.lowerBound
            for head in 0..<heads {
                let start = row * x.rowStride + head * size
                if rows != nil {
                    copy(x, start, part.count, head * keyCount + row, compute)
                } else {
                    packTiles(x, start, part, at(sequence, head), compute)
                }
            }
        }
    }

    /// Copies rows as float32, rounded if the precision says so.
    private func copy(_ x: Tensor, _ start: Int, _ count: Int, _ row: Int, _ compute: Compute) {
        guard let rows else { return }
        for index in 0..<count {
            let (from, target) = (start + index * x.rowStride, rows.output + (row + index) * stride)
            switch (x.elementType, compute.precision) {
            case (.bfloat16, _): martlet_from_bfloat16(Int64(size), x.bfloatRows + from, target)
            case (.float32, _) where isExact || compute.precision == .float32: target.update(from: x.floatRows + from, count: size)
            case (.float32, _): martlet_round_to_bfloat16(Int64(size), x.floatRows + from, target)
            }
        }
    }

    /// Packs rows as left operands; `part` begins on a multiple of the tiles' sides.
    private func packTiles(
        _ x: Tensor, _ start: Int, _ part: Range<Int>, _ operand: martlet_attention_operand, _ compute: Compute
    ) {
        let (count, size, stride) = (Int64(part.count), Int64(size), Int64(x.rowStride))
        if let target = operand.tiles.map({ UnsafeMutablePointer(mutating: $0) }) {
            let target = target + part.lowerBound / Self.side * Int(operand.step)
            switch x.elementType {
            case .float32 where isExact:
                compute.withScratch(Int(count * size)) { scratch in
                    martlet_attention_pack_keys(count, size, x.floatRows + start, stride, scratch, target)
                }
            case .float32: martlet_pack_rows_f32(count, size, x.floatRows + start, stride, 0, target, operand.step)
            case .bfloat16: martlet_pack_rows_bf16(count, size, x.bfloatRows + start, stride, 0, target, operand.step)
            }
        }
        if let target = operand.transposed.map({ UnsafeMutablePointer(mutating: $0) }) {
            let (target, step) = (target + part.lowerBound / Self.depth * Self.elements, operand.transposed_step)
            switch x.elementType {
            case .float32: martlet_pack_columns_f32(size, count, x.floatRows + start, stride, 1, target, step)
            case .bfloat16: martlet_pack_columns_bf16(size, count, x.bfloatRows + start, stride, 1, target, step)
            }
        }
    }
}
