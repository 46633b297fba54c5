import TensorCore
import Testing

/// The book-keeping of the buffer pool.
@Suite struct FreeRangesTests {
    @Test func neighboursAreJoined() {
        var free = FreeRanges()
        for range in [0..<10, 20..<30, 40..<50] { free.give(range) }
        #expect(free.ranges == [0..<10, 20..<30, 40..<50])
        free.give(10..<20)
        #expect(free.ranges == [0..<30, 40..<50])
        free.give(35..<40)
        #expect(free.ranges == [0..<30, 35..<50])
        free.give(30..<32)
        #expect(free.ranges == [0..<32, 35..<50])
    }

    @Test func theLowestRangeThatHoldsIsTaken() {
        var free = FreeRanges()
        for range in [0..<8, 16..<48, 64..<96] { free.give(range) }
        #expect(free.take(16) == 16 && free.take(8) == 0 && free.take(17) == 64 && free.take(17) == nil)
        #expect(free.ranges == [32..<48, 81..<96])
        #expect(free.takeLast(endingAt: 95) == nil && free.takeLast(endingAt: 96) == 81)
    }

    /// Random use against a map of single bytes: nothing is handed out twice, nothing is lost.
    @Test func everyByteIsFreeOrTaken() {
        var random = SystemRandomNumberGenerator()
        var free = FreeRanges()
        var taken: [Range<Int>] = []
        free.give(0..<4096)
        for _ in 0..<3000 {
            let size = Int.random(in: 1...200, using: &random)
            if Bool.random(using: &random), let start = free.take(size) {
                taken.append(start..<start + size)
            } else if let index = taken.indices.randomElement(using: &random) {
                free.give(taken.remove(at: index))
            }
            var uses = [Int](repeating: 0, count: 4096)
            for range in taken + free.ranges { for byte in range { uses[byte] += 1 } }
            #expect(uses.allSatisfy { $0 == 1 })
            #expect(zip(free.ranges, free.ranges.dropFirst()).allSatisfy { $0.upperBound < $1.lowerBound })
        }
    }
}
