import CKernels
import TensorCore
import Testing

private typealias Dot = (
    Int64, Int64, Int64, UnsafePointer<Float>?, Int64, UnsafeRawPointer?, Int64, Int32, Int32,
    UnsafeMutablePointer<Float>?, Int64
) -> Void

/// Portable, AVX2 and AVX-512 copies of each kernel, those that this CPU runs.
private func kernels(_ format: StoredFormat) -> [Dot] {
    switch format {
    case .float32: available(martlet_dot_rows_f32_portable, martlet_dot_rows_f32_avx2, martlet_dot_rows_f32_avx512)
    case .float16: available(martlet_dot_rows_f16_portable, martlet_dot_rows_f16_avx2, martlet_dot_rows_f16_avx512)
    case .bfloat16: available(martlet_dot_rows_bf16_portable, martlet_dot_rows_bf16_avx2, martlet_dot_rows_bf16_avx512)
    case .q4_0: available(martlet_dot_rows_q4_0_portable, martlet_dot_rows_q4_0_avx2, martlet_dot_rows_q4_0_avx512)
    case .q4_1: available(martlet_dot_rows_q4_1_portable, martlet_dot_rows_q4_1_avx2, martlet_dot_rows_q4_1_avx512)
    case .q5_0: available(martlet_dot_rows_q5_0_portable, martlet_dot_rows_q5_0_avx2, martlet_dot_rows_q5_0_avx512)
    case .q5_1: available(martlet_dot_rows_q5_1_portable, martlet_dot_rows_q5_1_avx2, martlet_dot_rows_q5_1_avx512)
    case .q8_0: available(martlet_dot_rows_q8_0_portable, martlet_dot_rows_q8_0_avx2, martlet_dot_rows_q8_0_avx512)
    case .q4_K: available(martlet_dot_rows_q4_K_portable, martlet_dot_rows_q4_K_avx2, martlet_dot_rows_q4_K_avx512)
    case .q5_K: available(martlet_dot_rows_q5_K_portable, martlet_dot_rows_q5_K_avx2, martlet_dot_rows_q5_K_avx512)
    case .q6_K: available(martlet_dot_rows_q6_K_portable, martlet_dot_rows_q6_K_avx2, martlet_dot_rows_q6_K_avx512)
    case .mxfp4: available(martlet_dot_rows_mxfp4_portable, martlet_dot_rows_mxfp4_avx2, martlet_dot_rows_mxfp4_avx512)
    }
}

/// A weight whose rows lie `gap` bytes apart, at an odd address, and activations for it.
private struct DotCase {
    let format: StoredFormat
    let rows, columns, count: Int
    let bytes: [UInt8]
    let pitch, stride: Int
    let x: [Float]
    /// The numbers of the weight, `[rows, columns]`.
    let elements: [Float]

    init(_ format: StoredFormat, rows: Int, columns: Int, count: Int, gap: Int = 0) {
        (self.format, self.rows, self.columns, self.count, stride) = (format, rows, columns, count, columns + 3)
        let width = columns / format.blockElements * format.blockBytes
        pitch = width + gap
        let blocks = storedBlocks(format, elements: rows * columns, seed: UInt64(columns))
        var apart: [UInt8] = [0]
        for row in 0..<rows {
            apart += blocks[row * width..<(row + 1) * width]
            apart += [UInt8](repeating: 255, count: gap)
        }
        bytes = apart
        x = noise(count * stride, 1)
        elements = written(rows * columns) { target in
            blocks.withUnsafeBytes {
                guard let start = $0.baseAddress else { return }
                format.expand(start, blocks: rows * columns / format.blockElements, into: target)
            }
        }
    }

    /// Products into a matrix with two columns more than rows, or some rows of them.
    func run(
        _ dot: Dot, _ before: [Float], rows part: Range<Int>, count: Int, round: Bool, accumulate: Bool
    ) -> [Float] {
        changed(before) { result in
            bytes.withUnsafeBytes { weight in
                dot(
                    Int64(count), Int64(part.count), Int64(columns), x, Int64(stride),
                    weight.baseAddress! + 1 + part.lowerBound * pitch, Int64(pitch), round ? 1 : 0, accumulate ? 1 : 0,
                    result + part.lowerBound, Int64(rows + 2))
            }
        }
    }

    func expected(_ before: [Float], round: Bool, accumulate: Bool) -> [Double] {
        var elements = elements
        if round { martlet_round_to_bfloat16_portable(Int64(elements.count), elements, &elements) }
        return before.indices.map { index in
            let (i, r) = (index / (rows + 2), index % (rows + 2))
            if r >= rows { return Double(before[index]) }
            return (0..<columns).reduce(accumulate ? Double(before[index]) : 0) {
                $0 + Double(x[i * stride + $1]) * Double(elements[r * columns + $1])
            }
        }
    }
}

