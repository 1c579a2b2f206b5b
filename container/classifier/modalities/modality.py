"""What a modality is: everything that differs between kinds of records, declared in one place each."""

import importlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:  # who serves does without pandas
    import pandas as pd

    from classifier.modalities.report import Finding
    from classifier.tabular.dialect import Dialect
    from classifier.tabular.files import Source
    from classifier.tabular.rows import Label, ReadResult


class Channel(Protocol):
    """How a channel of one modality is read: the functions of a module."""

    def find(self, folder: Path, channel: str, result: "ReadResult", *, sharded: bool = False) -> "list[Source]":
        """Find a channel's files; the result gets notes, and a problem if there is nothing to read.

        Args:
            folder: The channel's folder.
            channel: Its name, with which the files' names in messages begin.
            result: What is added to.
            sharded: Whether each host gets a part of the channel's files, which may be none.
        """

    def read_sources(self, sources: "Sequence[Source]", dialect: "Dialect", result: "ReadResult", /) -> None:
        """Read files: the result gets their rows, the problems and the notes.

        Args:
            sources: The files, in order.
            dialect: What the user says of how tables are written.
            result: What is added to.
        """

    def table_of(self, result: "ReadResult") -> "pd.DataFrame":
        """Return the good rows as a table with the columns of :func:`classifier.modalities.text_channel.table_of`."""

    def why_one_label(self, table: "pd.DataFrame", /) -> str:
        """Return why all rows may have one label, to end a message with; empty if it is not known."""

    def bits_of(self, tables: "Iterable[pd.DataFrame]", /) -> int:
        """Return how many bits of 16 the values of 16-bit images take up; 0 without such images."""

    def check(self, table: "pd.DataFrame", known: "Collection[Label]", /) -> None:
        """Refuse implausible labels in a channel that defines the labels; the known ones are accepted.

        Raises:
            UserError: There are such labels.
        """

    def findings(
        self, splits: "Mapping[str, pd.DataFrame]", labels: "Sequence[Label]", max_sequence_length: int | None, /
    ) -> "Iterator[Finding]":
        """Report on all rows of a job.

        Args:
            splits: The rows by split, ``training`` first, as :meth:`table_of` gives them.
            labels: All labels.
            max_sequence_length: How many tokens of a text will be read; None if that is not known.
        """


@dataclass(frozen=True)
class Modality:
    """One kind of records.

    A new one is a value of this class, ``MODALITY``, in a module of its own whose name is in
    ``classifier.MODALITY_NAMES``.

    Attributes:
        name: Its name, in hyperparameters, the manifest and messages, which add an ``s``.
        channel_module: The module that offers what :class:`Channel` says; it is imported where a channel is read.
        decode: A record of a request, a file or a row, and the model's manifest, to the record as an engine takes it.
            Raises :class:`classifier.errors.RecordError`.
        smoke_inputs: Returns records of our own: training keeps the model's answers to them, and serving asks them
            again before it calls itself ready.
        families: The encoder families that read it, in the order that a model channel's files are tried.
        from_scratch: The families that are trained from scratch, by the ``model_id`` that asks for them.
        model_channel: What the ``model`` channel may hold, in words.
        default_model_id: The encoder of a job without a ``model`` channel.
        default_with_channel: The same of a job with one.
        encoder_defaults: Hyperparameters that suit pre-trained encoders of it better than the general defaults.
        from_scratch_defaults: The same of families that are trained from scratch, by their ``model_id``.
        has_embedded_encoder: Whether the container image holds an encoder of it.
        encoders_page: The page of the documentation that lists encoders of it.
        word_vectors: Whether the ``model`` channel may hold word vectors for a network from scratch.
        is_array: Whether a decoded record is an array that the network reads as it is; otherwise it is a text.
        in_tables: Whether its records are rows of tables, which ``batch`` reads.
        in_files: Whether its records are image files, one each, which ``batch`` reads.
    """

    name: str
    channel_module: str
    decode: Callable[[Any, Mapping[str, Any]], Any]
    smoke_inputs: Callable[[], Sequence[Any]]
    families: tuple[str, ...]
    from_scratch: Mapping[str, str]
    model_channel: str
    default_model_id: str
    default_with_channel: str
    encoder_defaults: Mapping[str, Any] = field(default_factory=dict)
    from_scratch_defaults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    has_embedded_encoder: bool = False
    encoders_page: str = "encoders.md"
    word_vectors: bool = False
    is_array: bool = False
    in_tables: bool = False
    in_files: bool = False

    @property
    def channel(self) -> Channel:
        """How its channels are read."""
        return cast("Channel", importlib.import_module(self.channel_module))
