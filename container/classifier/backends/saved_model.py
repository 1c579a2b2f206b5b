"""A backend that runs TensorFlow SavedModels, which map texts or pixels to probabilities."""

import functools
import gc
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  registers the operations that tokenize
from numpy.typing import NDArray

from classifier.backends import Backend, Encoded, foreign
from classifier.backends.arrays import Arrays
from classifier.backends.foreign import Output
from classifier.backends.padding import LENGTH_STEP, padded
from classifier.errors import UserError

SIGNATURE = "serving_default"
OUTPUT = "probabilities"
# Signatures of the two separate steps, in models that have them: texts to token ids, token ids to probabilities.
TOKENIZE, TOKEN_IDS, UNKNOWN_TOKENS = "tokenize", "token_ids", "unknown_tokens"
CLASSIFY = "classify"
# An estimate of the tokens of texts that aren't tokenized separately. English has 3.5 to 4.5 bytes per token, and
# scripts of which a vocabulary has only letters have 1 to 3; most networks read at most 512 tokens.
BYTES_PER_TOKEN = 3
TOKENS_AROUND_A_TEXT = 2
MOST_TOKENS_ESTIMATED = 512

_MISSING_OPERATION = re.compile("Op type not registered '([A-Za-z0-9_>]+)'")

Function = Callable[..., dict[str, tf.Tensor]]


@dataclass(frozen=True)
class TokensBackend:
    """A loaded SavedModel that tokenizes and computes in two steps.

    Attributes:
        model: The loaded object; it owns the variables that the functions use.
        tokenize: Maps string[batch] to token ids, int32[batch, length], and numbers of unknown tokens, int32[batch].
        classify: Maps token ids, int32[batch, length], to probabilities.
        longest: The number of tokens of the longest text that it reads; 0 where that is not known.
    """

    model: Any
    tokenize: Function
    classify: Function
    longest: int = 0

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        """Return each text's token ids, without padding."""
        if not texts:
            return []
        answers = self.tokenize(texts=tf.constant([_encoded(text) for text in texts], tf.string))
        token_ids: NDArray[np.int32] = answers[TOKEN_IDS].numpy()
        # Rows are copied, so that they don't keep the padded array in memory.
        return [
            Encoded(row[:length].copy(), max(length, 1), unknown)
            for row, length, unknown in zip(
                token_ids, _lengths(token_ids), answers[UNKNOWN_TOKENS].numpy().tolist(), strict=True
            )
        ]

    def run_batch(self, batch: Sequence[Encoded]) -> NDArray[np.float32]:
        """Return the probabilities, float32[len(batch), labels], of one batch, padded to its longest text or more."""
        token_ids = tf.constant(padded([text.content for text in batch], LENGTH_STEP, self.longest))
        probabilities: NDArray[np.float32] = self.classify(token_ids=token_ids)[OUTPUT].numpy()
        return probabilities


@dataclass(frozen=True)
class TextsBackend:
    """A loaded SavedModel without separate steps: one with an encoder of strings, or of an early version of this image.

    Attributes:
        model: The loaded object; it owns the variables the function uses.
        function: Its serving signature.
        input_name: The name of the signature's only argument.
        output_name: The name of the output that is served.
        is_column: Whether the argument is string[batch, 1] instead of string[batch].
    """

    model: Any
    function: Function
    input_name: str
    output_name: str = OUTPUT
    is_column: bool = False

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        """Return each text's bytes, with a rather high estimate of its number of tokens."""
        return [Encoded(content, _estimated_tokens(len(content)), counted=False) for content in map(_encoded, texts)]

    def run_batch(self, batch: Sequence[Encoded]) -> NDArray[np.float32]:
        """Return the probabilities, float32[len(batch), labels], of one batch."""
        probabilities: NDArray[np.float32] = self.answers(batch)[self.output_name].numpy()
        return probabilities

    def answers(self, batch: Sequence[Encoded]) -> dict[str, tf.Tensor]:
        """Return all outputs for one batch."""
        shape = [len(batch), 1] if self.is_column else [len(batch)]
        texts = tf.constant([text.content for text in batch], tf.string, shape)
        return self.function(**{self.input_name: texts})


