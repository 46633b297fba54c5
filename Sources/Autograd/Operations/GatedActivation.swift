import CKernels
import TensorCore

extension Graph {
    /// `silu(gate) · up`, the inside of a SwiGLU block (Shazeer, 2020).
    ///
    /// Derivative: with `s = σ(gate)`, `dgate = dy·up·(s + gate·s·(1 − s))`, `dup = dy·gate·s`.
    /// - Parameters: `gate` and `up` are `[tokens, width]`.
    public func gatedActivation(_ gate: Variable, _ up: Variable) -> Variable {
        let (g, u, compute) = (gate.value, up.value, compute)
        precondition(g.shape == u.shape, "gate \(g.shape) and up \(u.shape) differ")
        let forward = { compute.gatedActivation(g, u) }
        return record("gated activation", forward(), inputs: [gate, up], again: forward) { dy in
            let (dGate, dUp) = (compute.empty(g.shape, g.elementType), compute.empty(u.shape, u.elementType))
            compute.forEachRowBlock(of: g.rows, rowElements: g.columns) { rows in
                compute.readRows(g, rows) { gates in
                    compute.readRows(u, rows) { ups in
                        compute.readRows(dy, rows) { gradient in
                            compute.writeRows(dGate, rows) { dGates in
                                compute.writeRows(dUp, rows) { dUps in
                                    martlet_silu_gate_backward(
                                        Int64(rows.count * g.columns), gates, ups, gradient, dGates, dUps)
                                }
                            }
                        }
                    }
                }
            }
            return [dGate, dUp]
        }
    }
}

extension Compute {
    fileprivate func gatedActivation(_ g: Tensor, _ u: Tensor) -> Tensor {
        let y = empty(g.shape, precision.activationType)
        forEachRowBlock(of: g.rows, rowElements: g.columns) { rows in
            readRows(g, rows) { gates in
                readRows(u, rows) { ups in
                    writeRows(y, rows) { martlet_silu_gate_forward(Int64(rows.count * g.columns), gates, ups, $0) }
                }
            }
        }
        return y
    }
}
