#!/usr/bin/env python3
"""Writes a Llama-shaped model with random weights, packed in 4 bits as bitsandbytes lays them out.

    python3 random_packed_llama.py OUT [--shape 8b|1b] [--seed 1]

For measuring memory and speed of shapes whose real weights are not at hand. Needs numpy. The weights are random codes
with plausible scales; embedding and head are bfloat16. Files of at most 2 GB.
"""
import argparse
import json
import os
import struct

import numpy as np

SHAPES = {
    "8b": dict(hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, num_attention_heads=32,
               num_key_value_heads=8, vocab_size=128256, tie_word_embeddings=False),
    "1b": dict(hidden_size=2048, intermediate_size=8192, num_hidden_layers=16, num_attention_heads=32,
               num_key_value_heads=8, vocab_size=128256, tie_word_embeddings=True),
}
NF4 = np.array([-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
                -0.18477343022823334, -0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725,
                0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
                0.7229568362236023, 1], np.float32)


def bfloat16(values):
    return (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)


def packed(rng, name, rows, columns):
    """The parts of one packed weight."""
    count = rows * columns
    blocks = count // 64
    state = dict(quant_type="nf4", blocksize=64, dtype="bfloat16", shape=[rows, columns], nested_blocksize=256,
                 nested_dtype="float32", nested_offset=0.05)
    yield name, "U8", [count // 2, 1], rng.integers(0, 256, count // 2, dtype=np.uint8)
    yield name + ".absmax", "U8", [blocks], rng.integers(0, 256, blocks, dtype=np.uint8)
    yield name + ".nested_absmax", "F32", [(blocks + 255) // 256], np.full((blocks + 255) // 256, 0.01, np.float32)
    yield name + ".nested_quant_map", "F32", [256], np.linspace(-1, 1, 256, dtype=np.float32)
    yield name + ".quant_map", "F32", [16], NF4
    text = np.frombuffer(json.dumps(state).encode(), np.uint8)
    yield name + ".quant_state.bitsandbytes__nf4", "U8", [len(text)], text


def tensors(shape, rng):
    hidden, wide = shape["hidden_size"], shape["intermediate_size"]
    keys = hidden // shape["num_attention_heads"] * shape["num_key_value_heads"]
    ones = bfloat16(np.ones(hidden))
    yield "model.embed_tokens.weight", "BF16", [shape["vocab_size"], hidden], bfloat16(
        rng.standard_normal((shape["vocab_size"], hidden), dtype=np.float32) * 0.02)
    for layer in range(shape["num_hidden_layers"]):
        path = f"model.layers.{layer}."
        yield path + "input_layernorm.weight", "BF16", [hidden], ones
        yield path + "post_attention_layernorm.weight", "BF16", [hidden], ones
        for module, rows, columns in [
                ("self_attn.q_proj", hidden, hidden), ("self_attn.k_proj", keys, hidden), ("self_attn.v_proj", keys, hidden),
                ("self_attn.o_proj", hidden, hidden), ("mlp.gate_proj", wide, hidden), ("mlp.up_proj", wide, hidden),
                ("mlp.down_proj", hidden, wide)]:
            yield from packed(rng, path + module + ".weight", rows, columns)
    yield "model.norm.weight", "BF16", [hidden], ones
    if not shape["tie_word_embeddings"]:
        yield "lm_head.weight", "BF16", [shape["vocab_size"], hidden], bfloat16(
            rng.standard_normal((shape["vocab_size"], hidden), dtype=np.float32) * 0.02)


def write(path, batch):
    header, offset = {}, 0
    for name, kind, shape, data in batch:
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [offset, offset + data.nbytes]}
        offset += data.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for *_, data in batch:
            data.tofile(file)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--shape", choices=SHAPES, default="8b")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    os.makedirs(arguments.out, exist_ok=True)
    shape = SHAPES[arguments.shape]
    files, batch, size, total = [], [], 0, 0
    def flush():
        nonlocal batch, size
        if batch:
            files.append([t[0] for t in batch])
            write(os.path.join(arguments.out, f"part-{len(files)}.safetensors"), batch)
        batch, size = [], 0
    for tensor in tensors(shape, np.random.default_rng(arguments.seed)):
        batch.append(tensor)
        size += tensor[3].nbytes
        total += tensor[3].nbytes
        if size > 2e9:
            flush()
    flush()
    index = {name: f"part-{i + 1}.safetensors" for i, names in enumerate(files) for name in names}
    with open(os.path.join(arguments.out, "model.safetensors.index.json"), "w") as file:
        json.dump({"metadata": {"total_size": total}, "weight_map": index}, file)
    config = dict(shape, architectures=["LlamaForCausalLM"], model_type="llama", rms_norm_eps=1e-5, rope_theta=500000.0,
                  hidden_act="silu", max_position_embeddings=8192, torch_dtype="bfloat16",
                  quantization_config=dict(quant_method="bitsandbytes", load_in_4bit=True, bnb_4bit_quant_type="nf4",
                                           bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype="bfloat16"))
    with open(os.path.join(arguments.out, "config.json"), "w") as file:
        json.dump(config, file, indent=2)


if __name__ == "__main__":
    main()
