"""Pre-trained encoders: one module a family, and nothing outside this folder knows which there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # the catalogue is here too, and asked before anybody waits for TensorFlow
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import tensorflow as tf

    from classifier.hyperparameters import Hyperparameters


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
    """Turns records, which are texts or images, into vectors.

    Attributes:
        family: The module it comes from.
        name: Which encoder it is, for the log and the manifest.
        pooling: How a record's vector is made of those of its tokens, or places: ``mean``, ``max``, ``pooler``,
            ``cls``, or ``own`` where the encoder's graph decides.
        tokens: Whether the layer reads the token ids that :meth:`tokenize` gives; otherwise it reads what
            :meth:`arrays` gives.
        layer: A tf_keras layer from what it reads to float32[batch, width].
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
    def signature(self) -> tf.TensorSpec:
        """What the layer reads of any number of records."""
        ...

    @property
    def reads(self) -> Mapping[str, int]:
        """How much of a record it reads, for the manifest: ``max_sequence_length``, or ``height`` and ``width``."""
        ...

    @property
    def augments(self) -> bool:
        """Whether training reads a record differently each time."""
        ...

    @property
    def max_sequence_length(self) -> int:
        """Tokens of a text that are read; 0 where records are no texts."""
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

    def configure(self, settings: Hyperparameters) -> None:
        """Let it read records in training as a job's hyperparameters say; what is exported reads them as they are."""
        ...

    def preprocess(self, records: Sequence[Any]) -> Any:
        """Return the records as the layer reads them, an array whose first axis is the records."""
        ...

    def portable_tokenizer(self) -> PortableTokenizer | None:
        """Return what gives the same tokens without TensorFlow; None where there is no such form."""
        ...

    def save(self, folder: Path) -> None:
        """Write the encoder, as it is now, in the form it was loaded from."""
        ...
