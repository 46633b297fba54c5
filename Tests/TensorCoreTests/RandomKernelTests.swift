import CKernels
import TensorCore
import Testing

/// Philox4x32-10 against published vectors, and what dropout does with it.
@Suite struct RandomKernelTests {
    @Test func zeroCounterAndKey() {
        let words: [UInt32] = [0x6627_E8D5, 0xE169_C58D, 0xBC57_AC4C, 0x9B00_DBD8]
        let expected = words.map { Float($0 >> 8) / 16_777_216 }
        for kernel in available(
            martlet_philox_uniform_portable, martlet_philox_uniform_avx2, martlet_philox_uniform_avx512)
        {
            #expect(written(4) { kernel(4, 0, 0, 0, $0) } == expected)
            #expect(written(2) { kernel(2, 0, 0, 1, $0) } == Array(expected[1..<3]))
        }
    }

    /// The vector with the digits of π: counter 243f6a88 85a308d3 13198a2e 03707344, key a4093822 299f31d0. Dropout
    /// sets to zero what lies below rate · 2³², so rates just below and above a word tell it to 24 bits.
    @Test func countersOfDropout() {
        let words: [UInt32] = [0xD16C_FE09, 0x94FD_CCEB, 0x5001_E420, 0x2412_6EA1]
        let (key, stream): (UInt64, UInt64) = (0x299F_31D0_A409_3822, 0x0370_7344_1319_8A2E)
        for kernel in available(martlet_dropout_portable, martlet_dropout_avx2, martlet_dropout_avx512) {
            func isDropped(_ element: Int, rate: Float) -> Bool {
                let column = Int64(0x243F_6A88) * 4 + Int64(element)
                return changed([1]) { kernel(1, column, 1, key, stream, 0x85A3_08D3, rate, $0) }[0] == 0
            }
            for (element, word) in words.enumerated() {
                let below = Float(word >> 8) / 16_777_216
                #expect(!isDropped(element, rate: below.nextDown), "word \(element)")
                #expect(isDropped(element, rate: Float((word >> 8) + 1) / 16_777_216), "word \(element)")
            }
        }
    }

    @Test func uniformNumbersAreInRangeAndEven() {
        let stream = RandomStream(seed: 5, purpose: .sampling, stream: 2)
        let values = stream.uniform(count: 100_000)
        #expect(values.allSatisfy { $0 >= 0 && $0 < 1 })
        for tenth in 0..<10 {
            let count = values.count { Int($0 * 10) == tenth }
            #expect(abs(count - 10_000) < 400, "tenth \(tenth)")
        }
        #expect(stream.uniform(count: 50, from: 333) == Array(values[333..<383]))
        #expect(stream.uniform(count: 0).isEmpty)
        #expect(RandomStream(seed: 5, purpose: .initialization, stream: 2).uniform(count: 50) != Array(values[..<50]))
        #expect(RandomStream(seed: 6, purpose: .sampling, stream: 2).uniform(count: 50) != Array(values[..<50]))
    }

    @Test(arguments: kernelSizes) func dropoutDependsOnThePlaceOnly(columns: Int) {
        let (rows, x) = (5, noise(5 * columns, 1).map { $0 + 2 })
        let kernels = available(martlet_dropout_portable, martlet_dropout_avx2, martlet_dropout_avx512)
        let whole = changed(x) { kernels[0](Int64(rows), 0, Int64(columns), 9, 4, 70, 0.3, $0) }
        for kernel in kernels {
            #expect(changed(x) { kernel(Int64(rows), 0, Int64(columns), 9, 4, 70, 0.3, $0) } == whole)
            // Rows 2… and columns 3… of the same mask.
            guard columns > 3 else { continue }
            let part = (2..<rows).flatMap { x[$0 * columns + 3..<($0 + 1) * columns] }
            let expected = (2..<rows).flatMap { whole[$0 * columns + 3..<($0 + 1) * columns] }
            #expect(changed(part) { kernel(Int64(rows - 2), 3, Int64(columns - 3), 9, 4, 72, 0.3, $0) } == expected)
        }
        for (before, after) in zip(x, whole) { #expect(after == 0 || abs(after - before / 0.7) < 1e-5) }
        if columns > 1000 { #expect(abs(Double(whole.count { $0 == 0 }) / Double(whole.count) - 0.3) < 0.03) }
        #expect(changed(x) { kernels[0](Int64(rows), 0, Int64(columns), 9, 4, 70, 0, $0) } == x)
    }
}
