import Synchronization
import TensorCore
import Testing

/// The thread pool and the buffer pool.
@Suite struct PoolTests {
    @Test(arguments: [1, 2, 3, 8]) func everyTileRunsOnce(threads: Int) {
        let pool = ThreadPool(threadCount: threads)
        #expect(pool.threadCount == threads)
        for tiles in [0, 1, 2, 7, 64, 1000] {
            for _ in 0..<50 {
                let runs = UnsafeMutableBufferPointer<Int>.allocate(capacity: tiles + 1)
                runs.initialize(repeating: 0)
                defer { runs.deallocate() }
                pool.run(tiles: tiles) { runs[$0] += 1 }
                #expect(runs[..<tiles].allSatisfy { $0 == 1 } && runs[tiles] == 0)
            }
        }
    }

    @Test func resultsAreVisibleWhenRunReturns() {
        let pool = ThreadPool(threadCount: 4)
        let values = UnsafeMutableBufferPointer<Int>.allocate(capacity: 97)
        defer { values.deallocate() }
        for round in 0..<2000 {
            pool.run(tiles: 97) { values[$0] = round + $0 }
            let sum = values.reduce(0, +)
            if sum != 97 * round + 96 * 97 / 2 { Issue.record("round \(round): \(sum)") }
        }
    }

    @Test func severalThreadsWork() {
        let pool = ThreadPool(threadCount: 3)
        let waiting = Atomic<Int>(0)
        // Each tile waits until three are under way: with fewer threads this would never end.
        pool.run(tiles: 3) { _ in
            waiting.add(1, ordering: .sequentiallyConsistent)
            while waiting.load(ordering: .sequentiallyConsistent) < 3 {}
        }
        #expect(waiting.load(ordering: .relaxed) == 3)
    }

    @Test func aJobEndsWithoutThreadsThatComeLate() {
        // Short jobs, one after another, on more threads than there may be processors: most threads find nothing left.
        let pool = ThreadPool(threadCount: 16)
        let sum = Atomic<Int>(0)
        for round in 0..<3000 {
            let tiles = 2 + round % 3
            pool.run(tiles: tiles) { sum.add(round * 4 + $0, ordering: .relaxed) }
        }
        let expected = (0..<3000).reduce(0) { $0 + (0..<2 + $1 % 3).reduce(0, +) + (2 + $1 % 3) * $1 * 4 }
        #expect(sum.load(ordering: .relaxed) == expected)
    }

    @Test func countIsAtLeastOne() {
        #expect(ThreadPool(threadCount: 0).threadCount == 1 && ThreadPool(threadCount: -5).threadCount == 1)
        #expect(Compute.availableProcessors() >= 1)
    }

    @Test func freedBuffersAreUsedAgain() throws {
        let compute = try Compute(threadCount: 1)
        func round(_ lengths: [Int]) { for length in lengths { _ = compute.zeros([length, 64]) } }
        round([1000, 10, 300])
        let misses = compute.buffers.statistics.misses
        #expect(misses == 1)
        for _ in 0..<20 { round([300, 1000, 10]) }
        // New lengths use parts of what is there.
        round([995, 299, 500, 17])
        let statistics = compute.buffers.statistics
        #expect(statistics.misses == misses)
        #expect(statistics.liveBytes == 0 && statistics.pooledBytes == 1000 * 256)
        round([1001])
        #expect(compute.buffers.statistics.misses == misses + 1 && compute.buffers.statistics.pooledBytes == 1001 * 256)
    }

    @Test func livingBuffersAreNotShared() throws {
        let compute = try Compute(threadCount: 2)
        let tensors = (0..<40).map { compute.tensor([Float](repeating: Float($0), count: 100 + $0), shape: [100 + $0]) }
        for (index, tensor) in tensors.enumerated() {
            #expect(tensor.toArray() == [Float](repeating: Float(index), count: 100 + index))
        }
        #expect(compute.buffers.statistics.liveBytes >= tensors.reduce(0) { $0 + $1.count * 4 })
        for tensor in tensors { #expect(UInt(bitPattern: tensor.floats) % 64 == 0) }
    }

    /// Scratch of a thread lies on a stack of its own, in every pool another one; what has no room there comes from the pool.
    @Test func scratchIsAStack() throws {
        let (one, other) = try (Compute(threadCount: 1), Compute(threadCount: 1))
        let room = ScratchStacks.capacity / 4
        func place(_ pointer: UnsafeMutablePointer<Float>) -> Int { Int(bitPattern: pointer) }
        one.withScratch(100) { first in
            let inner = one.withScratch(5) { place($0) }
            #expect(inner >= place(first) + 400 && inner % 64 == 0)
            #expect(one.withScratch(5) { place($0) } == inner)
            #expect(other.withScratch(5) { place($0) } != inner)
            #expect(one.buffers.statistics.liveBytes == 0)
            one.withScratch(room) { large in
                large.update(repeating: 1, count: room)
                #expect(one.buffers.statistics.liveBytes == 4 * room)
                #expect(one.withScratch(5) { place($0) } == inner)
            }
            #expect(one.buffers.statistics.liveBytes == 0)
        }
        one.withScratch(room) { $0.update(repeating: 1, count: room) }
        #expect(one.buffers.statistics.liveBytes == 0 && one.buffers.statistics.pooledBytes == 4 * room)
    }

    /// Threads end with their pool: more of them than have a stack at a time come and go, and all find one.
    @Test func threadsGiveTheirStacksBack() throws {
        for _ in 0..<700 {
            let compute = try Compute(threadCount: 3)
            let arrived = Atomic<Int>(0)
            compute.threads.run(tiles: 3) { _ in
                compute.withScratch(100) { _ in
                    arrived.add(1, ordering: .relaxed)
                    while arrived.load(ordering: .relaxed) < 3 {}
                    #expect(compute.buffers.statistics.liveBytes == 0)
                }
            }
        }
    }

    @Test func emptyTensorsExist() throws {
        let compute = try Compute(threadCount: 1)
        #expect(compute.zeros([0, 5]).toArray().isEmpty && compute.tensor([], shape: [0]).count == 0)
        #expect(compute.zeros([]).toArray() == [0])
    }

    @Test func sumsOfSquaresDoNotDependOnThreads() throws {
        let values = noise(200_001, 1)
        let exact = values.reduce(0.0) { $0 + Double($1) * Double($1) }
        let sums = try [1, 2, 5].map { threads in
            let compute = try Compute(threadCount: threads)
            return compute.sumOfSquares(compute.tensor(values, shape: [200_001]))
        }
        #expect(sums[0] == sums[1] && sums[0] == sums[2] && abs(sums[0] / exact - 1) < 1e-12)
    }
}
