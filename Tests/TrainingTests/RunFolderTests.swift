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

    /// What is in the way of a link stands for a file system that has none.
    @Test func aRunWithoutLinksGoesOn() throws {
        try withFolder { root in
            let folder = try create(root.appendingPathComponent("run"))
            for name in ["latest", "best"] {
                let place = folder.url.appendingPathComponent("checkpoints/\(name)/x")
                try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
            }
            let validation = [EncodedDataset(examples([30, 20], seed: 5))]
            let (state, notes) = try shortRun(in: folder, validation: validation, on: compute)
            #expect(state.isFinished && notes.count == 1 && notes[0].contains("goes on without the links latest and best"), "\(notes)")
            #expect(try folder.newestCheckpoint { Issue.record("\($0)") }?.state.step == 4)
            #expect(folder.bestCheckpoint(step: 2).lastPathComponent == "step-000002")
            let first = folder.checkpoint(step: 1).path
            #expect(state.bestStep == 1 || !FileManager.default.fileExists(atPath: first), "keep is 3")
        }
    }

    @Test func aLinkToAFolderStaysAndTheFolderBecomesTheRun() throws {
        try withFolder { root in
            let (link, real) = (root.appendingPathComponent("link"), root.appendingPathComponent("disk/real"))
            try FileManager.default.createDirectory(at: real, withIntermediateDirectories: true)
            try FileManager.default.createSymbolicLink(at: link, withDestinationURL: real)
            for overwrite in [false, true] {
                let folder = try create(link, overwrite: overwrite)
                #expect(isLink(link) && folder.url == link)
                #expect(FileManager.default.fileExists(atPath: real.appendingPathComponent("resolved.yaml").path))
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: root.path).sorted() == ["disk", "link"])
            #expect(try FileManager.default.contentsOfDirectory(atPath: root.appendingPathComponent("disk").path) == ["real"])
            // A disk that is not mounted must not be filled in its place.
            try FileManager.default.removeItem(at: real)
            guard case .outputTaken(_, let reason) = trainingError({ _ = try create(link) }) else {
                Issue.record("a link to nothing was replaced")
                return
            }
            #expect(reason == "is a link to \(real.path), where nothing is" && isLink(link))
        }
    }

    /// A link to itself is something that even root cannot read.
    @Test func whatCannotBeReadIsNotPassedOver() throws {
        try withFolder { root in
            let folder = try create(root.appendingPathComponent("run"))
            _ = try shortRun(in: folder, on: compute)
            let newer = folder.checkpoint(step: 7)
            try FileManager.default.createSymbolicLink(atPath: newer.path, withDestinationPath: newer.lastPathComponent)
            let error = trainingError { _ = try folder.newestCheckpoint { Issue.record("\($0)") } }
            guard case .unreadableCheckpoint(newer.path, let problem) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(problem.code == ELOOP && "\(problem)".contains("step-000007/state.json") && isLink(newer))
            try FileManager.default.removeItem(at: newer)
            #expect(try folder.newestCheckpoint { Issue.record("\($0)") }?.state.step == 4)
            let all = newer.deletingLastPathComponent()
            try FileManager.default.removeItem(at: all)
            try FileManager.default.createSymbolicLink(atPath: all.path, withDestinationPath: all.lastPathComponent)
            guard case .unreadableCheckpoint(all.path, _) = trainingError({ _ = try folder.newestCheckpoint { _ in } }) else {
                Issue.record("checkpoints that cannot be listed are taken for none")
                return
            }
        }
    }
}
