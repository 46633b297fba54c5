import Autograd
import Checkpoints
import Foundation
import Layers
import Models
import TensorCore
import Testing

/// Mixtures of experts from GGUF files against recorded logits. `mixtral` and `deepseek_v3` hold the recorded weights
/// as they are; in `qwen3_moe` and `llama4_text` experts are rounded to Q8_0, Q4_0, Q5_0 and F16.
@Suite struct GGUFMixtureTests {
    static let names = ["mixtral", "qwen3_moe", "deepseek_v3", "llama4_text"]
    let compute: Compute

    init() throws { compute = try Compute(threadCount: 2) }

    private func file(_ name: String) throws -> GGUFFile {
        try GGUFFile(fixtures.appendingPathComponent("gguf-mixtures/\(name).gguf"))
    }

    private func translation(_ file: GGUFFile) throws -> GGUFTranslation {
        try ModelRegistry.architecture(gguf: file.string("general.architecture"), place: file.path).translate(file)
    }

    /// The model of a file. What its metadata cannot say of the recorded Llama 4 is said here.
    private func model(
        _ name: String, _ tensors: (any TensorSource)? = nil, _ change: (inout [String: Any]) -> Void = { _ in }
    ) throws -> any CausalLanguageModel {
        let file = try file(name)
        let translation = try translation(file)
        var object = try JSONSerialization.jsonObject(with: translation.configuration) as? [String: Any] ?? [:]
        if name == "llama4_text" { (object["attention_chunk_size"], object["floor_scale"]) = (16, 8) }
        change(&object)
        return try ModelRegistry.architecture(modelType: translation.modelType, place: file.path).makeModel(
            configuration: try JSONSerialization.data(withJSONObject: object),
            tensors: tensors ?? GGUFTensorSource(file, translation), place: file.path, on: compute)
    }

    private func logits(_ name: String, _ model: any CausalLanguageModel) throws -> [Float] {
        let (ids, _, layout) = try Reference(name).batch()
        return model.logits(ids, layout: layout, on: compute).toArray()
    }

    private func expected(_ name: String) throws -> [Float] {
        let recorded = try SafetensorsFile(fixtures.appendingPathComponent("gguf-mixtures/expected.safetensors"))
        return recorded.contains(name)
            ? try recorded.tensor(name).expandAll() : try Reference(name).floats("logits")
    }

    @Test(arguments: names) func logitsAreThoseRecorded(name: String) throws {
        #expect(largestDifference(try logits(name, model(name)), try expected(name)) < Tolerance.logits)
    }

    @Test(arguments: ["mixtral", "deepseek_v3"]) func tensorsAreThoseOfTheCheckpoint(name: String) throws {
        let file = try file(name)
        let (found, reference) = (GGUFTensorSource(file, try translation(file)), try Reference(name).source())
        #expect(found.names == reference.names)
        for name in reference.names {
            let (a, b) = (try found.tensor(name), try reference.tensor(name))
            #expect(a.shape == b.shape && a.expandAll() == b.expandAll(), "\(name)")
        }
    }

    @Test(arguments: ["qwen3_moe", "llama4_text"]) func roundedTensorsHaveTheCheckpointsNames(name: String) throws {
        let file = try file(name)
        let (found, reference) = (GGUFTensorSource(file, try translation(file)), try Reference(name).source())
        #expect(found.names == reference.names)
        for name in reference.names {
            let (a, b) = (try found.tensor(name), try reference.tensor(name))
            #expect(a.shape == b.shape, "\(name)")
            // Four bits of scale 1/8 at worst, over weights of about 1/8.
            #expect(relativeError(a.expandAll(), b.expandAll()) < 0.1, "\(name)")
        }
    }

    /// What follows from the published models where the file does not say it.
    @Test func llama4IsCompletedFromThePublishedModels() throws {
        let file = try file("llama4_text")
        let object = try JSONSerialization.jsonObject(with: translation(file).configuration) as? [String: Any] ?? [:]
        #expect(object["no_rope_layers"] as? [Int] == [1, 1, 1, 0])
        #expect(object["attention_chunk_size"] as? Int == 8192 && object["floor_scale"] as? Int == 8192)
        #expect(object["use_qk_norm"] as? Bool == true && object["intermediate_size_mlp"] as? Int == 80)
        let scaling = try #require(object["rope_scaling"] as? [String: Any])
        #expect(scaling["factor"] as? Double == 16 && scaling["high_freq_factor"] as? Double == 1)
    }

    // MARK: Experts

