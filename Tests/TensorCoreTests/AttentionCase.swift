import CKernels
import Foundation

/// One key/value head, the query heads that share it, and a block of queries at the end of the keys, or before some that
/// none of them sees.
struct AttentionCase: CustomStringConvertible, Sendable {
    let queries, keys, headSize, valueSize, heads: Int
    let scale, cap: Float
    let window, chunk: Int?
    var q: [Float]
    let k, v, dOutput: [Float]
    let sinks: [Float]?
    let first, last: [Int32]

    init(
        queries: Int, keys: Int, headSize: Int, valueSize: Int, heads: Int, window: Int? = nil, chunk: Int? = nil,
        cap: Float = 0, hasSinks: Bool = false, unseen: Int = 0
    ) {
        (self.queries, self.keys, self.headSize, self.valueSize, self.heads) = (queries, keys, headSize, valueSize, heads)
        (self.window, self.chunk, self.cap) = (window, chunk, cap)
        scale = 1.5 / Float(headSize).squareRoot()
        (q, k) = (noise(queries * heads * headSize, 1, scale: 2), noise(keys * headSize, 2, scale: 2))
        (v, dOutput) = (noise(keys * valueSize, 3), noise(queries * heads * valueSize, 4))
        sinks = hasSinks ? noise(heads, 5, scale: 3) : nil
        let positions = (0..<queries).map { keys - unseen - queries + $0 }
        first = positions.map { position in
            Int32(max(0, window.map { position - $0 + 1 } ?? 0, chunk.map { position / $0 * $0 } ?? 0))
        }
        last = positions.map { Int32($0 + 1) }
    }

    /// The case of a number: everything about it is random.
    init(random number: Int) {
        var rolls = noise(20, 100 + UInt64(number))[...]
        /// A number from 0 to `sides − 1`.
        func roll(_ sides: Int) -> Int { Int((Double(rolls.removeFirst()) + 1) / 2 * Double(sides)) }
        let sizes = [1, 2, 7, 8, 15, 16, 17, 20, 32, 33, 48, 64, 80, 96, 128, 160]
        let (headSize, queries) = (sizes[roll(sizes.count)], [1 + roll(64), 64, 1][max(0, roll(5) - 2)])
        let (start, unseen) = ([0, 64, roll(300)][roll(3)], roll(2) * roll(70))
        self.init(
            queries: queries, keys: start + queries + unseen, headSize: headSize,
            valueSize: [headSize, sizes[roll(sizes.count)]][roll(2)], heads: 1 + roll(4),
            window: [nil, nil, 1 + roll(8), 1 + roll(150)][roll(4)], chunk: [nil, nil, 1 + roll(100)][roll(3)],
            cap: [0, 0, 0.5, 4][roll(4)], hasSinks: roll(2) == 0, unseen: unseen)
    }

    /// Those whose products can run in float16.
    static let inFloat16 = all.filter { $0.headSize % 32 == 0 && $0.valueSize % 32 == 0 }

    /// Chosen cases, and as many random ones as `MARTLET_ATTENTION_CASES` says.
    static let all = chosen + (0..<randomCount).map(AttentionCase.init(random:))
    private static let randomCount =
        ProcessInfo.processInfo.environment["MARTLET_ATTENTION_CASES"].flatMap(Int.init) ?? 40

    private static let chosen = [
        AttentionCase(queries: 1, keys: 1, headSize: 3, valueSize: 5, heads: 2),
        AttentionCase(queries: 64, keys: 64, headSize: 64, valueSize: 64, heads: 1),
        AttentionCase(queries: 64, keys: 256, headSize: 64, valueSize: 64, heads: 3, hasSinks: true),
        AttentionCase(queries: 37, keys: 150, headSize: 80, valueSize: 80, heads: 2, window: 33),
        AttentionCase(queries: 37, keys: 150, headSize: 64, valueSize: 32, heads: 2, window: 33, cap: 3),
        AttentionCase(queries: 50, keys: 70, headSize: 96, valueSize: 128, heads: 1, cap: 2),
        AttentionCase(queries: 16, keys: 83, headSize: 192, valueSize: 128, heads: 1),
        AttentionCase(queries: 20, keys: 31, headSize: 256, valueSize: 256, heads: 1, window: 7, cap: 0.7, hasSinks: true),
        AttentionCase(queries: 64, keys: 200, headSize: 20, valueSize: 7, heads: 2, window: 1),
    ]

