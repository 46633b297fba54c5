import Synchronization

/// Remembers what was last made of a tensor: the projections of a block multiply the same input one after another, and a
/// gradient meets first its adapter and then its weight.
final class Recent<Value: Sendable>: Sendable {
    private struct Entry: @unchecked Sendable {
        // `@unchecked`: a weak reference is only read, under the lock.
        weak var storage: Storage?
        let changes, offset, rows, columns: Int
        let value: Value
    }
    private let entry = Mutex<Entry?>(nil)

    /// What was kept of this very tensor, if its elements are still the same.
    func find(_ x: Tensor) -> Value? {
        entry.withLock { entry in
            guard let entry, let storage = entry.storage, storage === x.storage, storage.changes == entry.changes,
                entry.offset == x.offset, entry.rows == x.rows, entry.columns == x.columns
            else { return nil }
            return entry.value
        }
    }

    func keep(_ value: Value, of x: Tensor) {
        entry.withLock {
            $0 = Entry(
                storage: x.storage, changes: x.storage.changes, offset: x.offset, rows: x.rows, columns: x.columns,
                value: value)
        }
    }

    /// Gives the memory back, before something else is made.
    func clear() { entry.withLock { $0 = nil } }
}
