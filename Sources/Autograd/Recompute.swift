import TensorCore

extension Graph {
    /// Runs a segment without saving anything inside it but, if ``keepsLongAttention`` asks for it, results of attention; the
    /// backward pass runs it again. Trades time for memory and changes no bit: dropout counts tokens, not calls.
    /// - Parameter segment: builds the same operations each time from the graph and inputs it is given.
    public func recomputed(_ inputs: [Variable], _ segment: @escaping (Graph, [Variable]) -> Variable) -> Variable {
        guard isRecording else { return segment(self, inputs) }
        let silent = Graph(compute: compute)
        silent.dropout = dropout
        silent.timer = timer
        silent.check = check
        silent.routingLog = routingLog
        silent.loadBalance = loadBalance
        let results = keepsLongAttention ? KeptResults() : nil
        silent.keptResults = results
        // Computed again, a router is not counted again.
        let balance = loadBalance?.counted()
        let value = segment(silent, inputs.map { Variable(constant: $0.value) }).value
        let (compute, gradients, dropout, timer, check) = (compute, gradients, dropout, timer, check)
        let place = check?.place ?? ""
        return record("block", value, inputs: inputs, trainsParameters: true) { gradient in
            let inner = Graph(compute: compute, gradients: gradients)
            inner.dropout = dropout
            inner.timer = timer
            inner.check = check
            check?.place = place
            (inner.loadBalance, inner.keptResults) = (balance, results)
            let leaves = inputs.map { $0.needsGradient ? inner.leaf($0.value) : Variable(constant: $0.value) }
            inner.backward(from: segment(inner, leaves), gradient: gradient)
            return leaves.map { inner.gradient(of: $0) }
        }
    }
}

/// Results of operations that are not computed again with their segment, in order: the first run leaves them, the second takes
/// them.
final class KeptResults {
    private var results: [(Tensor, Tensor)] = []

    /// What the same operation gave in the first run.
    func next(isSecondRun: Bool, _ compute: () -> (Tensor, Tensor)) -> (Tensor, Tensor) {
        if isSecondRun { return results.removeFirst() }
        let result = compute()
        results.append(result)
        return result
    }
}
