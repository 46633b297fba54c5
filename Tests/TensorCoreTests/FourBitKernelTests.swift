import CKernels
import TensorCore
import Testing

private func randomBytes(_ count: Int, seed: UInt64) -> [UInt8] {
    var state = seed
    return (0..<count).map { _ in
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return UInt8(truncatingIfNeeded: state >> 56)
    }
}

private func randomFloats(_ count: Int, seed: UInt64) -> [Float] {
    randomBytes(2 * count, seed: seed).withUnsafeBytes { bytes in
        (0..<count).map { (Float(bytes.loadUnaligned(fromByteOffset: 2 * $0, as: UInt16.self)) - 32_768) / 1000 }
    }
}

private func copied<T>(_ values: [T]) -> MappedBytes { values.withUnsafeBytes { MappedBytes(copying: $0) } }

@Suite struct FourBitKernelTests {
    private typealias Expand = (UnsafePointer<martlet_four_bit>?, Int64, Int64, UnsafeMutablePointer<Float>?) -> Void
    private typealias Quantize = (
        UnsafePointer<Float>?, Int64, Int64, UnsafePointer<Float>?, UnsafeMutablePointer<UInt8>?, UnsafeMutablePointer<Float>?
    ) -> Void

    /// Runs that begin and end inside bytes and blocks, over matrices with a short last block.
    @Test(arguments: [false, true], [2, 32, 64, 70, 4096])
    func expandingVariantsAgreeToTheBit(double: Bool, blockSize: Int) throws {
        let count = 3 * blockSize + 37
        let blocks = (count + blockSize - 1) / blockSize
        let scales: FourBitMatrix.Scales =
            double
            ? .double(
                codes: copied(randomBytes(blocks, seed: 2)), table: randomFloats(256, seed: 3),
                groups: randomFloats((blocks + 1) / 2, seed: 4), groupSize: 2, offset: 0.3)
            : .single(copied(randomFloats(blocks, seed: 2)))
        let matrix = try FourBitMatrix(
            count: count, codes: copied(randomBytes((count + 1) / 2, seed: 1)), table: randomFloats(16, seed: 5),
            blockSize: blockSize, scales: scales)
        let kernels: [Expand] = available(
            martlet_expand_four_bit_portable, martlet_expand_four_bit_avx2, martlet_expand_four_bit_avx512)
        for first in [0, 1, 2, 31, blockSize - 1, blockSize, blockSize + 1, 2 * blockSize + 5] {
            for length in [0, 1, 2, 15, 16, 17, 33, blockSize, count] {
                let range = min(first, count)..<min(first + length, count)
                let reference = expand(matrix, kernels[0], range)
                #expect(reference == elements(matrix, range))
                for kernel in available(
                    martlet_expand_four_bit_bf16_portable, martlet_expand_four_bit_bf16_avx2,
                    martlet_expand_four_bit_bf16_avx512)
                {
                    var rough = [UInt16](repeating: 0xABCD, count: range.count + 1)
                    matrix.withKernelView { kernel($0, Int64(range.lowerBound), Int64(range.count), &rough) }
                    #expect(rough == reference.map { UInt16(($0 + 0x7FFF + ($0 >> 16 & 1)) >> 16) } + [0xABCD], "\(range)")
                }
                for kernel in kernels.dropFirst() {
                    #expect(expand(matrix, kernel, range) == reference, "\(range)")
                }
            }
        }
    }

    private func expand(_ matrix: FourBitMatrix, _ kernel: Expand, _ range: Range<Int>) -> [UInt32] {
        var out = [Float](repeating: -123, count: range.count + 1)
        matrix.withKernelView { kernel($0, Int64(range.lowerBound), Int64(range.count), &out) }
        #expect(out.removeLast() == -123)
        return out.map(\.bitPattern)
    }

