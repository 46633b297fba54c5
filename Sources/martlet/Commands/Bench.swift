import ArgumentParser
import Autograd
import Datasets
import Foundation
import Layers
import Models
import Recipes
import TensorCore
import Tokenization
import Training

struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measures training steps on a model: tokens per second, memory, share of the machine's matrix rate.",
        discussion: """
            Without --tokens-file tokens are pseudo-random and the same everywhere: x = (1664525·x + 1013904223) mod 2³², \
            from x = seed; token = (x >> 8) mod vocabulary. The share of peak is the floating-point operations of base \
            products (forward and input gradient), adapters and head, over the median step time, over the rate of a 2048³ \
            product in this process, in float16 where products run in it; where they run on AMX or AVX512-BF16, over the rate \
            from the first-level cache.
            """)

    @Option(help: "The base model: a Hugging Face folder or a .gguf file.")
    var model: String

    @Option(parsing: .unconditional, help: "Tokens in a sequence.")
    var seq = 512

    @Option(parsing: .unconditional, help: "Sequences in a step.")
    var batch = 4

    /// What is trained over what.
    enum Method: String, ExpressibleByArgument, CaseIterable {
        case lora, qlora
    }

    @Option(help: "lora (adapters over the weights as they lie) or qlora (over the weights packed in 4 bits).")
    var method = Method.lora

    @Option(parsing: .unconditional, help: "Rank of the adapters.")
    var rank = 16

    @Option(help: ArgumentHelp("Layers with adapters: a group of layers as recipes name it, or names of modules separated by commas.", valueName: "names"))
    var targetModules = ModuleSelection.Group.allLinear.rawValue

    @Option(parsing: .unconditional, help: "Measured steps.")
    var steps = 6

    @Option(parsing: .unconditional, help: "Steps before the measurement.")
    var warmup = 2

    @Option(parsing: .unconditional, help: "Seed of the tokens.")
    var seed: UInt32 = 1

    @Option(help: "File of token ids (32-bit little-endian integers) to take one after another, over and over.")
    var tokensFile: String?

    @Flag(help: "Compute blocks again in the backward pass, but for attention over 2,048 tokens and more, instead of keeping their activations.")
    var recompute = false

    @Flag(help: ArgumentHelp("Measure the generation of tokens instead of training steps, one sequence at a time.", discussion: "A round is --seq tokens; the yardstick is the rate at which this process reads memory."))
    var decode = false

    @Option(help: ArgumentHelp("Measure single operations at the model's shapes instead: linear, attention, loss.", discussion: "Names separated by commas; each is run forward and backward --steps times.", valueName: "names"))
    var operations: String?

    @OptionGroup var compute: ComputeOptions
    @OptionGroup var cache: CacheOptions

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
        for (name, value) in [("seq", seq), ("batch", batch), ("rank", rank), ("steps", steps)] where value < 1 {
            throw ValidationError("--\(name) is \(value), expected a number above 0")
        }
        if warmup < 0 { throw ValidationError("--warmup is \(warmup), expected 0 or more") }
        _ = try measuredOperations()
    }

    private func measuredOperations() throws -> [OperationBench.Operation]? {
        try operations?.split(separator: ",", omittingEmptySubsequences: false).map { name in
            if let operation = OperationBench.Operation(rawValue: String(name)) { return operation }
            let known = OperationBench.Operation.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("--operations names '\(name)', expected some of \(known)")
        }
    }

    private var targets: ModuleSelection {
        if let group = ModuleSelection.Group(rawValue: targetModules) { return .group(group) }
        return .names(targetModules.split(separator: ",", omittingEmptySubsequences: false).map(String.init))
    }

    func run() throws {
        let compute = try compute.makeCompute()
        let base = try BaseModel.open(
            model, packing: method == .qlora ? Packing() : nil, cache: cache.packedModels, on: compute, note: Terminal.note)
        let network = try base.makeModel(on: compute)
        if decode { return report(DecodeBench(network, tokens: seq, rounds: steps, on: compute), compute.precision) }
        if let operations = try measuredOperations() {
            let bench = OperationBench(network, operations, sequences: batch, length: seq, rounds: steps, on: compute)
            if json { return Terminal.output(bench.json(settings: settings(compute.precision))) }
            return bench.readings.forEach { Terminal.output($0.line) }
        }
        let adapter = try LoRAAdapter(
            attaching: AdapterConfiguration(rank: rank, alpha: Float(2 * rank), targets: targets),
            to: network.adapterTargets, seed: 1, on: compute)
        let schedule = LearningRateSchedule(peak: 2e-4, decay: .constant, warmupSteps: 0, totalSteps: warmup + steps)
        let trainer = Trainer(
            model: network, optimizer: AdamW(adapter.parameters, on: compute), schedule: schedule, recompute: recompute, on: compute)
        trainer.keepsLongAttention = true
        var tokens = try BenchTokens(file: tokensFile, seed: seed, vocabulary: network.vocabularySize)
        for _ in 0..<warmup { _ = try trainer.step([tokens.batch(sequences: batch, length: seq)]) }
        let precision = compute.multipliesFloat16 ? Precision.bfloat16 : .float32
        let rate = {
            compute.tiles.map { MatrixRate.measure($0, on: compute) } ?? MatrixRate.measure(on: compute, precision: precision)
        }
        let firstRate = rate()
        let timer = OperationTimer()
        trainer.timer = timer
        var seconds: [Double] = []
        for _ in 0..<steps {
            let batch = tokens.batch(sequences: batch, length: seq)
            let start = ContinuousClock.now
            _ = try trainer.step([batch])
            seconds.append((ContinuousClock.now - start) / .seconds(1))
        }
        let peakMemory = ProcessMemory.peak
        report(BenchResult(
            stepSeconds: seconds, tokensPerStep: seq * batch,
            yardstick: compute.tiles.map { "\($0.name) fed from the first-level cache" }
                ?? "2048³ product in \(compute.multipliesFloat16 ? "float16" : "float32")",
            matrixRate: max(firstRate, rate()),
            usefulOperations: UsefulOperations.perToken(of: network, adapter: adapter) * Double(seq * batch),
            operations: timer.seconds, precision: compute.precision,
            peakMemory: peakMemory, mappedWeights: network.mappedWeightBytes, experts: ExpertReading(network, on: compute)))
    }

    private func report(_ result: BenchResult) {
        if json { return Terminal.output(result.json(settings: settings(result.precision))) }
        Terminal.output(String(format: "%.1f tokens/s, %.3f s a step (median of %d)", result.tokensPerSecond, result.median, result.stepSeconds.count))
        Terminal.output(String(
            format: "%.1f GFLOP/s of useful products, %.0f %% of %.0f GFLOP/s (%@)", result.usefulRate, result.share * 100,
            result.matrixRate, result.yardstick as NSString))
        if let peak = result.peakMemory {
            let files = result.mappedWeights > 0 ? ", beside \(MemoryPlan.inWords(result.mappedWeights)) of weights in files" : ""
            Terminal.output("peak memory \(MemoryPlan.inWords(peak))\(files)")
        }
        if let experts = result.experts {
            let rate = Double(experts.bytes) / experts.readSeconds / 1e9
            Terminal.output(String(
                format: "%.1f million weights of experts: read in %.3f s (%.1f GB/s), read and expanded in %.3f s",
                Double(experts.weights) / 1e6, experts.readSeconds, rate, experts.expandSeconds))
        }
        for (name, seconds) in result.sortedOperations {
            Terminal.output(String(format: "%5.1f %%  %7.3f s  %@", seconds / result.measuredSeconds * 100, seconds / Double(steps), name as NSString))
        }
    }

    private func report(_ result: DecodeBench, _ precision: Precision) {
        if json { return Terminal.output(result.json(settings: settings(precision))) }
        Terminal.output(String(format: "%.1f tokens/s (median of %d)", result.tokensPerSecond, result.rates.count))
        Terminal.output(String(format: "%.1f MB of weights a token: %.0f %% of the %.1f GB/s at which memory is read", Double(result.weightBytes) / 1e6, result.share * 100, result.bandwidth / 1e9))
        if let peak = ProcessMemory.peak { Terminal.output(String(format: "peak memory %.2f GB", Double(peak) / 1e9)) }
    }

    private func settings(_ precision: Precision) -> JSONObject {
        [
            "model": .string(model), "seq": .integer(seq), "batch": .integer(batch), "method": .string(method.rawValue),
            "rank": .integer(rank), "target_modules": .string(targetModules), "precision": .string(precision.rawValue), "recompute": .bool(recompute),
            "decode": .bool(decode),
            "steps": .integer(steps), "warmup": .integer(warmup), "kernels": .string(InstructionSet.current.rawValue),
            "openblas_core": .string(BLAS.core), "tokens_file": tokensFile.map { .string($0) } ?? .null,
        ]
    }
}
