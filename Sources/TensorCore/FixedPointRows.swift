import CKernels

/// A matrix in half the memory of float32 and nearly its precision: whole numbers of 16 bits, under one scale for each stretch of
/// columns in a row. Off by at most 2⁻¹⁶ of the largest number of a stretch; bfloat16 takes the same memory, but
/// is off by 2⁻⁹ of every number.
public struct FixedPointRows: Sendable {
    /// Numbers of 16 bits, whatever the tensor takes them for, and their scales, `[rows, stretches]`.
    private let words, scales: Tensor

    /// - Parameter stretch: columns that share a scale, a divisor of those of `x`: a head.
    public init(_ x: Tensor, stretch: Int, on compute: Compute) {
        precondition(x.columns % stretch == 0, "\(x.columns) columns in stretches of \(stretch)")
        let (words, scales) = (compute.empty(x.shape, .bfloat16), compute.empty(x.shape(columns: x.columns / stretch)))
        compute.forEachRowBlock(of: x.rows, rowElements: x.columns) { rows in
            compute.readRows(x, rows) { numbers in
                martlet_to_fixed_point(
                    Int64(rows.count * scales.columns), Int64(stretch), numbers,
                    Self.numbers(words) + rows.lowerBound * x.columns, scales.output + rows.lowerBound * scales.columns)
            }
        }
        (self.words, self.scales) = (words, scales)
    }

    /// The matrix as float32.
    public func expanded(on compute: Compute) -> Tensor {
        let x = compute.empty(words.shape)
        compute.forEachRowBlock(of: x.rows, rowElements: x.columns) { rows in
            martlet_from_fixed_point(
                Int64(rows.count * scales.columns), Int64(x.columns / scales.columns),
                Self.numbers(words) + rows.lowerBound * x.columns, scales.floats + rows.lowerBound * scales.columns,
                x.output + rows.lowerBound * x.columns)
        }
        return x
    }

    private static func numbers(_ words: Tensor) -> UnsafeMutablePointer<Int16> {
        UnsafeMutableRawPointer(words.bfloatOutput).assumingMemoryBound(to: Int16.self)
    }
}
