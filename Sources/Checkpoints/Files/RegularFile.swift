public import Foundation
public import TensorCore

/// Small files out of strangers' folders. A pipe or a device in the place of a file must not keep the program waiting.
public enum RegularFile {
    /// The whole contents of a file; symbolic links are followed, folders, pipes and devices refused.
    public static func contents(_ url: URL) throws(FileError) -> Data {
        let file = try MappedFile(path: url.path)
        return Data(file.bytes)
    }

    /// The same where there need be no such file: `nil` then. One that may not be read is not passed over.
    public static func contentsIfAny(_ url: URL) throws(FileError) -> Data? {
        do throws(FileError) { return try contents(url) } catch {
            if error.kind == .denied { throw error }
            return nil
        }
    }

    /// Whether the path itself is a regular file, not a link to one.
    public static func isPlain(_ url: URL) -> Bool {
        var status = stat()
        return lstat(url.path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }
}
