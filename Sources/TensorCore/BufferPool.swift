import Glibc
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

    /// An empty pool.
    public init() { reservation = Reservation() }

    /// Bytes in use, bytes kept for reuse, and how often memory was needed that had not been in use before.
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

/// Address space as large as the machine's memory, or as much of it as the system grants.
private final class Reservation: @unchecked Sendable {
    // `@unchecked`: both fields are constants; the pool owns what the base points at.
    let base: UnsafeMutableRawPointer
    private let size: Int

    init() {
        var size = sysconf(Int32(_SC_PHYS_PAGES)) * Self.page
        while true {
            let base = mmap(nil, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
            if let base, base != MAP_FAILED {
                (self.base, self.size) = (base, size)
                return
            }
            size /= 2
            precondition(size > 1 << 20, "out of memory: the system refused address space for the buffers")
        }
    }

    deinit { munmap(base, size) }

    /// Makes a range of whole pages usable.
    func open(_ range: Range<Int>) {
        guard range.upperBound <= size, mprotect(base + range.lowerBound, range.count, PROT_READ | PROT_WRITE) == 0 else {
            preconditionFailure("out of memory: the system refused \(range.count) bytes beside \(range.lowerBound)")
        }
        // Large pages where the system has them: many operations walk over more pages than the processor remembers.
        madvise(base + range.lowerBound, range.count, MADV_HUGEPAGE)
    }

    private static let page = Int(sysconf(Int32(_SC_PAGESIZE)))
}
