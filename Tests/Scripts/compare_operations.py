#!/usr/bin/env python3
"""Martlet's operations against torch's on one machine, in turns, at the shapes of models.

    python3 Tests/Scripts/compare_operations.py --model FOLDER [--model FOLDER …] [--pairs 5] [--dtypes bfloat16,float32]

Three operations, forward and backward, both sides in the same number format and with the same threads:

  linear     the products of every linear layer's shape (x·Wᵀ and dy·W) against torch.matmul
  attention  causal, grouped heads, at every --attention LENGTHxSEQUENCES, against torch's scaled_dot_product_attention,
             with grouped heads as they are and with repeated keys and values (the faster counts)
  loss       head and cross-entropy with the gradient of the hidden states, head frozen, against torch's by chunks of
             --chunk tokens; time, and memory beyond what was there before the first run

Each round runs `martlet bench --operations` and torch in processes of their own, first one and then the other first. A round
in which other processes used more than 5 % of the CPUs is void and repeated. Prints the median of the ratios of the rounds
beside the bar that they are held to; ends with 1 if one is missed. Needs torch. --json FILE keeps everything.
"""
import argparse
import json
import pathlib
import statistics
import sys
import tempfile
import time

from turns import run, status_bytes

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Torch:
    """The peer's side: the operations that Martlet has measured, at the same shapes."""

    def __init__(self, options, dtype):
        import torch

        self.torch, self.options, self.dtype = torch, options, getattr(torch, dtype)
        torch.manual_seed(1)

    def noise(self, *shape):
        return (2 * self.torch.rand(*shape) - 1).to(self.dtype)

    def medians(self, forward, backward=lambda result: None):
        """Median seconds of both parts after a run that warms up."""
        times = []
        for _ in range(self.options.steps + 1):
            start = time.perf_counter()
            result = forward()
            middle = time.perf_counter()
            backward(result)
            times.append((middle - start, time.perf_counter() - middle))
        return [statistics.median(column) for column in zip(*times[1:])]

    def linear(self, o):
        x, dy = self.noise(o["rows"], o["inputs"]), self.noise(o["rows"], o["outputs"])
        weight = self.noise(o["outputs"], o["inputs"])
        with self.torch.no_grad():
            forward, _ = self.medians(lambda: self.torch.matmul(x, weight.T))
            backward, _ = self.medians(lambda: self.torch.matmul(dy, weight))
        return {"forward_seconds": forward, "backward_seconds": backward, "seconds": forward + backward}

    def attention(self, o):
        found = [self.attention_as(o, repeats) for repeats in (False, True)]
        return min(found, key=lambda one: one["seconds"])

    def attention_as(self, o, repeats):
        functional, group = self.torch.nn.functional, o["heads"] // o["key_value_heads"]

        def heads(count, size):
            rows = self.noise(o["sequences"], o["length"], count, size)
            return rows.transpose(1, 2).detach().requires_grad_()

        q, k = heads(o["heads"], o["head_size"]), heads(o["key_value_heads"], o["head_size"])
        v = heads(o["key_value_heads"], o["value_size"])
        gradient = self.noise(o["sequences"], o["length"], o["heads"], o["value_size"]).transpose(1, 2)

        def forward():
            q.grad = k.grad = v.grad = None
            if not repeats:
                return functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
            wide = [one.repeat_interleave(group, dim=1) for one in (k, v)]
            return functional.scaled_dot_product_attention(q, *wide, is_causal=True)

        forward_seconds, backward_seconds = self.medians(forward, lambda result: result.backward(gradient))
        return {"forward_seconds": forward_seconds, "backward_seconds": backward_seconds,
                "seconds": forward_seconds + backward_seconds, "repeats": repeats}

    def loss(self, o):
        torch, functional = self.torch, self.torch.nn.functional
        weight = self.noise(o["vocabulary"], o["hidden"])

        def both(hidden):
            rows = len(hidden)
            targets = torch.arange(rows) * 7919 % o["vocabulary"]
            gradient = torch.empty_like(hidden)
            for start in range(0, rows, self.options.chunk):
                part = hidden[start : start + self.options.chunk].detach().requires_grad_()
                logits = functional.linear(part, weight).float()
                functional.cross_entropy(logits, targets[start : start + self.options.chunk], reduction="sum").backward()
                gradient[start : start + self.options.chunk] = part.grad
            return gradient

        hidden = self.noise(o["rows"], o["hidden"])
        both(hidden[:16])
        pathlib.Path("/proc/self/clear_refs").write_text("5")
        before = status_bytes("VmRSS")
        both(hidden)
        extra = status_bytes("VmHWM") - before
        return {"seconds": self.medians(lambda: both(hidden))[0], "extra_memory_bytes": extra}


