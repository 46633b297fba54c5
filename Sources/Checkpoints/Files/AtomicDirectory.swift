public import Foundation
import TensorCore

/// Writes whole folders so that they appear complete or not at all, also after a crash or a power cut.
///
/// Until then they stand beside their place as `.NAME.tmp-PID`.
public enum AtomicDirectory {
    /// Lets `body` fill a temporary folder beside `url`, then puts it in the place of `url`.
    ///
    /// Missing folders above `url` are made. If `body` throws, its error passes through and nothing is left behind.
    /// With `replacing`, what is at `url` is exchanged in one step where the file system can do that, and then
    /// deleted; without, something at `url` is an error of kind `exists`, found before `body` runs.
    ///
    /// - Throws: `CheckpointError.file`, and what `body` throws.
    public static func write(to url: URL, replacing: Bool, _ body: (URL) throws -> Void) throws {
        let names = Temporary(for: url)
        if !replacing { try refuseExisting(names.target) }
        try reportingFiles(try FileSystem.makeFolders(names.parent))
        let temporary = names.path("tmp")
        do {
            try names.reporting(temporary) {
                try FileSystem.makeFolder(temporary)
                try body(URL(fileURLWithPath: temporary, isDirectory: true))
                try FileSystem.synchronizeTree(temporary)
                if !replacing { try refuseExisting(names.target) }
                try publish(temporary, names)
                try FileSystem.synchronize(names.parent)
            }
        } catch {
            remove(temporary)
            throw error
        }
        // After an exchange the temporary name holds what was replaced.
        remove(temporary)
    }

    private static func refuseExisting(_ path: String) throws(CheckpointError) {
        guard FileSystem.exists(path) else { return }
        throw .file(FileError(action: "create the folder", path: path, code: EEXIST))
    }

    /// Puts the temporary folder in its place.
    private static func publish(_ temporary: String, _ names: Temporary) throws(FileError) {
        guard FileSystem.exists(names.target) else { return try FileSystem.move(temporary, to: names.target) }
        if FileSystem.exchange(temporary, names.target) { return }
        // Two steps instead of one: after a crash between them `recover` puts the old folder back.
        let old = names.path("old")
        try FileSystem.move(names.target, to: old)
        do {
            try FileSystem.move(temporary, to: names.target)
        } catch {
            try FileSystem.move(old, to: names.target)
            throw error
        }
        remove(old)
    }

    /// Deletes what writers of `url` that were killed have left beside it, and puts back a folder that one of them was
    /// just replacing. Temporaries of processes that still run are not touched.
    ///
    /// Processes of other machines or containers that share the file system cannot be seen: call it only for folders
    /// that nobody else writes.
    ///
    /// - Returns: The paths that were deleted.
    @discardableResult
    public static func recover(beside url: URL) -> [URL] {
        let names = Temporary(for: url)
        var old = names.leftovers("old")
        if !FileSystem.exists(names.target), let last = old.popLast() { _ = rename(last, names.target) }
        let doomed = names.leftovers("tmp") + old
        doomed.forEach(remove)
        return doomed.map { URL(fileURLWithPath: $0) }
    }

    /// Recovers whatever lies in a folder.
    public static func recover(in folder: URL) {
        for entry in (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? [] where entry.hasPrefix(".") {
            for kind in [".tmp-", ".old-"] {
                guard let mark = entry.range(of: kind, options: .backwards) else { continue }
                recover(beside: folder.appendingPathComponent(String(entry[..<mark.lowerBound].dropFirst())))
            }
        }
    }

    /// Makes a folder, and those above it, where they are missing.
    public static func makeFolder(_ url: URL) throws(CheckpointError) {
        try reportingFiles(try FileSystem.makeFolders(url.path))
    }

    private static func remove(_ path: String) {
        if FileSystem.exists(path) { try? FileManager.default.removeItem(atPath: path) }
    }
}
