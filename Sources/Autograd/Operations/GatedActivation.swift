import CKernels
import TensorCore

/// The function between the two factors of a gated feed-forward block.
public enum GateFunction: Sendable, Equatable {
    /// `gate · σ(gate) · up`, SwiGLU (Shazeer, 2020).
    case silu
    /// `gelu(gate) · up` with GELU's tanh approximation (Hendrycks & Gimpel, 2016).
    case geluTanh
    /// `g · σ(alpha · g) · (u + 1)` with `g = min(gate, limit)` and `u` = `up` cut to ±`limit` (gpt-oss).
    case clamped(alpha: Float, limit: Float)

    fileprivate func forward(
        _ count: Int, _ gate: UnsafePointer<Float>, _ up: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
    ) {
        let n = Int64(count)
        switch self {
        case .silu: martlet_silu_gate_forward(n, gate, up, y)
        case .geluTanh: martlet_gelu_gate_forward(n, gate, up, y)
        case .clamped(let alpha, let limit): martlet_clamped_gate_forward(n, alpha, limit, gate, up, y)
        }
    }

    private func forward(
        _ count: Int, _ gate: UnsafePointer<UInt16>, _ up: UnsafePointer<UInt16>, _ y: UnsafeMutablePointer<UInt16>
    ) {
        let n = Int64(count)
        switch self {
        case .silu: martlet_silu_gate_forward_bf16(n, gate, up, y)
        case .geluTanh: martlet_gelu_gate_forward_bf16(n, gate, up, y)
        case .clamped(let alpha, let limit): martlet_clamped_gate_forward_bf16(n, alpha, limit, gate, up, y)
        }
    }

    fileprivate func backward(
        _ count: Int, _ gate: UnsafePointer<Float>, _ up: UnsafePointer<Float>, _ dy: UnsafePointer<Float>,
        _ dGate: UnsafeMutablePointer<Float>, _ dUp: UnsafeMutablePointer<Float>
    ) {
        let n = Int64(count)
        switch self {
        case .silu: martlet_silu_gate_backward(n, gate, up, dy, dGate, dUp)
        case .geluTanh: martlet_gelu_gate_backward(n, gate, up, dy, dGate, dUp)
        case .clamped(let alpha, let limit): martlet_clamped_gate_backward(n, alpha, limit, gate, up, dy, dGate, dUp)
        }
    }

    private func backward(
        _ count: Int, _ gate: UnsafePointer<UInt16>, _ up: UnsafePointer<UInt16>, _ dy: UnsafePointer<UInt16>,
        _ dGate: UnsafeMutablePointer<UInt16>, _ dUp: UnsafeMutablePointer<UInt16>
    ) {
        let n = Int64(count)
        switch self {
        case .silu: martlet_silu_gate_backward_bf16(n, gate, up, dy, dGate, dUp)
        case .geluTanh: martlet_gelu_gate_backward_bf16(n, gate, up, dy, dGate, dUp)
        case .clamped(let alpha, let limit):
            martlet_clamped_gate_backward_bf16(n, alpha, limit, gate, up, dy, dGate, dUp)
        }
    }

    /// Some rows of the result, which is dense. All are of one element type.
    fileprivate func forward(_ gate: Tensor, _ up: Tensor, _ y: Tensor, _ rows: Range<Int>) {
        Self.forEachRun(of: gate, up, rows) { g, u, at, count in
            switch y.elementType {
            case .float32: forward(count, gate.floatRows + g, up.floatRows + u, y.output + at)
            case .bfloat16: forward(count, gate.bfloatRows + g, up.bfloatRows + u, y.bfloatOutput + at)
            }
        }
    }

    /// Some rows of the gradients, which are dense. All are of one element type.
    fileprivate func backward(
        _ gate: Tensor, _ up: Tensor, _ dy: Tensor, _ dGate: Tensor, _ dUp: Tensor, _ rows: Range<Int>
    ) {
        Self.forEachRun(of: gate, up, rows) { g, u, at, count in
            switch dy.elementType {
            case .float32:
                backward(
                    count, gate.floatRows + g, up.floatRows + u, dy.floats + at, dGate.output + at, dUp.output + at)
            case .bfloat16:
                backward(
                    count, gate.bfloatRows + g, up.bfloatRows + u, dy.bfloats + at, dGate.bfloatOutput + at,
                    dUp.bfloatOutput + at)
            }
        }
    }

    /// Dense factors are one run of elements, views as many as they have rows; `at` counts without gaps.
    private static func forEachRun(
        of gate: Tensor, _ up: Tensor, _ rows: Range<Int>, _ body: (_ gate: Int, _ up: Int, _ at: Int, _ count: Int) -> Void
    ) {
        let (width, first) = (gate.columns, rows.lowerBound)
        if gate.isDense && up.isDense {
            return body(first * width, first * width, first * width, rows.count * width)
        }
        for row in rows { body(row * gate.rowStride, row * up.rowStride, row * width, width) }
    }
}

extension Graph {
    /// The inside of a gated feed-forward block, element by element.
    ///
    /// Derivative of `f(gate) · up`: `dgate = dy · up · f'(gate)`, `dup = dy · f(gate)`; see ``GateFunction``.
    /// - Parameters: `gate` and `up` are `[tokens, width]`.
    public func gatedActivation(_ gate: Variable, _ up: Variable, _ function: GateFunction = .silu) -> Variable {
        precondition(gate.value.shape == up.value.shape, "gate \(gate.value.shape) and up \(up.value.shape) differ")
        let compute = compute
        let (g, u) = (roomToKeep(gate.value), roomToKeep(up.value))
        let y = compute.gatedActivation(gate.value, up.value, function, keepingIn: [g, u])
        let again = { compute.gatedActivation(g, u, function) }
        return record("gated activation", y, inputs: [gate, up], again: again) { dy in
            let (dGate, dUp) = compute.gatedGradients(g, u, dy, function)
            return [dGate, dUp]
        }
    }

