// Keys that people bring along from axolotl, LLaMA-Factory, torchtune, TRL, mlx-lm and litgpt. A name with dots is looked
// up by its whole path first, then every name by its last part.

/// Other tools' names that mean exactly what one of our keys means.
let foreignKeys: [String: String] = [
    "moe_aux_loss_coef": "training.aux_loss_coefficient", "router_aux_loss_coef": "training.aux_loss_coefficient",
    "base_model": "model.path", "model_name_or_path": "model.path", "checkpoint_dir": "model.path",
    "model_name": "model.path", "model_path": "model.path",
    "finetuning_type": "adapter.method", "fine_tune_type": "adapter.method",
    "lora_r": "adapter.rank", "lora_rank": "adapter.rank", "r": "adapter.rank",
    "lora_alpha": "adapter.alpha", "lora_dropout": "adapter.dropout",
    "peft_use_rslora": "adapter.use_rslora",
    "lora_target_modules": "adapter.target_modules", "lora_target_parameters": "adapter.target_parameters", "lora_target": "adapter.target_modules",
    "lora_attn_modules": "adapter.target_modules", "lora_parameters.keys": "adapter.target_modules",
    "peft_init_lora_weights": "adapter.init", "init_lora_weights": "adapter.init",
    "lora_model_dir": "adapter.path", "adapter_name_or_path": "adapter.path",
    "adapter_checkpoint": "adapter.path", "resume_adapter_file": "adapter.path",
    "datasets": "data.train", "dataset": "data.train", "train_file": "data.train",
    "test_datasets": "data.validation", "eval_dataset": "data.validation", "dataset_val": "data.validation",
    "type": "data.train[].format",
    "field_messages": "data.train[].fields", "columns": "data.train[].fields", "interleave_probs": "data.train[].weight",
    "dataset_exact_deduplication": "data.deduplicate",
    "train_on_inputs": "data.train_on", "train_on_input": "data.train_on", "train_on_prompt": "data.train_on",
    "roles_to_train": "data.train_on", "masking_strategy": "data.train_on", "mask_prompt": "data.train_on",
    "mask_history": "data.train_on", "completion_only_loss": "data.train_on", "assistant_only_loss": "data.train_on",
    "sequence_len": "data.max_length", "cutoff_len": "data.max_length", "max_seq_len": "data.max_length",
    "max_seq_length": "data.max_length",
    "sample_packing": "data.packing", "neat_packing": "data.packing", "packed": "data.packing",
    "per_device_train_batch_size": "training.micro_batch_size", "batch_size": "training.micro_batch_size",
    "grad_accumulation_steps": "training.gradient_accumulation_steps",
    "num_epochs": "training.epochs", "num_train_epochs": "training.epochs",
    "max_steps": "training.steps", "iters": "training.steps",
    "lr": "training.learning_rate", "lr_scheduler": "training.schedule", "lr_scheduler_type": "training.schedule",
    "lr_schedule": "training.schedule", "num_warmup_steps": "training.warmup_steps",
    "warmup": "training.warmup_steps", "optim": "training.optimizer",
    "adam_epsilon": "training.epsilon", "eps": "training.epsilon",
    "clip_grad_norm": "training.max_grad_norm", "max_norm": "training.max_grad_norm",
    "gradient_clipping": "training.max_grad_norm",
    "gradient_checkpointing": "training.recompute", "enable_activation_checkpointing": "training.recompute",
    "disable_gradient_checkpointing": "training.recompute", "grad_checkpoint": "training.recompute",
    "bf16": "training.precision", "fp16": "training.precision", "tf32": "training.precision",
    "pure_bf16": "training.precision", "dtype": "training.precision",
    "logging_steps": "training.log_every_steps", "log_every_n_steps": "training.log_every_steps",
    "steps_per_report": "training.log_every_steps",
    "eval_steps": "evaluation.every_steps", "run_val_every_n_steps": "evaluation.every_steps",
    "steps_per_eval": "evaluation.every_steps", "metric_for_best_model": "evaluation.best_metric",
    "early_stopping_patience": "evaluation.early_stopping", "early_stopping_steps": "evaluation.early_stopping",
    "save_steps": "checkpoint.every_steps", "save_every_n_steps": "checkpoint.every_steps",
    "save_every": "checkpoint.every_steps", "save_total_limit": "checkpoint.keep",
    "output_dir": "output.directory", "out_dir": "output.directory", "adapter_path": "output.directory",
]

