#!/usr/bin/env python3
"""Examines a model on the held-out questions of this data set. Needs Python 3.8 or later and nothing else.

    python3 datasets/product/score.py --model M [--adapter A]

Every question of facts.jsonl is asked on its own, as one user message, and answered greedily (temperature 0, at most
60 tokens). An answer is right if it contains one of the accepted strings. Before the comparison both have letters
folded to one case and every run of white space made one space; no letter or digit may stand directly before the match
and no digit directly after it, so that "23" is not found in "123" or "230", nor "red" in "hundred", but "155 litre" is
found in "155 litres". Nothing else counts: a right string in a wrong
sentence is right, a right answer in other words is wrong. The share is right answers divided by questions.

Prints one line, with --show every wrong answer before it, with --json one JSON object instead. Exit codes: 0 scored,
64 wrong command line, 65 unsuitable facts, 66 a missing file, otherwise that of `martlet generate`.
"""

import argparse
import json
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
MAX_TOKENS = 60


def fail(status, sentence):
    print(f"error: {sentence}", file=sys.stderr)
    sys.exit(status)


class Arguments(argparse.ArgumentParser):
    def error(self, message):
        self.print_usage(sys.stderr)
        fail(64, message)


def normalised(text):
    return " ".join(text.casefold().split())


def contains(answer, accepted):
    """Whether the accepted string stands in the answer: no letter or digit directly before it, no digit after it."""
    pattern = r"(?<![^\W_])" + re.escape(normalised(accepted)) + r"(?!\d)"
    return re.search(pattern, normalised(answer)) is not None


def is_right(answer, accept):
    return any(contains(answer, accepted) for accepted in accept)


def read_facts(path):
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except OSError as error:
        fail(66, f"{path}: cannot be read ({error.strerror})")
    facts = []
    for number, line in enumerate(lines, start=1):
        try:
            fact = json.loads(line)
            sound = isinstance(fact["question"], str) and fact["accept"] and all(
                isinstance(text, str) and text.strip() for text in fact["accept"])
        except (ValueError, KeyError, TypeError):
            sound = False
        if not sound:
            fail(65, f'{path}:{number}: expected an object with "question" and a list "accept" of strings')
        facts.append(fact)
    if not facts:
        fail(65, f"{path}: holds no questions")
    return facts


def ask(options, question):
    command = [options.martlet, "generate", "--json", "--model", options.model, "--temperature", "0",
               "--max-tokens", str(MAX_TOKENS), "--prompt", question]
    if options.adapter:
        command += ["--adapter", options.adapter]
    try:
        result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    except OSError as error:
        fail(66, f"{options.martlet}: cannot be run ({error.strerror}); build it with `swift build -c release`, "
                 "or name it with --martlet")
    if result.returncode != 0:
        fail(result.returncode if result.returncode > 0 else 70, f"`{' '.join(command)}` failed")
    return json.loads(result.stdout)["text"]


def parse_options():
    parser = Arguments(description="Examines a model on the held-out questions about the made-up product.")
    parser.add_argument("--model", required=True, help="Hugging Face folder or .gguf file")
    parser.add_argument("--adapter", help="PEFT adapter folder, for example runs/quickstart/adapter")
    parser.add_argument("--facts", default=os.path.join(HERE, "facts.jsonl"), help="the questions")
    parser.add_argument("--martlet", default=os.path.join(ROOT, ".build", "release", "martlet"), help="the program")
    parser.add_argument("--show", action="store_true", help="print every question that was answered wrongly")
    parser.add_argument("--json", action="store_true", help="print one JSON object with all answers")
    return parser.parse_args()


def main():
    options = parse_options()
    answers = []
    facts = read_facts(options.facts)
    for number, fact in enumerate(facts, start=1):
        if sys.stderr.isatty():
            print(f"\rquestion {number} of {len(facts)}", end="", file=sys.stderr, flush=True)
        answer = ask(options, fact["question"])
        answers.append({"id": fact.get("id", str(number)), "question": fact["question"], "answer": answer,
                        "accept": fact["accept"], "right": is_right(answer, fact["accept"])})
    if sys.stderr.isatty():
        print(file=sys.stderr)
    right = sum(answer["right"] for answer in answers)
    if options.json:
        print(json.dumps({"right": right, "questions": len(answers), "share": right / len(answers),
                          "answers": answers}, ensure_ascii=False))
        return
    for answer in answers:
        if options.show and not answer["right"]:
            print(f"{answer['id']}: {answer['question']}\n    expected {' or '.join(answer['accept'])}\n"
                  f"    got {' '.join(answer['answer'].split())}")
    print(f"{right} of {len(answers)} right, {100 * right / len(answers):.1f} %")


if __name__ == "__main__":
    main()
