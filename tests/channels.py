"""A channel, and a job's channels, read at one go."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from classifier.modalities import text_channel
from classifier.tabular.dialect import AS_WRITTEN, Dialect
from classifier.tabular.rows import BadDataError, Label, ReadResult
from classifier.training import data
from classifier.training.data import Data


@dataclass(frozen=True)
class Read:
    """A channel's rows, and what was said of them."""

    table: pd.DataFrame
    notes: tuple[str, ...] = ()


def read_channel(folder: Path, channel: str, *, dialect: Dialect = AS_WRITTEN) -> Read:
    """Read a channel of texts, as a job does."""
    found = ReadResult()
    text_channel.read_sources(text_channel.find(folder, channel, found), dialect, found)
    if found.problems:
        raise BadDataError(found.problems_in_order())
    return Read(text_channel.table_of(found), (*found.warnings, *found.notes))


def load(
    channels: Mapping[str, Path],
    validation_split_ratio: float,
    seed: int,
    *,
    dialect: Dialect = AS_WRITTEN,
    known_labels: tuple[Label, ...] = (),
    max_sequence_length: int | None = None,
) -> Data:
    """Read a job's channels and hold rows out, as a job does."""
    tables = data.read(channels, dialect=dialect)
    labels = data.labels_of(tables, known_labels)
    return data.prepare(tables, labels, validation_split_ratio, seed, max_sequence_length=max_sequence_length)