/// Other tools' names that need a sentence because nothing here means just the same.
let explainedKeys: [String: String] = {
    let scale = "mlx-lm's scale is alpha / rank, not alpha: write adapter.alpha = scale × adapter.rank"
    let modules = "name the modules in adapter.target_modules"
    let fourBit = "write model.quantization: nf4 for a base in 4 bits; 8 bits are not supported"
    let holdOut = "keep the held-out records in a file of their own and name it in data.validation"
    let template = "write model.chat_template: the name of a template or the path of a Jinja file; without it the model's own is used"
    let resume = "continue a run with: martlet train --resume RUN"
    let cadence = "count in optimiser steps"
    let metrics = "metrics are in the run folder's metrics.jsonl"
    let supervised = "training is supervised: data.train_on says which tokens are trained; leave it out"
    let oneProcess = "training runs in one process on this machine's CPU; leave it out"
    let command = "the command says what is done: martlet train, martlet eval; leave it out"
    let moments = "write training.betas: [BETA1, BETA2]"
    let merging = "write output.save: [adapter, merged]"
    let fullTraining = "this version trains adapters on linear layers and nothing else"
    return [
        "<<": "merge keys are not supported; write the keys out, or use an alias for a whole value",
        "scale": scale, "lora_scale": scale, "lora_parameters.scale": scale,
        "lora_parameters": "write adapter.rank, adapter.alpha, adapter.dropout and adapter.target_modules",
        "lora_target_linear": "write adapter.target_modules: all-linear",
        "apply_lora_to_mlp": modules, "apply_lora_to_output": modules, "lora_query": modules, "lora_key": modules,
        "lora_value": modules, "lora_projection": modules, "lora_mlp": modules, "lora_head": modules,
        "num_layers": "choose layers with a pattern in adapter.target_modules",
        "peft_layers_to_transform": "choose layers with a pattern in adapter.target_modules",
        "lora_modules_to_save": fullTraining, "modules_to_save": fullTraining, "additional_target": fullTraining,
        "load_in_4bit": fourBit, "load_in_8bit": fourBit, "quantization_bit": fourBit, "quantization_type": fourBit,
        "bnb_config_kwargs": fourBit, "bnb_4bit_use_double_quant": "write model.double_quantization",
        "use_bnb_nested_quant": "write model.double_quantization", "double_quantization": "write model.double_quantization",
        "peft_use_dora": "it is planned as adapter.method: dora; this version does not have it yet",
        "use_dora": "it is planned as adapter.method: dora; this version does not have it yet",
        "val_set_size": holdOut, "val_size": holdOut, "val_split_fraction": holdOut,
        "chat_template": template, "chat_template_jinja": template, "template": template,
        "prompt_template": template, "chat_template_path": template,
        "dataset_dir": "give each file's path in data.train and data.validation",
        "global_batch_size": "write training.micro_batch_size and training.gradient_accumulation_steps",
        "max_steps_per_epoch": "write training.steps for the whole run",
        "evals_per_epoch": "\(cadence): evaluation.every_steps",
        "saves_per_epoch": "\(cadence): checkpoint.every_steps",
        "load_best_model_at_end": "the run folder keeps the best checkpoint under checkpoints/best",
        "resume_from_checkpoint": resume, "auto_resume_from_checkpoints": resume,
        "rl": supervised, "stage": supervised, "do_train": command, "do_eval": command,
        "save_strategy": "\(cadence): checkpoint.every_steps",
        "eval_strategy": "\(cadence): evaluation.every_steps", "evaluation_strategy": "\(cadence): evaluation.every_steps",
        "min_lr_ratio": "the learning rate falls to 0, or not at all with training.schedule: constant",
        "cosine_min_lr_ratio": "the learning rate falls to 0, or not at all with training.schedule: constant",
        "neftune_noise_alpha": "no noise is added to embeddings; adapter.dropout is what there is against overfitting",
        "loraplus_lr_ratio": "both factors of an adapter learn at training.learning_rate; leave it out",
        "special_tokens": "the tokens are those of the base model's tokenizer, and none are added; leave it out",
        "system_prompt": "write it into the records, as a message with the role system",
        "default_system": "write it into the records, as a message with the role system",
        "deepspeed": oneProcess, "fsdp": oneProcess, "fsdp_config": oneProcess, "ddp_timeout": oneProcess,
        "adam_beta1": moments, "adam_beta2": moments, "save_merged": merging, "merge_lora": merging,
        "group_by_length": "not needed: examples are laid end to end, without padding; leave it out",
        "use_wandb": metrics, "wandb_entity": metrics, "wandb_project": metrics,
        "report_to": metrics, "use_mlflow": metrics, "metric_logger": metrics,
    ]
}()

/// Other tools' switches: what our key of the same meaning says instead of true and of false.
let foreignSwitches: [String: (true: String, false: String)] = {
    let prompts = (true: "all", false: "assistant")
    let answers = (true: "assistant", false: "all")
    let sixteen = (true: "bfloat16", false: "float32")
    let again = (true: "blocks", false: "none")
    return [
        "train_on_inputs": prompts, "train_on_input": prompts, "train_on_prompt": prompts,
        "mask_prompt": answers, "completion_only_loss": answers, "assistant_only_loss": answers,
        "mask_history": (true: "last", false: "assistant"),
        "bf16": sixteen, "pure_bf16": sixteen, "fp16": (true: "bfloat16", false: "auto"),
        "tf32": (true: "float32", false: "auto"),
        "gradient_checkpointing": again, "enable_activation_checkpointing": again, "grad_checkpoint": again,
        "disable_gradient_checkpointing": (true: "none", false: "blocks"),
    ]
}()
