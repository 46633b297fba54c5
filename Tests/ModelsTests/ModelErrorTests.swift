import Checkpoints
import Foundation
import Layers
import Models
import TensorCore
import Testing

/// Damaged configurations and adapters are refused with a sentence that names the place.
@Suite struct ModelErrorTests {
    let compute: Compute
    let reference: Reference

    init() throws {
        compute = try Compute(threadCount: 1)
        reference = try Reference("llama")
    }

    /// The error of building the model after a change of its configuration.
    private func message(_ change: (inout [String: Any]) -> Void) throws -> String {
        let data = try Data(contentsOf: reference.folder.appendingPathComponent("config.json"))
        var object = try JSONSerialization.jsonObject(with: data) as? [String: Any] ?? [:]
        change(&object)
        let changed = try JSONSerialization.data(withJSONObject: object)
        do {
            _ = try Llama.makeModel(
                configuration: changed, tensors: try reference.source(), place: "PLACE", on: compute)
            return ""
        } catch {
            return "\(error)"
        }
    }

    @Test func configurations() throws {
        #expect(try message { _ in } == "")
        let cases: [(key: String, value: Any?, expected: String)] = [
            ("hidden_size", nil, "PLACE: the key hidden_size is missing"),
            ("hidden_size", "64", "PLACE: the key hidden_size is no whole number"),
            ("hidden_size", 32, "model.embed_tokens.weight has shape [288, 64]"),
            ("num_hidden_layers", 4, "model.layers.3"),
            ("num_hidden_layers", 2, "does not use 9 tensors (model.layers.2.input_layernorm.weight"), ("num_hidden_layers", 0, "num_hidden_layers is 0"),
            ("num_hidden_layers", -1, "num_hidden_layers is -1"),
            ("num_attention_heads", 0, "num_attention_heads is 0"),
            ("num_key_value_heads", 3, "no multiple of num_key_value_heads"), ("head_dim", 15, "head_dim is 15"),
            ("rms_norm_eps", 0, "rms_norm_eps"), ("hidden_act", "gelu", "hidden_act is gelu"),
            ("rope_theta", 0, "rope_theta"), ("vocab_size", Int.max, "vocab_size"),
            ("rope_scaling", ["rope_type": "mrope"], "rope_scaling type mrope"),
            ("rope_scaling", ["rope_type": "linear"], "rope_scaling.factor"),
        ]
        for (key, value, expected) in cases {
            let found = try message { $0[key] = value }
            #expect(found.contains(expected), "\(key) = \(String(describing: value)): \(found)")
            #expect(found.contains("PLACE") || found.contains(reference.folder.path))
        }
    }

    /// The error of reading a copy of the adapter after a change of its configuration.
    private func adapterMessage(_ key: String, _ value: Any) throws -> String {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-\(UUID().uuidString)")
        try FileManager.default.copyItem(at: reference.folder.appendingPathComponent("adapter"), to: folder)
        defer { try? FileManager.default.removeItem(at: folder) }
        let place = folder.appendingPathComponent("adapter_config.json")
        var object = try JSONSerialization.jsonObject(with: Data(contentsOf: place)) as? [String: Any] ?? [:]
        object[key] = value
        try JSONSerialization.data(withJSONObject: object).write(to: place)
        do {
            _ = try AdapterFolder(folder, on: compute).attach(to: try reference.model(on: compute).linears)
            return ""
        } catch {
            return "\(error)"
        }
    }

    @Test func adapters() throws {
        #expect(try adapterMessage("unknown_field", 1) == "")
        let cases: [(key: String, value: Any, expected: String)] = [
            ("peft_type", "IA3", "IA3"), ("use_dora", true, "DoRA"),
            ("bias", "all", "biases"), ("modules_to_save", ["lm_head"], "lm_head"),
            ("fan_in_fan_out", true, "fan_in_fan_out"),
            ("target_parameters", ["experts"], "experts"),
            ("r", 0, "r is 0"), ("r", 8, "is of rank 4"), ("lora_alpha", 1e39, "lora_alpha is 1e+39"), ("lora_dropout", 1, "lora_dropout"),
        ]
        for (key, value, expected) in cases {
            let found = try adapterMessage(key, value)
            #expect(found.contains(expected), "\(key) = \(value): \(found)")
        }
    }

    @Test func adapterIsWrittenAsItWasRead() throws {
        let model = try reference.model(on: compute)
        let adapter = try reference.attachAdapter(to: model, on: compute)
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try AdapterFolder.write(adapter, baseModel: "tiny", to: folder)
        let written = try SafetensorsFile(folder.appendingPathComponent("adapter_model.safetensors"))
        let original = try SafetensorsFile(reference.folder.appendingPathComponent("adapter/adapter_model.safetensors"))
        #expect(written.names == original.names)
        for name in original.names {
            #expect(try written.tensor(name).expandAll() == original.tensor(name).expandAll())
        }
        let again = try AdapterFolder(folder, on: compute)
        #expect(again.configuration.rank == 4 && again.configuration.alpha == 8 && again.baseModel == "tiny")
    }
}
