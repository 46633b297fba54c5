import Checkpoints
import Foundation

/// A path that leads to no model: what its author may have meant.
struct ModelPath {
    let path: String

    init(_ path: String) { self.path = path }

    /// What to do where there is no file or folder.
    var remedy: String {
        if path.hasPrefix("~") {
            return "~ is not expanded here, write the whole path: \(NSString(string: path).expandingTildeInPath)"
        }
        if let neighbour { return "did you mean \(neighbour)?" }
        if isNameOnHub {
            let folder = "models/" + PathParts(path).name
            return "if it is the name of a repository on the Hugging Face hub: Martlet downloads nothing, so fetch it with"
                + " `hf download \(path) --local-dir \(folder)` and give that folder"
        }
        return "give a Hugging Face model folder or a .gguf file"
    }

    /// The .gguf files in the folder at the path.
    var filesInside: [String] {
        Self.names(in: path).filter { $0.hasSuffix(".gguf") }.sorted()
            .map { NSString(string: path).appendingPathComponent($0) }
    }

    /// The model in the same folder whose name is a slip of the pen or an ending away.
    private var neighbour: String? {
        let parts = PathParts(path)
        let (folder, name) = (parts.folder, parts.name)
        let models = Self.names(in: folder.isEmpty ? "." : folder).filter { name in
            let configuration = "\(folder.isEmpty ? "." : folder)/\(name)/config.json"
            return name.hasSuffix(".gguf") || FileManager.default.fileExists(atPath: configuration)
        }
        return (nearest(to: name, in: models) ?? nearest(to: name + ".gguf", in: models))
            .map { NSString(string: folder).appendingPathComponent($0) }
    }

    /// Whether it looks like `OWNER/NAME` and not like a way through folders that exist.
    private var isNameOnHub: Bool {
        let owner = path.prefix { $0 != "/" }
        return path.wholeMatch(of: /[A-Za-z0-9][\w.-]*\/[\w.-]+/) != nil && !path.hasSuffix(".gguf")
            && !FileManager.default.fileExists(atPath: String(owner))
    }

    private static func names(in folder: String) -> [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    }
}
