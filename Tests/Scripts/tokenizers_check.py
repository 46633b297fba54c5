"""Holds Martlet's tokenizer against the `tokenizers` library on generated strings.

Run in the checkout after `swift build -c release`, with the Python package `tokenizers`:

    python3 Tests/Scripts/tokenizers_check.py [--count N] [--seed S] [--only NAME] FOLDER...

Each FOLDER holds a tokenizer.json. For each of them, for variants of it with other components, and for small models
that the library trains on the spot, N tricky strings must give the same ids with and without special tokens, and the
ids must decode to the same texts; random ids must too.
"""
import argparse, json, os, pathlib, random, subprocess, sys, tempfile

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

PROGRAM = pathlib.Path(os.environ.get("MARTLET", ".build/release/martlet")).resolve()

WORDS = ("the quick brown fox jumps over lazy dogs and then I'm sure they'll don't won't HELLO World iPhone "
         "naïve café Straße ĲSSEL ŉ ﬁne ſo don’t 1st 2nd 3.14159 1,234,567 x=y+2; foo_bar fooBar FooBar __init__ "
         "https://example.com/a?b=c#d user@example.org C++ C# <html> </s> <s> <unk> [INST] <|im_start|> <think> "
         "こんにちは 世界 漢字 カタカナ ｶﾀｶﾅ 한국어 ㄱㄴㄷ 中文分词 Привет мир Ελληνικά שָׁלוֹם مَرْحَبًا हिन्दी ไทย ภาษา বাংলা தமிழ் "
         "👍🏽 👨‍👩‍👧‍👦 🇩🇪🇫🇷 ☕️ 1️⃣ é ñ ạ̈ ǟ Ω Å ﷺ Ⅷ ² ½ ① ٣ ५ ㊀ ㎏ ™ … — – ‘ ’ “ ” ▁ ▁▁a Ġ Ċ").split(" ")
SPACES = [" ", "  ", "   ", "\n", "\n\n", "\r\n", "\t", "\u00a0", "\u2003", "\u3000", "\u200b", "\u2028", "\u0085", "\ufeff"]
MARKS = [chr(c) for c in (*range(0x300, 0x370), 0x483, 0x591, 0x5B0, 0x64B, 0x670, 0x93C, 0x94D, 0x9BC, 0xE31, 0xE38, 0x3099,
                          0x309A, 0x20D0, 0x20DD, 0xFE0F, 0x1D165, 0x1E8D0)]
JAMO = [chr(c) for c in (*range(0x1100, 0x1113), *range(0x1161, 0x1176), *range(0x11A8, 0x11C3))]
BASES = "aeioucnszAEIOUCNSZ가각αωΑΩеиЕИクハかは"
HANGS = ["'s", "'S", "'ſ", "'re", "'LL", "'d", "'", "''", "’s"]


def scalar(rng):
    """A code point of any plane, the denser ones more often."""
    while True:
        c = rng.choice([lambda: rng.randrange(0x20, 0x7F), lambda: rng.randrange(0x250), lambda: rng.randrange(0x3000),
                        lambda: rng.randrange(0x10000), lambda: rng.randrange(0x10000, 0x20000),
                        lambda: rng.randrange(0x20000, 0x33000), lambda: rng.randrange(0xE0000, 0xE0200),
                        lambda: rng.randrange(0x110000)])()
        if c and not 0xD800 <= c <= 0xDFFF:
            return chr(c)


def piece(rng):
    kind = rng.randrange(16)
    if kind < 5: return rng.choice(WORDS)
    if kind < 7: return rng.choice(SPACES) * rng.choice([1, 1, 1, 2, 3, 7])
    if kind == 7: return " " * rng.randrange(1, 40)
    if kind == 8: return "".join(scalar(rng) for _ in range(rng.randrange(1, 8)))
    if kind == 9: return rng.choice(BASES) + "".join(rng.choice(MARKS) for _ in range(rng.randrange(1, 5)))
    if kind == 10: return "".join(rng.choice(JAMO) for _ in range(rng.randrange(1, 5)))
    if kind == 11: return rng.choice(["0", "9", "٣", "5"]) * rng.randrange(1, 12)
    if kind == 12: return rng.choice(HANGS) + rng.choice(["", " ", "x"])
    if kind == 13: return rng.choice("!?.,;:-_/\\\"#$%&()*+<=>@[]^`{|}~") * rng.randrange(1, 5)
    if kind == 14: return rng.choice(["\n", "\r\n", "\r", "\n "]) * rng.randrange(1, 6)
    return "".join(chr(rng.choice([*range(1, 0x20), 0x7F, *range(0x80, 0xA0)])) for _ in range(rng.randrange(1, 4)))


