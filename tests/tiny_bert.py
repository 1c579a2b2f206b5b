"""A BERT checkpoint small enough to train in a second: its weights come from a seed, so that nothing is stored."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

WORDS = (
    "[PAD] [UNK] [CLS] [SEP] [MASK] the a is was not good bad very film car brake smoke door light engine cold hot new "
    "old works broken loud quiet red blue left right front rear he she it they we i ##s ##ing ##ed ##ly . , ! ? - ' # "
    "a b c d e f g h i j k l m n o p q r s t u v w x y z 0 1 2 3 4 5 6 7 8 9"
)
VOCABULARY = list(dict.fromkeys(WORDS.split()))

CONFIG: dict[str, Any] = {
    "model_type": "bert",
    "vocab_size": len(VOCABULARY),
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "max_position_embeddings": 64,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
}


def tensors(seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Return every weight under its name in the Hugging Face format."""
    generator = np.random.default_rng(seed)
    hidden, inner = CONFIG["hidden_size"], CONFIG["intermediate_size"]
    result: dict[str, NDArray[np.float32]] = {}

    def add(name: str, *shape: int, around: float = 0.0) -> None:
        result[name] = (around + 0.3 * generator.standard_normal(shape)).astype(np.float32)

    def norm(name: str) -> None:
        add(f"{name}.weight", hidden, around=1.0)
        add(f"{name}.bias", hidden)

    def dense(name: str, outputs: int, inputs: int) -> None:
        add(f"{name}.weight", outputs, inputs)
        add(f"{name}.bias", outputs)

    for name, rows in (
        ("word", "vocab_size"),
        ("position", "max_position_embeddings"),
        ("token_type", "type_vocab_size"),
    ):
        add(f"embeddings.{name}_embeddings.weight", CONFIG[rows], hidden)
    norm("embeddings.LayerNorm")
    for index in range(CONFIG["num_hidden_layers"]):
        prefix = f"encoder.layer.{index}"
        for part in ("query", "key", "value"):
            dense(f"{prefix}.attention.self.{part}", hidden, hidden)
        dense(f"{prefix}.attention.output.dense", hidden, hidden)
        norm(f"{prefix}.attention.output.LayerNorm")
        dense(f"{prefix}.intermediate.dense", inner, hidden)
        dense(f"{prefix}.output.dense", hidden, inner)
        norm(f"{prefix}.output.LayerNorm")
    dense("pooler.dense", hidden, hidden)
    return result


def write(folder: Path, *, pooling: str = "mean") -> Path:
    """Write a checkpoint folder whose texts are pooled by ``mean``, ``cls`` or ``pooler``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    weights = tensors()
    if pooling == "mean":
        (folder / "1_Pooling").mkdir(exist_ok=True)
        (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}', encoding="utf-8")
    if pooling == "cls":
        del weights["pooler.dense.weight"], weights["pooler.dense.bias"]
    save_file(weights, folder / "model.safetensors")
    return folder
