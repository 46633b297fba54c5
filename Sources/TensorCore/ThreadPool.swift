import CKernels
import Glibc
import Synchronization

/// The one pool of threads: it runs numbered tiles of work, the calling thread included.
///
/// Which thread runs which tile is not fixed, so a tile must write only what belongs to it; then results do not depend
/// on the number of threads. A job ends with its last tile, whoever ran it: a thread that comes late, because it slept
/// or the system gave its processor to somebody else, is not waited for. Waiting threads spin for about 100 µs and then
/// sleep: longer than the pauses between the products of a decoded token, whose threads would otherwise be woken
/// hundreds of times. Only one thread at a time may call ``run(tiles:_:)``, and tiles may not call it themselves.
public final class ThreadPool: Sendable {
    private let team: Team

    /// Number of threads that work on a job, the caller included.
    public var threadCount: Int { team.threadCount }

    /// Starts `threadCount - 1` threads, which live as long as the pool.
    public init(threadCount: Int) {
        team = Team(threadCount: max(1, threadCount))
        team.start()
    }

    deinit { team.end() }

    /// Runs `body(0) … body(tiles - 1)`, each once, and returns when all are done.
    public func run(tiles: Int, _ body: (Int) -> Void) { team.run(tiles: tiles, body) }
}

/// What the threads of a pool share; they hold it, and the pool itself ends when nobody else uses it.
private final class Team: @unchecked Sendable {
    // `@unchecked`: the job is written before its tiles can be taken (release) and read after one was (acquire), and it
    // stays as it is until that tile has run; everything else that is shared is atomic or guarded by `mutex`.

    let threadCount: Int

    private final class Job {
        let body: (Int) -> Void
        let tiles: Int
        init(_ body: @escaping (Int) -> Void, tiles: Int) { (self.body, self.tiles) = (body, tiles) }
    }
    /// Held by ``run(tiles:_:)`` alone: references that threads counted for each tile would pass between their caches.
    private var job: Unmanaged<Job>?
    /// Tiles of the job that nobody has taken, and those that have not run to their end.
    private let waiting = Atomic<Int>(0), unfinished = Atomic<Int>(0)
    private let sleepers = Atomic<Int>(0)
    /// Whether the threads are to end; guarded by `mutex`.
    private var isOver = false
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let wake = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    /// Looks before a thread sleeps; the pause between two takes some 45 ns on an x86 server and less elsewhere.
    private static let spins = 2500

    init(threadCount: Int) {
        self.threadCount = threadCount
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(wake, nil)
    }

    deinit {
        pthread_cond_destroy(wake)
        pthread_mutex_destroy(mutex)
        wake.deallocate()
        mutex.deallocate()
    }

    func start() {
        for _ in 1..<threadCount {
            var thread = pthread_t()
            let context = Unmanaged.passRetained(self).toOpaque()
            pthread_create(&thread, nil, { pointer in
                guard let pointer else { return nil }
                Unmanaged<Team>.fromOpaque(pointer).takeRetainedValue().work()
                return nil
            }, context)
            pthread_detach(thread)
        }
    }

    /// Lets the threads end; nothing runs.
    func end() {
        pthread_mutex_lock(mutex)
        isOver = true
        pthread_cond_broadcast(wake)
        pthread_mutex_unlock(mutex)
    }

    func run(tiles: Int, _ body: (Int) -> Void) {
        if threadCount == 1 || tiles <= 1 {
            for tile in 0..<max(0, tiles) { body(tile) }
            return
        }
        withoutActuallyEscaping(body) { body in
            let job = Job(body, tiles: tiles)
            self.job = .passUnretained(job)
            unfinished.store(tiles, ordering: .relaxed)
            waiting.store(tiles, ordering: .sequentiallyConsistent)
            if sleepers.load(ordering: .sequentiallyConsistent) > 0 {
                pthread_mutex_lock(mutex)
                pthread_cond_broadcast(wake)
                pthread_mutex_unlock(mutex)
            }
            takeTiles()
            var waited = 0
            while unfinished.load(ordering: .acquiring) > 0 {
                waited += 1
                if waited > Self.spins { sched_yield() } else { martlet_spin_pause() }
            }
            withExtendedLifetime(job) { self.job = nil }
        }
    }

    private func takeTiles() {
        while let place = takePlace() {
            runTile(place)
            unfinished.subtract(1, ordering: .releasing)
        }
    }

    /// Runs a tile, counted from the end.
    private func runTile(_ place: Int) {
        job?._withUnsafeGuaranteedRef { $0.body($0.tiles - place) }
    }

    /// Takes a tile, counted from the end; `nil` if there is none.
    private func takePlace() -> Int? {
        var left = waiting.load(ordering: .relaxed)
        while left > 0 {
            let (exchanged, found) = waiting.weakCompareExchange(
                expected: left, desired: left - 1, successOrdering: .acquiring, failureOrdering: .relaxed)
            if exchanged { return left }
            left = found
        }
        return nil
    }

    private func work() {
        while awaitTiles() { takeTiles() }
    }

    /// Whether there are tiles to run, in the end none.
    private func awaitTiles() -> Bool {
        for _ in 0..<Self.spins {
            if waiting.load(ordering: .relaxed) > 0 { return true }
            martlet_spin_pause()
        }
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        sleepers.add(1, ordering: .sequentiallyConsistent)
        defer { sleepers.subtract(1, ordering: .sequentiallyConsistent) }
        while waiting.load(ordering: .sequentiallyConsistent) == 0 {
            if isOver { return false }
            pthread_cond_wait(wake, mutex)
        }
        return true
    }
}