def peer(options):
    """Measures the operations of a file; one line of JSON on standard output."""
    side = Torch(options, options.dtypes)
    wanted = json.loads(pathlib.Path(options.peer).read_text())
    # As on the other side the loss comes first, in fresh memory.
    print(json.dumps({"operations": [getattr(side, one["name"])(one) for one in wanted],
                      "threads": side.torch.get_num_threads(), "torch": side.torch.__version__}))


def cases(options):
    """What is run in one process of each side: model, number format, length, sequences, operations."""
    lengths = [tuple(map(int, one.split("x"))) for one in options.attention.split(",")]
    wanted = options.operations.split(",")
    for model in options.model:
        for dtype in options.dtypes.split(","):
            names = [name for name in ("loss", "linear") if name in wanted]
            if names:
                yield model, dtype, options.seq, options.batch, names
            for length, sequences in lengths if "attention" in wanted else []:
                yield model, dtype, length, sequences, ["attention"]


def martlet(options, case):
    model, dtype, length, sequences, names = case
    return run([options.program, "bench", "--model", model, "--seq", str(length), "--batch", str(sequences), "--steps",
                str(options.steps), "--precision", dtype, "--operations", ",".join(names), "--json"])


def pair(options, case, shapes, first):
    """One run of each side, the given one first."""
    command = [sys.executable, __file__, "--peer", shapes, "--dtypes", case[1], "--steps", str(options.steps), "--chunk",
               str(options.chunk), "--model", case[0]]
    if first == "martlet":
        ours = martlet(options, case)
        return ours, run(command)
    theirs = run(command)
    return martlet(options, case), theirs


def shape_of(one):
    """What an operation is called in the report."""
    if one["name"] == "linear":
        return f"linear {one['rows']} × {one['inputs']} → {one['outputs']}"
    if one["name"] == "attention":
        return f"attention {one['length']} × {one['sequences']}, {one['heads']}/{one['key_value_heads']} × {one['head_size']}"
    return f"loss {one['rows']} × {one['hidden']} → {one['vocabulary']}"


def ratios_of(ours, theirs):
    """Ratios of one pair by name; speeds are torch's time over ours, memory ours over torch's."""
    found = {}
    for mine, other in zip(ours["operations"], theirs["operations"]):
        name = shape_of(mine)
        for direction in ("forward", "backward") if mine["name"] != "loss" else ():
            found[name, direction] = other[direction + "_seconds"] / mine[direction + "_seconds"]
        if mine["name"] != "linear":
            found[name, "both"] = other["seconds"] / mine["seconds"]
        if mine["name"] == "loss" and mine["extra_memory_bytes"] and other["extra_memory_bytes"]:
            found[name, "memory"] = mine["extra_memory_bytes"] / other["extra_memory_bytes"]
    return found


