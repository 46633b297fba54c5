package import Checkpoints
package import Foundation
package import TensorCore

/// What a folder of the cache must contain to be trusted: a sum for every tensor, a digest for every other file.
package struct PackedManifest: Codable {
    package static let fileName = "martlet.json"
    /// Raised when the same source would be packed into other bytes.
    static let currentLayout = 1

    var layout = currentLayout
    /// Digest of source and packing: the folder's name.
    let digest: FileDigest
    /// Where the source lay, for people; copies of earlier versions do not say.
    let source: String?
    let tensors: [String: UInt64]
    let files: [String: FileDigest]

    /// Describes a folder as it is.
    init(of folder: URL, digest: FileDigest, source: String, on compute: Compute) throws {
        (self.digest, self.source) = (digest, URL(fileURLWithPath: source).standardizedFileURL.path)
        tensors = try Self.sums(of: folder, on: compute)
        files = try Self.digests(in: folder)
    }

    func write(to folder: URL) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        try AtomicFile.write(try encoder.encode(self), to: folder.appendingPathComponent(Self.fileName))
    }

    /// The manifest of a folder; `nil` if it has none that can be read.
    static func read(in folder: URL) -> PackedManifest? {
        (try? RegularFile.contents(folder.appendingPathComponent(fileName))).flatMap {
            try? JSONDecoder().decode(PackedManifest.self, from: $0)
        }
    }

    /// What is wrong with a folder, in a clause; `nil` if nothing is. Reads everything in it.
    package static func problem(in folder: URL, digest: FileDigest, on compute: Compute) -> String? {
        guard let manifest = read(in: folder) else { return "it has no readable \(fileName)" }
        guard manifest.layout == currentLayout, manifest.digest == digest else { return "it belongs to something else" }
        do {
            let sums = try sums(of: folder, on: compute)
            if let name = manifest.tensors.keys.sorted().first(where: { sums[$0] != manifest.tensors[$0] }) {
                return "tensor \(name) has changed"
            }
            let digests = try digests(in: folder)
            if let name = manifest.files.keys.sorted().first(where: { digests[$0] != manifest.files[$0] }) {
                return "\(name) has changed"
            }
            return sums.count == manifest.tensors.count ? nil : "it has too many tensors"
        } catch {
            return "\(error)"
        }
    }

    /// A sum of each tensor, by all threads.
    private static func sums(of folder: URL, on compute: Compute) throws -> [String: UInt64] {
        let files = try ShardedSafetensors(folder: folder)
        let bytes = try files.names.map { try files.entry($0).bytes }
        var sums = [UInt64](repeating: 0, count: bytes.count)
        sums.withUnsafeMutableBufferPointer { sums in
            compute.threads.run(tiles: bytes.count) {
                sums[$0] = bytes[$0].checksum(releasing: true)
            }
        }
        return Dictionary(uniqueKeysWithValues: zip(files.names, sums))
    }

    private static func digests(in folder: URL) throws -> [String: FileDigest] {
        var digests: [String: FileDigest] = [:]
        for name in try FileManager.default.contentsOfDirectory(atPath: folder.path)
        where name != fileName && !name.hasSuffix(".safetensors") {
            digests[name] = try FileDigest.sha256(of: folder.appendingPathComponent(name))
        }
        return digests
    }
}
