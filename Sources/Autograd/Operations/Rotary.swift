import CKernels
import Glibc
public import TensorCore

/// Cosines and sines of the rotation of every token, computed once per batch and shared by all layers.
public struct RotaryAngles: Sendable {
    /// `[tokens, half]`: half the number of rotated elements of a head.
    public let cosine, sine: Tensor

    /// Angles `position · frequency` for every token and frequency, in double precision before rounding.
    public init(positions: [Int32], frequencies: [Double], on compute: Compute) {
        let half = frequencies.count
        let (cosines, sines) = (compute.empty([positions.count, half]), compute.empty([positions.count, half]))
        compute.forEachRowBlock(of: positions.count, rowElements: half * 8) { rows in
            for row in rows {
                for index in 0..<half {
                    // The reference multiplies in float32; so do we, to meet its rounding at large positions.
                    let angle = Double(Float(positions[row]) * Float(frequencies[index]))
                    cosines.output[row * half + index] = Float(cos(angle))
                    sines.output[row * half + index] = Float(sin(angle))
                }
            }
        }
        (cosine, sine) = (cosines, sines)
    }
}

extension Graph {
    /// Rotary position embedding (Su et al., 2021) of every head: element pairs `(i, i + half)` are rotated by the
    /// token's angles; elements beyond `2 · half` pass through. Derivative: rotation by the negative angle.
    /// - Parameters:
    ///   - x: `[tokens, heads · headSize]`.
    ///   - interleaved: pairs are `(2i, 2i + 1)` instead.
    public func rotate(
        _ x: Variable, by angles: RotaryAngles, headSize: Int, interleaved: Bool = false
    ) -> Variable {
        let compute = compute
        let rotated = compute.rotated(x.value, angles, headSize, interleaved, direction: 1)
        return record("rotary", rotated, inputs: [x]) { dy in
            [compute.rotated(dy, angles, headSize, interleaved, direction: -1)]
        }
    }
}

extension Compute {
    fileprivate func rotated(
        _ x: Tensor, _ angles: RotaryAngles, _ headSize: Int, _ interleaved: Bool, direction: Float
    ) -> Tensor {
        let half = angles.cosine.columns
        precondition(x.columns % headSize == 0 && 2 * half <= headSize && angles.cosine.rows == x.rows,
            "rotary embedding of \(x.shape) in heads of \(headSize) by \(angles.cosine.shape)")
        let y = empty(x.shape, x.elementType)
        forEachRowBlock(of: x.rows, rowElements: x.columns) { rows in
            readRows(x, rows) { input in
                writeRows(y, rows) { output in
                    martlet_rotate(
                        Int64(rows.count), Int64(x.columns / headSize), Int64(headSize), Int64(half), interleaved ? 1 : 0,
                        direction, input, angles.cosine.floats + rows.lowerBound * half,
                        angles.sine.floats + rows.lowerBound * half, output)
                }
            }
        }
        return y
    }
}
