#!/usr/bin/env python3
"""Writes chat data of any size: python3 Tests/Scripts/generate_dialogues.py OUTPUT.jsonl [--records N | --bytes N]

Dialogues of two to six messages of invented prose with numbers, code, names and other scripts; the same seed gives the
same file. Two million of them are about 2 GB.
"""
import argparse
import json
import random

WORDS = (
    "the a of to in and is that it for on with as are this be by an or from at which can has will not all one more when "
    "their there about into than then them these some would other were have been its only also after use two how our "
    "first time like may new people over such between where state system used many each number part made through most "
    "while data order group process result value system model training memory language question answer example function "
    "parameter gradient tokenizer checkpoint evaluation delivery invoice customer warranty thunderstorm archaeology "
    "photosynthesis jurisdiction counterexample Strasbourg naïve café Übergang señor résumé").split()
OTHER = ["東京は日本の首都です。", "Привет, как дела?", "שלום עולם", "안녕하세요", "🎉👍🏽", "∑ᵢ xᵢ² ≤ ε", "مرحبا بالعالم"]
CODE = ["def f(x):\n    return x ** 2\n", "for (int i = 0; i < n; i++) {\n\tsum += a[i];\n}", "SELECT id, name FROM t WHERE x > 3;",
        '{"key": [1, 2.5, null]}', "https://example.org/a/b?c=d&e=%20f"]


SYLLABLES = "an ter con ma ri de lo ta vi ne pro sa tion er ing ou mi ka be re su fo li ver com per est al ad ex gra phy".split()


def paragraphs(random, count):
    """Texts, JSON-escaped: common words, and among them rarer ones from a long list, as in prose."""
    rare = ["".join(random.choices(SYLLABLES, k=random.randint(2, 5))) for _ in range(50_000)]
    made = []
    for _ in range(count):
        sentences = []
        for _ in range(random.randint(1, 5)):
            words = random.choices(WORDS, k=random.randint(4, 24))
            words = [rare[int(len(rare) * random.random() ** 3)] if random.random() < 0.2 else word for word in words]
            kind = random.random()
            if kind < 0.25:
                words.insert(random.randrange(len(words)), str(random.randint(0, 10 ** random.randint(1, 7))))
            elif kind < 0.29:
                words.append(random.choice(OTHER))
            sentences.append(" ".join(words).capitalize() + random.choice([".", ".", ".", "?", "!", ":"]))
        text = " ".join(sentences)
        if random.random() < 0.06:
            text += "\n\n```\n" + random.choice(CODE) + "\n```\n"
        made.append(json.dumps(text, ensure_ascii=False)[1:-1])
    return made


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("output")
    parser.add_argument("--records", type=int)
    parser.add_argument("--bytes", type=int)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    source = random.Random(options.seed)
    # Dialogues are put together from a stock of paragraphs, with a number of their own so that no two are the same.
    stock = paragraphs(source, 40_000)
    records, written = 0, 0
    with open(options.output, "w", encoding="utf-8", newline="\n") as file:
        while (records < options.records) if options.records else (written < (options.bytes or 100_000_000)):
            lines = []
            for _ in range(1000 if not options.records else min(1000, options.records - records)):
                messages = []
                for turn in range(source.randint(1, 3)):
                    question, answer = source.choices(stock, k=2)
                    messages.append('{"role": "user", "content": "%s (%d)"}' % (question, records))
                    messages.append('{"role": "assistant", "content": "%s"}' % answer)
                lines.append('{"messages": [' + ", ".join(messages) + "]}\n")
                records += 1
            text = "".join(lines)
            written += len(text.encode())
            file.write(text)
    print(f"{records} dialogues, {written} bytes")


if __name__ == "__main__":
    main()
