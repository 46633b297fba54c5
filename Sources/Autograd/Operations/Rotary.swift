import CKernels
import Glibc
public import TensorCore

/// How fast the pairs of a head turn.
public struct RotaryFrequencies: Sendable, Equatable {
    /// Angle per position of each rotated pair.
    public let values: [Double]
    /// Factor of cosines and sines; some scalings for long contexts have one.
    public let magnitude: Double

    /// Describes a rotation.
    public init(_ values: [Double], magnitude: Double = 1) { (self.values, self.magnitude) = (values, magnitude) }
}

/// Cosines and sines of the rotation of every token, computed once per batch and shared by all layers.
public struct RotaryAngles: Sendable {
    /// `[tokens, half]`: half the number of rotated elements of a head.
    public let cosine, sine: Tensor

    /// Angles `position · frequency` for every token and frequency, in double precision before rounding.
    /// - Parameter frequencies: those of a sequence of the given length, all lengths having equally many: a sequence's own
    ///   length decides, never that of its neighbours in the batch.
    public init(_ layout: SequenceLayout, on compute: Compute, frequencies: (_ length: Int) -> RotaryFrequencies) {
        var known: [Int: RotaryFrequencies] = [:]
        let perToken = zip(layout.offsets, layout.offsets.dropFirst()).flatMap { start, end in
            let length = layout.prefix + end - start
            let own = known[length] ?? frequencies(length)
            known[length] = own
            return [RotaryFrequencies](repeating: own, count: end - start)
        }
        self.init(layout.positions, perToken, on: compute)
    }

    /// The same frequencies for all tokens.
    public init(positions: [Int32], frequencies: [Double], on compute: Compute) {
        let same = RotaryFrequencies(frequencies)
        self.init(positions, [RotaryFrequencies](repeating: same, count: positions.count), on: compute)
    }

    private init(_ positions: [Int32], _ frequencies: [RotaryFrequencies], on compute: Compute) {
        let half = frequencies.first?.values.count ?? 0
        let (cosines, sines) = (compute.empty([positions.count, half]), compute.empty([positions.count, half]))
        compute.forEachRowBlock(of: positions.count, rowElements: half * 8) { rows in
            for row in rows {
                let own = frequencies[row]
                precondition(own.values.count == half, "\(own.values.count) rotary frequencies, expected \(half)")
                for index in 0..<half {
                    // The reference multiplies in float32; so do we, to meet its rounding at large positions.
                    let angle = Double(Float(positions[row]) * Float(own.values[index]))
                    cosines.output[row * half + index] = Float(cos(angle) * own.magnitude)
                    sines.output[row * half + index] = Float(sin(angle) * own.magnitude)
                }
            }
        }
        (cosine, sine) = (cosines, sines)
    }
}

extension Graph {
    /// Rotary position embedding (Su et al., 2021) of every head: element pairs `(i, i + half)`, counted from `offset`,
    /// are rotated by the token's angles; the elements before `offset` and after `offset + 2 · half` pass through.
    /// Derivative: rotation by the negative angle.
    /// - Parameters:
    ///   - x: `[tokens, heads · headSize]`.
    ///   - interleaved: pairs are `(2i, 2i + 1)` instead.
    public func rotate(
        _ x: Variable, by angles: RotaryAngles, headSize: Int, offset: Int = 0, interleaved: Bool = false
    ) -> Variable {
        let (compute, form) = (compute, RotaryForm(headSize: headSize, offset: offset, interleaved: interleaved))
        let rotated = compute.rotated(x.value, angles, form, direction: 1, type: x.value.elementType)
        return record("rotary", rotated, inputs: [x]) { dy in
            [compute.rotated(dy, angles, form, direction: -1, type: compute.precision.activationType)]
        }
    }
}

/// Which elements of a head are rotated.
private struct RotaryForm {
    let headSize, offset: Int
    let interleaved: Bool
}

extension Compute {
    fileprivate func rotated(
        _ x: Tensor, _ angles: RotaryAngles, _ form: RotaryForm, direction: Float, type: ElementType
    ) -> Tensor {
        let (half, size) = (angles.cosine.columns, form.headSize)
        precondition(
            x.columns % size == 0 && form.offset >= 0 && form.offset + 2 * half <= size && angles.cosine.rows == x.rows,
            "rotary embedding of \(x.shape) in heads of \(size) from \(form.offset) by \(angles.cosine.shape)")
        let y = empty(x.shape, type)
        forEachRowBlock(of: x.rows, rowElements: x.columns) { rows in
            readRows(x, rows) { input in
                writeRows(y, rows) { output in
                    martlet_rotate(
                        Int64(rows.count), Int64(x.columns / size), Int64(size), Int64(form.offset), Int64(half),
                        form.interleaved ? 1 : 0, direction, input, angles.cosine.floats + rows.lowerBound * half,
                        angles.sine.floats + rows.lowerBound * half, output)
                }
            }
        }
        return y
    }
}
