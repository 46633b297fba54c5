import Autograd
import Foundation
import Layers
import Models
import TensorCore
import Tokenization

/// Measures single operations at the shapes of a model, forward and backward: what other libraries can be held against.
struct OperationBench {
    /// What can be measured.
    enum Operation: String, CaseIterable {
        /// Products with the weights of linear layers, every shape once, and their input gradients.
        case linear
        /// Attention, every kind once, and the gradients of queries, keys and values.
        case attention
        /// The head with its loss and the gradient of the hidden states.
        case loss
    }

    /// One operation: its shape, and the median seconds of each direction.
    struct Reading {
        let operation: Operation
        let shape: [(String, Int)]
        let seconds: [(String, Double)]
        /// Memory that the first run needed beyond what was there, if the system tells.
        var extraBytes: Int?
    }

    private(set) var readings: [Reading] = []
    private let network: any CausalLanguageModel
    private let compute: Compute
    private let sequences, length, rounds: Int
    private var rows: Int { sequences * length }

    /// Runs each of `operations` once, then `rounds` times with a clock.
    init(
        _ network: any CausalLanguageModel, _ operations: [Operation], sequences: Int, length: Int, rounds: Int,
        on compute: Compute
    ) {
        (self.network, self.compute) = (network, compute)
        (self.sequences, self.length, self.rounds) = (sequences, length, rounds)
        // The loss first: what it needs beyond what is there can be seen only in fresh memory.
        if operations.contains(.loss) { readings.append(measureLoss()) }
        if operations.contains(.linear) { readings += measureLinears() }
        if operations.contains(.attention) { readings += measureAttentions() }
    }

    private func measureLinears() -> [Reading] {
        var seen: Set<[Int]> = []
        let weights = network.linears.map(\.weight).filter { seen.insert([$0.rows, $0.columns]).inserted }
        let type = compute.precision.activationType
        return weights.map { weight in
            let (x, dy) = (noise(rows, weight.columns), noise(rows, weight.rows))
            return Reading(
                operation: .linear, shape: [("rows", rows), ("outputs", weight.rows), ("inputs", weight.columns)],
                seconds: [
                    ("forward", median { _ = compute.product(x, transposed: weight, type: type) }),
                    ("backward", median { _ = compute.product(dy, weight, type: type) }),
                ])
        }
    }

    private func measureAttentions() -> [Reading] {
        var seen: Set<[Int]> = []
        let kinds = network.attentions.filter {
            seen.insert([$0.heads, $0.keyValueHeads, $0.headSize, $0.valueSize, $0.window ?? 0, $0.chunk ?? 0]).inserted
        }
        let layout = SequenceLayout(offsets: (0...sequences).map { $0 * length })
        return kinds.map { kind in
            let inputs = [
                noise(rows, kind.heads * kind.headSize), noise(rows, kind.keyValueHeads * kind.headSize),
                noise(rows, kind.keyValueHeads * kind.valueSize),
            ]
            let gradient = noise(rows, kind.heads * kind.valueSize)
            let (forward, backward) = medians {
                let graph = Graph(compute: compute, gradients: Gradients())
                let leaves = inputs.map(graph.leaf)
                return (graph, graph.attention(leaves[0], leaves[1], leaves[2], layout: layout, options: kind))
            } backward: { graph, result in
                graph.backward(from: result, gradient: gradient)
            }
            let visibility = [("window", kind.window), ("chunk", kind.chunk)].compactMap { name, size in
                size.map { (name, $0) }
            }
            return Reading(
                operation: .attention,
                shape: [
                    ("sequences", sequences), ("length", length), ("heads", kind.heads),
                    ("key_value_heads", kind.keyValueHeads), ("head_size", kind.headSize), ("value_size", kind.valueSize),
                ] + visibility,
                seconds: [("forward", forward), ("backward", backward)])
        }
    }

    private func measureLoss() -> Reading {
        let head = network.head
        func run(_ hidden: Tensor) {
            let graph = Graph(compute: compute, gradients: Gradients())
            let targets = (0..<hidden.rows).map { Int32($0 * 7919 % head.rows) }
            let (loss, _) = graph.linearCrossEntropy(
                graph.leaf(hidden), head: head, targets: targets, softCap: network.logitSoftCap)
            graph.backward(from: loss)
        }
        let hidden = noise(rows, head.columns)
        // A few tokens bring the head into memory, which is not what the operation needs.
        run(noise(16, head.columns))
        let before = ProcessMemory.resetPeak() ? ProcessMemory.resident : nil
        run(hidden)
        let extra = before.flatMap { before in ProcessMemory.peak.map { $0 - before } }
        return Reading(
            operation: .loss, shape: [("rows", rows), ("vocabulary", head.rows), ("hidden", head.columns)],
            seconds: [("both", median { run(hidden) })], extraBytes: extra)
    }

    // MARK: Inputs and clocks

    /// Numbers in ±1 as activations lie between the operations of a block.
    private func noise(_ rows: Int, _ columns: Int) -> Tensor {
        let values = RandomStream(seed: 1, purpose: .initialization, stream: UInt64(columns)).uniform(count: rows * columns)
        return compute.converted(
            compute.tensor(values.map { 2 * $0 - 1 }, shape: [rows, columns]), to: compute.precision.activationType)
    }

    private func median(_ body: () -> Void) -> Double {
        medians { body() } backward: { _ in }.0
    }

    /// Median seconds of both parts after a run that warms up.
    private func medians<Between>(
        _ forward: () -> Between, backward: (Between) -> Void
    ) -> (forward: Double, backward: Double) {
        var times: [(Double, Double)] = []
        for round in 0...rounds {
            let start = ContinuousClock.now
            let result = forward()
            let middle = ContinuousClock.now
            backward(result)
            if round > 0 { times.append(((middle - start) / .seconds(1), (ContinuousClock.now - middle) / .seconds(1))) }
        }
        func middle(_ values: [Double]) -> Double {
            let sorted = values.sorted()
            return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
        }
        return (middle(times.map(\.0)), middle(times.map(\.1)))
    }
}

extension OperationBench {
    func json(settings: JSONObject) -> JSONObject {
        [
            "operations": .array(readings.map { .object($0.json) }),
            "peak_memory_bytes": ProcessMemory.peak.map { .integer($0) } ?? .null, "settings": .object(settings),
        ]
    }
}

extension OperationBench.Reading {
    /// Seconds of all directions together.
    var total: Double { seconds.reduce(0) { $0 + $1.1 } }

    fileprivate var json: JSONObject {
        var object: JSONObject = ["name": .string(operation.rawValue), "seconds": .finite(total)]
        for (name, size) in shape { object[name] = .integer(size) }
        for (name, time) in seconds where seconds.count > 1 { object[name + "_seconds"] = .finite(time) }
        if operation == .loss { object["extra_memory_bytes"] = extraBytes.map { .integer($0) } ?? .null }
        return object
    }

    /// One line for people.
    var line: String {
        let sizes = shape.map { "\($0) \($1)" }.joined(separator: ", ")
        let times = seconds.map { String(format: "%@ %.4f s", $0 as NSString, $1) }.joined(separator: ", ")
        let memory = extraBytes.map { String(format: ", %.1f MB more memory", Double($0) / 1e6) } ?? ""
        return "\(operation.rawValue) (\(sizes)): \(times)\(memory)"
    }
}
