import Autograd
public import Checkpoints
public import Foundation
import Layers
public import TensorCore

/// Llama 2, 3 and what shares their network: RMSNorm, grouped-query attention, rotary embedding, SwiGLU.
public enum Llama: ModelArchitecture {
    /// `llama`
    public static let modelTypes = ["llama"]
    /// `llama`
    public static let ggufArchitectures = ["llama"]

    /// Builds the model; see ``ModelArchitecture``.
    public static func makeModel(
        configuration: Data, tensors: any TensorSource, place: String, on compute: Compute
    ) throws(ModelError) -> any CausalLanguageModel {
        let configuration = try LlamaConfiguration.read(configuration, place: place)
        return try LlamaModel(configuration, WeightLoader(tensors: tensors, place: place, compute: compute))
    }

    /// Describes a GGUF file; see ``ModelArchitecture``.
    public static func translate(_ file: GGUFFile) throws(ModelError) -> GGUFTranslation {
        try LlamaGGUF(file).translation()
    }
}

/// The parts of `config.json` that decide the network.
struct LlamaConfiguration: Codable {
    var vocabSize, hiddenSize, intermediateSize, numHiddenLayers, numAttentionHeads: Int
    var numKeyValueHeads: Int?
    var headDim: Int?
    var rmsNormEps: Double
    var maxPositionEmbeddings: Int?
    var hiddenAct: String?
    var ropeTheta: Double?
    var ropeScaling, ropeParameters: RotaryParameters?
    var tieWordEmbeddings, attentionBias, mlpBias: Bool?

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
        case hiddenAct = "hidden_act"
        case ropeTheta = "rope_theta"
        case ropeScaling = "rope_scaling"
        case ropeParameters = "rope_parameters"
        case tieWordEmbeddings = "tie_word_embeddings"
        case attentionBias = "attention_bias"
        case mlpBias = "mlp_bias"
    }

    var keyValueHeads: Int { numKeyValueHeads ?? numAttentionHeads }
    var headSize: Int { headDim ?? hiddenSize / numAttentionHeads }
    var ropeBase: Double { ropeParameters?.ropeTheta ?? ropeTheta ?? 10_000 }

    /// Angle per position of each pair of a head.
    func frequencies() throws(ConfigurationProblem) -> [Double] {
        guard ropeBase > 1, ropeBase.isFinite else { throw ConfigurationProblem("rope_theta is \(ropeBase), expected a number above 1") }
        let scaling = try (ropeParameters ?? ropeScaling)?.scaling().get() ?? .none
        return scaling.frequencies(headSize: headSize, base: ropeBase)
    }

    static func read(_ data: Data, place: String) throws(ModelError) -> LlamaConfiguration {
        let configuration = try ConfigurationFile.decode(LlamaConfiguration.self, from: data, place: place)
        if let reason = configuration.problem { throw .configuration(place: place, reason: reason) }
        return configuration
    }

    /// What makes the numbers impossible, if anything.
    private var problem: String? {
        let sizes = [
            ("vocab_size", vocabSize), ("hidden_size", hiddenSize), ("intermediate_size", intermediateSize),
            ("num_hidden_layers", numHiddenLayers), ("num_attention_heads", numAttentionHeads),
            ("num_key_value_heads", keyValueHeads), ("max_position_embeddings", maxPositionEmbeddings ?? 1),
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
        if !(rmsNormEps > 0 && rmsNormEps < 1) { return "rms_norm_eps is \(rmsNormEps), expected a number between 0 and 1" }
        if let act = hiddenAct, act != "silu" { return "hidden_act is \(act), expected silu" }
        return nil
    }
}

/// The network.
struct LlamaModel: CausalLanguageModel {
    let vocabularySize, maximumLength: Int
    let embedding, head: Weight
    let blocks: [DecoderBlock]
    let norm: RMSNorm
    let frequencies: [Double]

