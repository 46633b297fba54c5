import Checkpoints
import Foundation
public import Tokenization

/// What the file or folder at a path is, read from headers and small files only.
public struct Inspection: Sendable {
    /// The things this program reads and writes.
    public enum Kind: String, Sendable, CaseIterable {
        /// A Hugging Face model folder.
        case model
        /// A GGUF file.
        case gguf
        /// A PEFT adapter folder.
        case adapter
        /// One checkpoint of a run.
        case checkpoint
        /// The folder of a run.
        case run
        /// A single safetensors file.
        case safetensors
    }

    /// What it is.
    public let kind: Kind
    /// What it holds, in the order in which it should be shown; the first two keys are `kind` and `path`.
    public let facts: JSONObject

    /// Looks at a path.
    /// - Throws: ``InspectionError`` for what is none of ``Kind``; the errors of the readers for what is damaged.
    public init(_ path: String) throws {
        let place = URL(fileURLWithPath: path)
        kind = try Self.kind(of: place, path)
        let found: JSONObject =
            switch kind {
            case .model: try Self.model(path)
            case .gguf: try Self.gguf(path)
            case .adapter: try Self.adapter(place)
            case .checkpoint: try Self.checkpoint(place)
            case .run: try Self.run(place)
            case .safetensors: try Self.safetensors(path)
            }
        facts = JSONObject(
            [("kind", .string(kind.rawValue)), ("path", .string(path))] + found.members.map { ($0.key, $0.value) })
    }

    /// Decided by what lies there, never by the name: a GGUF file is recognised under any.
    private static func kind(of place: URL, _ path: String) throws -> Kind {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
            throw InspectionError.missing(path: path)
        }
        return isFolder.boolValue ? try folderKind(place, path) : try fileKind(place, path)
    }

    private static func folderKind(_ place: URL, _ path: String) throws -> Kind {
        func holds(_ name: String) -> Bool {
            FileManager.default.fileExists(atPath: place.appendingPathComponent(name).path)
        }
        if holds("resolved.yaml") { return .run }
        if holds("state.json") { return .checkpoint }
        if holds("adapter_config.json") { return .adapter }
        if holds("config.json") { return .model }
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: path).sorted() else {
            throw InspectionError.unreadable(path: path)
        }
        throw InspectionError.unknownFolder(path: path, holds: names)
    }

    private static func fileKind(_ place: URL, _ path: String) throws -> Kind {
        guard let file = try? FileHandle(forReadingFrom: place) else { throw InspectionError.unreadable(path: path) }
        defer { try? file.close() }
        let start = (try? file.read(upToCount: 64)) ?? Data()
        if GitPointer.isOne(start) { throw InspectionError.gitPointer(path: path) }
        if start.starts(with: Data("GGUF".utf8)) { return .gguf }
        // A header length and the brace of its JSON.
        if start.count > 8, start[8] == UInt8(ascii: "{") { return .safetensors }
        throw InspectionError.unknownFile(path: path)
    }
}

/// Why a path cannot be inspected.
public enum InspectionError: Error, CustomStringConvertible, Sendable, Equatable {
    /// There is nothing at the path.
    case missing(path: String)
    /// The file is there, but cannot be opened.
    case unreadable(path: String)
    /// What git-lfs leaves in the place of a file.
    case gitPointer(path: String)
    /// A folder that is nothing this program knows.
    case unknownFolder(path: String, holds: [String])
    /// A file that is nothing this program knows.
    case unknownFile(path: String)

    /// One sentence: what was found, what was expected.
    public var description: String {
        switch self {
        case .missing(let path): "\(path): there is no such file or folder"
        case .unreadable(let path): "\(path) cannot be opened for reading; check its permissions"
        case .gitPointer(let path): "\(path): \(GitPointer.sentence)"
        case .unknownFolder(let path, let holds):
            "\(path) holds "
                + (holds.isEmpty ? "nothing" : holds.prefix(4).joined(separator: ", "))
                + (holds.count > 4 ? ", …; " : "; ")
                + "expected a model folder (config.json), an adapter (adapter_config.json), "
                + "a checkpoint (state.json) or a run (resolved.yaml)"
        case .unknownFile(let path): "\(path) is neither a GGUF nor a safetensors file"
        }
    }
}
