import Datasets
import Testing

/// The expected values come from a second implementation, in another language; resumed runs rely on them for ever.
@Test func generatorIsStable() {
    var generator = SplitMix64(seed: 42, stream: 7)
    let first = (0..<3).map { _ in generator.next() }
    #expect(first == [9_020_631_802_571_445_120, 13_202_538_734_249_563_952, 10_793_061_177_609_662_590])
    var order = Array(0..<10)
    generator.shuffle(&order)
    #expect(order == [5, 6, 1, 7, 3, 8, 9, 4, 2, 0])
}

@Test func generatorIsUniformBelowABound() {
    var generator = SplitMix64(seed: 1)
    var counts = [Int](repeating: 0, count: 7)
    for _ in 0..<70_000 { counts[Int(generator.next(below: 7))] += 1 }
    for count in counts { #expect(abs(count - 10_000) < 500) }
    #expect(generator.next(below: 1) == 0)
}

@Test func seedsAndStreamsGiveUnrelatedNumbers() {
    var seen = Set<UInt64>()
    for seed in 0..<50 as Range<UInt64> {
        for stream in 0..<50 as Range<UInt64> {
            var generator = SplitMix64(seed: seed, stream: stream)
            for _ in 0..<4 { seen.insert(generator.next()) }
        }
    }
    #expect(seen.count == 50 * 50 * 4)
}

private func randomLengths(_ count: Int, seed: UInt64, upTo longest: Int = 700) -> [Int32] {
    var numbers = TestNumbers(seed)
    return (0..<count).map { _ in Int32(numbers.next(in: 1...longest)) }
}

private let everyKindOfOptions: [BatchOptions] = [true, false].flatMap { shuffle in
    [
        BatchOptions(size: .tokens(512), packing: true, shuffle: shuffle, seed: 5),
        BatchOptions(size: .tokens(512), packing: false, shuffle: shuffle, seed: 5),
        BatchOptions(size: .sequences(7), shuffle: shuffle, seed: 5),
    ]
}

@Test(arguments: everyKindOfOptions)
func everyExampleStandsInExactlyOneBatch(options: BatchOptions) {
    for count in [0, 1, 2, 6, 7, 8, 1023, 1024, 1025, 3000] {
        let lengths = randomLengths(count, seed: UInt64(count))
        let plan = BatchPlan(lengths: lengths, options: options, epoch: 2)
        let visited = (0..<plan.count).flatMap { Array(plan[$0]) }
        #expect(visited.sorted() == (0..<Int32(count)).map { $0 })
        #expect((0..<plan.count).allSatisfy { !plan[$0].isEmpty })
    }
}

@Test(arguments: everyKindOfOptions)
func planIsAPureFunctionOfItsArguments(options: BatchOptions) {
    let lengths = randomLengths(2000, seed: 9)
    let plan = BatchPlan(lengths: lengths, options: options, epoch: 1)
    #expect(plan == BatchPlan(lengths: lengths, options: options, epoch: 1))
    #expect((plan == BatchPlan(lengths: lengths, options: options, epoch: 2)) == !options.shuffle)
    var other = options
    other.seed += 1
    #expect((plan == BatchPlan(lengths: lengths, options: other, epoch: 1)) == !options.shuffle)
}

@Test(arguments: [true, false])
func budgetIsKeptExceptByExamplesThatExceedItAlone(packing: Bool) {
    let lengths = randomLengths(3000, seed: 11)
    let plan = BatchPlan(lengths: lengths, options: BatchOptions(size: .tokens(512), packing: packing), epoch: 0)
    let overfull = (0..<plan.count).filter { batch in
        plan[batch].count > 1 && plan[batch].reduce(0) { $0 + Int(lengths[Int($1)]) } > 512
    }
    #expect(overfull.isEmpty)
    let alone = (0..<plan.count).count { plan[$0].contains { lengths[Int($0)] > 512 } }
    #expect(alone == lengths.count { $0 > 512 })
}

@Test func packingFillsBatchesWell() {
    let lengths = randomLengths(4096, seed: 13, upTo: 400)
    let total = lengths.reduce(0) { $0 + Int($1) }
    func batches(_ packing: Bool) -> Int {
        BatchPlan(lengths: lengths, options: BatchOptions(size: .tokens(1024), packing: packing), epoch: 0).count
    }
    let least = (total + 1023) / 1024
    #expect(batches(true) <= least + least / 50)
    #expect(batches(false) > batches(true))
}

@Test func packingWithoutShuffleKeepsTheOrder() {
    let options = BatchOptions(size: .tokens(10), packing: true, shuffle: false)
    let plan = BatchPlan(lengths: [6, 5, 4, 5, 12, 3], options: options, epoch: 0)
    #expect((0..<plan.count).map { Array(plan[$0]) } == [[0, 2], [1, 3], [4], [5]])
}

@Test func withoutPackingExamplesAreTakenInOrder() {
    let options = BatchOptions(size: .tokens(10), packing: false, shuffle: false)
    let plan = BatchPlan(lengths: [6, 5, 4, 5, 12, 3], options: options, epoch: 0)
    #expect((0..<plan.count).map { Array(plan[$0]) } == [[0], [1, 2], [3], [4], [5]])
}

@Test func sequencesAreCounted() {
    let options = BatchOptions(size: .sequences(4), shuffle: false)
    let plan = BatchPlan(lengths: [1, 900, 3, 4, 5, 6], options: options, epoch: 0)
    #expect((0..<plan.count).map { Array(plan[$0]) } == [[0, 1, 2, 3], [4, 5]])
}

@Test func shuffleMixesFarPlaces() {
    let lengths = [Int32](repeating: 10, count: 5000)
    let plan = BatchPlan(lengths: lengths, options: BatchOptions(size: .tokens(100)), epoch: 0)
    let firstTenth = (0..<plan.count / 10).flatMap { Array(plan[$0]) }
    let mean = firstTenth.reduce(0.0) { $0 + Double($1) } / Double(firstTenth.count)
    #expect(abs(mean - 2500) < 300)
}

@Test func shuffledBatchesAreNotOrderedByLength() {
    let lengths = randomLengths(1024, seed: 17, upTo: 512)
    let plan = BatchPlan(lengths: lengths, options: BatchOptions(size: .tokens(512)), epoch: 0)
    let sizes = (0..<plan.count).map { Double(plan[$0].count) }
    let half = sizes.count / 2
    let (early, late) = (
        sizes[..<half].reduce(0, +) / Double(half), sizes[half...].reduce(0, +) / Double(sizes.count - half)
    )
    #expect(abs(early - late) < 0.35)
}
