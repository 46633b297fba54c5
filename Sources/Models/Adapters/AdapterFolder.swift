public import Autograd
import Checkpoints
public import Foundation
public import Layers
public import TensorCore

/// An adapter on disk in PEFT's layout: `adapter_config.json` and `adapter_model.safetensors`, tensors named
/// `base_model.model.<module>.lora_A.weight` and `.lora_B.weight`. Adapters over parameters that hold many experts say in
/// the metadata of the weights file how their factors are laid out; without that word the release of PEFT decides.
public struct AdapterFolder {
    /// Ranks, alphas and dropout of the adapter; its targets are the modules that it holds.
    public let configuration: AdapterConfiguration
    /// The base model it was made for, as its configuration names it.
    public let baseModel: String?
    /// Module name → A `[rank, inputs]` and B `[outputs, rank]`.
    public let factors: [String: (a: Tensor, b: Tensor)]
    /// What the weights file says about itself, such as the form of the base that was trained over.
    public let metadata: [String: String]
    /// The folder.
    public let path: String

    private static let prefix = "base_model.model."
    /// Key of the metadata that names the layout of factors over all experts.
    private static let layoutKey = "expert_layout"

    /// Reads an adapter.
    /// - Throws: ``ModelError`` naming the file and what is wrong with it.
    public init(_ folder: URL, on compute: Compute) throws(ModelError) {
        path = folder.path
        let place = folder.appendingPathComponent("adapter_config.json")
        let data: Data
        do { data = try RegularFile.contents(place) } catch {
            if !FileManager.default.fileExists(atPath: folder.path) {
                throw .checkpoint(.file(FileError(action: "open the adapter folder", path: folder.path, code: ENOENT)))
            }
            let inner = folder.appendingPathComponent("adapter")
            if FileManager.default.fileExists(atPath: inner.appendingPathComponent("adapter_config.json").path) {
                throw .configuration(
                    place: folder.relativePath,
                    reason: "the folder is no adapter, but holds one; did you mean \(inner.relativePath)?")
            }
            throw .configuration(place: place.path, reason: "cannot be read; an adapter folder holds adapter_config.json and adapter_model.safetensors")
        }
        let file = try ConfigurationFile.decode(PEFTConfiguration.self, from: data, place: place.path)
        if let reason = file.problem { throw .adapterConfiguration(place: place.path, reason: reason) }
        (factors, metadata) = try Self.readFactors(folder.appendingPathComponent("adapter_model.safetensors"), on: compute)
        baseModel = file.baseModel
        var configuration = AdapterConfiguration(
            rank: file.rank, alpha: Float(file.alpha), usesRSLoRA: file.useRSLoRA ?? false,
            dropout: Float(file.dropout ?? 0), targets: .names(factors.keys.sorted()),
            targetParameters: file.targetParameters ?? [], layout: try Self.layout(file, metadata, place: place.path))
        configuration.rankPatterns = try PEFTConfiguration.patterns(
            .rankPattern, file.rankPattern?.mapValues { Int($0) }, in: data, place: place.path)
        configuration.alphaPatterns = try PEFTConfiguration.patterns(
            .alphaPattern, file.alphaPattern?.mapValues { Float($0) }, in: data, place: place.path)
        self.configuration = configuration
    }

    /// How factors over all experts are laid out, if there are any.
    public var expertLayout: ExpertBank.FactorLayout? {
        configuration.targetParameters.isEmpty ? nil : configuration.layout
    }

    /// How an adapter folder's factors over all experts are laid out, if it has some; reads headers only.
    public static func expertLayout(of folder: URL) throws -> ExpertBank.FactorLayout? {
        let place = folder.appendingPathComponent("adapter_config.json")
        let file = try ConfigurationFile.decode(
            PEFTConfiguration.self, from: try RegularFile.contents(place), place: place.path)
        if (file.targetParameters ?? []).isEmpty { return nil }
        let weights = try SafetensorsFile(folder.appendingPathComponent("adapter_model.safetensors"))
        return try layout(file, weights.metadata, place: place.path)
    }

    private static func layout(
        _ file: PEFTConfiguration, _ metadata: [String: String], place: String
    ) throws(ModelError) -> ExpertBank.FactorLayout {
        if let name = metadata[layoutKey] {
            if let layout = ExpertBank.FactorLayout(rawValue: name) { return layout }
            let known = ExpertBank.FactorLayout.allCases.map(\.rawValue).joined(separator: " and ")
            throw .adapterConfiguration(
                place: place, reason: "its factors over experts are laid out as \(name), which this version cannot read; it reads \(known)")
        }
        let parts = (file.peftVersion ?? "").split(separator: ".").prefix(2).compactMap { Int($0) }
        return parts.count == 2 && (parts[0], parts[1]) < (0, 19) ? .positional : .peft019
    }

