import TensorCore

/// A module under its Hugging Face and its GGUF name, without ending; those of blocks without the block's path.
struct GGUFModule {
    let name, stored: String
    var rowOrder = RowOrder.plain
    /// What the file's weight has been raised by.
    var offset: Float = 0

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

    /// The same module whose weights the file has raised.
    func raised(by offset: Float) -> GGUFModule { GGUFModule(name, stored, rowOrder: rowOrder, offset: offset) }

    /// The same module with rows in another order in the file.
    func ordered(_ order: RowOrder) -> GGUFModule { GGUFModule(name, stored, rowOrder: order, offset: offset) }
}
