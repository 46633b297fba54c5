import Autograd
import Checkpoints
import Datasets
import Foundation
import Layers
import Models
import Recipes
import TensorCore
import Tokenization
import Training

/// Shows a run while it goes: a bar on a terminal, a line per step elsewhere.
final class TrainingProgress {
    private let prepared: PreparedRun
    private let folder: String
    private let startStep: Int
    private var startLoss: Double?
    private let start = ContinuousClock.now
    private var tokens = 0
    private var stepSeconds = 0.0
    private var barIsShown = false

    init(_ prepared: PreparedRun, in folder: String, from state: TrainingState) {
        (self.prepared, self.folder, startStep, startLoss) = (prepared, folder, state.step, state.startLoss)
    }

    /// Tokens per second of all steps so far, without evaluations and checkpoints.
    var tokensPerSecond: Double? { stepSeconds > 0 ? Double(tokens) / stepSeconds : nil }

    /// Says what will be trained on what.
    func announce() throws {
        let trained = prepared.adapter.parameterCount()
        Terminal.error(
            "model \(prepared.base.name) (\(prepared.base.modelType), \(prepared.model.layerCount) layers); training \(trained.grouped) parameters in \(prepared.adapter.layers.count) layers, \(Self.settings(of: prepared.adapter))")
        showTable(try prepared.parameterTable())
        for summary in prepared.data.summaries {
            Terminal.error("data \(summary)")
            if let first = summary.firstProblems.first {
                let record = "\(first.place): \(first.kind.found)"
                Terminal.error("  skipped records are listed in \(folder)/skipped.jsonl; the first: \(record)")
            }
        }
        for overlap in prepared.data.overlaps { Terminal.note(overlap.description) }
        Terminal.error("\(prepared.totalSteps) steps in \(prepared.recipe.training.precision.rawValue); memory: \(prepared.memory.description)\(prepared.memory.limit.map { " of \(MemoryPlan.inWords($0))" } ?? "")")
    }

    /// "rank 8, alpha 16", or from the least to the most where layers differ.
    private static func settings(of adapter: LoRAAdapter) -> String {
        func range<Value: Comparable>(_ values: [Value]) -> String {
            guard let least = values.min(), let most = values.max() else { return "none" }
            return least == most ? "\(least)" : "\(least) to \(most)"
        }
        let strengths = adapter.strengths
        return "rank \(range(strengths.map(\.rank))), alpha \(range(strengths.map(\.alpha)))"
            + (adapter.configuration.usesRSLoRA ? " (scaled by alpha / √rank)" : "")
    }

    private func showTable(_ table: ParameterTable) {
        func row(_ cells: [String]) -> String {
            cells.enumerated().map { index, cell in
                let padding = String(repeating: " ", count: max(0, (index == 0 ? 16 : 18) - cell.count))
                return index == 0 ? cell + padding : padding + cell
            }.joined()
        }
        Terminal.error(row(["weights", "all", "adapted", "frozen", "trained in full", "adapter"]))
        for entry in table.rows {
            Terminal.error(
                row(
                    [entry.role]
                        + [entry.total, entry.adapted, entry.frozen, entry.trainedInFull, entry.trained].map(\.grouped)))
        }
        if let warning = table.warning { Terminal.note(warning) }
    }

    /// Says how tokens fell on experts, layer by layer.
    private func showExperts(_ usage: ExpertUsage) {
        for (index, layer) in usage.layers.enumerated() {
            let (tokens, missed) = (usage.tokens[index], usage.neverReached[index])
            let total = Double(max(1, tokens.reduce(0, +)))
            var text = String(
                format: "layer %d: routing entropy %.3f of %.3f, an expert got from %.1f to %.1f %% of the tokens", layer,
                usage.entropies[index], log(Double(tokens.count)), Double(tokens.min() ?? 0) / total * 100,
                Double(tokens.max() ?? 0) / total * 100)
            if !missed.isEmpty {
                text += "; never reached: expert\(missed.count > 1 ? "s" : "") \(missed.map(String.init).joined(separator: ", "))"
            }
            line(text)
        }
    }

    /// Takes an event of the run.
    func report(_ event: TrainingEvent) {
        switch event {
        case .step(let step, let speed, let total):
            tokens += step.tokens
            stepSeconds += Double(step.tokens) / speed
            show(step, total)
        case .evaluation(let step, let loss, let bySource, let isBest):
            if step == 0 { startLoss = loss }
            line("step \(step): validation loss \(Self.number(loss))" + (isBest ? ", the lowest\(step > 0 && startLoss.map { $0 < loss } ?? false ? " since the start" : "") so far" : ""))
            if bySource.count > 1 { for part in bySource { line("  \(part.source): \(Self.number(part.loss))") } }
        case .checkpoint(let step, _): if !Terminal.isInteractive { line("step \(step): checkpoint written") }
        case .note(let text): note(text)
        }
    }

