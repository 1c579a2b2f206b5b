"""Encoders: networks that turn records into vectors, in one module per family.

A family is a module of this package that offers what :class:`Family` declares. Its encoders have two parts: a
preprocessor, which turns decoded records into what the network reads, and a layer, which computes the vectors. To add
a family, write its module and name it in its modality, among ``families`` or ``from_scratch``.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

if TYPE_CHECKING:  # the catalogue is here too, and asked before anybody waits for TensorFlow
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import tensorflow as tf

    from classifier.encoders.texts import TokenPreprocessor
    from classifier.hyperparameters import Hyperparameters

NO_VECTORS = "none"  # the pooling of an encoder whose vectors are zeros: n-grams of its tokens are all that is learnt


@dataclass(frozen=True)
class PortableTokenizer:
    """A tokenizer in the format of the ``tokenizers`` library, which gives the same token ids without TensorFlow.

    The two may differ for characters that were added to Unicode after one side's tables were made (Unicode 13 and
    later); ``tests/test_tokenization.py`` lists every such character.

    Attributes:
        definition: The JSON that ``tokenizers.Tokenizer.from_str`` reads.
        folds_case: Whether a text must be folded with Unicode's NFKC_Casefold before it is tokenized.
    """

    definition: str
    folds_case: bool


class ArrayPreprocessor(Protocol):
    """Turns decoded records into one array; an encoder that reads token ids has a ``TokenPreprocessor`` instead."""

    @property
    def signature(self) -> tf.TensorSpec:
        """The shape and dtype of the layer's input, with None as the first axis, the records."""
        ...

    @property
    def reads(self) -> Mapping[str, int | str]:
        """How much of a record is read, for the manifest: for example ``height`` and ``width`` in pixels."""
        ...

    def preprocess(self, records: Sequence[Any], /) -> Any:
        """Return an array of :attr:`signature`, one entry per record, or what can be indexed like one."""
        ...


class Encoder(Protocol):
    """A network that turns records into vectors, and what prepares the records for it."""

    @property
    def family(self) -> str:
        """The module of this package whose ``load`` reads what :meth:`save` writes."""
        ...

    @property
    def name(self) -> str:
        """The encoder's name, for the log and the manifest."""
        ...

    @property
    def pooling(self) -> str:
        """How the vectors of a record's tokens or image regions become one, for the log and the manifest.

        One of ``mean``, ``max``, ``pooler``, ``cls``, ``own`` where the encoder's own graph decides, and
        :data:`NO_VECTORS`.
        """
        ...

    @property
    def preprocessor(self) -> ArrayPreprocessor | TokenPreprocessor:
        """What turns decoded records into the layer's input."""
        ...

    @property
    def layer(self) -> Any:
        """A tf_keras layer from the preprocessor's ``signature`` to float32[batch, width]."""
        ...

    def save(self, folder: Path, /) -> None:
        """Write the encoder with its current weights, as the family's ``load`` reads it."""
        ...


@runtime_checkable
class ConfigurableEncoder(Encoder, Protocol):
    """An encoder that has hyperparameters of its own."""

    @property
    def augments(self) -> bool:
        """Whether the layer changes its input at random in training, so that its vectors can't be cached."""
        ...

    def configure(self, settings: Hyperparameters, /) -> None:
        """Apply a job's hyperparameters, before training starts."""
        ...


class Family(Protocol):
    """What a module of this package offers: the encoders of one kind.

    :meth:`load` and :meth:`FromScratchFamily.build` leave the layer's variables built, so that they can be trained.
    """

    def recognise(self, folder: Path, /) -> bool:
        """Return whether a folder holds an encoder of this family, even one that :meth:`load` refuses."""
        ...

    def load(self, folder: Path, name: str, max_sequence_length: int, seed: int = ...) -> Encoder:
        """Load an encoder from files that its user brings or that :meth:`Encoder.save` wrote.

        Args:
            folder: The files.
            name: The encoder's name, where the files don't tell a better one.
            max_sequence_length: How many tokens of a text to read at most; for families of texts.
            seed: The seed of the dropout; for families whose layer has any.

        Raises:
            UserError: A file is missing or broken, or of an encoder that this family doesn't support.
        """
        ...


class FromScratchFamily(Family, Protocol):
    """A family whose networks are trained from scratch, too."""

    def build(self, records: Sequence[Any], settings: Hyperparameters, vectors: Path | None, /) -> Encoder:
        """Build an encoder with untrained weights.

        Args:
            records: The training records, from which a vocabulary may be made.
            settings: The job's hyperparameters.
            vectors: A file of word vectors to initialize from; None where the job has none.

        Raises:
            UserError: The file of word vectors is broken.
        """
        ...


def family(name: str) -> Family:
    """Import a family by the name of its module; most import TensorFlow."""
    return cast("Family", importlib.import_module(f"{__name__}.{name}"))
