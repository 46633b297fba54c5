import Autograd
import Foundation
import Layers
import Models
import TensorCore
import Testing

/// A training step in bfloat16 on tiles or float16 vectors, through every layer of a model.
@Suite struct TileTrainingTests {
    /// Loss and gradients by tensor of a tiny model with an adapter, on 700 tokens in four sequences.
    private func results(
        _ name: String, _ adapter: String, precision: Precision = .bfloat16, tiles: TileUnit? = .emulated,
        vectors: VectorUnit? = .float32, threads: Int = 2, recompute: Bool = false, dropout: Double = 0
    ) throws -> (loss: Double, gradients: [(name: String, values: [Float])]) {
        let compute = try Compute(precision: precision, threadCount: threads, tiles: tiles, vectors: vectors)
        let reference = try Reference(name)
        let model = try reference.model(on: compute)
        let file = try AdapterFolder(reference.folder.appendingPathComponent(adapter), on: compute)
        let attached: LoRAAdapter
        if dropout > 0 {
            var configuration = file.configuration
            configuration.dropout = Float(dropout)
            attached = try LoRAAdapter(configuration, factors: file.factors, layers: model.linears)
        } else {
            attached = try file.attach(to: model.linears)
        }
        let seed = try reference.ids("long_input_ids")
        let ids = (0..<700).map { seed[$0 * $0 % seed.count] }
        let layout = SequenceLayout(offsets: [0, 1, 130, 333, 700])
        let targets = ids.indices.map { layout.offsets.contains($0 + 1) ? -100 : ids[$0 + 1] }
        let gradients = Gradients()
        let loss = meanLoss(
            model, ids, targets, layout, gradients: gradients, recompute: recompute,
            dropout: dropout > 0 ? DropoutContext(seed: 1, step: 3, firstToken: 7) : nil, on: compute)
        return (
            loss,
            attached.parameters.compactMap { parameter in gradients[parameter].map { (parameter.name, $0.toArray()) } }
        )
    }

    private func relativeError(_ found: [Float], _ expected: [Float]) -> Double {
        let difference = zip(found, expected).reduce(0.0) { $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1) }
        return (difference / max(1e-30, expected.reduce(0.0) { $0 + Double($1) * Double($1) })).squareRoot()
    }

    /// What a trained model is held to, 1 % and 5 %, holds for tiny ones; with every result rounded that an operation hands
    /// on, with rounded queries and keys or without the largest columns given back it does not. Where a router decides, rounding
    /// sends a few tokens to other experts, which nothing bounds; there the error is held against that of rounded operands
    /// in float32 products.
    @Test(arguments: [
        ("llama", "adapter", 0.01), ("qwen2", "adapter", 0.015), ("phi3", "adapter", 0.016),
        ("mixtral", "adapter_experts", nil),
    ])
    func gradientsAreCloseToFloat32(name: String, adapter: String, median: Double?) throws {
        let exact = try results(name, adapter, precision: .float32)
        func errors(_ tiles: TileUnit?, _ vectors: VectorUnit = .float32) throws -> [Double] {
            let rough = try results(name, adapter, tiles: tiles, vectors: vectors)
            #expect(abs(rough.loss / exact.loss - 1) < 0.01)
            #expect(rough.gradients.map(\.name) == exact.gradients.map(\.name) && !exact.gradients.isEmpty)
            return zip(rough.gradients, exact.gradients).map { relativeError($0.values, $1.values) }.sorted()
        }
        let through = try errors(nil)
        for found in try TileUnit.usable.map({ try errors($0) }) + [try errors(nil, .float16)] {
            let (middle, last) = (found.count / 2, found.count - 1)
            #expect(found[0] > 1e-5, "\(name) was not computed in 16 bits")
            #expect(found[middle] < 1.5 * through[middle] && found[last] < 2 * through[last])
            if let median { #expect(found[middle] < median && found[last] < 0.05, "\(name): \(found)") }
        }
    }

    @Test(arguments: [("llama", "adapter"), ("mixtral", "adapter_experts")], [0, 0.1])
    func threadsAndRecomputationChangeNoBit(model: (name: String, adapter: String), dropout: Double) throws {
        for (tiles, vectors) in TileUnit.usable.map({ ($0, VectorUnit.float32) }) + [(nil, .float16)] {
            func step(_ threads: Int, recompute: Bool) throws -> (loss: Double, gradients: [[Float]]) {
                let found = try results(
                    model.name, model.adapter, tiles: tiles, vectors: vectors, threads: threads, recompute: recompute,
                    dropout: dropout)
                return (found.loss, found.gradients.map(\.values))
            }
            let one = try step(1, recompute: false)
            for (threads, recompute) in [(2, false), (3, true)] {
                let other = try step(threads, recompute: recompute)
                #expect(other.loss == one.loss && other.gradients == one.gradients, "\(threads) threads")
            }
        }
    }
}
