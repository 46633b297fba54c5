import Checkpoints
public import Foundation
import Models
public import TensorCore

/// Packed base models on disk, so that a model is packed once and mapped ever after.
///
/// `packed/DIGEST` is a folder in bitsandbytes' layout, named after the contents of the source and how it was packed;
/// `sources/LOOK` names the digest for a source that looks (device, inode, size, time) like one seen before. Either may
/// be deleted at any time.
public struct PackedCache: Sendable {
    /// The folder that holds everything.
    public let folder: URL

    private var packedModels: URL { folder.appendingPathComponent("packed", isDirectory: true) }
    private var sources: URL { folder.appendingPathComponent("sources", isDirectory: true) }

    /// A cache in `folder`; `nil` means `$XDG_CACHE_HOME/martlet`, or `~/.cache/martlet`.
    public init(_ folder: URL? = nil) {
        let environment = ProcessInfo.processInfo.environment
        let home = environment["XDG_CACHE_HOME"].flatMap { $0.hasPrefix("/") ? URL(fileURLWithPath: $0) : nil }
        self.folder =
            folder
            ?? (home ?? FileManager.default.homeDirectoryForCurrentUser.appendingPathComponent(".cache"))
            .appendingPathComponent("martlet", isDirectory: true)
    }

    /// Opens a base model packed into 4 bits: from the cache, or by packing it into the cache, or in memory where the
    /// cache cannot be written.
    /// - Parameter note: receives sentences about what takes time or went wrong without harm.
    public func open(
        _ path: String, packing: Packing, on compute: Compute, note: (String) -> Void = { _ in }
    ) throws -> BaseModel {
        let source = SourceIdentity(path)
        let look = Self.name(source.appearance(), packing).hex
        let link = sources.appendingPathComponent(look)
        if let text = try? String(contentsOf: link, encoding: .utf8), let digest = FileDigest(hex: text),
            let model = trusted(digest, path, packing, on: compute, note: note)
        {
            return model
        }
        let base = try BaseModel.open(path)
        if base.isPacked { return base }
        let digest = Self.name(try source.contents(), packing)
        do {
            let model = try build(digest, base, packing, on: compute, note: note)
            try AtomicFile.write(Data(digest.hex.utf8), to: link)
            return model
        } catch let error as CheckpointError where concerns(error) {
            note("\(error); packing \(path) in memory instead, which every start will repeat")
            return try base.packedInMemory(packing, digest: digest.hex, on: compute)
        }
    }

    /// Whether an error is about the cache, or about a folder above it that cannot be made.
    private func concerns(_ error: CheckpointError) -> Bool {
        guard let path = error.fileError?.path else { return false }
        return (path + "/").hasPrefix(folder.path + "/") || (folder.path + "/").hasPrefix(path + "/")
    }

    /// The digest of a source and how it is packed.
    private static func name(_ source: FileDigest, _ packing: Packing) -> FileDigest {
        let text = "\(source.hex) nf4 64 \(packing.doubleQuantization) \(packing.embeddings) \(PackedManifest.currentLayout)"
        return FileDigest.sha256(of: Data(text.utf8))
    }

    /// The packed model of this digest if it is there and whole.
    private func trusted(
        _ digest: FileDigest, _ path: String, _ packing: Packing, on compute: Compute, note: (String) -> Void
    ) -> BaseModel? {
        let place = packedModels.appendingPathComponent(digest.hex, isDirectory: true)
        guard FileManager.default.fileExists(atPath: place.path) else { return nil }
        if let problem = PackedManifest.problem(in: place, digest: digest, on: compute) {
            note("the packed copy of \(path) in \(place.path) cannot be trusted (\(problem)); it is made again")
            return nil
        }
        return try? BaseModel.openPacked(place.path, source: path, packing: packing, digest: digest.hex)
    }

    /// Packs a model into the cache unless another process has just done so.
    private func build(
        _ digest: FileDigest, _ base: BaseModel, _ packing: Packing, on compute: Compute, note: (String) -> Void
    ) throws -> BaseModel {
        for place in [sources, packedModels] { try AtomicDirectory.makeFolder(place) }
        let lock = FolderLock(packedModels, waiting: true)
        defer { withExtendedLifetime(lock) {} }
        if let model = trusted(digest, base.path, packing, on: compute, note: note) { return model }
        note("packing \(base.path) into 4 bits, once; the copy stays in \(folder.path)")
        let place = packedModels.appendingPathComponent(digest.hex, isDirectory: true)
        AtomicDirectory.recover(in: packedModels)
        let network = try base.makeModel(on: compute)
        try AtomicDirectory.write(to: place, replacing: true) { temporary in
            _ = try PackedFolder.write(base, network: network, packing: packing, to: temporary, on: compute)
            try PackedManifest(of: temporary, digest: digest, source: base.path, on: compute).write(to: temporary)
        }
        return try BaseModel.openPacked(place.path, source: base.path, packing: packing, digest: digest.hex)
    }
}

extension PackedCache {
    /// A packed model in the cache.
    public struct Entry: Sendable {
        /// Its digest, the name of its folder.
        public let digest: String
        /// Where the model lay that it was packed from; `nil` if the copy does not say.
        public let source: String?
        /// Bytes on disk.
        public let bytes: Int
        /// When it was made.
        public let made: Date
    }

    /// The packed models, the oldest first.
    public func entries() -> [Entry] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: packedModels.path)) ?? []
        return names.filter { FileDigest(hex: $0) != nil }.map { name in
            let place = packedModels.appendingPathComponent(name)
            let attributes = try? FileManager.default.attributesOfItem(atPath: place.path)
            return Entry(
                digest: name, source: PackedManifest.read(in: place)?.source, bytes: Self.bytes(in: place),
                made: (attributes?[.modificationDate] as? Date) ?? .distantPast)
        }.sorted { $0.made < $1.made }
    }

    /// Bytes of the files in a folder.
    static func bytes(in folder: URL) -> Int {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return files.reduce(0) { sum, file in
            let attributes = try? FileManager.default.attributesOfItem(atPath: folder.appendingPathComponent(file).path)
            return sum + ((attributes?[.size] as? Int) ?? 0)
        }
    }

    /// Deletes what processes that were killed while packing have left, unless another process is packing.
    public func recover() {
        guard let lock = FolderLock(packedModels) else { return }
        withExtendedLifetime(lock) { AtomicDirectory.recover(in: packedModels) }
    }

    /// Deletes packed models; those that a process has mapped stay readable for it.
    public func remove(_ entries: [Entry]) throws {
        let lock = FolderLock(packedModels, waiting: true)
        defer { withExtendedLifetime(lock) {} }
        for entry in entries { try FileManager.default.removeItem(at: packedModels.appendingPathComponent(entry.digest)) }
        if self.entries().isEmpty { Self.removeLooks(in: sources) }
    }

    /// Deletes what is noted on files that have been seen, and the folder if that was all in it: a folder that somebody
    /// names as the cache may have held one of this name before.
    static func removeLooks(in sources: URL) {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: sources.path)) ?? []
        for name in names where FileDigest(hex: name) != nil {
            try? FileManager.default.removeItem(at: sources.appendingPathComponent(name))
        }
        rmdir(sources.path)
    }
}
