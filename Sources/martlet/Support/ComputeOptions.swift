import ArgumentParser
import Foundation
import Recipes
import TensorCore

/// Options of every command that computes.
struct ComputeOptions: ParsableArguments {
    /// Precision as the command line names it.
    enum PrecisionChoice: String, ExpressibleByArgument, CaseIterable {
        case auto, float32, bfloat16
    }

    @Option(help: "Arithmetic: float32, bfloat16 (operands of 16 bits), or auto: what suits this CPU.")
    var precision = PrecisionChoice.auto

    @Option(parsing: .unconditional, help: "Threads to use; left out, as many as this process may use processors.")
    var threads: Int?

    @Option(help: ArgumentHelp(
        "Instruction set of our own kernels, for testing: portable, avx2, avx512, avx512-bf16, avx512-fp16, amx or amx-emulated.", visibility: .hidden))
    var isa: String?

    func validate() throws {
        let allowed = Recipe.Training.Threads.allowed
        if let threads, !allowed.contains(threads) {
            throw ValidationError(
                "--threads is \(threads), expected a number from \(allowed.lowerBound) to \(allowed.upperBound)")
        }
        if let isa, InstructionSet(rawValue: isa) == nil {
            throw ValidationError("--isa is \(isa), expected one of \(InstructionSet.allCases.map(\.rawValue).joined(separator: ", "))")
        }
    }

    /// Opens OpenBLAS and starts the threads.
    func makeCompute() throws -> Compute {
        try Self.select(isa)
        noteSuperfluousThreads(threads, "--threads")
        return try Compute(precision: chosen(or: InstructionSet.current.precision), threadCount: threads)
    }

    /// The same for a recipe: what the command line says goes over it.
    func makeCompute(for recipe: Recipe) throws -> Compute {
        try Self.select(isa)
        noteSuperfluousThreads(threads ?? recipe.threadCount, threads == nil ? "training.threads" : "--threads")
        return try Compute(precision: chosen(or: recipe.precision), threadCount: threads ?? recipe.threadCount)
    }

    /// More threads than processors give the same result, later.
    private func noteSuperfluousThreads(_ threads: Int?, _ name: String) {
        let available = Compute.availableProcessors()
        guard let threads, threads > available else { return }
        let processors = available == 1 ? "1 processor" : "\(available) processors"
        Terminal.note("\(name) is \(threads), but this process may use only \(processors): threads that share one slow each other down")
    }

    /// The precision of the command line; `auto` is the given one.
    private func chosen(or automatic: Precision) -> Precision {
        switch precision {
        case .auto: automatic
        case .float32: .float32
        case .bfloat16: .bfloat16
        }
    }

    /// Uses another instruction set than the best; one that the CPU lacks is refused.
    static func select(_ name: String?) throws {
        guard let name, let wanted = InstructionSet(rawValue: name) else { return }
        InstructionSet.current = wanted
        if InstructionSet.current != wanted {
            let reason = (wanted == .amx ? InstructionSet.reasonAgainstAMX : nil) ?? "this CPU has no \(name)"
            throw CommandError(
                .unavailable, "--isa is \(name), but \(reason); its best is \(InstructionSet.best.rawValue)")
        }
    }
}

/// The base model and an adapter over it.
struct ModelOptions: ParsableArguments {
    @Option(help: "The base model: a Hugging Face folder or a .gguf file.")
    var model: String

    @Option(help: "A PEFT adapter folder to put over the base model, for example runs/NAME/adapter.")
    var adapter: String?
}

/// The form in which the base's weights are held, and where packed ones are kept.
struct PackingOptions: ParsableArguments {
    /// Forms as the command line names them.
    enum Form: String, ExpressibleByArgument, CaseIterable {
        case auto, stored, nf4
    }

    @Option(help: "Form of the base's weights: stored (as they lie), nf4 (packed into 4 bits), or auto: what the adapter was trained over.")
    var quantization = Form.auto

    @Option(name: .customLong("double-quantization"), help: "With --quantization nf4: whether the scales are packed too.")
    var doubleQuantization = true

    @OptionGroup var cache: CacheOptions

    /// How the base is packed, for an adapter that was trained over the given packing.
    func packing(trainedOver: Packing?) -> Packing? {
        switch quantization {
        case .stored: nil
        case .nf4: Packing(doubleQuantization: doubleQuantization)
        case .auto: trainedOver
        }
    }
}

/// Where packed base models and tokenised data are kept.
struct CacheOptions: ParsableArguments {
    @Option(help: "Folder for packed base models and tokenised data; left out, $XDG_CACHE_HOME/martlet or ~/.cache/martlet.")
    var cache: String?

    var packedModels: PackedCache { PackedCache(cache.map { URL(fileURLWithPath: $0, isDirectory: true) }) }

    var data: DataCache { DataCache(packedModels) }

    /// Deletes what processes that were killed while they wrote an entry have left.
    func recover() {
        packedModels.recover()
        data.recover()
    }
}