@dataclass(frozen=True)
class ArraysBackend:
    """A loaded SavedModel that reads arrays of one shape.

    Attributes:
        model: The loaded object; it owns the variables the function uses.
        function: Its serving signature.
        input_name: The name of the signature's only argument.
        arrays: Encodes and collates its records.
    """

    model: Any
    function: Function
    input_name: str
    arrays: Arrays = field(default_factory=Arrays)

    def encode(self, records: Sequence[Any]) -> list[Encoded]:
        """Return each array with its cost in a batch."""
        return self.arrays.encode(records)

    def run_batch(self, batch: Sequence[Encoded]) -> NDArray[np.float32]:
        """Return the probabilities, float32[len(batch), labels], of one batch."""
        inputs = tf.constant(self.arrays.collate(batch))
        probabilities: NDArray[np.float32] = self.function(**{self.input_name: inputs})[OUTPUT].numpy()
        return probabilities


@dataclass(frozen=True)
class ForeignBackend:
    """A SavedModel of another program.

    Attributes:
        backend: The backend that runs it.
        output: The output that is served, and the meaning of its values.
    """

    backend: TextsBackend
    output: Output

    @property
    def width(self) -> int:
        """The number of labels."""
        return self.output.width

    @property
    def reason(self) -> str:
        """The output that is served, for the log."""
        return f"another program's model; its output {self.output.name!r} is taken as {self.output.kind}"

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        """Return each text's bytes, with an estimate of its number of tokens."""
        return self.backend.encode(texts)

    def run_batch(self, batch: Sequence[Encoded]) -> NDArray[np.float32]:
        """Return the probabilities, float32[len(batch), labels], of one batch.

        Raises:
            ArithmeticError: The model's output has another meaning than when it was loaded.
        """
        return self.output.probabilities(self.backend.run_batch(batch), len(batch))


def _encoded(text: str) -> bytes:
    """Return a text as UTF-8; lone surrogates, which JSON can hold, become question marks."""
    return text.encode("utf-8", "replace")


def _lengths(token_ids: NDArray[np.int32]) -> list[int]:
    """Return the length of each row without padding; a 0 before its end is a [PAD] that the text spells out."""
    if not token_ids.shape[1]:
        return [0] * len(token_ids)
    there = token_ids != 0
    lengths: list[int] = np.where(there.any(axis=1), there.shape[1] - there[:, ::-1].argmax(axis=1), 0).tolist()
    return lengths


