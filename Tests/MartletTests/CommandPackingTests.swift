import Foundation
import Testing

/// Bases in 4 bits, from the recipe to the merged model.
@Suite struct CommandPackingTests {
    private func run(_ scratch: Scratch, _ arguments: String...) throws -> Program.Result {
        let result = try Program.run(arguments, in: scratch)
        #expect(result.status == 0, "\(arguments.joined(separator: " ")): \(result.errors)")
        return result
    }

    /// A run over the packed model that moves the adapter far enough to be seen.
    private func trained() throws -> (scratch: Scratch, result: Program.Result) {
        let scratch = try Scratch()
        try scratch.writeRecipe([
            "path: \(Program.llama)": "path: \(Program.llama)\n  quantization: nf4", "steps: 3": "steps: 12",
            "1e-3": "2e-2", "  max_length": "  validation:\n    - path: \(Program.tokens)\n  max_length",
        ])
        return (scratch, try run(scratch, "train", "recipe.yaml"))
    }

    private func loss(_ scratch: Scratch, _ arguments: String...) throws -> Double {
        let result = try Program.run(
            ["eval", "--data", Program.tokens, "--json", "--precision", "float32", "--threads", "1"] + arguments, in: scratch)
        #expect(result.status == 0, "\(result.errors)")
        return try #require(result.json["loss"] as? Double)
    }

    @Test func anAdapterIsUsedOverWhatItWasTrainedOver() throws {
        let (scratch, result) = try trained()
        let expected = try #require(result.lastLine["validation_loss"] as? Double)
        #expect(result.errors.contains("packing \(Program.llama) into 4 bits, once"))
        let adapter = scratch.path("run/adapter")
        #expect(abs(try loss(scratch, "--model", Program.llama, "--adapter", adapter) - expected) < 1e-6)
        #expect(abs(try loss(scratch, "--model", Program.llama, "--adapter", adapter, "--quantization", "nf4") - expected) < 1e-6)
        #expect(abs(try loss(scratch, "--model", Program.llama, "--adapter", adapter, "--quantization", "stored") - expected) > 1e-5)
        let again = try run(scratch, "train", "recipe.yaml", "--overwrite", "training.threads=2")
        #expect(!again.errors.contains("packing"))
        #expect(again.lastLine["validation_loss"] as? Double == expected)
        #expect(try run(scratch, "train", "--resume", "run").errors.contains("nothing to resume"))
    }

    @Test func aQuantizedFolderIsTheSameModel() throws {
        let scratch = try Scratch()
        for (name, double) in [("double", "true"), ("single", "false")] {
            let report = try run(
                scratch, "quantize", "--model", Program.llama, "--output", name, "--double-quantization", double, "--json")
            #expect(report.json["packed_tensors"] as? Int == 21 && report.json["tensors"] as? Int == 30)
            let packed = try loss(scratch, "--model", scratch.path(name))
            let direct = try loss(
                scratch, "--model", Program.llama, "--quantization", "nf4", "--double-quantization", double)
            #expect(packed == direct)
            #expect(try scratch.read(name + "/config.json").contains("\"bnb_4bit_use_double_quant\": \(double)"))
        }
        #expect(try Program.run(["quantize", "--model", Program.llama, "--output", "double"], in: scratch).status == 73)
        #expect(try Program.run(["quantize", "--model", scratch.path("double"), "--output", "x"], in: scratch).status == 65)
        #expect(!scratch.exists("x"))
    }

    @Test func mergingSaysWhatItMergesInto() throws {
        let (scratch, result) = try trained()
        let expected = try #require(result.lastLine["validation_loss"] as? Double)
        let adapter = scratch.path("run/adapter")
        func merge(_ output: String, _ options: String...) throws -> [String: Any] {
            let result = try Program.run(
                ["merge", "--model", Program.llama, "--adapter", adapter, "--output", output, "--dtype", "float32", "--json"]
                    + options, in: scratch)
            #expect(result.status == 0, "\(result.errors)")
            return result.json
        }
        func difference(_ report: [String: Any], _ key: String) throws -> Double {
            try #require((report[key] as? [String: Any])?["relative_difference"] as? Double)
        }
        let plain = try merge("plain")
        #expect(try difference(plain, "logits") < 1e-5)
        let moved = try difference(plain, "logits_in_training")
        let bases = try difference(plain, "logits_of_other_base")
        #expect(moved > 1e-3 && abs(bases - moved) < 1e-4)

        let expanded = try merge("expanded", "--dequantized")
        #expect(try difference(expanded, "logits") < 1e-5)
        #expect(expanded["logits_in_training"] is NSNull)
        #expect(abs(try loss(scratch, "--model", scratch.path("expanded")) - expected) < 1e-5)

        let packed = try merge("packed", "--requantize", "nf4")
        let kept = try #require(packed["adapter_effect_kept"] as? Double)
        #expect(kept > 0.5 && kept < 1.5)
        #expect(try scratch.read("packed/config.json").contains("bitsandbytes"))

        // The packed folder trained over, the 16-bit base named.
        _ = try run(scratch, "quantize", "--model", Program.llama, "--output", "folder")
        let named = try Program.run(
            [
                "merge", "--model", scratch.path("folder"), "--base", Program.llama, "--adapter", adapter, "--dtype", "float32",
                "--output", "named", "--json",
            ], in: scratch)
        #expect(named.status == 0, "\(named.errors)")
        #expect(try scratch.data("named/model.safetensors") == scratch.data("plain/model.safetensors"))
    }

