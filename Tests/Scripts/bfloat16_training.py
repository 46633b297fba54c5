#!/usr/bin/env python3
"""Trains the same recipe in float32 and in bfloat16 and compares the validation losses.

    python3 Tests/Scripts/bfloat16_training.py --model FOLDER [--steps 300] [--isa ISA] [--recipe RECIPE]

The bar: after all steps the validation loss in bfloat16 is within 1 % of that in float32. Evaluations on the way are
printed. Early stopping is off, so that both runs take all steps. Exit code 0 when the bar is met.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]


def validation_losses(options, work, precision):
    """Validation loss by step of one run."""
    run = work / precision
    command = [
        options.program, "train", options.recipe, f"model.path={options.model}", f"output.directory={run}",
        f"training.steps={options.steps}", f"evaluation.every_steps={options.every}", "evaluation.early_stopping=0",
        "--precision", precision,
    ]
    if options.isa and precision == "bfloat16":
        command += ["--isa", options.isa]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"martlet train exited {result.returncode}: {result.stderr.strip()}")
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {line["step"]: line["validation_loss"] for line in lines if line.get("validation_loss") is not None}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--program", default=str(ROOT / ".build/release/martlet"))
    parser.add_argument("--recipe", default=str(ROOT / "recipes/smollm2-135m-support.yaml"))
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--every", type=int, default=100)
    parser.add_argument("--isa", help="instruction set of the run in bfloat16, for example amx-emulated")
    options = parser.parse_args()
    options.model = pathlib.Path(options.model).resolve()
    work = pathlib.Path(tempfile.mkdtemp(prefix="martlet-bfloat16-"))
    exact, rounded = (validation_losses(options, work, precision) for precision in ("float32", "bfloat16"))
    print(f"{'step':>6} {'float32':>9} {'bfloat16':>9}  difference")
    for step, loss in exact.items():
        print(f"{step:6} {loss:9.5f} {rounded[step]:9.5f}  {rounded[step] / loss - 1:+.3%}")
    last = max(exact)
    met = abs(rounded[last] / exact[last] - 1) <= 0.01
    print(f"{'ok  ' if met else 'FAIL'} last validation loss within 1 %")
    sys.exit(0 if met else 1)


main()
