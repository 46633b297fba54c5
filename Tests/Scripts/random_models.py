#!/usr/bin/env python3
"""Holds Martlet against transformers and PEFT on tiny random models of every architecture that it reads.

    random_models.py [--seed N] [--count N] [--family NAME …] [--program PROGRAM] [--keep FOLDER]

Needs torch, transformers, peft, safetensors. Each seed makes one model: its options are drawn from those that checkpoints
of the family use (random_model_options.py), and so are the element type, shards, and the way `config.json` is spelt. What
transformers reads from the folder is the reference, in float32 with eager attention. Compared are
1. the loss of all, of some, and of longer sequences, which windows, chunks and stretched rotations reach; greedy ids;
2. the loss with a PEFT adapter, and the gradient of each of its tensors, which one step of Adam with a large epsilon shows;
3. the adapter after that step, read by PEFT;
4. the logits of the model into which `martlet merge` folded the adapter, read by transformers.
One line per model says what was drawn. `refused` is an error where transformers goes on: it counts as a failure unless
its sentence is one of REFUSALS. Exit code 1 when something falls short; --keep keeps the folders of those.
"""
import argparse, copy, json, math, pathlib, random, shutil, subprocess, sys, tempfile, warnings
from unittest import mock
import peft, torch, transformers
from peft.utils import transformers_weight_conversion as weight_conversion
from safetensors.torch import load_file, save_file
from random_model_options import FAMILIES, spelled

warnings.filterwarnings("ignore")
transformers.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
torch.set_num_threads(1)

# What Martlet does not do, and says so.
REFUSALS = []
RECIPE = """model:
  path: {base}
adapter:
  method: lora
  path: {adapter}
data:
  train:
    - path: {data}
      format: tokens
  shuffle: false
  packing: false
training:
  steps: 1
  micro_batch_size: 2
  gradient_accumulation_steps: 1
  learning_rate: {rate}
  epsilon: {epsilon}
  schedule: constant
  warmup_ratio: 0
  weight_decay: 0
  max_grad_norm: 0
  precision: float32
output:
  directory: {run}
"""
EPSILON, RATE = 1e4, 1e5


class Refused(Exception):
    """Martlet went no further; the text is its message."""


class Unusable(Exception):
    """transformers cannot read the checkpoint either, or not all of it."""


def martlet(program, *arguments):
    result = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)
    if result.returncode != 0:
        raise Refused(f"{arguments[0]} ({result.returncode}): {(result.stderr.strip().splitlines() or ['no message'])[-1]}")
    return result.stdout


def load(folder):
    """The model as transformers reads it, when it finds every tensor in the shape that it expects, and can compute."""
    try:
        model, report = transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager", experts_implementation="eager", output_loading_info=True)
        with torch.no_grad():
            if not model(torch.arange(3, 20)[None]).logits.isfinite().all():
                raise Unusable("logits are not numbers")
    except Exception as error:
        raise Unusable(f"{type(error).__name__}: {str(error)[:120]}") from error
    left = {key: sorted(map(str, value))[:2] for key, value in report.items() if value}
    if left:
        raise Unusable(str(left)[:200])
    return model.eval()


