#!/usr/bin/env python3
"""Holds training in bfloat16 against our own float32, and its error against that of PyTorch's bfloat16.

    python3 Tests/Scripts/bfloat16_parity.py --model FOLDER [--isa ISA] [--no-torch] [--tokens 2048] [--seq 512]

FOLDER is a Hugging Face folder; without PyTorch (--no-torch) a GGUF file will do. All runs see the same tokens (the files of
--text, each by itself, through the model's tokenizer; pseudo-random ids if it has none) and start from the same adapter,
whose B is random so that every tensor has a gradient. Gradients are read from the optimiser's first moments after one step.
Checked are
1. per adapter tensor |g_bf16 - g_fp32| / |g_fp32|: the median over tensors, in the mean over the texts (--median, 0.01), for
   it differs by a tenth between texts and by a twentieth between ways to round; and the worst of all (--worst, 0.05);
2. on the first text the losses of ten steps in bfloat16 against those in float32, within 1 % each;
3. on the first text, with PyTorch and PEFT: median and worst error at most 1.2 times those of PyTorch in bfloat16 (weights in bfloat16,
   adapters in float32 under autocast) against PyTorch in float32, and our float32 gradients against PyTorch's.
Exit code 0 when all hold.
"""
import argparse
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
TYPES = {"F32": np.float32, "BF16": np.uint16, "F16": np.float16}
RECIPE = """model:
  path: {model}
adapter:
  method: lora
  {adapter}
data:
  train:
    - path: {work}/tokens.jsonl
      format: tokens
  shuffle: false
  packing: false
  max_length: {seq}
training:
  steps: {steps}
  micro_batch_size: {batch}
  gradient_accumulation_steps: 1
  learning_rate: {rate}
  schedule: constant
  warmup_ratio: 0
  weight_decay: 0.0
  max_grad_norm: 0
checkpoint:
  every_steps: {steps}
output:
  directory: {work}/{name}
"""
TEXTS = ["LICENSE", "datasets/general/train.jsonl", "datasets/product/train.jsonl", "datasets/legal-fr/train.jsonl"]
failures = []


def check(what, value, limit):
    good = value <= limit
    print(f"{'ok  ' if good else 'FAIL'} {what}: {value:.5f} (at most {limit:g})", flush=True)
    if not good:
        failures.append(what)


def read(path):
    """All tensors of a safetensors file as float32."""
    raw = pathlib.Path(path).read_bytes()
    size = struct.unpack("<Q", raw[:8])[0]
    tensors = {}
    for name, entry in json.loads(raw[8 : 8 + size]).items():
        if name == "__metadata__":
            continue
        start, end = (8 + size + offset for offset in entry["data_offsets"])
        values = np.frombuffer(raw[start:end], dtype=TYPES[entry["dtype"]]).reshape(entry["shape"])
        tensors[name] = (values.astype(np.uint32) << 16).view(np.float32) if entry["dtype"] == "BF16" else values.astype(np.float32)
    return tensors


def write(path, tensors):
    header, at = {}, 0
    for name, values in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [at, at + values.nbytes]}
        at += values.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for values in tensors.values():
            file.write(np.ascontiguousarray(values, np.float32).tobytes())


def martlet(options, *arguments):
    result = subprocess.run([options.program, *map(str, arguments)], capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"martlet {arguments[0]} exited {result.returncode}: {result.stderr.strip()}")
    return result.stdout


def strings(value):
    """All strings of a JSON value, in their order."""
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for part in parts for text in strings(part)]


def lines_of(path):
    """Lines of a text, or of the texts in a JSON Lines file."""
    lines = path.read_text().splitlines()
    return [line for row in lines for text in strings(json.loads(row)) for line in text.splitlines()] if path.suffix == ".jsonl" else lines


def tokens(options, path):
    """Rows of token ids, [batch][seq]."""
    folder = pathlib.Path(options.model)
    if folder.is_file() or (folder / "tokenizer.json").exists() or (folder / "tokenizer.model").exists():
        source = options.work / "lines.jsonl"
        source.write_text("".join(json.dumps({"text": line}) + "\n" for line in lines_of(path) if line.strip()))
        lines = martlet(options, "tokenize", "--model", options.model, source, "--json", "--no-special").splitlines()
        ids = [id for line in lines for id in json.loads(line)["ids"]]
    else:
        vocabulary = json.loads((folder / "config.json").read_text())["vocab_size"]
        ids = np.random.default_rng(1).integers(0, vocabulary, options.tokens).tolist()
    if len(ids) < options.tokens:
        sys.exit(f"{path} has {len(ids)} tokens, expected {options.tokens}; give a longer --text")
    return [ids[i : i + options.seq] for i in range(0, options.tokens, options.seq)]


def feed(options, rows):
    """Makes the rows what the next runs train on."""
    (options.work / "tokens.jsonl").write_text("".join(json.dumps({"input_ids": row}) + "\n" for row in rows))


def train(options, name, steps, adapter, precision, rate="1e-4"):
    recipe = options.work / f"{name}.yaml"
    recipe.write_text(RECIPE.format(
        model=os.path.abspath(options.model), adapter=adapter, work=options.work, seq=options.seq, steps=steps,
        batch=options.tokens // options.seq, rate=rate, name=name))
    isa = ["--isa", options.isa] if options.isa and precision == "bfloat16" else []
    martlet(options, "train", recipe, "--precision", precision, *isa)
    return options.work / name


def gradients(run):
    """Adam's first moments after one step are a tenth of the gradients."""
    checkpoint = sorted((run / "checkpoints").glob("step-*"))[0]
    moments = read(checkpoint / "optimizer.safetensors")
    return {f"base_model.model.{name.removeprefix('exp_avg.')}.weight": values / 0.1 for name, values in moments.items() if name.startswith("exp_avg.")}


def losses(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line and "grad_norm" in line]


def errors(found, expected):
    return np.array([
        np.linalg.norm(found[name].astype(np.float64) - values) / max(np.linalg.norm(values.astype(np.float64)), 1e-30)
        for name, values in expected.items()])


def torch_gradients(options, rows, dtype):
    import peft
    import torch
    import transformers

    base = transformers.AutoModelForCausalLM.from_pretrained(options.model, dtype=dtype, attn_implementation="sdpa")
    model = peft.PeftModel.from_pretrained(base, str(options.adapter), is_trainable=True).train()
    ids = torch.tensor(rows)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
        model(input_ids=ids, labels=ids, use_cache=False).loss.backward()
    return {name.replace(".default", ""): parameter.grad.float().numpy() for name, parameter in model.named_parameters()
            if parameter.grad is not None}


def random_adapter(options):
    """A fresh adapter of Martlet's with random B."""
    fresh = train(options, "fresh", 1, f"rank: {options.rank}\n  alpha: {2 * options.rank}", "float32") / "adapter"
    generator = np.random.default_rng(2)
    tensors = {
        name: generator.normal(0, 0.01, values.shape).astype(np.float32) if "lora_B" in name else values
        for name, values in read(fresh / "adapter_model.safetensors").items()}
    write(fresh / "adapter_model.safetensors", tensors)
    return fresh


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--program", default=str(ROOT / ".build/release/martlet"))
    parser.add_argument("--isa", help="instruction set of the run in bfloat16, for example amx-emulated or avx512")
    parser.add_argument("--text", nargs="+", type=pathlib.Path, default=[ROOT / text for text in TEXTS])
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--seq", type=int, default=512)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--median", type=float, default=0.01)
    parser.add_argument("--worst", type=float, default=0.05)
    parser.add_argument("--no-torch", action="store_true")
    options = parser.parse_args()
    options.work = pathlib.Path(tempfile.mkdtemp(prefix="martlet-bfloat16-"))
    rows = [tokens(options, text) for text in options.text]
    feed(options, rows[0])
    options.adapter = random_adapter(options)
    path = f"path: {options.adapter}"
    curves = [losses(train(options, f"curve-{precision}", 10, path, precision)) for precision in ("float32", "bfloat16")]
    exact, ours = [], []
    for number, text in enumerate(options.text):
        feed(options, rows[number])
        exact.append(gradients(train(options, f"float32-{number}", 1, path, "float32")))
        ours.append(errors(gradients(train(options, f"bfloat16-{number}", 1, path, "bfloat16")), exact[number]))
        print(f"     {text}: {len(ours[number])} tensors, median {np.median(ours[number]):.5f}, worst {ours[number].max():.5f}", flush=True)
    check("median gradient error against float32, mean of texts", np.mean([np.median(text) for text in ours]), options.median)
    check("worst gradient error against float32", max(text.max() for text in ours), options.worst)
    check("losses of ten steps, largest relative difference", max(abs(b / a - 1) for a, b in zip(*curves)), 0.01)
    if not options.no_torch:
        import torch

        expected = torch_gradients(options, rows[0], torch.float32)
        check("our float32 gradients against PyTorch's, worst", errors(exact[0], expected).max(), 1e-3)
        theirs = errors(torch_gradients(options, rows[0], torch.bfloat16), expected)
        print(f"     PyTorch in bfloat16 against its float32: median {np.median(theirs):.5f}, worst {theirs.max():.5f}")
        check("median error, times PyTorch's", np.median(ours[0]) / np.median(theirs), 1.2)
        check("worst error, times PyTorch's", ours[0].max() / theirs.max(), 1.2)
    sys.exit(1 if failures else 0)


main()
