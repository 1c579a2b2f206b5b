"""One table: where its columns are, and how its rows are judged."""

import csv
from collections import Counter
from collections.abc import Sequence

from classifier.tabular import unclosed_quotes
from classifier.tabular.columns import HEADERLESS, AmbiguousError, recognise
from classifier.tabular.delimiters import NAMES, SHOWN, TAB
from classifier.tabular.rows import ReadResult, Row, as_label, label_problem


class RowParser:
    """Takes a table's rows one after the other; :meth:`finish` says what only all of them together can tell."""

    def __init__(self, name: str, delimiter: str, result: ReadResult) -> None:
        self.name = name
        self.delimiter = delimiter
        self.result = result
        self._columns = HEADERLESS
        self._header: Sequence[str] | None = None
        self._header_line = 0
        self._doubtful = False
        self._counts: Counter[int] = Counter()
        self._wrong: list[tuple[int, Sequence[str], str]] = []
        self._suspects: list[unclosed_quotes.Suspect] = []
        self._empty = False

    def is_filled(self, fields: Sequence[str]) -> bool:
        """Return whether a row holds anything; rows of delimiters alone are left out, and said."""
        filled = any(field and not field.isspace() for field in fields)
        if not filled and len(fields) > 1 and not self._empty:
            self._empty = True
            self.result.note(self.name, "has rows in which nothing is written; they are left out")
        return filled

    def begin(self, line: int, fields: Sequence[str], header: str) -> bool:
        """Take the first row, header or not; return whether the columns are known."""
        try:
            columns = recognise(fields) if header != "false" else None
        except AmbiguousError as error:
            self.result.problem(self.name, line, f"the header: {error}")
            return False
        if columns is None and header == "true":
            if len(fields) != HEADERLESS.count:
                self.result.problem(
                    self.name, line, f"a header of {_columns(len(fields))}; call those to read label and text"
                )
                return False
            columns = HEADERLESS
        self.result.headers[self.name] = columns
        if columns is None:
            self.add(line, fields, first=header == "auto")
            return True
        self._columns, self._header, self._header_line = columns, fields, line
        self._doubtful = header == "auto" and columns.count == HEADERLESS.count
        more = f"; {_columns(columns.count - 2)} not read" if columns.count > 2 else ""
        self.result.note(f"{self.name}:{line}", f"is a header: {columns}{more}")
        return True

    def add(self, line: int, fields: Sequence[str], *, first: bool = False) -> None:
        """Take a row of data."""
        if self._header is not None and self._is_like_the_header(line, fields):
            return
        self._counts[len(fields)] += 1
        if len(fields) != self._columns.count:
            naming = "; or name the columns to read in a header: label, text" if first and len(fields) > 2 else ""
            self._wrong.append((line, fields, naming))
            return
        label, text = fields[self._columns.label].strip(), fields[self._columns.text]
        wrong = label_problem(label)
        if wrong:
            self.result.problem(self.name, line, wrong)
            return
        self.result.rows.append(Row(self.name, line, as_label(label), text, first))
        self._suspects += unclosed_quotes.suspects(line, fields, self._columns, self.delimiter)

    def finish(self) -> None:
        """Name what is wrong with the number of columns, and rows that are in texts."""
        count, rows = self._counts.most_common(1)[0] if self._counts else (0, 0)
        if self._wrong and count != self._columns.count and rows > 1 and rows > self._counts.total() / 2:
            line = next(line for line, fields, _ in self._wrong if len(fields) == count)
            self.result.problem(self.name, line, self._other_columns(count, rows))
        else:
            for line, fields, naming in self._wrong:
                self.result.problem(self.name, line, self._wrong_count(len(fields)) + naming)
        self._name_rows_in_texts()

    def wrong_quotes(self, line: int, error: csv.Error) -> None:
        """Take a row that is no CSV."""
        example = f'1{SHOWN[self.delimiter]}"say ""hello"""'
        self.result.problem(
            self.name,
            line,
            f"a quote is not closed or not doubled ({error}); "
            f"write the text in quotes and each quote in it twice: {example}",
        )

    def _is_like_the_header(self, line: int, fields: Sequence[str]) -> bool:
        """Refuse a header that comes again, and a first row that may be data after all."""
        if list(fields) == list(self._header or ()):
            self.result.problem(self.name, line, f"the header of line {self._header_line} again; take this line out")
            return True
        if self._doubtful and self._header is not None and fields[0] == self._header[0]:
            self._doubtful = False
            self.result.problem(
                self.name,
                self._header_line,
                f"a header by its words, but line {line} begins alike; set header to true, or to false if it is data",
            )
        return False

    def _name_rows_in_texts(self) -> None:
        known = {row.label for row in self.result.rows} if self._suspects else ()
        for suspect in self._suspects:
            count = suspect.rows(known)
            if count:
                self.result.problem(
                    self.name,
                    suspect.line,
                    f"lines of this text look like rows: {count}; close the quote before them, or double it if it is "
                    "the text's; if they are text after all, begin each with a space",
                )

    def _wrong_count(self, count: int) -> str:
        shown, noun = SHOWN[self.delimiter], NAMES[self.delimiter]
        if count == 1:
            return f"1 column; a row is a label, a {noun}, and a text"
        where = f" where the header has {self._columns.count}" if self._header is not None else ""
        space = "" if self.delimiter == TAB else " "
        return f'{count} columns{where}; put a text that has {noun}s in quotes: 1{shown}"one{shown}{space}two"'

    def _other_columns(self, count: int, rows: int) -> str:
        """Say what is wrong where most rows have the same number of columns, which is another than it should be."""
        total, right = self._counts.total(), self._columns.count
        shown, noun = SHOWN[self.delimiter], NAMES[self.delimiter]
        every = f"{'every row has' if rows == total else f'{rows} of {total} rows have'} {_columns(count)}"
        if self._header is not None:
            every += f" where the header has {right}"
        if count == 1:
            return f"{every}; a row is a label, a {noun}, and a text"
        surplus = [fields[right:] for _, fields, _ in self._wrong if len(fields) == count]
        if count > right and not any(field.strip() for fields in surplus for field in fields):
            ends = f"a {noun}" if count == right + 1 else f"{count - right} {noun}s"
            return f"{every}: each line ends in {ends}; take that off, or name every column in a header"
        names = shown.join(("label", "text", *["other"] * (count - 2)))
        return f"{every}; name them in a header, in their order: {names}; or put a text that has {noun}s in quotes"


def _columns(count: int) -> str:
    return f"{count} column{'' if count == 1 else 's'}"
