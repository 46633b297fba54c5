import Synchronization

/// One stretch of memory out of which all tensors get their buffers, so that a training step asks the system for nothing
/// after the longest batch has been seen.
///
/// Address space for all of the machine's memory is reserved at once and made usable from below as it is needed. Freed
/// buffers are joined with their neighbours: a shorter batch uses parts of what a longer one used, and no memory lies
/// idle because its size does not fit. Buffers are aligned to 64 bytes and are not cleared.
public final class BufferPool: Sendable {
    private struct State {
        var free = FreeRanges()
        /// Bytes from the base that have been handed out at least once.
        var used = 0
        /// Bytes from the base that may be read and written.
        var open = 0
        var liveBytes = 0
        var misses = 0
    }
    private let state = Mutex(State())
    private let reservation: Reservation
    private let scratch: ScratchStacks

    /// An empty pool.
    public init() {
        // The pool first: what the system grants may be limited.
        reservation = Reservation(atMost: Reservation.machineMemory)
        scratch = ScratchStacks()
    }

    /// Bytes in use, bytes kept for reuse, and how often memory was needed that had not been in use before; without the
    /// stacks of scratch.
    public var statistics: (liveBytes: Int, pooledBytes: Int, misses: Int) {
        state.withLock { ($0.liveBytes, $0.used - $0.liveBytes, $0.misses) }
    }

    /// The number of bytes that a request for `byteCount` bytes occupies.
    private static func occupied(_ byteCount: Int) -> Int { max(64, (byteCount + 63) & ~63) }

    func take(_ byteCount: Int) -> UnsafeMutableRawPointer {
        let size = Self.occupied(byteCount)
        let offset = state.withLock { state in
            state.liveBytes += size
            if let offset = state.free.take(size) { return offset }
            state.misses += 1
            return extend(&state, by: size)
        }
        return reservation.base + offset
    }

    func give(_ pointer: UnsafeMutableRawPointer, _ byteCount: Int) {
        let size = Self.occupied(byteCount)
        let offset = pointer - reservation.base
        state.withLock { state in
            state.liveBytes -= size
            state.free.give(offset..<offset + size)
        }
    }

    /// Calls `body` with memory for its time, from the stack of the calling thread as far as that has room.
    func withScratch<R>(_ byteCount: Int, _ body: (UnsafeMutableRawPointer) -> R) -> R {
        if let result = scratch.with(Self.occupied(byteCount), body) { return result }
        let pointer = take(byteCount)
        defer { give(pointer, byteCount) }
        return body(pointer)
    }

    /// Takes `size` bytes at the end of what was in use before, together with the free bytes that lie there.
    private func extend(_ state: inout State, by size: Int) -> Int {
        let start = state.free.takeLast(endingAt: state.used) ?? state.used
        state.used = start + size
        if state.used > state.open {
            let step = 4 << 20
            let open = (state.used + step - 1) / step * step
            reservation.open(state.open..<open)
            state.open = open
        }
        return start
    }
}
