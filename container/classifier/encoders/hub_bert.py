"""BERTs of TensorFlow Hub, converted to checkpoints of the ``bert`` family where both compute the same.

That family trains faster, also in half precision, resumes its dropout, and can be served without TensorFlow. A
SavedModel whose weights are not a BERT's by name and shape, or whose vectors or tokens would differ, is used as it is.

Source of the names: the encoder of the TensorFlow Model Garden, of which TensorFlow Hub's were exported
(github.com/tensorflow/models, ``official/nlp/modeling/networks/bert_encoder.py``).
"""

import gc
import json
import logging
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from safetensors.numpy import save_file

from classifier.encoders import bert, hub, weights
from classifier.encoders.architectures import ARCHITECTURES, CONFIG, Shape
from classifier.encoders.files import saved_models
from classifier.encoders.pieces import SETTINGS, VOCABULARY
from classifier.encoders.resolve import EncoderFiles
from classifier.encoders.transformer import BertLayer, Block
from classifier.encoders.wordpiece import WordPiece
from classifier.errors import UserError

log = logging.getLogger(__name__)

LARGEST_DIFFERENCE = 1e-4  # of a value of a text's vector, which lies between -1 and 1
# The garden's own first: its "gelu" is the approximation.
ACTIVATIONS = ("gelu_new", "gelu", "relu")
BATCHES = ((4, 16), (2, 128), (1, 512))  # rows and tokens of what both networks are asked
# Our own texts. None has what the preprocessor folds and BERT's tokenizer, by which these networks were trained, does
# not: ß, ligatures, the sign of an ellipsis and others that Unicode calls compatible; nor words of over 100 bytes.
PROBES = (
    "",
    " \t The brake pedal's light came on; twice!\n",
    'She wrote: "don\'t" (42%, $3.50) - to e-mail a@b.example, http://x.example/y?z=1&w=2.',
    "[CLS] [MASK] _under_score ~tilde| ^caret` unbelievableness antidisestablishmentarianism",
    "Ça coûte 5 € à Århus — naïve Ärzte, señor, Đặng, I\u0307stanbul",
    "Привет, мир! Ёлка",
    "Ελλάδα, καλημέρα",
    "שלום עולם, مرحبا بالعالم",
    "नमस्ते दुनिया สวัสดี 한국어 문장",
    "你好世界。日本語のカタカナ、ひらがな",
    "\U0001f600 \u2713 \u00b0C x\u2260y \U00013000",
)
LIMITS = (5, 128)  # tokens to which the probes are cut

_PARTS: Mapping[str, str] = {
    "word_embeddings": "embeddings.word_embeddings",
    "position_embedding": "embeddings.position_embeddings",
    "type_embeddings": "embeddings.token_type_embeddings",
    "embeddings/layer_norm": "embeddings.LayerNorm",
    "embedding_projection": "embeddings_project",
    "pooler_transform": "pooler.dense",
}
# Parts of a block, as the garden calls them, and as classifier.encoders.transformer.Block does.
_BLOCK_PARTS: Mapping[str, str] = {
    "self_attention/query": "query",
    "self_attention/key": "key",
    "self_attention/value": "value",
    "self_attention/attention_output": "attention_output",
    "self_attention_output": "attention_output",  # in early versions
    "self_attention_layer_norm": "attention_norm",
    "intermediate": "intermediate",
    "output": "output_dense",
    "output_layer_norm": "output_norm",
}
_LEAVES: Mapping[str, str] = {
    "embeddings": "weight", "kernel": "weight", "gamma": "weight", "bias": "bias", "beta": "bias",
}  # fmt: skip
# What may come before is the name of the network.
_VARIABLE = re.compile(rf"(?:.*?/)??(?:transformer/layer_(\d+)/)?({'|'.join((*_PARTS, *_BLOCK_PARTS))})/(\w+):0")
_BERT = ARCHITECTURES["bert"]  # ELECTRA's blocks have the same names

Array = NDArray[Any]


class MismatchError(Exception):
    """Why an encoder can't be converted to the ``bert`` family; it is then used as a SavedModel."""


