import CKernels
import TensorCore

extension Graph {
    /// Root-mean-square normalisation (Zhang & Sennrich, 2019) of every row, or of every head of every row:
    /// `y = x / √(mean(x²) + epsilon) · weight`.
    ///
    /// Derivative: `dx = r·(w·dy − x̂·mean(w·dy·x̂))`, `dw = Σ rows dy·x̂`, with `x̂ = x·r`.
    /// - Parameters:
    ///   - x: `[tokens, heads · width]`.
    ///   - weight: `[width]`, float32; a constant when it is frozen.
    /// - Returns: the shape of `x`, float32.
    public func rmsNorm(_ x: Variable, weight: Variable, epsilon: Float) -> Variable {
        precondition(
            weight.value.count > 0 && x.value.columns % weight.value.count == 0,
            "RMSNorm of \(x.value.shape) with weight \(weight.value.shape)")
        let (wValue, compute) = (weight.value, compute)
        let (y, inverse) = compute.rmsNorm(x.value, wValue, epsilon, type: .float32)
        // The residual stream is kept as it is, also by what is added to it; heads are kept for this alone.
        let xValue = x.value.columns == wValue.count ? x.value : rounded(toKeep: x.value)
        let (weightGradient, type, node) = (weight.needsGradient, compute.precision.activationType, x.node)
        return record(
            "norm", y, inputs: [x, weight], again: { compute.rmsNorm(xValue, wValue, epsilon, type: type).y }
        ) { dy in
            // What goes around the norm has usually come before; what comes later the graph adds.
            var sum = node?.takeGradient()
            return compute.rmsNormBackward(
                xValue, wValue, inverse, dy, addedTo: &sum, weightGradient: weightGradient)
        }
    }
}

extension Compute {
    /// The same as ``readRows(_:_:_:)``; of no tensor `nil`.
    private func readRowsIfAny(_ tensor: Tensor?, _ rows: Range<Int>, _ body: (UnsafePointer<Float>?) -> Void) {
        guard let tensor else { return body(nil) }
        readRows(tensor, rows) { body($0) }
    }

    /// The normalised rows and `1 / √(mean(x²) + epsilon)` of each head of each.
    fileprivate func rmsNorm(
        _ x: Tensor, _ weight: Tensor, _ epsilon: Float, type: ElementType
    ) -> (y: Tensor, inverse: Tensor) {
        let heads = x.columns / weight.count
        let (y, inverse) = (empty(x.shape, type), empty([x.rows, heads]))
        forEachRowBlock(of: x.rows, rowElements: x.columns) { block in
            readRows(x, block) { input in
                writeRows(y, block) { output in
                    martlet_rms_norm_forward(
                        Int64(block.count * heads), Int64(weight.count), input, weight.floats, epsilon, output,
                        inverse.output + block.lowerBound * heads)
                }
            }
        }
        return (y, inverse)
    }

    /// - Parameter sum: a gradient of `x` that is added, in place when nobody else holds it.
    fileprivate func rmsNormBackward(
        _ x: Tensor, _ weight: Tensor, _ inverse: Tensor, _ dy: Tensor, addedTo sum: inout Tensor?,
        weightGradient: Bool
    ) -> [Tensor?] {
        let (rows, width, heads) = (x.rows, weight.count, inverse.columns)
        let dx = room(forSumWith: &sum) ?? empty(x.shape, x.elementType)
        let before = sum
        precondition(dx.rows == rows && dx.columns == x.columns, "gradient of \(dx.shape) for \(x.shape)")
        // One partial sum per block, added up in block order: the same bits on every number of threads.
        let block = 64
        let blocks = (rows + block - 1) / block
        let partial = weightGradient ? zeros([blocks, width]) : nil
        threads.run(tiles: blocks) { tile in
            let range = tile * block..<min(rows, (tile + 1) * block)
            readRows(x, range) { input in
                readRows(dy, range) { gradient in
                    readRowsIfAny(before, range) { before in
                        writeRows(dx, range) { output in
                            martlet_rms_norm_backward(
                                Int64(range.count * heads), Int64(width), input, weight.floats,
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
}