def randomize(model, seed):
    """Weights of a size at which every part of the network matters; no norm is an identity."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in list(model.named_parameters()) + list(model.named_buffers()):
        if "inv_freq" in name or name.endswith("embed_scale") or not value.is_floating_point():
            continue
        noise = torch.randn(value.shape, generator=generator)
        if "norm" in name:
            center = 0.0 if model.config.model_type == "gemma3_text" else 1.0
            noise = center + 0.25 * noise
        elif name.endswith("e_score_correction_bias"):
            noise = 0.2 * noise
        elif value.dim() == 1 or name.endswith("_bias"):
            noise = 0.5 * noise
        elif "embed_tokens" not in name and "lm_head" not in name:
            width = value.shape[-1]
            noise = noise * (1.6 if "q_" in name or "k_" in name or "qkv" in name else 1.0) / math.sqrt(width)
        else:
            noise = noise * 0.4
        with torch.no_grad():
            value.copy_(noise)


def write(r, model, folder, config_text):
    """The checkpoint in one of the forms that they have; returns words for what is special."""
    kind = r.choice(["float32", "bfloat16", "float16"])
    plain = r.random() < 0.85
    model.to(getattr(torch, kind))
    model.save_pretrained(folder, save_original_format=plain)
    words = [kind] + ([] if plain else ["as transformers 5 names tensors"])
    tensors = {}
    for file in folder.glob("*.safetensors*"):
        if file.suffix == ".safetensors":
            tensors.update(load_file(file))
        file.unlink()
    for name in [n for n in tensors if n.endswith("e_score_correction_bias")]:
        tensors[name] = tensors[name].float()
    embedding = tensors.get("model.embed_tokens.weight")
    if "lm_head.weight" not in tensors and r.random() < 0.4:
        same = r.random() < 0.7
        tensors["lm_head.weight"] = embedding.clone() if same else embedding.flip(0)
        words.append("head stored" if same else "another head stored")
    if model.config.model_type in ("llama", "mistral", "mixtral") and r.random() < 0.3:
        for layer in range(model.config.num_hidden_layers):
            tensors[f"model.layers.{layer}.self_attn.rotary_emb.inv_freq"] = torch.rand(4)
        words.append("inv_freq")
    shards = r.choice([1, 1, 2, 3])
    if shards == 1:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    else:
        words.append(f"{shards} shards")
        place = {name: f"model-{r.randint(1, shards):05}-of-{shards:05}.safetensors" for name in sorted(tensors)}
        for file in set(place.values()):
            save_file({n: t for n, t in tensors.items() if place[n] == file}, folder / file, metadata={"format": "pt"})
        (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": place}))
    (folder / "config.json").write_text(config_text)
    return words


def make(r, seed, family, folder):
    """A checkpoint that transformers reads; the words that describe it and the model."""
    for _ in range(30):
        options = FAMILIES[family](r)
        try:
            ends = dict(pad_token_id=None, bos_token_id=1, eos_token_id=2)
            config = transformers.AutoConfig.for_model(family, **json.loads(json.dumps(options)), **ends)
            model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")
        except Exception as error:
            print(f"     drawn again: {type(error).__name__}: {str(error)[:100]}")
            continue
        randomize(model, seed)
        text = config.to_dict() | {"architectures": [type(model).__name__], "dtype": "float32"}
        text.pop("_name_or_path", None)
        if family == "gemma3_text" and "layer_types" not in options:
            text.pop("layer_types", None)
        text = {k: v for k, v in text.items() if not k.startswith("_")}
        fields = {k: f.default for k, f in type(config).__dataclass_fields__.items()} | {"rope_theta": type(config).default_theta}
        spelling, words = spelled(r, text, fields)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        words += write(r, model, folder, json.dumps(spelling, indent=1))
        try:
            return options, words, load(folder)
        except Unusable as error:
            (folder / "config.json").write_text(json.dumps(text, indent=1))
            try:
                return options, [f"spelt plainly ({error})"] + words[-3:], load(folder)
            except Unusable as again:
                print(f"     drawn again: {again}")
    raise SystemExit(f"seed {seed}: nothing that transformers reads")


def dataset(path, ids, labels=None):
    rows = [{"input_ids": row.tolist(), "labels": (row if labels is None else labels[k]).tolist()} for k, row in enumerate(ids)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def loss_of(model, ids, labels=None):
    return model(input_ids=ids, labels=ids if labels is None else labels).loss


def exact_gradients(adapted, ids):
    """The gradients of an adapter with as many operations as possible in float64."""
    double = copy.deepcopy(adapted).double()
    double.zero_grad()
    loss_of(double, ids).backward()
    return {n.replace(".default", ""): p.grad for n, p in double.named_parameters() if p.grad is not None}


class Comparison:
    """The parts of one model's check; `failures` are sentences."""

    def __init__(self, program, folder, work, r):
        self.program, self.folder, self.work, self.r, self.failures = program, folder, work, r, []

    def check(self, what, found, expected, tolerance):
        if not abs(found - expected) <= tolerance:
            self.failures.append(f"{what}: {found:.6g}, expected {expected:.6g} within {tolerance:g}")

    def evaluate(self, data, *extra, model=None):
        text = martlet(self.program, "eval", "--model", model or self.folder, *extra, "--data", data, "--json", "--precision", "float32")
        return json.loads(text)["loss"]

    def base(self, model, ids, long):
        with torch.no_grad():
            for name, tokens in [("loss", ids), ("masked loss", ids), ("long loss", long)]:
                labels = tokens.clone()
                if name == "masked loss":
                    labels[torch.rand(labels.shape) < 0.7] = -100
                data = dataset(self.work / "data.jsonl", tokens, labels)
                # A stretched rotation follows each sequence's own length, so sequences of one length go together.
                expected = float(loss_of(model, tokens, labels))
                self.check(name, self.evaluate(data), expected, 2e-5 * max(1, expected / 6))

    def greedy(self, model, ids):
        prompt, expected = ids[0, :9].tolist(), []
        with torch.no_grad():
            for _ in range(12):
                best = model(torch.tensor([prompt + expected])).logits[0, -1].topk(2)
                if best.values[0] - best.values[1] < 1e-3:
                    break
                expected.append(int(best.indices[0]))
        if expected:
            text = martlet(self.program, "generate", "--model", self.folder, "--prompt-ids", ",".join(map(str, prompt)), "--max-tokens",
                           len(expected), "--temperature", 0, "--ignore-eos", "--json", "--precision", "float32")
            if json.loads(text)["ids"] != expected:
                self.failures.append(f"greedy: {json.loads(text)['ids']}, expected {expected}")

    def adapted(self, model, ids):
        """A PEFT adapter on some of the linear layers, perhaps on the experts too."""
        r = self.r
        leaves = {n.rsplit(".", 1)[-1] for n, m in model.named_modules() if isinstance(m, torch.nn.Linear)} - {"lm_head", "router", "gate"}
        names = sorted(leaves) if r.random() < 0.5 else r.sample(sorted(leaves), r.randint(1, len(leaves)))
        # PEFT takes these names for the experts' on transformers 5, and loses those of other parts: so it is kept from that.
        own = model.config.model_type in ("qwen3_moe", "deepseek_v3") and any(n in ("gate_proj", "up_proj", "down_proj") for n in names)
        self.readable, parameters = not own, None
        if any(".experts.gate_up_proj" in n for n, _ in model.named_parameters()) and r.random() < 0.6:
            place = "feed_forward" if model.config.model_type == "llama4_text" else "mlp"
            parameters = [f"{place}.experts.{name}" for name in r.choice([["gate_up_proj", "down_proj"], ["gate_up_proj"], ["down_proj"]])]
        config = peft.LoraConfig(r=r.choice([2, 4, 5]), lora_alpha=r.choice([3, 8]), target_modules=names, target_parameters=parameters,
                                 lora_dropout=0.0, task_type="CAUSAL_LM")
        with mock.patch.dict(weight_conversion._MOE_TARGET_MODULE_MAPPING, clear=own):
            adapted = peft.get_peft_model(model, config)
        generator = torch.Generator().manual_seed(r.randint(0, 1 << 30))
        for name, value in adapted.named_parameters():
            if "lora_" in name:
                value.data = torch.randn(value.shape, generator=generator) * 0.15
        adapted.save_pretrained(self.work / "adapter")
        return adapted.eval(), ["+".join(n.removesuffix("_proj") for n in names)] + (parameters or [])

    def gradients(self, adapted, ids, expected):
        data = dataset(self.work / "data.jsonl", ids)
        loss = loss_of(adapted, ids)
        loss.backward()
        self.check("adapter loss", self.evaluate(data, "--adapter", self.work / "adapter"), float(loss), 2e-5 * max(1, float(loss) / 6))
        recipe, run = self.work / "recipe.yaml", self.work / "run"
        recipe.write_text(RECIPE.format(base=self.folder, adapter=self.work / "adapter", data=data, run=run, rate=RATE, epsilon=EPSILON))
        martlet(self.program, "train", recipe)
        before, after = (load_file(p / "adapter_model.safetensors") for p in (self.work / "adapter", run / "adapter"))
        if before.keys() != after.keys():
            self.failures.append(f"trained adapter has other keys: {sorted(before.keys() ^ after.keys())[:3]}")
            return
        gradients = {n.replace(".default", ""): p.grad for n, p in adapted.named_parameters() if p.grad is not None}
        total = math.sqrt(sum(float(g.square().sum()) for g in gradients.values()))
        exact = exact_gradients(adapted, ids)
        for name, start in before.items():
            wanted, size = gradients[name], max(float(gradients[name].norm()), 2e-3 * total)
            # Adam's first step is rate · g / (|g| + epsilon).
            step = (start.double() - after[name].double()) / RATE
            found = step * EPSILON / (1 - step.abs())
            # Some networks turn the last bit of a float into more: as much as they do for transformers is allowed.
            noise = float((exact[name] - wanted).norm()) / size
            self.check(f"gradient of {name}", float((found - wanted).norm()) / size, 0, max(2e-4, 10 * noise))
        if not self.readable:
            return
        fresh = peft.PeftModel.from_pretrained(load(self.folder), run / "adapter").eval()
        with torch.no_grad():
            theirs = float(loss_of(fresh, ids))
        self.check("PEFT with the trained adapter", self.evaluate(data, "--adapter", run / "adapter"), theirs, 5e-5 * max(1, theirs))

    def merged(self, adapted, ids):
        target = self.work / "merged"
        martlet(self.program, "merge", "--model", self.folder, "--adapter", self.work / "adapter", "--output", target, "--dtype", "float32")
        with torch.no_grad():
            try:
                found, expected = load(target)(ids).logits, adapted(ids).logits
            except Unusable as error:
                self.failures.append(f"transformers does not read the merged model: {error}")
                return
        self.check("logits of the merged model", float((found - expected).abs().max()), 0, 1e-4 * max(1, float(expected.abs().max())))


