"""Pre-trained encoders: one module a family, and nothing outside this folder knows which there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # the catalogue is here too, and asked before anybody waits for TensorFlow
    from pathlib import Path

    import tensorflow as tf


class Encoder(Protocol):
    """Turns texts into vectors.

    Attributes:
        family: The module it comes from.
        name: Which encoder it is, for the log and the manifest.
        pooling: How a text's vector is made of its tokens' vectors: ``mean``, ``max``, ``pooler``, ``cls``, or ``own``
            where the encoder's graph decides.
        tokens: Whether :meth:`tokenize` gives token ids; otherwise it gives the texts themselves.
        layer: A tf_keras layer from what :meth:`tokenize` gives to float32[batch, width].
    """

    family: str
    name: str
    pooling: str
    tokens: bool
    layer: Any

    def __hash__(self) -> int:
        """Encoders are told apart by identity."""
        ...

    @property
    def max_sequence_length(self) -> int:
        """Tokens of a text that are read."""
        ...

    @property
    def unknown_id(self) -> int | None:
        """The token that stands for what the vocabulary lacks; None where there are no tokens, or it can't be told."""
        ...

    @property
    def tokenizer(self) -> Any:
        """What TensorFlow must keep track of for :meth:`tokenize` to be exported; may be None."""
        ...

    def tokenize(self, texts: tf.Tensor) -> tf.Tensor:
        """Turn string[batch] into int32[batch, length], 0 after a text's end, or leave it as it is."""
        ...

    def save(self, folder: Path) -> None:
        """Write the encoder, as it is now, in the form it was loaded from."""
        ...
