import Glibc
import Synchronization

/// Keeps freed buffers by size class and hands them out again, so that a training step allocates nothing after its
/// first rounds.
///
/// Size classes rise by an eighth: flat batches vary in length, and a slightly smaller batch finds the buffers of a
/// slightly larger one. Buffers are aligned to 64 bytes and are not cleared.
public final class BufferPool: Sendable {
    private struct State {
        var free: [Int: [Address]] = [:]
        var liveBytes = 0
        var pooledBytes = 0
        var misses = 0
    }
    /// A raw pointer that may cross threads: the pool owns what it points at.
    private struct Address: @unchecked Sendable { let pointer: UnsafeMutableRawPointer }
    private let state = Mutex(State())

    /// An empty pool.
    public init() {}

    /// Bytes in use, bytes kept for reuse, and how often the system had to be asked for memory.
    public var statistics: (liveBytes: Int, pooledBytes: Int, misses: Int) {
        state.withLock { ($0.liveBytes, $0.pooledBytes, $0.misses) }
    }

    /// The number of bytes that a request for `byteCount` bytes occupies.
    static func sizeClass(_ byteCount: Int) -> Int {
        let least = 256
        if byteCount <= least { return least }
        let eighth = max(64, (1 << (Int.bitWidth - 1 - (byteCount - 1).leadingZeroBitCount)) >> 3)
        return (byteCount + eighth - 1) / eighth * eighth
    }

    func take(_ byteCount: Int) -> UnsafeMutableRawPointer {
        let size = Self.sizeClass(byteCount)
        let reused = state.withLock { state -> Address? in
            state.liveBytes += size
            guard let address = state.free[size]?.popLast() else {
                state.misses += 1
                return nil
            }
            state.pooledBytes -= size
            return address
        }
        return reused?.pointer ?? Self.allocate(size)
    }

    func give(_ pointer: UnsafeMutableRawPointer, _ byteCount: Int) {
        let size = Self.sizeClass(byteCount)
        let address = Address(pointer: pointer)
        state.withLock { state in
            state.liveBytes -= size
            state.pooledBytes += size
            state.free[size, default: []].append(address)
        }
    }

    /// Returns every kept buffer to the system.
    public func trim() {
        let kept = state.withLock { state -> [Address] in
            defer { (state.free, state.pooledBytes) = ([:], 0) }
            return state.free.values.flatMap { $0 }
        }
        for address in kept { free(address.pointer) }
    }

    deinit { trim() }

    private static func allocate(_ size: Int) -> UnsafeMutableRawPointer {
        var pointer: UnsafeMutableRawPointer?
        let code = posix_memalign(&pointer, 64, size)
        guard code == 0, let pointer else {
            preconditionFailure("out of memory: the system refused \(size) bytes")
        }
        return pointer
    }
}