    var description: String {
        "\(queries)/\(keys) × \(heads) × \(headSize)/\(valueSize), window \(window ?? 0), chunk \(chunk ?? 0), cap \(cap)"
    }

    var shape: martlet_attention {
        var shape = martlet_attention()
        (shape.head_size, shape.value_size, shape.scale, shape.cap) = (Int64(headSize), Int64(valueSize), scale, cap)
        (shape.query_stride, shape.output_stride) = (Int64(heads * headSize), Int64(heads * valueSize))
        return shape
    }

    /// The first key of the block.
    var firstKey: Int { Int(first[0]) / Int(MARTLET_ATTENTION_BLOCK) * Int(MARTLET_ATTENTION_BLOCK) }

    /// Calls `body` with keys and values as rows, as words of float16 and as tiles.
    func withOperands(
        _ body: (UnsafePointer<martlet_attention_operand>, UnsafePointer<martlet_attention_operand>) -> Void
    ) {
        withOperand(k, headSize, parts: Int(MARTLET_ATTENTION_PARTS)) { k in
            withOperand(v, valueSize, parts: 1) { body(k, $0) }
        }
    }

    private func withOperand(
        _ rows: [Float], _ size: Int, parts: Int, _ body: (UnsafePointer<martlet_attention_operand>) -> Void
    ) {
        let (step, transposedStep) = (parts * ((size + 31) / 32 * 512), (keys + 31) / 32 * 512)
        var tiles = [UInt16](repeating: 0x7FC0, count: (keys + 15) / 16 * step)
        var transposed = [UInt16](repeating: 0x7FC0, count: (size + 15) / 16 * transposedStep)
        if parts == 1 {
            martlet_pack_rows_f32(Int64(keys), Int64(size), rows, Int64(size), 0, &tiles, Int64(step))
        } else {
            var scratch = rows
            martlet_attention_pack_keys(Int64(keys), Int64(size), rows, Int64(size), &scratch, &tiles)
        }
        martlet_pack_columns_f32(Int64(size), Int64(keys), rows, Int64(size), 1, &transposed, Int64(transposedStep))
        let (words, inverses) = float16Words(rows, size)
        rows.withUnsafeBufferPointer { rows in
            words.withUnsafeBufferPointer { words in
                inverses.withUnsafeBufferPointer { inverses in
                    tiles.withUnsafeBufferPointer { tiles in
                        transposed.withUnsafeBufferPointer { transposed in
                            var operand = martlet_attention_operand(
                                rows: rows.baseAddress, words: words.baseAddress, stride: Int64(size),
                                inverses: inverses.baseAddress, tiles: tiles.baseAddress,
                                transposed: transposed.baseAddress, step: Int64(step),
                                transposed_step: Int64(transposedStep), parts: Int64(parts))
                            body(&operand)
                        }
                    }
                }
            }
        }
    }

    /// Rows in float16, every block of them under a scale; none where their size does not allow it.
    private func float16Words(_ rows: [Float], _ size: Int) -> (words: [UInt32], inverses: [Float]) {
        if size % 16 != 0 { return ([], []) }
        var (values, inverses) = (rows, [Float]())
        for row in stride(from: 0, to: keys, by: Int(MARTLET_ATTENTION_BLOCK)) {
            let count = min(keys - row, Int(MARTLET_ATTENTION_BLOCK))
            values.withUnsafeMutableBufferPointer { values in
                inverses += written(1) {
                    martlet_to_float16_words(
                        Int64(count), Int64(size), values.baseAddress! + row * size, Int64(size), $0)
                }
            }
        }
        return (values.map(\.bitPattern), inverses)
    }

    func withBlock(_ body: (UnsafePointer<martlet_attention_block>) -> Void) {
        first.withUnsafeBufferPointer { first in
            last.withUnsafeBufferPointer { last in
                var block = martlet_attention_block(
                    queries: Int64(queries), first_key: Int64(firstKey), last_key: Int64(last[queries - 1]),
                    first: first.baseAddress, last: last.baseAddress)
                body(&block)
            }
        }
    }