    /// A run that merges says what `merge` says; an adapter that moves less than 4 bits do is drowned by them.
    @Test func mergingAtTheEndOfARunSaysWhatItMergesInto() throws {
        let scratch = try Scratch()
        try scratch.writeRecipe([
            "path: \(Program.llama)": "path: \(Program.llama)\n  quantization: nf4", "1e-3": "1e-7",
            "directory: run": "directory: run\n  save: [merged, adapter]",
        ])
        let result = try run(scratch, "train", "recipe.yaml")
        #expect(result.errors.contains("note: the adapter was trained over a base in 4 bits and is merged into another; the bases alone"))
        #expect(result.errors.contains("note: the merged model answers differently from the model in training: "))
        let merged = try run(scratch, "merge", "--model", Program.llama, "--adapter", "run/adapter", "--output", "m")
        #expect(merged.output.contains("the merged model answers differently from the model in training: "))
    }

    /// The adapter is there whatever becomes of the merge; one that changes nothing is no failure.
    @Test func anAdapterThatChangesNothingIsWrittenWithoutAMergedModel() throws {
        let scratch = try Scratch()
        try scratch.writeRecipe([
            "1e-3": "1e-40\n  warmup_steps: 1000000", "directory: run": "directory: run\n  save: [merged, adapter]",
        ])
        let result = try run(scratch, "train", "recipe.yaml")
        #expect(result.errors.contains("note: the adapter changes no weight"))
        #expect(scratch.exists("run/adapter/adapter_model.safetensors") && !scratch.exists("run/merged"))
        #expect(result.lastLine["adapter"] as? String == "run/adapter" && result.lastLine["merged"] is NSNull)
    }

    @Test func theCacheIsListedAndPruned() throws {
        let (scratch, _) = try trained()
        let listed = try run(scratch, "cache", "list", "--json").json["models"] as? [[String: Any]]
        #expect(listed?.count == 1 && (listed?[0]["bytes"] as? Int ?? 0) > 10_000)
        let text = try run(scratch, "cache")
        #expect(text.output.contains(" MB  ") && text.errors.hasPrefix("note: 1 packed model and 0 sources of data in "))
        #expect(try run(scratch, "cache", "prune", "--older-than-days", "1").output.isEmpty)
        #expect(text.output.contains(Program.llama))
        let deleted = try run(scratch, "cache", "prune", "--json").json["deleted_models"] as? [[String: Any]]
        #expect(deleted?.count == 1 && deleted?[0]["source"] as? String == Program.llama)
        _ = try run(scratch, "train", "recipe.yaml", "--overwrite", "training.steps=1")
        #expect(try run(scratch, "cache", "prune").output.hasPrefix("deleted "))
        #expect((try run(scratch, "cache", "--json").json["models"] as? [Any])?.isEmpty == true)
    }

    @Test func aPlanNamesEveryPart() throws {
        let scratch = try Scratch()
        try scratch.writeRecipe()
        let plan = try run(scratch, "plan", "recipe.yaml", "--json").json
        let memory = try #require(plan["memory"] as? [String: Int])
        #expect(Set(memory.keys) == ["program", "weights", "adapters", "optimizer", "activations", "scratch", "evaluation", "merging"])
        #expect(memory.values.reduce(0, +) == plan["memory_total_bytes"] as? Int)
        // Rank 2 on 21 layers: 4 bytes each, and 12 for gradients and moments.
        let trained = try #require(plan["trained_parameters"] as? Int)
        #expect(memory["adapters"] == 4 * trained && memory["optimizer"] == 12 * trained)
        let text = try run(scratch, "plan", "recipe.yaml").output
        #expect(text.contains(/; \d,\d{3} parameters trained beside \d+,\d{3} frozen ones/), "\(text)")
        let packed = try run(scratch, "plan", "recipe.yaml", "model.quantization=nf4", "training.recompute=blocks", "--json").json
        let less = try #require(packed["memory"] as? [String: Int])
        #expect(try #require(less["weights"]) < #require(memory["weights"]))
        #expect(try #require(less["activations"]) < #require(memory["activations"]))
        #expect(!scratch.exists("run"))
    }
}
