import TensorCore

extension Graph {
    /// Keys and values of multi-head latent attention (DeepSeek-V2): every head has `[content | value]` of its own, and
    /// all heads share one rotated part: key = `[content | rotated]`.
    ///
    /// Derivative: columns go back where they came from; the shared part sums the gradients of all heads in order.
    /// - Parameters:
    ///   - x: `[tokens, heads · (content + value)]`.
    ///   - rotated: `[tokens, rotated]`.
    /// - Returns: keys `[tokens, heads · (content + rotated)]` and values `[tokens, heads · value]`.
    public func latentHeads(
        _ x: Variable, rotated: Variable, heads: Int, content: Int, value: Int
    ) -> (keys: Variable, values: Variable) {
        let (compute, input, shared) = (compute, x.value, rotated.value)
        let form = LatentForm(heads: heads, content: content, value: value, rotated: shared.columns)
        precondition(input.columns == heads * form.inputSize && input.rows == shared.rows, "heads of \(input.shape)")
        let keys = compute.empty([input.rows, heads * form.keySize], input.elementType)
        let values = compute.empty([input.rows, heads * value], input.elementType)
        compute.forEachRowBlock(of: input.rows, rowElements: input.columns) { rows in
            compute.readRows(input, rows) { source in
                compute.readRows(shared, rows) { rotated in
                    compute.writeRows(keys, rows) { form.writeKeys(rows.count, source, rotated, $0) }
                    compute.writeRows(values, rows) { form.writeValues(rows.count, source, $0) }
                }
            }
        }
        // Not the values: these would stay in memory until the backward pass.
        let (shape, sharedShape, type) = (input.shape, shared.shape, compute.precision.activationType)
        let keyVariable = record("latent heads", keys, inputs: [x, rotated]) { dy in
            let (dx, dRotated) = (compute.empty(shape, type), compute.empty(sharedShape, type))
            compute.forEachRowBlock(of: dx.rows, rowElements: dx.columns) { rows in
                compute.readRows(dy, rows) { gradient in
                    compute.writeRows(dx, rows) { dx in
                        compute.writeRows(dRotated, rows) { form.keyGradients(rows.count, gradient, dx, $0) }
                    }
                }
            }
            return [dx, dRotated]
        }
        let valueVariable = record("latent heads", values, inputs: [x]) { dy in
            let dx = compute.empty(shape, type)
            compute.forEachRowBlock(of: dx.rows, rowElements: dx.columns) { rows in
                compute.readRows(dy, rows) { gradient in
                    compute.writeRows(dx, rows) { form.valueGradients(rows.count, gradient, $0) }
                }
            }
            return [dx]
        }
        return (keyVariable, valueVariable)
    }
}

/// Widths of the parts of a head, and the copies between them.
private struct LatentForm {
    let heads, content, value, rotated: Int
    var inputSize: Int { content + value }
    var keySize: Int { content + rotated }

    func writeKeys(
        _ rows: Int, _ source: UnsafePointer<Float>, _ shared: UnsafePointer<Float>, _ keys: UnsafeMutablePointer<Float>
    ) {
        for row in 0..<rows {
            for head in row * heads..<(row + 1) * heads {
                (keys + head * keySize).update(from: source + head * inputSize, count: content)
                (keys + head * keySize + content).update(from: shared + row * rotated, count: rotated)
            }
        }
    }

    func writeValues(_ rows: Int, _ source: UnsafePointer<Float>, _ values: UnsafeMutablePointer<Float>) {
        for head in 0..<rows * heads {
            (values + head * value).update(from: source + head * inputSize + content, count: value)
        }
    }

    func keyGradients(
        _ rows: Int, _ dy: UnsafePointer<Float>, _ dx: UnsafeMutablePointer<Float>,
        _ dRotated: UnsafeMutablePointer<Float>
    ) {
        for row in 0..<rows {
            let sum = dRotated + row * rotated
            sum.update(repeating: 0, count: rotated)
            for head in row * heads..<(row + 1) * heads {
                (dx + head * inputSize).update(from: dy + head * keySize, count: content)
                (dx + head * inputSize + content).update(repeating: 0, count: value)
                for index in 0..<rotated { sum[index] += dy[head * keySize + content + index] }
            }
        }
    }

    func valueGradients(_ rows: Int, _ dy: UnsafePointer<Float>, _ dx: UnsafeMutablePointer<Float>) {
        for head in 0..<rows * heads {
            (dx + head * inputSize).update(repeating: 0, count: content)
            (dx + head * inputSize + content).update(from: dy + head * value, count: value)
        }
    }
}