    /// Says something that went wrong without harm, or is good to know.
    func note(_ text: String) { line("note: " + text) }

    /// Says how it ended, and in which forms the result was written.
    /// - Parameter best: where the checkpoint with the lowest validation loss lies, if there is one.
    func finish(_ state: TrainingState, _ forms: [Recipe.Output.Form], stoppedEarly: Bool, best: String?) {
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        if let experts = state.experts { showExperts(experts) }
        let sources = prepared.data.trainSources
        if let tokens = state.sourceTokens, tokens.count > 1 {
            for (source, count) in zip(sources, tokens) {
                line("  \(source): \(count.grouped) tokens, \(Self.percent(Double(count) / Double(max(1, state.tokens)))) of all")
            }
        }
        let results = forms.map { "the \($0 == .adapter ? "adapter" : "merged model") is in \(folder)/\($0.rawValue)" }
        line((["finished after \(state.step) steps and \(Self.duration(seconds))"] + results).joined(separator: "; "))
        if stoppedEarly {
            let count = state.evaluationsSinceBest
            let evaluations = count == 1 ? "the last evaluation" : "the last \(count) evaluations"
            line("stopped early after \(state.step) of \(prepared.totalSteps) steps: \(evaluations) brought no lower validation loss")
        }
        let loss = state.bestLoss ?? .infinity
        let isWorse = state.startLoss.map { $0 < loss } ?? false
        if let best, let step = state.bestStep, step < state.step {
            line("the lowest validation loss\(isWorse ? " of a checkpoint" : "") was \(Self.number(loss)) at step \(step); the results are the last step's, that adapter is used with --adapter \(best)")
        }
        if isWorse, let start = state.startLoss {
            let model = prepared.recipe.adapter.path == nil ? "base model" : "adapter that the run started from"
            let least = loss.isFinite ? "and \(Self.number(loss)) at best afterwards" : "and no number afterwards"
            line("the \(model) was better on the validation data than every checkpoint: the loss was \(Self.number(start)) before the first step \(least); a lower learning rate, more data or data more like those for validation may help")
        }
        if state.skippedSteps > 0 {
            line("\(state.skippedSteps) steps were left out, because their numbers had gone bad; metrics.jsonl says which")
        }
        if let peak = ProcessMemory.peak {
            let plan = prepared.memory.plan
            let files = plan.mappedWeights > 0 ? "; \(MemoryPlan.inWords(plan.mappedWeights)) of weights were read from files block by block" : ""
            line("peak memory \(MemoryPlan.inWords(peak)), planned: \(MemoryPlan.inWords(plan.total))\(files)")
        }
    }

    /// Says that it was stopped on request, and how it goes on.
    func stop(_ state: TrainingState, checkpoint: String) {
        line("Stopped after step \(state.step) on request; checkpoint \(checkpoint); continue with `martlet train --resume \(folder)`")
    }

    private func show(_ step: Trainer.StepReport, _ total: Int) {
        let facts = "loss \(Self.number(step.loss))  lr \(String(format: "%.2e", step.learningRate))  \(String(format: "%.0f", tokensPerSecond ?? 0)) tokens/s"
        let done = step.step - startStep
        let left = (ContinuousClock.now - start) / .seconds(1) / Double(max(1, done)) * Double(total - step.step)
        guard Terminal.isInteractive else {
            if step.step % prepared.recipe.training.logEverySteps == 0 || step.step == total {
                Terminal.error("step \(step.step)/\(total)  \(facts)  \(Self.duration(left)) left")
            }
            return
        }
        let width = 24
        let filled = total > 0 ? step.step * width / total : width
        let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
        Terminal.rewriteLine("\(bar) \(step.step)/\(total)  \(facts)  \(Self.duration(left)) left")
        barIsShown = true
    }

    /// A whole line, above where the bar goes on.
    private func line(_ text: String) {
        if barIsShown { Terminal.rewriteLine("") }
        Terminal.error(text)
    }

    private static func number(_ value: Double) -> String { String(format: "%.4f", value) }
    private static func percent(_ share: Double) -> String { String(format: "%.0f %%", share * 100) }

    private static func duration(_ seconds: Double) -> String {
        let whole = Int(seconds.rounded())
        if whole < 60 { return "\(whole) s" }
        if whole < 3600 { return "\(whole / 60) min \(whole % 60) s" }
        return "\(whole / 3600) h \(whole % 3600 / 60) min"
    }
}