    func withRows(
        _ row: Int, _ part: Range<Int>,
        _ body: (UnsafePointer<Float>, UnsafePointer<Float>, UnsafePointer<Float>) -> Void
    ) {
        q.withUnsafeBufferPointer { q in
            k.withUnsafeBufferPointer { k in
                v.withUnsafeBufferPointer { v in
                    body(
                        q.baseAddress! + row * heads * headSize, k.baseAddress! + part.lowerBound * headSize,
                        v.baseAddress! + part.lowerBound * valueSize)
                }
            }
        }
    }

    // MARK: Double arithmetic

    struct Result {
        /// Rows as kernels leave them; heads one after another.
        var output: [Double]
        var lse: [Double]
        let dOutput: [Double]
        let queries, heads, valueSize: Int

        func lse(_ head: Int) -> [Double] { Array(lse[head * queries..<(head + 1) * queries]) }

        func delta(_ head: Int) -> [Double] {
            (0..<queries).map { row in
                let at = (row * heads + head) * valueSize
                return (at..<at + valueSize).reduce(0) { $0 + output[$1] * dOutput[$1] }
            }
        }
    }

    /// Score and slope of a query of a head against a key; nil where it is not seen.
    private func score(_ row: Int, _ head: Int, _ key: Int) -> (value: Double, slope: Double)? {
        guard (Int(first[row])..<Int(last[row])).contains(key) else { return nil }
        let dot = (0..<headSize).reduce(0.0) {
            $0 + Double(q[(row * heads + head) * headSize + $1]) * Double(k[key * headSize + $1])
        }
        let (s, cap) = (dot * Double(scale), Double(cap))
        if cap == 0 { return (s, Double(scale)) }
        let tangent = tanh(s / cap)
        return (cap * tangent, Double(scale) * (1 - tangent * tangent))
    }

    func reference() -> Result {
        var result = Result(
            output: [Double](repeating: 0, count: queries * heads * valueSize),
            lse: [Double](repeating: 0, count: heads * queries), dOutput: doubles(dOutput), queries: queries, heads: heads,
            valueSize: valueSize)
        for head in 0..<heads {
            for row in 0..<queries {
                let scores = (0..<keys).map { score(row, head, $0)?.value ?? -.infinity }
                let largest = max(scores.max() ?? 0, sinks.map { Double($0[head]) } ?? -.infinity)
                let total = scores.reduce(sinks.map { exp(Double($0[head]) - largest) } ?? 0) { $0 + exp($1 - largest) }
                result.lse[head * queries + row] = largest + log(total)
                for (key, score) in scores.enumerated() where score > -.infinity {
                    let weight = exp(score - largest) / total
                    for c in 0..<valueSize {
                        result.output[(row * heads + head) * valueSize + c] += weight * Double(v[key * valueSize + c])
                    }
                }
            }
        }
        return result
    }

    /// 1 plus the gradients of the head's queries, of keys and of values, one after another.
    func referenceGradients(head: Int, _ known: Result) -> [Double] {
        var dq = [Double](repeating: 1, count: queries * headSize)
        var (dk, dv) = ([Double](repeating: 1, count: keys * headSize), [Double](repeating: 1, count: keys * valueSize))
        let (lse, delta) = (known.lse(head), known.delta(head))
        for row in 0..<queries {
            for key in 0..<keys {
                guard let (value, slope) = score(row, head, key) else { continue }
                let weight = exp(value - lse[row])
                let at = (row * heads + head) * valueSize
                let dWeight = (0..<valueSize).reduce(0.0) {
                    $0 + Double(dOutput[at + $1]) * Double(v[key * valueSize + $1])
                }
                let d = weight * (dWeight - delta[row]) * slope
                for c in 0..<valueSize { dv[key * valueSize + c] += weight * Double(dOutput[at + c]) }
                for c in 0..<headSize {
                    dq[row * headSize + c] += d * Double(k[key * headSize + c])
                    dk[key * headSize + c] += d * Double(q[(row * heads + head) * headSize + c])
                }
            }
        }
        return dq + dk + dv
    }
}
