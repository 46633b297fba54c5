import Datasets

/// What a run does when numbers have gone bad.
extension TrainingRun {
    /// Steps left out one after another that end the run: it no longer learns.
    static let mostSkipsInARow = 10
    /// Rollbacks that end the run.
    static let mostRollbacks = 5

    /// Stops, leaves the step out or goes back, as the recipe says.
    func answer(_ problem: NumericProblem, _ report: (TrainingEvent) throws -> Void) throws {
        // What is said below of the last checkpoint holds only if the one being written succeeds.
        try finishSave(report)
        switch settings.onNaN {
        case .stop: throw TrainingError.nonFinite(problem, lastCheckpoint: lastCheckpoint)
        case .skip:
            // What an update has spoilt is not mended by leaving anything out.
            if case .parameter = problem.kind { throw TrainingError.nonFinite(problem, lastCheckpoint: lastCheckpoint) }
            if state.skipsInARow + 1 >= Self.mostSkipsInARow {
                let attempts = "\(Self.mostSkipsInARow) such steps one after another"
                throw TrainingError.givenUp(problem, attempts: attempts, lastCheckpoint: lastCheckpoint)
            }
            try report(.note("step \(problem.step) is left out: \(problem)"))
            try leaveOut("\(problem.published(PublishedNames(stream.sources)))")
        case .rollback: try rollBack(problem, report)
        }
    }

    /// Where the run can be taken up again, if anywhere.
    private var lastCheckpoint: Int? { folder.checkpointSteps().first }

    /// Counts a step that is not taken. It keeps its number, so that learning rate, evaluations and the end of the run
    /// stay where they were.
    func leaveOut(_ reason: String) throws {
        trainer.skipStep()
        state.step += 1
        state.skippedSteps += 1
        state.skipsInARow += 1
        state.cursor = stream.cursor
        try log?.append(
            [:], integers: ["step": state.step, "skipped_steps": state.skippedSteps], texts: ["skipped": reason])
    }

    /// Goes back to the newest checkpoint and passes over the bad step's data on the way from there. Since the same steps
    /// give the same bits, a run that is interrupted meanwhile ends like one that is not.
    private func rollBack(_ problem: NumericProblem, _ report: (TrainingEvent) throws -> Void) throws {
        if state.rollbacks >= Self.mostRollbacks {
            throw TrainingError.givenUp(
                problem, attempts: "\(state.rollbacks) rollbacks", lastCheckpoint: lastCheckpoint)
        }
        var notes: [String] = []
        guard let checkpoint = try folder.newestCheckpoint(note: { notes.append($0) }) else {
            throw TrainingError.nonFinite(problem)
        }
        for note in notes { try report(.note(note)) }
        try checkpoint.restore(trainer, on: compute)
        stream = try stream.moved(to: checkpoint.state.cursor)
        let (rollbacks, passedOver, identity) = (state.rollbacks + 1, state.passedOver + [problem.step], state.identity)
        (state, origin) = (checkpoint.state, checkpoint.folder)
        (state.rollbacks, state.passedOver, state.identity) = (rollbacks, passedOver, identity)
        folder.removeCheckpoints(after: state.step)
        log = try MetricsLog(folder.metrics, resumingAt: state.step, fromStart: false)
        try report(.note("\(problem); back to step \(state.step), from where step \(problem.step) will be left out"))
    }

    /// For data that are others than the checkpoint's: steps to be left out and counts by source mean nothing any more.
    package func forgetPlansForData(sources: Int) {
        state.passedOver = []
        if state.sourceTokens?.count != sources { state.sourceTokens = nil }
    }

    /// For other validation data: their losses are not comparable with those so far.
    package func forgetBest() {
        (state.bestLoss, state.bestStep, state.evaluationsSinceBest) = (nil, nil, 0)
    }
}
