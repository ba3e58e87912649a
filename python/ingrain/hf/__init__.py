"""Models for Hugging Face's transformers.

    ingrain.hf.export("models/reader-17m", "reader-hf")
    model = AutoModelForCausalLM.from_pretrained("reader-hf", trust_remote_code=True)

The folder brings its own code (modeling_ingrain.py: PyTorch alone, some 300 lines), so that who loads it needs no ingrain.
"""

import json
import pathlib
import shutil
from typing import Any

from ..errors import Error
from ..model import Model, Path
from ..torch import TTTModel

_CODE = pathlib.Path(__file__).with_name("modeling_ingrain.py")
# What the code computes, by its key in config.json: everything else is refused by name.
_PLAIN = {"mixer": "attention", "partial_rotary_factor": 1, "query_growth": 0, "attention_softcap": 0, "attention_sink": False,
          "attention_sink_logit": False, "attention_output_gate": False, "attention_output_bias": False, "mlp_bias": False, "mlp": True, "logit_softcap": 0, "logit_scale": 1,
          "inner_optimizer": "sgd", "inner_momentum": 0, "inner_decay": 0, "inner_w13_factor": 1, "inner_steps": 1,
          "inner_step_delay": 0}
_ROPE = ("linear", "llama3")


def _refuse_others(config: dict[str, Any], where: str) -> None:
    for part in (config, *(config.get("layers") or [])):
        for key, plain in _PLAIN.items():
            if part.get(key, plain) != plain:
                raise Error(f"{where}: '{key}' is {json.dumps(part[key])}, which the exported code does not compute; "
                            "it computes attention in windows with clipped SGD (docs/python.md)")
        scaling = part.get("rope_scaling")
        if scaling and scaling["rope_type"] not in _ROPE:
            raise Error(f"{where}: RoPE of type '{scaling['rope_type']}' is not computed by the exported code; it knows "
                        f"{' and '.join(_ROPE)}")


def export(model: Model | TTTModel | Path, folder: Path, *, dtype: str = "fp32") -> None:
    """Writes a folder that AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True) loads: weights, tokenizer, and the
    model's code, whose generate() learns while it reads. dtype: of the weights in the file, "fp32" or "bf16".

    Raises Error, naming it, for what the code does not compute (mixers other than attention, attention sinks, other inner
    optimizers, delayed inner steps, YaRN and LongRoPE). Needs the package safetensors.
    """
    from safetensors.torch import load_file, save_file

    source = model if isinstance(model, TTTModel) else TTTModel.load(model.path if isinstance(model, Model) else model)
    config: dict[str, Any] = json.loads(source.config)
    _refuse_others(config, str(folder))
    to = pathlib.Path(folder)
    source.save(to, dtype=dtype)
    tensors = to / "model.safetensors"
    save_file(load_file(tensors), tensors, metadata={"format": "pt"})
    shutil.copyfile(_CODE, to / _CODE.name)
    ids = config["eos_token_id"]
    about = {
        "architectures": ["IngrainForCausalLM"],
        "auto_map": {name: f"modeling_ingrain.Ingrain{part}"
                     for name, part in {"AutoConfig": "Config", "AutoModelForCausalLM": "ForCausalLM"}.items()},
        "model_type": "ingrain",
        "dtype": {"fp32": "float32", "bf16": "bfloat16"}.get(dtype, "float32"),
        **{key: config[key] for key in ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads",
                                        "num_key_value_heads", "head_dim", "tie_word_embeddings")},
        "max_position_embeddings": 1 << 30,  # there is no limit
        "bos_token_id": config["bos_token_id"] if config["bos_token_id"] >= 0 else None,
        "eos_token_id": ids[0] if len(ids) == 1 else ids or None,
        "ingrain": config,
    }
    (to / "config.json").write_text(json.dumps(about, indent=2) + "\n")
    _name_tokenizer(to, config)


def _name_tokenizer(folder: pathlib.Path, config: dict[str, Any]) -> None:
    """What AutoTokenizer looks for beside tokenizer.json."""
    file, about = folder / "tokenizer.json", folder / "tokenizer_config.json"
    if not file.exists():
        return
    known: dict[str, Any] = json.loads(about.read_text()) if about.exists() else {}
    names = {token["id"]: token["content"] for token in json.loads(file.read_text()).get("added_tokens", [])}
    first = {"bos_token": config["bos_token_id"], "eos_token": next(iter(config["eos_token_id"]), -1)}
    known = {"tokenizer_class": "PreTrainedTokenizerFast",
             **{key: names[number] for key, number in first.items() if number in names}, **known}
    about.write_text(json.dumps(known, indent=2) + "\n")
