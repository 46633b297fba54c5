#!/usr/bin/env python3
"""Writes mixtures of experts as GGUF files, with the conversions that llama.cpp's own script applies: rows of queries and
keys permuted (llama), experts stacked, Llama 4's transposed, keys and values of latent attention apart.

  gguf_mixtures.py fixtures REFERENCE FOLDER    the files of Tests/ModelsTests/Fixtures/gguf-mixtures, from the recorded
                                                checkpoints, with the logits of what was rounded on the way
  gguf_mixtures.py float32 REFERENCE FOLDER     the same models in float32 as llama.cpp loads them, for comparisons

REFERENCE is the folder of recorded models (mixtral, qwen3_moe, deepseek_v3, llama4_text).
Needs numpy, gguf, safetensors; for the logits torch and transformers.
"""
import json, math, pathlib, sys
import gguf, numpy as np
from gguf import GGMLQuantizationType as Type
from safetensors import safe_open


def load(folder):
    tensors = {}
    for file in sorted(folder.glob("model*.safetensors")):
        with safe_open(file, "pt") as f:
            for name in f.keys():
                tensors[name] = f.get_tensor(name).float().numpy()
    return json.loads((folder / "config.json").read_text()), tensors


def permuted(w, heads):
    """Rows of the two halves of each head in turn, as the rotation of the llama architecture wants them."""
    return w.reshape(heads, 2, w.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(w.shape)


class File:
    """A GGUF file being written, and the tensors as they are read back."""

    def __init__(self, path, architecture, config, wide):
        self.writer, self.config, self.read_back = gguf.GGUFWriter(path, architecture), config, {}
        self.wide = wide
        c, w = config, self.writer
        w.add_block_count(c["num_hidden_layers"])
        w.add_context_length(c["max_position_embeddings"])
        w.add_embedding_length(c["hidden_size"])
        w.add_head_count(c["num_attention_heads"])
        w.add_head_count_kv(c["num_key_value_heads"])
        w.add_rope_freq_base(c["rope_theta"])
        w.add_layer_norm_rms_eps(c["rms_norm_eps"])
        w.add_expert_used_count(c["num_experts_per_tok"])
        w.add_vocab_size(c["vocab_size"])
        if wide:
            self.vocabulary(c["vocab_size"])

    def vocabulary(self, size):
        """llama.cpp loads no file without one."""
        tokens = [f"<{i}>".encode() for i in range(size)]
        self.writer.add_tokenizer_model("llama")
        self.writer.add_token_list(tokens)
        self.writer.add_token_scores([0.0] * size)
        self.writer.add_token_types([2, 3, 3] + [1] * (size - 3))
        self.writer.add_bos_token_id(1)
        self.writer.add_eos_token_id(2)

    def add(self, name, values, kind=Type.BF16):
        values = np.ascontiguousarray(values, np.float32)
        if self.wide or values.ndim == 1 or "gate_inp" in name:
            kind = Type.F32
        raw = gguf.quants.quantize(values, kind)
        self.writer.add_tensor(name, raw, raw_dtype=kind)
        self.read_back[name] = gguf.quants.dequantize(raw, kind).reshape(values.shape)

    def close(self):
        self.writer.write_header_to_file()
        self.writer.write_kv_data_to_file()
        self.writer.write_tensors_to_file()
        self.writer.close()


def common(file, tensors, rename):
    """Everything that has one counterpart."""
    file.add("token_embd.weight", tensors["model.embed_tokens.weight"])
    file.add("output_norm.weight", tensors["model.norm.weight"])
    file.add("output.weight", tensors["lm_head.weight"])
    for layer in range(file.config["num_hidden_layers"]):
        path = f"model.layers.{layer}."
        for name, stored in rename.items():
            if path + name in tensors:
                file.add(f"blk.{layer}.{stored}", tensors[path + name])


NORMS = {"input_layernorm.weight": "attn_norm.weight", "post_attention_layernorm.weight": "ffn_norm.weight"}
ATTENTION = {f"self_attn.{a}_proj.weight": f"attn_{b}.weight" for a, b in [("q", "q"), ("k", "k"), ("v", "v"), ("o", "output")]}
MLP = {f"mlp.{a}_proj.weight": f"ffn_{a}.weight" for a in ["gate", "up", "down"]}


def stack(tensors, path, name, count):
    return np.stack([tensors[f"{path}.{e}.{name}.weight"] for e in range(count)])


def mixtral(folder, path, wide):
    c, t = load(folder)
    f = File(path, "llama", c, wide)
    f.writer.add_feed_forward_length(c["intermediate_size"])
    f.writer.add_rope_dimension_count(c["hidden_size"] // c["num_attention_heads"])
    f.writer.add_expert_count(c["num_local_experts"])
    for name in t:
        if "q_proj" in name or "k_proj" in name:
            t[name] = permuted(t[name], c["num_attention_heads" if "q_proj" in name else "num_key_value_heads"])
    common(f, t, NORMS | ATTENTION | {"block_sparse_moe.gate.weight": "ffn_gate_inp.weight"})
    for layer in range(c["num_hidden_layers"]):
        for name, stored in [("w1", "gate"), ("w3", "up"), ("w2", "down")]:
            experts = stack(t, f"model.layers.{layer}.block_sparse_moe.experts", name, c["num_local_experts"])
            f.add(f"blk.{layer}.ffn_{stored}_exps.weight", experts)
    f.close()


def qwen3_moe(folder, path, wide):
    c, t = load(folder)
    if wide:  # llama.cpp knows no dense layers here: leave them out
        kept = [i for i in range(c["num_hidden_layers"]) if i not in c["mlp_only_layers"]]
        t = {n: v for n, v in t.items() if "layers." not in n} | {
            n.replace(f"layers.{old}.", f"layers.{new}."): v for new, old in enumerate(kept) for n, v in t.items()
            if f"layers.{old}." in n}
        c["num_hidden_layers"], c["mlp_only_layers"] = len(kept), []
    f = File(path, "qwen3moe", c, wide)
    f.writer.add_feed_forward_length(c["intermediate_size"])
    f.writer.add_expert_feed_forward_length(c["moe_intermediate_size"])
    f.writer.add_key_length(c["head_dim"])
    f.writer.add_value_length(c["head_dim"])
    f.writer.add_expert_count(c["num_experts"])
    norms = {f"self_attn.{a}_norm.weight": f"attn_{a}_norm.weight" for a in "qk"}
    common(f, t, NORMS | ATTENTION | norms | MLP | {"mlp.gate.weight": "ffn_gate_inp.weight"})
    for layer in [i for i in range(c["num_hidden_layers"]) if i not in c["mlp_only_layers"]]:
        stacked = {a: stack(t, f"model.layers.{layer}.mlp.experts", a + "_proj", c["num_experts"]) for a in ["gate", "up", "down"]}
        if layer == 3:  # newer files may have both in one
            f.add(f"blk.{layer}.ffn_gate_up_exps.weight", np.concatenate([stacked["gate"], stacked["up"]], 1), Type.Q5_0)
        else:
            f.add(f"blk.{layer}.ffn_gate_exps.weight", stacked["gate"], Type.Q8_0)
            f.add(f"blk.{layer}.ffn_up_exps.weight", stacked["up"], Type.Q4_0)
        f.add(f"blk.{layer}.ffn_down_exps.weight", stacked["down"], Type.F16)
        rounded = lambda name: f.read_back[f"blk.{layer}.ffn_{name}_exps.weight"]
        gate, up = np.split(rounded("gate_up"), 2, 1) if layer == 3 else (rounded("gate"), rounded("up"))
        for name, values in [("gate", gate), ("up", up), ("down", rounded("down"))]:
            for e in range(c["num_experts"]):
                t[f"model.layers.{layer}.mlp.experts.{e}.{name}_proj.weight"] = values[e]
    f.close()
    return t


def deepseek_v3(folder, path, wide):
    c, t = load(folder)
    f = File(path, "deepseek2", c | {"num_key_value_heads": 1}, wide)
    w, s = f.writer, c["rope_scaling"]
    w.add_feed_forward_length(c["intermediate_size"])
    w.add_expert_feed_forward_length(c["moe_intermediate_size"])
    w.add_leading_dense_block_count(c["first_k_dense_replace"])
    w.add_q_lora_rank(c["q_lora_rank"])
    w.add_kv_lora_rank(c["kv_lora_rank"])
    w.add_key_length(c["kv_lora_rank"] + c["qk_rope_head_dim"])
    w.add_value_length(c["kv_lora_rank"])
    w.add_key_length_mla(c["qk_nope_head_dim"] + c["qk_rope_head_dim"])
    w.add_value_length_mla(c["v_head_dim"])
    w.add_rope_dimension_count(c["qk_rope_head_dim"])
    w.add_expert_count(c["n_routed_experts"])
    w.add_expert_shared_count(c["n_shared_experts"])
    w.add_expert_group_count(c["n_group"])
    w.add_expert_group_used_count(c["topk_group"])
    w.add_expert_weights_scale(c["routed_scaling_factor"])
    w.add_expert_weights_norm(c["norm_topk_prob"])
    w.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID)
    w.add_rope_scaling_type(gguf.RopeScalingType.YARN)
    w.add_rope_scaling_factor(s["factor"])
    w.add_rope_scaling_orig_ctx_len(s["original_max_position_embeddings"])
    w.add_rope_scaling_yarn_beta_fast(s["beta_fast"])
    w.add_rope_scaling_yarn_beta_slow(s["beta_slow"])
    w.add_rope_scaling_yarn_log_mul(0.1 * s["mscale_all_dim"])
    latent = {f"self_attn.{a}.weight": f"attn_{b}.weight" for a, b in [
        ("q_a_proj", "q_a"), ("q_a_layernorm", "q_a_norm"), ("q_b_proj", "q_b"), ("kv_a_proj_with_mqa", "kv_a_mqa"),
        ("kv_a_layernorm", "kv_a_norm"), ("o_proj", "output")]}
    shared = {f"mlp.shared_experts.{a}_proj.weight": f"ffn_{a}_shexp.weight" for a in ["gate", "up", "down"]}
    router = {"mlp.gate.weight": "ffn_gate_inp.weight", "mlp.gate.e_score_correction_bias": "exp_probs_b.bias"}
    common(f, t, NORMS | latent | MLP | shared | router)
    heads, content, value = c["num_attention_heads"], c["qk_nope_head_dim"], c["v_head_dim"]
    for layer in range(c["num_hidden_layers"]):
        kv = t[f"model.layers.{layer}.self_attn.kv_b_proj.weight"]
        if layer == 0 and not wide:  # older files have them together
            f.add(f"blk.{layer}.attn_kv_b.weight", kv)
        else:
            k, v = np.split(kv.reshape(heads, content + value, -1), [content], 1)
            f.add(f"blk.{layer}.attn_k_b.weight", k.swapaxes(1, 2))
            f.add(f"blk.{layer}.attn_v_b.weight", v)
        if layer >= c["first_k_dense_replace"]:
            for name in ["gate", "up", "down"]:
                experts = stack(t, f"model.layers.{layer}.mlp.experts", name + "_proj", c["n_routed_experts"])
                f.add(f"blk.{layer}.ffn_{name}_exps.weight", experts)
    f.close()


def llama4_text(folder, path, wide):
    c, t = load(folder)
    f = File(path, "llama4", c, wide)
    f.writer.add_feed_forward_length(c["intermediate_size_mlp"])
    f.writer.add_expert_feed_forward_length(c["intermediate_size"])
    f.writer.add_interleave_moe_layer_step(c["interleave_moe_layer_step"])
    f.writer.add_rope_dimension_count(c["head_dim"])
    f.writer.add_expert_count(c["num_local_experts"])
    dense = {f"feed_forward.{a}_proj.weight": f"ffn_{a}.weight" for a in ["gate", "up", "down"]}
    shared = {f"feed_forward.shared_expert.{a}_proj.weight": f"ffn_{a}_shexp.weight" for a in ["gate", "up", "down"]}
    common(f, t, NORMS | ATTENTION | dense | shared | {"feed_forward.router.weight": "ffn_gate_inp.weight"})
    s, size = c["rope_scaling"], c["head_dim"]
    waves = 2 * math.pi * c["rope_theta"] ** (np.arange(0, size, 2) / size)
    f.add("rope_freqs.weight", np.where(waves < s["original_max_position_embeddings"], 1.0, s["factor"]))
    for layer in range(c["num_hidden_layers"]):
        path = f"model.layers.{layer}.feed_forward.experts."
        if path + "gate_up_proj" not in t:
            continue
        gate, up = np.split(t[path + "gate_up_proj"].swapaxes(1, 2), 2, 1)
        kinds = (Type.Q8_0, Type.Q4_0) if layer == 1 else (Type.BF16, Type.BF16)
        f.add(f"blk.{layer}.ffn_gate_exps.weight", gate, kinds[0])
        f.add(f"blk.{layer}.ffn_up_exps.weight", up, kinds[1])
        f.add(f"blk.{layer}.ffn_down_exps.weight", t[path + "down_proj"].swapaxes(1, 2))
        both = [f.read_back[f"blk.{layer}.ffn_{a}_exps.weight"] for a in ["gate", "up"]]
        t[path + "gate_up_proj"] = np.concatenate(both, 1).swapaxes(1, 2)
    f.close()
    return t


def logits(folder, tensors):
    """What transformers computes with the tensors."""
    import tempfile, torch
    from safetensors.torch import load_file, save_file
    from transformers import AutoModelForCausalLM
    config = json.loads((folder / "config.json").read_text()) | {"torch_dtype": "float32"}
    with tempfile.TemporaryDirectory() as name:
        model = pathlib.Path(name)
        (model / "config.json").write_text(json.dumps(config))
        save_file({k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in tensors.items()}, model / "model.safetensors",
                  {"format": "pt"})
        network = AutoModelForCausalLM.from_pretrained(
            model, dtype=torch.float32, attn_implementation="eager", experts_implementation="eager").eval()
    with torch.no_grad():
        return network(load_file(folder / "expected.safetensors")["input_ids"]).logits


MODELS = {"mixtral": mixtral, "qwen3_moe": qwen3_moe, "deepseek_v3": deepseek_v3, "llama4_text": llama4_text}

if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in ("fixtures", "float32"):
        sys.exit(__doc__)
    reference, target, wide = pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]), sys.argv[1] == "float32"
    target.mkdir(parents=True, exist_ok=True)
    expected = {}
    for name, write in MODELS.items():
        rounded = write(reference / name, target / f"{name}.gguf", wide)
        if rounded is not None and not wide:
            expected[name] = logits(reference / name, rounded)
            recorded = load(reference / name) and safe_open(reference / name / "expected.safetensors", "pt").get_tensor("logits")
            print(name, "moved by rounding:", float((expected[name] - recorded).abs().max()))
    if expected:
        from safetensors.torch import save_file
        save_file({k: v.contiguous() for k, v in expected.items()}, target / "expected.safetensors")
