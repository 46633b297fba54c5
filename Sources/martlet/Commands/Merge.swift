import ArgumentParser
import Checkpoints
import Foundation
import Models
import Recipes
import TensorCore
import Tokenization

struct Merge: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Folds an adapter into its base model and writes a Hugging Face folder.",
        discussion: """
            The folder holds weights (safetensors), config, tokenizer, chat template and generation config, as transformers, \
            vLLM and TGI load them. Before it appears, its logits are compared with those of base and adapter. A .gguf base \
            becomes a Hugging Face folder too. Without --adapter the base alone is written.

            An adapter that was trained over a base packed in 4 bits is merged into the base as it was before, and the \
            logits are compared with those in training; --dequantized merges into the packed weights instead.
            """)

    @OptionGroup var model: ModelOptions
    @OptionGroup var compute: ComputeOptions
    @OptionGroup var cache: CacheOptions

    @Option(help: "Merge into this 16-bit model instead of --model: for an adapter that was trained over a packed folder.")
    var base: String?

    @Flag(help: "Merge an adapter that was trained over --model packed in 4 bits into those packed weights, expanded.")
    var dequantized = false

    @Option(help: "Pack the merged weights into 4 bits again: nf4.")
    var requantize: Quantize.Target?

    @Option(help: "The folder to write; it must not exist.")
    var output: String

    @Option(help: "Element type of the weights: bfloat16 or float32; left out, float32 if the base is, else bfloat16.")
    var dtype: String?

    @Flag(help: "Replace the model folder that is there; anything else is left alone.")
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
        try OutputPlace.checkModelFolder(
            output, overwrite: overwrite, reading: [("--model", model.model), ("--base", base), ("--adapter", model.adapter)])
        let adapter = try model.adapter.map { try AdapterFolder(URL(fileURLWithPath: $0), on: compute) }
        let (plain, trainedOver) = try bases(adapter, on: compute)
        // What the adapter was trained with belongs to the merged model.
        let target = try model.adapter.map { try plain.withTemplate(ofAdapter: URL(fileURLWithPath: $0)) } ?? plain
        if let remark = adapter?.remark(onBaseNamed: (trainedOver ?? target).name) { Terminal.note(remark) }
        let type: SafetensorsType? = dtype.map { $0 == "float32" ? .float32 : .bfloat16 }
        let merge = try ModelMerge(base: target, trainedOver: trainedOver, adapter: adapter, type: type, on: compute)
        let report = try merge.write(
            to: place, packing: requantize.map { _ in Packing() }, replacing: overwrite, progress: OutputPlace.progress(to: output))
        show(report, target)
    }

    /// What to merge into, and what the adapter was trained over if that is something else.
    private func bases(_ adapter: AdapterFolder?, on compute: Compute) throws -> (BaseModel, trainedOver: BaseModel?) {
        let plain = try BaseModel.open(model.model)
        var trained = plain
        if let packing = adapter.flatMap({ Packing(metadata: $0.metadata) }), !plain.isPacked {
            trained = try cache.packedModels.open(model.model, packing: packing, on: compute, note: Terminal.note)
        }
        if dequantized {
            if !trained.isPacked { throw CommandError(.usage, "--dequantized needs a packed base, but the adapter was not trained over one") }
            return (trained, nil)
        }
        if let base { return (try BaseModel.open(base), trained) }
        return (plain, trained.isPacked && !plain.isPacked ? trained : nil)
    }

    private func show(_ report: ModelMerge.Report, _ target: BaseModel) {
        let form = target.isPacked ? "packed weights, expanded" : "weights as they lie"
        if json { return Terminal.output(object(report, target, form), isOptional: true) }
        let changed = "\(report.changed) of them changed by the adapter"
        Terminal.output("wrote \(output): \(report.tensors) tensors in \(dtypeName(report.type)), \(changed)", isOptional: true)
        if model.adapter != nil { Terminal.output("merged into \(target.path) (\(form))", isOptional: true) }
        line("logits against base\(model.adapter == nil ? "" : " and adapter")", report.comparison)
        if let trained = report.trained { line("logits against those in training (base in 4 bits, and adapter)", trained) }
        if let effect = report.effect { Terminal.output(effect, isOptional: true) }
        if let origin = report.otherOrigin { Terminal.note(origin) }
    }

    private func line(_ title: String, _ comparison: LogitsComparison) {
        Terminal.output(
            String(
                format: "%@: largest difference %.2g, relative %.2g, same first choice at %.0f %% of positions", title as NSString,
                comparison.largest, comparison.relative, comparison.sameChoice * 100), isOptional: true)
    }

    private func object(_ report: ModelMerge.Report, _ target: BaseModel, _ form: String) -> JSONObject {
        func logits(_ comparison: LogitsComparison?) -> JSONValue {
            guard let comparison else { return .null }
            return .object([
                "max_abs_difference": .finite(comparison.largest), "mean_abs_difference": .finite(comparison.mean),
                "relative_difference": .finite(comparison.relative), "same_top_token": .finite(comparison.sameChoice),
            ])
        }
        return [
            "output": .string(output), "base": .string(target.path), "base_form": .string(form),
            "dtype": .string(dtypeName(report.type)), "requantized": requantize.map { .string($0.rawValue) } ?? .null,
            "tensors": .integer(report.tensors), "changed_tensors": .integer(report.changed),
            "logits": logits(report.comparison), "logits_in_training": logits(report.trained),
            "logits_of_other_base": logits(report.otherBase), "adapter_effect_kept": .finite(report.effectKept),
        ]
    }

    private func dtypeName(_ type: SafetensorsType) -> String { type == .float32 ? "float32" : "bfloat16" }
}
