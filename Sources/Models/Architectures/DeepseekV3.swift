import Autograd
public import Checkpoints
public import Foundation
import Layers
public import TensorCore

/// DeepSeek-V3 and R1: latent attention, sigmoid routing limited to groups with a correction bias, shared experts, and
/// dense first layers.
public enum DeepseekV3: ModelArchitecture {
    /// `deepseek_v3`
    public static let modelTypes = ["deepseek_v3"]
    /// `deepseek2`
    public static let ggufArchitectures = ["deepseek2"]

    /// What transformers takes for keys that are left out.
    private static var defaults: [String: Any] {
        [
            "max_position_embeddings": 4096, "rms_norm_eps": 1e-6, "q_lora_rank": 1536, "kv_lora_rank": 512,
            "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128, "n_routed_experts": 256,
            "num_experts_per_tok": 8, "moe_intermediate_size": 2048, "n_shared_experts": 1, "n_group": 8, "topk_group": 4,
            "first_k_dense_replace": 3, "routed_scaling_factor": 2.5,
        ]
    }

    /// Builds the model; see ``ModelArchitecture``.
    public static func makeModel(
        configuration: Data, tensors: any TensorSource, place: String, on compute: Compute
    ) throws(ModelError) -> any CausalLanguageModel {
        let configuration = try ConfigurationFile.completed(configuration, with: defaults, place: place)
        var common = try DecoderConfiguration.read(configuration, place: place)
        let keys = try ConfigurationFile.decode(DeepseekV3Keys.self, from: configuration, place: place)
        // What is rotated counts as the head: the rest of it knows no positions.
        common.headDim = keys.rotatedSize
        return try makeDecoder(
            tensors: tensors, ignoring: keys.furtherLayers(after: common.numHiddenLayers), place: place, on: compute
        ) { () throws(ConfigurationProblem) in
            // Before the sizes are computed with: the size of the head above is one that only this looks at.
            try keys.check()
            var decoder = try DecoderDescription(common)
            decoder.layers = decoder.layers.map { _ in DecoderDescription.Layer(rotary: 0) }
            let scale = try keys.attentionScale(common.rotaryParameters)
            let sizes = try ExpertSizes(
                count: ("n_routed_experts", keys.experts), chosen: ("num_experts_per_tok", keys.chosen),
                width: ("moe_intermediate_size", keys.expertWidth))
            try keys.checkGroups(sizes)
            decoder.makeAttention = { [decoder] (layer: Int, path: String, loader: WeightLoader) throws(ModelError) in
                try keys.attention(decoder, layer, path + ".self_attn.", scale, loader)
            }
            decoder.makeFeedForward = { [decoder] (layer: Int, path: String, loader: WeightLoader) throws(ModelError) in
                guard keys.isSparse(layer) else { return try decoder.mlp(path + ".mlp", loader) }
                return try keys.mixture(decoder, layer, path, sizes, loader)
            }
            return decoder
        }
    }

    /// Describes a GGUF file; see ``ModelArchitecture``.
    public static func translate(_ file: GGUFFile) throws(ModelError) -> GGUFTranslation {
        try DeepseekV3GGUF(file).translation()
    }
}

/// The keys that DeepSeek-V3 has beside the usual ones, and the parts that they describe.
private struct DeepseekV3Keys: Codable {
    var queryRank: Int?
    var latentSize, contentSize, rotatedSize, valueSize: Int
    var experts, chosen, expertWidth, sharedExperts, groups, keptGroups, firstSparse, sparseStep: Int?
    var predictors: Int?
    var normalizes, interleaves: Bool?
    var scaling: Double?
    var scoring, method: String?

    enum CodingKeys: String, CodingKey {
        case queryRank = "q_lora_rank"
        case latentSize = "kv_lora_rank"
        case contentSize = "qk_nope_head_dim"
        case rotatedSize = "qk_rope_head_dim"
        case valueSize = "v_head_dim"
        case experts = "n_routed_experts"
        case chosen = "num_experts_per_tok"
        case expertWidth = "moe_intermediate_size"
        case sharedExperts = "n_shared_experts"
        case groups = "n_group"
        case keptGroups = "topk_group"
        case firstSparse = "first_k_dense_replace"
        case sparseStep = "moe_layer_freq"
        case predictors = "num_nextn_predict_layers"
        case normalizes = "norm_topk_prob"
        case interleaves = "rope_interleave"
        case scaling = "routed_scaling_factor"
        case scoring = "scoring_func"
        case method = "topk_method"
    }

    /// The norms of narrow vectors have this epsilon whatever the configuration says.
    private static let narrowEpsilon: Float = 1e-6

    func isSparse(_ layer: Int) -> Bool { layer >= (firstSparse ?? 0) && layer % max(1, sparseStep ?? 1) == 0 }

    /// Prefixes of the layers that predict tokens after the next: published checkpoints hold them behind the others, and
    /// neither the loss nor plain generation needs them.
    func furtherLayers(after layers: Int) -> [String] {
        (0..<min(max(0, predictors ?? 0), 64)).map { "model.layers.\(layers + $0)." }
    }

