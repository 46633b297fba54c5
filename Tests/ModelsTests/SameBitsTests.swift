import Autograd
import Foundation
import Layers
import Models
import TensorCore
import Testing

/// What must not change a bit, and what may change a few.
@Suite struct SameBitsTests {
    /// Loss and gradients of the tiny model with its adapter and dropout; by default on 700 tokens in four sequences, which
    /// is more than one tile of every product.
    /// - Parameter modules: which of the adapter's modules are kept.
    private func results(
        _ name: String = "llama", precision: Precision = .float32, threads: Int = 2, recompute: Bool = false,
        keepsLongAttention: Bool = false, offsets: [Int] = [0, 1, 130, 333, 700], modules: (String) -> Bool = { _ in true }
    ) throws -> (loss: Double, gradients: [[Float]]) {
        let compute = try Compute(precision: precision, threadCount: threads)
        let reference = try Reference(name)
        let model = try reference.model(on: compute)
        let file = try AdapterFolder(reference.folder.appendingPathComponent("adapter"), on: compute)
        var configuration = file.configuration
        configuration.dropout = 0.1
        let factors = file.factors.filter { modules($0.key) }
        configuration.targets = .names(factors.keys.sorted())
        let adapter = try LoRAAdapter(configuration, factors: factors, layers: model.linears)
        let seed = try reference.ids("long_input_ids")
        let layout = SequenceLayout(offsets: offsets)
        let ids = (0..<layout.tokenCount).map { seed[$0 * $0 % seed.count] }
        let targets = ids.indices.map { layout.offsets.contains($0 + 1) ? -100 : ids[$0 + 1] }
        let gradients = Gradients()
        let loss = meanLoss(
            model, ids, targets, layout, gradients: gradients, recompute: recompute, keepsLongAttention: keepsLongAttention,
            dropout: DropoutContext(seed: 1, step: 3, firstToken: 7), on: compute)
        return (loss, try adapter.parameters.map { try #require(gradients[$0]).toArray() })
    }

    @Test(arguments: Precision.allCases) func threadsChangeNoBit(precision: Precision) throws {
        let one = try results(precision: precision, threads: 1)
        for threads in [2, 3] {
            let other = try results(precision: precision, threads: threads)
            #expect(other.loss == one.loss && other.gradients == one.gradients, "\(threads) threads")
        }
        #expect(one.loss.isFinite && one.gradients.allSatisfy { $0.contains { $0 != 0 } })
    }

    @Test(arguments: references, Precision.allCases)
    func recomputationChangesNoBit(name: String, precision: Precision) throws {
        let kept = try results(name, precision: precision)
        let recomputed = try results(name, precision: precision, recompute: true)
        #expect(kept.loss == recomputed.loss && kept.gradients == recomputed.gradients)
    }

    /// Where blocks without adapters come first, what goes into later ones needs no gradient unless blocks are computed again.
    @Test(arguments: ["llama", "mixtral", "qwen3_moe"], Precision.allCases)
    func recomputationChangesNoBitOfLaterAdapters(name: String, precision: Precision) throws {
        var tried = 0
        for ending in ["down_proj", "gate_proj", "w1", "w2", "o_proj"] {
            func isAdapted(_ module: String) -> Bool { !module.contains("layers.0.") && module.hasSuffix(ending) }
            let found = try? [false, true].map {
                try results(name, precision: precision, recompute: $0, modules: isAdapted)
            }
            // Not every model has modules of every name.
            guard let found else { continue }
            let isSame = found[0].loss == found[1].loss && found[0].gradients == found[1].gradients
            #expect(isSame && found[0].gradients.contains { $0.contains { $0 != 0 } }, "\(ending)")
            tried += 1
        }
        #expect(tried > 0)
    }

    @Test(arguments: ["llama", "gemma3_text", "deepseek_v3"], Precision.allCases)
    func keptAttentionChangesNoBit(name: String, precision: Precision) throws {
        let found = try [(false, false), (true, false), (true, true)].map { recompute, keeps in
            try results(
                name, precision: precision, recompute: recompute, keepsLongAttention: keeps, offsets: [0, 50, 2100])
        }
        for other in found[1...] { #expect(found[0].loss == other.loss && found[0].gradients == other.gradients) }
    }

    @Test(arguments: references) func bfloat16IsCloseToFloat32(name: String) throws {
        let reference = try Reference(name)
        let (ids, targets, layout) = try reference.batch()
        func run(_ precision: Precision) throws -> (logits: [Float], loss: Double) {
            let compute = try Compute(precision: precision, threadCount: 2)
            let model = try reference.model(on: compute)
            return (
                model.logits(ids, layout: layout, on: compute).toArray(),
                meanLoss(model, ids, targets, layout, on: compute)
            )
        }
        let (exact, rough) = (try run(.float32), try run(.bfloat16))
        let error = relativeError(rough.logits, exact.logits)
        #expect(error < Tolerance.bfloat16Logits && error > 1e-5)
        #expect(abs(rough.loss - exact.loss) < Tolerance.bfloat16Loss)
    }

    /// The second sequence is longer than the first, so that what depends on a length is seen too.
    @Test(arguments: references) func sequencesOfABatchDoNotSeeEachOther(name: String) throws {
        let compute = try Compute(threadCount: 2)
        let reference = try Reference(name)
        let model = try reference.model(on: compute)
        let (short, long) = (try reference.ids("input_ids").prefix(40), try reference.ids("long_input_ids"))
        let layout = SequenceLayout(offsets: [0, 40, 40 + long.count])
        let together = model.logits(short + long, layout: layout, on: compute).toArray()
        func alone(_ ids: some Collection<Int32>) -> [Float] {
            model.logits(Array(ids), layout: SequenceLayout(count: ids.count), on: compute).toArray()
        }
        #expect(largestDifference(together, alone(short) + alone(long)) < Tolerance.logits)
    }
}