def strings(rng, count, added):
    out = ["", " ", "  ", "\n", "▁", "▁ ", " ▁"]
    block = 0
    while len(out) < count:
        if len(out) % 4 == 0:  # Every assigned block in turn, neighbours side by side.
            chars = [c for c in range(block, block + 64) if c and not 0xD800 <= c <= 0xDFFF]
            out.append("a" + "".join(map(chr, chars)) + " " + " ".join(map(chr, chars[::5])))
            block = (block + 64) % 0x33000
            continue
        parts = [piece(rng) if not added or rng.random() < 0.93 else rng.choice(added) for _ in range(rng.randrange(1, 14))]
        out.append(rng.choice(["", "", " "]).join(parts))
    return out[:count]


def corpus(rng, lines):
    return [" ".join(rng.choice(WORDS) for _ in range(12)) for _ in range(lines)]


def variants(name, base):
    """The tokenizer itself and copies of it with other components."""
    yield name, base
    file = json.loads(base)
    kind = file["model"]["type"]

    def with_(label, **changes):
        copy = json.loads(base)
        for key, value in changes.items():
            copy[key] = value
        return f"{name}/{label}", json.dumps(copy, ensure_ascii=False)

    regexes = {
        "o200k": r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
                 r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
                 r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        "tekken": r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|"
                  r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| "
                  r"?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        "llama3": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        "cl100k": r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+",
        "qwen2": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        "qwen35": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        "gpt2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
        # No scanner is written for these.
        "words": r"\w+|[^\w\s]+", "digits": r"\d{1,2}|\b", "coder": r"\s?\p{L}+|\s?\p{P}+|[一-龥]+",
    }
    deepseek = [r"\p{N}{1,3}", "[一-龥\u3040-ゟ゠-ヿ]+",
                "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|"
                " ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"]

    def split(pattern, behavior="Isolated", invert=False, literal=False):
        return {"type": "Split", "pattern": {"String" if literal else "Regex": pattern}, "behavior": behavior, "invert": invert}

    def level(prefix=False, regex=False):
        return {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": True, "use_regex": regex}

    def sequence(*steps):
        return {"type": "Sequence", "pretokenizers": list(steps)}

    def metaspace(scheme, splits):
        return {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": splits}

    is_bytes = "ByteLevel" in json.dumps(file["pre_tokenizer"])
    last = [level()] if is_bytes else []
    for label, pattern in regexes.items():
        yield with_("split-" + label, pre_tokenizer=sequence(split(pattern), *last))
    yield with_("split-deepseek", pre_tokenizer=sequence(*map(split, deepseek), *last))
    for behavior in ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"):
        for invert in (False, True):
            pattern = split(r"\s+" if invert else r"[aeiou]", behavior, invert)
            yield with_(f"{behavior}-{invert}", pre_tokenizer=sequence(pattern, *last))
        yield with_(f"literal-{behavior}", pre_tokenizer=sequence(split(" ", behavior, literal=True), *last))
        yield with_(f"punctuation-{behavior}", pre_tokenizer=sequence({"type": "Punctuation", "behavior": behavior}, *last))
    for step in ({"type": "Whitespace"}, {"type": "WhitespaceSplit"}, {"type": "BertPreTokenizer"},
                 {"type": "Digits", "individual_digits": True}, {"type": "Digits", "individual_digits": False},
                 {"type": "CharDelimiterSplit", "delimiter": "é"}):
        yield with_(json.dumps(step), pre_tokenizer=sequence(step, *last))
    for scheme in ("always", "first", "never"):
        for splits in (False, True):
            yield with_(f"metaspace-{scheme}-{splits}", normalizer=None, pre_tokenizer=metaspace(scheme, splits),
                        decoder=metaspace(scheme, splits))
            yield with_(f"split-metaspace-{scheme}-{splits}", pre_tokenizer=sequence({"type": "Digits", "individual_digits": True}, metaspace(scheme, splits)))
            yield with_(f"strip-metaspace-{scheme}-{splits}", normalizer={"type": "Strip", "strip_left": True, "strip_right": False},
                        pre_tokenizer=metaspace(scheme, splits))
    yield with_("bytes-early", pre_tokenizer=sequence(level(True, True), {"type": "Punctuation", "behavior": "Isolated"}))
    forms = [{"type": t} for t in ("NFC", "NFD", "NFKC", "NFKD", "Nmt", "Lowercase", "StripAccents", "ByteLevel")]
    forms += [{"type": "Strip", "strip_left": l, "strip_right": r} for l, r in ((True, True), (True, False), (False, True))]
    forms += [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
              {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
              {"type": "Replace", "pattern": {"Regex": r"[0-9]+\s*"}, "content": "#"},
              {"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "StripAccents"}, {"type": "Lowercase"}, {"type": "NFC"}]}]
    for clean in (True, False):
        for chinese in (True, False):
            for accents in (True, False, None):
                forms.append({"type": "BertNormalizer", "clean_text": clean, "handle_chinese_chars": chinese,
                              "strip_accents": accents, "lowercase": chinese != clean})
    for form in forms:
        yield with_("normalizer-" + json.dumps(form)[:110], normalizer=form)
    parts = [{"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0},
             {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "Replace", "pattern": {"Regex": "[ae]+"}, "content": "_"},
             {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
             {"type": "BPEDecoder", "suffix": "e"}, {"type": "WordPiece", "prefix": "##", "cleanup": True}, {"type": "WordPiece", "prefix": "a", "cleanup": False}]
    rng = random.Random(3)
    for part in parts:
        yield with_("decoder-" + json.dumps(part), decoder=part)
    for number in range(8):
        steps = rng.sample([p for p in parts if p["type"] != "BPEDecoder"], 3)
        yield with_(f"decoders-{number}-" + "+".join(s["type"] for s in steps), decoder={"type": "Sequence", "decoders": steps})
    if "Unigram" == kind:
        yield with_("byte-fallback", model={**file["model"], "byte_fallback": True, "vocab": file["model"]["vocab"] + [[f"<0x{b:02X}>", 0.0] for b in range(256)]},
                    added_tokens=[], post_processor=None)
        yield with_("some-bytes", model={**file["model"], "byte_fallback": True, "vocab": file["model"]["vocab"] + [[f"<0x{b:02X}>", 0.0] for b in range(0, 256, 3)]},
                    added_tokens=[], post_processor=None)
    if "BPE" == kind:
        for label, change in {"no-fallback": {"byte_fallback": False}, "no-fuse": {"byte_fallback": False, "fuse_unk": False},
                              "ignore": {"ignore_merges": True}}.items():
            yield with_("model-" + label, model={**file["model"], **change})
        vocab = {t: i for i, t in enumerate(t for t in file["model"]["vocab"] if not (t.startswith("<0x") and int(t[3:5], 16) % 3 == 0))}
        yield with_("some-bytes", model={**file["model"], "vocab": vocab}, added_tokens=[], post_processor=None)
    ids = [t["id"] for t in file["added_tokens"][:2]] * 2
    if ids:
        pair = {"sep": ["x", ids[0]], "cls": ["y", ids[1]]}
        yield with_("bert", post_processor={"type": "BertProcessing", **pair})
        yield with_("roberta", post_processor={"type": "Sequence", "processors": [
            {"type": "RobertaProcessing", **pair, "trim_offsets": True, "add_prefix_space": True}, {"type": "BertProcessing", **pair}]})
    extra = []
    next_id = Tokenizer.from_str(base).get_vocab_size()
    for number in range(16):
        bits = [bool(number >> b & 1) for b in range(4)]
        content = ["Ünder", "zz", "▁mid", "end ", " x", "CAFÉ", "é", "\n"][number % 8] + str(number)
        extra.append({"id": next_id + number, "content": content, "single_word": bits[0], "lstrip": bits[1], "rstrip": bits[2],
                      "normalized": bits[3], "special": number % 3 == 0})
    yield with_("added", added_tokens=file["added_tokens"] + extra)
    yield with_("added-lower", added_tokens=file["added_tokens"] + extra,
                normalizer={"type": "Sequence", "normalizers": [{"type": "Lowercase"}, {"type": "NFD"}]})
    yield with_("added-prepend", added_tokens=file["added_tokens"] + extra, normalizer={"type": "Prepend", "prepend": "▁"})


def trained(rng):
    """Small models that the library trains."""
    lines = corpus(rng, 3000)
    for seed in range(3):
        unigram = Tokenizer(models.Unigram())
        unigram.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
        unigram.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=["always", "never", "first"][seed], split=seed != 1)
        unigram.decoder = decoders.Metaspace()
        unigram.train_from_iterator(lines[seed * 900:], trainers.UnigramTrainer(vocab_size=400 + 300 * seed, unk_token="<unk>", special_tokens=["<unk>", "<s>"], show_progress=False))
        yield f"unigram-{seed}", unigram.to_str()
    for label, options in {"suffix": {"end_of_word_suffix": "</w>"}, "prefix": {"continuing_subword_prefix": "##"},
                           "both": {"end_of_word_suffix": "</w>", "continuing_subword_prefix": "##"}, "plain": {}}.items():
        bpe = Tokenizer(models.BPE(unk_token="[UNK]", fuse_unk=label == "both", **options))
        bpe.pre_tokenizer = pre_tokenizers.Whitespace() if options else None
        bpe.decoder = decoders.BPEDecoder()
        bpe.train_from_iterator(lines[:1500], trainers.BpeTrainer(vocab_size=900, special_tokens=["[UNK]"], show_progress=False, **options))
        yield f"bpe-{label}", bpe.to_str()
    piece = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=12))
    piece.normalizer, piece.pre_tokenizer, piece.decoder = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer(), decoders.WordPiece()
    piece.train_from_iterator(lines, trainers.WordPieceTrainer(vocab_size=700, special_tokens=["[UNK]", "[CLS]", "[SEP]"], show_progress=False))
    piece.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)])
    yield "wordpiece", piece.to_str()
    level = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    level.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    level.train_from_iterator(lines, trainers.WordLevelTrainer(vocab_size=90, special_tokens=["[UNK]"], show_progress=False))
    yield "wordlevel", level.to_str()


def ours(folder, records, *options):
    """What `martlet tokenize` prints for records with "text" or "ids"; an error message instead of failing."""
    source = folder / "in.jsonl"
    source.write_text("".join(json.dumps(r) + "\n" for r in records))
    run = subprocess.run([PROGRAM, "tokenize", "--model", folder, source, "--json", *options], capture_output=True, text=True)
    if run.returncode:
        return None, f"martlet exited {run.returncode}: {run.stderr.strip()[-300:]}"
    return [json.loads(line) for line in run.stdout.split("\n") if line], ""


class Comparison:
    def __init__(self, name, text, args):
        self.name, self.args, self.total, self.wrong, self.first = name, args, 0, 0, ""
        try:
            self.reference = Tokenizer.from_str(text)
        except BaseException as error:
            return print(f"  skipped {name}: the library refuses it ({str(error)[:80]})")
        with tempfile.TemporaryDirectory(prefix="martlet-tokenizers-") as folder:
            (pathlib.Path(folder) / "tokenizer.json").write_text(text)
            self.run(pathlib.Path(folder))
        if self.wrong or args.verbose:
            print(f"  {name}: {self.wrong} of {self.total} differ" + (f"; first: {self.first}" if self.first else ""), flush=True)

    def count(self, what, got, want):
        self.total += 1
        if got != want:
            self.wrong += 1
            self.first = self.first or f"{what!r}\n      got  {got!r}\n      want {want!r}"

    def run(self, folder):
        rng = random.Random(self.args.seed * 1000003 + sum(map(ord, self.name)))
        reference = self.reference
        texts = strings(rng, self.args.count, [t.content for t in reference.get_added_tokens_decoder().values()])
        sequences = [[rng.randrange(reference.get_vocab_size() + 3) for _ in range(rng.randrange(12))] for _ in texts[::4]]
        for special, options in ((True, []), (False, ["--no-special"])):
            wanted = []
            for text in texts:
                try:
                    wanted.append((text, reference.encode(text, add_special_tokens=special).ids))
                except BaseException:  # Some inputs make the library fail.
                    continue
            got, error = ours(folder, [{"text": text} for text, _ in wanted], *options)
            if got is None:
                return self.count("encoding", error, "")
            for (text, ids), record in zip(wanted, got):
                self.count(text, record["ids"], ids)
            decoded = []
            for ids in [ids for _, ids in wanted] + sequences:
                try:
                    decoded.append((ids, reference.decode(ids, skip_special_tokens=not special)))
                except BaseException:
                    continue
            got, error = ours(folder, [{"ids": ids} for ids, _ in decoded], *options)
            if got is None:
                return self.count("decoding", error, "")
            for (ids, text), record in zip(decoded, got):
                self.count(ids, record["text"], text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=400, help="strings per tokenizer")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="variants whose name contains this")
    parser.add_argument("--plain", action="store_true", help="no variants, no trained models")
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args()
    files = [(f.name, (f / "tokenizer.json").read_text()) for f in args.folders]
    if not args.plain:
        files += list(trained(random.Random(args.seed)))
    total = wrong = count = 0
    for name, text in files:
        for label, changed in variants(name, text) if not args.plain else [(name, text)]:
            if args.only not in label: continue
            result = Comparison(label, changed, args)
            total, wrong, count = total + result.total, wrong + result.wrong, count + (result.total > 0)
    print(f"{total - wrong} of {total} comparisons equal, {count} tokenizers")
    sys.exit(1 if wrong or not total else 0)


if __name__ == "__main__":
    main()
