"""Writes result files, compressed if their names say so, and lists of rejects."""

import gzip
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

from classifier.batch.shards import GZIP
from classifier.tabular import csv_rows

COMPRESSION = 6
FIELDS = ("line", "reason")


@contextmanager
def writing(path: Path, name: str) -> Iterator[TextIO]:
    """Open a new file as UTF-8, without translating line breaks.

    Args:
        path: The path to write to.
        name: The file's final name; it is compressed if this ends with ``.gz``.
    """
    with path.open("wb") as file:
        if name.lower().endswith(GZIP):
            packed = gzip.GzipFile("", "wb", COMPRESSION, file, mtime=0)
            with packed, TextIOWrapper(packed, "utf-8", newline="") as text:
                yield text
        else:
            with TextIOWrapper(file, "utf-8", newline="") as text:
                yield text


class RejectList:
    """Writes a list of rejects, as CSV or JSON Lines.

    Args:
        file: The file to write to.
        as_objects: Whether to write JSON Lines.
        fields: What a reject consists of.

    Attributes:
        count: How many rejects were written.
    """

    def __init__(self, file: TextIO, *, as_objects: bool, fields: Sequence[str] = FIELDS) -> None:
        self.count = 0
        self._fields = fields
        self._file = file
        self._writer = None if as_objects else csv_rows.writer(file)
        if self._writer is not None:
            self._writer.writerow(fields)

    def add(self, rejects: Iterable[tuple[Any, ...]]) -> None:
        """Write more rejects."""
        for reject in rejects:
            self.count += 1
            if self._writer is not None:
                self._writer.writerow(reject)
            else:
                self._file.write(json.dumps(dict(zip(self._fields, reject, strict=True)), ensure_ascii=False) + "\n")
