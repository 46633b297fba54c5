import Autograd
public import Checkpoints
public import Foundation
public import TensorCore

/// Gemma 3, text: norms before and after both parts of a block with weights `1 + w`, normed heads, scaled embeddings,
/// GELU, and layers with a window, which have a rotation of their own, between those that see everything.
public enum Gemma3: ModelArchitecture {
    /// `gemma3_text`, and `gemma3` for the checkpoints that read images too.
    public static let modelTypes = ["gemma3_text", "gemma3"]
    /// `gemma3`
    public static let ggufArchitectures = ["gemma3"]

    /// Builds the model; see ``ModelArchitecture``.
    public static func makeModel(
        configuration: Data, tensors: any TensorSource, place: String, on compute: Compute
    ) throws(ModelError) -> any CausalLanguageModel {
        let multimodal = try MultimodalConfiguration(configuration, place: place)
        let text = try ConfigurationFile.completed(multimodal?.text ?? configuration, with: defaults, place: place)
        let own = try ConfigurationFile.decode(Gemma3Configuration.self, from: text, place: place)
        var common = try DecoderConfiguration.read(text, place: place)
        common.hiddenAct = common.hiddenActivation ?? "gelu_pytorch_tanh"
        return try makeDecoder(
            tensors: tensors, ignoring: multimodal == nil ? [] : imagePrefixes, place: place, on: compute
        ) { [common] () throws(ConfigurationProblem) in
            var decoder = try own.describe(common)
            if multimodal != nil { decoder.prefix = MultimodalConfiguration.prefix }
            return decoder
        }
    }

    /// Prefixes of the tensors that only images need.
    private static let imagePrefixes = ["vision_tower.", "multi_modal_projector."]

    /// What transformers takes for keys that are left out: published `text_config`s leave out sizes too.
    private static var defaults: [String: Any] {
        [
            "vocab_size": 262_208, "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26,
            "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "rms_norm_eps": 1e-6,
            "max_position_embeddings": 131_072, "rope_theta": 1e6, "rope_local_base_freq": 10_000,
            "sliding_window": 4096, "query_pre_attn_scalar": 256,
            "tie_word_embeddings": true,
        ]
    }

    /// Describes a GGUF file; see ``ModelArchitecture``.
    public static func translate(_ file: GGUFFile) throws(ModelError) -> GGUFTranslation {
        try Gemma3GGUF(file).translation()
    }
}

/// The keys of `config.json` that only Gemma 3 has.
private struct Gemma3Configuration: Decodable {
    var queryPreAttnScalar: Double?
    var ropeLocalBaseFreq: Double?
    var slidingWindowPattern: Int?
    /// `attn_logit_softcapping` is a key of Gemma 2: transformers keeps it in this configuration, but no release of it
    /// caps the scores of Gemma 3, and so the models are not trained for that.
    var finalLogitSoftcapping: Double?
    var useBidirectionalAttention: Bool?
    var ropeParameters: Rotations?

    /// `rope_parameters` in the form of transformers 5: one rotation for each kind of layer.
    struct Rotations: Decodable {
        var fullAttention, slidingAttention: RotaryParameters?

        enum CodingKeys: String, CodingKey {
            case fullAttention = "full_attention"
            case slidingAttention = "sliding_attention"
        }
    }

    enum CodingKeys: String, CodingKey {
        case queryPreAttnScalar = "query_pre_attn_scalar"
        case ropeLocalBaseFreq = "rope_local_base_freq"
        case slidingWindowPattern = "sliding_window_pattern"
        case finalLogitSoftcapping = "final_logit_softcapping"
        case useBidirectionalAttention = "use_bidirectional_attention"
        case ropeParameters = "rope_parameters"
    }

    func describe(_ c: DecoderConfiguration) throws(ConfigurationProblem) -> DecoderDescription {
        if useBidirectionalAttention ?? false {
            throw ConfigurationProblem("use_bidirectional_attention is true, but only causal attention is supported")
        }
        func positive(_ value: Double?, _ key: String) throws(ConfigurationProblem) -> Float? {
            guard let value else { return nil }
            guard value > 0, value.isFinite else {
                throw ConfigurationProblem("\(key) is \(value), expected a number above 0")
            }
            return Float(value)
        }
        var decoder = try DecoderDescription(c)
        decoder.embeddingScale = Float(c.hiddenSize).squareRoot()
        decoder.attentionScale = 1 / (try positive(queryPreAttnScalar, "query_pre_attn_scalar") ?? 256).squareRoot()
        decoder.logitSoftCap = try positive(finalLogitSoftcapping, "final_logit_softcapping")
        (decoder.normOffset, decoder.hasHeadNorms) = (1, true)
        decoder.norms.attentionOutput = "post_attention_layernorm"
        decoder.norms.feedForward = "pre_feedforward_layernorm"
        decoder.norms.feedForwardOutput = "post_feedforward_layernorm"
        try describeLayers(&decoder, c)
        return decoder
    }

    private func describeLayers(
        _ decoder: inout DecoderDescription, _ c: DecoderConfiguration
    ) throws(ConfigurationProblem) {
        let local = ropeParameters?.slidingAttention ?? RotaryParameters(ropeTheta: ropeLocalBaseFreq)
        decoder.rotaries = [
            try c.rotary(ropeParameters?.fullAttention ?? c.ropeScaling, base: c.ropeTheta),
            try c.rotary(local, base: 10_000),
        ]
        let pattern = slidingWindowPattern ?? 6
        guard pattern > 0 else {
            throw ConfigurationProblem("sliding_window_pattern is \(pattern), expected a number above 0")
        }
        let sliding = try c.slidingLayers()
        for layer in decoder.layers.indices where sliding?[layer] ?? ((layer + 1) % pattern != 0) {
            decoder.layers[layer] = DecoderDescription.Layer(window: c.slidingWindow, rotary: 1)
        }
    }
}
