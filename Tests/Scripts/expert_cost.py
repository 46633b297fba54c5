#!/usr/bin/env python3
"""Does the cost of a mixture follow the tokens? A step with 64 experts, two for each token, against one with 8.

Makes two random models of the Qwen 3 family (hidden 1024, experts 512 wide, 4 layers, vocabulary 32,000) in a temporary
folder, measures both with `martlet bench` in turns, and prints the ratio of the step times.

  expert_cost.py PROGRAM [--dtype float32|bfloat16] [--nf4] [--rounds 3] [--tokens 2048]
"""
import argparse, json, pathlib, shutil, struct, subprocess, tempfile
import numpy as np

HIDDEN, WIDTH, LAYERS, VOCABULARY, HEADS = 1024, 512, 4, 32000, 16
HEAD_SIZE, KEY_HEADS = HIDDEN // HEADS, 4


def shapes(experts):
    yield "model.embed_tokens.weight", (VOCABULARY, HIDDEN)
    yield "lm_head.weight", (VOCABULARY, HIDDEN)
    yield "model.norm.weight", (HIDDEN,)
    for layer in range(LAYERS):
        p = f"model.layers.{layer}."
        yield p + "input_layernorm.weight", (HIDDEN,)
        yield p + "post_attention_layernorm.weight", (HIDDEN,)
        yield p + "self_attn.q_proj.weight", (HEADS * HEAD_SIZE, HIDDEN)
        yield p + "self_attn.k_proj.weight", (KEY_HEADS * HEAD_SIZE, HIDDEN)
        yield p + "self_attn.v_proj.weight", (KEY_HEADS * HEAD_SIZE, HIDDEN)
        yield p + "self_attn.o_proj.weight", (HIDDEN, HEADS * HEAD_SIZE)
        yield p + "self_attn.q_norm.weight", (HEAD_SIZE,)
        yield p + "self_attn.k_norm.weight", (HEAD_SIZE,)
        yield p + "mlp.gate.weight", (experts, HIDDEN)
        for e in range(experts):
            yield f"{p}mlp.experts.{e}.gate_proj.weight", (WIDTH, HIDDEN)
            yield f"{p}mlp.experts.{e}.up_proj.weight", (WIDTH, HIDDEN)
            yield f"{p}mlp.experts.{e}.down_proj.weight", (HIDDEN, WIDTH)


def write_model(folder, experts, dtype):
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({
        "architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe", "vocab_size": VOCABULARY,
        "hidden_size": HIDDEN, "intermediate_size": WIDTH, "moe_intermediate_size": WIDTH, "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS, "num_key_value_heads": KEY_HEADS, "head_dim": HEAD_SIZE, "num_experts": experts,
        "num_experts_per_tok": 2, "norm_topk_prob": True, "decoder_sparse_step": 1, "mlp_only_layers": [],
        "rms_norm_eps": 1e-6, "rope_theta": 1e6, "max_position_embeddings": 4096, "tie_word_embeddings": False,
        "hidden_act": "silu", "torch_dtype": dtype}))
    size = 4 if dtype == "float32" else 2
    header, at = {}, 0
    for name, shape in shapes(experts):
        count = int(np.prod(shape)) * size
        header[name] = {"dtype": "F32" if size == 4 else "BF16", "shape": shape, "data_offsets": [at, at + count]}
        at += count
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    random = np.random.default_rng(1)
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, shape in shapes(experts):
            values = np.ones(shape, np.float32) if "norm" in name else random.standard_normal(shape, np.float32) * 0.03
            if size == 2:
                values = (values.view(np.uint32) >> 16).astype(np.uint16)
            file.write(values.tobytes())


def bench(program, model, options):
    command = [program, "bench", "--model", str(model), "--seq", str(options.tokens), "--batch", "1", "--rank", "16",
               "--steps", "2", "--warmup", "1", "--json", "--precision", "float32"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip().splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--nf4", action="store_true", help="pack both models first")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=2048)
    options = parser.parse_args()
    work = pathlib.Path(tempfile.mkdtemp(prefix="experts-"))
    try:
        models = {}
        for experts in (8, 64):
            models[experts] = work / f"experts-{experts}"
            write_model(models[experts], experts, options.dtype)
            if options.nf4:
                packed = work / f"packed-{experts}"
                subprocess.run([options.program, "quantize", "--model", str(models[experts]), "--to", "nf4", "--output",
                                str(packed)], check=True, capture_output=True)
                shutil.rmtree(models[experts])
                models[experts] = packed
        results = {8: [], 64: []}
        for _ in range(options.rounds):
            for experts in results:
                results[experts].append(bench(options.program, models[experts], options))
        best = {experts: min(results[experts], key=lambda r: r["step_seconds"]) for experts in results}
        for experts, result in best.items():
            print(f"{experts} experts: {result['step_seconds']:.3f} s a step, {result['peak_memory_bytes'] / 1e9:.2f} GB")
            for operation in sorted(result["operations"], key=lambda o: -o["seconds"])[:6]:
                print(f"    {operation['share'] * 100:5.1f} %  {operation['name']}")
        ratio = best[64]["step_seconds"] / best[8]["step_seconds"]
        further = LAYERS * 56 * 3 * HIDDEN * WIDTH
        print(f"ratio {ratio:.3f}; {best[64]['step_seconds'] - best[8]['step_seconds']:.3f} s more for "
              f"{further / 1e6:.0f} million further weights, read and expanded twice a step")
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
