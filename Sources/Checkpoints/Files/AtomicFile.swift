public import Foundation
import TensorCore

/// Writes files so that at any moment, also after a crash or a power cut, either the old or the new one is there whole.
public enum AtomicFile {
    /// Writes `data` to `url`, replacing what is there.
    ///
    /// - Throws: `CheckpointError.file`.
    public static func write(_ data: Data, to url: URL) throws {
        try write(to: url) { temporary in
            let file = try OutputFile(creating: temporary.path)
            try data.withUnsafeBytes { try file.write($0, at: 0) }
        }
    }

    /// Lets `body` write a file at a temporary path beside `url`, then puts it in the place of `url`.
    ///
    /// Missing folders above `url` are made. If `body` throws, its error passes through and nothing is left behind.
    ///
    /// - Throws: `CheckpointError.file`, and what `body` throws.
    public static func write(to url: URL, _ body: (URL) throws -> Void) throws {
        let names = Temporary(for: url)
        try reportingFiles(try FileSystem.makeFolders(names.parent))
        let temporary = names.path("tmp")
        do {
            try names.reporting(temporary) {
                try body(URL(fileURLWithPath: temporary))
                try FileSystem.synchronize(temporary)
                try FileSystem.move(temporary, to: names.target)
                try FileSystem.synchronize(names.parent)
            }
        } catch {
            unlink(temporary)
            throw error
        }
    }

    /// Makes `url` a symbolic link to `destination` (relative to the folder of `url`), replacing a link or file there.
    ///
    /// - Throws: `CheckpointError.file`.
    public static func replaceLink(at url: URL, to destination: String) throws {
        let names = Temporary(for: url)
        let temporary = names.path("tmp")
        do {
            try names.reporting(temporary) {
                guard symlink(destination, temporary) == 0 else {
                    throw FileError(action: "create the link", path: names.target, code: errno)
                }
                try FileSystem.move(temporary, to: names.target)
                try FileSystem.synchronize(names.parent)
            }
        } catch {
            unlink(temporary)
            throw error
        }
    }
}
