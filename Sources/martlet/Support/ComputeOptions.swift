import ArgumentParser
import Recipes
import TensorCore

/// Options of every command that computes.
struct ComputeOptions: ParsableArguments {
    /// Precision as the command line names it.
    enum PrecisionChoice: String, ExpressibleByArgument, CaseIterable {
        case auto, float32, bfloat16
    }

    @Option(help: "Arithmetic: float32, bfloat16 (operands rounded, sums in float32), or auto: what suits this CPU.")
    var precision = PrecisionChoice.auto

    @Option(help: "Threads to use; left out, as many as this process may use processors.")
    var threads: Int?

    @Option(help: ArgumentHelp("Instruction set of our own kernels, for testing: portable, avx2 or avx512.", visibility: .hidden))
    var isa: String?

    func validate() throws {
        if let threads, !(1...4096).contains(threads) {
            throw ValidationError("--threads is \(threads), expected a number from 1 to 4096")
        }
        if let isa, InstructionSet(rawValue: isa) == nil {
            throw ValidationError("--isa is \(isa), expected one of \(InstructionSet.allCases.map(\.rawValue).joined(separator: ", "))")
        }
    }

    /// Opens OpenBLAS and starts the threads.
    func makeCompute() throws -> Compute {
        try Self.select(isa)
        return try Compute(precision: precision == .bfloat16 ? .bfloat16 : .float32, threadCount: threads)
    }

    /// Uses another instruction set than the best; one that the CPU lacks is refused.
    static func select(_ name: String?) throws {
        guard let name, let wanted = InstructionSet(rawValue: name) else { return }
        InstructionSet.current = wanted
        if InstructionSet.current != wanted {
            throw CommandError(.unavailable, "this CPU has no \(name); its best is \(InstructionSet.best.rawValue)")
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
