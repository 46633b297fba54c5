public import Foundation

/// An advisory lock on a folder, held as long as the object lives and given up when the process ends however it ends.
///
/// Where the folder cannot be locked at all (some network file systems), nothing is locked.
public final class FolderLock {
    private let descriptor: Int32

    /// Locks a folder.
    /// - Parameter waiting: whether to wait while another process holds the lock.
    /// - Returns: `nil` if another process holds it and we do not wait.
    public init?(_ folder: URL, waiting: Bool = false) {
        descriptor = open(folder.path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        var result = flock(descriptor, LOCK_EX | (waiting ? 0 : LOCK_NB))
        while result != 0 && errno == EINTR { result = flock(descriptor, LOCK_EX | (waiting ? 0 : LOCK_NB)) }
        if result != 0 && errno == EWOULDBLOCK {
            close(descriptor)
            return nil
        }
    }

    deinit {
        guard descriptor >= 0 else { return }
        // A process that is just being started has a copy of the descriptor until its program begins: closing ours alone
        // would leave the folder locked until then.
        flock(descriptor, LOCK_UN)
        close(descriptor)
    }
}
