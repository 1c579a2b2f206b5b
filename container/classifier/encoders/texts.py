"""Preprocessors of texts: to token ids, or, for networks that tokenize by themselves, to UTF-8."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from classifier.encoders import PortableTokenizer
from classifier.hyperparameters import TRUNCATE


class TokenPreprocessor(ABC):
    """Turns texts into token ids, as TensorFlow operations that become part of the exported model.

    It is a dataclass, so that a copy with a higher limit can be made.

    Attributes:
        max_sequence_length: The most tokens of a text that are read, special tokens included.
        tokenizer: The object whose resources :meth:`tokenize` uses, which TensorFlow must track to export it.
    """

    max_sequence_length: int
    tokenizer: Any

    @property
    @abstractmethod
    def unknown_id(self) -> int | None:
        """The id of the token for what the vocabulary lacks; None where there is no such token."""

    @property
    def special_tokens(self) -> int:
        """The number of special tokens, such as [CLS], at each end of a text."""
        return 0

    @property
    def vocabulary_size(self) -> int | None:
        """The number of token ids, from 0; None where it is not known, and n-grams can't be used."""
        return None

    @abstractmethod
    def tokenize(self, texts: tf.Tensor) -> tf.Tensor:
        """Turn string[batch] into int32[batch, length], with 0 after the end of each text."""

    @abstractmethod
    def portable(self) -> PortableTokenizer | None:
        """Return an equal tokenizer that works without TensorFlow; None where there is none."""

    @property
    def signature(self) -> tf.TensorSpec:
        """The shape and dtype of the layer's input."""
        return tf.TensorSpec([None, None], tf.int32, name="token_ids")

    @property
    def reads(self) -> Mapping[str, int | str]:
        """How much of a text is read, for the manifest."""
        return {"max_sequence_length": self.max_sequence_length, "long_texts": TRUNCATE}


@dataclass(frozen=True, eq=False)
class TextPreprocessor:
    """Turns texts into UTF-8, for networks whose graph tokenizes.

    Attributes:
        max_sequence_length: The job's limit, which is recorded only: the network itself decides how much it reads.
    """

    max_sequence_length: int

    @property
    def signature(self) -> tf.TensorSpec:
        """The shape and dtype of the layer's input."""
        return tf.TensorSpec([None], tf.string, name="texts")

    @property
    def reads(self) -> Mapping[str, int | str]:
        """How much of a text is read, for the manifest."""
        return {"max_sequence_length": self.max_sequence_length, "long_texts": TRUNCATE}

    def preprocess(self, texts: Sequence[str]) -> NDArray[Any]:
        """Return the texts as UTF-8, object[texts]."""
        return np.array(encoded(texts), dtype=object)


def encoded(texts: Sequence[str]) -> list[bytes]:
    """Return texts as UTF-8; half a surrogate pair, which JSON can hold, becomes a question mark."""
    return [text.encode("utf-8", "replace") for text in texts]