    /// A reached expert's blocks are expanded once per direction, those of others not at all.
    @Test(arguments: names) func expertsAreExpandedOncePerDirection(name: String) throws {
        let model = try model(name)
        let settings = AdapterConfiguration(rank: 2, targets: .group(.allLinear))
        _ = try LoRAAdapter(attaching: settings, to: model.adapterTargets, seed: 1, on: compute)
        let graph = Graph(compute: compute, gradients: Gradients())
        let log = RoutingLog()
        graph.routingLog = log
        let ids = Array(try Reference(name).ids("input_ids").prefix(2))
        let hidden = model.hiddenStates(
            ids, layout: SequenceLayout(count: 2), cache: nil, recompute: false, in: graph)
        graph.backward(from: hidden)
        var (missed, banks) = (0, 0)
        for case let bank as ExpertBank in model.adapterTargets {
            let number = bank.name.split(separator: ".").compactMap { Int($0) }[0]
            let (size, tokens) = (bank.weight.outputs * bank.weight.inputs, try #require(log.counts[number]))
            (missed, banks) = (missed + tokens.count { $0 == 0 }, banks + 1)
            #expect(bank.weight.expansions.counts == tokens.map { $0 > 0 ? 2 * size : 0 }, "\(bank.name)")
        }
        #expect(banks > 0 && missed > 0)
    }

    /// An adapter over everything, written as PEFT's and folded into the tensors, computes the same as over the blocks.
    @Test(arguments: names) func adaptersAreWrittenAndMerged(name: String) throws {
        let model = try model(name)
        let plain = try logits(name, model)
        let settings = AdapterConfiguration(rank: 2, alpha: 4, targets: .group(.allLinear))
        let adapter = try LoRAAdapter(attaching: settings, to: model.adapterTargets, seed: 1, on: compute)
        for parameter in adapter.parameters where parameter.name.hasSuffix("lora_B") {
            parameter.update { for index in $0.indices { $0[index] = Float(index % 7) * 0.01 - 0.03 } }
        }
        let adapted = try logits(name, model)
        #expect(largestDifference(adapted, plain) > 0.1)
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try AdapterFolder.write(adapter, baseModel: "tiny", to: folder)
        let again = try self.model(name)
        _ = try AdapterFolder(folder, on: compute).attach(to: again.adapterTargets)
        #expect(try logits(name, again) == adapted)
        let file = try file(name)
        let base = GGUFTensorSource(file, try translation(file))
        let merged = MergedTensors(base, adapter: adapter)
        #expect(merged.names == base.names && merged.changedNames.contains { $0.contains("experts") })
        #expect(largestDifference(try logits(name, self.model(name, merged)), adapted) < Tolerance.logits)
    }

    // MARK: Files that do not fit

    /// The sentence with which a file is refused after some bytes of its metadata have been replaced.
    private func refusal(_ name: String, replacing old: [UInt8], with new: [UInt8]) throws -> String {
        let path = fixtures.appendingPathComponent("gguf-mixtures/\(name).gguf")
        var bytes = [UInt8](try Data(contentsOf: path))
        let at = try #require(Data(bytes).range(of: Data(old)))
        bytes.replaceSubrange(at, with: new)
        do {
            let file = try GGUFFile(bytes: MappedBytes(copying: bytes), path: "FILE")
            let translation = try translation(file)
            _ = try ModelRegistry.architecture(modelType: translation.modelType, place: "FILE").makeModel(
                configuration: translation.configuration, tensors: GGUFTensorSource(file, translation), place: "FILE",
                on: compute)
            return ""
        } catch { return "\(error)" }
    }

    /// A 32-bit value under a key, as it lies in a file.
    private func entry(_ key: String, _ value: UInt32) -> [UInt8] {
        Array(key.utf8) + [4, 0, 0, 0] + withUnsafeBytes(of: value.littleEndian) { [UInt8]($0) }
    }

    @Test func filesThatDoNotFitAreNamed() throws {
        let cases: [(String, String, UInt32, UInt32, String)] = [
            ("mixtral", "llama.expert_count", 4, 5, "tensor blk.0.ffn_gate_exps.weight has shape [4, 24, 64]"),
            ("mixtral", "llama.expert_used_count", 2, 9, "num_experts_per_tok (9) is more than num_local_experts"),
            ("qwen3_moe", "qwen3moe.expert_count", 8, 0, "qwen3moe.expert_count is 0"),
            ("qwen3_moe", "qwen3moe.expert_count", 8, 1 << 30, "qwen3moe.expert_count is 1073741824"),
            ("deepseek_v3", "deepseek2.expert_gating_func", 2, 1, "expected 2 (sigmoid)"),
            ("deepseek_v3", "deepseek2.expert_group_count", 4, 3, "n_group is 3"),
            ("deepseek_v3", "deepseek2.attention.kv_lora_rank", 20, 21, "attn_k_b.weight has shape [4, 20, 12]"),
            ("deepseek_v3", "deepseek2.rope.dimension_count", 8, 30, "with 30 rotated"),
            ("deepseek_v3", "deepseek2.leading_dense_block_count", 2, 1, "model.layers.1.mlp.experts.0"),
            ("llama4_text", "llama4.expert_feed_forward_length", 24, 25, "ffn_gate_exps.weight has shape [4, 24, 64]"),
            ("llama4_text", "llama4.interleave_moe_layer_step", 2, 1, "layers.0.feed_forward.experts"),
        ]
        for (name, key, old, new, sentence) in cases {
            let found = try refusal(name, replacing: entry(key, old), with: entry(key, new))
            #expect(found.contains(sentence) && found.contains("FILE"), "\(key): \(found)")
        }
        let renamed = try refusal(
            "deepseek_v3", replacing: Array("blk.2.exp_probs_b.bias".utf8), with: Array("blk.2.exp_probs_c.bias".utf8))
        #expect(renamed.contains("does not use the tensor blk.2.exp_probs_c.bias"))
        let missing = try refusal(
            "llama4_text", replacing: Array("blk.1.ffn_up_exps.weight".utf8),
            with: Array("blk.1.ffn_uq_exps.weight".utf8))
        #expect(missing.contains("no tensor called blk.1.ffn_up_exps.weight"), "\(missing)")
    }
}
