import Foundation
import TensorCore

/// The few calls to the operating system that atomic writing needs, with typed errors.
enum FileSystem {
    /// Whether something, be it a dangling link, has this path.
    static func exists(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0
    }

    /// Makes one folder that must not exist yet.
    static func makeFolder(_ path: String) throws(FileError) {
        guard mkdir(path, 0o777) == 0 else { throw FileError(action: "create the folder", path: path, code: errno) }
    }

    /// Makes a folder and those above it as far as they are missing.
    static func makeFolders(_ path: String) throws(FileError) {
        guard !path.isEmpty, path != "/", !isFolder(path) else { return }
        let parent = PathParts(path).folder
        try makeFolders(parent)
        if mkdir(path, 0o777) != 0 {
            let code = errno
            // Another process may have made it meanwhile; a file of that name is in the way.
            guard code == EEXIST else { throw FileError(action: "create the folder", path: path, code: code) }
            guard isFolder(path) else { throw FileError(action: "create the folder", path: path, code: ENOTDIR) }
        }
        try synchronize(parent.isEmpty ? "." : parent)
    }

    private static func isFolder(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// Renames, replacing what is there if the system allows it.
    static func move(_ from: String, to target: String) throws(FileError) {
        guard rename(from, target) == 0 else { throw FileError(action: "create", path: target, code: errno) }
    }

    /// Lets two existing paths change places in one step; false where the file system cannot.
    static func exchange(_ first: String, _ second: String) -> Bool {
        typealias RenameAt2 = @convention(c) (Int32, UnsafePointer<CChar>, Int32, UnsafePointer<CChar>, UInt32) -> Int32
        // Looked up because the call is missing from older C libraries and from the headers that Swift sees.
        guard let symbol = dlsym(nil, "renameat2") else { return false }
        let exchangeFlag: UInt32 = 2
        return unsafeBitCast(symbol, to: RenameAt2.self)(AT_FDCWD, first, AT_FDCWD, second, exchangeFlag) == 0
    }

    /// Waits until a file's content, or a folder's list of names, is on the disk.
    static func synchronize(_ path: String) throws(FileError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw FileError(action: "open", path: path, code: errno) }
        defer { close(descriptor) }
        // Some file systems cannot synchronise folders and say EINVAL; there is nothing better to do then.
        guard fsync(descriptor) == 0 || errno == EINVAL else {
            throw FileError(action: "write to", path: path, code: errno)
        }
    }

    /// Synchronises a folder with everything in it; symbolic links are not followed.
    static func synchronizeTree(_ path: String) throws(FileError) {
        guard let listing = opendir(path) else { throw FileError(action: "read the folder", path: path, code: errno) }
        defer { closedir(listing) }
        while let entry = readdir(listing) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name == "." || name == ".." { continue }
            var status = stat()
            guard lstat("\(path)/\(name)", &status) == 0 else {
                throw FileError(action: "inspect", path: "\(path)/\(name)", code: errno)
            }
            switch status.st_mode & S_IFMT {
            case S_IFDIR: try synchronizeTree("\(path)/\(name)")
            case S_IFREG: try synchronize("\(path)/\(name)")
            default: break
            }
        }
        try synchronize(path)
    }

    /// Fails with "no space" if the file system of `folder` has less than `bytes` free; silent if that is unknown.
    static func requireSpace(_ bytes: Int, for path: String, in folder: String) throws(FileError) {
        guard let free = freeSpace(folder.isEmpty ? "." : folder), free < bytes else { return }
        throw FileError(action: "write \(bytes) bytes to", path: path, code: ENOSPC)
    }

    /// Bytes that are free for this process on the file system of a folder; `nil` if the system does not tell.
    static func freeSpace(_ folder: String) -> Int? {
        var status = statvfs()
        guard statvfs(folder, &status) == 0, status.f_blocks > 0 else { return nil }
        let (free, overflow) = UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize))
        return overflow ? .max : Int(clamping: free)
    }
}
