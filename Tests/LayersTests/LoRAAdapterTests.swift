import Autograd
import Layers
import TensorCore
import Testing

/// How adapters begin, where they go, and which factors are refused.
@Suite struct LoRAAdapterTests {
    let compute: Compute

    init() throws { compute = try Compute(threadCount: 1) }

    private func adapter(
        seed: UInt64 = 1, _ configuration: AdapterConfiguration = AdapterConfiguration(rank: 3, alpha: 6)
    ) throws -> LoRAAdapter {
        try LoRAAdapter(attaching: configuration, to: namedLayers(on: compute), seed: seed, on: compute)
    }

    private func problem(_ body: () throws -> LoRAAdapter) -> AdapterError? {
        do {
            _ = try body()
            return nil
        } catch {
            return error as? AdapterError
        }
    }

    @Test func beginsWithUniformAAndZeroB() throws {
        let wide = Linear(name: "wide", role: .mlp, weight: .dense(compute.zeros([7, 400])))
        let adapter = try LoRAAdapter(
            attaching: AdapterConfiguration(rank: 8, alpha: 16), to: [wide], seed: 5, on: compute)
        let (a, b) = (adapter.parameters[0], adapter.parameters[1])
        #expect(a.name == "wide.lora_A" && a.value.shape == [8, 400])
        #expect(b.name == "wide.lora_B" && b.value.shape == [7, 8])
        #expect(b.value.toArray().allSatisfy { $0 == 0 })
        let values = a.value.toArray()
        // ±1/√400; the mean of 3200 uniform values lies within 0.05 · 4/√(3·3200), a few come close to the bounds.
        #expect(values.allSatisfy { abs($0) <= 0.05 })
        #expect(values.max() ?? 0 > 0.049 && values.min() ?? 0 < -0.049)
        #expect(abs(values.reduce(0, +) / 3200) < 0.002)
        #expect(Set(values).count > 3000)
        #expect(wide.adapter?.scale == 2)
    }

    @Test func seedAndLayerDecideTheFirstValues() throws {
        func values(_ seed: UInt64) throws -> [[Float]] {
            try adapter(seed: seed).parameters.map { $0.value.toArray() }
        }
        #expect(try values(1) == values(1))
        #expect(try values(1) != values(2))
        // The first layer of each block has the same shape; its numbers are its own.
        #expect(try values(1)[0] != values(1)[10])
    }

    @Test func changesNothingAtFirst() throws {
        let x = Variable(constant: compute.tensor((0..<18).map { Float($0) / 7 }, shape: [2, 9]))
        let weight = Weight.dense(compute.tensor((0..<108).map { Float($0 % 11) - 5 }, shape: [12, 9]))
        let layer = Linear(name: "layer", role: .attention, weight: weight)
        let before = layer(x, in: Graph(compute: compute)).value.toArray()
        let adapter = try LoRAAdapter(attaching: AdapterConfiguration(rank: 2), to: [layer], seed: 1, on: compute)
        #expect(layer(x, in: Graph(compute: compute)).value.toArray() == before)
        adapter.parameters[1].update { $0.update(repeating: 1) }
        #expect(layer(x, in: Graph(compute: compute)).value.toArray() != before)
        adapter.detach()
        #expect(layer.adapter == nil && layer(x, in: Graph(compute: compute)).value.toArray() == before)
    }

    @Test func excludedLayersGetNone() throws {
        let names = try adapter(
            AdapterConfiguration(rank: 2, targets: .group(.mlp), excluded: .names(["down_proj"]))
        ).layers.map(\.name)
        #expect(names == ["model.layers.0.mlp.up_proj", "model.layers.1.mlp.up_proj"])
        #expect(
            problem { try adapter(AdapterConfiguration(targets: .group(.mlp), excluded: .group(.mlp))) }
                == .nothingSelected)
        #expect(problem { try adapter(AdapterConfiguration(targets: .names([]))) } == .nothingSelected)
        #expect(problem { try adapter(AdapterConfiguration(excluded: .names(["router"]))) } != nil)
    }

    @Test func factorsMustFit() throws {
        let name = "model.layers.1.mlp.up_proj"
        func attach(_ name: String, a: [Int], b: [Int]) -> AdapterError? {
            problem {
                try LoRAAdapter(
                    AdapterConfiguration(rank: 3), factors: [name: (compute.zeros(a), compute.zeros(b))],
                    layers: namedLayers(on: compute))
            }
        }
        #expect(attach(name, a: [3, 9], b: [20, 3]) == nil)
        #expect(
            attach(name, a: [2, 9], b: [20, 3]) == .shape(tensor: name + ".lora_A", found: [2, 9], expected: [3, 9]))
        #expect(
            attach(name, a: [3, 20], b: [20, 3]) == .shape(tensor: name + ".lora_A", found: [3, 20], expected: [3, 9]))
        #expect(
            attach(name, a: [3, 9], b: [3, 20]) == .shape(tensor: name + ".lora_B", found: [3, 20], expected: [20, 3]))
        #expect(attach(name, a: [27], b: [20, 3]) == .shape(tensor: name + ".lora_A", found: [27], expected: [3, 9]))
        guard case .unknownTensor("lm_head", _) = attach("lm_head", a: [3, 9], b: [20, 3]) else {
            Issue.record("factors of an unknown layer were accepted")
            return
        }
        #expect(
            problem {
                try LoRAAdapter(AdapterConfiguration(rank: 3), factors: [:], layers: namedLayers(on: compute))
            } == .nothingSelected)
    }

    @Test func refusedFactorsLeaveTheLayersAlone() {
        let layers = namedLayers(on: compute)
        let good = (a: compute.zeros([3, 9]), b: compute.zeros([12, 3]))
        let bad = (a: compute.zeros([3, 1]), b: compute.zeros([20, 3]))
        #expect(
            problem {
                try LoRAAdapter(
                    AdapterConfiguration(rank: 3), factors: [layers[0].name: good, layers[3].name: bad], layers: layers)
            } != nil)
        #expect(layers.allSatisfy { $0.adapter == nil })
    }
}
