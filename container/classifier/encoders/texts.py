"""What all encoders of texts have in common."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from classifier.hyperparameters import Hyperparameters


class _Reader(Protocol):
    @property
    def tokens(self) -> bool: ...

    @property
    def max_sequence_length(self) -> int: ...


class ReadsTexts:
    """The part of :class:`classifier.encoders.Encoder` that is the same for all encoders of texts."""

    @property
    def augments(self) -> bool:
        """Say that training reads a text as it is, every time."""
        return False

    @property
    def signature(self: _Reader) -> tf.TensorSpec:
        """What the layer reads: token ids, or the texts themselves."""
        if self.tokens:
            return tf.TensorSpec([None, None], tf.int32, name="token_ids")
        return tf.TensorSpec([None], tf.string, name="texts")

    @property
    def reads(self: _Reader) -> Mapping[str, int]:
        """How much of a text it reads."""
        return {"max_sequence_length": self.max_sequence_length}

    def configure(self, settings: Hyperparameters) -> None:
        """Texts are read as they are, whatever the hyperparameters."""

    def preprocess(self, records: Sequence[str]) -> NDArray[Any]:
        """Return the texts as UTF-8, object[texts]."""
        return np.array(encoded(records), dtype=object)


def encoded(texts: Sequence[str]) -> list[bytes]:
    """Return texts as UTF-8; half a surrogate pair, which JSON can hold, becomes a question mark."""
    return [text.encode("utf-8", "replace") for text in texts]
