import ArgumentParser
import Autograd
import Foundation
import Layers
import Models
import Recipes
import TensorCore
import Tokenization
import Training

struct Plan: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Says what a recipe will train and how much memory that takes, without training.",
        discussion: "Opens the model and the data as training does and checks everything. Exits with 69 if the memory of this machine (or its cgroup) does not suffice.")

    @Argument(help: "The recipe, a YAML file.")
    var recipe: String

    @Argument(help: "Settings that go over the recipe's: key.path=value.")
    var overrides: [String] = []

    @OptionGroup var compute: ComputeOptions
    @OptionGroup var cache: CacheOptions
    @OptionGroup var memory: MemoryOptions

    @Flag(help: "Print one JSON object.")
    var json = false

    func run() throws {
        let recipe = try Recipe.read(contentsOf: recipe, overrides: overrides)
        let prepared = try PreparedRun(
            recipe, memoryLimit: memory.limit, cache: cache.packedModels, on: try compute.makeCompute(for: recipe),
            note: Terminal.note)
        show(prepared.memory, prepared)
        try prepared.requireMemory()
    }

    private func show(_ choice: MemoryChoice, _ prepared: PreparedRun) {
        let plan = choice.plan
        let trained = prepared.adapter.parameterCount()
        let weights = prepared.model.linears.reduce(0) { $0 + $1.weight.rows * $1.weight.columns }
        if json {
            let parts = MemoryPlan.Part.allCases.map { ($0.rawValue, JSONValue.integer(plan.bytes[$0] ?? 0)) }
            return Terminal.output([
                "steps": .integer(prepared.totalSteps), "tokens_per_micro_batch": .integer(plan.tokens),
                "trained_parameters": .integer(trained), "linear_parameters": .integer(weights),
                "memory": .object(JSONObject(parts)), "memory_total_bytes": .integer(plan.total),
                "memory_required_bytes": .integer(plan.required),
                "mapped_weight_bytes": .integer(plan.mappedWeights),
                "memory_limit_bytes": choice.limit.map { .integer($0) } ?? .null, "fits": .bool(choice.fits),
                "recompute": .bool(choice.recompute), "split_tokens": choice.splitTokens.map { .integer($0) } ?? .null,
            ])
        }
        Terminal.output("\(prepared.totalSteps) steps, at most \(plan.tokens) tokens at once; \(trained.grouped) parameters trained beside \(weights.grouped) frozen ones in linear layers")
        for part in MemoryPlan.Part.allCases {
            let name = part.rawValue.padding(toLength: 12, withPad: " ", startingAt: 0)
            Terminal.output("\(name) \(MemoryPlan.inWords(plan.bytes[part] ?? 0))")
        }
        let limit = choice.limit.map { "; this process may use \(MemoryPlan.inWords($0))" } ?? ""
        Terminal.output("at the peak  \(MemoryPlan.inWords(plan.total))\(limit)")
        if plan.mappedWeights > 0 {
            Terminal.output("in files     \(MemoryPlan.inWords(plan.mappedWeights)) of weights, mapped block by block; the system caches them where it has room")
        }
        Terminal.output("chosen       \(choice.description)")
    }
}
