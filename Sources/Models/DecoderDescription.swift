import Autograd
import Layers

/// What a decoder is made of. An architecture starts from what its configuration says in the usual way, changes what is
/// its own, and hands it to ``DecoderModel``.
struct DecoderDescription {
    /// How one layer differs from the others.
    struct Layer {
        /// A query sees itself and `window − 1` tokens before it.
        var window: Int?
        /// Index of its rotation; nil for a layer without positions.
        var rotary: Int? = 0
    }

    var vocabularySize, hiddenSize, width, maximumLength: Int
    /// Before all names of tensors.
    var prefix = ""
    /// Whether the head is the embedding; nil: unless the checkpoint has a head.
    var tiesEmbeddings: Bool?
    var embeddingScale: Float = 1
    var logitSoftCap: Float?

    /// Names of a block's norms: before and after its attention and its feed-forward part.
    var norms = Norms()
    /// Is added to the weights of all norms.
    var normOffset: Float = 0
    var epsilon: Float

    struct Norms {
        var attention = "input_layernorm"
        var attentionOutput: String?
        var feedForward = "post_attention_layernorm"
        var feedForwardOutput: String?
    }

    var heads, keyValueHeads, headSize: Int
    var attentionScale: Float
    /// Whether query, key and value, and whether the output, have biases.
    var inputBias, outputBias: Bool
    /// Whether every query and key head is normed.
    var hasHeadNorms = false
    /// Whether query, key and value are one projection, and gate and up another.
    var isFused = false
    var mlpBias: Bool
    var gateFunction: GateFunction

    var rotaries: [RotaryEmbedding]
    var layers: [Layer]

    /// Makes a layer's attention or feed-forward part where it is not the usual one; gets the layer and its path.
    var makeAttention: ((Int, String, WeightLoader) throws(ModelError) -> any AttentionLayer)?
    var makeFeedForward: ((Int, String, WeightLoader) throws(ModelError) -> any FeedForward)?

    /// A Llama with the sizes of a configuration.
    init(_ c: DecoderConfiguration) throws(ConfigurationProblem) {
        (vocabularySize, hiddenSize, width) = (c.vocabSize, c.hiddenSize, c.intermediateSize)
        maximumLength = c.maxPositionEmbeddings ?? .max
        (tiesEmbeddings, epsilon) = (c.tieWordEmbeddings, Float(c.rmsNormEps))
        (heads, keyValueHeads, headSize) = (c.numAttentionHeads, c.keyValueHeads, c.headSize)
        attentionScale = 1 / Float(c.headSize).squareRoot()
        (inputBias, outputBias, mlpBias) = (c.attentionBias ?? false, c.attentionBias ?? false, c.mlpBias ?? false)
        gateFunction = try c.gateFunction()
        rotaries = [try c.rotary()]
        layers = [Layer](repeating: Layer(), count: c.numHiddenLayers)
    }
}

extension DecoderDescription {
    func block(_ index: Int, _ loader: WeightLoader) throws(ModelError) -> DecoderBlock {
        let path = "\(prefix)model.layers.\(index)"
        func norm(_ name: String) throws(ModelError) -> RMSNorm {
            try loader.norm("\(path).\(name)", count: hiddenSize, epsilon: epsilon, offset: normOffset)
        }
        let attention: any AttentionLayer =
            if let makeAttention { try makeAttention(index, path, loader) } else {
                try self.attention(index, path, loader)
            }
        let feedForward: any FeedForward =
            if let makeFeedForward { try makeFeedForward(index, path, loader) } else { try mlp(path + ".mlp", loader) }
        var (attentionOutputNorm, feedForwardOutputNorm): (RMSNorm?, RMSNorm?) = (nil, nil)
        if let name = norms.attentionOutput { attentionOutputNorm = try norm(name) }
        if let name = norms.feedForwardOutput { feedForwardOutputNorm = try norm(name) }
        return DecoderBlock(
            attentionNorm: try norm(norms.attention), attention: attention, attentionOutputNorm: attentionOutputNorm,
            feedForwardNorm: try norm(norms.feedForward), feedForward: feedForward,
            feedForwardOutputNorm: feedForwardOutputNorm, rotary: layers[index].rotary)
    }

    /// The usual attention of a layer.
    func attention(_ index: Int, _ path: String, _ loader: WeightLoader) throws(ModelError) -> SelfAttention {
        let (path, queries, keys) = (path + ".self_attn", heads * headSize, keyValueHeads * headSize)
        func linear(_ name: String, _ outputs: Int, _ inputs: Int, _ bias: Bool) throws(ModelError) -> Linear {
            try loader.linear("\(path).\(name)", .attention, outputs: outputs, inputs: inputs, bias: bias)
        }
        let input: SelfAttention.Input =
            if isFused { .fused(try linear("qkv_proj", queries + 2 * keys, hiddenSize, inputBias)) } else {
                .separate(
                    query: try linear("q_proj", queries, hiddenSize, inputBias),
                    key: try linear("k_proj", keys, hiddenSize, inputBias),
                    value: try linear("v_proj", keys, hiddenSize, inputBias))
            }
        var headNorms: SelfAttention.HeadNorms?
        if hasHeadNorms {
            func norm(_ name: String) throws(ModelError) -> RMSNorm {
                try loader.norm("\(path).\(name)", count: headSize, epsilon: epsilon, offset: normOffset)
            }
            headNorms = SelfAttention.HeadNorms(query: try norm("q_norm"), key: try norm("k_norm"))
        }
        return SelfAttention(
            input: input, output: try linear("o_proj", hiddenSize, queries, outputBias),
            options: AttentionOptions(
                heads: heads, keyValueHeads: keyValueHeads, headSize: headSize, scale: attentionScale,
                window: layers[index].window),
            headNorms: headNorms, layer: index)
    }

    /// The usual feed-forward block at a path; `width` is the description's unless another is given.
    func mlp(
        _ path: String, _ loader: WeightLoader, width: Int? = nil, role: ModuleRole = .mlp
    ) throws(ModelError) -> GatedMLP {
        let width = width ?? self.width
        func linear(_ name: String, _ outputs: Int, _ inputs: Int) throws(ModelError) -> Linear {
            try loader.linear("\(path).\(name)", role, outputs: outputs, inputs: inputs, bias: mlpBias)
        }
        let input: GatedMLP.Input =
            if isFused { .fused(try linear("gate_up_proj", 2 * width, hiddenSize)) } else {
                .separate(
                    gate: try linear("gate_proj", width, hiddenSize), up: try linear("up_proj", width, hiddenSize))
            }
        return GatedMLP(input: input, down: try linear("down_proj", hiddenSize, width), function: gateFunction)
    }
}
