public import Autograd
public import TensorCore

/// The low-rank adapters (LoRA, Hu et al., 2021) attached to the layers of a model: what training changes.
public final class LoRAAdapter {
    /// Rank, scale, dropout and targets.
    public let configuration: AdapterConfiguration
    /// What is adapted, in model order.
    public let layers: [any AdapterTarget]
    /// Rank and scale of the update of each layer.
    public let strengths: [AdapterStrength]
    /// All factors in a fixed order: A and B of the first layer, of the second, …
    public let parameters: [Parameter]
    /// Last parts of the names of modules that are not adapted.
    package let endingsLeftOut: Set<String>

    /// Attaches new adapters: A uniform in ±1/√columns (as PEFT), B zero, so that the model is unchanged at first.
    /// - Parameter seed: decides A.
    /// - Throws: ``AdapterError`` if a target matches nothing.
    public convenience init(
        attaching configuration: AdapterConfiguration, to layers: [any AdapterTarget], seed: UInt64, on compute: Compute
    ) throws(AdapterError) {
        let targets = try Self.targets(of: configuration, among: layers)
        let strengths = targets.map { configuration.strength(of: $0.name) }
        self.init(configuration, targets, strengths, Self.paths(of: targets), among: layers) { site in
            let (aShape, bShape) = targets[site].factorShapes(rank: strengths[site].rank, layout: configuration.layout)
            let bound = 1 / Float(aShape[1]).squareRoot()
            let random = RandomStream(seed: seed, purpose: .initialization, stream: UInt64(site))
            let a = random.uniform(count: aShape[0] * aShape[1]).map { (2 * $0 - 1) * bound }
            return (compute.tensor(a, shape: aShape), compute.zeros(bShape))
        }
    }

    /// Attaches adapters with given factors.
    /// - Parameters:
    ///   - factors: A and B by the path that a file names them by: that of a module, or for a parameter with all experts
    ///     that of its module, followed by `.base_layer` for each adapted parameter that comes after it. Layers not named
    ///     get none.
    ///   - stored: what patterns of the configuration know such a path as, if it has another name there.
    /// - Throws: ``AdapterError/shape(tensor:found:expected:)``, ``AdapterError/rank(tensor:found:expected:)``,
    ///   ``AdapterError/unknownTensor(_:reason:)``.
    public convenience init(
        _ configuration: AdapterConfiguration, factors: [String: (a: Tensor, b: Tensor)], layers: [any AdapterTarget],
        stored: (String) -> String = { $0 }
    ) throws(AdapterError) {
        let fused = try ModuleSelection.parameters(configuration.targetParameters, from: layers)
        let candidates = layers.filter { layer in layer.isModule || fused.contains { $0 === layer } }
        let named = zip(candidates, Self.paths(of: candidates)).filter { factors[$0.1] != nil }
        let known = Set(named.map(\.1))
        if let stranger = factors.keys.filter({ !known.contains($0) }).min() {
            throw .unknownTensor(
                stranger, reason: "the model has no linear layer of that name, and target_parameters names none")
        }
        if named.isEmpty { throw .nothingSelected }
        var complete: [(a: Tensor, b: Tensor)] = []
        var strengths: [AdapterStrength] = []
        for (layer, path) in named {
            guard let (a, b) = factors[path] else { continue }
            let strength = configuration.strength(of: Self.patternName(of: layer, at: stored(path)))
            try Self.check(a, b, of: layer, at: path, rank: strength.rank, configuration.layout)
            complete.append((a, b))
            strengths.append(strength)
        }
        try Self.refuseDropout(configuration, named.map(\.0))
        self.init(configuration, named.map(\.0), strengths, named.map(\.1), among: layers) { complete[$0] }
    }

    private init(
        _ configuration: AdapterConfiguration, _ targets: [any AdapterTarget], _ strengths: [AdapterStrength],
        _ paths: [String], among all: [any AdapterTarget], factors: (Int) -> (a: Tensor, b: Tensor)
    ) {
        (self.configuration, layers, self.strengths) = (configuration, targets, strengths)
        let adapted = Set(targets.map(\.name))
        endingsLeftOut = Set(all.filter { $0.isModule && !adapted.contains($0.name) }.map { Self.ending(of: $0.name) })
        var parameters: [Parameter] = []
        for (site, layer) in targets.enumerated() {
            let (a, b) = factors(site)
            let (left, right) = (
                Parameter(name: paths[site] + ".lora_A", value: a), Parameter(name: paths[site] + ".lora_B", value: b)
            )
            layer.attach(a: left, b: right, strengths[site], configuration, site: UInt64(site))
            parameters += [left, right]
        }
        self.parameters = parameters
    }

