import Checkpoints
public import Foundation
import TensorCore

/// The folder of a run: recipe, metrics, checkpoints, adapter. It appears by rename with the recipes inside.
public struct RunFolder {
    /// The folder.
    public let url: URL
    private let lock: FolderLock
    /// Free bytes on the disk of a folder; tests put another measure here.
    package var freeSpace: (URL) -> Int? = DiskSpace.free

    /// The recipe with every default, from which the run resumes.
    public var resolvedRecipe: URL { url.appendingPathComponent("resolved.yaml") }
    /// Where the trained adapter goes.
    public var adapter: URL { url.appendingPathComponent("adapter") }
    /// Where the merged model goes, if it is asked for.
    public var merged: URL { url.appendingPathComponent("merged") }
    var metrics: URL { url.appendingPathComponent("metrics.jsonl") }
    private var checkpoints: URL { url.appendingPathComponent("checkpoints") }

    /// Makes the folder of a new run.
    /// - Parameter overwrite: replace a run that is there.
    /// - Throws: ``TrainingError/runExists(path:)``, ``TrainingError/outputTaken(path:reason:)``, `CheckpointError`.
    public static func create(_ url: URL, recipe: Data, resolved: Data, overwrite: Bool) throws -> RunFolder {
        let place = target(of: url)
        AtomicDirectory.recover(beside: place)
        try requireFree(url, overwrite: overwrite)
        if FileManager.default.fileExists(atPath: url.path) { _ = try Self.lock(url) }
        try AtomicDirectory.write(to: place, replacing: true) { folder in
            try AtomicFile.write(recipe, to: folder.appendingPathComponent("recipe.yaml"))
            try AtomicFile.write(resolved, to: folder.appendingPathComponent("resolved.yaml"))
            try FileManager.default.createDirectory(
                at: folder.appendingPathComponent("checkpoints"), withIntermediateDirectories: false)
        }
        return try RunFolder(opening: url)
    }

    /// Refuses a place where a new run would replace anything but an empty folder or, if that is asked for, a run with
    /// nothing beside it.
    /// - Throws: ``TrainingError/runExists(path:)``, ``TrainingError/outputTaken(path:reason:)``.
    public static func requireFree(_ url: URL, overwrite: Bool) throws(TrainingError) {
        guard FileManager.default.fileExists(atPath: url.path) else {
            guard let lost = try? FileManager.default.destinationOfSymbolicLink(atPath: url.path) else { return }
            throw .outputTaken(path: url.relativePath, reason: "is a link to \(lost), where nothing is")
        }
        let names = try? FileManager.default.contentsOfDirectory(atPath: url.path)
        if names?.isEmpty == true { return }
        guard let names, names.contains("resolved.yaml") else {
            throw .outputTaken(path: url.relativePath, reason: "is no run of this program")
        }
        if !overwrite { throw .runExists(path: url.relativePath) }
        if let other = names.sorted().first(where: { !isOurs($0) }) {
            throw .outputTaken(path: url.relativePath, reason: "holds \(other), which belongs to no run")
        }
    }

    /// Where a new run really comes to lie: a link to a folder, perhaps on another disk, stays a link to it.
    private static func target(of url: URL) -> URL {
        guard (try? FileManager.default.destinationOfSymbolicLink(atPath: url.path)) != nil,
            let real = realpath(url.path, nil)
        else { return url }
        defer { free(real) }
        return URL(fileURLWithPath: String(cString: real), isDirectory: true)
    }

    /// Whether this program writes something of this name into the folder of a run, be it only until it is complete.
    private static func isOurs(_ name: String) -> Bool {
        ["recipe.yaml", "resolved.yaml", "metrics.jsonl", "skipped.jsonl", "checkpoints", "adapter", "merged"].contains {
            name == $0 || name.hasPrefix(".\($0).tmp-") || name.hasPrefix(".\($0).old-")
        }
    }

    /// Opens the folder of an existing run and locks it against other processes.
    /// - Throws: ``TrainingError/notARun(path:reason:)``, ``TrainingError/runInUse(path:)``.
    public init(opening url: URL) throws {
        guard FileManager.default.fileExists(atPath: url.appendingPathComponent("resolved.yaml").path) else {
            let isClosed = access(url.path, F_OK) == 0 && access(url.path, X_OK) != 0
            throw TrainingError.notARun(
                path: url.path, reason: isClosed ? "this folder may not be opened (permission denied)" : "there is no resolved.yaml")
        }
        self.url = url
        lock = try Self.lock(url)
        // Nobody else writes here now: what killed processes have left can go.
        for place in [url, checkpoints] { AtomicDirectory.recover(in: place) }
        try? FileManager.default.createDirectory(at: checkpoints, withIntermediateDirectories: true)
    }

    private static func lock(_ url: URL) throws -> FolderLock {
        guard let lock = FolderLock(url) else { throw TrainingError.runInUse(path: url.path) }
        return lock
    }

