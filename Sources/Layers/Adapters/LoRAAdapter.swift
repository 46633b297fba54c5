public import Autograd
public import TensorCore

/// The low-rank adapters (LoRA, Hu et al., 2021) attached to the layers of a model: what training changes.
public final class LoRAAdapter {
    /// Rank, scale, dropout and targets.
    public let configuration: AdapterConfiguration
    /// The adapted layers in model order.
    public let layers: [Linear]
    /// All factors in a fixed order: A and B of the first layer, of the second, …
    public let parameters: [Parameter]

    /// Attaches new adapters: A uniform in ±1/√inputs (as PEFT), B zero, so that the model is unchanged at first.
    /// - Parameter seed: decides A.
    /// - Throws: ``AdapterError`` if a target matches nothing.
    public convenience init(
        attaching configuration: AdapterConfiguration, to layers: [Linear], seed: UInt64, on compute: Compute
    ) throws(AdapterError) {
        let targets = try Self.targets(of: configuration, among: layers)
        let rank = configuration.rank
        self.init(configuration, targets) { site, layer in
            let (inputs, outputs) = (layer.weight.columns, layer.weight.rows)
            let bound = 1 / Float(inputs).squareRoot()
            let random = RandomStream(seed: seed, purpose: .initialization, stream: UInt64(site))
            let a = random.uniform(count: rank * inputs).map { (2 * $0 - 1) * bound }
            return (compute.tensor(a, shape: [rank, inputs]), compute.zeros([outputs, rank]))
        }
    }

    /// Attaches adapters with given factors.
    /// - Parameter factors: per layer name A `[rank, inputs]` and B `[outputs, rank]`; layers not named get none.
    /// - Throws: ``AdapterError/shape(tensor:found:expected:)``, ``AdapterError/unknownTensor(_:reason:)``.
    public convenience init(
        _ configuration: AdapterConfiguration, factors: [String: (a: Tensor, b: Tensor)], layers: [Linear]
    ) throws(AdapterError) {
        let targets = layers.filter { factors[$0.name] != nil }
        let known = Set(targets.map(\.name))
        if let stranger = factors.keys.filter({ !known.contains($0) }).min() {
            throw .unknownTensor(stranger, reason: "the model has no linear layer of that name")
        }
        if targets.isEmpty { throw .nothingSelected }
        let rank = configuration.rank
        var complete: [(a: Tensor, b: Tensor)] = []
        for layer in targets {
            guard let (a, b) = factors[layer.name] else { continue }
            complete.append((a, b))
            let (aShape, bShape) = ([rank, layer.weight.columns], [layer.weight.rows, rank])
            if a.shape != aShape { throw .shape(tensor: layer.name + ".lora_A", found: a.shape, expected: aShape) }
            if b.shape != bShape { throw .shape(tensor: layer.name + ".lora_B", found: b.shape, expected: bShape) }
        }
        self.init(configuration, targets) { site, _ in complete[site] }
    }

    private init(
        _ configuration: AdapterConfiguration, _ targets: [Linear], factors: (Int, Linear) -> (a: Tensor, b: Tensor)
    ) {
        self.configuration = configuration
        layers = targets
        var parameters: [Parameter] = []
        for (site, layer) in targets.enumerated() {
            let (a, b) = factors(site, layer)
            let update = LowRankUpdate(
                a: Parameter(name: layer.name + ".lora_A", value: a), b: Parameter(name: layer.name + ".lora_B", value: b),
                scale: configuration.scale, dropoutRate: configuration.dropout, site: UInt64(site))
            layer.adapter = update
            parameters += [update.a, update.b]
        }
        self.parameters = parameters
    }

    /// Takes the adapters off the layers again.
    public func detach() {
        for layer in layers { layer.adapter = nil }
    }

    private static func targets(
        of configuration: AdapterConfiguration, among layers: [Linear]
    ) throws(AdapterError) -> [Linear] {
        let selected = try configuration.targets.select(from: layers)
        let excluded = Set(try configuration.excluded?.select(from: layers).map(\.name) ?? [])
        let targets = selected.filter { !excluded.contains($0.name) }
        if targets.isEmpty { throw .nothingSelected }
        return targets
    }
}
