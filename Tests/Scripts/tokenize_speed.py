#!/usr/bin/env python3
"""Tokenises the same chat data with martlet and with Hugging Face's tokenizers, alternately, on one core each.

    python3 Tests/Scripts/tokenize_speed.py [--tokenizer FOLDER] [--data FILE] [--megabytes 100] [--rounds 3]

Needs the Python package tokenizers; MARTLET names the program (else .build/release/martlet). Both read the lines, parse
their JSON and encode the content of every message without special tokens; both must count the same tokens. What a run
on a single record takes (starting, reading the tokenizer) is measured apart and taken off. Speeds are by processor time
and by wall time; memory is the peak resident set of the whole process.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PEER = """
import json, sys
from tokenizers import Tokenizer
tokenizer = Tokenizer.from_file(sys.argv[1] + "/tokenizer.json")
encode = getattr(tokenizer, "encode_batch_fast", tokenizer.encode_batch)
tokens, batch = 0, []
def flush():
    global tokens, batch
    tokens += sum(len(encoding.ids) for encoding in encode(batch, add_special_tokens=False))
    batch = []
with open(sys.argv[2], encoding="utf-8") as file:
    for line in file:
        batch += [message["content"] for message in json.loads(line)["messages"]]
        if len(batch) >= 1000: flush()
flush()
print(json.dumps({"tokens": tokens}))
"""


def run(command):
    """Runs on one core: tokens, processor seconds, wall seconds, peak memory in bytes."""
    core = sorted(os.sched_getaffinity(0))[-1]
    environment = dict(os.environ, TOKENIZERS_PARALLELISM="false", RAYON_NUM_THREADS="1", OMP_NUM_THREADS="1")
    start = time.monotonic()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, env=environment, preexec_fn=lambda: os.sched_setaffinity(0, {core}))
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"{command[0]} ended with status {status}")
    wall = time.monotonic() - start
    return json.loads(output)["tokens"], usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss * 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tokenizer", default=f"{ROOT}/Tests/TokenizationTests/Fixtures/tokenizers/smollm2")
    parser.add_argument("--data")
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    program = os.environ.get("MARTLET", f"{ROOT}/.build/release/martlet")
    with tempfile.TemporaryDirectory() as folder:
        data, single = options.data or f"{folder}/data.jsonl", f"{folder}/single.jsonl"
        if not options.data:
            subprocess.run(
                [sys.executable, f"{ROOT}/Tests/Scripts/generate_dialogues.py", data, "--bytes",
                 str(options.megabytes * 1_000_000)], check=True)
        with open(data, "rb") as file, open(single, "wb") as first:
            first.write(file.readline())
        size = os.path.getsize(data)
        sides = {
            "martlet": lambda path: [program, "tokenize", "--model", options.tokenizer, "--count", "--no-special", "--json", path],
            "tokenizers": lambda path: [sys.executable, "-c", PEER, options.tokenizer, path],
        }
        best = {}
        for number in range(options.rounds):
            for name, command in sides.items():
                start, whole = run(command(single)), run(command(data))
                speeds = [size / 1e6 / (whole[kind] - start[kind]) for kind in (1, 2)]
                print(f"round {number + 1}  {name:<11} {speeds[0]:7.2f} MB/s by processor, {speeds[1]:7.2f} by wall, "
                      f"start {start[1]:.2f} s, peak {whole[3] / 1e6:.0f} MB ({start[3] / 1e6:.0f} on one record), "
                      f"{whole[0]} tokens", flush=True)
                before = best.setdefault(name, [whole[0], 0, 0, whole[3]])
                best[name] = [whole[0], max(before[1], speeds[0]), max(before[2], speeds[1]), max(before[3], whole[3])]
        ours, theirs = best["martlet"], best["tokenizers"]
        print(f"martlet is {ours[1] / theirs[1]:.2f} times as fast by processor time, {ours[2] / theirs[2]:.2f} by wall "
              f"(best of {options.rounds}); peak memory {ours[3] / 1e6:.0f} MB against {theirs[3] / 1e6:.0f} MB")
        if ours[0] != theirs[0]:
            sys.exit(f"the numbers of tokens differ: {ours[0]} and {theirs[0]}")


if __name__ == "__main__":
    main()
