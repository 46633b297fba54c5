import CKernels
import Foundation
import Testing

/// Kernels over rows: norm, rotary embedding, dot products.
@Suite struct RowKernelTests {
    static let rows = 3
    static let columns = kernelSizes.filter { $0 > 0 }

    @Test(arguments: columns) func norm(columns: Int) {
        let (rows, epsilon) = (Self.rows, 1e-5)
        let (x, w, dy) = (noise(rows * columns, 1, scale: 2), noise(columns, 2), noise(rows * columns, 3))
        var (y, inverse, dx) = ([Double](), [Double](), [Double]())
        var dw = [Double](repeating: 0.5, count: columns)
        for r in 0..<rows {
            let (row, g) = (
                doubles(Array(x[r * columns..<(r + 1) * columns])), doubles(Array(dy[r * columns..<(r + 1) * columns]))
            )
            let factor = 1 / (row.reduce(0) { $0 + $1 * $1 } / Double(columns) + epsilon).squareRoot()
            let mean =
                (0..<columns).reduce(0.0) { $0 + Double(w[$1]) * g[$1] * row[$1] } * pow(factor, 3) / Double(columns)
            inverse.append(factor)
            y += (0..<columns).map { row[$0] * factor * Double(w[$0]) }
            dx += (0..<columns).map { Double(w[$0]) * g[$0] * factor - row[$0] * mean }
            for c in 0..<columns { dw[c] += g[c] * row[c] * factor }
        }
        expectAgreement(
            available(
                martlet_rms_norm_forward_portable, martlet_rms_norm_forward_avx2, martlet_rms_norm_forward_avx512),
            .sum,
            expected: y + inverse, "rms_norm_forward \(columns)"
        ) { norm in
            var factors: [Float] = []
            let result = written(rows * columns) { y in
                factors = written(rows) { norm(Int64(rows), Int64(columns), x, w, Float(epsilon), y, $0) }
            }
            return result + factors
        }
        // The way back starts from any columns that become x̂ when they are multiplied with `undo`.
        let factors = inverse.map { Float($0) }, undo = (0..<columns).map { Float($0 % 5) - 2.5 }
        let scaled = (0..<rows * columns).map { x[$0] * factors[$0 / columns] / undo[$0 % columns] }
        let backward = available(
            martlet_rms_norm_backward_portable, martlet_rms_norm_backward_avx2, martlet_rms_norm_backward_avx512)
        expectAgreement(backward, .sum, expected: dx + dw, "rms_norm_backward \(columns)") { norm in
            var weights: [Float] = []
            let result = written(rows * columns) { dx in
                weights = changed([Float](repeating: 0.5, count: columns)) {
                    norm(Int64(rows), Int64(columns), scaled, undo, w, factors, dy, nil, dx, $0)
                }
            }
            return result + weights
        }
        expectAgreement(backward, .sum, expected: dx, "rms_norm_backward without weights \(columns)") { norm in
            written(rows * columns) { norm(Int64(rows), Int64(columns), scaled, undo, w, factors, dy, nil, $0, nil) }
        }
        let before = noise(rows * columns, 9), total = zip(dx, before).map { $0 + Double($1) }
        expectAgreement(backward, .sum, expected: total, "rms_norm_backward in the place of a sum \(columns)") { norm in
            changed(before) { norm(Int64(rows), Int64(columns), scaled, undo, w, factors, dy, $0, $0, nil) }
        }
    }

    @Test(arguments: [1, 7, 8, 9, 16, 17, 33], [0, 1]) func rotation(half: Int, interleaved: Int) {
        for offset in [0, 2] { rotation(half: half, interleaved: interleaved, offset: offset) }
    }

    private func rotation(half: Int, interleaved: Int, offset: Int) {
        let (rows, heads, headSize) = (3, 2, 2 * half + 3)
        let x = noise(rows * heads * headSize, 1)
        let angles = noise(rows * half, 2, scale: 3)
        let (cosine, sine) = (angles.map { cosf($0) }, angles.map { sinf($0) })
        var expected = doubles(x)
        for r in 0..<rows {
            for h in 0..<heads {
                let start = (r * heads + h) * headSize + offset
                for i in 0..<half {
                    let (at, other) =
                        interleaved == 1 ? (start + 2 * i, start + 2 * i + 1) : (start + i, start + half + i)
                    let (a, b) = (Double(x[at]), Double(x[other]))
                    let (c, s) = (Double(cosine[r * half + i]), Double(sine[r * half + i]))
                    (expected[at], expected[other]) = (a * c - b * s, b * c + a * s)
                }
            }
        }
        let kernels = available(martlet_rotate_portable, martlet_rotate_avx2, martlet_rotate_avx512)
        func run(
            _ kernel: (
                Int64, Int64, Int64, Int64, Int64, Int32, Float, UnsafePointer<Float>?, UnsafePointer<Float>?,
                UnsafePointer<Float>?, UnsafeMutablePointer<Float>?
            ) -> Void, _ x: [Float], _ direction: Float
        ) -> [Float] {
            written(x.count) {
                kernel(
                    Int64(rows), Int64(heads), Int64(headSize), Int64(offset), Int64(half), Int32(interleaved), direction,
                    x, cosine, sine, $0)
            }
        }
        expectAgreement(kernels, .rounding, expected: expected, "rotate \(half)") { run($0, x, 1) }
        let forward = run(martlet_rotate_portable, x, 1)
        let there = KernelTolerance(relative: 1e-6, absolute: 1e-6)
        expectAgreement(kernels, there, expected: doubles(x), "rotate back \(half)") { run($0, forward, -1) }
    }

    @Test(arguments: kernelSizes) func dotsOfRows(columns: Int) {
        let (rows, stride) = (4, columns + 3)
        let (x, y) = (noise(rows * stride, 1), noise(rows * (columns + 1), 3))
        let pairs = (0..<rows).map { r in
            (0..<columns).reduce(0.0) { $0 + Double(x[r * stride + $1]) * Double(y[r * (columns + 1) + $1]) }
        }
        expectAgreement(
            available(martlet_row_dots_portable, martlet_row_dots_avx2, martlet_row_dots_avx512), .sum, expected: pairs,
            "row_dots \(columns)"
        ) { dots in
            written(rows) { dots(Int64(rows), Int64(columns), x, Int64(stride), y, Int64(columns + 1), $0) }
        }
    }
}