def measure(options, case, folder):
    """Rounds of a case until enough were quiet: ratios by name, a list each, and all readings."""
    shapes, rounds, ratios = folder / "operations.json", [], {}
    shapes.write_text(json.dumps(martlet(options, case)["operations"]))
    for attempt in range(options.attempts):
        ours, theirs = pair(options, case, str(shapes), "martlet" if attempt % 2 == 0 else "torch")
        disturbed = max(ours["other_cpu"], theirs["other_cpu"])
        if disturbed > options.load:
            print(f"  void: others used {disturbed:.0%} of the CPUs", flush=True)
            continue
        rounds.append({"martlet": ours, "torch": theirs})
        for key, ratio in ratios_of(ours, theirs).items():
            ratios.setdefault(key, []).append(ratio)
        if len(rounds) == options.pairs:
            return ratios, rounds
    sys.exit(f"only {len(rounds)} of {options.pairs} rounds were quiet enough")


def verdict(name, direction, dtype, ratio):
    """The bar beside a ratio, and whether it is met; None where nothing is asked."""
    if direction == "memory":
        return "≤ 0.25", ratio <= 0.25
    if name.startswith("loss"):
        return "≥ 2.00", ratio >= 2
    if name.startswith("attention"):
        return ("≥ 1.50", ratio >= 1.5) if direction == "both" and dtype == "bfloat16" else ("", None)
    return ("≥ 0.80", ratio >= 0.8) if dtype == "bfloat16" else ("", None)


def report(case, ratios):
    """Prints the medians of a case; returns whether all bars are met, and the medians of its products."""
    model, dtype, met, products = pathlib.Path(case[0]).name, case[1], True, []
    for (name, direction), values in ratios.items():
        ratio = statistics.median(values)
        bar, good = verdict(name, direction, dtype, ratio)
        products += [ratio] if name.startswith("linear") else []
        met = met and good is not False
        mark = "" if good is None else "  met" if good else "  MISSED"
        print(f"  {model}, {dtype}, {name}, {direction}: x{ratio:.2f} ({min(values):.2f} to {max(values):.2f})"
              f"{'  bar ' + bar if bar else ''}{mark}", flush=True)
    return met, products


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, action="append", help="folder of a model; may be given more than once")
    parser.add_argument("--program", default=str(ROOT / ".build/release/martlet"))
    parser.add_argument("--dtypes", default="bfloat16,float32")
    parser.add_argument("--operations", default="loss,linear,attention")
    parser.add_argument("--seq", type=int, default=512, help="tokens of a sequence, for products and loss")
    parser.add_argument("--batch", type=int, default=4, help="sequences, for products and loss")
    parser.add_argument("--attention", default="512x4,2048x1,8192x1", help="lengths and numbers of sequences")
    parser.add_argument("--chunk", type=int, default=512, help="tokens of a chunk of torch's loss")
    parser.add_argument("--steps", type=int, default=5, help="runs of an operation in a process, after one that warms up")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--attempts", type=int, default=15, help="rounds at most, void ones included")
    parser.add_argument("--load", type=float, default=0.05, help="share of the CPUs that others may use")
    parser.add_argument("--json", help="file for everything that was measured")
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        return peer(options)
    everything, met, products = [], True, {}
    with tempfile.TemporaryDirectory(prefix="martlet-operations-") as folder:
        for case in cases(options):
            ratios, rounds = measure(options, case, pathlib.Path(folder))
            good, found = report(case, ratios)
            met = met and good
            products.setdefault(case[1], []).extend(found)
            everything.append({"case": case, "ratios": {" ".join(key): values for key, values in ratios.items()},
                               "rounds": rounds})
    for dtype, found in products.items():
        if found:
            middle = statistics.median(found)
            good = dtype != "bfloat16" or middle >= 1.2
            met = met and good
            bar = f"  bar ≥ 1.20  {'met' if good else 'MISSED'}" if dtype == "bfloat16" else ""
            print(f"products in {dtype}: median x{middle:.2f}, least x{min(found):.2f}{bar}")
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps({"settings": vars(options), "cases": everything}, indent=1))
    sys.exit(0 if met else 1)


main()
