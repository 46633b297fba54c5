#!/usr/bin/env python3
"""Holds what Martlet computes from GGUF files against llama.cpp.

    llamacpp_check.py [--program PROGRAM] FILE.gguf …

Needs cyllama, whose wheels contain llama.cpp, and numpy. For each file the mean loss of fixed tokens by llama.cpp is compared
with `martlet eval`, and its greedy choices with `martlet generate`. For files in float32: llama.cpp rounds activations before it
multiplies them with other types. `gguf_mixtures.py float32` writes such files. Exit code 0 when losses agree within 1e-5.
"""
import argparse, json, pathlib, subprocess, sys, tempfile
import numpy as np
import cyllama.llama.llama_cpp as llama

LENGTH = 64


class Model(llama.LlamaModel):
    """The context asks the model for what it leaves to its vocabulary."""

    n_vocab = property(lambda self: self.get_vocab().n_vocab)


def logits(model, tokens):
    settings = llama.LlamaContextParams()
    settings.n_ctx = settings.n_batch = settings.n_ubatch = 256
    settings.type_k = settings.type_v = 0
    settings.flash_attn_type = 0
    settings.n_threads = settings.n_threads_batch = 1
    context = llama.LlamaContext(model, settings)
    batch = llama.LlamaBatch(n_tokens=len(tokens), embd=0, n_seq_max=1)
    for position, token in enumerate(tokens):
        batch.add(int(token), position, [0], True)
    context.decode(batch)
    return np.array([context.get_logits_ith(i) for i in range(len(tokens))], np.float64)


def martlet(program, *arguments):
    result = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"martlet {arguments[0]} exited {result.returncode}: {result.stderr.strip()}")
    return json.loads(result.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=pathlib.Path)
    parser.add_argument("--program", default=str(pathlib.Path(__file__).resolve().parents[2] / ".build/release/martlet"))
    options = parser.parse_args()
    llama.disable_logging()
    failed = False
    for file in options.files:
        settings = llama.LlamaModelParams()
        settings.n_gpu_layers = 0
        model = Model(str(file), settings)
        tokens = np.random.default_rng(1).integers(3, model.n_vocab, LENGTH).tolist()
        scores = logits(model, tokens)
        highest = scores.max(1, keepdims=True)
        normal = scores - highest - np.log(np.exp(scores - highest).sum(1, keepdims=True))
        theirs = -float(np.mean([normal[i, tokens[i + 1]] for i in range(LENGTH - 1)]))
        with tempfile.TemporaryDirectory() as folder:
            data = pathlib.Path(folder) / "tokens.jsonl"
            data.write_text(json.dumps({"input_ids": tokens}) + "\n")
            ours = martlet(options.program, "eval", "--model", file, "--data", data, "--json", "--precision", "float32")["loss"]
        next_token = martlet(options.program, "generate", "--model", file, "--prompt-ids", ",".join(map(str, tokens)), "--max-tokens", 1,
                             "--temperature", 0, "--ignore-eos", "--json", "--precision", "float32")["ids"][0]
        good = abs(ours - theirs) <= 1e-5 and next_token == int(scores[-1].argmax())
        failed = failed or not good
        print(f"{'ok  ' if good else 'FAIL'} {file.name}: loss {ours:.6f}, llama.cpp {theirs:.6f}; next token {next_token}, "
              f"llama.cpp {int(scores[-1].argmax())}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
