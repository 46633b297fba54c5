import CKernels
import TensorCore
import Testing

/// Rounding to bfloat16: to nearest, ties to even, NaN stays NaN.
@Suite struct BFloat16Tests {
    /// The nearest of the two neighbours, found by distance.
    private func nearest(_ value: Float) -> UInt16 {
        let low = UInt16(value.bitPattern >> 16)
        func distance(_ bits: UInt16) -> Double {
            let widened = Float(bitPattern: UInt32(bits) << 16)
            // What would be the next step beyond the largest number decides there.
            return abs((widened.isFinite ? Double(widened) : (value < 0 ? -1 : 1) * 0x1p128) - Double(value))
        }
        let (below, above) = (distance(low), distance(low + 1))
        return below < above || (below == above && low % 2 == 0) ? low : low + 1
    }

    private var cases: [Float] {
        let bits: [UInt32] = [
            0, 0x8000_0000, 1, 0x7FFF, 0x8000, 0x8001, 0x1_8000, 0x3F80_0000, 0x3F80_7FFF, 0x3F80_8000, 0x3F80_8001,
            0x3F81_8000, 0x3FFF_FFFF, 0xBF80_8000, 0xBF81_8000, 0x7F7F_FFFF, 0xFF7F_FFFF, 0x7F7F_7FFF, 0x7F7F_8000,
        ]
        return bits.map { Float(bitPattern: $0) } + noise(1000, 1, scale: 100)
    }

    @Test func everyFormRoundsToNearestEven() {
        for (level, kernel) in available(
            martlet_to_bfloat16_portable, martlet_to_bfloat16_avx2, martlet_to_bfloat16_avx512,
            martlet_to_bfloat16_avx512_bf16
        ).enumerated() {
            // The instruction takes what is smaller than any normal number for zero.
            let least: Float = level == MARTLET_ISA_AVX512_BF16 ? .leastNormalMagnitude : 0
            for size in kernelSizes {
                let x = Array(cases.prefix(size))
                var y = [UInt16](repeating: 0xABCD, count: x.count + 1)
                kernel(Int64(x.count), x, &y)
                let expected = x.map { nearest(abs($0) < least ? 0 * $0 : $0) }
                #expect(y == expected + [0xABCD], "level \(level), size \(size)")
            }
        }
    }

    @Test(arguments: [1, 31, 32, 100]) func rowsAreRoundedOneByOne(columns: Int) {
        let (rows, stride, wide) = (9, columns + 3, columns + 5)
        let x = noise(rows * stride, 2)
        for kernel in available(
            martlet_rows_to_bfloat16_portable, martlet_rows_to_bfloat16_avx2, martlet_rows_to_bfloat16_avx512,
            martlet_rows_to_bfloat16_avx512_bf16)
        {
            var y = [UInt16](repeating: 0xABCD, count: rows * wide)
            kernel(Int64(rows), Int64(columns), x, Int64(stride), &y, Int64(wide))
            let expected = y.indices.map { at in
                at % wide < columns ? nearest(x[at / wide * stride + at % wide]) : 0xABCD
            }
            #expect(y == expected, "\(columns)")
        }
    }

    @Test func specialValuesKeepTheirKind() {
        let x: [Float] = [.infinity, -.infinity, .nan, Float(bitPattern: 0x7F80_0001), Float(bitPattern: 0xFFFF_FFFF)]
        for kernel in available(
            martlet_round_to_bfloat16_portable, martlet_round_to_bfloat16_avx2, martlet_round_to_bfloat16_avx512)
        {
            let y = changed(x) { kernel(Int64(x.count), $0, $0) }
            #expect(y[0] == .infinity && y[1] == -.infinity && y[2].isNaN && y[3].isNaN && y[4].isNaN)
        }
        for kernel in available(
            martlet_to_bfloat16_portable, martlet_to_bfloat16_avx2, martlet_to_bfloat16_avx512,
            martlet_to_bfloat16_avx512_bf16)
        {
            var y = [UInt16](repeating: 0, count: x.count)
            kernel(Int64(x.count), x, &y)
            #expect(y[0] == 0x7F80 && y[1] == 0xFF80)
            for bits in y[2...] { #expect(bits & 0x7FFF > 0x7F80, "\(String(bits, radix: 16)) is no NaN") }
        }
    }

    @Test(arguments: kernelSizes) func wideningIsExactAndRoundingIsBoth(size: Int) {
        let x = Array(cases.prefix(size))
        let expected = x.map { Double(Float(bitPattern: UInt32(nearest($0)) << 16)) }
        expectAgreement(
            available(
                martlet_round_to_bfloat16_portable, martlet_round_to_bfloat16_avx2, martlet_round_to_bfloat16_avx512),
            .exact, expected: expected, "round \(size)"
        ) { kernel in written(x.count) { kernel(Int64(x.count), x, $0) } }
        let bits = x.map(nearest)
        expectAgreement(
            available(martlet_from_bfloat16_portable, martlet_from_bfloat16_avx2, martlet_from_bfloat16_avx512),
            .exact, expected: expected, "widen \(size)"
        ) { kernel in written(x.count) { kernel(Int64(x.count), bits, $0) } }
    }

    @Test func tensorsConvert() throws {
        let compute = try Compute(threadCount: 2)
        let values = noise(67 * 19, 1)
        let half = compute.converted(compute.tensor(values, shape: [67, 19]), to: .bfloat16)
        #expect(half.elementType == .bfloat16)
        #expect(half.toArray() == values.map { Float(bitPattern: UInt32(nearest($0)) << 16) })
        #expect(compute.converted(half, to: .float32).toArray() == half.toArray())
    }
}
