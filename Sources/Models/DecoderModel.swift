import Autograd
import Checkpoints
import Layers
import TensorCore

/// A stack of decoder blocks between an embedding and a head: the network of every architecture.
struct DecoderModel: CausalLanguageModel {
    let vocabularySize, maximumLength: Int
    let logitSoftCap: Float?
    let embedding, head: Weight
    private let embeddingScale: Float
    private let blocks: [DecoderBlock]
    private let norm: RMSNorm
    private let rotaries: [RotaryEmbedding]
    /// The blocks' weights, as far as they lie in mapped files.
    private let mapped: [MappedWeights]

    var layerCount: Int { blocks.count }
    var linears: [Linear] { blocks.flatMap(\.linears) }
    var inputProjections: [Linear] { blocks.first?.attention.inputProjections ?? [] }
    var blockWeights: [[Weight]] { blocks.map(\.weights) }
    var adapterTargets: [any AdapterTarget] { blocks.flatMap(\.adapterTargets) }
    var attentions: [AttentionOptions] { blocks.map(\.attention.options) }
    var normedWidth: Int { blocks.reduce(0) { $0 + $1.normedWidth } }
    var mixtures: [MixtureOfExperts] { blocks.compactMap { $0.feedForward as? MixtureOfExperts } }

    /// Takes the weights out of a checkpoint. Tensors that the network has no use for are an error.
    init(_ description: DecoderDescription, _ loader: WeightLoader) throws(ModelError) {
        let d = description
        (vocabularySize, maximumLength, logitSoftCap) = (d.vocabularySize, d.maximumLength, d.logitSoftCap)
        (embeddingScale, rotaries) = (d.embeddingScale, d.rotaries)
        embedding = try loader.matrix(
            d.prefix + "model.embed_tokens.weight", rows: d.vocabularySize, columns: d.hiddenSize)
        let headName = d.prefix + "lm_head.weight"
        var isTied = d.tiesEmbeddings ?? !loader.tensors.contains(headName)
        if isTied, loader.tensors.contains(headName) {
            // A head that is stored all the same may have become another since: like transformers, use it then.
            isTied = try loader.isCopy(headName, of: embedding)
        }
        head = isTied ? embedding : try loader.matrix(headName, rows: d.vocabularySize, columns: d.hiddenSize)
        if isTied { loader.ignore(headName) }
        var blocks: [DecoderBlock] = []
        for layer in d.layers.indices { blocks.append(try d.block(layer, loader)) }
        self.blocks = blocks
        mapped = blocks.map { MappedWeights($0.weights) }
        norm = try loader.norm(
            d.prefix + "model.norm.weight", count: d.hiddenSize, epsilon: d.epsilon, offset: d.normOffset)
        try loader.refuseUnused(layers: blocks.count)
    }

    func hiddenStates(
        _ tokens: [Int32], layout: SequenceLayout, cache: KeyValueCache?, recompute: Bool, in graph: Graph
    ) -> Variable {
        let angles = rotaries.map { RotaryAngles(layout, on: graph.compute, frequencies: $0.frequencies) }
        var x = graph.embedding(tokens, table: embedding, scale: embeddingScale)
        if cache == nil { embedding.release() }
        for (number, block) in blocks.enumerated() {
            graph.check?.place = "layers.\(number)"
            if number > 0 { graph.onTheWayBack(mapped[number].release) }
            if recompute {
                x = graph.recomputed([x]) { block($1[0], angles: angles, layout: layout, cache: nil, in: $0) }
            } else {
                x = block(x, angles: angles, layout: layout, cache: cache, in: graph)
            }
            // The way back begins with the last block, as the next forward pass does with the first.
            if cache == nil && !(graph.isRecording && number == blocks.count - 1) { mapped[number].release() }
        }
        cache?.advance(by: tokens.count)
        graph.check?.place = "the head"
        return norm(x, in: graph)
    }

    func cacheStaysValid(from length: Int, to newLength: Int) -> Bool {
        rotaries.allSatisfy { $0.frequencies(length: length) == $0.frequencies(length: newLength) }
    }
}

extension ModelArchitecture {
    /// Builds a decoder from its description, which may find the configuration impossible.
    /// - Parameter prefixes: of tensors that the decoder does without.
    static func makeDecoder(
        tensors: any TensorSource, ignoring prefixes: [String] = [], place: String, on compute: Compute,
        _ describe: () throws(ConfigurationProblem) -> DecoderDescription
    ) throws(ModelError) -> any CausalLanguageModel {
        let description: DecoderDescription
        do { description = try describe() } catch { throw .configuration(place: place, reason: error.reason) }
        let loader = WeightLoader(tensors: tensors, place: place, compute: compute)
        for prefix in prefixes { loader.ignore(prefix: prefix) }
        return try DecoderModel(description, loader)
    }
}
