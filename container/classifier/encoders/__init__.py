"""Pre-trained encoders: one module a family, and nothing outside this folder knows which there are."""

from pathlib import Path
from typing import Any, Protocol

import tensorflow as tf


class Encoder(Protocol):
    """Turns texts into vectors.

    Attributes:
        family: The module it comes from.
        name: Which encoder it is, for the log and the manifest.
        pooling: How a text's vector is made of its tokens' vectors: ``mean``, ``pooler``, ``cls``, or ``own`` where the
            encoder's graph decides.
        tokens: Whether :meth:`tokenize` gives token ids; otherwise it gives the texts themselves.
        layer: A tf_keras layer from what :meth:`tokenize` gives to float32[batch, width].
    """

    family: str
    name: str
    pooling: str
    tokens: bool
    layer: Any

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