def _estimated_tokens(size: int) -> int:
    return min(TOKENS_AROUND_A_TEXT + -(-size // BYTES_PER_TOKEN), MOST_TOKENS_ESTIMATED)


@functools.cache
def start(threads: int) -> None:
    """Set the number of TensorFlow's threads; it must be called before TensorFlow's first operation."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    for device in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(device, True)
    gc.collect()
    gc.freeze()  # collecting TensorFlow's objects would take 0.3 s, in which no thread answers a ping


def load(folder: Path, longest: int = 0, *, is_array: bool = False) -> Backend:
    """Load a SavedModel of this image; it is run in two steps if it has the signatures for them.

    Args:
        folder: The folder of the SavedModel.
        longest: The number of tokens of the longest text that it reads; 0 where that is not known.
        is_array: Whether it reads arrays instead of texts.

    Raises:
        UserError: Its files are broken, or it has no signature that returns probabilities.
    """
    model = _loaded(folder)
    function = model.signatures.get(SIGNATURE) if hasattr(model, "signatures") else None
    if function is None or OUTPUT not in function.structured_outputs:
        raise UserError(f"{folder}: the SavedModel has no signature {SIGNATURE!r} with an output {OUTPUT!r}")
    if {TOKENIZE, CLASSIFY} <= set(model.signatures):
        return TokensBackend(model, model.signatures[TOKENIZE], model.signatures[CLASSIFY], longest)
    (input_name,) = function.structured_input_signature[1]
    if is_array:
        return ArraysBackend(model, function, input_name)
    return TextsBackend(model, function, input_name)


def load_foreign(folder: Path, named: int = 0) -> ForeignBackend:
    """Load a SavedModel of another program, which maps texts to one number per label, or one number for two labels.

    Args:
        folder: The folder of the SavedModel.
        named: The number of labels in the files beside it; 0 without such files.

    Raises:
        UserError: Its files are broken, it isn't a text classifier, or the meaning of its output is ambiguous.
    """
    model = _loaded(folder)
    function, input_name, is_column = _of_texts(dict(getattr(model, "signatures", {})), folder)
    backend = TextsBackend(model, function, input_name, is_column=is_column)
    try:
        answers = backend.answers(backend.encode(foreign.TEXTS))
    except (ValueError, TypeError, tf.errors.OpError) as error:
        raise UserError(
            f"{folder}: the SavedModel takes strings, but fails on a batch of {len(foreign.TEXTS)} texts "
            f"({type(error).__name__}); export one that takes any number of plain texts, not serialized examples "
            "(tf.Example), paths or JSON"
        ) from error
    floats = {name: tensor.numpy() for name, tensor in answers.items() if tensor.dtype.is_floating}
    try:
        output = foreign.output_of(floats, named)
    except UserError as error:
        raise UserError(f"{folder}: the SavedModel can't be served as it is: {error}") from None
    return ForeignBackend(replace(backend, output_name=output.name), output)


def _of_texts(signatures: Mapping[str, Any], folder: Path) -> tuple[Function, str, bool]:
    """Return the signature that takes only texts, the name of its argument, and whether that is string[batch, 1].

    Raises:
        UserError: There is none, or there are several and none is the default.
    """
    found = {}
    for name, function in sorted(signatures.items()):
        inputs = function.structured_input_signature[1]
        (spec,) = inputs.values() if len(inputs) == 1 else (None,)
        if spec is not None and spec.dtype == tf.string and spec.shape.rank in (None, 1, 2):
            is_column = spec.shape.rank == 2
            if not is_column or spec.shape[1] == 1:
                found[name] = (function, next(iter(inputs)), is_column)
    if SIGNATURE in found or len(found) == 1:
        return found.get(SIGNATURE) or next(iter(found.values()))
    if found:
        raise UserError(
            f"{folder}: the signatures {', '.join(found)} of the SavedModel all take texts; name the right one "
            f"{SIGNATURE!r}, or export it alone"
        )
    described = "; ".join(f"{name!r} takes {_inputs(function)}" for name, function in sorted(signatures.items()))
    raise UserError(
        f"{folder}: not a text classifier: its signature {SIGNATURE!r} must take string[batch] or string[batch, 1] "
        f"alone and answer float[batch, labels] ({described or 'it has no signature'}); export it with its tokenizer "
        "inside, or train here on the same rows"
    )


def _inputs(function: Any) -> str:
    specs = function.structured_input_signature[1]
    return ", ".join(f"{name!r} {spec.dtype.name}{spec.shape}" for name, spec in sorted(specs.items())) or "nothing"


def _loaded(folder: Path) -> Any:
    try:
        return tf.saved_model.load(str(folder))
    except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
        missing = _MISSING_OPERATION.search(str(error))
        if missing:
            raise UserError(
                f"{folder}: the SavedModel uses an operation that this image does not have ({missing[1]}); export it "
                "without, or train here on the same rows"
            ) from error
        raise UserError(f"{folder}: the SavedModel does not load ({type(error).__name__}); copy it again") from error
