import Datasets
import Foundation
import TensorCore
import Testing
import Training

/// Folders of runs on file systems that are not as usual, behind links, and with losses that no file can hold.
@Suite struct RunFolderTests {
    private let compute: Compute

    init() throws { compute = try Compute(threadCount: 2) }

    private func create(_ place: URL, overwrite: Bool = false) throws -> RunFolder {
        try RunFolder.create(place, recipe: Data(), resolved: Data("r".utf8), overwrite: overwrite)
    }

    private func isLink(_ place: URL) -> Bool {
        (try? FileManager.default.destinationOfSymbolicLink(atPath: place.path)) != nil
    }

    /// A validation loss of NaN: the embedding of one token that only the second source has.
    @Test func aValidationLossThatIsNoNumberIsToldAndCheckpointsGoOn() throws {
        try withFolder { root in
            let base = try poisonedModel("model.embed_tokens.weight", row: 287, in: root)
            let folder = try create(root.appendingPathComponent("run"))
            let sources = [([1, 5, 9, 2], "good.jsonl"), ([1, 287, 9, 2], "bad.jsonl")].map { ids, source in
                EncodedDataset([EncodedExample(ids: ids)], source: source)
            }
            let (state, notes) = try shortRun(in: folder, base: base, validation: sources, on: compute) { $0.earlyStopping = 3 }
            #expect(state.isFinished && state.step == 3 && state.bestStep == nil && state.evaluationsSinceBest == 3)
            #expect(notes.count == 4 && notes[1].contains("the validation loss after step 1 is NaN or infinite on bad.jsonl: "), "\(notes)")
            let saved = try #require(try folder.newestCheckpoint { Issue.record("\($0)") }).state
            #expect(saved.step == 3 && saved.validationLoss == nil && saved.bestLoss == nil)
            #expect(saved.validationLosses?.map { $0 != nil } == [true, false])
        }
    }
}
