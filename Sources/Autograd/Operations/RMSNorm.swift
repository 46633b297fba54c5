import CKernels
import TensorCore

extension Graph {
    /// Root-mean-square normalisation of every row (Zhang & Sennrich, 2019): `y = x / √(mean(x²) + epsilon) · weight`.
    ///
    /// Derivative: `dx = r·(w·dy − x̂·mean(w·dy·x̂))`, `dw = Σ rows dy·x̂`, with `x̂ = x·r`.
    /// - Parameters:
    ///   - x: `[tokens, hidden]`.
    ///   - weight: `[hidden]`, float32; a constant when it is frozen.
    /// - Returns: `[tokens, hidden]` in the activation type of the precision.
    public func rmsNorm(_ x: Variable, weight: Variable, epsilon: Float) -> Variable {
        precondition(weight.value.count == x.value.columns, "RMSNorm of \(x.value.shape) with weight \(weight.value.shape)")
        let (xValue, wValue, compute) = (x.value, weight.value, compute)
        let (y, inverse) = compute.rmsNorm(xValue, wValue, epsilon)
        let weightGradient = weight.needsGradient
        return record(
            "norm", y, inputs: [x, weight], again: { compute.rmsNorm(xValue, wValue, epsilon).y }
        ) { dy in
            compute.rmsNormBackward(xValue, wValue, inverse, dy, weightGradient: weightGradient)
        }
    }
}

extension Compute {
    /// The normalised rows and `1 / √(mean(x²) + epsilon)` of each.
    fileprivate func rmsNorm(_ x: Tensor, _ weight: Tensor, _ epsilon: Float) -> (y: Tensor, inverse: Tensor) {
        let (rows, columns) = (x.rows, x.columns)
        let (y, inverse) = (empty(x.shape, precision.activationType), empty([rows]))
        forEachRowBlock(of: rows, rowElements: columns) { block in
            readRows(x, block) { input in
                writeRows(y, block) { output in
                    martlet_rms_norm_forward(
                        Int64(block.count), Int64(columns), input, weight.floats, epsilon, output,
                        inverse.output + block.lowerBound)
                }
            }
        }
        return (y, inverse)
    }

    fileprivate func rmsNormBackward(
        _ x: Tensor, _ weight: Tensor, _ inverse: Tensor, _ dy: Tensor, weightGradient: Bool
    ) -> [Tensor?] {
        let (rows, columns) = (x.rows, x.columns)
        let dx = empty(x.shape)
        // One partial sum per block, added up in block order: the same bits on every number of threads.
        let block = 64
        let blocks = (rows + block - 1) / block
        let partial = weightGradient ? zeros([blocks, columns]) : nil
        threads.run(tiles: blocks) { tile in
            let range = tile * block..<min(rows, (tile + 1) * block)
            readRows(x, range) { input in
                readRows(dy, range) { gradient in
                    martlet_rms_norm_backward(
                        Int64(range.count), Int64(columns), input, weight.floats, inverse.floats + range.lowerBound,
                        gradient, dx.output + range.lowerBound * columns, partial.map { $0.output + tile * columns })
                }
            }
        }
        guard let partial else { return [dx, nil] }
        let dw = zeros(weight.shape)
        for tile in 0..<blocks { martlet_add(Int64(columns), dw.floats, partial.floats + tile * columns, dw.output) }
        return [dx, dw]
    }
}