    /// The definition, number by number.
    private func elements(_ matrix: FourBitMatrix, _ range: Range<Int>) -> [UInt32] {
        matrix.codes.withUnsafeBytes { codes in
            range.map { index in
                let code = index % 2 == 0 ? codes[index / 2] >> 4 : codes[index / 2] & 15
                let block = index / matrix.blockSize
                let scale: Float
                switch matrix.scales {
                case .single(let bytes):
                    scale = bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 4 * block, as: Float.self) }
                case .double(let scaleCodes, let table, let groups, let size, let offset):
                    scale = table[Int(scaleCodes.unsafeBytes[block])] * groups[block / size] + offset
                }
                return (matrix.table[Int(code)] * scale).bitPattern
            }
        }
    }

    /// Two activations against rows from the third on, set and added, rounded and not. Where elements are rounded activations
    /// may be, too: here they are as rounding leaves them.
    @Test(arguments: [false, true], [(32, 3), (64, 9), (128, 2), (256, 1)])
    func dotsAgreeWithExpandedNumbers(double: Bool, shape: (blockSize: Int, blocks: Int)) throws {
        let (columns, rows, first, count) = (shape.blockSize * shape.blocks, 7, 2, 2)
        let blocks = rows * shape.blocks
        let scales: FourBitMatrix.Scales =
            double
            ? .double(
                codes: copied(randomBytes(blocks, seed: 2)), table: randomFloats(256, seed: 3),
                groups: randomFloats((blocks + 3) / 4, seed: 4), groupSize: 4, offset: 0.3)
            : .single(copied(randomFloats(blocks, seed: 2)))
        let matrix = try FourBitMatrix(
            count: rows * columns, codes: copied(randomBytes(rows * columns / 2, seed: 1)), table: randomFloats(16, seed: 5),
            blockSize: shape.blockSize, scales: scales)
        let before = noise(count * rows, 7)
        for (round, accumulate) in [(false, false), (true, true)] {
            var x = noise(count * columns, 6)
            if round { martlet_round_to_bfloat16_portable(Int64(x.count), x, &x) }
            let (even, odd) = (stride(from: 0, to: x.count, by: 2).map { x[$0] }, stride(from: 1, to: x.count, by: 2).map { x[$0] })
            var elements = [Float](repeating: 0, count: rows * columns)
            matrix.expand(0..<elements.count, into: &elements)
            if round { martlet_round_to_bfloat16_portable(Int64(elements.count), elements, &elements) }
            let expected = before.indices.map { index -> Double in
                let (i, r) = (index / rows, index % rows + first)
                if r >= rows { return Double(before[index]) }
                return (0..<columns).reduce(accumulate ? Double(before[index]) : 0) {
                    $0 + Double(x[i * columns + $1]) * Double(elements[r * columns + $1])
                }
            }
            expectAgreement(
                available(
                    martlet_dot_rows_four_bit_portable, martlet_dot_rows_four_bit_avx2, martlet_dot_rows_four_bit_avx512,
                    martlet_dot_rows_four_bit_avx512_bf16),
                KernelTolerance(relative: 1e-4, absolute: 1e-4 * Double(elements.map(abs).max() ?? 1)),
                expected: expected, "dot_rows_four_bit \(shape)"
            ) { dot in
                changed(before) { result in
                    matrix.withKernelView {
                        dot(
                            $0, Int64(count), Int64(first), Int64(rows - first), Int64(columns), even, odd, round ? 1 : 0,
                            accumulate ? 1 : 0, result, Int64(rows))
                    }
                }
            }
        }
    }

    @Test(arguments: [1, 2, 63, 64, 65, 127, 128, 200, 4097])
    func quantizingVariantsAgreeToTheBit(count: Int) {
        let kernels: [Quantize] = available(
            martlet_quantize_four_bit_portable, martlet_quantize_four_bit_avx2, martlet_quantize_four_bit_avx512)
        let values = randomFloats(count, seed: UInt64(count))
        let bounds = zip(FourBitQuantizer.normalTable, FourBitQuantizer.normalTable.dropFirst()).map { ($0 + $1) / 2 }
        for blockSize in [32, 64, 256] {
            let results = kernels.map { kernel -> ([UInt8], [UInt32]) in
                var codes = [UInt8](repeating: 0, count: (count + 1) / 2)
                var maxima = [Float](repeating: 0, count: (count + blockSize - 1) / blockSize)
                kernel(values, Int64(count), Int64(blockSize), bounds, &codes, &maxima)
                return (codes, maxima.map(\.bitPattern))
            }
            for result in results { #expect(result == results[0]) }
        }
    }
}