    var layerCount: Int { blocks.count }
    var linears: [Linear] { blocks.flatMap(\.linears) }

    init(_ c: LlamaConfiguration, _ loader: WeightLoader) throws(ModelError) {
        (vocabularySize, maximumLength) = (c.vocabSize, c.maxPositionEmbeddings ?? .max)
        do { frequencies = try c.frequencies() } catch {
            throw .configuration(place: loader.place, reason: error.reason)
        }
        embedding = try loader.matrix("model.embed_tokens.weight", rows: c.vocabSize, columns: c.hiddenSize)
        let tied = c.tieWordEmbeddings ?? !loader.tensors.contains("lm_head.weight")
        head = tied ? embedding : try loader.matrix("lm_head.weight", rows: c.vocabSize, columns: c.hiddenSize)
        var blocks: [DecoderBlock] = []
        for layer in 0..<c.numHiddenLayers { blocks.append(try DecoderBlock(c, layer, loader)) }
        self.blocks = blocks
        norm = RMSNorm(weight: try loader.vector("model.norm.weight", count: c.hiddenSize), epsilon: Float(c.rmsNormEps))
    }

    func hiddenStates(
        _ tokens: [Int32], layout: SequenceLayout, cache: KeyValueCache?, recompute: Bool, in graph: Graph
    ) -> Variable {
        let angles = RotaryAngles(positions: layout.positions, frequencies: frequencies, on: graph.compute)
        var x = graph.embedding(tokens, table: embedding)
        for block in blocks {
            if recompute {
                x = graph.recomputed([x]) { block($1[0], angles: angles, layout: layout, cache: nil, in: $0) }
            } else {
                x = block(x, angles: angles, layout: layout, cache: cache, in: graph)
            }
        }
        cache?.advance(by: tokens.count)
        return norm(x, in: graph)
    }
}

extension DecoderBlock {
    fileprivate init(_ c: LlamaConfiguration, _ layer: Int, _ loader: WeightLoader) throws(ModelError) {
        let (path, hidden, wide) = ("model.layers.\(layer)", c.hiddenSize, c.intermediateSize)
        let (queries, keys) = (c.numAttentionHeads * c.headSize, c.keyValueHeads * c.headSize)
        let (biased, mlpBiased) = (c.attentionBias ?? false, c.mlpBias ?? false)
        let (attention, mlp) = (path + ".self_attn.", path + ".mlp.")
        let epsilon = Float(c.rmsNormEps)
        self.init(
            attentionNorm: RMSNorm(
                weight: try loader.vector(path + ".input_layernorm.weight", count: hidden), epsilon: epsilon),
            attention: SelfAttention(
                query: try loader.linear(attention + "q_proj", .attention, outputs: queries, inputs: hidden, bias: biased),
                key: try loader.linear(attention + "k_proj", .attention, outputs: keys, inputs: hidden, bias: biased),
                value: try loader.linear(attention + "v_proj", .attention, outputs: keys, inputs: hidden, bias: biased),
                output: try loader.linear(attention + "o_proj", .attention, outputs: hidden, inputs: queries, bias: biased),
                options: AttentionOptions(
                    heads: c.numAttentionHeads, keyValueHeads: c.keyValueHeads, headSize: c.headSize,
                    scale: 1 / Float(c.headSize).squareRoot()),
                layer: layer),
            mlpNorm: RMSNorm(
                weight: try loader.vector(path + ".post_attention_layernorm.weight", count: hidden), epsilon: epsilon),
            mlp: GatedMLP(
                gate: try loader.linear(mlp + "gate_proj", .mlp, outputs: wide, inputs: hidden, bias: mlpBiased),
                up: try loader.linear(mlp + "up_proj", .mlp, outputs: wide, inputs: hidden, bias: mlpBiased),
                down: try loader.linear(mlp + "down_proj", .mlp, outputs: hidden, inputs: wide, bias: mlpBiased)))
    }
}
