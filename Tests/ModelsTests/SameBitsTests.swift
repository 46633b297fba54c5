import Autograd
import Foundation
import Layers
import Models
import TensorCore
import Testing

/// What must not change a bit, and what may change a few.
@Suite struct SameBitsTests {
    /// Loss and gradients of the tiny model with its adapter and dropout on 700 tokens in four sequences, which is more
    /// than one tile of every product.
    private func results(
        precision: Precision = .float32, threads: Int = 2, recompute: Bool = false
    ) throws -> (loss: Double, gradients: [[Float]]) {
        let compute = try Compute(precision: precision, threadCount: threads)
        let reference = try Reference("llama")
        let model = try reference.model(on: compute)
        let file = try AdapterFolder(reference.folder.appendingPathComponent("adapter"), on: compute)
        var configuration = file.configuration
        configuration.dropout = 0.1
        let adapter = try LoRAAdapter(configuration, factors: file.factors, layers: model.linears)
        let seed = try reference.ids("long_input_ids")
        let ids = (0..<700).map { seed[$0 * $0 % seed.count] }
        let layout = SequenceLayout(offsets: [0, 1, 130, 333, 700])
        let targets = ids.indices.map { layout.offsets.contains($0 + 1) ? -100 : ids[$0 + 1] }
        let gradients = Gradients()
        let loss = meanLoss(
            model, ids, targets, layout, gradients: gradients, recompute: recompute,
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

    @Test(arguments: Precision.allCases) func recomputationChangesNoBit(precision: Precision) throws {
        let (kept, recomputed) = (try results(precision: precision), try results(precision: precision, recompute: true))
        #expect(kept.loss == recomputed.loss && kept.gradients == recomputed.gradients)
    }

    @Test func bfloat16IsCloseToFloat32() throws {
        let reference = try Reference("llama")
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

    @Test func sequencesOfABatchDoNotSeeEachOther() throws {
        let compute = try Compute(threadCount: 2)
        let reference = try Reference("llama")
        let model = try reference.model(on: compute)
        let (ids, _, layout) = try reference.batch()
        let together = model.logits(ids, layout: layout, on: compute).toArray()
        let alone = model.logits(Array(ids[40...]), layout: SequenceLayout(count: 40), on: compute).toArray()
        #expect(largestDifference(Array(together[(40 * 288)...]), alone) < Tolerance.logits)
    }
}
