import Autograd
public import Checkpoints
public import Foundation
import Layers
public import TensorCore

/// The text part of Llama 4: chunked attention with rotated, normed heads beside layers that know no positions, and
/// mixtures of experts that scale their input.
///
/// In the multimodal checkpoints the text part lies under `language_model.`; what belongs to images is left alone.
public enum Llama4: ModelArchitecture {
    /// `llama4` for the multimodal checkpoints, `llama4_text` for the text part alone.
    public static let modelTypes = ["llama4", "llama4_text"]
    /// `llama4`
    public static let ggufArchitectures = ["llama4"]

    /// Prefixes of the tensors that only images need.
    private static let imagePrefixes = ["vision_model.", "multi_modal_projector."]

    /// What transformers takes for keys that are left out.
    private static var defaults: [String: Any] {
        [
            "num_key_value_heads": 8, "head_dim": 128, "max_position_embeddings": 131_072, "rms_norm_eps": 1e-5,
            "rope_theta": 5e5, "intermediate_size_mlp": 16_384, "num_local_experts": 16, "attention_chunk_size": 8192,
        ]
    }

    /// Builds the model; see ``ModelArchitecture``.
    public static func makeModel(
        configuration: Data, tensors: any TensorSource, place: String, on compute: Compute
    ) throws(ModelError) -> any CausalLanguageModel {
        let multimodal = try MultimodalConfiguration(configuration, place: place)
        let text = try ConfigurationFile.completed(multimodal?.text ?? configuration, with: defaults, place: place)
        let common = try DecoderConfiguration.read(text, place: place)
        let keys = try ConfigurationFile.decode(Llama4Keys.self, from: text, place: place)
        return try makeDecoder(
            tensors: tensors, ignoring: multimodal == nil ? [] : imagePrefixes, place: place, on: compute
        ) { () throws(ConfigurationProblem) in
            try keys.decoder(common, prefix: multimodal == nil ? "" : MultimodalConfiguration.prefix)
        }
    }

    /// Describes a GGUF file; see ``ModelArchitecture``.
    public static func translate(_ file: GGUFFile) throws(ModelError) -> GGUFTranslation {
        try Llama4GGUF(file).translation()
    }
}

/// The keys that Llama 4 has beside the usual ones, and the parts that they describe.
private struct Llama4Keys: Codable {
    var denseWidth, experts, chosen, sparseStep, chunk, positionInterval: Int?
    var sparseLayers, positionedLayers: [Int]?
    var normsHeads, tunesTemperature: Bool?
    var temperatureInterval, temperatureStrength: Double?

    enum CodingKeys: String, CodingKey {
        case denseWidth = "intermediate_size_mlp"
        case experts = "num_local_experts"
        case chosen = "num_experts_per_tok"
        case sparseStep = "interleave_moe_layer_step"
        case sparseLayers = "moe_layers"
        case chunk = "attention_chunk_size"
        case positionedLayers = "no_rope_layers"
        case positionInterval = "no_rope_layer_interval"
        case normsHeads = "use_qk_norm"
        case tunesTemperature = "attn_temperature_tuning"
        case temperatureInterval = "floor_scale"
        case temperatureStrength = "attn_scale"
    }

    func decoder(_ common: DecoderConfiguration, prefix: String) throws(ConfigurationProblem) -> DecoderDescription {
        var decoder = try DecoderDescription(common)
        decoder.prefix = prefix
        decoder.width = denseWidth ?? common.intermediateSize
        let positioned = try positioned(layers: common.numHiddenLayers)
        for layer in decoder.layers.indices where !positioned[layer] { decoder.layers[layer].rotary = nil }
        let sizes = try ExpertSizes(
            count: ("num_local_experts", experts), chosen: ("num_experts_per_tok", chosen ?? 1),
            width: ("intermediate_size", common.intermediateSize))
        let temperature = try temperature()
        let chunked = try common.layers(ofType: "chunked_attention") ?? positioned
        if let chunk, chunk < 1 {
            throw ConfigurationProblem("attention_chunk_size is \(chunk), expected a number above 0")
        }
        decoder.makeAttention = { [decoder] (layer: Int, path: String, loader: WeightLoader) throws(ModelError) in
            try attention(
                decoder, layer, path, chunk: chunked[layer] ? chunk : nil, positioned[layer] ? nil : temperature, loader)
        }
        decoder.makeFeedForward = { [decoder] (layer: Int, path: String, loader: WeightLoader) throws(ModelError) in
            guard isSparse(layer) else { return try decoder.mlp(path + ".feed_forward", loader) }
            return try mixture(decoder, layer, path + ".feed_forward", sizes, loader)
        }
        return decoder
    }