def carried_over(files: EncoderFiles, max_sequence_length: int, scratch: Path) -> EncoderFiles:
    """Convert a BERT of TensorFlow Hub to a checkpoint, and prove that it computes the same.

    Args:
        files: Those of an encoder of the family ``hub``.
        max_sequence_length: Tokens of a text that are read.
        scratch: Where the checkpoint is written; it must last as long as the encoder that is made of it.

    Returns:
        The checkpoint's files; the given ones where the encoder takes texts, or is not the same in the other family.

    Raises:
        UserError: The files hold no encoder that :func:`classifier.encoders.hub.load` loads.
    """
    if len(saved_models(files.folder)) < 2:  # without a preprocessor it takes texts, or is refused later
        return files
    folder = scratch / "carried_over"
    folder.mkdir()
    with tf.device("CPU"):  # the memory of what trains is left to the encoder that will be trained
        name = _carried(files, max_sequence_length, folder)
    gc.collect()  # a network's parts refer to each other, and two large networks are gigabytes
    if name is None:
        shutil.rmtree(folder)
        return files
    return EncoderFiles(name, "bert", folder)


def _carried(files: EncoderFiles, max_sequence_length: int, folder: Path) -> str | None:
    """Write the checkpoint, and log what came of it; return the encoder's name, None where it would not be the same."""
    original = hub.load(files.folder, files.name, max_sequence_length)
    try:
        activation, difference = _write(original, folder)
    # The last three are of the tokenizer's builder, and of graphs that read texts of one length only.
    except (MismatchError, UserError, RuntimeError, ValueError, tf.errors.OpError) as error:
        reason = str(error).partition("\n")[0]
        log.info("event=encoder name=%r carried_over=False note='%s'", original.name, reason)
        return None
    log.info(
        "event=encoder name=%r carried_over=True activation=%s largest_difference=%.1e",
        original.name, activation, difference,
    )  # fmt: skip
    return original.name


def _write(original: hub.HubEncoder, folder: Path) -> tuple[str, float]:
    """Write the checkpoint; return its activation, and the largest difference of a value of a vector."""
    variables = original.layer.encoder.resolved_object.trainable_variables
    tensors = dict(_tensors(variables))
    if len(tensors) < len(variables):
        raise MismatchError("two of its variables have one name")
    shape = _shape(tensors, _heads(variables))
    save_file(tensors, folder / weights.FILE, metadata={"format": "pt"})
    del tensors  # of a large network, more than a gigabyte
    _write_vocabulary(original, folder)
    return _compare(original, shape, folder)


def _tensors(variables: Iterable[tf.Variable]) -> Iterator[tuple[str, Array]]:
    """Yield a checkpoint's weights, under their names and in their shapes there."""
    for variable in variables:
        part, leaf = _place(variable.name)
        if not part or leaf not in _LEAVES:
            raise MismatchError(f"its variable {variable.name} is not one of a BERT")
        yield f"{part}.{_LEAVES[leaf]}", _laid_out(variable.numpy(), part, leaf)


def _place(name: str) -> tuple[str, str]:
    """Return what part of a checkpoint a variable is of, empty where of none, and which of its weights it is."""
    found = _VARIABLE.fullmatch(name)
    if found is None:
        return "", ""
    block, part, leaf = found.groups()
    if block is None:
        return _PARTS.get(part, ""), leaf
    return f"{_BERT.block}.{block}.{_BERT.parts[_BLOCK_PARTS[part]]}" if part in _BLOCK_PARTS else "", leaf


def _laid_out(value: Array, part: str, leaf: str) -> Array:
    """Join the axes of heads and of each head's values, and turn kernels, which a checkpoint has the other way."""
    if leaf == "bias":
        return value.reshape(-1)
    if leaf != "kernel":
        return value
    joined = value.reshape(-1, value.shape[-1]) if part.endswith("output.dense") else value.reshape(len(value), -1)
    return np.ascontiguousarray(joined.T)


def _heads(variables: Iterable[tf.Variable]) -> int:
    """Return the number of heads, which only the shape of a query's kernel [width, heads, head_size] tells."""
    shapes = [tuple(each.shape) for each in variables if each.name.endswith("/self_attention/query/kernel:0")]
    if not shapes or len(shapes[0]) != 3:
        raise MismatchError("no block has the attention of a BERT")
    return int(shapes[0][1])


def _shape(tensors: Mapping[str, Array], heads: int) -> Shape:
    """Read the network's shape off its weights; dropout, which they do not tell, is as in BERT's paper."""
    shown = (
        "embeddings.word_embeddings.weight",
        "embeddings.position_embeddings.weight",
        "embeddings.token_type_embeddings.weight",
        f"{_BERT.block}.0.{_BERT.parts['intermediate']}.weight",
    )
    missing = [name for name in shown if name not in tensors or tensors[name].ndim != 2]
    if missing:
        raise MismatchError(f"it has nothing that could be {', '.join(missing)}")
    words, positions, segments, intermediate = (tensors[name].shape for name in shown)
    return Shape(
        vocabulary=words[0],
        width=intermediate[1],
        embedding_width=words[1],
        layers=sum(name.endswith(f".{_BERT.parts['query']}.weight") for name in tensors),
        heads=heads,
        inner=intermediate[0],
        positions=positions[0],
        segments=segments[0],
    )


