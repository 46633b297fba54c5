import Checkpoints
import Foundation
import Recipes
import Testing
import Tokenization

/// What `martlet inspect` says.
@Suite struct InspectionTests {
    private func inspect(_ name: String) throws -> Inspection {
        try Inspection(tinyModels.appendingPathComponent(name).path)
    }

    @Test func modelFolder() throws {
        let found = try inspect("llama")
        let facts = found.facts
        #expect(
            found.kind == .model && facts["kind"] == "model" && facts["architecture"] == "llama"
                && facts["supported"] == true)
        #expect(
            facts["layers"] == 3 && facts["hidden_size"] == 64 && facts["context_length"] == 512
                && facts["vocabulary"] == 288)
        // 2·288·64 + 64 + 3·(2·64·64 + 2·32·64 + 3·80·64 + 2·64)
        #expect(facts["parameters"] == 120_256 && facts["tensors"] == 30 && facts["bytes"] == 240_512)
        #expect(facts["types"]?["BF16"]?["tensors"] == 30 && facts["tied_head"] == false)
        #expect(facts["tokenizer"] == true && facts["tokenizer_vocabulary"] == 288 && facts["chat_template"] == true)
        let tied = try inspect("llama-tied").facts
        #expect(tied["tied_head"] == true && tied["tokenizer"] == false && tied["chat_template"] == false)
        #expect(tied["types"]?["F32"]?["bytes"] == tied["bytes"])
    }

    @Test func architectureThatIsNotSupported() throws {
        try withModelCopy { copy in
            try change(copy.appendingPathComponent("config.json")) { $0["model_type"] = "mamba" }
            let facts = try Inspection(copy.path).facts
            #expect(facts["architecture"] == "mamba" && facts["supported"] == false && facts["parameters"] == 120_256)
        }
    }

    @Test func ggufFile() throws {
        let facts = try inspect("llama-mixed.gguf").facts
        #expect(
            facts["kind"] == "gguf" && facts["architecture"] == "llama" && facts["layers"] == 3
                && facts["vocabulary"] == 288)
        #expect(facts["parameters"] == 120_256 && facts["tensors"] == 30 && facts["tied_head"] == false)
        #expect(
            facts["types"]?["Q4_0"]?["tensors"] == 3 && facts["types"]?["Q8_0"] != nil
                && facts["types"]?["F32"]?["tensors"] == 7)
        #expect(facts["tokenizer"] == true)
    }

    @Test func adapterAndSafetensors() throws {
        let facts = try inspect("llama/adapter").facts
        #expect(
            facts["kind"] == "adapter" && facts["rank"] == 4 && facts["alpha"] == 8
                && facts["base_model"] == "tiny-llama")
        #expect(
            facts["tensors"] == 42 && facts["parameters"] == 10_560 && facts["target_modules"]?.arrayValue?.count == 7)
        let file = try inspect("llama/adapter/adapter_model.safetensors").facts
        #expect(
            file["kind"] == "safetensors" && file["tensors"] == 42 && file["types"]?["F32"]?["parameters"] == 10_560)
    }

    @Test func adapterWithRanksOfItsOwn() throws {
        let plain = try inspect("llama/adapter").facts
        #expect(plain["use_rslora"] == false && plain["rank_pattern"] == [:] && plain["alpha_pattern"] == [:])
        let facts = try inspect("llama/adapter_patterns").facts
        #expect(facts["rank"] == 4 && facts["use_rslora"] == true && facts["rank_pattern"]?["q_proj|k_proj"] == 6)
        #expect(facts["alpha_pattern"]?["down_proj"] == 16)
    }

    /// Tensors of an unknown type may claim any size.
    @Test func sizesWithoutEndAreNoOverflow() throws {
        try withFolder { root in
            var bytes = Data("GGUF".utf8)
            func append<Number: FixedWidthInteger>(_ number: Number) {
                withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
            }
            append(UInt32(3))
            append(UInt64(2))
            append(UInt64(0))
            for name in ["a", "b"] {
                append(UInt64(1))
                bytes.append(contentsOf: name.utf8)
                append(UInt32(1))
                append(UInt64(1) << 62)
                append(UInt32(999))
                append(UInt64(0))
            }
            bytes.append(Data(count: 64))
            let file = root.appendingPathComponent("m.gguf")
            try bytes.write(to: file)
            #expect(try Inspection(file.path).facts["parameters"] == .integer(.max))
        }
    }

    @Test func everythingElseIsRefused() throws {
        try withFolder { root in
            #expect(throws: InspectionError.missing(path: "/no/such")) { try Inspection("/no/such") }
            #expect(throws: InspectionError.unknownFolder(path: root.path, holds: [])) { try Inspection(root.path) }
            let text = root.appendingPathComponent("notes.txt")
            for contents in ["", "x", "a text that is neither", "GGU"] {
                try Data(contents.utf8).write(to: text)
                #expect(throws: InspectionError.unknownFile(path: text.path)) { try Inspection(text.path) }
            }
            #expect(message { _ = try Inspection(root.path) }.contains("notes.txt"))
            try Data("GGUFxxxxx".utf8).write(to: text)
            #expect(throws: CheckpointError.self) { try Inspection(text.path) }
        }
    }
}
