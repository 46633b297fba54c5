#!/usr/bin/env python3
"""Martlet against PEFT on one machine, in turns: training speed and peak memory on the same tokens.

    python3 Tests/Scripts/compare_peft.py --model FOLDER [--method lora|qlora] [--seq 512] [--batch 4] [--pairs 5]

Each round runs `martlet bench` and PEFT (every configuration of --configurations; the fastest counts), first one and then
the other first, over the same token ids, with adapters of the same rank and alpha on all linear layers, the same sequence
length and batch. Peak memory is VmHWM of each process; ours holds one block of the weights in files at a time, so the ratio
with all of them is given, too. A round in which other processes used more than 5 % of the CPUs during a run is void and
repeated. Needs torch, transformers and peft, for qlora bitsandbytes too. Prints every round and
the medians of the ratios; --json FILE keeps everything.

Models with routed experts: PEFT adapts attention and all experts, with transformers' grouped products (lora only).

PEFT's configurations: `plain` (sdpa attention), `compiled` (eager attention, torch.compile layer by layer). tcmalloc is
preloaded for PEFT if --preload names it. Weights and adapters of PEFT are bfloat16 with --dtype bfloat16, else float32.
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


def peer(options):
    """A plain PEFT loop in a process of its own; one line of JSON on standard output."""
    import numpy
    import peft
    import torch
    import transformers

    dtype = getattr(torch, options.dtype)
    compiled = options.peer == "compiled"
    arguments = {"dtype": dtype, "attn_implementation": "eager" if compiled else "sdpa"}
    if options.method == "qlora":
        arguments["quantization_config"] = transformers.BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype)
        arguments["device_map"] = {"": "cpu"}
    targets = {"target_modules": "all-linear"}
    if has_experts(options):
        arguments["experts_implementation"] = "grouped_mm"
        targets = {"target_modules": ["q_proj", "k_proj", "v_proj", "o_proj"],
                   "target_parameters": ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]}
    torch.manual_seed(1)
    base = transformers.AutoModelForCausalLM.from_pretrained(options.model, **arguments)
    base.config.use_cache = False
    model = peft.get_peft_model(base, peft.LoraConfig(
        r=options.rank, lora_alpha=2 * options.rank, lora_dropout=0.0, task_type="CAUSAL_LM", **targets,
    ), autocast_adapter_dtype=False).train()
    if options.recompute:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.enable_input_require_grads()
    if compiled:
        for layer in model.get_base_model().model.layers:
            layer.compile()
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=2e-4, weight_decay=0.0, fused=True)
    stream = torch.from_numpy(numpy.fromfile(options.tokens_file, dtype="<i4").astype("int64"))
    seconds, losses, size = [], [], options.seq * options.batch
    for step in range(options.warmup + options.steps):
        ids = stream[step * size : (step + 1) * size].reshape(options.batch, options.seq)
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss = model(input_ids=ids, labels=ids, use_cache=False).loss
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
        seconds.append(time.perf_counter() - start)
    print(json.dumps({
        "tokens_per_second": size / statistics.median(seconds[options.warmup :]), "peak_memory_bytes": status_bytes("VmHWM"),
        "first_loss": losses[0], "threads": torch.get_num_threads(), "torch": torch.__version__, "peft": peft.__version__}))


def configuration(options):
    return json.loads((pathlib.Path(options.model) / "config.json").read_text())


def has_experts(options):
    return any(name in configuration(options) for name in ("num_experts", "num_local_experts", "n_routed_experts"))


def write_tokens(options):
    """The generator of `martlet bench`, or ids of a file, written where both sides read them."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="martlet-peft-")) / "tokens.i32"
    need = options.seq * options.batch * (options.warmup + options.steps)
    import numpy

    if options.tokens_file:
        ids = numpy.fromfile(options.tokens_file, dtype="<i4")
        ids = numpy.resize(ids, need)
    else:
        vocabulary = configuration(options)["vocab_size"]
        ids, x = numpy.empty(need, dtype="<i4"), 1
        for i in range(need):
            x = (1664525 * x + 1013904223) & 0xFFFFFFFF
            ids[i] = (x >> 8) % vocabulary
    ids.astype("<i4").tofile(path)
    return path


