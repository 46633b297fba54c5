import Foundation
package import Training

extension Recipe {
    /// Takes the values that a run has decided for `auto` before.
    mutating func keepMemoryChoice(of earlier: RunIdentity) {
        if training.recompute == .automatic, let text = earlier.settings["training.recompute"] {
            training.recompute = Training.Recompute(rawValue: text) ?? .automatic
        }
        if training.splitTokens == .automatic, let text = earlier.settings["training.split_tokens"] {
            training.splitTokens = Int(text).map { .count($0) } ?? (text == "none" ? .none : .automatic)
        }
    }

    /// Decides how the run keeps within its memory and puts it into the recipe.
    ///
    /// A run that resumes keeps what was decided before its first step; if that no longer fits, it is decided again only
    /// if that is asked for.
    package mutating func chooseMemory(
        _ planner: MemoryPlanner, limit: Int?, resuming checkpoint: TrainingCheckpoint?, allowed: Set<String>,
        note: (String) -> Void
    ) throws(TrainingError) -> MemoryChoice {
        func choose(freely: Bool) -> MemoryChoice {
            let recompute: Bool? = freely || training.recompute == .automatic ? nil : training.recompute == .blocks
            let split = freely ? .automatic : training.splitTokens
            return planner.choose(recompute: recompute, splitTokens: split, limit: limit)
        }
        var choice = choose(freely: false)
        if !choice.fits {
            let other = choose(freely: true)
            let change = RunChange(
                key: "memory", earlier: choice.description,
                now: "\(MemoryPlan.inWords(limit ?? 0)) may be used, which asks for \(other.description)",
                effect: .otherResult)
            if other.fits, allowed.contains("memory") {
                note("memory: instead of \(change.earlier), now \(other.description), as --allow-change permits")
                choice = other
            } else if other.fits, let checkpoint {
                throw .changed([change], run: checkpoint.run)
            }
        }
        training.recompute = choice.recompute ? .blocks : .none
        training.splitTokens = choice.splitTokens.map { .count($0) } ?? .none
        return choice
    }
}

extension TrainingCheckpoint {
    /// The folder of the run that it belongs to.
    var run: String { folder.deletingLastPathComponent().deletingLastPathComponent().relativePath }
}

extension PreparedRun {
    /// Refuses a run that does not fit into its memory.
    /// - Throws: ``MemoryProblem``.
    public func requireMemory() throws {
        if !memory.fits { throw MemoryProblem(choice: memory) }
    }
}
