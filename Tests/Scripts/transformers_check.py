#!/usr/bin/env python3
"""Holds what Martlet writes against transformers and PEFT.

    python3 Tests/Scripts/transformers_check.py --model BASE [--adapter ADAPTER] [--strings FILE.json]

Needs torch, transformers and peft. BASE is a GGUF file or a Hugging Face folder. In a temporary folder:
1. `martlet merge` writes the base alone in float32; transformers loads it, and its loss on fixed tokens and its greedy
   continuation are compared with `martlet eval` and `martlet generate` on BASE itself;
2. with ADAPTER, PEFT loads it onto that folder, and its loss is compared with `martlet eval --adapter`; then the adapter
   is merged by Martlet, and transformers' loss on the merged folder is compared with both;
3. with --strings (a list, or {"cases": [{"text": …}]}), the folder's tokenizer and `martlet tokenize` on BASE must give the
   same ids.
Exit code 0 when everything agrees (loss within 2e-5, ids equal).
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import torch
import transformers

PROGRAM = str(pathlib.Path(__file__).resolve().parents[2] / ".build/release/martlet")
failures = []


def martlet(*arguments):
    result = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"martlet {arguments[0]} exited {result.returncode}: {result.stderr.strip()}")
    return result.stdout


def check(what, ours, theirs, tolerance=2e-5):
    good = abs(ours - theirs) <= tolerance
    print(f"{'ok  ' if good else 'FAIL'} {what}: martlet {ours:.6f}, reference {theirs:.6f}")
    if not good:
        failures.append(what)


def loss_of(model, ids):
    with torch.no_grad():
        return float(model(input_ids=torch.tensor(ids), labels=torch.tensor(ids)).loss)


def evaluate(model, data, adapter=None):
    extra = ["--adapter", adapter] if adapter else []
    text = martlet("eval", "--model", model, *extra, "--data", data, "--json", "--precision", "float32")
    return json.loads(text)["loss"]


def load(folder):
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--adapter")
    parser.add_argument("--strings")
    options = parser.parse_args()
    work = pathlib.Path(tempfile.mkdtemp(prefix="martlet-check-"))
    martlet("merge", "--model", options.model, "--output", work / "base", "--dtype", "float32")
    model = load(work / "base")
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(0, model.config.vocab_size, (2, 64), generator=generator).tolist()
    data = work / "tokens.jsonl"
    data.write_text("".join(json.dumps({"input_ids": row}) + "\n" for row in ids))
    check("loss of the base", evaluate(options.model, data), loss_of(model, ids))
    prompt = ids[0][:16]
    greedy = model.generate(torch.tensor([prompt]), max_new_tokens=24, min_new_tokens=24, do_sample=False)[0].tolist()[16:]
    text = martlet("generate", "--model", options.model, "--prompt-ids", ",".join(map(str, prompt)), "--max-tokens", 24,
                   "--temperature", 0, "--ignore-eos", "--json", "--precision", "float32")
    same = sum(a == b for a, b in zip(json.loads(text)["ids"], greedy))
    print(f"{'ok  ' if same == 24 else 'note'} greedy continuation: {same} of 24 ids equal")
    if options.adapter:
        import peft
        adapted = peft.PeftModel.from_pretrained(load(work / "base"), options.adapter).eval()
        check("loss with the adapter (PEFT)", evaluate(options.model, data, options.adapter), loss_of(adapted, ids))
        martlet("merge", "--model", options.model, "--adapter", options.adapter, "--output", work / "merged", "--dtype", "float32")
        check("loss of the merged model", evaluate(work / "merged", data), loss_of(load(work / "merged"), ids))
        check("merged against base and adapter", evaluate(work / "merged", data), loss_of(adapted, ids))
    if options.strings:
        cases = json.loads(pathlib.Path(options.strings).read_text())
        strings = [case["text"] if isinstance(case, dict) else case for case in (cases["cases"] if isinstance(cases, dict) else cases)]
        source = work / "strings.jsonl"
        source.write_text("".join(json.dumps({"text": text}) + "\n" for text in strings))
        ours = [json.loads(line)["ids"] for line in martlet("tokenize", "--model", options.model, source, "--json").splitlines()]
        tokenizer = transformers.AutoTokenizer.from_pretrained(work / "base")
        same = sum(tokenizer(text)["input_ids"] == found for text, found in zip(strings, ours))
        print(f"{'ok  ' if same == len(strings) else 'FAIL'} tokenizer: {same} of {len(strings)} strings equal")
        if same != len(strings):
            failures.append("tokenizer")
    sys.exit(1 if failures else 0)


main()
