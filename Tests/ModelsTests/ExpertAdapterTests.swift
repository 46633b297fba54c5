import Autograd
import Checkpoints
import Foundation
import Layers
import Models
import TensorCore
import Testing

/// Adapters on experts, each by itself and all at once, against those of another implementation.
@Suite struct ExpertAdapterTests {
    let compute: Compute

    init() throws { compute = try Compute(threadCount: 2) }

    /// Recorded models and their adapter folders that reach experts.
    static let adapters = references.flatMap { name in
        ["adapter_experts", "adapter_params"].filter {
            FileManager.default.fileExists(atPath: fixtures.appendingPathComponent("\(name)/\($0)").path)
        }.map { Pair(model: name, adapter: $0) }
    }

    struct Pair: Sendable, CustomTestStringConvertible {
        let model, adapter: String
        var testDescription: String { "\(model)/\(adapter)" }
    }

    private func attach(_ pair: Pair) throws -> (Reference, any CausalLanguageModel, LoRAAdapter) {
        let reference = try Reference(pair.model)
        let model = try reference.model(on: compute)
        let folder = try AdapterFolder(reference.folder.appendingPathComponent(pair.adapter), on: compute)
        return (reference, model, try folder.attach(to: model.adapterTargets))
    }

    @Test func everyKindIsRecorded() {
        #expect(Self.adapters.count { $0.adapter == "adapter_experts" } == 3)
        #expect(Self.adapters.count { $0.adapter == "adapter_params" } == 3)
    }

    @Test(arguments: adapters) func logitsAndGradients(pair: Pair) throws {
        let (reference, model, adapter) = try attach(pair)
        let (ids, targets, layout) = try reference.batch()
        let expected = try reference.floats(pair.adapter + ".logits_row0")
        let logits = model.logits(ids, layout: layout, on: compute).toArray()
        #expect(largestDifference(Array(logits.prefix(expected.count)), expected) < Tolerance.logits)
        let gradients = Gradients()
        let loss = meanLoss(model, ids, targets, layout, gradients: gradients, on: compute)
        let recorded = reference.section(pair.adapter)
        #expect(abs(loss - (recorded["loss"] as? Double ?? .nan)) < Tolerance.loss)
        #expect(adapter.parameters.count == recorded["tensors"] as? Int)
        let supervised = Double(targets.count { $0 >= 0 })
        let squares = adapter.parameters.reduce(0.0) { $0 + (gradients[$1].map(compute.sumOfSquares) ?? 0) }
        let norm = squares.squareRoot() / supervised
        #expect(abs(norm / (recorded["grad_norm"] as? Double ?? .nan) - 1) < 1e-4)
        var compared = 0
        for parameter in adapter.parameters where parameter.name.contains(".layers.3.") {
            let expected = try reference.floats("\(pair.adapter).grad.base_model.model.\(parameter.name).weight")
            let found = try #require(gradients[parameter]).toArray().map { $0 / Float(supervised) }
            #expect(relativeError(found, expected) < Tolerance.gradient, "\(parameter.name)")
            compared += 1
        }
        #expect(compared >= 12)
    }

