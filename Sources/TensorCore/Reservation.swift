import Glibc

/// Address space without memory, of which ranges are made usable as they are needed.
final class Reservation: @unchecked Sendable {
    // `@unchecked`: both fields are constants; whoever reserved them owns what the base points at.
    let base: UnsafeMutableRawPointer
    /// Bytes.
    let size: Int

    /// Reserves `most` bytes, or as much of them as the system grants.
    init(atMost most: Int) {
        var size = most
        while true {
            let base = mmap(nil, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
            if let base, base != MAP_FAILED {
                (self.base, self.size) = (base, size)
                return
            }
            size /= 2
            if size <= 1 << 20 { MemoryRefusal.end(refused: most, beside: 0) }
        }
    }

    deinit { munmap(base, size) }

    /// Makes a range of whole pages usable.
    func open(_ range: Range<Int>) {
        guard range.upperBound <= size, mprotect(base + range.lowerBound, range.count, PROT_READ | PROT_WRITE) == 0 else {
            MemoryRefusal.end(refused: range.count, beside: range.lowerBound)
        }
        // Large pages where the system has them: many operations walk over more pages than the processor remembers.
        madvise(base + range.lowerBound, range.count, MADV_HUGEPAGE)
    }

    /// Bytes of memory that the machine has.
    static var machineMemory: Int { sysconf(Int32(_SC_PHYS_PAGES)) * page }

    private static let page = Int(sysconf(Int32(_SC_PAGESIZE)))
}
