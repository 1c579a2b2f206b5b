"""Checkpoints small enough to train in a second: their weights come from a seed, so that nothing is stored."""

import json
from collections.abc import Iterator
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
LAYERS = 2
VOCABULARY = list(dict.fromkeys(WORDS.split()))

CONFIG: dict[str, Any] = {
    "model_type": "bert",
    "vocab_size": len(VOCABULARY),
    "hidden_size": 32,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "max_position_embeddings": 64,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
}


CONFIGS: dict[str, dict[str, Any]] = {
    "bert": CONFIG,
    "distilbert": {
        "model_type": "distilbert",
        "vocab_size": len(VOCABULARY),
        "dim": 32,
        "n_layers": LAYERS,
        "n_heads": 4,
        "hidden_dim": 64,
        "activation": "gelu",
        "dropout": 0.1,
        "attention_dropout": 0.1,
        "max_position_embeddings": 64,
        "sinusoidal_pos_embds": False,
    },
    "electra": CONFIG | {"model_type": "electra", "embedding_size": 16},
}
BLOCKS = {
    "bert": (
        "encoder.layer",
        ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"),
        ("attention.output.LayerNorm", "intermediate.dense", "output.dense", "output.LayerNorm"),
    ),
    "distilbert": (
        "transformer.layer",
        ("attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin"),
        ("sa_layer_norm", "ffn.lin1", "ffn.lin2", "output_layer_norm"),
    ),
}
BLOCKS["electra"] = BLOCKS["bert"]


Weight = tuple[str, tuple[int, ...], float]  # its name, its shape, and the mean of its values


def _dense(name: str, outputs: int, inputs: int) -> Iterator[Weight]:
    yield f"{name}.weight", (outputs, inputs), 0.0
    yield f"{name}.bias", (outputs,), 0.0


def _norm(name: str, width: int) -> Iterator[Weight]:
    yield f"{name}.weight", (width,), 1.0
    yield f"{name}.bias", (width,), 0.0


def _weights(kind: str, layers: int) -> Iterator[Weight]:
    hidden, inner, words = CONFIG["hidden_size"], CONFIG["intermediate_size"], CONFIGS[kind].get("embedding_size", 32)
    yield "embeddings.word_embeddings.weight", (CONFIG["vocab_size"], words), 0.0
    yield "embeddings.position_embeddings.weight", (CONFIG["max_position_embeddings"], words), 0.0
    if kind != "distilbert":
        yield "embeddings.token_type_embeddings.weight", (CONFIG["type_vocab_size"], words), 0.0
    yield from _norm("embeddings.LayerNorm", words)
    if words != hidden:
        yield from _dense("embeddings_project", hidden, words)
    block, attention, (attention_norm, first, second, output_norm) = BLOCKS[kind]
    for index in range(layers):
        for part in attention:
            yield from _dense(f"{block}.{index}.{part}", hidden, hidden)
        yield from _norm(f"{block}.{index}.{attention_norm}", hidden)
        yield from _dense(f"{block}.{index}.{first}", inner, hidden)
        yield from _dense(f"{block}.{index}.{second}", hidden, inner)
        yield from _norm(f"{block}.{index}.{output_norm}", hidden)
    if kind == "bert":
        yield from _dense("pooler.dense", hidden, hidden)


def tensors(seed: int = 0, kind: str = "bert", layers: int = LAYERS) -> dict[str, NDArray[np.float32]]:
    """Return every weight under its name in the Hugging Face format."""
    generator = np.random.default_rng(seed)
    return {
        name: (mean + 0.3 * generator.standard_normal(shape)).astype(np.float32)
        for name, shape, mean in _weights(kind, layers)
    }


def write(folder: Path, *, pooling: str = "mean", kind: str = "bert", layers: int = LAYERS) -> Path:
    """Write a checkpoint folder of a kind of network whose texts are pooled by ``mean``, ``cls`` or ``pooler``."""
    folder.mkdir(parents=True, exist_ok=True)
    config = CONFIGS[kind] | {"n_layers" if kind == "distilbert" else "num_hidden_layers": layers}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    weights = tensors(kind=kind, layers=layers)
    if pooling == "mean":
        (folder / "1_Pooling").mkdir(exist_ok=True)
        (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}', encoding="utf-8")
    if pooling == "cls" and kind == "bert":
        del weights["pooler.dense.weight"], weights["pooler.dense.bias"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder
