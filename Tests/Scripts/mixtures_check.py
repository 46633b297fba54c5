#!/usr/bin/env python3
"""Holds what Martlet makes of mixtures of experts against transformers and PEFT.

    mixtures_check.py FIXTURES [--program PROGRAM]

Needs torch, transformers, peft, safetensors. FIXTURES is Tests/ModelsTests/Fixtures. For each recorded model and adapter:
1. `martlet merge` folds the adapter into the model in float32, also from the multimodal checkpoints and the GGUF files;
   transformers loads the folder without missing or unexpected tensors, and its logits are compared with the recorded ones;
2. `martlet train` makes an adapter on all linear layers and experts; PEFT loads it where it supports the layout, and
   transformers' loss with it is compared with `martlet eval --adapter`.
Exit code 0 when everything agrees (logits within 2e-4, losses within 2e-5).
"""
import argparse, json, pathlib, subprocess, sys, tempfile, warnings
import torch, transformers
from safetensors import safe_open

warnings.filterwarnings("ignore")
transformers.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
failures = []


def check(what, difference, tolerance):
    good = difference <= tolerance
    print(f"{'ok  ' if good else 'FAIL'} {what}: {difference:.2e}, allowed {tolerance:.0e}", flush=True)
    if not good:
        failures.append(what)


def martlet(program, *arguments):
    result = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"martlet {' '.join(map(str, arguments))} exited {result.returncode}: {result.stderr.strip()}")
    return result.stdout


def load(folder, images=False):
    kind = transformers.AutoModelForImageTextToText if images else transformers.AutoModelForCausalLM
    model, report = kind.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", experts_implementation="eager", output_loading_info=True)
    left = {key: sorted(value) for key, value in report.items() if value}
    if left:
        print(f"FAIL {folder.name}: {str(left)[:300]}")
        failures.append(folder.name)
    return model.eval()


def logits(model, ids):
    with torch.no_grad():
        return model(input_ids=ids).logits


def tensor(file, name):
    with safe_open(file, "pt") as f:
        return f.get_tensor(name)


def merges(program, fixtures, work):
    """(model, adapter folder, recorded logits of its first sequence)"""
    cases = []
    for name in ["mixtral", "qwen3_moe", "deepseek_v3", "llama4_text", "gpt_oss", "gemma3_text"]:
        for adapter in ["adapter", "adapter_experts", "adapter_params"]:
            if (fixtures / name / adapter).exists():
                cases.append((fixtures / name, fixtures / name / adapter, name))
    cases.append((fixtures / "llama4_hub", fixtures / "llama4_text/adapter", "llama4_text"))
    cases.append((fixtures / "llama4_hub", fixtures / "llama4_text/adapter_params", "llama4_text"))
    cases.append((fixtures / "gemma3_hub", fixtures / "gemma3_text/adapter", "gemma3_text"))
    for name in ["mixtral", "deepseek_v3"]:
        for adapter in ["adapter", "adapter_experts"]:
            cases.append((fixtures / f"gguf-mixtures/{name}.gguf", fixtures / name / adapter, name))
    for model, adapter, name in cases:
        target = work / f"{model.stem}-{adapter.name}-{model.suffix[1:] or 'folder'}"
        martlet(program, "merge", "--model", model, "--adapter", adapter, "--output", target, "--dtype", "float32")
        expected = fixtures / name / "expected.safetensors"
        recorded = tensor(expected, f"{adapter.name}.logits_row0")
        found = logits(load(target, images=model.name.endswith("_hub")), tensor(expected, "input_ids"))[0]
        check(f"{model.name} with {adapter.parent.name}/{adapter.name} merged", float((found - recorded).abs().max()), 2e-4)
    # Bases alone, of forms that transformers expands itself or does not read.
    for model, expected, key in [
        (fixtures / "gpt_oss_mxfp4", fixtures / "gpt_oss_mxfp4/expected.safetensors", "logits"),
        (fixtures / "gguf-mixtures/qwen3_moe.gguf", fixtures / "gguf-mixtures/expected.safetensors", "qwen3_moe"),
    ]:
        target = work / f"{model.stem}-base"
        martlet(program, "merge", "--model", model, "--output", target, "--dtype", "float32")
        ids = tensor(fixtures / "gpt_oss_mxfp4/expected.safetensors" if "mxfp4" in model.name
                     else fixtures / "qwen3_moe/expected.safetensors", "input_ids")
        check(f"{model.name} expanded", float((logits(load(target), ids) - tensor(expected, key)).abs().max()), 2e-4)


def trained(program, fixtures, work):
    import peft
    generator = torch.Generator().manual_seed(1)
    rows = torch.randint(3, 288, (8, 40), generator=generator).tolist()
    data = work / "tokens.jsonl"
    data.write_text("".join(json.dumps({"input_ids": row}) + "\n" for row in rows))
    # PEFT on transformers 5 has experts fused: it reads parameters of all experts, and attention, but no expert by itself.
    for name, targets in [
        ("mixtral", "target_modules: attention\n  target_parameters: [mlp.experts.gate_up_proj, mlp.experts.down_proj]"),
        ("qwen3_moe", "target_modules: attention\n  target_parameters: [mlp.experts.gate_up_proj, mlp.experts.down_proj]"),
        ("deepseek_v3", "target_modules: attention\n  target_parameters: [mlp.experts.gate_up_proj, mlp.experts.down_proj]"),
        ("llama4_text", "target_modules: all-linear"),
        ("gpt_oss", "target_modules: all-linear"),
    ]:
        recipe, run = work / f"{name}.yaml", work / f"run-{name}"
        recipe.write_text(
            f"model:\n  path: {fixtures / name}\nadapter:\n  rank: 4\n  alpha: 8\n  {targets}\ndata:\n  train:\n"
            f"    - path: {data}\n      format: tokens\ntraining:\n  steps: 4\n  micro_batch_tokens: 160\n"
            f"  learning_rate: 1e-2\n  precision: float32\noutput:\n  directory: {run}\n")
        martlet(program, "train", recipe)
        ours = json.loads(martlet(program, "eval", "--model", fixtures / name, "--adapter", run / "adapter", "--data", data,
                                  "--json", "--precision", "float32"))["loss"]
        base = load(fixtures / name)
        ids = torch.tensor(rows)
        with torch.no_grad():
            plain = float(base(input_ids=ids, labels=ids).loss)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                model = peft.PeftModel.from_pretrained(base, run / "adapter").eval()
            missing = [str(w.message)[:120] for w in caught if "missing" in str(w.message).lower()]
            theirs = float(model(input_ids=ids, labels=ids).loss)
        if missing:
            print("note", name, missing)
        print(f"     {name}: loss {plain:.4f} before, {ours:.6f} after")
        check(f"{name}: PEFT with the adapter that Martlet trained", abs(ours - theirs), 2e-5)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fixtures", type=pathlib.Path)
    parser.add_argument("--program", default=str(pathlib.Path(__file__).resolve().parents[2] / ".build/release/martlet"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mixtures-") as work:
        merges(options.program, options.fixtures.resolve(), pathlib.Path(work))
        trained(options.program, options.fixtures.resolve(), pathlib.Path(work))
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