    // MARK: Checkpoints

    /// The place of a step's checkpoint.
    package func checkpoint(step: Int) -> URL {
        checkpoints.appendingPathComponent("step-" + String(repeating: "0", count: max(0, 6 - "\(step)".count)) + "\(step)")
    }

    /// The checkpoint with the lowest validation loss: the link to it, or its folder where there are no links.
    package func bestCheckpoint(step: Int) -> URL {
        let (link, folder) = (checkpoints.appendingPathComponent("best"), checkpoint(step: step))
        let target = try? FileManager.default.destinationOfSymbolicLink(atPath: link.path)
        return target == folder.lastPathComponent ? link : folder
    }

    /// Steps that have a checkpoint folder, newest first.
    func checkpointSteps() -> [Int] { Self.checkpointSteps(in: checkpoints) }

    /// The same in any folder of checkpoints.
    static func checkpointSteps(in checkpoints: URL) -> [Int] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: checkpoints.path)) ?? []
        return names.compactMap(step(ofName:)).sorted(by: >)
    }

    /// The step that the name of a checkpoint's folder says.
    static func step(ofName name: String) -> Int? { name.hasPrefix("step-") ? Int(name.dropFirst(5)) : nil }

    /// The newest checkpoint that is whole; damaged newer ones are handed to `note`. `nil` if there is none at all.
    ///
    /// A run that goes on deletes what is newer than the checkpoint it goes on from, so that nothing is passed over which
    /// another version, or a system that lets us read it, could still use.
    /// - Throws: ``TrainingError/otherFormat(path:format:)``, ``TrainingError/unreadableCheckpoint(path:_:)``, and
    ///   ``TrainingError/allDamaged(run:count:newest:)``.
    public func newestCheckpoint(note: (String) -> Void) throws(TrainingError) -> TrainingCheckpoint? {
        try requireListing()
        var skipped: [String] = []
        for step in checkpointSteps() {
            do throws(TrainingError) {
                let checkpoint = try TrainingCheckpoint(checkpoint(step: step))
                for reason in skipped { note("skipping a checkpoint: \(reason)") }
                return checkpoint
            } catch {
                guard case .damagedCheckpoint(let path, let reason, _) = error else { throw error }
                skipped.append("\(path): \(reason)")
            }
        }
        guard let newest = skipped.first else { return nil }
        throw .allDamaged(run: url.relativePath, count: skipped.count, newest: newest)
    }

    /// Refuses a folder of checkpoints that cannot be listed, which would look as if there were none.
    private func requireListing() throws(TrainingError) {
        guard let listing = opendir(checkpoints.path) else {
            if errno == ENOENT { return }
            let error = FileError(action: "read the folder", path: checkpoints.path, code: errno)
            throw .unreadableCheckpoint(path: checkpoints.path, error)
        }
        closedir(listing)
    }

    /// Checkpoints that are there, damaged or not.
    public var checkpointCount: Int { checkpointSteps().count }

    /// Refuses to go on if the disk has no room for so many more bytes; silent if the system does not tell.
    func requireSpace(_ needed: Int, for check: TrainingError.SpaceCheck) throws(TrainingError) {
        guard let free = freeSpace(url), free < needed else { return }
        throw .noSpace(path: url.relativePath, needed: needed, free: free, during: check)
    }

    /// Writes the recipe from which the run resumes, after it was changed.
    public func replaceResolvedRecipe(_ contents: Data) throws { try AtomicFile.write(contents, to: resolvedRecipe) }

    /// Points `latest`, and `best` if there is one, at their checkpoints and deletes all but the newest `keep` and the best.
    /// - Returns: why a link could not be made; some file systems have none, and no run needs them.
    /// - Throws: `CheckpointError.file` where the disk is full or no longer to be written, which the next checkpoint needs.
    func rotate(latest: Int, best: Int?, keep: Int) throws -> FileError? {
        var problem: FileError?
        for (name, step) in [("latest", latest), ("best", best)] {
            guard let target = step.map(checkpoint), FileManager.default.fileExists(atPath: target.path) else { continue }
            let link = checkpoints.appendingPathComponent(name)
            do {
                try AtomicFile.replaceLink(at: link, to: target.lastPathComponent)
            } catch CheckpointError.file(let error) where error.kind != .full && error.kind != .readOnly {
                // One that leads to a checkpoint of before, which is about to go, would be worse than none.
                unlink(link.path)
                problem = problem ?? error
            }
        }
        for step in checkpointSteps().filter({ $0 <= latest }).dropFirst(max(1, keep)) where step != best {
            try? FileManager.default.removeItem(at: checkpoint(step: step))
        }
        return problem
    }

    /// Deletes checkpoints after a step: they belong to a future that resuming replaces.
    func removeCheckpoints(after step: Int) {
        for later in checkpointSteps() where later > step { try? FileManager.default.removeItem(at: checkpoint(step: later)) }
    }
}
