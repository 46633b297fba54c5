import Checkpoints
import Layers
import TensorCore

/// How many experts a mixture has and how wide they are.
struct ExpertSizes {
    let count, chosen, width: Int

    /// Checks the numbers of a configuration, under the names that it gives them.
    init(
        count: (key: String, value: Int?), chosen: (key: String, value: Int?), width: (key: String, value: Int?)
    ) throws(ConfigurationProblem) {
        var sizes: [Int] = []
        let limits = [
            (count.key, count.value, 1 << 16), (chosen.key, chosen.value, 1 << 16), (width.key, width.value, 1 << 26),
        ]
        for (key, value, most) in limits {
            guard let value else { throw ConfigurationProblem("the key \(key) is missing") }
            guard value >= 1, value <= most else {
                throw ConfigurationProblem("\(key) is \(value), expected a number from 1 to \(most)")
            }
            sizes.append(value)
        }
        guard sizes[1] <= sizes[0] else {
            throw ConfigurationProblem("\(chosen.key) (\(sizes[1])) is more than \(count.key) (\(sizes[0]))")
        }
        (self.count, self.chosen, self.width) = (sizes[0], sizes[1], sizes[2])
    }
}

/// Where a checkpoint keeps the experts of a layer, all relative to the layer.
struct ExpertPaths {
    /// Before the number of an expert, and the names of its projections.
    var modules = "mlp.experts", gate = "gate_proj", up = "up_proj", down = "down_proj"
    /// Before `gate_up_proj` and `down_proj`, where all experts are in one parameter.
    var fused = "mlp.experts"
}

extension WeightLoader {
    /// The experts of a layer: modules of their own, or fused as newer libraries may write them.
    func experts(
        _ layer: String, _ sizes: ExpertSizes, hidden: Int, paths: ExpertPaths = ExpertPaths()
    ) throws(ModelError) -> (gateUp: ExpertBank, down: ExpertBank) {
        if tensors.contains("\(layer).\(paths.fused).gate_up_proj") {
            return try fusedExperts("\(layer).\(paths.fused)", sizes, hidden: hidden, orientation: .outputsByInputs)
        }
        var (gateUp, down) = ([[Linear]](), [[Linear]]())
        for expert in 0..<sizes.count {
            let path = "\(layer).\(paths.modules).\(expert)."
            gateUp.append([
                try linear(path + paths.gate, .experts, outputs: sizes.width, inputs: hidden, bias: false),
                try linear(path + paths.up, .experts, outputs: sizes.width, inputs: hidden, bias: false),
            ])
            down.append([try linear(path + paths.down, .experts, outputs: hidden, inputs: sizes.width, bias: false)])
        }
        let name = "\(layer).\(paths.fused)."
        return (
            ExpertBank(name: name + "gate_up_proj", count: sizes.count, source: .modules(gateUp)),
            ExpertBank(name: name + "down_proj", count: sizes.count, source: .modules(down))
        )
    }

    /// The experts of a layer in two tensors.
    /// - Parameters:
    ///   - hasBias: whether `gate_up_proj_bias` and `down_proj_bias` are beside them.
    ///   - isMarkedTransposed: see ``ExpertBank``.
    func fusedExperts(
        _ path: String, _ sizes: ExpertSizes, hidden: Int, orientation: GroupedWeight.Orientation,
        hasBias: Bool = false,
        isMarkedTransposed: Bool = false
    ) throws(ModelError) -> (gateUp: ExpertBank, down: ExpertBank) {
        func bank(_ name: String, _ outputs: Int, _ inputs: Int) throws(ModelError) -> ExpertBank {
            let (name, isTransposed) = ("\(path).\(name)", orientation == .inputsByOutputs)
            let weight = try tensor(name, [sizes.count] + (isTransposed ? [inputs, outputs] : [outputs, inputs]))
            var bias: Tensor?
            if hasBias {
                let values = try tensor(name + "_bias", [sizes.count, outputs]).expandAll()
                bias = compute.tensor(values, shape: [sizes.count, outputs])
            }
            return ExpertBank(
                name: name, count: sizes.count, source: .fused(tensor: name, .stored(weight), orientation), bias: bias,
                isMarkedTransposed: isMarkedTransposed)
        }
        return (try bank("gate_up_proj", 2 * sizes.width, hidden), try bank("down_proj", hidden, sizes.width))
    }

    /// What scores the experts.
    func router(_ name: String, experts: Int, hidden: Int, bias: Bool = false) throws(ModelError) -> Linear {
        try linear(name, .router, outputs: experts, inputs: hidden, bias: bias)
    }
}
