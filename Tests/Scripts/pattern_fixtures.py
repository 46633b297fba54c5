#!/usr/bin/env python3
"""Writes adapters whose layers differ in rank and alpha, as PEFT has them, for Tests/ModelsTests/Fixtures.

  pattern_fixtures.py REFERENCE FIXTURES   REFERENCE/llama and REFERENCE/mixtral are the tiny checkpoints;
                                           FIXTURES/llama/adapter_patterns and FIXTURES/mixtral/adapter_converted appear

The dense one has rank_pattern, alpha_pattern and use_rslora; several of its patterns match one layer, and the first of the
file counts. The patterns of the mixture are written by PEFT, which fuses w1 and w3 for transformers 5. Beside each adapter
lie the loss, the logits of the first sequence, the norm of every gradient and sums over the merged weights.
Needs torch, transformers 5, peft, safetensors.
"""
import copy, json, pathlib, sys
import peft, torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

DENSE = {
    "r": 4, "lora_alpha": 8, "use_rslora": True,
    "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
    "rank_pattern": {"layers.0.self_attn.q_proj": 2, "q_proj|k_proj": 6, "model.layers.1..*": 3, "mlp.(up|gate)_proj": 5, "never": 9},
    "alpha_pattern": {"down_proj": 16, r"^model\.layers\.2\.self_attn\.[qv]_proj": 3.5, "gate_proj": 1}}
MIXTURE = {"r": 2, "lora_alpha": 3, "target_modules": ["q_proj", "o_proj", "w1", "w2", "w3"]}


def load(folder):
    return AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", experts_implementation="eager").eval()


def hub_names(name, tensor):
    """The tensors of the checkpoint that a parameter of the model stands for."""
    if name.endswith("mlp.experts.gate_up_proj") or name.endswith("mlp.experts.down_proj"):
        path = name.replace("mlp.experts", "block_sparse_moe.experts").rsplit(".", 1)[0]
        for expert, matrix in enumerate(tensor):
            if name.endswith("down_proj"):
                yield f"{path}.{expert}.w2.weight", matrix
            else:
                w1, w3 = matrix.chunk(2)
                yield f"{path}.{expert}.w1.weight", w1
                yield f"{path}.{expert}.w3.weight", w3
    else:
        yield name, tensor


def write(source, target, settings, keeps_order):
    torch.manual_seed(1)
    model = peft.get_peft_model(load(source), peft.LoraConfig(task_type="CAUSAL_LM", **copy.deepcopy(settings)))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    model.save_pretrained(target)
    (target / "README.md").unlink()
    place = target / "adapter_config.json"
    config = json.loads(place.read_text())
    config["base_model_name_or_path"] = f"tiny-{source.name}"
    config["target_modules"] = sorted(config["target_modules"])
    if config["target_parameters"]:
        config["target_parameters"] = sorted(config["target_parameters"])
    if keeps_order:
        config |= {key: settings[key] for key in ["rank_pattern", "alpha_pattern"]}
    place.write_text(json.dumps(config, indent=2))
    print(target, {key: config[key] for key in ["rank_pattern", "alpha_pattern", "target_modules", "target_parameters"]})

    base = load(source)
    before = {name: value.clone() for name, value in base.state_dict().items()}
    model = peft.PeftModel.from_pretrained(base, target, is_trainable=True)
    ids = load_file(source / "expected.safetensors")["input_ids"]
    result = model(ids, labels=ids)
    result.loss.backward()
    gradients = {
        name.replace(".default", "").removeprefix("base_model.model.").removesuffix(".weight"): float(value.grad.double().norm())
        for name, value in model.named_parameters() if value.requires_grad}
    scales = {
        name.removeprefix("base_model.model."): module.scaling["default"]
        for name, module in model.named_modules() if isinstance(getattr(module, "scaling", None), dict)}
    logits = result.logits[0].detach()
    with torch.no_grad():
        merged = model.merge_and_unload()
        print("merged differs by", float((merged(ids).logits[0] - logits).abs().max()))
    sums, last = {}, {}
    for name, value in merged.state_dict().items():
        if torch.equal(value, before[name]):
            continue
        for hub, tensor in hub_names(name, value):
            sums[hub] = float((tensor.double() ** 2).sum())
            if hub.endswith(("layers.2.self_attn.q_proj.weight", "layers.2.mlp.down_proj.weight", "layers.3.block_sparse_moe.experts.1.w3.weight")):
                last["merged." + hub] = tensor.contiguous()
    numbers = {"loss": float(result.loss), "gradient_norms": gradients, "scales": scales, "merged_square_sums": sums}
    (target / "expected.json").write_text(json.dumps(numbers, indent=1, sort_keys=True) + "\n")
    save_file({"logits_row0": logits.contiguous()} | last, target / "expected.safetensors", {"format": "pt"})


if __name__ == "__main__":
    reference, fixtures = map(pathlib.Path, sys.argv[1:])
    write(reference / "llama", fixtures / "llama/adapter_patterns", DENSE, True)
    write(reference / "mixtral", fixtures / "mixtral/adapter_converted", MIXTURE, False)