def _write_vocabulary(original: hub.HubEncoder, folder: Path) -> None:
    """Write the preprocessor's vocabulary, and whether it folds letters: as it gives the preprocessor's tokens."""
    preprocessor = original.preprocessor
    assets = list(preprocessor.folder.glob("assets/*")) if isinstance(preprocessor, hub.HubTokenizer) else []
    if not isinstance(preprocessor, hub.HubTokenizer) or len(assets) != 1:
        raise MismatchError("its preprocessor has no vocabulary of word pieces")
    shutil.copyfile(assets[0], folder / VOCABULARY)
    for lower_case in (True, False):
        (folder / SETTINGS).write_text(json.dumps({"do_lower_case": lower_case}), encoding="utf-8")
        if _same_tokens(preprocessor, folder):
            return
    raise MismatchError("its preprocessor gives other tokens than the word pieces of BERT")


def _same_tokens(original: hub.HubTokenizer, folder: Path) -> bool:
    wordpiece = WordPiece.from_folder(folder, max(LIMITS))
    probes = tf.constant(PROBES)
    return all(
        np.array_equal(
            replace(wordpiece, max_sequence_length=limit).tokenize(probes),
            replace(original, max_sequence_length=limit).tokenize(probes),
        )
        for limit in LIMITS
    )


def _compare(original: hub.HubEncoder, shape: Shape, folder: Path) -> tuple[str, float]:
    """Find the activation, write it down with the network's shape, and return it with the largest difference.

    Raises:
        MismatchError: With none the vectors are the same, or there are weights left over.
    """
    _write_config(folder, shape, ACTIVATIONS[0])
    layer = bert.load(folder, original.name, max(LIMITS)).layer
    if len(layer.trainable_variables) < len(original.layer.trainable_variables):
        raise MismatchError("it has more variables than a BERT of its shape")
    short = next(_batches(shape))
    differences = {}
    for activation in ACTIVATIONS:
        _activate(layer, shape, activation)
        differences[activation] = _difference(original.layer, layer, [short])
    nearest = min(ACTIVATIONS, key=differences.__getitem__)
    _activate(layer, shape, nearest)
    _write_config(folder, shape, nearest)
    difference = _difference(original.layer, layer, _batches(shape))
    if not difference <= LARGEST_DIFFERENCE:
        raise MismatchError(f"with its weights a BERT gives vectors that differ by {difference:.1e}")
    return nearest, difference


def _activate(layer: BertLayer, shape: Shape, activation: str) -> None:
    """Give a network another activation; one is enough then, and a large network takes a while to be loaded."""
    function = Block(replace(shape, activation=activation), 0, 0).activation
    for block in layer.blocks:
        block.activation = function


def _write_config(folder: Path, shape: Shape, activation: str) -> None:
    kind = "electra" if shape.embedding_width != shape.width else "bert"
    values = {**asdict(shape), "activation": activation}
    content = {name: values[field] for field, name in ARCHITECTURES[kind].config.items()}
    (folder / CONFIG).write_text(json.dumps({"model_type": kind, **content}, indent=2), encoding="utf-8")


def _batches(shape: Shape) -> Iterator[Array]:
    """Yield random texts, int32[rows, tokens]: the last of a batch fills it, those before it are shorter."""
    generator = np.random.default_rng(0)
    for rows, length in BATCHES:
        longest = min(length, shape.positions)
        token_ids = generator.integers(1, shape.vocabulary, (rows, longest), np.int32)
        ends = longest * np.arange(1, rows + 1) // rows
        yield np.where(np.arange(longest) < np.maximum(ends, 1)[:, np.newaxis], token_ids, 0)


def _difference(original: hub.HubLayer, carried: BertLayer, batches: Iterable[Array]) -> float:
    """Return the largest difference between values of the two networks' vectors."""
    tokens = map(tf.constant, batches)
    differences = [tf.abs(original(ids, training=False) - carried(ids, training=False)) for ids in tokens]
    return float(np.max([np.max(each) for each in differences]))  # unlike Python's, it keeps what is no number
