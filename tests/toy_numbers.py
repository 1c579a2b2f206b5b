"""A toy modality: a record is a list of two numbers, and a channel is CSV files of rows ``label,number,number``."""

import csv
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from classifier.modalities.modality import Modality
from classifier.modalities.report import Finding
from classifier.modalities.text_channel import bits_of, table_of, why_one_label
from classifier.serving.requests import JSON, JSON_LINES, Requests
from classifier.tabular.dialect import Dialect
from classifier.tabular.files import Source
from classifier.tabular.rows import Label, ReadResult, Row

__all__ = ["bits_of", "check", "find", "findings", "read_sources", "table_of", "why_one_label"]

NAME = "number"


def find(folder: Path, channel: str, result: ReadResult, *, sharded: bool = False) -> list[Source]:  # noqa: ARG001
    return [Source(path, f"{channel}/{path.name}") for path in sorted(folder.glob("*.csv"))]


def read_sources(sources: Sequence[Source], _: Dialect, result: ReadResult, /) -> None:
    for source in sources:
        result.files.append(source.name)
        with source.path.open(encoding="utf-8", newline="") as file:
            for line, (label, *numbers) in enumerate(csv.reader(file), 1):
                result.rows.append(Row(source.name, line, label, [float(number) for number in numbers]))


def check(_: pd.DataFrame, __: Collection[Label], /) -> None:
    """Any label is good."""


def findings(_: Mapping[str, pd.DataFrame], __: Sequence[Label], ___: int | None, /) -> Iterator[Finding]:
    return iter(())


def decode(record: Any, _: Mapping[str, Any]) -> NDArray[np.float32]:
    return np.array(record, np.float32)


def pair(item: Any) -> list[float] | None:
    """Return a value of JSON that is a record."""
    is_pair = isinstance(item, list) and len(item) == 2 and all(isinstance(each, int | float) for each in item)
    return item if is_pair else None


MODALITY = Modality(
    name=NAME,
    channel_module=__name__,
    decode=decode,
    smoke_inputs=lambda: [[0.0, 0.0], [1.0, -1.0]],
    families=("number_network",),
    from_scratch={"perceptron": "number_network"},
    model_channel="weights.safetensors",
    default_model_id="perceptron",
    default_with_channel="perceptron",
    is_array=True,
)
REQUESTS = Requests(
    records="pairs of numbers",
    types={JSON: JSON, JSON_LINES: JSON_LINES},
    usual=JSON,
    keys=("numbers",),
    item=pair,
    item_forms="a list of two numbers",
    body_forms='a list of lists of two numbers, or {"instances": [...]}',
)
