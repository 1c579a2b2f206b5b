"""TensorFlow Hub's text API: any TF2 SavedModel from strings to vectors, or a BERT-style encoder and its preprocessor.

A BERT is converted to a checkpoint where :mod:`classifier.encoders.hub_bert` proves that both compute the same.

Source of the interfaces: TensorFlow Hub's "Common SavedModel APIs for Text Tasks".
"""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_text  # noqa: F401  registers the operations that the SavedModels use
import tf_keras

from classifier.encoders import hub_models
from classifier.encoders.files import in_channel, saved_models
from classifier.encoders.texts import TextPreprocessor, TokenPreprocessor
from classifier.errors import UserError

# Egyptian and Anatolian hieroglyphs: in no vocabulary, and of different last bytes, where bytes are tokens.
_UNKNOWN_TEXTS = ("\U00013000", "\U00014645")


class HubLayer(tf_keras.layers.Layer):  # type: ignore[misc]
    """Token ids int32[batch, length], or texts string[batch], to one vector per text, float32[batch, width]."""

    def __init__(self, encoder: Any, *, tokens: bool) -> None:
        super().__init__(name="hub")
        self.encoder = hub_models.layer_of(encoder)
        self.tokens = tokens

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Encode; of several outputs, the pooled one is used."""
        if self.tokens:
            mask = tf.cast(tf.not_equal(inputs, 0), tf.int32)
            inputs = {"input_word_ids": inputs, "input_mask": mask, "input_type_ids": tf.zeros_like(inputs)}
        outputs = self.encoder(inputs, training=training)
        if isinstance(outputs, dict):
            outputs = outputs["pooled_output"] if "pooled_output" in outputs else outputs["default"]
        return tf.cast(outputs, tf.float32)


@dataclass(frozen=True, eq=False)
class HubTokenizer(TokenPreprocessor):
    """A preprocessor of TensorFlow Hub's text API.

    Attributes:
        tokenizer: The loaded preprocessor.
        folder: The folder it was loaded from.
    """

    tokenizer: Any
    folder: Path
    max_sequence_length: int

    @property
    def special_tokens(self) -> int:
        """The number of special tokens, such as [CLS], at each end of a text."""
        return 1

    @property
    def unknown_id(self) -> int | None:
        """The last token of characters that no vocabulary has, if it is the same for all of them."""
        pieces = [self.tokenizer.tokenize(tf.constant([text])).flat_values.numpy() for text in _UNKNOWN_TEXTS]
        last = {int(token) for tokens in pieces for token in tokens[-1:]}  # others may stand for the space before it
        return last.pop() if len(last) == 1 else None

    def tokenize(self, texts: tf.Tensor) -> tf.Tensor:
        """Turn string[batch] into int32[batch, length], as long as the longest text."""
        pieces = self.tokenizer.tokenize(texts)
        words_merged = pieces.merge_dims(1, 2) if pieces.ragged_rank > 1 else pieces
        longest = tf.cast(tf.reduce_max(words_merged.row_lengths()), tf.int32) + 2  # [CLS] and [SEP]
        length = tf.minimum(longest, self.max_sequence_length)
        return self.tokenizer.bert_pack_inputs([pieces], seq_length=length)["input_word_ids"]

    def portable(self) -> None:
        """Return None: what a preprocessor does is defined by its TensorFlow graph alone."""


@dataclass(frozen=True, eq=False)
class HubEncoder:
    """A loaded encoder; the attributes are those of :class:`classifier.encoders.Encoder`."""

    name: str
    layer: HubLayer
    preprocessor: HubTokenizer | TextPreprocessor
    family: str = "hub"
    pooling: str = "own"

    def save(self, folder: Path) -> None:
        """Write the encoder as a SavedModel of the same API, and a copy of its preprocessor."""
        tf.saved_model.save(self.layer.encoder.resolved_object, str(folder / "encoder"))
        if isinstance(self.preprocessor, HubTokenizer):
            shutil.copytree(self.preprocessor.folder, folder / "preprocessor", copy_function=shutil.copyfile)


def _check_padding(preprocessor: Any, where: str) -> None:
    """Refuse a preprocessor whose padding is not token 0, by which it is told from a text's tokens.

    Raises:
        UserError: It pads with another token, or a text's tokens have a 0, as RoBERTa's.
    """
    packed = preprocessor.bert_pack_inputs([preprocessor.tokenize(tf.constant(["a b"]))], seq_length=8)
    is_padding = packed["input_word_ids"].numpy() == 0
    if "input_mask" in packed and (is_padding != (packed["input_mask"].numpy() == 0)).any():
        raise UserError(
            f"{where}: pads texts with another token than 0, or uses 0 within them, as RoBERTa's preprocessors do; "
            "take an encoder that pads with 0, as BERT's do"
        )


def recognise(folder: Path) -> bool:
    """Return whether a folder holds a SavedModel."""
    return bool(saved_models(folder))


def load(folder: Path, name: str, max_sequence_length: int, seed: int = 0) -> HubEncoder:  # noqa: ARG001
    """Load the one encoder in a folder, and its preprocessor where there is one.

    Args:
        folder: Its SavedModels.
        name: The encoder's name where it has no folder of its own.
        max_sequence_length: The most tokens of a text that are read; the encoder may allow fewer.
        seed: Not used; a SavedModel draws its own random numbers.

    Raises:
        UserError: There are too many SavedModels, or one without TensorFlow Hub's text API.

    Example:
        >>> encoder = load(folder, "my-encoder", 128)
        >>> encoder.layer(tf.constant(["A fine film.", "Smoke!"])).shape
        TensorShape([2, 4])
    """
    preprocessors: list[tuple[Path, Any]] = []
    encoders: list[tuple[Path, Any]] = []
    for path in saved_models(folder):
        loaded = hub_models.load(path, in_channel(path, folder))
        is_preprocessor = hasattr(loaded, "tokenize") and hasattr(loaded, "bert_pack_inputs")
        (preprocessors if is_preprocessor else encoders).append((path, loaded))
    if len(encoders) != 1 or len(preprocessors) > 1:
        raise UserError(
            f"the model channel holds {len(encoders)} encoders and {len(preprocessors)} preprocessors; "
            "put one encoder there, and its preprocessor in a folder of its own where it needs one"
        )
    path, encoder = encoders[0]
    where = in_channel(path, folder)
    takes_tokens = _takes_tokens(encoder, where)
    if takes_tokens != bool(preprocessors):
        raise UserError(
            f"{where}: takes token ids; put its preprocessor on the model channel too, in a folder of its own"
            if takes_tokens
            else f"{where}: takes texts as they are; take the preprocessor off the model channel"
        )
    layer = HubLayer(encoder, tokens=takes_tokens)
    preprocessor: HubTokenizer | TextPreprocessor = TextPreprocessor(max_sequence_length)
    for preprocessor_folder, loaded in preprocessors:
        preprocessor = HubTokenizer(loaded, preprocessor_folder, min(max_sequence_length, _positions(encoder)))
        _check_padding(loaded, in_channel(preprocessor_folder, folder))
        _check_length(layer, preprocessor.max_sequence_length)
    # Of a model of ours the folder is called "encoder", and the name is known.
    own_name = name if path == folder or path.name == "encoder" else path.name
    return HubEncoder(own_name, layer, preprocessor)


def _positions(encoder: Any) -> int:
    """Return the number of rows of a BERT's position embeddings, the most tokens that it reads."""
    tables = [variable for variable in encoder.variables if "position_embedding" in variable.name]
    return min((int(table.shape[0]) for table in tables), default=sys.maxsize)


def _check_length(layer: HubLayer, length: int) -> None:
    try:
        layer(tf.ones([1, length], tf.int32))
    except (ValueError, tf.errors.OpError) as error:
        reason = type(error).__name__
        raise UserError(
            f"hyperparameter max_sequence_length: the encoder does not read {length} tokens ({reason}); lower it"
        ) from error


def _takes_tokens(encoder: Any, where: str) -> bool:
    """Return whether an encoder's call takes token ids; otherwise it takes strings."""
    inputs = hub_models.inputs_of(encoder, where)
    if isinstance(inputs, dict) and "input_word_ids" in inputs:
        return True
    if isinstance(inputs, tf.TensorSpec) and inputs.dtype == tf.string:
        return False
    raise UserError(f"{where}: takes neither texts nor BERT's input_word_ids; use an encoder of Hub's text API")