    /// Trained numbers of all layers, or of those that a condition holds for.
    public func parameterCount(where condition: (any AdapterTarget) -> Bool = { _ in true }) -> Int {
        layers.indices.filter { condition(layers[$0]) }.reduce(0) { sum, site in
            sum + parameters[2 * site].value.count + parameters[2 * site + 1].value.count
        }
    }

    /// Takes the adapters off the layers again.
    public func detach() {
        for layer in layers { layer.detach() }
    }

    /// The last part of a path.
    package static func ending(of name: String) -> String { String(name.split(separator: ".").last ?? "") }

    private static func targets(
        of configuration: AdapterConfiguration, among layers: [any AdapterTarget]
    ) throws(AdapterError) -> [any AdapterTarget] {
        let selected = Set(
            (try configuration.targets.select(from: layers)
                + ModuleSelection.parameters(configuration.targetParameters, from: layers)).map(\.name))
        let excluded = Set(try configuration.excluded?.select(from: layers).map(\.name) ?? [])
        let targets = layers.filter { selected.contains($0.name) && !excluded.contains($0.name) }
        if targets.isEmpty { throw .nothingSelected }
        try refuseDropout(configuration, targets)
        return targets
    }

    /// Compares the factors of a layer with what the layer and its configured rank ask for.
    private static func check(
        _ a: Tensor, _ b: Tensor, of layer: any AdapterTarget, at path: String, rank: Int,
        _ layout: ExpertBank.FactorLayout
    ) throws(AdapterError) {
        let (aShape, bShape) = layer.factorShapes(rank: rank, layout: layout)
        if a.shape == aShape && b.shape == bShape { return }
        let found = (a.shape.first ?? 0) / max(1, layer.factorShapes(rank: 1, layout: layout).a[0])
        if layer.factorShapes(rank: found, layout: layout) == (a.shape, b.shape) {
            throw .rank(tensor: path + ".lora_A", found: found, expected: rank)
        }
        if a.shape != aShape { throw .shape(tensor: path + ".lora_A", found: a.shape, expected: aShape) }
        throw .shape(tensor: path + ".lora_B", found: b.shape, expected: bShape)
    }

    /// What patterns know a layer as: the path of a module, or that of a parameter without its wrappers.
    private static func patternName(of layer: any AdapterTarget, at path: String) -> String {
        if layer.isModule { return path }
        var module = path[...]
        while module.hasSuffix(wrapper) { module.removeLast(wrapper.count) }
        return "\(module).\(ending(of: layer.name))"
    }

    /// What a path has for each parameter of the same module that is wrapped around this one.
    private static let wrapper = ".base_layer"

    /// PEFT has no dropout over fused parameters, and nothing could say which of their inputs it drops.
    private static func refuseDropout(
        _ configuration: AdapterConfiguration, _ targets: [any AdapterTarget]
    ) throws(AdapterError) {
        guard configuration.dropout > 0, let fused = targets.first(where: { !$0.isModule }) else { return }
        throw .dropoutOverExperts(parameter: fused.name)
    }

    /// The paths by which files name the factors. Parameters of one module are wrapped one after another, as PEFT does:
    /// the last lies at the module's own path, those before it below `base_layer`.
    private static func paths(of targets: [any AdapterTarget]) -> [String] {
        func module(_ target: any AdapterTarget) -> String {
            String(target.name.dropLast(ending(of: target.name).count + 1))
        }
        var left: [String: Int] = [:]
        for target in targets where !target.isModule { left[module(target), default: 0] += 1 }
        return targets.map { target in
            if target.isModule { return target.name }
            let path = module(target)
            left[path, default: 1] -= 1
            return path + String(repeating: wrapper, count: left[path] ?? 0)
        }
    }
}
