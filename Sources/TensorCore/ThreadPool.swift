import CKernels
import Glibc
import Synchronization

/// The one pool of threads: it runs numbered tiles of work, the calling thread included.
///
/// Which thread runs which tile is not fixed, so a tile must write only what belongs to it; then results do not depend on
/// the number of threads. Waiting threads spin for about 100 µs and then sleep: longer than the pauses between the products
/// of a decoded token, whose threads would otherwise be woken hundreds of times. Only one
/// thread at a time may call ``run(tiles:_:)``, and tiles may not call it themselves.
public final class ThreadPool: @unchecked Sendable {
    // `@unchecked`: the job is written before `generation` rises (release) and read after it is seen (acquire);
    // everything else that is shared is atomic or guarded by `mutex`.

    /// Number of threads that work on a job, the caller included.
    public let threadCount: Int

    private typealias Job = (body: (Int) -> Void, tiles: Int)
    private var job: Job = ({ _ in }, 0)
    private let generation = Atomic<Int>(0)
    private let nextTile = Atomic<Int>(0)
    private let pending = Atomic<Int>(0)
    private let sleepers = Atomic<Int>(0)
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let wake = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    /// Looks before a thread sleeps; the pause between two takes some 45 ns on an x86 server and less elsewhere.
    private static let spins = 2500

    /// Starts `threadCount - 1` threads, which live as long as the process.
    public init(threadCount: Int) {
        self.threadCount = max(1, threadCount)
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(wake, nil)
        for _ in 1..<max(1, threadCount) {
            var thread = pthread_t()
            let context = Unmanaged.passRetained(self).toOpaque()
            pthread_create(&thread, nil, { pointer in
                guard let pointer else { return nil }
                Unmanaged<ThreadPool>.fromOpaque(pointer).takeUnretainedValue().work()
                return nil
            }, context)
            pthread_detach(thread)
        }
    }

    /// Runs `body(0) … body(tiles - 1)`, each once, and returns when all are done.
    public func run(tiles: Int, _ body: (Int) -> Void) {
        if threadCount == 1 || tiles <= 1 {
            for tile in 0..<max(0, tiles) { body(tile) }
            return
        }
        withoutActuallyEscaping(body) { body in
            job = (body, tiles)
            nextTile.store(0, ordering: .relaxed)
            pending.store(threadCount - 1, ordering: .relaxed)
            generation.add(1, ordering: .sequentiallyConsistent)
            if sleepers.load(ordering: .sequentiallyConsistent) > 0 {
                pthread_mutex_lock(mutex)
                pthread_cond_broadcast(wake)
                pthread_mutex_unlock(mutex)
            }
            takeTiles()
            var waited = 0
            while pending.load(ordering: .acquiring) > 0 {
                waited += 1
                if waited > Self.spins { sched_yield() } else { martlet_spin_pause() }
            }
            job = ({ _ in }, 0)
        }
    }

    private func takeTiles() {
        let (body, tiles) = job
        while true {
            let tile = nextTile.add(1, ordering: .relaxed).oldValue
            if tile >= tiles { return }
            body(tile)
        }
    }

    private func work() {
        var seen = 0
        while true {
            seen = awaitGeneration(after: seen)
            takeTiles()
            pending.subtract(1, ordering: .releasing)
        }
    }

    private func awaitGeneration(after seen: Int) -> Int {
        for _ in 0..<Self.spins {
            let now = generation.load(ordering: .acquiring)
            if now != seen { return now }
            martlet_spin_pause()
        }
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        sleepers.add(1, ordering: .sequentiallyConsistent)
        defer { sleepers.subtract(1, ordering: .sequentiallyConsistent) }
        while generation.load(ordering: .sequentiallyConsistent) == seen { pthread_cond_wait(wake, mutex) }
        return generation.load(ordering: .acquiring)
    }
}
