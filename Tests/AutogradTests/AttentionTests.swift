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
        AttentionOptions(heads: 4, keyValueHeads: 2, headSize: 64, valueSize: 32, scale: 0.1, window: 150),
        AttentionOptions(heads: 2, keyValueHeads: 1, headSize: 32, scale: 0.15, softCap: 3),
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

    @Test(arguments: kinds, TileUnit.usable.map { ($0, .float32) } + [(nil, .float16)] as [(TileUnit?, VectorUnit)])
    func inOtherProductsItIsAsGoodAsWithRoundedOperands(
        options: AttentionOptions, unit: (tiles: TileUnit?, vectors: VectorUnit)
    ) throws {
        func results(
            _ precision: Precision, _ tiles: TileUnit?, _ vectors: VectorUnit = .float32, threads: Int = 2
        ) throws -> [[Float]] {
            let compute = try Compute(precision: precision, threadCount: threads, tiles: tiles, vectors: vectors)
            return run(compute, Self.layout, options, sinks: true)
        }
        func error(_ found: [Float], _ exact: [Float]) -> Double {
            let difference = zip(found, exact).reduce(0.0) { $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1) }
            return (difference / exact.reduce(0.0) { $0 + Double($1) * Double($1) }).squareRoot()
        }
        let (exact, found) = (try results(.float32, nil), try results(.bfloat16, unit.tiles, unit.vectors))
        let isInFloat32 = unit.vectors == .float16 && (options.headSize % 32 > 0 || options.valueSize % 32 > 0)
        for (index, (found, rounded)) in zip(found, try results(.bfloat16, nil)).enumerated() {
            #expect(error(found, exact[index]) < max(8e-3, 2 * error(rounded, exact[index])))
            // Outputs on vectors are computed in float32, too.
            let isSame = isInFloat32 || unit.tiles == .vectors && index == 0
            #expect(found.count == exact[index].count && (found == rounded) == isSame)
        }
        #expect(try results(.bfloat16, unit.tiles, unit.vectors, threads: 1) == found)
    }

    /// Biases give keys a large part in common, which gradients of queries must not notice in any kind of product.
    @Test(arguments: TileUnit.usable.map { ($0, .float32) } + [(nil, .float32), (nil, .float16)] as [(TileUnit?, VectorUnit)])
    func whatKeysShareTakesNoPart(unit: (tiles: TileUnit?, vectors: VectorUnit)) throws {
        let options = AttentionOptions(heads: 4, keyValueHeads: 2, headSize: 32, scale: 0.05)
        let layout = SequenceLayout(offsets: [0, 70, 300])
        func gradients(_ precision: Precision, _ tiles: TileUnit?, _ vectors: VectorUnit) throws -> [[Float]] {
            let compute = try Compute(precision: precision, threadCount: 2, tiles: tiles, vectors: vectors)
            let graph = Graph(compute: compute, gradients: Gradients())
            var k = random([300, 64], 2, on: compute)
            k.withUniqueFloats { keys in for index in keys.indices { keys[index] += 30 } }
            let leaves = [random([300, 128], 1, on: compute), k, random([300, 64], 3, on: compute)].map(graph.leaf)
            let y = graph.attention(leaves[0], leaves[1], leaves[2], layout: layout, options: options)
            graph.backward(from: y, gradient: random(y.value.shape, 4, on: compute))
            return try leaves.map { try #require(graph.gradient(of: $0)).toArray() }
        }
        let (exact, found) = (try gradients(.float32, nil, .float32), try gradients(.bfloat16, unit.tiles, unit.vectors))
        for (found, exact) in zip(found, exact) {
            let difference = zip(found, exact).reduce(0.0) { $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1) }
            let error = (difference / exact.reduce(0.0) { $0 + Double($1) * Double($1) }).squareRoot()
            #expect(error < 2e-2, "\(error)")
        }
    }

    @Test(arguments: [1, 2, 7, 8, 90], [nil, 40, 400] as [Int?])
    func continuesACache(count: Int, window: Int?) throws {
        try continuesACache(count, window, on: try Compute(threadCount: 2), within: 1e-5)
        for unit in TileUnit.usable {
            try continuesACache(
                count, window, on: try Compute(precision: .bfloat16, threadCount: 2, tiles: unit), within: 0.03)
        }
        let inFloat16 = try Compute(precision: .bfloat16, threadCount: 2, tiles: nil, vectors: .float16)
        try continuesACache(count, window, headSize: 32, valueSize: 64, on: inFloat16, within: 0.03)
    }

    private func continuesACache(
        _ count: Int, _ window: Int?, headSize: Int = 20, valueSize: Int = 12, on compute: Compute, within tolerance: Float
    ) throws {
        let options = AttentionOptions(
            heads: 6, keyValueHeads: 2, headSize: headSize, valueSize: valueSize, scale: 0.2, window: window,
            softCap: window.map { _ in 3 })
        let rows = 700
        let (q, k) = (random([rows, 6 * headSize], 1, on: compute), random([rows + 4, 2 * headSize], 2, on: compute))
        let (v, sinks) = (random([rows + 4, 2 * valueSize], 3, on: compute), random([6], 4, on: compute))
        func attention(_ q: Tensor, _ layout: SequenceLayout) -> [Float] {
            Graph(compute: compute).attention(
                Variable(constant: q), Variable(constant: k), Variable(constant: v), layout: layout, options: options,
                sinks: sinks).value.toArray()
        }
        let all = attention(q, SequenceLayout(count: rows))
        let tail = compute.tensor(Array(q.toArray().suffix(count * 6 * headSize)), shape: [count, 6 * headSize])
        let last = attention(tail, SequenceLayout(count: count, after: rows - count))
        let worst = zip(last, all.suffix(count * 6 * valueSize)).map { abs($0 - $1) }.max() ?? .infinity
        #expect(worst < tolerance)
    }

    private func reference(_ compute: Compute, _ layout: SequenceLayout, _ options: AttentionOptions) -> [[Double]] {
        let rows = layout.tokenCount
        func values(_ width: Int, _ stream: UInt64) -> [Double] {
            random([rows, width], stream, on: compute).toArray().map { Double($0) }
        }
        return AttentionReference(
            layout: layout, options: options, q: values(options.heads * options.headSize, 1),
            k: values(options.keyValueHeads * options.headSize, 2),
            v: values(options.keyValueHeads * options.valueSize, 3), dy: values(options.heads * options.valueSize, 5),
            sinks: random([options.heads], 4, on: compute).toArray().map { Double($0) }
        ).results().map(\.values)
    }
}
