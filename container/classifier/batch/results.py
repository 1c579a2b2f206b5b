"""Files that are being written: compressed where their names say so, the rejected rows in a list of their own."""

import csv
import gzip
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from classifier.batch.records import Reject
from classifier.batch.shards import GZIP

COMPRESSION = 6
FIELDS = ("line", "reason")


@contextmanager
def writing(path: Path, name: str) -> Iterator[TextIO]:
    """Open a new file, UTF-8, its line ends as they are written.

    Args:
        path: Where to write it.
        name: What it will be called, which says whether it is compressed.
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
    """Lists rows that can't be read, as CSV or JSON Lines.

    Args:
        file: Where to.
        as_objects: Whether as JSON Lines.

    Attributes:
        count: How many were listed.
    """

    def __init__(self, file: TextIO, *, as_objects: bool) -> None:
        self.count = 0
        self._file = file
        self._writer = None if as_objects else csv.writer(file, lineterminator="\n")
        if self._writer is not None:
            self._writer.writerow(FIELDS)

    def add(self, rejects: Iterable[Reject]) -> None:
        """Write some more."""
        for reject in rejects:
            self.count += 1
            if self._writer is not None:
                self._writer.writerow(reject)
            else:
                self._file.write(json.dumps(reject._asdict(), ensure_ascii=False) + "\n")