    private func isSparse(_ layer: Int) -> Bool {
        sparseLayers.map { $0.contains(layer) } ?? ((layer + 1) % max(1, sparseStep ?? 1) == 0)
    }

    /// For each layer whether it knows positions. The key lists the layers that do, despite its name.
    private func positioned(layers: Int) throws(ConfigurationProblem) -> [Bool] {
        guard let positionedLayers, !positionedLayers.isEmpty else {
            let interval = max(1, positionInterval ?? 4)
            return (0..<layers).map { ($0 + 1) % interval != 0 }
        }
        guard positionedLayers.count == layers else {
            throw ConfigurationProblem(
                "no_rope_layers has \(positionedLayers.count) entries, expected num_hidden_layers (\(layers))")
        }
        return positionedLayers.map { $0 != 0 }
    }

    private func temperature() throws(ConfigurationProblem) -> SelfAttention.Temperature? {
        guard tunesTemperature ?? true else { return nil }
        let (strength, interval) = (temperatureStrength ?? 0.1, temperatureInterval ?? 8192)
        guard interval >= 1, interval.isFinite, strength.isFinite else {
            throw ConfigurationProblem("floor_scale is \(interval), expected a number from 1")
        }
        return SelfAttention.Temperature(strength: strength, interval: interval)
    }

    /// Layers that know positions norm heads without a weight after the rotation.
    private func attention(
        _ d: DecoderDescription, _ layer: Int, _ path: String, chunk: Int?, _ temperature: SelfAttention.Temperature?,
        _ loader: WeightLoader
    ) throws(ModelError) -> SelfAttention {
        let usual = try d.attention(layer, path, loader)
        let isPositioned = d.layers[layer].rotary != nil
        var norms: SelfAttention.HeadNorms?
        if isPositioned && (normsHeads ?? true) {
            let ones = loader.compute.tensor([Float](repeating: 1, count: d.headSize), shape: [d.headSize])
            let norm = RMSNorm(weight: ones, epsilon: d.epsilon)
            norms = SelfAttention.HeadNorms(query: norm, key: norm, afterRotation: true)
        }
        return SelfAttention(
            input: usual.input, output: usual.output,
            options: AttentionOptions(
                heads: d.heads, keyValueHeads: d.keyValueHeads, headSize: d.headSize, scale: d.attentionScale,
                chunk: chunk),
            headNorms: norms, interleavedRotation: true, temperature: temperature, layer: layer)
    }

    private func mixture(
        _ d: DecoderDescription, _ layer: Int, _ path: String, _ sizes: ExpertSizes, _ loader: WeightLoader
    ) throws(ModelError) -> MixtureOfExperts {
        let (gateUp, down) = try loader.fusedExperts(
            path + ".experts", sizes, hidden: d.hiddenSize, orientation: .inputsByOutputs)
        return MixtureOfExperts(
            router: try loader.router(path + ".router", experts: sizes.count, hidden: d.hiddenSize),
            routing: RoutingOptions(experts: sizes.count, chosen: sizes.chosen, scoring: .sigmoid), gateUp: gateUp,
            down: down, function: d.gateFunction, scalesInput: true,
            shared: try d.mlp(path + ".shared_expert", loader, width: sizes.width, role: .sharedExperts), layer: layer)
    }
}
