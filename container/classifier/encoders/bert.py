"""Checkpoints of BERT, DistilBERT and ELECTRA: ``config.json``, ``vocab.txt`` and ``model.safetensors`` in a folder.

Their differences are in :mod:`classifier.encoders.architectures`, the network in
:mod:`classifier.encoders.transformer`, its file in :mod:`classifier.encoders.weights`.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from classifier.encoders import architectures, files, weights
from classifier.encoders.architectures import CONFIG, Architecture
from classifier.encoders.pieces import NO_VOCABULARY, SETTINGS, TOKENIZER, VOCABULARY, has_vocabulary
from classifier.encoders.transformer import BertLayer
from classifier.encoders.wordpiece import WordPiece
from classifier.errors import UserError

POOLING = "1_Pooling/config.json"
# The first two as sentence-transformers wrote them before version 5.
_SENTENCE_POOLINGS = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls", "mean": "mean", "cls": "cls"}
GENERATOR = "generator_predictions.dense.weight"


@dataclass(frozen=True, eq=False)
class BertEncoder:
    """A loaded checkpoint; the other attributes are those of :class:`classifier.encoders.Encoder`.

    Attributes:
        architecture: The kind of network, and how its files name the weights.
        folder: The folder it was loaded from.
    """

    name: str
    pooling: str
    preprocessor: WordPiece
    layer: BertLayer
    architecture: Architecture
    folder: Path
    family: str = "bert"

    def save(self, folder: Path) -> None:
        """Write a checkpoint that :func:`load` and other programs for such checkpoints read."""
        copy_small_files(self.folder, folder)
        weights.write(folder, self.layer, self.architecture)


def copy_small_files(checkpoint: Path, folder: Path) -> None:
    """Copy all files of a checkpoint that are read but its weights."""
    vocabulary = VOCABULARY if (checkpoint / VOCABULARY).is_file() else TOKENIZER
    paths = {name: checkpoint / name for name in (CONFIG, vocabulary, SETTINGS)} | {POOLING: _pooling_file(checkpoint)}
    for name, path in paths.items():
        if path.is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / name)


def recognise(folder: Path) -> bool:
    """Return whether a folder holds a checkpoint, even one that :func:`load` refuses."""
    return weights.present(folder)


def load(folder: Path, name: str, max_sequence_length: int, seed: int = 0) -> BertEncoder:
    """Build the network and load the checkpoint's weights.

    Args:
        folder: The checkpoint's files.
        name: Its name in the log and the manifest.
        max_sequence_length: The most tokens of a text that are read; the network may allow fewer.
        seed: The seed of the dropout.

    Raises:
        UserError: A file is missing or broken, of another architecture, or lacks weights.

    Example:
        >>> encoder = load(folder, "my-encoder", 128)  # config.json, vocab.txt and model.safetensors
        >>> token_ids = encoder.preprocessor.tokenize(tf.constant(["The film was good.", "Smoke!"]))
        >>> encoder.layer(token_ids).shape
        TensorShape([2, 32])
    """
    if not (folder / CONFIG).is_file():
        raise UserError(f"{CONFIG}: is missing; give every file of one checkpoint, in one folder")
    architecture, shape = architectures.read(folder)
    tensors = weights.read(folder, architecture)
    if GENERATOR in tensors:
        raise UserError(
            "model.safetensors: is ELECTRA's generator, which only helps in training; take its discriminator"
        )
    if not has_vocabulary(folder):
        raise UserError(NO_VOCABULARY)
    pooling = _pooling_of(folder, tensors)
    wordpiece = WordPiece.from_folder(folder, min(max_sequence_length, shape.positions))
    if len(wordpiece.vocabulary) > shape.vocabulary:
        raise UserError(
            f"the vocabulary has {len(wordpiece.vocabulary)} tokens, config.json says vocab_size {shape.vocabulary}; "
            "the two files are not of the same checkpoint"
        )
    layer = BertLayer(shape, pooling, seed)
    layer(tf.zeros([1, 3], tf.int32))
    weights.assign(layer, tensors, architecture)
    return BertEncoder(name, pooling, wordpiece, layer, architecture, folder)


def _pooling_of(folder: Path, tensors: Mapping[str, Any]) -> str:
    """Return the pooling: that of a sentence encoder if it says one, else the pooler if there is one, else ``cls``."""
    modes = files.settings(_pooling_file(folder))
    if modes:
        chosen = [name for name, on in modes.items() if name.startswith("pooling_mode_") and on is True]
        if "pooling_mode" in modes:
            named = modes["pooling_mode"]
            chosen = [str(each) for each in named] if isinstance(named, list) else [str(named)]
        if len(chosen) != 1 or chosen[0] not in _SENTENCE_POOLINGS:
            raise UserError(f"1_Pooling/config.json: must choose one of {', '.join(_SENTENCE_POOLINGS)}, and no other")
        return _SENTENCE_POOLINGS[chosen[0]]
    return "pooler" if "pooler.dense.weight" in tensors else "cls"


def _pooling_file(folder: Path) -> Path:
    """Return where a sentence encoder's pooling is: beside the checkpoint, where that has a folder ``0_...``."""
    beside = folder.parent / POOLING
    return beside if folder.name.startswith("0_") and beside.is_file() else folder / POOLING
