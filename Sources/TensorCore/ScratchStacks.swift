import CKernels
import Glibc

/// A stack of scratch memory for every thread, so that what a thread leaves behind in the caches of its core is what it
/// takes next. A buffer of the pool might have been another core's a moment ago.
///
/// Address space for all threads is reserved at once; a stack takes memory as it is used for the first time.
package final class ScratchStacks: @unchecked Sendable {
    // `@unchecked`: a thread touches only the stack of its own number.

    private struct Stack {
        var isOpen = false
        var used = 0
        /// A line of the cache for each stack: threads that write to the same one wait for each other.
        var padding: (Int, Int, Int, Int, Int, Int) = (0, 0, 0, 0, 0, 0)
    }

    /// Bytes of a stack: about the second-level cache of a core, and a large page.
    package static let capacity = 2 << 20
    /// Threads that have a stack, of any pool. Others use the buffer pool, where what is free at a moment depends on what
    /// other threads do. It is many, which costs address space only.
    private static let count = Int(MARTLET_THREAD_NUMBERS)
    private let stacks = UnsafeMutablePointer<Stack>.allocate(capacity: count)
    private let reservation: Reservation
    /// Where stack 0 begins.
    private let base: UnsafeMutableRawPointer

    init() {
        stacks.initialize(repeating: Stack(), count: Self.count)
        reservation = Reservation(atMost: (Self.count + 1) * Self.capacity)
        base = reservation.base.alignedUp(toMultipleOf: Self.capacity)
    }

    deinit { stacks.deallocate() }

    /// Calls `body` with memory on top of the calling thread's stack; `nil` if it has no room.
    /// - Parameter size: bytes, a multiple of 64.
    func with<R>(_ size: Int, _ body: (UnsafeMutableRawPointer) -> R) -> R? {
        let number = Int(martlet_thread_number())
        if number >= Self.count { return nil }
        let stack = stacks + number
        let start = stack.pointee.used
        if start + size > Self.capacity || !isOpen(number) { return nil }
        stack.pointee.used = start + size
        defer { stack.pointee.used = start }
        return body(base + number * Self.capacity + start)
    }

    /// Whether a stack can be used; opens it the first time.
    private func isOpen(_ number: Int) -> Bool {
        if stacks[number].isOpen { return true }
        let start = base - reservation.base + number * Self.capacity
        if start + Self.capacity > reservation.size { return false }
        reservation.open(start..<start + Self.capacity)
        stacks[number].isOpen = true
        return true
    }
}
