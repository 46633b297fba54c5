public import Autograd
import Checkpoints
public import Foundation
public import Layers
import Models
public import TensorCore

/// One checkpoint: a folder with the adapter (in PEFT's layout, so that it can be used as it is), the optimiser's moments
/// and `state.json`, which holds a checksum of each other file and one of itself. It appears by rename, whole or not at
/// all.
public struct TrainingCheckpoint {
    /// Everything but tensors.
    public let state: TrainingState
    /// Its folder.
    public let folder: URL

    private struct Contents: Codable {
        var state: TrainingState
        var sha256: [String: FileDigest]
        /// Digest of everything above: a changed digit would leave the file well-formed.
        var checksum: FileDigest?

        func encoded() throws -> Data {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            return try encoder.encode(self)
        }

        /// The digest as it should be.
        func ownDigest() throws -> FileDigest {
            var unsigned = self
            unsigned.checksum = nil
            return FileDigest.sha256(of: try unsigned.encoded())
        }
    }
    private static let files = ["adapter_config.json", "adapter_model.safetensors", "optimizer.safetensors"]

    /// Writes a checkpoint.
    /// - Parameters:
    ///   - baseModel: what the adapter's configuration calls the base model.
    ///   - metadata: what the adapter's file says about itself.
    public static func write(
        _ state: TrainingState, adapter: LoRAAdapter, optimizer: AdamW, baseModel: String,
        metadata: [String: String] = [:], to folder: URL
    ) throws {
        try AtomicDirectory.write(to: folder, replacing: true) { temporary in
            try AdapterFolder.write(adapter, baseModel: baseModel, metadata: metadata, to: temporary)
            try write(optimizer, to: temporary.appendingPathComponent("optimizer.safetensors"))
            var digests: [String: FileDigest] = [:]
            for file in files { digests[file] = try FileDigest.sha256(of: temporary.appendingPathComponent(file)) }
            var contents = Contents(state: state, sha256: digests)
            contents.checksum = try contents.ownDigest()
            try AtomicFile.write(try contents.encoded(), to: temporary.appendingPathComponent("state.json"))
        }
    }

    /// Opens a checkpoint and verifies every checksum.
    /// - Throws: ``TrainingError/damagedCheckpoint(path:reason:hasEarlier:)``,
    ///   ``TrainingError/unreadableCheckpoint(path:_:)``, ``TrainingError/otherFormat(path:format:)``.
    public init(_ folder: URL) throws(TrainingError) {
        func damaged(_ reason: String) -> TrainingError { Self.damage(to: folder, reason) }
        let data = try Self.reading("state.json", of: folder) { try Data(contentsOf: $0) }
        // Before anything else: another layout may have other files.
        if let format = Self.format(of: data), format != TrainingState.currentFormat {
            throw .otherFormat(path: folder.path, format: format)
        }
        guard let contents = try? JSONDecoder().decode(Contents.self, from: data) else {
            throw damaged("state.json is damaged")
        }
        guard let own = try? contents.ownDigest(), own == contents.checksum else { throw damaged("state.json does not match its checksum") }
        if let problem = contents.state.problem { throw damaged("state.json is damaged: \(problem)") }
        for file in Self.files {
            guard let expected = contents.sha256[file] else { throw damaged("state.json holds no checksum of \(file)") }
            let found = try Self.reading(file, of: folder) { try FileDigest.sha256(of: $0) }
            if found != expected { throw damaged("\(file) does not match its checksum") }
        }
        (state, self.folder) = (contents.state, folder)
    }

    /// Lets `read` have a file of a checkpoint. One that is missing is damage; one that the system does not let us read may be
    /// whole.
    private static func reading<Result>(
        _ file: String, of folder: URL, _ read: (URL) throws -> Result
    ) throws(TrainingError) -> Result {
        let place = folder.appendingPathComponent(file)
        func unreadable(_ code: Int32) -> TrainingError {
            .unreadableCheckpoint(path: folder.path, FileError(action: "read", path: place.path, code: code))
        }
        var status = stat()
        if lstat(place.path, &status) != 0, errno != ENOENT, errno != ENOTDIR { throw unreadable(errno) }
        // A link could lead to another checkpoint's file, whose checksum would fit, and a pipe would never end.
        guard RegularFile.isPlain(place) else { throw damage(to: folder, "\(file) is missing or no regular file") }
        do { return try read(place) } catch {
            if let problem = (error as? CheckpointError)?.fileError { throw unreadable(problem.code) }
            let reason = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
            throw unreadable(reason?.domain == NSPOSIXErrorDomain ? reason.map { Int32($0.code) } ?? EIO : EIO)
        }
    }

