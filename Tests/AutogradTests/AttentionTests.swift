import Autograd
import Foundation
import TensorCore
import Testing

/// Attention over more tokens than a block, a part or a stretch has.
struct AttentionTests {
    private func random(_ shape: [Int], _ stream: UInt64, on compute: Compute) -> Tensor {
        let values = RandomStream(seed: 5, purpose: .initialization, stream: stream).uniform(count: shape.reduce(1, *))
        return compute.tensor(values.map { 4 * $0 - 2 }, shape: shape)
    }

    /// Output and gradients of q, k and v.
    private func run(
        _ compute: Compute, _ layout: SequenceLayout, _ options: AttentionOptions, sinks: Bool = false
    ) -> [[Float]] {
        let (rows, graph) = (layout.tokenCount, Graph(compute: compute, gradients: Gradients()))
        let type = compute.precision.activationType
        func leaf(_ width: Int, _ stream: UInt64) -> Variable {
            graph.leaf(compute.converted(random([rows, width], stream, on: compute), to: type))
        }
        let q = leaf(options.heads * options.headSize, 1)
        let (k, v) = (leaf(options.keyValueHeads * options.headSize, 2), leaf(options.keyValueHeads * options.valueSize, 3))
        let result = graph.attention(
            q, k, v, layout: layout, options: options, sinks: sinks ? random([options.heads], 4, on: compute) : nil)
        let dy = random([rows, options.heads * options.valueSize], 5, on: compute)
        graph.backward(from: result, gradient: compute.converted(dy, to: type))
        return [result.value.toArray()] + [q, k, v].map { graph.gradient(of: $0)?.toArray() ?? [] }
    }

    private static let kinds = [
        AttentionOptions(heads: 4, keyValueHeads: 2, headSize: 6, valueSize: 4, scale: 0.4),
        AttentionOptions(heads: 3, keyValueHeads: 1, headSize: 16, scale: 0.3, window: 150),
        AttentionOptions(heads: 2, keyValueHeads: 2, headSize: 5, scale: 0.5, chunk: 300, softCap: 2),
    ]
    private static let layout = SequenceLayout(offsets: [0, 3, 70, 770, 1330])

    @Test(arguments: kinds) func matchesDoubleArithmetic(options: AttentionOptions) throws {
        let compute = try Compute(threadCount: 2)
        let found = run(compute, Self.layout, options, sinks: true)
        let expected = reference(compute, Self.layout, options)
        for (found, expected) in zip(found, expected) {
            #expect(found.count == expected.count)
            let worst = zip(found, expected).map { abs(Double($0) - $1) / (1 + abs($1)) }.max() ?? .infinity
            #expect(worst < 2e-5)
        }
    }

    @Test(arguments: kinds) func threadsDoNotMatter(options: AttentionOptions) throws {
        let results = try [1, 2, 5].map { run(try Compute(threadCount: $0), Self.layout, options, sinks: true) }
        #expect(results[0] == results[1] && results[0] == results[2])
    }

