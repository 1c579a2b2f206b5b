"""Kinds of records: a module each, which reads a channel of them and says what is wrong with it."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from classifier import IMAGE, TEXT
from classifier.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from classifier.modalities.report import Finding
    from classifier.modalities.text import Examples
    from classifier.tabular.files import Source
    from classifier.tabular.rows import Label, ReadResult

AUTO = "auto"
# By either of these names a job has its channel to train on.
TRAINING = ("training", "train")


class Modality(Protocol):
    """A kind of records: the functions of its module."""

    NAME: str

    def find(self, folder: Path, channel: str, result: "ReadResult", *, sharded: bool = False) -> "list[Source]":
        """Find a channel's files; the result gets a problem where there is nothing to read, and notes.

        Args:
            folder: The channel's folder.
            channel: Its name, with which the files' names in messages begin.
            result: What is added to.
            sharded: Whether each host gets a part of the channel's files, which may be none.
        """

    def read_sources(self, sources: "Sequence[Source]", header: str, found: "ReadResult", /) -> None:
        """Read files: the result gets their rows, the problems and the notes.

        Args:
            sources: The files, in order.
            header: Whether each table's first row is a header: ``true``, ``false`` or ``auto``.
            found: What is added to.
        """

    def examples(self, found: "ReadResult") -> "Examples":
        """Return good rows as a table."""

    def why_one_label(self, table: "pd.DataFrame", /) -> str:
        """Say, in words to end a message with, why all rows may have one label; nothing where it is not known."""

    def bits_of(self, tables: "Iterable[pd.DataFrame]", /) -> int:
        """Return how many bits of 16 the values of images of 16 bits take up; 0 without such."""

    def check(self, table: "pd.DataFrame", known: "Collection[Label]", /) -> None:
        """Refuse labels that are none, of a channel that says which labels there are; the known ones are beyond doubt.

        Raises:
            UserError: There are such labels.
        """

    def findings(
        self, splits: "Mapping[str, pd.DataFrame]", labels: "Sequence[Label]", max_sequence_length: int | None, /
    ) -> "Iterator[Finding]":
        """Look at all rows of a job.

        Args:
            splits: The rows by what they are for, ``training`` the first, as :meth:`examples` gives them.
            labels: All labels.
            max_sequence_length: How many tokens of a text will be read; None where that is not known.
        """


def of(name: str) -> Modality:
    """Return a kind of records by its name."""
    from classifier.modalities import image, text  # noqa: PLC0415  only who reads channels waits for pandas

    kinds: Mapping[str, Modality] = {TEXT: text, IMAGE: image}
    return kinds[name]


def choose(wanted: str, channels: Mapping[str, Path]) -> tuple[str, str]:
    """Return what kind of records a job has, and why.

    Args:
        wanted: The kind's name, or ``auto``: that of the channel to train on.
        channels: The folder of each channel by its name.

    Raises:
        UserError: That channel holds both a table and folders of images.
    """
    if wanted != AUTO:
        return wanted, "modality was given"
    from classifier.modalities import image  # noqa: PLC0415
    from classifier.tabular import files  # noqa: PLC0415

    channel = next((name for name in TRAINING if name in channels), None)
    inside = image.files_of(channels[channel]) if channel else []
    tables = [path for path in inside if files.is_table(path)]
    images = [path for path in inside if image.is_image(path)]
    labelled = [path for path in images if len(path.relative_to(channels[channel or ""]).parts) > 1]
    if channel and (images or not tables) and image.is_foreign(channels[channel], inside, images):
        return IMAGE, f"channel {channel} holds images as another program lays them out"
    if tables and labelled:
        raise UserError(
            f"channel {channel} holds tables of text and folders of images, as {tables[0].name} and "
            f"{labelled[0].name}; set modality to {TEXT} or {IMAGE}, or take one kind out"
        )
    perhaps_tables = not labelled and any(files.may_be_table(path) for path in inside)
    if images and not tables and not perhaps_tables:
        return IMAGE, f"channel {channel} holds images and no table"
    return (
        TEXT,
        "there is a table to train on" if tables or images else "there are neither tables nor images to train on",
    )
