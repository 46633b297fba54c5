#!/usr/bin/env python3
"""Holds `martlet quantize` against bitsandbytes, tensor by tensor and bit by bit.

    python3 Tests/Scripts/bitsandbytes_check.py --model FOLDER

Needs torch, transformers and bitsandbytes. FOLDER is a Hugging Face folder in bfloat16. transformers packs and saves it,
martlet packs it, with and without double quantisation; every tensor must have the same name, type, shape and bytes, and
transformers must load what martlet wrote. Exit code 0 when all agree.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

PROGRAM = str(pathlib.Path(__file__).resolve().parents[2] / ".build/release/martlet")


def state(tensor):
    return json.loads(bytes(tensor.tolist()).decode())


def same(name, a, b):
    if "quant_state" in name:
        return state(a) == state(b)
    return a.dtype == b.dtype and a.shape == b.shape and torch.equal(a.view(torch.uint8), b.view(torch.uint8))


def compare(model, double, folder):
    settings = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=double,
                                  bnb_4bit_compute_dtype=torch.bfloat16)
    theirs = AutoModelForCausalLM.from_pretrained(model, quantization_config=settings, dtype=torch.bfloat16)
    theirs.save_pretrained(folder / "theirs")
    subprocess.run([PROGRAM, "quantize", "--model", model, "--output", folder / "ours", "--double-quantization",
                    str(double).lower()], check=True, stdout=subprocess.DEVNULL)
    a, b = (safe_open(folder / who / "model.safetensors", "pt") for who in ("ours", "theirs"))
    names = set(a.keys()) | set(b.keys())
    missing = set(a.keys()) ^ set(b.keys())
    wrong = [n for n in sorted(names - missing) if not same(n, a.get_tensor(n), b.get_tensor(n))]
    print(f"double quantisation {double}: {len(names)} tensors, {len(missing)} on one side only, {len(wrong)} differ {wrong[:3]}")
    AutoModelForCausalLM.from_pretrained(folder / "ours")
    return not missing and not wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    arguments = parser.parse_args()
    # One thread: torch adds up the mean of many scales in another order on several.
    torch.set_num_threads(1)
    good = True
    for double in (True, False):
        with tempfile.TemporaryDirectory() as folder:
            good = compare(arguments.model, double, pathlib.Path(folder)) and good
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