    @Test(arguments: kinds) func onTilesItIsAsGoodAsWithRoundedOperands(options: AttentionOptions) throws {
        func results(_ precision: Precision, _ tiles: TileUnit?, threads: Int = 2) throws -> [[Float]] {
            run(
                try Compute(precision: precision, threadCount: threads, tiles: tiles), Self.layout, options, sinks: true)
        }
        func error(_ found: [Float], _ exact: [Float]) -> Double {
            let difference = zip(found, exact).reduce(0.0) { $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1) }
            return (difference / exact.reduce(0.0) { $0 + Double($1) * Double($1) }).squareRoot()
        }
        let (exact, tiles) = (try results(.float32, nil), try results(.bfloat16, .emulated))
        for ((found, rounded), exact) in zip(zip(tiles, try results(.bfloat16, nil)), exact) {
            #expect(error(found, exact) < max(8e-3, 2 * error(rounded, exact)))
            #expect(found.count == exact.count && found != rounded)
        }
        #expect(try results(.bfloat16, .emulated, threads: 1) == tiles)
    }

    @Test(arguments: [1, 2, 7, 8, 90], [nil, 40, 400] as [Int?])
    func continuesACache(count: Int, window: Int?) throws {
        try continuesACache(count, window, on: try Compute(threadCount: 2), within: 1e-5)
        try continuesACache(
            count, window, on: try Compute(precision: .bfloat16, threadCount: 2, tiles: .emulated), within: 0.03)
    }

    private func continuesACache(_ count: Int, _ window: Int?, on compute: Compute, within tolerance: Float) throws {
        let options = AttentionOptions(
            heads: 6, keyValueHeads: 2, headSize: 20, valueSize: 12, scale: 0.2, window: window, softCap: window.map { _ in 3 })
        let rows = 700
        let (q, k) = (random([rows, 120], 1, on: compute), random([rows + 4, 40], 2, on: compute))
        let (v, sinks) = (random([rows + 4, 24], 3, on: compute), random([6], 4, on: compute))
        func attention(_ q: Tensor, _ layout: SequenceLayout) -> [Float] {
            Graph(compute: compute).attention(
                Variable(constant: q), Variable(constant: k), Variable(constant: v), layout: layout, options: options,
                sinks: sinks).value.toArray()
        }
        let all = attention(q, SequenceLayout(count: rows))
        let tail = compute.tensor(Array(q.toArray().suffix(count * 120)), shape: [count, 120])
        let last = attention(tail, SequenceLayout(count: count, after: rows - count))
        let worst = zip(last, all.suffix(count * 72)).map { abs($0 - $1) }.max() ?? .infinity
        #expect(worst < tolerance)
    }

    /// The same in double precision, one query at a time.
    private func reference(_ compute: Compute, _ layout: SequenceLayout, _ options: AttentionOptions) -> [[Double]] {
        let (rows, size, valueSize) = (layout.tokenCount, options.headSize, options.valueSize)
        let (heads, keyHeads) = (options.heads, options.keyValueHeads)
        func values(_ width: Int, _ stream: UInt64) -> [Double] {
            random([rows, width], stream, on: compute).toArray().map { Double($0) }
        }
        let (q, k, v) = (values(heads * size, 1), values(keyHeads * size, 2), values(keyHeads * valueSize, 3))
        let (sinks, dy) = (random([heads], 4, on: compute).toArray(), values(heads * valueSize, 5))
        var (output, dq) = (dy.map { _ in 0.0 }, q.map { _ in 0.0 })
        var (dk, dv) = (k.map { _ in 0.0 }, v.map { _ in 0.0 })
        for sequence in 0..<layout.sequenceCount {
            let start = layout.offsets[sequence]
            for row in start..<layout.offsets[sequence + 1] {
                let position = row - start
                let first = max(
                    0, options.window.map { position - $0 + 1 } ?? 0, options.chunk.map { position / $0 * $0 } ?? 0)
                for head in 0..<heads {
                    let (group, at) = (head / (heads / keyHeads), (row * heads + head) * valueSize)
                    var (scores, slopes): ([Double], [Double]) = ([], [])
                    for key in start + first...row {
                        var s = 0.0
                        for c in 0..<size { s += q[(row * heads + head) * size + c] * k[(key * keyHeads + group) * size + c] }
                        s *= Double(options.scale)
                        let tangent = options.softCap.map { tanh(s / Double($0)) }
                        scores.append(tangent.map { $0 * Double(options.softCap ?? 0) } ?? s)
                        slopes.append(Double(options.scale) * (1 - (tangent ?? 0) * (tangent ?? 0)))
                    }
                    let total = scores.reduce(exp(Double(sinks[head]))) { $0 + exp($1) }
                    let weights = scores.map { exp($0) / total }
                    for (key, weight) in zip(start + first...row, weights) {
                        for c in 0..<valueSize { output[at + c] += weight * v[(key * keyHeads + group) * valueSize + c] }
                    }
                    let delta = (0..<valueSize).reduce(0.0) { $0 + dy[at + $1] * output[at + $1] }
                    for (index, key) in (start + first...row).enumerated() {
                        var d = -delta
                        for c in 0..<valueSize {
                            let place = (key * keyHeads + group) * valueSize + c
                            d += dy[at + c] * v[place]
                            dv[place] += weights[index] * dy[at + c]
                        }
                        d *= weights[index] * slopes[index]
                        for c in 0..<size {
                            let (mine, its) = ((row * heads + head) * size + c, (key * keyHeads + group) * size + c)
                            dq[mine] += d * k[its]
                            dk[its] += d * q[mine]
                        }
                    }
                }
            }
        }
        return [output, dq, dk, dv]
    }
}
