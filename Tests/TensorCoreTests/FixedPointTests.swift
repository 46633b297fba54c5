import CKernels
import TensorCore
import Testing

/// Rows as whole numbers of 16 bits under a scale.
@Suite struct FixedPointTests {
    private typealias Narrow = (
        Int64, Int64, UnsafePointer<Float>, UnsafeMutablePointer<Int16>, UnsafeMutablePointer<Float>
    ) -> Void
    private typealias Widen = (
        Int64, Int64, UnsafePointer<Int16>, UnsafePointer<Float>, UnsafeMutablePointer<Float>
    ) -> Void

    private var copies: [(Narrow, Widen)] {
        available(
            (martlet_to_fixed_point_portable, martlet_from_fixed_point_portable),
            (martlet_to_fixed_point_avx2, martlet_from_fixed_point_avx2),
            (martlet_to_fixed_point_avx512, martlet_from_fixed_point_avx512))
    }

    /// There and back, with what lies between.
    private func passed(_ x: [Float], columns: Int, _ copy: (Narrow, Widen)) -> (words: [Int16], scales: [Float], x: [Float]) {
        let rows = x.count / columns
        var words = [Int16](repeating: 0x5A5A, count: x.count + 1), scales = [Float](repeating: 0, count: rows)
        copy.0(Int64(rows), Int64(columns), x, &words, &scales)
        #expect(words.last == 0x5A5A)
        let result = written(x.count) { copy.1(Int64(rows), Int64(columns), words, scales, $0) }
        return (words, scales, result)
    }

    @Test(arguments: [1, 7, 16, 17, 64, 100, 192]) func numbersComeBackAlmost(columns: Int) {
        let rows = 5
        // The last row has one number that is far larger than the others.
        var x = noise(rows * columns, 1, scale: 3)
        x[(rows - 1) * columns] = -700
        let reference = passed(x, columns: columns, copies[0])
        for (level, copy) in copies.enumerated() {
            let found = passed(x, columns: columns, copy)
            #expect(found.words == reference.words && found.scales == reference.scales, "level \(level)")
            #expect(found.x == reference.x, "level \(level)")
        }
        for row in 0..<rows {
            let range = row * columns..<(row + 1) * columns
            let largest = x[range].map(abs).max() ?? 0
            // Half a step, and what float32 loses besides.
            for at in range { #expect(abs(reference.x[at] - x[at]) <= largest * 0x1.01p-16, "row \(row), \(x[at])") }
        }
    }

    @Test func smallNumbersAreZerosAndOthersStayNotFinite() {
        for (level, copy) in copies.enumerated() {
            let small = passed([0, -0.0, 1e-31, 1e38, -1e38, 0, 5, 1, -5], columns: 3, copy).x
            #expect(small[..<3].allSatisfy { $0 == 0 }, "level \(level)")
            #expect(Array(small[3..<6]) == [1e38, -1e38, 0] && small[6] == 5 && small[8] == -5, "level \(level): \(small)")
            for bad in [Float.infinity, -.infinity, .nan] {
                let row = passed([Float](repeating: 1, count: 19) + [bad], columns: 20, copy).x
                #expect(row.allSatisfy { $0.isNaN }, "level \(level): \(row)")
            }
        }
    }

    @Test func stretchesHaveTheirOwnScales() throws {
        let compute = try Compute(threadCount: 2)
        let x = noise(70 * 6, 4).enumerated().map { $0 % 6 < 3 ? $1 : $1 * 1000 }
        let tensor = compute.tensor(x, shape: [70, 6])
        let found = FixedPointRows(tensor, stretch: 3, on: compute).expanded(on: compute)
        #expect(found.shape == [70, 6])
        for (index, value) in found.toArray().enumerated() {
            #expect(abs(value - x[index]) <= (index % 6 < 3 ? 1 : 1000) * 0x1.01p-16)
        }
        // Columns of a wider matrix are read where they lie.
        let view = FixedPointRows(tensor.columnSlice(3..<6), stretch: 3, on: compute).expanded(on: compute)
        #expect(view.toArray() == found.columnSlice(3..<6).toArray())
    }
}
