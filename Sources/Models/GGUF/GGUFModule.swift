import TensorCore

/// A module under its Hugging Face and its GGUF name, without ending; those of blocks without the block's path.
struct GGUFModule {
    let name, stored: String
    var rowOrder = RowOrder.plain
    /// What the file's weight has been raised by.
    var offset: Float = 0
    /// Whether the Hugging Face name ends in `.weight` or `.bias` as the stored one does.
    var hasEndings = true
    /// Where the stored tensor holds the modules of all experts: how many, and the name of one after its number.
    /// ``name`` is what stands before the number.
    var experts: (count: Int, rest: String)?
    /// Of how many modules of an expert, whose rows follow one another, this is which.
    var share = (index: 0, count: 1)

    init(_ name: String, _ stored: String, rowOrder: RowOrder = .plain, offset: Float = 0) {
        (self.name, self.stored, self.rowOrder, self.offset) = (name, stored, rowOrder, offset)
    }

    /// Outside the blocks.
    static let whole = [
        GGUFModule("model.embed_tokens", "token_embd"), GGUFModule("model.norm", "output_norm"),
        GGUFModule("lm_head", "output"),
    ]
    /// Norms before attention and feed-forward part.
    static let norms = [
        GGUFModule("input_layernorm", "attn_norm"), GGUFModule("post_attention_layernorm", "ffn_norm"),
    ]
    /// Attention with separate projections.
    static let attention = [
        GGUFModule("self_attn.q_proj", "attn_q"), GGUFModule("self_attn.k_proj", "attn_k"),
        GGUFModule("self_attn.v_proj", "attn_v"), GGUFModule("self_attn.o_proj", "attn_output"),
    ]
    /// Norms of query and key heads.
    static let headNorms = [
        GGUFModule("self_attn.q_norm", "attn_q_norm"), GGUFModule("self_attn.k_norm", "attn_k_norm"),
    ]
    /// A dense feed-forward block with separate projections.
    static let mlp = [
        GGUFModule("mlp.gate_proj", "ffn_gate"), GGUFModule("mlp.up_proj", "ffn_up"),
        GGUFModule("mlp.down_proj", "ffn_down"),
    ]

    /// A projection of every expert, which lie in one tensor: `name.0.rest`, `name.1.rest`, …
    static func experts(
        _ name: String, _ rest: String, count: Int, _ stored: String, share: (index: Int, count: Int) = (0, 1)
    ) -> GGUFModule {
        var module = GGUFModule(name, stored)
        (module.experts, module.share) = ((count, rest), share)
        return module
    }

    /// The three projections of every expert, whether gates and ups have a tensor each or one together.
    /// - Parameter names: of gate, up and down.
    static func experts(
        _ name: String, count: Int, names: [String] = ["gate_proj", "up_proj", "down_proj"]
    ) -> [GGUFModule] {
        [
            experts(name, names[0], count: count, "ffn_gate_exps"),
            experts(name, names[1], count: count, "ffn_up_exps"),
            experts(name, names[0], count: count, "ffn_gate_up_exps", share: (0, 2)),
            experts(name, names[1], count: count, "ffn_gate_up_exps", share: (1, 2)),
            experts(name, names[2], count: count, "ffn_down_exps"),
        ]
    }

    /// The same module, which is a tensor by itself at Hugging Face's.
    var withoutEndings: GGUFModule { changed { $0.hasEndings = false } }

    /// The same module whose weights the file has raised.
    func raised(by offset: Float) -> GGUFModule { changed { $0.offset = offset } }

    /// The same module with rows in another order in the file.
    func ordered(_ order: RowOrder) -> GGUFModule { changed { $0.rowOrder = order } }

    private func changed(_ change: (inout GGUFModule) -> Void) -> GGUFModule {
        var module = self
        change(&module)
        return module
    }
}
