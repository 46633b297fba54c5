import ArgumentParser
import Checkpoints
import Foundation
import Recipes
import TensorCore
import Tokenization

struct Quantize: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Packs a base model into 4 bits and writes a Hugging Face folder in bitsandbytes' layout.",
        discussion: """
            Linear layers become NF4 with blocks of 64; embedding, head and norms stay 16 bits wide or as they are. The \
            folder loads in transformers (with bitsandbytes) and wherever --model is asked for. Training with \
            model.quantization: nf4 does the same by itself and keeps the copy in its cache.
            """)

    /// Packed formats.
    enum Target: String, ExpressibleByArgument, CaseIterable {
        case nf4
    }

    @Option(help: "The base model: a Hugging Face folder or a .gguf file.")
    var model: String

    @Option(help: "The packed format.")
    var to = Target.nf4

    @Option(name: .customLong("double-quantization"), help: "Whether the scales are packed too, to 8 bits.")
    var doubleQuantization = true

    @Option(help: "The folder to write; it must not exist.")
    var output: String

    @Flag(help: "Replace the model folder that is there; anything else is left alone.")
    var overwrite = false

    @OptionGroup var compute: ComputeOptions

    @Flag(help: "Print one JSON object.")
    var json = false

    func run() throws {
        let compute = try compute.makeCompute()
        let place = URL(fileURLWithPath: output, isDirectory: true)
        try OutputPlace.checkModelFolder(output, overwrite: overwrite, reading: [("--model", model)])
        let base = try BaseModel.open(model)
        if base.isPacked { throw CommandError(.unsuitableData, "\(model) is packed already; give the model that it was made from") }
        let network = try base.makeModel(on: compute)
        let start = ContinuousClock.now
        AtomicDirectory.recover(beside: place)
        var report: PackedFolder.Report?
        let progress = OutputPlace.progress(to: output)
        try AtomicDirectory.write(to: place, replacing: overwrite) { temporary in
            report = try PackedFolder.write(
                base, network: network, packing: Packing(doubleQuantization: doubleQuantization), to: temporary, on: compute,
                progress: progress)
        }
        if let report { show(report, seconds: (ContinuousClock.now - start) / .seconds(1)) }
    }

    private func show(_ report: PackedFolder.Report, seconds: Double) {
        if json {
            return Terminal.output([
                "output": .string(output), "format": .string(to.rawValue), "double_quantization": .bool(doubleQuantization),
                "tensors": .integer(report.tensors), "packed_tensors": .integer(report.packed),
                "bytes_before": .integer(report.bytesBefore), "bytes_after": .integer(report.bytesAfter),
                "seconds": .finite(seconds), "peak_memory_bytes": ProcessMemory.peak.map { .integer($0) } ?? .null,
            ], isOptional: true)
        }
        Terminal.output(
            String(
                format: "wrote %@: %d of %d tensors in 4 bits, %.1f MB (before: %.1f MB), %.1f s", output as NSString,
                report.packed, report.tensors, Double(report.bytesAfter) / 1e6, Double(report.bytesBefore) / 1e6, seconds),
            isOptional: true)
    }
}
