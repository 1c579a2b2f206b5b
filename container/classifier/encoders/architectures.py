"""The networks of the BERT family: the meaning of their ``config.json``, and the names of their weights.

BERT: Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding" (2018).
DistilBERT: Sanh et al., "DistilBERT, a distilled version of BERT" (2019): no segments, no pooler, fewer layers.
ELECTRA: Clark et al., "ELECTRA: Pre-training Text Encoders as Discriminators Rather Than Generators" (2020): its
embeddings may be narrower than its layers. Names and defaults are those of the Hugging Face format.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from classifier.encoders import files
from classifier.errors import UserError

CONFIG = "config.json"
ACTIVATIONS = ("gelu", "gelu_new", "gelu_pytorch_tanh", "relu")


@dataclass(frozen=True)
class Shape:
    """The hyperparameters of a network, under our names; the defaults are BERT's.

    Attributes:
        vocabulary: Rows of the token embedding table.
        width: The hidden size: values of a token's vector.
        embedding_width: The width of the embeddings; 0 if it equals ``width``.
        layers: Transformer blocks.
        heads: Attention heads per block.
        positions: Rows of the position embedding table: the most tokens that the network reads.
        segments: Rows of the segment embedding table; 0 without one.
        inner: The width between the two dense layers of a block.
        activation: The function between them, one of :data:`ACTIVATIONS`.
        embedding_dropout: The dropout rate of the embeddings.
        attention_dropout: The dropout rate of the attention weights.
        attended_dropout: The dropout rate of the attention output.
        output_dropout: The dropout rate of a block's output.
        epsilon: Added to the variance in layer norms.
    """

    vocabulary: int = 30522
    width: int = 768
    embedding_width: int = 0
    layers: int = 12
    heads: int = 12
    inner: int = 3072
    positions: int = 512
    segments: int = 2
    activation: str = "gelu"
    embedding_dropout: float = 0.1
    attention_dropout: float = 0.1
    attended_dropout: float = 0.1
    output_dropout: float = 0.1
    epsilon: float = 1e-12


@dataclass(frozen=True)
class Architecture:
    """One kind of network.

    Attributes:
        prefix: The prefix of the encoder's weights in a checkpoint that holds more than the encoder.
        config: The key in ``config.json`` of each field of :class:`Shape`.
        defaults: The values of keys that a ``config.json`` lacks.
        block: The prefix of a block's weights, which its number follows.
        parts: The name, within a block, of each part of :class:`classifier.encoders.transformer.Block`.
    """

    prefix: str
    config: Mapping[str, str]
    defaults: Shape
    block: str
    parts: Mapping[str, str]


_BERT = Architecture(
    prefix="bert.",
    config={
        "vocabulary": "vocab_size",
        "width": "hidden_size",
        "layers": "num_hidden_layers",
        "heads": "num_attention_heads",
        "inner": "intermediate_size",
        "positions": "max_position_embeddings",
        "segments": "type_vocab_size",
        "activation": "hidden_act",
        "embedding_dropout": "hidden_dropout_prob",
        "attention_dropout": "attention_probs_dropout_prob",
        "attended_dropout": "hidden_dropout_prob",
        "output_dropout": "hidden_dropout_prob",
        "epsilon": "layer_norm_eps",
    },
    defaults=Shape(),
    block="encoder.layer",
    parts={
        "query": "attention.self.query",
        "key": "attention.self.key",
        "value": "attention.self.value",
        "attention_output": "attention.output.dense",
        "attention_norm": "attention.output.LayerNorm",
        "intermediate": "intermediate.dense",
        "output_dense": "output.dense",
        "output_norm": "output.LayerNorm",
    },
)
_DISTILBERT = Architecture(
    prefix="distilbert.",
    config={
        "vocabulary": "vocab_size",
        "width": "dim",
        "layers": "n_layers",
        "heads": "n_heads",
        "inner": "hidden_dim",
        "positions": "max_position_embeddings",
        "activation": "activation",
        "embedding_dropout": "dropout",
        "attention_dropout": "attention_dropout",
        "output_dropout": "dropout",
    },
    defaults=Shape(layers=6, segments=0, attended_dropout=0.0),
    block="transformer.layer",
    parts={
        "query": "attention.q_lin",
        "key": "attention.k_lin",
        "value": "attention.v_lin",
        "attention_output": "attention.out_lin",
        "attention_norm": "sa_layer_norm",
        "intermediate": "ffn.lin1",
        "output_dense": "ffn.lin2",
        "output_norm": "output_layer_norm",
    },
)
_ELECTRA = Architecture(
    prefix="electra.",
    config={**_BERT.config, "embedding_width": "embedding_size"},
    defaults=Shape(width=256, embedding_width=128, heads=4, inner=1024),
    block=_BERT.block,
    parts=_BERT.parts,
)
ARCHITECTURES: Mapping[str, Architecture] = {"bert": _BERT, "distilbert": _DISTILBERT, "electra": _ELECTRA}


def read(folder: Path) -> tuple[Architecture, Shape]:
    """Read a checkpoint's ``config.json``.

    Raises:
        UserError: It is not JSON, or describes another kind of network.
    """
    content = files.settings(folder / CONFIG)
    kind = content.get("model_type", "bert")
    if not isinstance(kind, str) or kind not in ARCHITECTURES:
        raise UserError(
            f"{CONFIG}: model_type {kind!r} is not supported; a checkpoint must be of {', '.join(ARCHITECTURES)} "
            "(docs/encoders.md lists some), or a text encoder of TensorFlow Hub"
        )
    architecture = ARCHITECTURES[kind]
    shape = _shape(content, architecture)
    problems = list(_problems(content, architecture, shape))
    if problems:
        raise UserError(problems)
    return architecture, replace(shape, embedding_width=shape.embedding_width or shape.width)


def _shape(content: Mapping[str, Any], architecture: Architecture) -> Shape:
    given: dict[str, Any] = {}
    problems = []
    for field in fields(Shape):
        name = architecture.config.get(field.name, "")
        if name not in content:
            continue
        value, default = content[name], getattr(architecture.defaults, field.name)
        if isinstance(value, _KINDS[type(default)]):
            given[field.name] = value
        else:
            problems.append(f"{CONFIG}: {name} must be {'a string' if isinstance(default, str) else 'a number'}")
    if problems:
        raise UserError(list(dict.fromkeys(problems)))
    return replace(architecture.defaults, **given)


# What a field of Shape may be given as, by the type of its default.
_KINDS: Mapping[type, tuple[type, ...]] = {str: (str,), int: (int,), float: (int, float)}


def _problems(content: Mapping[str, Any], architecture: Architecture, shape: Shape) -> Iterator[str]:
    names = architecture.config
    if content.get("position_embedding_type", "absolute") != "absolute":
        yield f"{CONFIG}: only absolute position embeddings are supported"
    if shape.activation not in ACTIVATIONS:
        yield f"{CONFIG}: {names['activation']} must be one of {', '.join(ACTIVATIONS)}"
    if shape.heads < 1 or shape.width % shape.heads:
        yield f"{CONFIG}: {names['width']} must be a multiple of {names['heads']}"
