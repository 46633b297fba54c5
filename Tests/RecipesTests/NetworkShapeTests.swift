import Autograd
import Checkpoints
import Datasets
import Foundation
import Layers
import Models
import Recipes
import TensorCore
import Testing
import Training

/// What the plan says of a network against what the network takes.
@Suite struct NetworkShapeTests {
    static let names = ["llama", "mixtral", "qwen3_moe", "deepseek_v3", "llama4_text", "gpt_oss", "gemma3_text", "qwen3"]

    private func model(_ name: String, _ compute: Compute) throws -> any CausalLanguageModel {
        try BaseModel.open(tinyModels.appendingPathComponent(name).path).makeModel(on: compute)
    }

    /// All matrices are counted once, experts too, whether they are modules or fused. Norms and biases are small.
    @Test(arguments: names) func weightsAreTheFiles(name: String) throws {
        let compute = try Compute(threadCount: 1)
        let base = try BaseModel.open(tinyModels.appendingPathComponent(name).path)
        let matrices = try base.tensors.names.map { try base.tensors.tensor($0) }.filter {
            $0.shape.count > 1 && !$0.name.hasSuffix("_bias")
        }
        let shape = NetworkShape(try model(name, compute), elementBytes: 4)
        #expect(shape.weightBytes == matrices.reduce(0) { $0 + $1.byteCount })
    }

    /// What activations are kept in, which adapters there are, and of which rank.
    static let forms: [(precision: Precision, group: ModuleSelection.Group, rank: Int)] = [
        (.float32, .allLinear, 2), (.float32, .attention, 2), (.bfloat16, .allLinear, 2), (.bfloat16, .attention, 2),
        (.bfloat16, .allLinear, 16),
    ]

    /// Buffers that a recorded forward pass holds, per token, with adapters on everything and on attention alone, and the most
    /// that a step takes.
    @Test(arguments: names, forms) func trainingTakesWhatIsPlanned(
        name: String, form: (precision: Precision, group: ModuleSelection.Group, rank: Int)
    ) throws {
        let compute = try Compute(precision: form.precision, threadCount: 1)
        let model = try model(name, compute)
        let settings = AdapterConfiguration(rank: form.rank, targets: .group(form.group))
        _ = try LoRAAdapter(attaching: settings, to: model.adapterTargets, seed: 1, on: compute)
        let ids = (0..<2048).map { Int32($0 * 31 % 280) }
        let layout = SequenceLayout(offsets: Array(stride(from: 0, through: 2048, by: 64)))
        let graph = Graph(compute: compute, gradients: Gradients())
        let before = compute.buffers.statistics.liveBytes
        let hidden = model.hiddenStates(ids, layout: layout, cache: nil, recompute: false, in: graph)
        // What is remembered of the last operand of a product passes by: it gives way to that of a small one.
        compute.prepareLowTerm(compute.zeros([16, 32]), besideRank: 0)
        let shape = NetworkShape(model, elementBytes: form.precision.activationType.byteCount)
        let planned = Double(model.layerCount * shape.keptBytesPerBlock)
        // The result, in float32, is there besides.
        let held = Double(compute.buffers.statistics.liveBytes - before) / Double(ids.count) - Double(shape.residualBytes)
        // Narrow models have shares that wide ones do not: statistics of norms, angles, the last norm.
        #expect(planned > 0.92 * held && planned < 1.15 * held, "planned \(planned), held \(held)")
        let (loss, _) = model.loss(hidden, targets: ids, in: graph)
        graph.backward(from: loss)
        let statistics = compute.buffers.statistics
        let peak = Double(statistics.liveBytes + statistics.pooledBytes - before)
        let (kept, scratch) = shape.trainingBytes(tokens: ids.count, supervised: ids.count, again: nil)
        let most = Double(kept + scratch)
        #expect(most > 1.05 * peak && most < 1.45 * peak, "planned \(kept) + \(scratch), taken \(peak)")
    }

    /// The same where blocks are computed again: their inputs, and what attention gave if it is long and is to be kept.
    @Test(arguments: ["llama", "deepseek_v3", "gemma3_text"], [64, 2048])
    func inputsOfBlocksAreThoseHeld(name: String, length: Int) throws {
        let compute = try Compute(threadCount: 1)
        let model = try model(name, compute)
        let settings = AdapterConfiguration(rank: 2, targets: .group(.allLinear))
        _ = try LoRAAdapter(attaching: settings, to: model.adapterTargets, seed: 1, on: compute)
        let layout = SequenceLayout(offsets: Array(stride(from: 0, through: 2048, by: length)))
        let shape = NetworkShape(model, elementBytes: 4)
        let attention = shape.longAttentionBytes(longest: length)
        #expect((attention > 0) == (length == 2048))
        for keeps in [false, true] {
            let graph = Graph(compute: compute, gradients: Gradients())
            graph.keepsLongAttention = keeps
            let before = compute.buffers.statistics.liveBytes
            let hidden = model.hiddenStates(
                (0..<2048).map { Int32($0 * 31 % 280) }, layout: layout, cache: nil, recompute: true, in: graph)
            let held = Double(compute.buffers.statistics.liveBytes - before) / 2048
            let planned = Double(model.layerCount * shape.residualBytes + (keeps ? attention : 0))
            // The first block's input needs no gradient and is held all the same; so is the result, twice.
            #expect(planned > 0.6 * held && planned <= held, "planned \(planned), held \(held)")
            graph.backward(from: hidden)
        }
    }

    /// The most that an evaluation takes at any time is what the plan allows for it, which is less than training takes for
    /// as many tokens.
    @Test(arguments: names) func evaluationsTakeWhatIsPlanned(name: String) throws {
        let compute = try Compute(threadCount: 1)
        let model = try model(name, compute)
        let settings = AdapterConfiguration(rank: 2, targets: .group(.allLinear))
        _ = try LoRAAdapter(attaching: settings, to: model.adapterTargets, seed: 1, on: compute)
        let examples = (0..<32).map { number in
            EncodedExample(ids: (0..<64).map { Int32((number * 64 + $0) * 31 % 280) })
        }
        let live = compute.buffers.statistics.liveBytes
        _ = try Evaluation(
            of: model, on: EncodedDataset(examples, source: "d"), batchTokens: 2048, compute: compute)
        let statistics = compute.buffers.statistics
        let peak = Double(statistics.liveBytes + statistics.pooledBytes - live)
        let shape = NetworkShape(model, elementBytes: 4)
        let planned = Double(shape.evaluationBytes(tokens: 2048, supervised: 2048))
        #expect(planned > 0.95 * peak && planned < 2 * peak, "planned \(planned), taken \(peak)")
    }
}
