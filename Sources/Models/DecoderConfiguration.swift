import Autograd
import Foundation

/// The keys of `config.json` that most decoders share. An architecture reads keys of its own beside them.
struct DecoderConfiguration: Codable {
    var vocabSize, hiddenSize, intermediateSize, numHiddenLayers, numAttentionHeads: Int
    var numKeyValueHeads: Int?
    var headDim: Int?
    var rmsNormEps: Double
    var maxPositionEmbeddings: Int?
    var originalMaxPositionEmbeddings: Double?
    var hiddenAct, hiddenActivation: String?
    var ropeTheta, partialRotaryFactor: Double?
    var ropeScaling, ropeParameters: RotaryParameters?
    var tieWordEmbeddings, attentionBias, mlpBias: Bool?
    var slidingWindow: Int?
    var layerTypes: [String]?

    enum CodingKeys: String, CodingKey {
        case vocabSize = "vocab_size"
        case hiddenSize = "hidden_size"
        case intermediateSize = "intermediate_size"
        case numHiddenLayers = "num_hidden_layers"
        case numAttentionHeads = "num_attention_heads"
        case numKeyValueHeads = "num_key_value_heads"
        case headDim = "head_dim"
        case rmsNormEps = "rms_norm_eps"
        case maxPositionEmbeddings = "max_position_embeddings"
        case originalMaxPositionEmbeddings = "original_max_position_embeddings"
        case hiddenAct = "hidden_act"
        case hiddenActivation = "hidden_activation"
        case ropeTheta = "rope_theta"
        case partialRotaryFactor = "partial_rotary_factor"
        case ropeScaling = "rope_scaling"
        case ropeParameters = "rope_parameters"
        case tieWordEmbeddings = "tie_word_embeddings"
        case attentionBias = "attention_bias"
        case mlpBias = "mlp_bias"
        case slidingWindow = "sliding_window"
        case layerTypes = "layer_types"
    }

    var keyValueHeads: Int { numKeyValueHeads ?? numAttentionHeads }
    var headSize: Int { headDim ?? hiddenSize / numAttentionHeads }

    /// What is said about the rotation. Transformers prefers the older of the two names, should both be there.
    var rotaryParameters: RotaryParameters? { ropeScaling ?? ropeParameters }

    /// Reads the keys and checks that the sizes are possible.
    static func read(_ data: Data, place: String) throws(ModelError) -> DecoderConfiguration {
        let configuration = try ConfigurationFile.decode(DecoderConfiguration.self, from: data, place: place)
        if let reason = configuration.problem { throw .configuration(place: place, reason: reason) }
        return configuration
    }

    /// What makes the numbers impossible, if anything.
    private var problem: String? {
        let sizes = [
            ("vocab_size", vocabSize), ("hidden_size", hiddenSize), ("intermediate_size", intermediateSize),
            ("num_hidden_layers", numHiddenLayers), ("num_attention_heads", numAttentionHeads),
            ("num_key_value_heads", keyValueHeads), ("max_position_embeddings", maxPositionEmbeddings ?? 1),
            ("sliding_window", slidingWindow ?? 1),
        ]
        for (key, value) in sizes where value < 1 || value > 1 << 26 {
            return "\(key) is \(value), expected a number from 1 to \(1 << 26)"
        }
        if numAttentionHeads % keyValueHeads != 0 {
            return "num_attention_heads (\(numAttentionHeads)) is no multiple of num_key_value_heads (\(keyValueHeads))"
        }
        if headSize < 2 || headSize % 2 != 0 || headSize > 1 << 16 {
            return "head_dim is \(headSize), expected an even number from 2 to 65536"
        }
        if !(rmsNormEps > 0 && rmsNormEps < 1) {
            return "rms_norm_eps is \(rmsNormEps), expected a number between 0 and 1"
        }
        return nil
    }

    /// The function of the gated feed-forward block.
    func gateFunction() throws(ConfigurationProblem) -> GateFunction {
        switch hiddenAct ?? "silu" {
        case "silu", "swish": return .silu
        case "gelu_pytorch_tanh", "gelu_new": return .geluTanh
        case let other:
            throw ConfigurationProblem(
                "hidden_act is \(other), which is not supported; supported are silu and gelu_pytorch_tanh")
        }
    }

    /// The rotation that the configuration describes, or the one that `parameters` describe in its place.
    func rotary(_ parameters: RotaryParameters? = nil, base: Double? = nil) throws(ConfigurationProblem)
        -> RotaryEmbedding
    {
        let own = parameters ?? rotaryParameters
        let base = own?.ropeTheta ?? base ?? ropeTheta ?? 10_000
        guard base > 1, base.isFinite else {
            throw ConfigurationProblem("rope_theta is \(base), expected a number above 1")
        }
        let part = own?.partialRotaryFactor ?? partialRotaryFactor ?? 1
        guard part > 0, part <= 1 else {
            throw ConfigurationProblem("partial_rotary_factor is \(part), expected a number above 0 and up to 1")
        }
        let size = Int(Double(headSize) * part + 1e-6)
        guard size >= 2, size % 2 == 0 else {
            throw ConfigurationProblem(
                "partial_rotary_factor \(part) rotates \(size) elements of a head, expected an even number")
        }
        let surroundings = RotaryParameters.Surroundings(
            maximumLength: maxPositionEmbeddings, originalLength: originalMaxPositionEmbeddings, size: size)
        return RotaryEmbedding(size: size, base: base, scaling: try own?.scaling(surroundings) ?? .none)
    }

    /// For each layer whether it is one with a window, as `layer_types` says; nil where there is no such key.
    func slidingLayers() throws(ConfigurationProblem) -> [Bool]? { try layers(ofType: "sliding_attention") }

    /// For each layer whether it is of a type, where all others are of full attention; nil where there is no such key.
    func layers(ofType wanted: String) throws(ConfigurationProblem) -> [Bool]? {
        guard let layerTypes else { return nil }
        guard layerTypes.count == numHiddenLayers else {
            throw ConfigurationProblem(
                "layer_types has \(layerTypes.count) entries, expected num_hidden_layers (\(numHiddenLayers))")
        }
        var found: [Bool] = []
        for type in layerTypes {
            guard ["full_attention", wanted].contains(type) else {
                throw ConfigurationProblem(
                    "layer_types has \(type), which is not supported; supported are full_attention and \(wanted)"
                )
            }
            found.append(type == wanted)
        }
        return found
    }
}
