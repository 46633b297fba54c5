import Checkpoints
import Foundation
import TensorCore

/// A GGUF file of the `llama` architecture in Hugging Face terms. Mistral's files say that they are of this
/// architecture, and so do Mixtral's, which have experts.
///
/// llama.cpp stores query and key rows permuted for its rotary kernel, and llama3 scaling as a tensor of divisors; both
/// are translated back here.
struct LlamaGGUF {
    private let decoder: GGUFDecoder

    init(_ file: GGUFFile) throws(ModelError) { decoder = try GGUFDecoder(file) }

    func translation() throws(ModelError) -> GGUFTranslation {
        let headSize = try decoder.headSize()
        guard try decoder.integer("rope.dimension_count", default: headSize) == headSize else {
            throw decoder.problem(
                "llama.rope.dimension_count differs from the head size, which this architecture does not allow")
        }
        let isMixture = try decoder.integer("expert_count", default: 0) > 0
        var configuration = try decoder.configuration(
            modelType: isMixture ? "mixtral" : "llama", class: isMixture ? "MixtralForCausalLM" : "LlamaForCausalLM")
        if let scaling = try decoder.llama3Scaling(headSize) { configuration["rope_scaling"] = scaling }
        let attention = GGUFModule.attention.map { module in
            ["attn_q", "attn_k"].contains(module.stored)
                ? module.ordered(.interleavedHalves(headSize: headSize)) : module
        }
        var feedForward = GGUFModule.mlp
        if isMixture {
            let count = try decoder.expertCount()
            configuration["num_local_experts"] = count
            configuration["num_experts_per_tok"] = try decoder.integer("expert_used_count")
            feedForward = try mixture(count)
        } else {
            configuration["attention_bias"] = decoder.file.contains("blk.0.attn_q.bias")
            configuration["mlp_bias"] = decoder.file.contains("blk.0.ffn_gate.bias")
        }
        return try decoder.translation(
            configuration, modules: GGUFModule.norms + attention + feedForward, read: [GGUFDecoder.divisorsName])
    }

    /// Mixtral's experts: in one tensor for all, or, in the first files, in one each.
    private func mixture(_ count: Int) throws(ModelError) -> [GGUFModule] {
        let (path, names) = ("block_sparse_moe.experts", ["w1", "w3", "w2"])
        let router = [GGUFModule("block_sparse_moe.gate", "ffn_gate_inp")]
        guard decoder.file.contains("blk.0.ffn_gate.0.weight"), count <= decoder.file.tensors.count else {
            return router + GGUFModule.experts(path, count: count, names: names)
        }
        return router
            + (0..<count).flatMap { expert in
                zip(names, ["ffn_gate", "ffn_up", "ffn_down"]).map { name, stored in
                    GGUFModule("\(path).\(expert).\(name)", "\(stored).\(expert)")
                }
            }
    }
}
