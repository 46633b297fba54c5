import Checkpoints
import Datasets
public import Foundation

/// What is kept on disk of data that are too large for memory, beside the packed models.
///
/// `data/tokens/DIGEST` is a tokenised source, named after its contents and everything that decides its tokens;
/// `data/indexes/DIGEST` says where the records of a source lie; `data/sources/LOOK` names the digest of contents for
/// files that look (device, inode, size, time) like some seen before. All may be deleted at any time.
public struct DataCache: Sendable {
    /// The folder that holds everything.
    public let folder: URL

    /// A kind of entry.
    public enum Kind: String, Sendable, CaseIterable {
        /// A tokenised source.
        case tokens
        /// Where the records of a source lie.
        case indexes
    }

    /// The part of a cache that is for data.
    public init(_ cache: PackedCache) { folder = cache.folder.appendingPathComponent("data", isDirectory: true) }

    /// Where an entry is or would be.
    func place(_ kind: Kind, _ digest: FileDigest) -> URL {
        entries(of: kind).appendingPathComponent(digest.hex, isDirectory: true)
    }

    private func entries(of kind: Kind) -> URL { folder.appendingPathComponent(kind.rawValue, isDirectory: true) }

    private var sources: URL { folder.appendingPathComponent("sources", isDirectory: true) }

    /// The entry of a digest: as it is there if it can be opened, else built anew under another name and renamed.
    /// - Parameters:
    ///   - open: Opens a folder; throws if it cannot be trusted.
    ///   - build: Fills an empty folder.
    func entry<Value>(
        _ kind: Kind, _ digest: FileDigest, note: (String) -> Void, open: (URL) throws -> Value,
        build: (URL) throws -> Void
    ) throws -> Value {
        let place = place(kind, digest)
        func existing() -> Value? {
            guard FileManager.default.fileExists(atPath: place.path) else { return nil }
            do { return try open(place) } catch {
                note("\(error); it is made again")
                return nil
            }
        }
        if let value = existing() { return value }
        try AtomicDirectory.makeFolder(entries(of: kind))
        let lock = FolderLock(entries(of: kind), waiting: true)
        defer { withExtendedLifetime(lock) {} }
        // Another process may have built it while we waited.
        if let value = existing() { return value }
        AtomicDirectory.recover(in: entries(of: kind))
        try AtomicDirectory.write(to: place, replacing: true, build)
        return try open(place)
    }

    /// The digest of some files' contents and names' endings; files that look as they did when they were read are not
    /// read again.
    func digest(of files: [String]) throws -> FileDigest {
        let look = Self.look(of: files)
        let link = sources.appendingPathComponent(look.hex)
        if let text = try? String(contentsOf: link, encoding: .utf8), let digest = FileDigest(hex: text) { return digest }
        var lines: [String] = []
        for path in files {
            // The ending decides how a file is read.
            let ending = (path as NSString).lastPathComponent.lowercased().split(separator: ".").dropFirst().suffix(2)
            lines.append("\(ending.joined(separator: ".")) \(try FileDigest.sha256(of: URL(fileURLWithPath: path)))")
        }
        if Self.look(of: files) != look { throw DatasetProblem(.changed, file: files[0]) }
        let digest = FileDigest.sha256(of: Data(lines.joined(separator: "\n").utf8))
        // Without it the files are read again next time.
        try? AtomicFile.write(Data(digest.hex.utf8), to: link)
        return digest
    }
}

extension DataCache {
    /// A digest of how files look from outside.
    static func look(of files: [String]) -> FileDigest {
        let looks = files.map { path in
            var status = stat()
            guard stat(path, &status) == 0 else { return "\(path) missing" }
            let changed = status.st_mtim
            return "\(path) \(status.st_dev) \(status.st_ino) \(status.st_size) \(changed.tv_sec).\(changed.tv_nsec)"
        }
        return FileDigest.sha256(of: Data(looks.joined(separator: "\n").utf8))
    }

    /// Something that is kept.
    public struct Entry: Sendable {
        /// What it is.
        public let kind: Kind
        /// The name of its folder.
        public let digest: String
        /// Bytes on disk.
        public let bytes: Int
        /// When it was made.
        public let made: Date
    }

    /// Everything that is kept, the oldest first.
    public func entries() -> [Entry] {
        Kind.allCases.flatMap { kind in
            let names = (try? FileManager.default.contentsOfDirectory(atPath: entries(of: kind).path)) ?? []
            return names.filter { FileDigest(hex: $0) != nil }.map { name in
                let place = entries(of: kind).appendingPathComponent(name)
                let attributes = try? FileManager.default.attributesOfItem(atPath: place.path)
                return Entry(
                    kind: kind, digest: name, bytes: PackedCache.bytes(in: place),
                    made: (attributes?[.modificationDate] as? Date) ?? .distantPast)
            }
        }.sorted { $0.made < $1.made }
    }

    /// Deletes what processes that were killed while they built an entry have left, unless another process builds one.
    public func recover() {
        for kind in Kind.allCases {
            guard let lock = FolderLock(entries(of: kind)) else { continue }
            withExtendedLifetime(lock) { AtomicDirectory.recover(in: entries(of: kind)) }
        }
    }

    /// Deletes entries; those that a process has open stay readable for it.
    public func remove(_ doomed: [Entry]) throws {
        for kind in Kind.allCases {
            let lock = FolderLock(entries(of: kind), waiting: true)
            defer { withExtendedLifetime(lock) {} }
            for entry in doomed where entry.kind == kind {
                try FileManager.default.removeItem(at: entries(of: kind).appendingPathComponent(entry.digest))
            }
        }
        if entries().isEmpty { PackedCache.removeLooks(in: sources) }
    }
}