def round_of(options, tokens, first):
    """One run of each side."""
    common = ["--model", options.model, "--method", options.method, "--seq", options.seq, "--batch", options.batch,
              "--rank", options.rank, "--steps", options.steps, "--warmup", options.warmup, "--tokens-file", tokens]
    common += ["--recompute"] if options.recompute else []
    ours = lambda: run([options.program, "bench", *map(str, common), "--precision", options.dtype, "--json"])
    environment = {"LD_PRELOAD": options.preload} if options.preload else None
    theirs = lambda: {name: run(
        [sys.executable, __file__, "--peer", name, "--dtype", options.peer_dtype or options.dtype, *map(str, common)], environment)
        for name in options.configurations.split(",")}
    if first == "martlet":
        mine = ours()
        return mine, theirs()
    found = theirs()
    return ours(), found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--program", default=str(ROOT / ".build/release/martlet"))
    parser.add_argument("--method", choices=["lora", "qlora"], default="lora")
    parser.add_argument("--dtype", choices=["bfloat16", "float32"], default="bfloat16")
    parser.add_argument("--peer-dtype", choices=["bfloat16", "float32"], help="that of PEFT, where another is faster there")
    parser.add_argument("--seq", type=int, default=512)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--recompute", action="store_true")
    parser.add_argument("--tokens-file", help="token ids for both sides, 32-bit little-endian")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--attempts", type=int, default=15, help="rounds at most, void ones included")
    parser.add_argument("--load", type=float, default=0.05, help="share of the CPUs that others may use")
    parser.add_argument("--configurations", default="plain,compiled")
    parser.add_argument("--preload", help="library to preload for PEFT, for example libtcmalloc.so.4")
    parser.add_argument("--json", help="file for everything that was measured")
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        return peer(options)
    if options.method == "qlora" and has_experts(options):
        sys.exit("bitsandbytes leaves fused experts in 16 bits: there is no QLoRA of all experts to compare with; use --method lora")
    tokens, rounds, void = write_tokens(options), [], 0
    for attempt in range(options.attempts):
        ours, theirs = round_of(options, tokens, "martlet" if attempt % 2 == 0 else "peft")
        name, best = max(theirs.items(), key=lambda item: item[1]["tokens_per_second"])
        disturbed = max(one["other_cpu"] for one in [ours, *theirs.values()])
        speed = ours["tokens_per_second"] / best["tokens_per_second"]
        memory = ours["peak_memory_bytes"] / best["peak_memory_bytes"]
        files = ours.get("mapped_weight_bytes", 0)
        note = f"void: others used {disturbed:.0%} of the CPUs" if disturbed > options.load else f"{len(rounds) + 1}"
        print(f"{note}: martlet {ours['tokens_per_second']:.1f} tokens/s, {ours['peak_memory_bytes'] / 1e9:.2f} GB; PEFT ({name}) "
              f"{best['tokens_per_second']:.1f}, {best['peak_memory_bytes'] / 1e9:.2f} GB; speed x{speed:.2f}, memory x{memory:.2f} "
              f"(with the {files / 1e9:.2f} GB of weights that ours leaves in the file cache: "
              f"x{(ours['peak_memory_bytes'] + files) / best['peak_memory_bytes']:.2f})", flush=True)
        if disturbed > options.load:
            void += 1
            continue
        rounds.append({"speed": speed, "memory": memory, "martlet": ours, "peft": theirs, "fastest": name})
        if len(rounds) == options.pairs:
            break
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps({"settings": vars(options), "void": void, "rounds": rounds}, indent=1))
    if len(rounds) < options.pairs:
        sys.exit(f"only {len(rounds)} of {options.pairs} rounds were quiet enough ({void} void)")
    median = lambda key: statistics.median(one[key] for one in rounds)
    print(f"median of {len(rounds)}: speed x{median('speed'):.2f}, memory x{median('memory'):.2f}")


main()