    /// What to do depends on what else the run has.
    static func damage(to folder: URL, _ reason: String) -> TrainingError {
        let own = RunFolder.step(ofName: folder.lastPathComponent) ?? 0
        let steps = RunFolder.checkpointSteps(in: folder.deletingLastPathComponent())
        return .damagedCheckpoint(path: folder.path, reason: reason, hasEarlier: steps.contains { $0 < own })
    }

    /// The layout that `state.json` says it has, if it says so.
    private static func format(of data: Data) -> Int? {
        struct Probe: Codable {
            struct State: Codable { let format: Int }
            let state: State
            let checksum: String
        }
        return (try? JSONDecoder().decode(Probe.self, from: data))?.state.format
    }

    /// Bytes that a checkpoint of these parameters takes, at most: factors and two moments, with names and small files.
    public static func byteCount(of parameters: [Parameter]) -> Int {
        parameters.reduce(1 << 18) { $0 + 12 * $1.value.count + 1024 }
    }

    /// Puts the checkpoint's factors back into the parameters, and its moments and step into the trainer.
    func restore(_ trainer: Trainer, on compute: Compute) throws {
        let parameters = trainer.optimizer.parameters
        let values = try AdapterFolder.values(of: parameters, in: folder)
        for (parameter, values) in zip(parameters, values) {
            parameter.update { target in _ = target.update(from: values) }
        }
        try restoreMoments(trainer, on: compute)
    }

    /// Puts the checkpoint's moments and step into the trainer, whose parameters hold its factors already.
    func restoreMoments(_ trainer: Trainer, on compute: Compute) throws(TrainingError) {
        let (first, second, updates) = try moments(of: trainer.optimizer.parameters, on: compute)
        trainer.skippedSteps = state.skippedSteps
        trainer.optimizer.restore(
            step: state.step - state.skippedSteps, updates: updates, first: first, second: second)
    }

    /// The optimiser's moments and how often each parameter was updated, in the order of `parameters`.
    public func moments(
        of parameters: [Parameter], on compute: Compute
    ) throws(TrainingError) -> (first: [Tensor], second: [Tensor], updates: [Int]) {
        func damaged(_ reason: String) -> TrainingError { Self.damage(to: folder, reason) }
        do {
            let file = try SafetensorsFile(folder.appendingPathComponent("optimizer.safetensors"))
            func read(_ prefix: String) throws -> [Tensor] {
                try parameters.map { parameter in
                    let stored = try file.tensor(prefix + parameter.name)
                    guard stored.shape == parameter.value.shape else {
                        throw damaged("the moments of \(parameter.name) have shape \(stored.shape), expected \(parameter.value.shape)")
                    }
                    return compute.tensor(stored.expandAll(), shape: stored.shape)
                }
            }
            // As text: a float32, which torch has here, counts no further than 2²⁴.
            let updates = try parameters.map { parameter in
                guard let count = file.metadata["step." + parameter.name].flatMap({ Int($0) }) else {
                    throw damaged("optimizer.safetensors does not say how often \(parameter.name) was updated")
                }
                guard (0...state.step - state.skippedSteps).contains(count) else {
                    throw damaged("optimizer.safetensors says that \(parameter.name) was updated \(count) times in \(state.step - state.skippedSteps) steps")
                }
                return count
            }
            return (try read("exp_avg."), try read("exp_avg_sq."), updates)
        } catch let error as TrainingError {
            throw error
        } catch {
            throw damaged("\(error)")
        }
    }

    private static func write(_ optimizer: AdamW, to url: URL) throws {
        let names = optimizer.parameters.map(\.name)
        let tensors = ["exp_avg.", "exp_avg_sq."].flatMap { prefix in
            zip(names, optimizer.first).map { TensorDeclaration(name: prefix + $0, shape: $1.shape, type: .float32) }
        }
        let counts = zip(names, optimizer.updates).map { ("step." + $0, String($1)) }
        let metadata = Dictionary(uniqueKeysWithValues: counts)
        try SafetensorsWriter.write(to: url, tensors: tensors, metadata: metadata) { writer in
            for (prefix, moments) in [("exp_avg.", optimizer.first), ("exp_avg_sq.", optimizer.second)] {
                for (name, tensor) in zip(names, moments) { try writer.append(tensor.toArray(), to: prefix + name) }
            }
        }
    }
}
