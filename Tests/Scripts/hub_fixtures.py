#!/usr/bin/env python3
"""Writes small checkpoints in two layouts that the recorded models do not have, for Tests/ModelsTests/Fixtures.

  hub_fixtures.py gemma3 REFERENCE/gemma3_text FOLDER   the same weights as a multimodal checkpoint has them
  hub_fixtures.py mxfp4 REFERENCE/gpt_oss FOLDER        a gpt-oss of two layers with experts in MXFP4, as it is published,
                                                        with what transformers expands and computes

Needs torch, transformers, safetensors.
"""
import json, pathlib, shutil, sys
import torch
from safetensors.torch import load_file, save_file


def gemma3(source, target):
    from transformers import AutoModelForImageTextToText, Gemma3Config, Gemma3ForConditionalGeneration
    text = json.loads((source / "config.json").read_text())
    for key in ["architectures", "transformers_version", "torch_dtype"]:
        text.pop(key)
    # Published configurations leave out what transformers has as a default: so do we, where the values agree.
    for key in ["rms_norm_eps", "hidden_activation", "rope_theta", "rope_local_base_freq", "tie_word_embeddings"]:
        text.pop(key)
    config = {
        "architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3", "boi_token_index": 280,
        "eoi_token_index": 281, "image_token_index": 282, "mm_tokens_per_image": 4, "initializer_range": 0.02,
        "eos_token_id": [2, 3], "text_config": text, "torch_dtype": "bfloat16",
        "vision_config": {
            "model_type": "siglip_vision_model", "hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2,
            "num_hidden_layers": 1, "image_size": 28, "patch_size": 7, "num_channels": 3, "vision_use_head": False}}
    torch.manual_seed(1)
    model = Gemma3ForConditionalGeneration(Gemma3Config(**json.loads(json.dumps(config))))
    tensors = {f"language_model.{name}": value for name, value in load_file(source / "model.safetensors").items()}
    for name, value in model.state_dict().items():
        short = name.removeprefix("model.")
        if short.startswith("vision_tower."):
            parts = short.split(".", 1)[1]
            tensors["vision_tower." + (parts if parts.startswith("vision_model.") else "vision_model." + parts)] = value.bfloat16()
        if short.startswith("multi_modal_projector."):
            tensors[short] = (torch.randn(value.shape) * 0.1).bfloat16()
    target.mkdir(parents=True, exist_ok=True)
    (target / "config.json").write_text(json.dumps(config, indent=2))
    save_file({k: v.contiguous() for k, v in tensors.items()}, target / "model.safetensors", {"format": "pt"})
    loaded, report = AutoModelForImageTextToText.from_pretrained(
        target, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    expected = load_file(source / "expected.safetensors")
    with torch.no_grad():
        logits = loaded.eval()(expected["input_ids"]).logits
    print("transformers leaves out", {k: sorted(v)[:4] for k, v in report.items() if v}, "and differs from the text model by",
          float((logits - expected["logits"]).abs().max()))


def mxfp4(source, target):
    from transformers import AutoModelForCausalLM
    from transformers.integrations.mxfp4 import convert_moe_packed_tensors
    config = json.loads((source / "config.json").read_text())
    config |= {"num_hidden_layers": 2, "intermediate_size": 32, "layer_types": config["layer_types"][:2]}
    plain = {k: v for k, v in load_file(source / "model.safetensors").items()
             if "layers.2." not in k and "layers.3." not in k and "experts." not in k}
    random = torch.Generator().manual_seed(1)
    experts, hidden, width = config["num_local_experts"], config["hidden_size"], config["intermediate_size"]
    packed, expanded = dict(plain), dict(plain)
    for layer in range(2):
        for name, outputs, inputs in [("gate_up_proj", 2 * width, hidden), ("down_proj", hidden, width)]:
            path = f"model.layers.{layer}.mlp.experts.{name}"
            blocks = torch.randint(0, 256, (experts, outputs, inputs // 32, 16), generator=random, dtype=torch.uint8)
            scales = torch.randint(121, 126, (experts, outputs, inputs // 32), generator=random, dtype=torch.uint8)
            packed[path + "_blocks"], packed[path + "_scales"] = blocks, scales
            expanded[path] = convert_moe_packed_tensors(blocks, scales).contiguous()
            bias = (torch.randn(experts, outputs, generator=random) * 0.1).bfloat16()
            packed[path + "_bias"] = expanded[path + "_bias"] = bias
    target.mkdir(parents=True, exist_ok=True)
    ids = load_file(source / "expected.safetensors")["input_ids"]
    work = target / "expanded"
    work.mkdir()
    (work / "config.json").write_text(json.dumps(config))
    save_file(expanded, work / "model.safetensors", {"format": "pt"})
    model = AutoModelForCausalLM.from_pretrained(
        work, dtype=torch.float32, attn_implementation="eager", experts_implementation="eager").eval()
    shutil.rmtree(work)
    with torch.no_grad():
        logits = model(ids).logits
    config["quantization_config"] = {
        "quant_method": "mxfp4",
        "modules_to_not_convert": ["model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"]}
    (target / "config.json").write_text(json.dumps(config, indent=2))
    save_file(packed, target / "model.safetensors", {"format": "pt"})
    # Every code with every scale, those that leave the range of bfloat16 among them.
    codes = torch.arange(256, dtype=torch.int32).to(torch.uint8).reshape(1, 16, 1, 16).expand(256, 16, 1, 16).contiguous()
    exponents = torch.arange(256, dtype=torch.int32).to(torch.uint8).reshape(256, 1, 1).expand(256, 16, 1).contiguous()
    every = convert_moe_packed_tensors(codes, exponents, dtype=torch.float32)
    save_file({
        "input_ids": ids, "logits": logits.contiguous(),
        "expanded": expanded["model.layers.1.mlp.experts.down_proj"].contiguous(),
        # Of all scales the ends of their range and some between; [scales, 32, 16].
        "every_scale": torch.tensor([0, 1, 2, 100, 127, 128, 200, 252, 253, 254, 255], dtype=torch.int32),
        "every": every[[0, 1, 2, 100, 127, 128, 200, 252, 253, 254, 255]].contiguous()},
        target / "expected.safetensors")
    print("logits up to", float(logits.abs().max()))


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in ("gemma3", "mxfp4"):
        sys.exit(__doc__)
    {"gemma3": gemma3, "mxfp4": mxfp4}[sys.argv[1]](pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]))
