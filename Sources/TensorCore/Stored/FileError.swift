#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// A call to the operating system about one file that failed: what was tried, on which path, and the system's reason.
public struct FileError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What kind of trouble it is, as far as a program wants to react to it.
    public enum Kind: Sendable, Hashable {
        /// The file or folder does not exist.
        case missing
        /// Permission is missing (EACCES, EPERM).
        case denied
        /// The file system is mounted read-only (EROFS).
        case readOnly
        /// The disk or the quota is full (ENOSPC, EDQUOT, EFBIG).
        case full
        /// Something already exists where nothing may be overwritten (EEXIST, ENOTEMPTY).
        case exists
        /// Anything else, an input/output error for example.
        case other
    }

    /// What was tried, as an infinitive that fits after "cannot": "open", "write to".
    public let action: String
    /// The path as it was given to the system.
    public let path: String
    /// The system's error number (`errno`).
    public let code: Int32

    /// Describes a failed call; `code` is `errno` right after it.
    public init(action: String, path: String, code: Int32) {
        self.action = action
        self.path = path
        self.code = code
    }

    /// The kind of trouble that `code` stands for.
    public var kind: Kind {
        switch code {
        case ENOENT: .missing
        case EACCES, EPERM: .denied
        case EROFS: .readOnly
        case ENOSPC, EDQUOT, EFBIG: .full
        case EEXIST, ENOTEMPTY: .exists
        default: .other
        }
    }

    /// The system's text for `code`, "No such file or directory" for example.
    public var reason: String {
        if action == "map", code == EINVAL { return "it is a pipe or a device, not a file" }
        // Linux texts stay below 64 bytes; strerror itself is not safe with several threads.
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
            guard let text = buffer.baseAddress, strerror_r(code, text, buffer.count) == 0 else {
                return "error \(code)"
            }
            return String(cString: text)
        }
    }

    /// One sentence: what could not be done, where and why.
    public var description: String {
        let remedy: String =
            switch kind {
            case .full: "; free some space or choose another folder"
            case .readOnly: "; choose a folder on a writable file system"
            case .denied: "; check the permissions"
            case .missing, .exists, .other: ""
            }
        return "cannot \(action) \(path): \(reason)\(remedy)"
    }
}