    func check() throws(ConfigurationProblem) {
        for (key, value) in [
            ("q_lora_rank", queryRank ?? 1), ("kv_lora_rank", latentSize), ("qk_nope_head_dim", contentSize),
            ("qk_rope_head_dim", rotatedSize), ("v_head_dim", valueSize), ("n_shared_experts", sharedExperts ?? 1),
        ] where value < 1 || value > 1 << 20 {
            throw ConfigurationProblem("\(key) is \(value), expected a number from 1 to \(1 << 20)")
        }
        if let scoring, scoring != "sigmoid" {
            throw ConfigurationProblem("scoring_func is \(scoring), expected sigmoid")
        }
        if let method, method != "noaux_tc" {
            throw ConfigurationProblem("topk_method is \(method), expected noaux_tc")
        }
        guard scaling.map({ $0.isFinite && $0 > 0 }) ?? true else {
            throw ConfigurationProblem("routed_scaling_factor is \(scaling ?? 0), expected a number above 0")
        }
    }

    func checkGroups(_ sizes: ExpertSizes) throws(ConfigurationProblem) {
        let (groups, kept) = (groups ?? 1, keptGroups ?? 1)
        guard groups >= 1, groups <= 4096, sizes.count % groups == 0 else {
            throw ConfigurationProblem("n_group is \(groups), expected a divisor of n_routed_experts (\(sizes.count))")
        }
        guard kept >= 1, kept <= groups, kept * (sizes.count / groups) >= sizes.chosen else {
            throw ConfigurationProblem(
                "topk_group is \(kept) of \(groups) groups, which do not hold num_experts_per_tok (\(sizes.chosen)) experts"
            )
        }
    }

    /// `1/√(head)`, times the square of YaRN's factor for the scores.
    func attentionScale(_ rotary: RotaryParameters?) throws(ConfigurationProblem) -> Float {
        let plain = 1 / Double(contentSize + rotatedSize).squareRoot()
        guard let rotary, (rotary.ropeType ?? rotary.type ?? "default") != "default", let weight = rotary.mscaleAllDim,
            weight != 0
        else { return Float(plain) }
        guard let factor = rotary.factor, factor > 0 else {
            throw ConfigurationProblem("rope_scaling.factor must be a number above 0")
        }
        let magnitude = factor <= 1 ? 1 : 0.1 * weight * log(factor) + 1
        return Float(plain * magnitude * magnitude)
    }

    func attention(
        _ d: DecoderDescription, _ layer: Int, _ path: String, _ scale: Float, _ loader: WeightLoader
    ) throws(ModelError) -> LatentAttention {
        let (heads, size) = (d.heads, contentSize + rotatedSize)
        func linear(_ name: String, _ outputs: Int, _ inputs: Int, bias: Bool = false) throws(ModelError) -> Linear {
            try loader.linear(path + name, .attention, outputs: outputs, inputs: inputs, bias: bias)
        }
        func norm(_ name: String, _ count: Int) throws(ModelError) -> RMSNorm {
            try loader.norm(path + name, count: count, epsilon: Self.narrowEpsilon, offset: 0)
        }
        let query: LatentAttention.Query =
            if let queryRank {
                .narrow(
                    down: try linear("q_a_proj", queryRank, d.hiddenSize, bias: d.inputBias),
                    norm: try norm("q_a_layernorm", queryRank), up: try linear("q_b_proj", heads * size, queryRank))
            } else {
                .direct(try linear("q_proj", heads * size, d.hiddenSize))
            }
        return LatentAttention(
            query: query,
            keyValueDown: try linear("kv_a_proj_with_mqa", latentSize + rotatedSize, d.hiddenSize, bias: d.inputBias),
            latentNorm: try norm("kv_a_layernorm", latentSize),
            keyValueUp: try linear("kv_b_proj", heads * (contentSize + valueSize), latentSize),
            output: try linear("o_proj", d.hiddenSize, heads * valueSize, bias: d.outputBias),
            options: AttentionOptions(
                heads: heads, keyValueHeads: heads, headSize: size, valueSize: valueSize, scale: scale),
            rotatedSize: rotatedSize, interleavedRotation: interleaves ?? true, layer: layer)
    }

    func mixture(
        _ d: DecoderDescription, _ layer: Int, _ path: String, _ sizes: ExpertSizes, _ loader: WeightLoader
    ) throws(ModelError) -> MixtureOfExperts {
        let (gateUp, down) = try loader.experts(path, sizes, hidden: d.hiddenSize)
        let bias = try loader.vector(path + ".mlp.gate.e_score_correction_bias", count: sizes.count)
        var shared: GatedMLP?
        if let sharedExperts {
            shared = try d.mlp(
                path + ".mlp.shared_experts", loader, width: sizes.width * sharedExperts, role: .sharedExperts)
        }
        return MixtureOfExperts(
            router: try loader.router(path + ".mlp.gate", experts: sizes.count, hidden: d.hiddenSize),
            routing: RoutingOptions(
                experts: sizes.count, chosen: sizes.chosen, scoring: .sigmoid, normalizes: normalizes ?? true,
                scaling: Float(scaling ?? 1), groups: groups ?? 1, keptGroups: keptGroups ?? 1, bias: bias),
            gateUp: gateUp, down: down, function: d.gateFunction, shared: shared, layer: layer)
    }
}