    /// ``gatedActivation(_:_:_:)`` of two linear layers over one input, tile by tile while their results are in cache; these
    /// exist only as what the backward pass keeps.
    /// - Parameters:
    ///   - x: `[tokens, inputs]`.
    ///   - gate: `[width, inputs]`, as `up`.
    public func gatedLinear(_ x: Variable, gate: LinearLayer, up: LinearLayer, _ function: GateFunction = .silu) -> Variable {
        let (compute, width, type) = (compute, gate.weight.rows, compute.precision.activationType)
        let shape = x.value.shape(columns: width)
        let ways = [gate, up].map { way(through: $0, x, on: compute) }
        let kept = isRecording ? (compute.empty(shape, type), compute.empty(shape, type)) : nil
        let y = compute.empty(shape)
        compute.products(x.value, meeting: (ways[0].1, ways[1].1), keptIn: kept) { rows, columns, gates, ups in
            for (index, row) in rows.enumerated() {
                let target = y.output + row * width + columns.lowerBound
                function.forward(columns.count, gates.row(index), ups.row(index), target)
            }
        }
        guard let (g, u) = kept else { return record("gated linear", y, inputs: []) { _ in [] } }
        let backward = LinearBackward([gate, up], ways.map(\.0), compute, gradients, wantsInput: x.needsGradient)
        let again = { compute.gatedActivation(g, u, function) }
        return record("gated linear", y, inputs: [x], trainsParameters: backward.trains, again: again) { dy in
            let (dGate, dUp) = compute.gatedGradients(g, u, dy, function)
            backward.take(dGate, of: 0)
            backward.take(dUp, of: 1)
            return [backward.inputGradient()]
        }
    }

    /// The same where gate and up alternate: `[tokens, 2 · width]` → `[tokens, width]`, gates in the even columns.
    public func gatedActivation(interleaved x: Variable, _ function: GateFunction) -> Variable {
        precondition(x.value.columns % 2 == 0, "gate and up cannot alternate in \(x.value.shape)")
        let (y, width, compute) = (compute.gatedPairs(x.value, function, type: .float32), x.value.columns / 2, compute)
        let (value, type) = (rounded(toKeep: x.value), compute.precision.activationType)
        let again = { compute.gatedPairs(value, function, type: type) }
        return record("gated activation", y, inputs: [x], again: again) { dy in
            let dx = compute.empty(value.shape, type)
            compute.forEachRowBlock(of: value.rows, rowElements: value.columns) { rows in
                compute.readPairs(value, rows) { gates, ups in
                    compute.readRows(dy, rows) { gradient in
                        function.backward(rows.count * width, gates, ups, gradient, gates, ups)
                        compute.writeRows(dx, rows) { martlet_join_pairs(Int64(rows.count * width), gates, ups, $0) }
                    }
                }
            }
            return [dx]
        }
    }
}

extension Compute {
    /// - Parameter kept: where rounded copies of both factors go while they are in cache, unless these are the factors.
    /// - Returns: a tensor of the factors' element type.
    fileprivate func gatedActivation(
        _ g: Tensor, _ u: Tensor, _ function: GateFunction, keepingIn kept: [Tensor] = []
    ) -> Tensor {
        let y = empty(g.shape, g.elementType)
        forEachRowBlock(of: g.rows, rowElements: g.columns) { rows in
            function.forward(g, u, y, rows)
            for (factor, copy) in zip([g, u], kept) where factor.elementType != copy.elementType {
                copyRows(factor, rows, to: copy)
            }
        }
        return y
    }

    /// The gradients of both factors, in their element type.
    fileprivate func gatedGradients(_ g: Tensor, _ u: Tensor, _ dy: Tensor, _ function: GateFunction) -> (Tensor, Tensor) {
        let type = g.elementType
        let (dGate, dUp, dy) = (empty(g.shape, type), empty(u.shape, type), converted(dy, to: type))
        forEachRowBlock(of: g.rows, rowElements: g.columns) { function.backward(g, u, dy, dGate, dUp, $0) }
        return (dGate, dUp)
    }

    fileprivate func gatedPairs(_ x: Tensor, _ function: GateFunction, type: ElementType) -> Tensor {
        let width = x.columns / 2
        let y = empty(x.shape.dropLast() + [width], type)
        forEachRowBlock(of: x.rows, rowElements: x.columns) { rows in
            readPairs(x, rows) { gates, ups in
                writeRows(y, rows) { function.forward(rows.count * width, gates, ups, $0) }
            }
        }
        return y
    }

    /// Calls `body` with copies of the even and of the odd columns.
    fileprivate func readPairs(
        _ x: Tensor, _ rows: Range<Int>, _ body: (UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>) -> Void
    ) {
        let count = rows.count * x.columns / 2
        readRows(x, rows) { pairs in
            withScratch(2 * count) { scratch in
                martlet_split_pairs(Int64(count), pairs, scratch, scratch + count)
                body(scratch, scratch + count)
            }
        }
    }
}
