"""Pre-trained encoders: one module a family, and nothing outside this folder knows which there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # the catalogue is here too, and asked before anybody waits for TensorFlow
    from pathlib import Path

    import tensorflow as tf


@dataclass(frozen=True)
class PortableTokenizer:
    """An encoder's tokenizer in a form that needs no TensorFlow, and gives the same tokens.

    It may differ in texts with characters younger than the Unicode tables of one side or the other, which are those of
    Unicode 13 and later; ``tests/test_tokenization.py`` lists every such character.

    Attributes:
        definition: What ``tokenizers.Tokenizer.from_str`` reads.
        folds_case: Whether a text's letters are folded before it: Unicode's NFKC_Casefold, by the standard library.
    """

    definition: str
    folds_case: bool


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

    def portable_tokenizer(self) -> PortableTokenizer | None:
        """Return what gives the same tokens without TensorFlow; None where there is no such form."""
        ...

    def save(self, folder: Path) -> None:
        """Write the encoder, as it is now, in the form it was loaded from."""
        ...
