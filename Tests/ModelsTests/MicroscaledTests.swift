import Autograd
import Checkpoints
import Foundation
import Layers
import Models
import TensorCore
import Testing

/// gpt-oss with experts in MXFP4, as it is published, against what transformers expands and computes.
@Suite struct MicroscaledTests {
    let compute: Compute
    let files: ShardedSafetensors
    let expected: SafetensorsFile

    init() throws {
        compute = try Compute(threadCount: 2)
        let folder = fixtures.appendingPathComponent("gpt_oss_mxfp4")
        files = try ShardedSafetensors(folder: folder)
        expected = try SafetensorsFile(folder.appendingPathComponent("expected.safetensors"))
    }

    private func model(_ tensors: (any TensorSource)? = nil) throws -> any CausalLanguageModel {
        let configuration = try Data(contentsOf: files.folder.appendingPathComponent("config.json"))
        return try GPTOSS.makeModel(
            configuration: configuration, tensors: tensors ?? MicroscaledTensors(files), place: "PLACE", on: compute)
    }

    private func logits(_ model: any CausalLanguageModel) throws -> [Float] {
        let ids = try (expected.entry("input_ids").integers() ?? []).map { Int32($0) }
        return model.logits(ids, layout: SequenceLayout(offsets: [0, 40, 80]), on: compute).toArray()
    }

    @Test func logitsAreThoseRecorded() throws {
        #expect(largestDifference(try logits(model()), try expected.tensor("logits").expandAll()) < Tolerance.logits)
    }

    @Test func weightsExpandToTheSameBits() throws {
        let found = try MicroscaledTensors(files).tensor("model.layers.1.mlp.experts.down_proj")
        let recorded = try expected.tensor("expanded")
        #expect(found.shape == recorded.shape && found.shape == [4, 32, 64])
        #expect(found.expandAll().map(\.bitPattern) == recorded.expandAll().map(\.bitPattern))
    }

    /// All codes under scales from the smallest to the one that stands for no number.
    @Test(arguments: ["apart", "in blocks"]) func everyCodeUnderManyScales(layout: String) throws {
        let scales = try #require(try expected.entry("every_scale").integers())
        let recorded = try expected.tensor("every")
        for (index, scale) in scales.enumerated() {
            let codes = (0..<256).map { UInt8($0) }
            let exponents = [UInt8](repeating: UInt8(scale), count: 16)
            let tensor: StoredTensor
            if layout == "apart" {
                tensor = try StoredTensor(
                    name: "w", shape: [16, 32],
                    microscaled: MicroscaledMatrix(
                        codes: MappedBytes(copying: codes), scales: MappedBytes(copying: exponents)))
            } else {
                // Elements 2j and 2j + 1 share a byte there, j and j + 16 here.
                let blocks = (0..<16).flatMap { block -> [UInt8] in
                    let values = codes[16 * block..<16 * block + 16].flatMap { [$0 & 15, $0 >> 4] }
                    return [UInt8(scale)] + (0..<16).map { values[$0] | values[$0 + 16] << 4 }
                }
                tensor = try StoredTensor(
                    name: "w", shape: [16, 32], format: .mxfp4, bytes: MappedBytes(copying: blocks))
            }
            // Recorded is [scales, 32, 16].
            let values = Array(recorded.expandAll()[index * 512..<(index + 1) * 512])
            for (at, found) in tensor.expandAll().enumerated() {
                let value = values[at % 32 * 16 + at / 32]
                #expect(
                    found.isNaN ? value.isNaN : found.bitPattern == value.bitPattern, "scale \(scale), element \(at)")
            }
        }
    }

    @Test func expertsStayPackedAndAreExpandedOncePerDirection() throws {
        let model = try model()
        let settings = AdapterConfiguration(rank: 2, targets: .group(.allLinear))
        _ = try LoRAAdapter(attaching: settings, to: model.adapterTargets, seed: 1, on: compute)
        let graph = Graph(compute: compute, gradients: Gradients())
        let log = RoutingLog()
        graph.routingLog = log
        let hidden = model.hiddenStates(
            [5], layout: SequenceLayout(count: 1), cache: nil, recompute: false, in: graph)
        graph.backward(from: hidden)
        let banks = model.adapterTargets.compactMap { $0 as? ExpertBank }
        #expect(banks.count == 4)
        for bank in banks {
            let number = bank.name.split(separator: ".").compactMap { Int($0) }[0]
            let (size, tokens) = (bank.weight.outputs * bank.weight.inputs, try #require(log.counts[number]))
            #expect(bank.weight.expansions.counts == tokens.map { $0 > 0 ? 2 * size : 0 }, "\(bank.name)")
            #expect(tokens.contains(0))
            // 4 bits and a thirty-second of a byte each.
            #expect(bank.byteCount == 4 * size / 2 + 4 * size / 32)
        }
    }

    @Test func adaptersAreMerged() throws {
        let model = try model()
        let settings = AdapterConfiguration(rank: 2, alpha: 4, targets: .group(.allLinear))
        let adapter = try LoRAAdapter(attaching: settings, to: model.adapterTargets, seed: 1, on: compute)
        for parameter in adapter.parameters where parameter.name.hasSuffix("lora_B") {
            parameter.update { for index in $0.indices { $0[index] = Float(index % 7) * 0.01 - 0.03 } }
        }
        let merged = MergedTensors(MicroscaledTensors(files), adapter: adapter)
        #expect(merged.changedNames.contains("model.layers.0.mlp.experts.gate_up_proj"))
        #expect(!merged.names.contains { $0.hasSuffix("_blocks") || $0.hasSuffix("_scales") })
        #expect(largestDifference(try logits(self.model(merged)), try logits(model)) < Tolerance.logits)
        #expect(largestDifference(try logits(self.model(merged)), try expected.tensor("logits").expandAll()) > 0.1)
    }

    @Test func partsThatDoNotFitAreNamed() throws {
        func refusal(_ change: (inout [String: (shape: [Int], type: SafetensorsType)]) -> Void) throws -> String {
            var parts: [String: (shape: [Int], type: SafetensorsType)] = [
                "a.experts.w_blocks": ([2, 4, 1, 16], .uint8), "a.experts.w_scales": ([2, 4, 1], .uint8),
            ]
            change(&parts)
            let folder = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: folder) }
            let declarations = parts.sorted { $0.key < $1.key }.map {
                TensorDeclaration(name: $0.key, shape: $0.value.shape, type: $0.value.type)
            }
            let writer = try ShardedSafetensorsWriter(folder: folder, tensors: declarations, maximumShardBytes: 1 << 20)
            for part in declarations {
                let size = part.shape.reduce(part.type == .uint8 ? 1 : 4, *)
                try [UInt8](repeating: 0, count: size).withUnsafeBytes { try writer.append($0, to: part.name) }
            }
            try writer.finish()
            do {
                _ = try MicroscaledTensors(ShardedSafetensors(folder: folder)).tensor("a.experts.w")
                return ""
            } catch { return "\(error)" }
        }
        #expect(try refusal { _ in } == "")
        #expect(try refusal { $0["a.experts.w_scales"] = nil }.contains("no tensor called a.experts.w_scales"))
        #expect(try refusal { $0["a.experts.w_scales"]?.shape = [2, 4, 2] }.contains("scales [2, 4, 2], expected"))
        #expect(try refusal { $0["a.experts.w_blocks"]?.shape = [2, 4, 16] }.contains("blocks [2, 4, 16]"))
        #expect(try refusal { $0["a.experts.w_scales"]?.type = .float32 }.contains("w_scales has type F32"))
    }
}
