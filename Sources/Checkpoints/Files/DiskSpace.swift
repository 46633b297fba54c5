public import Foundation

/// Room on a disk.
public enum DiskSpace {
    /// Bytes that this process may still write on the file system of a folder, or of the nearest one above it that exists;
    /// `nil` if the system does not tell.
    public static func free(at url: URL) -> Int? {
        var path = url.standardizedFileURL.path
        while !FileSystem.exists(path), path != "/", !path.isEmpty { path = PathParts(path).folder }
        return FileSystem.freeSpace(path)
    }
}
