import Foundation
import TensorCore

/// Names of temporary siblings: `.NAME.tmp-PID` while something is written, `.NAME.old-PID` while it is replaced.
struct Temporary {
    /// The path that will appear in the end.
    let target: String
    /// The folder it lies in; "." for a bare name.
    let parent: String
    private let name: String

    init(for url: URL) {
        // Without "." and "..", but with symbolic links as they are: a link itself can be the target.
        target = url.absoluteURL.standardized.path
        let parts = PathParts(target)
        name = parts.name
        parent = parts.folder.isEmpty ? "." : parts.folder
    }

    /// A free path for the kind "tmp" or "old"; a number is added when this process writes the same target twice.
    func path(_ kind: String) -> String {
        let base = "\(parent)/.\(name).\(kind)-\(getpid())"
        var candidate = base
        var number = 1
        while FileSystem.exists(candidate) {
            number += 1
            candidate = "\(base)-\(number)"
        }
        return candidate
    }

    /// Temporaries beside the target whose process has ended.
    func leftovers(_ kind: String) -> [String] {
        let prefix = ".\(name).\(kind)-"
        let entries = (try? FileManager.default.contentsOfDirectory(atPath: parent)) ?? []
        return entries.sorted().compactMap { entry in
            guard entry.hasPrefix(prefix),
                let process = entry.dropFirst(prefix.count).split(separator: "-").first.flatMap({ pid_t($0) }),
                kill(process, 0) != 0, errno == ESRCH
            else { return nil }
            return "\(parent)/\(entry)"
        }
    }

    /// Runs `body`; a system error about the temporary path is reported as one about the target.
    func reporting<Result>(_ temporary: String, _ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let CheckpointError.file(error) where error.path.hasPrefix(temporary) {
            throw CheckpointError.file(renamed(error, temporary))
        } catch let error as FileError {
            throw CheckpointError.file(renamed(error, temporary))
        }
    }

    private func renamed(_ error: FileError, _ temporary: String) -> FileError {
        guard error.path.hasPrefix(temporary) else { return error }
        let path = target + error.path.dropFirst(temporary.count)
        return FileError(action: error.action, path: path, code: error.code)
    }
}