@Suite struct DotKernelTests {
    /// One block, a few, and more than have their scales decoded together; for formats without blocks all tails.
    private static func widths(_ format: StoredFormat) -> [Int] {
        format.isQuantized ? [1, 3, 32 * 32 / format.blockElements + 3].map { $0 * format.blockElements } : kernelSizes
    }

    /// Seven rows of activations, which go four, two and one at a time, with seven of a weight: four and one at a time.
    @Test(arguments: StoredFormat.allCases, [(false, false), (true, true)])
    func dotsAreThoseOfExpandedNumbers(format: StoredFormat, how: (round: Bool, accumulate: Bool)) {
        for columns in Self.widths(format) {
            let problem = DotCase(format, rows: 7, columns: columns, count: 7, gap: 5)
            let before = noise(problem.count * (problem.rows + 2), 3)
            expectAgreement(
                kernels(format), KernelTolerance(relative: 3e-6, absolute: 1e-4),
                expected: problem.expected(before, round: how.round, accumulate: how.accumulate),
                "\(format) \(columns)"
            ) {
                problem.run(
                    $0, before, rows: 0..<problem.rows, count: problem.count, round: how.round,
                    accumulate: how.accumulate)
            }
        }
    }

    /// Activations that are one in one column and zero elsewhere bring out every number, to the bit, ties of rounding
    /// among them.
    @Test(arguments: StoredFormat.allCases, [false, true]) func everyNumberComesOut(format: StoredFormat, round: Bool) {
        let (rows, columns) = (65, 256)
        let blocks = storedBlocks(format, elements: rows * columns, seed: 9)
        var elements = [Float](repeating: 0, count: rows * columns)
        format.expand(blocks, blocks: elements.count / format.blockElements, into: &elements)
        if round { martlet_round_to_bfloat16_portable(Int64(elements.count), elements, &elements) }
        let unit = (0..<columns * columns).map { Float($0 % (columns + 1) == 0 ? 1 : 0) }
        let pitch = Int64(blocks.count / rows)
        for (level, dot) in kernels(format).enumerated() {
            let found = written(columns * rows) {
                dot(Int64(columns), Int64(rows), 256, unit, 256, blocks, pitch, round ? 1 : 0, 0, $0, Int64(rows))
            }
            let wrong = elements.indices.first { found[$0 % columns * rows + $0 / columns] != elements[$0] }
            #expect(wrong == nil, "level \(level), element \(String(describing: wrong))")
        }
    }

    /// A number does not depend on the rows, of the weight or of activations, that it is computed with.
    @Test(arguments: StoredFormat.allCases, [false, true]) func companyChangesNoBit(format: StoredFormat, round: Bool) {
        let problem = DotCase(format, rows: 6, columns: format.isQuantized ? 512 : 529, count: 7)
        let nothing = [Float](repeating: 0, count: problem.count * (problem.rows + 2))
        for (level, dot) in kernels(format).enumerated() {
            let together = problem.run(
                dot, nothing, rows: 0..<problem.rows, count: problem.count, round: round, accumulate: false)
            for count in 1..<problem.count {
                let fewer = problem.run(
                    dot, nothing, rows: 0..<problem.rows, count: count, round: round, accumulate: false)
                let size = count * (problem.rows + 2)
                #expect(fewer[..<size] == together[..<size], "level \(level), \(count) rows of activations")
            }
            for row in 0..<problem.rows {
                let alone = problem.run(
                    dot, nothing, rows: row..<row + 1, count: problem.count, round: round, accumulate: false)
                let found = (0..<problem.count).map { alone[$0 * (problem.rows + 2) + row] }
                let expected = (0..<problem.count).map { together[$0 * (problem.rows + 2) + row] }
                #expect(found == expected, "level \(level), row \(row)")
            }
        }
    }

    /// A scale that is no number is not lost, whatever its bits.
    @Test(arguments: StoredFormat.allCases.filter(\.isQuantized), [false, true])
    func undefinedScalesShow(format: StoredFormat, round: Bool) {
        if format == .mxfp4 { return }
        let at = format == .q6_K ? 208 : 0
        for half: UInt16 in [0x7E00, 0x7FFF, 0xFFFF, 0x7D55] {
            var bytes = storedBlocks(format, elements: 256, seed: 1)
            (bytes[at], bytes[at + 1]) = (UInt8(half & 255), UInt8(half >> 8))
            let x = noise(256, 2)
            for dot in kernels(format) {
                let found = written(1) { dot(1, 1, 256, x, 256, bytes, Int64(bytes.count), round ? 1 : 0, 0, $0, 1) }
                #expect(found[0].isNaN, "\(half)")
            }
        }
    }
}