def run(program, seed, families, work):
    """(line, failures, refusal) of one seed."""
    r = random.Random(seed)
    torch.manual_seed(seed)
    family = r.choice(families)
    options, words, model = make(r, seed, family, work / "base")
    ids = torch.randint(3, options["vocab_size"], (2, 40))
    long = torch.randint(3, options["vocab_size"], (1, 96))
    comparison, refusal, extra = Comparison(program, work / "base", work, r), None, []
    try:
        comparison.base(model, ids, long)
        comparison.greedy(model, ids)
        adapted, extra = comparison.adapted(load(work / "base"), ids)
        comparison.gradients(adapted, ids, None)
        comparison.merged(adapted, ids)
    except Refused as error:
        refusal = str(error)
    shown = {k: v for k, v in options.items() if k not in ("vocab_size", "intermediate_size")}
    rope = shown.get("rope_parameters", {})
    shown["rope_parameters"] = {k: v if not isinstance(v, list) else "…" for k, v in rope.items()}
    line = f"{seed} {family} {json.dumps(shown, ensure_ascii=False)} | {', '.join(words)} | {' '.join(extra)}"
    return line, comparison.failures, refusal


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1, help="of the first model")
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--family", nargs="*", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument("--program", default=str(pathlib.Path(__file__).resolve().parents[2] / ".build/release/martlet"))
    parser.add_argument("--keep", type=pathlib.Path)
    options = parser.parse_args()
    short, refused = 0, 0
    for seed in range(options.seed, options.seed + options.count):
        with tempfile.TemporaryDirectory(prefix="random-model-") as folder:
            line, failures, refusal = run(options.program, seed, options.family, pathlib.Path(folder))
            known = refusal is not None and any(text in refusal for text in REFUSALS)
            refused += known
            bad = bool(failures) or (refusal is not None and not known)
            print("FAIL" if bad else "no  " if known else "ok  ", line, flush=True)
            for sentence in failures[:4] + ([f"refused: {refusal}"] if refusal else []):
                print("    ", sentence, flush=True)
            if bad and options.keep:
                shutil.copytree(folder, options.keep / str(seed), dirs_exist_ok=True)
            short += bad
    print(f"{options.count} models, {short} fall short, {refused} refused")
    sys.exit(1 if short else 0)


if __name__ == "__main__":
    main()
