"""Draws the options of tiny models, and ways to write them down; for random_models.py.

Every family has a function that takes a random.Random and returns the keywords of its configuration class in
transformers. What is drawn are the options that checkpoints of the family use, in sizes at which they matter for
sequences of 40 to 96 tokens: windows, chunks and original context lengths are shorter than those.
"""
import json


def chance(r, p):
    return r.random() < p


def common(r, explicit_head=True):
    heads = r.choice([2, 4, 6, 8])
    hidden = heads * r.choice([4, 8, 12, 16] if heads < 6 else [4, 8])
    drawn = dict(
        vocab_size=r.randint(200, 300), hidden_size=hidden, intermediate_size=r.choice([24, 40, 64, 100]),
        num_hidden_layers=r.randint(2, 4), num_attention_heads=heads,
        num_key_value_heads=r.choice([k for k in range(1, heads + 1) if heads % k == 0]),
        max_position_embeddings=r.choice([24, 32, 64, 128, 2048]), rms_norm_eps=r.choice([1e-6, 1e-5, 1e-3]),
        tie_word_embeddings=chance(r, 0.4))
    if explicit_head:
        drawn["head_dim"] = r.choice([hidden // heads, 8, 12, 16, 24])
    return drawn


def theta(r):
    return r.choice([10000.0, 500000.0, 1000000.0, 150000.0, 2000000.0, 1234.5])


def rope(r, c, head=None, kinds=("default", "default", "linear", "dynamic", "llama3", "yarn", "longrope"), part=1.0):
    """`rope_parameters` for a configuration `c`."""
    head = head or c.get("head_dim") or c["hidden_size"] // c["num_attention_heads"]
    kind = r.choice(kinds)
    size = int(head * part)
    p = dict(rope_type=kind, rope_theta=theta(r))
    if kind in ("linear", "dynamic", "llama3", "yarn"):
        p["factor"] = r.choice([1.0, 1.5, 2.0, 4.0, 8.0, 40.0])
    if kind in ("llama3", "yarn", "longrope") and chance(r, 0.8):
        p["original_max_position_embeddings"] = r.choice([12, 16, 32, 64])
    if kind == "llama3":
        p["low_freq_factor"] = r.choice([1.0, 1.0, 0.5])
        p["high_freq_factor"] = r.choice([4.0, 4.0, 1.0, 8.0])
    if kind == "yarn":
        for key, values in dict(beta_fast=[32.0, 16, 4.0, 64], beta_slow=[1.0, 1, 0.25, 2.0], truncate=[True, False],
                                attention_factor=[1.0, 0.8, 1.4], mscale=[1.0, 0.707, 0.0], mscale_all_dim=[1.0, 0.5, 0.0]).items():
            if chance(r, 0.35):
                p[key] = r.choice(values)
        if chance(r, 0.1):
            p["factor"] = None
    if kind == "longrope":
        p["short_factor"] = [round(r.uniform(1, 2), 3) for _ in range(size // 2)]
        p["long_factor"] = [round(r.uniform(1, 30), 3) for _ in range(size // 2)]
        if chance(r, 0.4):
            p["factor"] = r.choice([1.0, 2.0, 32.0])
        if chance(r, 0.3):
            p["attention_factor"] = r.choice([1.0, 1.2, 0.9])
    return p


def window(r):
    return r.choice([1, 2, 5, 7, 12, 16, 20, 33])


def layer_types(r, c, other="sliding_attention"):
    return [r.choice([other, "full_attention"]) for _ in range(c["num_hidden_layers"])]


def llama(r):
    c = common(r, explicit_head=chance(r, 0.5))
    c.update(attention_bias=chance(r, 0.3), mlp_bias=chance(r, 0.3))
    c["hidden_act"] = r.choice(["silu"] * 4 + ["gelu_pytorch_tanh"])
    c["rope_parameters"] = rope(r, c)
    return c


def mistral(r):
    c = common(r, explicit_head=chance(r, 0.6))
    c["sliding_window"] = r.choice([None, window(r), window(r)])
    c["rope_parameters"] = rope(r, c)
    return c


def qwen2(r):
    c = common(r, explicit_head=False)
    c.update(use_sliding_window=chance(r, 0.6), sliding_window=window(r), max_window_layers=r.choice([0, 1, 2, 28]))
    if chance(r, 0.3) and c["use_sliding_window"]:
        c["layer_types"] = layer_types(r, c)
    c["rope_parameters"] = rope(r, c)
    return c


def qwen3(r):
    c = qwen2(r)
    c.update(head_dim=r.choice([8, 12, 24]), attention_bias=chance(r, 0.4))
    c["rope_parameters"] = rope(r, c)
    return c


def gemma3_text(r):
    c = common(r)
    c.update(
        sliding_window=window(r), query_pre_attn_scalar=r.choice([c["head_dim"], 256, 7, 168]), attention_bias=chance(r, 0.2),
        attn_logit_softcapping=r.choice([None, 3.0]), final_logit_softcapping=r.choice([None, None, 30.0, 5.0]),
        tie_word_embeddings=chance(r, 0.8), hidden_activation=r.choice(["gelu_pytorch_tanh"] * 3 + ["silu"]))
    if chance(r, 0.5):
        c["layer_types"] = layer_types(r, c)
    else:
        c["sliding_window_pattern"] = r.choice([2, 3, 6])
    local = dict(rope_type="default", rope_theta=r.choice([10000.0, 777.0]))
    c["rope_parameters"] = dict(full_attention=rope(r, c, kinds=("default", "linear", "linear", "yarn", "llama3", "dynamic")),
                                sliding_attention=local)
    # transformers looks for it outside the nested parameters, where it never is.
    c["rope_parameters"]["full_attention"].pop("truncate", None)
    return c


def phi3(r):
    c = common(r, explicit_head=False)
    head = c["hidden_size"] // c["num_attention_heads"]
    part = r.choice([p for p in (1.0, 0.75, 0.5) if int(head * p) % 2 == 0])
    c.update(sliding_window=r.choice([None, window(r)]), original_max_position_embeddings=r.choice([16, 32, 64, 4096]))
    c["rope_parameters"] = rope(r, c, kinds=("default", "longrope", "longrope"), part=part)
    c["rope_parameters"].pop("original_max_position_embeddings", None)
    c["rope_parameters"]["partial_rotary_factor"] = part
    return c


def smollm3(r):
    c = common(r, explicit_head=False)
    c.update(use_sliding_window=chance(r, 0.4), attention_bias=chance(r, 0.3), mlp_bias=chance(r, 0.3),
             tie_word_embeddings=chance(r, 0.7))
    c["sliding_window"] = window(r) if c["use_sliding_window"] else None
    if chance(r, 0.5):
        c["no_rope_layers"] = [r.randint(0, 1) for _ in range(c["num_hidden_layers"])]
    else:
        c["no_rope_layer_interval"] = r.choice([1, 2, 3, 4])
    if c["use_sliding_window"] and chance(r, 0.3):
        c["layer_types"] = layer_types(r, c)
    c["rope_parameters"] = rope(r, c)
    return c


def mixtral(r):
    c = common(r, explicit_head=chance(r, 0.5))
    experts = r.choice([2, 4, 6])
    c.update(num_local_experts=experts, num_experts_per_tok=r.randint(1, experts), sliding_window=r.choice([None, window(r)]))
    c["rope_parameters"] = rope(r, c)
    return c


def qwen3_moe(r):
    c = common(r)
    experts = r.choice([3, 4, 8])
    c.update(num_experts=experts, num_experts_per_tok=r.randint(1, experts), moe_intermediate_size=r.choice([12, 20, 32]),
             norm_topk_prob=chance(r, 0.5), decoder_sparse_step=r.choice([1, 1, 2]), use_sliding_window=chance(r, 0.4),
             sliding_window=window(r), attention_bias=chance(r, 0.3), max_window_layers=r.choice([0, 1, 28]),
             mlp_only_layers=r.sample(range(c["num_hidden_layers"]), r.choice([0, 0, 1])))
    c["rope_parameters"] = rope(r, c)
    return c


def deepseek_v3(r):
    c = common(r, explicit_head=False)
    groups, per_group = r.choice([(1, 4), (1, 7), (2, 2), (2, 3), (4, 2)])
    kept = r.randint(1, groups)
    c.update(
        num_key_value_heads=c["num_attention_heads"], q_lora_rank=r.choice([None, 12, 24]), kv_lora_rank=r.choice([8, 20]),
        qk_nope_head_dim=r.choice([6, 8, 16]), qk_rope_head_dim=r.choice([4, 8, 12]), v_head_dim=r.choice([6, 8, 20]),
        n_routed_experts=groups * per_group, n_group=groups, topk_group=kept, num_experts_per_tok=r.randint(1, kept * per_group),
        moe_intermediate_size=r.choice([12, 20]), n_shared_experts=r.choice([1, 1, 2]), norm_topk_prob=chance(r, 0.7),
        first_k_dense_replace=r.randint(0, c["num_hidden_layers"]), routed_scaling_factor=r.choice([1.0, 2.5, 0.7]),
        rope_interleave=chance(r, 0.7), attention_bias=chance(r, 0.3))
    c["rope_parameters"] = rope(r, c, head=c["qk_rope_head_dim"], kinds=("default", "yarn", "yarn", "linear"))
    if c["rope_parameters"].get("factor", 1) is None:
        c["rope_parameters"]["factor"] = 4.0
    return c


def llama4_text(r):
    c = common(r)
    layers = c["num_hidden_layers"]
    experts = r.choice([2, 4])
    c.update(
        intermediate_size_mlp=r.choice([30, 50]), num_local_experts=experts, num_experts_per_tok=r.choice([1, 1, 2]),
        attention_chunk_size=r.choice([3, 7, 16, 50, 8192]), use_qk_norm=chance(r, 0.6), attn_temperature_tuning=chance(r, 0.7),
        floor_scale=r.choice([1, 3, 8, 8192]), attn_scale=r.choice([0.1, 0.5]), attention_bias=chance(r, 0.3))
    if chance(r, 0.5):
        c["interleave_moe_layer_step"] = r.choice([1, 2, 3])
    else:
        c["moe_layers"] = [k for k in range(layers) if chance(r, 0.6)]
    if chance(r, 0.5):
        c["no_rope_layers"] = [r.randint(0, 1) for _ in range(layers)]
    else:
        c["no_rope_layer_interval"] = r.choice([2, 3, 4])
    if chance(r, 0.25):
        c["layer_types"] = layer_types(r, c, "chunked_attention")
    c["rope_parameters"] = rope(r, c, kinds=("default", "llama3", "llama3", "linear", "yarn"))
    return c


def gpt_oss(r):
    c = common(r)
    experts = r.choice([2, 4, 8])
    # A lower limit has values within float32's noise of it, whose gradient is there for one side and not for the other.
    c.update(num_local_experts=experts, num_experts_per_tok=r.randint(1, experts), sliding_window=window(r),
             swiglu_limit=r.choice([7.0, 7.0, 3.0]), swiglu_alpha=r.choice([1.702, 1.702, 1.0]),
             attention_bias=chance(r, 0.8))
    if chance(r, 0.5):
        c["layer_types"] = layer_types(r, c)
    c["rope_parameters"] = rope(r, c, kinds=("yarn", "yarn", "default", "linear"))
    return c


FAMILIES = {f.__name__: f for f in (llama, mistral, qwen2, qwen3, gemma3_text, phi3, smollm3, mixtral, qwen3_moe, deepseek_v3,
                                    llama4_text, gpt_oss)}

# Without these a checkpoint has other shapes, or they are only names.
SIZES = {"pad_token_id", "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "model_type",
         "architectures", "transformers_version", "moe_intermediate_size", "intermediate_size_mlp", "n_routed_experts",
         "num_experts", "num_local_experts", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"}
# Nothing that is computed here depends on these.
DULL = {"attention_dropout", "bos_token_id", "eos_token_id", "initializer_range", "use_cache", "pretraining_tp", "problem_type",
        "return_dict", "is_encoder_decoder", "output_hidden_states", "output_router_logits", "chunk_size_feed_forward",
        "router_aux_loss_coef", "router_jitter_noise", "embd_pdrop", "resid_pdrop"}


def older(config):
    """As transformers 4 wrote it: the base and the scaling of the rotation apart, `torch_dtype`."""
    config = json.loads(json.dumps(config))
    if "dtype" in config:
        config["torch_dtype"] = config.pop("dtype")
    rope = config.pop("rope_parameters", None) or {}
    if "full_attention" in rope:
        config["rope_local_base_freq"] = rope["sliding_attention"]["rope_theta"]
        rope = rope["full_attention"]
    if "rope_theta" in rope:
        config["rope_theta"] = rope.pop("rope_theta")
    if "partial_rotary_factor" in rope:
        config["partial_rotary_factor"] = rope.pop("partial_rotary_factor")
    if "original_max_position_embeddings" in config:
        rope.pop("original_max_position_embeddings", None)
    config["rope_scaling"] = None if rope.get("rope_type", "default") == "default" else rope
    return config


def spelled(r, config, defaults):
    """One of the ways to write `config` down, and a word for each; `defaults` are those of its class.

    Keys that have their default, and a few others, may be missing; then the class decides what they are.
    """
    config, words = json.loads(json.dumps(config)), []
    if chance(r, 0.6):
        config = older(config)
        words.append("v4")
    scaling = config.get("rope_scaling") or config.get("rope_parameters") or {}
    # In Gemma 3's `rope_scaling`, transformers 5 does not see the older name.
    if scaling.get("rope_type") and config["model_type"] != "gemma3_text" and chance(r, 0.3):
        scaling["type"] = scaling.pop("rope_type")
        words.append("type")
    if chance(r, 0.6):
        left = [k for k, v in config.items() if k not in SIZES and k in defaults and v == defaults[k] and chance(r, 0.7)]
        left += [k for k in ("rope_theta", "layer_types", "no_rope_layers", "moe_layers", "head_dim", "num_key_value_heads",
                             "max_window_layers", "rope_local_base_freq", "tie_word_embeddings", "norm_topk_prob", "rope_scaling")
                 if k in config and chance(r, 0.12)]
        for key in set(left):
            del config[key]
        left = sorted(set(left) - DULL)
        words.append(f"without {','.join(left)}" if left else "")
    empty = [k for k in ("head_dim", "num_key_value_heads", "layer_types", "no_rope_layers", "moe_layers", "mlp_only_layers",
                         "rope_scaling", "sliding_window") if k in config and config[k] is not None and chance(r, 0.06)]
    for key in empty:
        config[key] = None
        words.append(f"{key}=null")
    return config, [w for w in words if w]
