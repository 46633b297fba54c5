import ArgumentParser
import Checkpoints
import Foundation
import Models
import Recipes
import Tokenization

struct Merge: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Folds an adapter into its base model and writes a Hugging Face folder.",
        discussion: """
            The folder holds weights (safetensors), config, tokenizer, chat template and generation config, as transformers,
            vLLM and TGI load them. Before it appears, its logits are compared with those of base and adapter. A .gguf base
            becomes a Hugging Face folder too. Without --adapter the base alone is written.
            """)

    @OptionGroup var model: ModelOptions
    @OptionGroup var compute: ComputeOptions

    @Option(help: "The folder to write; it must not exist.")
    var output: String

    @Option(help: "Element type of the weights: bfloat16 or float32; left out, float32 if the base is, else bfloat16.")
    var dtype: String?

    @Flag(help: "Replace the folder if it exists.")
    var overwrite = false

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
        if let dtype, !["bfloat16", "float32"].contains(dtype) {
            throw ValidationError("--dtype is \(dtype), expected bfloat16 or float32")
        }
    }

    func run() throws {
        let compute = try compute.makeCompute()
        let place = URL(fileURLWithPath: output, isDirectory: true)
        if !overwrite && FileManager.default.fileExists(atPath: output) {
            throw CommandError(.cannotCreate, "\(output) exists already; choose another folder, or replace it with --overwrite")
        }
        let loaded = try LoadedModel(model, on: compute)
        let type: SafetensorsType? = dtype.map { $0 == "float32" ? .float32 : .bfloat16 }
        let merge = try ModelMerge(
            base: loaded.base, network: loaded.network, adapter: loaded.adapter, adapterPath: model.adapter ?? "", type: type,
            on: compute)
        let report = try merge.write(to: place, replacing: overwrite) { done, all in
            if Terminal.isInteractive { Terminal.rewriteLine(done < all ? "tensor \(done) of \(all)" : "") }
        }
        show(report)
    }

    private func show(_ report: ModelMerge.Report) {
        let comparison = report.comparison
        if json {
            return Terminal.output([
                "output": .string(output), "base": .string(model.model), "dtype": .string(dtypeName(report.type)),
                "tensors": .integer(report.tensors), "changed_tensors": .integer(report.changed),
                "logits": .object([
                    "max_abs_difference": .finite(comparison.largest), "mean_abs_difference": .finite(comparison.mean),
                    "relative_difference": .finite(comparison.relative), "same_top_token": .finite(comparison.sameChoice),
                ]),
            ])
        }
        Terminal.output("wrote \(output): \(report.tensors) tensors in \(dtypeName(report.type)), \(report.changed) of them changed by the adapter")
        Terminal.output(
            String(
                format: "logits against base%@: largest difference %.2g, relative %.2g, same first choice at %.0f %% of positions",
                (model.adapter == nil ? "" : " and adapter") as NSString, comparison.largest, comparison.relative, comparison.sameChoice * 100))
    }

    private func dtypeName(_ type: SafetensorsType) -> String { type == .float32 ? "float32" : "bfloat16" }
}
