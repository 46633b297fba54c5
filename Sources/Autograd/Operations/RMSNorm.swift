import CKernels
import TensorCore

extension Graph {
    /// Root-mean-square normalisation (Zhang & Sennrich, 2019) of every row, or of every head of every row:
    /// `y = x / √(mean(x²) + epsilon) · weight`.
    ///
    /// Derivative: `dx = r·(w·dy − x̂·mean(w·dy·x̂))`, `dw = Σ rows dy·x̂`, with `x̂ = x·r`. It is computed from the result,
    /// which the layers over it keep anyway: `x̂ = y / w`. So nothing holds `x` until the backward pass.
    /// - Parameters:
    ///   - x: `[tokens, heads · width]`.
    ///   - weight: `[width]`, float32; a constant when it is frozen.
    /// - Returns: the shape of `x`, float32.
    public func rmsNorm(_ x: Variable, weight: Variable, epsilon: Float) -> Variable {
        precondition(
            weight.value.count > 0 && x.value.columns % weight.value.count == 0,
            "RMSNorm of \(x.value.shape) with weight \(weight.value.shape)")
        let (wValue, compute, y) = (weight.value, compute, compute.empty(x.value.shape))
        let kept = roomToKeep(y)
        let inverse = compute.rmsNorm(x.value, wValue, epsilon, into: y, keptIn: kept)
        guard isRecording else { return record("norm", y, inputs: []) { _ in [] } }
        let normalised = compute.normalised(x.value, wValue, epsilon, result: kept)
        let (weightGradient, node) = (weight.needsGradient, x.node)
        // The residual stream stays float32.
        let type = x.value.columns == wValue.count ? x.value.elementType : kept.elementType
        return record("norm", y, inputs: [x, weight], again: { kept }) { dy in
            // What goes around the norm has usually come before; what comes later the graph adds.
            var sum = node?.takeGradient()
            return compute.rmsNormBackward(
                normalised, wValue, inverse, dy, addedTo: &sum, type: type, weightGradient: weightGradient)
        }
    }
}

/// Rows that give `x̂` when their columns are multiplied with `undo`, `[width]`.
private struct NormalisedRows {
    let rows, undo: Tensor
}

extension Compute {
    /// Writes the normalised rows, and a copy of them while they are in cache if `kept` is not `y` itself.
    /// - Returns: `1 / √(mean(x²) + epsilon)` of each head of each row.
    fileprivate func rmsNorm(
        _ x: Tensor, _ weight: Tensor, _ epsilon: Float, into y: Tensor, keptIn kept: Tensor
    ) -> Tensor {
        let heads = x.columns / weight.count
        let inverse = empty([x.rows, heads])
        forEachRowBlock(of: x.rows, rowElements: x.columns) { block in
            readRows(x, block) { input in
                writeRows(y, block) { output in
                    martlet_rms_norm_forward(
                        Int64(block.count * heads), Int64(weight.count), input, weight.floats, epsilon, output,
                        inverse.output + block.lowerBound * heads)
                }
            }
            if kept.elementType != y.elementType { copyRows(y, block, to: kept) }
        }
        return inverse
    }

    /// - Parameter y: the result, as it is kept. A weight of zero leaves nothing of `x̂` in it: with one, `x̂` is kept besides.
    fileprivate func normalised(_ x: Tensor, _ weight: Tensor, _ epsilon: Float, result y: Tensor) -> NormalisedRows {
        let weights = weight.toArray()
        if weights.allSatisfy({ abs($0) > 0x1p-100 }) {
            return NormalisedRows(rows: y, undo: tensor(weights.map { 1 / $0 }, shape: weight.shape))
        }
        let ones = tensor([Float](repeating: 1, count: weight.count), shape: weight.shape)
        let rows = empty(x.shape)
        _ = rmsNorm(x, ones, epsilon, into: rows, keptIn: rows)
        return NormalisedRows(rows: converted(rows, to: y.elementType), undo: ones)
    }

    /// - Parameters:
    ///   - sum: a gradient of `x` that is added, in place when nobody else holds it.
    ///   - type: of the gradient, if nothing is added.
    fileprivate func rmsNormBackward(
        _ normalised: NormalisedRows, _ weight: Tensor, _ inverse: Tensor, _ dy: Tensor, addedTo sum: inout Tensor?,
        type: ElementType, weightGradient: Bool
    ) -> [Tensor?] {
        let y = normalised.rows
        let (rows, width, heads) = (y.rows, weight.count, inverse.columns)
        let dx = room(forSumWith: &sum) ?? empty(y.shape, type)
        let before = sum
        precondition(dx.rows == rows && dx.columns == y.columns, "gradient of \(dx.shape) for \(y.shape)")
        // One partial sum per block, added up in block order: the same bits on every number of threads.
        let block = 64
        let blocks = (rows + block - 1) / block
        let partial = weightGradient ? zeros([blocks, width]) : nil
        threads.run(tiles: blocks) { tile in
            let range = tile * block..<min(rows, (tile + 1) * block)
            readRows(y, range) { result in
                readRows(dy, range) { gradient in
                    readRowsIfAny(before, range) { before in
                        writeRows(dx, range) { output in
                            martlet_rms_norm_backward(
                                Int64(range.count * heads), Int64(width), result, normalised.undo.floats, weight.floats,
                                inverse.floats + range.lowerBound * heads, gradient, before, output,
                                partial.map { $0.output + tile * width })
                        }
                    }
                }
            }
        }
        guard let partial else { return [dx, nil] }
        let dw = zeros(weight.shape)
        for tile in 0..<blocks { martlet_add(Int64(width), dw.floats, partial.floats + tile * width, dw.output) }
        return [dx, dw]
    }

    /// The same as ``readRows(_:_:_:)``; of no tensor `nil`.
    private func readRowsIfAny(_ tensor: Tensor?, _ rows: Range<Int>, _ body: (UnsafePointer<Float>?) -> Void) {
        guard let tensor else { return body(nil) }
        readRows(tensor, rows) { body($0) }
    }
}
