"""JSON Lines tables: one key of each object is the text."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TextIO

from classifier.batch import text_column
from classifier.batch.lines import Lines, TooLongError
from classifier.batch.records import NO_TEXT, NOT_UTF_8, TOO_LONG, Added, Answer, Record, Reject, Row
from classifier.batch.text_column import SAMPLE_ROWS
from classifier.errors import UserError
from classifier.tabular import columns, json_rows
from classifier.tabular.files import LENIENT, Source, open_text
from classifier.tabular.keys import SOURCE, SOURCE_REFERENCE, RowError, with_metadata

EXAMPLE = '{"text": "..."}'


@dataclass(frozen=True)
class JsonTable:
    """A table whose text key is known.

    Attributes:
        text: The key of the text.
        added: The keys that the result adds.
        doubts: Warnings about how the table is read.
    """

    text: str
    added: Added
    doubts: Sequence[str] = ()

    @property
    def start(self) -> str:
        """What comes before the first row of the result: nothing."""
        return ""

    def records(self, file: TextIO) -> Iterator[Record]:
        """Yield the rows and the rejects."""
        for line in _read(file):
            yield line if isinstance(line, Reject) else self._judged(line)

    def lines(self, answers: Iterable[Answer]) -> str:
        """Return rows of the result: each line as it was, with more keys before its last bracket."""
        return "".join(f"{answer.row.content[0][:-1]}, {self._written(answer)}\n" for answer in answers)

    def __str__(self) -> str:
        return f"text_key={self.text!r}"

    def _written(self, answer: Answer) -> str:
        values: list[Any] = [answer.label, *(round(number, 8) for number in answer.numbers)]
        if answer.words is not None:
            values.append([vars(word) for word in answer.words])
        return json.dumps(dict(zip(self.added.names, values, strict=True)), ensure_ascii=False)[1:]

    def _judged(self, row: Row) -> Record:
        try:
            item = json_rows.parsed(row.text, EXAMPLE)
            text = json_rows.text(self._value(item), EXAMPLE)
        except RowError as error:
            return Reject(row.line, str(error))
        return row._replace(text=text) if text.strip() else Reject(row.line, NO_TEXT)

    def _value(self, item: dict[str, Any]) -> Any:
        if self.text not in item:
            raise RowError("the key of the text is missing; add it, or remove the line")
        if repeated := [name for name in self.added.names if name in item]:
            raise RowError(f"there is already a key {repeated[0]}; remove or rename it")
        return item[self.text]


def read(source: Source, wanted: str, added: Added) -> JsonTable:
    """Determine a table's text key from its first rows.

    Args:
        source: The file.
        wanted: The text's key; empty to detect it.
        added: The keys that the result adds.

    Raises:
        UserError: The table has no rows, or its text key can't be determined.
    """
    with open_text(source, LENIENT) as file:
        sample = [row.text for row in islice(_read(file), SAMPLE_ROWS) if isinstance(row, Row)]
    wrong = json_rows.not_lines(sample[0], EXAMPLE) if sample else "has no row; write one object per line"
    if wrong:
        raise UserError(wrong)
    items = [item for line in sample if (item := _object(line))]
    keys = list(dict.fromkeys(key for item in items for key in item))
    if not keys:
        raise UserError(f"no JSON object in the first {len(sample)} lines; write one object per line: {EXAMPLE}")
    if not wanted and keys == [SOURCE_REFERENCE]:
        raise UserError(f"{SOURCE_REFERENCE} leads to another object; nothing is downloaded: put the text in {SOURCE}")
    rows = [[value if isinstance(value := item.get(key), str) else "" for key in keys] for item in items]
    text = text_column.find(keys, rows, wanted or _source(keys), numbered=False)
    return JsonTable(keys[text], added, [] if wanted else text_column.longer(keys, rows, text, "key"))


def _source(keys: Sequence[str]) -> str:
    """Return ``source`` if it is the text: an augmented manifest's, or that of objects without a usual name for it."""
    is_manifest = bool(with_metadata(keys)) and columns.TEXT not in keys
    return SOURCE if SOURCE in keys and (is_manifest or not columns.texts(keys)) else ""


def _object(line: str) -> dict[str, Any]:
    try:
        return json_rows.parsed(line)
    except RowError:
        return {}


def _read(file: TextIO) -> Iterator[Row | Reject]:
    """Yield each line as a row whose text is the whole line; blank lines are left out."""
    lines = Lines(file)
    while True:
        lines.begin_row()
        try:
            line = next(lines).strip()
        except StopIteration:
            return
        except TooLongError:
            yield Reject(lines.number, TOO_LONG)
            continue
        if line and lines.is_utf_8:
            yield Row(lines.number, lines.size, line, (line,))
        elif line:
            yield Reject(lines.number, NOT_UTF_8)
