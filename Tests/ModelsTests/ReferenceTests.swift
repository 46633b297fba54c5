import Autograd
import Checkpoints
import Foundation
import Layers
import Models
import TensorCore
import Testing

/// float32 results against those of another implementation.
@Suite struct ReferenceTests {
    let compute: Compute

    init() throws { compute = try Compute(threadCount: 2) }

    @Test(arguments: references, ["config.json", "config.v5.json"])
    func logits(name: String, config: String) throws {
        let reference = try Reference(name)
        let (ids, _, layout) = try reference.batch()
        let logits = try reference.model(config: config, on: compute).logits(ids, layout: layout, on: compute)
        #expect(logits.shape == [80, 288])
        #expect(largestDifference(logits.toArray(), try reference.floats("logits")) < Tolerance.logits)
    }

    @Test(arguments: references) func bothConfigurationsGiveTheSameBits(name: String) throws {
        let reference = try Reference(name)
        let (ids, _, layout) = try reference.batch()
        let old = try reference.model(config: "config.json", on: compute).logits(ids, layout: layout, on: compute)
        let new = try reference.model(config: "config.v5.json", on: compute).logits(ids, layout: layout, on: compute)
        #expect(old.toArray() == new.toArray())
    }

    @Test(arguments: references) func losses(name: String) throws {
        let reference = try Reference(name)
        let model = try reference.model(on: compute)
        for (labels, key) in [("input_ids", "loss"), ("labels_masked", "loss_masked")] {
            let (ids, targets, layout) = try reference.batch(labels: labels)
            #expect(
                abs(meanLoss(model, ids, targets, layout, on: compute) - reference.number(key)) < Tolerance.loss,
                "\(key)")
        }
        let masked = try reference.batch(labels: "labels_masked").targets
        #expect(masked.count { $0 >= 0 } < 78)
    }

    @Test(arguments: references) func longSequence(name: String) throws {
        let reference = try Reference(name)
        let model = try reference.model(on: compute)
        let (ids, expected) = (try reference.ids("long_input_ids"), try reference.floats("long_logits_last8"))
        let layout = SequenceLayout(count: ids.count)
        let logits = model.logits(ids, layout: layout, on: compute).toArray()
        #expect(expected.count == 8 * 288)
        #expect(largestDifference(Array(logits.suffix(expected.count)), expected) < Tolerance.logits)
        let loss = meanLoss(model, ids, ids.dropFirst() + [-100], layout, on: compute)
        #expect(abs(loss - reference.number("loss_long")) < Tolerance.loss)
    }

    @Test(arguments: references) func adapterLogits(name: String) throws {
        let reference = try Reference(name)
        let model = try reference.model(on: compute)
        let (ids, _, layout) = try reference.batch()
        let plain = model.logits(ids, layout: layout, on: compute).toArray()
        let adapter = try reference.attachAdapter(to: model, on: compute)
        let expected = try reference.floats("adapter.logits_row0")
        let logits = model.logits(ids, layout: layout, on: compute).toArray()
        #expect(largestDifference(Array(logits.prefix(expected.count)), expected) < Tolerance.logits)
        #expect(largestDifference(logits, plain) > 0.1)
        adapter.detach()
        #expect(model.logits(ids, layout: layout, on: compute).toArray() == plain)
    }

    @Test(arguments: references) func adapterGradients(name: String) throws {
        let reference = try Reference(name)
        let model = try reference.model(on: compute)
        let adapter = try reference.attachAdapter(to: model, on: compute)
        let (ids, targets, layout) = try reference.batch()
        let gradients = Gradients()
        let loss = meanLoss(model, ids, targets, layout, gradients: gradients, on: compute)
        let supervised = Float(targets.count { $0 >= 0 })
        #expect(abs(loss - (reference.section("adapter")["loss"] as? Double ?? .nan)) < Tolerance.loss)
        #expect(adapter.parameters.count == reference.section("adapter")["tensors"] as? Int)
        for parameter in adapter.parameters {
            let expected = try reference.floats("adapter.grad.base_model.model.\(parameter.name).weight")
            let found = try #require(gradients[parameter]).toArray().map { $0 / supervised }
            #expect(relativeError(found, expected) < Tolerance.gradient, "\(parameter.name)")
        }
    }

    @Test(arguments: references) func mergedTensors(name: String) throws {
        let reference = try Reference(name)
        let model = try reference.model(on: compute)
        let adapter = try reference.attachAdapter(to: model, on: compute)
        let merged = MergedTensors(try reference.source(), adapter: adapter)
        #expect(merged.changedNames == adapter.layers.map { $0.name + ".weight" }.sorted())
        func whole(_ name: String) throws -> [Float] {
            var values: [Float] = []
            try merged.forEachPiece(of: name) { values += Array($0) }
            return values
        }
        let prefix = "adapter.merged."
        let recorded = reference.tensors.names.filter { $0.hasPrefix(prefix) }
        #expect(!recorded.isEmpty)
        for name in recorded {
            let difference = largestDifference(
                try whole(String(name.dropFirst(prefix.count))), try reference.floats(name))
            #expect(difference < Tolerance.merged, "\(name)")
        }
        let sums = reference.section("adapter")["merged_checks"] as? [String: [String: Any]] ?? [:]
        #expect(sums.count == adapter.layers.count)
        for (name, sums) in sums {
            let values = try whole(name)
            let squares = values.reduce(0.0) { $0 + Double($1) * Double($1) }
            #expect(abs(squares / (sums["sq_sum"] as? Double ?? .nan) - 1) < 1e-6, "\(name)")
            let sum = values.reduce(0.0) { $0 + Double($1) }
            #expect(abs(sum - (sums["sum"] as? Double ?? .nan)) < Double(values.count) * 1e-7, "\(name)")
        }
    }

    @Test func quantisedFile() throws {
        let file = try GGUFFile(fixtures.appendingPathComponent("llama-mixed.gguf"))
        let expected = try SafetensorsFile(fixtures.appendingPathComponent("llama-mixed.expected.safetensors"))
        let translation = try Llama.translate(file)
        let model = try Llama.makeModel(
            configuration: translation.configuration, tensors: GGUFTensorSource(file, translation), place: file.path,
            on: compute)
        let ids = try (expected.entry("input_ids").integers() ?? []).map { Int32($0) }
        let layout = SequenceLayout(offsets: [0, ids.count / 2, ids.count])
        let logits = model.logits(ids, layout: layout, on: compute).toArray()
        #expect(largestDifference(logits, try expected.tensor("logits").expandAll()) < Tolerance.logits)
        #expect(model.vocabularySize == 288 && model.layerCount == 3 && model.maximumLength == 512)
    }
}
