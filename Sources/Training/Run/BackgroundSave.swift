import Foundation

/// A checkpoint being written by a thread of its own, while the next step goes forward and backward.
///
/// Nothing is copied: the writer reads the parameters and moments themselves, so whoever is about to change them calls
/// ``finish()`` first.
final class BackgroundSave: @unchecked Sendable {
    // `@unchecked`: `work` is taken by the thread before it runs and `result` is read after it has signalled the end.
    private var work: (() throws -> Void)?
    private var result: Result<Void, any Error> = .success(())
    private let done = DispatchSemaphore(value: 0)
    /// Step of the checkpoint.
    let step: Int

    /// Starts writing.
    init(step: Int, _ work: @escaping () throws -> Void) {
        self.step = step
        self.work = work
        let thread = Thread { [self] in
            run()
            done.signal()
        }
        thread.stackSize = 1 << 20
        thread.start()
    }

    /// Whatever the work holds on to is let go here, before the end is signalled: tensors are changed in place afterwards.
    private func run() {
        guard let work else { return }
        self.work = nil
        do { try work() } catch { result = .failure(error) }
    }

    /// Waits until the checkpoint is on disk.
    /// - Throws: why it could not be written.
    func finish() throws {
        done.wait()
        try result.get()
    }
}