    /// Attaches the adapter to a model's layers.
    /// - Parameter other: settings to attach it with instead of those that it was written with.
    /// - Throws: ``ModelError/adapter(place:_:)`` if it does not fit.
    public func attach(
        to layers: [any AdapterTarget], as other: AdapterConfiguration? = nil
    ) throws(ModelError) -> LoRAAdapter {
        let stored = storedPaths(for: layers)
        do {
            return try LoRAAdapter(
                other ?? configuration, factors: stored.compactMapValues { factors[$0] }, layers: layers,
                stored: { stored[$0] ?? $0 })
        } catch {
            throw .adapter(place: path, error)
        }
    }

    /// The paths of the factors by those that a model's layers have. Multimodal models keep the text part under
    /// `language_model`, in different places in different releases and not at all in the text model alone; the layers are
    /// the same.
    private func storedPaths(for layers: [any AdapterTarget]) -> [String: String] {
        let part = "language_model"
        let isPart = layers.first?.name.hasPrefix(part + ".") ?? false
        return Dictionary(
            factors.keys.map { stored in
                let path = stored.split(separator: ".").filter { $0 != part }.joined(separator: ".")
                return (isPart ? "\(part).\(path)" : path, stored)
            }, uniquingKeysWith: { first, _ in first })
    }

    /// Writes an adapter into a folder that exists; each file is complete or absent.
    /// - Parameters:
    ///   - baseModel: what the configuration calls the base model; give a name, not a private path.
    ///   - metadata: goes into the weights file, which carries it wherever it is copied.
    public static func write(
        _ adapter: LoRAAdapter, baseModel: String, metadata: [String: String] = [:], to folder: URL
    ) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let configuration = try encoder.encode(PEFTConfiguration(adapter, baseModel: baseModel))
        try AtomicFile.write(configuration, to: folder.appendingPathComponent("adapter_config.json"))
        let tensors = adapter.parameters.map {
            TensorDeclaration(name: prefix + $0.name + ".weight", shape: $0.value.shape, type: .float32)
        }
        let weights = folder.appendingPathComponent("adapter_model.safetensors")
        var metadata = metadata.merging(["format": "pt"]) { _, format in format }
        metadata[layoutKey] = adapter.layers.allSatisfy(\.isModule) ? nil : adapter.configuration.layout.rawValue
        try SafetensorsWriter.write(to: weights, tensors: tensors, metadata: metadata) { writer in
            for parameter in adapter.parameters {
                try writer.append(parameter.value.toArray(), to: prefix + parameter.name + ".weight")
            }
        }
    }

    /// The values that a folder holds for parameters of the names and shapes that it was written from.
    public static func values(of parameters: [Parameter], in folder: URL) throws(ModelError) -> [[Float]] {
        let url = folder.appendingPathComponent("adapter_model.safetensors")
        do {
            let file = try SafetensorsFile(url)
            return try parameters.map { parameter in
                let name = prefix + parameter.name + ".weight"
                let stored = try file.tensor(name)
                guard stored.shape == parameter.value.shape else {
                    throw ModelError.configuration(
                        place: url.path, reason: "\(name) has shape \(stored.shape), expected \(parameter.value.shape)")
                }
                return stored.expandAll()
            }
        } catch let error as CheckpointError {
            throw .checkpoint(error)
        } catch let error as ModelError {
            throw error
        } catch {
            throw .configuration(place: url.path, reason: error.localizedDescription)
        }
    }

    private static func readFactors(
        _ url: URL, on compute: Compute
    ) throws(ModelError) -> (factors: [String: (a: Tensor, b: Tensor)], metadata: [String: String]) {
        do {
            let file = try SafetensorsFile(url)
            var halves: [String: (a: Tensor?, b: Tensor?)] = [:]
            for name in file.names {
                guard let (module, isA) = parse(name) else {
                    throw ModelError.adapter(place: url.path, .unknownTensor(name, reason: "expected a name that starts with \(prefix) and ends in .lora_A.weight or .lora_B.weight"))
                }
                let stored = try file.tensor(name)
                let tensor = compute.tensor(stored.expandAll(), shape: stored.shape)
                if isA { halves[module, default: (nil, nil)].a = tensor } else { halves[module, default: (nil, nil)].b = tensor }
            }
            var factors: [String: (a: Tensor, b: Tensor)] = [:]
            for (module, half) in halves {
                guard let a = half.a else { throw ModelError.adapter(place: url.path, .missingTensor(prefix + module + ".lora_A.weight")) }
                guard let b = half.b else { throw ModelError.adapter(place: url.path, .missingTensor(prefix + module + ".lora_B.weight")) }
                factors[module] = (a, b)
            }
            return (factors, file.metadata)
        } catch let error as CheckpointError {
            throw .checkpoint(error)
        } catch let error as ModelError {
            throw error
        } catch {
            throw .configuration(place: url.path, reason: error.localizedDescription)
        }
    }

    /// Module name and whether the tensor is A.
    private static func parse(_ name: String) -> (module: String, isA: Bool)? {
        guard name.hasPrefix(prefix) else { return nil }
        for (ending, isA) in [(".lora_A.weight", true), (".lora_B.weight", false)] where name.hasSuffix(ending) {
            return (String(name.dropFirst(prefix.count).dropLast(ending.count)), isA)
        }
        return nil
    }
}