    @Test(arguments: adapters, Precision.allCases)
    func recomputationAndThreadsChangeNoBit(pair: Pair, precision: Precision) throws {
        let results = try [(1, false), (2, true), (3, false)].map { threads, recompute in
            let compute = try Compute(precision: precision, threadCount: threads)
            let (reference, model) = (try Reference(pair.model), try Reference(pair.model).model(on: compute))
            let folder = try AdapterFolder(reference.folder.appendingPathComponent(pair.adapter), on: compute)
            let adapter = try folder.attach(to: model.adapterTargets)
            let (ids, targets, layout) = try reference.batch()
            let gradients = Gradients()
            let loss = meanLoss(model, ids, targets, layout, gradients: gradients, recompute: recompute, on: compute)
            return (loss, try adapter.parameters.map { try #require(gradients[$0]).toArray() })
        }
        #expect(results[0].0 == results[1].0 && results[0].1 == results[1].1)
        #expect(results[0].0 == results[2].0 && results[0].1 == results[2].1)
    }

    @Test(arguments: adapters) func mergedTensors(pair: Pair) throws {
        let (reference, model, adapter) = try attach(pair)
        let (ids, _, layout) = try reference.batch()
        let merged = MergedTensors(try reference.source(), adapter: adapter)
        let adapted = model.logits(ids, layout: layout, on: compute).toArray()
        adapter.detach()
        for name in reference.tensors.names where name.hasPrefix(pair.adapter + ".merged.") {
            let tensor = try merged.tensor(String(name.dropFirst(pair.adapter.count + 8)))
            #expect(largestDifference(tensor.expandAll(), try reference.floats(name)) < Tolerance.merged, "\(name)")
        }
        let sums = reference.section(pair.adapter)["merged_checks"] as? [String: [String: Any]] ?? [:]
        #expect(!sums.isEmpty)
        for (name, sums) in sums {
            let squares = try merged.tensor(name).expandAll().reduce(0.0) { $0 + Double($1) * Double($1) }
            #expect(abs(squares / (sums["sq_sum"] as? Double ?? .nan) - 1) < 1e-6, "\(name)")
        }
        let place = reference.folder.appendingPathComponent("config.json")
        let architecture = try ModelRegistry.architecture(
            modelType: pair.model, place: place.path)
        let whole = try architecture.makeModel(
            configuration: try Data(contentsOf: place), tensors: merged, place: place.path, on: compute)
        #expect(largestDifference(whole.logits(ids, layout: layout, on: compute).toArray(), adapted) < Tolerance.logits)
    }

    @Test(arguments: adapters) func writtenAdapterIsReadAgain(pair: Pair) throws {
        let (reference, _, adapter) = try attach(pair)
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("experts-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try AdapterFolder.write(adapter, baseModel: "tiny", to: folder)
        let original = try SafetensorsFile(
            reference.folder.appendingPathComponent("\(pair.adapter)/adapter_model.safetensors"))
        let written = try SafetensorsFile(folder.appendingPathComponent("adapter_model.safetensors"))
        #expect(written.names == original.names)
        for name in original.names {
            #expect(try written.tensor(name).shape == original.tensor(name).shape, "\(name)")
            #expect(try written.tensor(name).expandAll() == original.tensor(name).expandAll(), "\(name)")
        }
        let again = try AdapterFolder(folder, on: compute)
        let given = try AdapterFolder(reference.folder.appendingPathComponent(pair.adapter), on: compute)
        #expect(again.configuration.targetParameters == given.configuration.targetParameters.sorted())
        #expect(again.expertLayout == (pair.adapter == "adapter_params" ? .peft019 : nil))
        let model = try reference.model(on: compute)
        #expect(try again.attach(to: model.adapterTargets).parameters.count == adapter.parameters.count)
    }

    /// The older layout means other matrices: the same files give other logits, and only where A and B have the right sizes.
    @Test func positionalLayoutSwapsTheSides() throws {
        let reference = try Reference("gpt_oss")
        let model = try reference.model(on: compute)
        let bank = try #require(model.adapterTargets.first { $0.name.hasSuffix("gate_up_proj") })
        let fused = try Reference("llama4_text").model(on: compute).adapterTargets.first {
            $0.name.hasSuffix("gate_up_proj")
        }
        let mixtral = try Reference("mixtral").model(on: compute).adapterTargets.first {
            $0.name.hasSuffix("gate_up_proj")
        }
        func shapes(_ target: (any AdapterTarget)?, _ layout: ExpertBank.FactorLayout) -> [[Int]] {
            let shapes = target?.factorShapes(rank: 2, layout: layout)
            return [shapes?.a ?? [], shapes?.b ?? []]
        }
        // Inputs 64, outputs 48, four experts.
        let (onInputs, onOutputs) = ([[8, 64], [48, 8]], [[8, 48], [64, 8]])
        #expect(shapes(bank, .peft019) == onInputs && shapes(bank, .positional) == onInputs)
        #expect(shapes(fused, .peft019) == onOutputs && shapes(fused, .positional) == onInputs)
        #expect(shapes(mixtral, .peft019) == onInputs && shapes(mixtral, .positional) == onOutputs)
    }

    /// Forward and backward read the weights of a reached expert once each, and those of others not at all.
    @Test(arguments: ["mixtral", "llama4_text", "gpt_oss"]) func expertsAreReadOncePerDirection(name: String) throws {
        let reference = try Reference(name)
        let model = try reference.model(on: compute)
        let settings = AdapterConfiguration(rank: 2, targets: .group(.allLinear))
        _ = try LoRAAdapter(attaching: settings, to: model.adapterTargets, seed: 1, on: compute)
        let graph = Graph(compute: compute, gradients: Gradients())
        let log = RoutingLog()
        graph.routingLog = log
        // Two tokens reach two of the four experts, or four.
        let ids = Array(try reference.ids("input_ids").prefix(name == "llama4_text" ? 2 : 1))
        let hidden = model.hiddenStates(
            ids, layout: SequenceLayout(count: ids.count), cache: nil, recompute: false, in: graph)
        graph.backward(from: hidden)
        var missed = 0
        for case let bank as ExpertBank in model.adapterTargets {
            let number = bank.name.split(separator: ".").compactMap { Int($0) }[0]
            let size = bank.weight.outputs * bank.weight.inputs
            let tokens = try #require(log.counts[number])
            missed += tokens.count { $0 == 0 }
            #expect(bank.weight.expansions.counts == tokens.map { $0 > 0 ? 2 * size : 0 }, "\(bank.name)")
        }
        #expect(missed > 0)
    }

    /// The layout decides what A and B mean: delta of expert e is `scale · (B_e·A_e)`, transposed where A meets inputs of
    /// a tensor that has a row for each input.
    @Test(arguments: ExpertBank.FactorLayout.allCases) func fusedFactorsMeanWhatTheLayoutSays(
        layout: ExpertBank.FactorLayout
    ) throws {
        let reference = try Reference("llama4_text")
        let model = try reference.model(on: compute)
        let settings = AdapterConfiguration(
            rank: 2, alpha: 6, targets: .names(["q_proj"]), targetParameters: ["experts.gate_up_proj"], layout: layout)
        let adapter = try LoRAAdapter(attaching: settings, to: model.adapterTargets, seed: 1, on: compute)
        let path = "model.layers.3.feed_forward.experts"
        let a = try #require(adapter.parameters.first { $0.name == path + ".lora_A" })
        let b = try #require(adapter.parameters.first { $0.name == path + ".lora_B" })
        b.update { for index in $0.indices { $0[index] = Float(index % 11) * 0.1 - 0.5 } }
        let (left, right, width) = (b.value.toArray(), a.value.toArray(), a.value.columns)
        let name = path + ".gate_up_proj"
        let base = try reference.source().tensor(name).expandAll()
        let merged = try MergedTensors(try reference.source(), adapter: adapter).tensor(name).expandAll()
        for expert in 0..<4 {
            for input in [0, 17, 63] {
                for output in [0, 23, 47] {
                    let (row, column) = layout == .peft019 ? (input, output) : (output, input)
                    let delta = (0..<2).reduce(Float(0)) {
                        $0 + 3 * left[row * 8 + $1 * 4 + expert] * right[(expert * 2 + $1) * width + column]
                    }
                    let at = (expert * 64 + input) * 48 + output
                    #expect(abs(merged[at] - base[at] - delta) < 1e-5)
                }
            }
        }
        let (ids, _, layout) = try reference.batch()
        let place = reference.folder.appendingPathComponent("config.json")
        let whole = try Llama4.makeModel(
            configuration: try Data(contentsOf: place),
            tensors: MergedTensors(try reference.source(), adapter: adapter),
            place: place.path, on: compute)
        let adapted = model.logits(ids, layout: layout, on: compute).toArray()
        #expect(largestDifference(whole.logits(ids, layout: layout, on: compute).toArray(), adapted) < Tolerance.logits)
    }

    /// An adapter of the text model fits the multimodal checkpoint, under the names of either release.
    @Test(arguments: ["language_model.model.", "model.language_model."]) func textAdaptersFitMultimodalModels(
        prefix: String
    ) throws {
        let reference = try Reference("llama4_text")
        let source = try AdapterFolder(reference.folder.appendingPathComponent("adapter_params"), on: compute)
        let hub = fixtures.appendingPathComponent("llama4_hub")
        let model = try Llama4.makeModel(
            configuration: try Data(contentsOf: hub.appendingPathComponent("config.json")),
            tensors: try ShardedSafetensors(folder: hub), place: hub.path, on: compute)
        let adapter = try source.attach(to: model.adapterTargets)
        #expect(adapter.parameters.allSatisfy { $0.name.hasPrefix("language_model.model.layers.") })
        let (ids, _, layout) = try reference.batch()
        let expected = try reference.floats("adapter_params.logits_row0")
        let logits = model.logits(ids, layout: layout, on: compute).toArray()
        #expect(largestDifference(Array(logits.prefix(expected.count)), expected) < Tolerance.logits)
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("prefix-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try FileManager.default.copyItem(
            at: reference.folder.appendingPathComponent("adapter_params/adapter_config.json"),
            to: folder.appendingPathComponent("adapter_config.json"))
        let weights = try SafetensorsFile(
            reference.folder.appendingPathComponent("adapter_params/adapter_model.safetensors"))
        func renamed(_ name: String) -> String {
            name.replacingOccurrences(of: "base_model.model.model.", with: "base_model.model." + prefix)
        }
        try SafetensorsWriter.write(
            to: folder.appendingPathComponent("adapter_model.safetensors"),
            tensors: try weights.names.map {
                TensorDeclaration(name: renamed($0), shape: try weights.tensor($0).shape, type: .float32)
            },
            metadata: [:]
        ) { writer in
            for name in weights.names { try writer.append(try weights.tensor(name).expandAll(), to: renamed(name)) }
        }
        let text = try reference.model(on: compute)
        _ = try AdapterFolder(folder, on: compute).attach(to: text.adapterTargets)
        let again = text.logits(ids, layout: layout, on: compute).toArray()
        #expect(largestDifference(Array(again.prefix(expected.count)), expected) < Tolerance.logits)
    }

    @Test func groupsReachExperts() throws {
        func names(_ model: String, _ group: ModuleSelection.Group) throws -> [String] {
            try ModuleSelection.group(group).select(from: try Reference(model).model(on: compute).adapterTargets).map(
                \.name)
        }
        #expect(try names("mixtral", .experts).count == 4 * 4 * 3)
        #expect(try names("mixtral", .allLinear).count == 4 * (4 + 4 * 3))
        #expect(try names("mixtral", .router) == (0..<4).map { "model.layers.\($0).block_sparse_moe.gate" })
        #expect(try names("llama4_text", .experts).count == 2 * 2)
        #expect(try names("llama4_text", .sharedExperts).count == 2 * 3)
        #expect(try names("llama4_text", .mlp).count == 2 * 3)
        #expect(try names("llama4_text", .allLinear).count == 4 * 4 + 2 * 3 + 2 * 3 + 2 * 2)
        #expect(try names("deepseek_v3", .sharedExperts).count == 2 * 3)
    }

    @Test func namesReachFusedExpertsOnlyAsParameters() throws {
        let targets = try Reference("llama4_text").model(on: compute).adapterTargets
        #expect(throws: AdapterError.self) { try ModuleSelection.names(["gate_up_proj"]).select(from: targets) }
        var settings = AdapterConfiguration(
            rank: 2, targets: .names(["q_proj"]), targetParameters: ["experts.down_proj"])
        let adapter = try LoRAAdapter(attaching: settings, to: targets, seed: 1, on: compute)
        #expect(adapter.layers.count == 4 + 2)
        // The only parameter of its module lies at the module's own path.
        #expect(adapter.parameters.map(\.name).contains("model.layers.1.feed_forward.experts.lora_A"))
        adapter.detach()
        settings.targetParameters = ["experts.up_proj"]
        #expect(throws: AdapterError.noSuchParameter("experts.up_proj", available: ["gate_up_proj", "down_proj"])) {
            try LoRAAdapter(attaching: settings, to: targets, seed: 1, on: compute)
        }
        (settings.targetParameters, settings.dropout) = (["experts.down_proj"], 0.1)
        #expect(throws: AdapterError.dropoutOverExperts(parameter: "model.layers.1.feed_forward.experts.down_proj")) {
            try LoRAAdapter(attaching: settings, to: targets, seed: 1, on: compute)
        }
    }

    /// A router with an adapter learns; its gradient is checked by moving its factors.
    @Test func routerIsTrainableOnRequest() throws {
        for name in ["mixtral", "deepseek_v3", "llama4_text"] {
            let reference = try Reference(name)
            let model = try reference.model(on: compute)
            let settings = AdapterConfiguration(rank: 2, alpha: 4, targets: .group(.router))
            let adapter = try LoRAAdapter(attaching: settings, to: model.adapterTargets, seed: 1, on: compute)
            let (ids, targets, layout) = try reference.batch()
            let gradients = Gradients()
            _ = meanLoss(model, ids, targets, layout, gradients: gradients, on: compute)
            let last = try #require(adapter.parameters.last)
            let gradient = try #require(gradients[last]).toArray()
            let largest = try #require(gradient.indices.max { abs(gradient[$0]) < abs(gradient[$1]) })
            let supervised = Double(targets.count { $0 >= 0 })
            let losses = [Float(1e-3), -2e-3].map { step in
                last.update { $0[largest] += step }
                return meanLoss(model, ids, targets, layout, on: compute) * supervised
            }
            let numeric = (losses[0] - losses[1]) / 2e-3
            #expect(abs(numeric / Double(gradient[largest]) - 1) < 2e-2, "\(name): \(numeric) \(gradient[largest])")
        }
    }
}
