#!/usr/bin/env python3
"""Does the cost of a mixture follow the tokens? A step with 64 experts, two for each token, against one with 8.

Makes two random models of the Qwen 3 family (hidden 1024, experts 512 wide, 4 layers, vocabulary 32,000) in a temporary
folder and measures both with `martlet bench` in turns. With float32 weights the step may take 1.3 times as long; with
bfloat16 and NF4 weights the time above the step with 8 experts may be 1.5 times what reading and expanding the further
weights takes, forward and backward, measured by the same runs. Exit code 0 if all forms keep their bar.

  expert_cost.py PROGRAM [--forms float32 bfloat16 nf4] [--precision float32|bfloat16] [--targets all-linear|attention|…]
      [--rounds 3] [--threads N]
"""
import argparse, json, pathlib, shutil, struct, subprocess, sys, tempfile
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


def bench(program, model, precision, options):
    command = [program, "bench", "--model", str(model), "--seq", str(options.tokens), "--batch", "1", "--rank", "16",
               "--steps", "2", "--warmup", "1", "--json", "--precision", precision,
               "--target-modules", options.targets]
    command += ["--threads", str(options.threads)] if options.threads else []
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip().splitlines()[-1])


def make_models(work, form, options):
    """Folders of the models with 8 and 64 experts; bfloat16 is packed to make nf4."""
    models = {}
    for experts in (8, 64):
        models[experts] = work / f"{form}-{experts}"
        if form != "nf4":
            write_model(models[experts], experts, form)
            continue
        plain = work / f"plain-{experts}"
        write_model(plain, experts, "bfloat16")
        subprocess.run([options.program, "quantize", "--model", str(plain), "--to", "nf4", "--output",
                        str(models[experts])], check=True, capture_output=True)
        shutil.rmtree(plain)
    return models


def measure(form, options):
    """Prints the figures of one form of weights and says whether it keeps its bar."""
    work = pathlib.Path(tempfile.mkdtemp(prefix="experts-"))
    precision = options.precision or ("float32" if form == "float32" else "bfloat16")
    try:
        models = make_models(work, form, options)
        results = {8: [], 64: []}
        for _ in range(options.rounds):
            for experts in results:
                results[experts].append(bench(options.program, models[experts], precision, options))
    finally:
        shutil.rmtree(work)
    best = {experts: min(results[experts], key=lambda r: r["step_seconds"]) for experts in results}
    print(f"{form} weights, {precision} arithmetic, adapters on {options.targets}:")
    for experts, result in best.items():
        reading = [r["experts"] for r in results[experts]]
        print(f"  {experts} experts: {result['step_seconds']:.3f} s a step, {result['peak_memory_bytes'] / 1e9:.2f} GB; experts "
              f"read in {min(r['read_seconds'] for r in reading):.4f} s "
              f"({reading[0]['bytes'] / min(r['read_seconds'] for r in reading) / 1e9:.1f} GB/s), "
              f"expanded in {min(r['expand_seconds'] for r in reading):.4f} s")
        for operation in sorted(result["operations"], key=lambda o: -o["seconds"])[:options.operations]:
            print(f"    {operation['seconds']:7.3f} s  {operation['name']}")
    ratio = best[64]["step_seconds"] / best[8]["step_seconds"]
    more = best[64]["step_seconds"] - best[8]["step_seconds"]
    if form == "float32":
        print(f"  {'ok  ' if ratio <= 1.3 else 'FAIL'} ratio {ratio:.3f}, allowed 1.3")
        return ratio <= 1.3
    # Forward and backward expand the weights once each.
    expand = {experts: min(r["experts"]["expand_seconds"] for r in results[experts]) for experts in results}
    allowed = 1.5 * 2 * (expand[64] - expand[8])
    print(f"  {'ok  ' if more <= allowed else 'FAIL'} {more:.3f} s above the step with 8 experts (ratio {ratio:.3f}); "
          f"allowed {allowed:.3f} s: 1.5 times reading and expanding the further weights twice")
    return more <= allowed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--forms", nargs="+", default=["float32", "bfloat16", "nf4"],
                        choices=["float32", "bfloat16", "nf4"])
    parser.add_argument("--precision", choices=["float32", "bfloat16"],
                        help="of the arithmetic; float32 over float32 weights, else bfloat16")
    parser.add_argument("--targets", default="all-linear", help="layers with adapters, as bench --target-modules")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--operations", type=int, default=6, help="how many operations to list")
    options = parser.parse_args()
    sys.exit(0 if all([measure(form, options) for form in options.forms]) else 1)


if __name__ == "__main__":
    main()
