"""Parses the rows of one table: finds its columns, and checks each row."""

import csv
from collections import Counter
from collections.abc import Sequence

from classifier.errors import at_most
from classifier.tabular import overflow, strays, unclosed_quotes
from classifier.tabular.columns import HEADERLESS, AmbiguousError, are_names, label_names, recognise, texts
from classifier.tabular.delimiters import NAMES, SHOWN, TAB, Delimiter
from classifier.tabular.rivals import Rivals
from classifier.tabular.rows import IF_DATA_MOVE, ReadResult, Row, as_label, label_problem, shown_label
from classifier.tabular.unread import Unread, shown
from classifier.tabular.values import are_again, is_figure, is_rule, may_be_column_numbers, plain, reads_like_name

SET_DELIMITER = "set delimiter to comma, semicolon, tab or bar"
ONES = frozenset({"0", "1", "0.0", "1.0", "true", "false"})
# Of so many rows as there are, few hold a figure for a text where column numbers stand above them.
FEW = 0.1
MOST = 0.5
MOST_NAMED = 5
COLUMN_NUMBERS = (
    "column numbers (as 0, 1), which pandas writes above columns without names; take the line out (in pandas: "
    "to_csv(..., header=False))"
)
ROWS_PERHAPS = (
    "has a text with a line that looks like a row; is a quote missing? Close it or double it; if the line is text, "
    "begin it with a space"
)
SWAPPED_BELOW = (
    "take out the lines above it where those are no rows; else move it and the lines below it, whose columns are in "
    "another order, to a file of their own, and put label,text above the first"
)
A_RULE = "a line of dashes below the header, as sqlcmd and Markdown write it; remove it"


class RowParser:
    """Takes a table's rows one after the other; :meth:`finish` says what only all of them together can tell."""

    def __init__(self, name: str, delimiter: Delimiter, result: ReadResult) -> None:
        self.name = name
        self.delimiter = delimiter.character
        self.result = result
        self._guessed = delimiter.guessed
        self._before = len(result.rows)
        self._columns = HEADERLESS
        self._header: Sequence[str] | None = None
        self._header_line = 0
        self._doubtful = False
        self._auto = False
        self._numbers = 0
        self._unread = Unread("column")
        self._rivals = Rivals("column")
        self._names: Sequence[str] = ()
        self._counts: Counter[int] = Counter()
        # Of the rows with each number of columns, how many go on after a space where the text should end.
        self._continued: Counter[int] = Counter()
        self._overflow = overflow.Overflow(HEADERLESS, ())
        self._wrong: list[tuple[int, Sequence[str], str]] = []
        self._suspects: list[unclosed_quotes.Suspect] = []
        self._empty = False

    def is_filled(self, fields: Sequence[str]) -> bool:
        """Return whether a row holds anything; rows of delimiters alone are left out, and said."""
        filled = any(field and not field.isspace() for field in fields)
        if not filled and len(fields) > 1 and not self._empty:
            self._empty = True
            self.result.note(self.name, "has empty rows, which are left out")
        return filled

    def begin(self, line: int, fields: Sequence[str], raw: str, header: str) -> bool:
        """Take the first row, header or not; return whether the columns are known.

        Args:
            line: Where it begins.
            fields: Its fields.
            raw: Its last line as it is written.
            header: What the user says of it.
        """
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
            self.result.said_headers[f"{self.name}:{line}"] = fields[columns.label].strip()
        if header == "false" and are_names(fields):
            self.result.general_warnings.append(
                f"{self.name}:{line}: the names of columns are read as a row, because header is false, for all files; "
                "take them out if they are a header"
            )
        self.result.headers[self.name] = columns
        self._auto = header == "auto"
        if columns is None:
            self.add(line, fields, raw, first=self._auto)
            return True
        self._columns, self._header, self._header_line = columns, fields, line
        self._names = _distinct(fields)
        self._overflow = overflow.Overflow(columns, fields)
        self._doubtful = header == "auto" and columns.count == HEADERLESS.count
        more = f"; {_columns(columns.count - 2)} not read" if columns.count > 2 else ""
        self.result.note(f"{self.name}:{line}", f"is a header: {columns}{more}")
        return True

    def add(self, line: int, fields: Sequence[str], raw: str, *, first: bool = False) -> None:
        """Take a row of data.

        Args:
            line: Where it begins.
            fields: Its fields.
            raw: Its last line as it is written.
            first: Whether it is the first row of a table without a header.
        """
        if self._is_a_header(line, fields, first=first):
            return
        below = self._header is not None and not self._counts
        if below and is_rule(fields):
            self.result.problem(self.name, line, A_RULE)
            return
        if (first or below) and len(fields) > 1 and may_be_column_numbers(fields):
            self._numbers = line
        self._counts[len(fields)] += 1
        spaced = overflow.spaced_fields(raw, len(fields), self.delimiter)
        if len(fields) != self._columns.count:
            naming = "; or name the columns to read in a header: label, text" if first and len(fields) > 2 else ""
            self._wrong.append((line, fields, naming))
            self._continued[len(fields)] += overflow.is_continued(self._columns, spaced)
            return
        label, text = fields[self._columns.label].strip(), fields[self._columns.text]
        wrong = label_problem(label)
        if wrong:
            self.result.problem(self.name, line, wrong)
            return
        self.result.rows.append(Row(self.name, line, as_label(label), text, first, below))
        if self._columns.count > HEADERLESS.count:
            self._look_at_others(line, fields)
            self._overflow.add(line, fields, spaced)
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
        self._name_column_numbers()
        self._show_a_guess()
        self.result.judge(self.name, strays.findings(self.result.rows[self._before :]))
        self.result.judge(self.name, self._unread.findings(self.result.role))
        self.result.judge(self.name, self._overflow.findings())
        self.result.judge(self.name, self._rivals.findings())

    def wrong_quotes(self, line: int, error: csv.Error) -> None:
        """Take a row that is no CSV."""
        example = f'1{SHOWN[self.delimiter]}"say ""hello"""'
        expected = "expected" in str(error)
        other = f"; if it is not a {NAMES[self.delimiter]} between the columns, {SET_DELIMITER}" if expected else ""
        self.result.problem(
            self.name,
            line,
            f"a quote is not closed or not doubled ({error}); "
            f"write the text in quotes and each quote in it twice: {example}{other}",
        )

    def _is_a_header(self, line: int, fields: Sequence[str], *, first: bool) -> bool:
        """Refuse a header that is not the first row."""
        if self._header is not None:
            return self._is_like_the_header(line, fields)
        if not self._auto or first or not are_names(fields):
            return False
        swapped = recognise(fields) != HEADERLESS
        cure = SWAPPED_BELOW if swapped else "take it out, with the lines above it where those are no rows"
        self.result.problem(
            self.name,
            line,
            f"a header that is not in the first line; {cure}; if it is data, set header to false",
        )
        return True

    def _look_at_others(self, line: int, fields: Sequence[str]) -> None:
        label, text = self._columns.label, self._columns.text
        others = [
            pair for number, pair in enumerate(zip(self._names, fields, strict=True)) if number not in (label, text)
        ]
        self._unread.add(line, (self._names[text], fields[text]), others)
        self._rivals.add((self._names[label], fields[label].strip()), others)

    def _name_column_numbers(self) -> None:
        """Name a row of column numbers, unless the texts may be numbers."""
        if not self._numbers:
            return
        rows = [row for row in self.result.rows[self._before :] if row.line != self._numbers]
        if sum(is_figure(row.record) for row in rows) <= FEW * len(rows):
            self.result.rows[self._before :] = rows
            cure = "" if self._header is not None else ", or set header to true"
            self.result.problem(self.name, self._numbers, f"{COLUMN_NUMBERS}{cure}; {IF_DATA_MOVE}")

    def _show_a_guess(self) -> None:
        """Show how the first row is read, where nothing but the rows says what separates the columns."""
        rows = self.result.rows[self._before :] if self._guessed else []
        if not rows:
            return
        first, labels = rows[0], Counter(row.label for row in rows)
        label, length = shown_label(first.label, labels[first.label]), len(first.record)
        self.result.doubt(
            f"{self.name}:{first.line} ({label}, and a text of {length} character{'' if length == 1 else 's'})",
            f"is the first row as it is read: separated by {NAMES[self.delimiter]}s, a guess from the rows; "
            f"{SET_DELIMITER} to be sure",
        )

    def _is_like_the_header(self, line: int, fields: Sequence[str]) -> bool:
        """Refuse a header that comes again, in whatever order, and a first row that may be data after all."""
        header = list(map(plain, self._header or ()))
        again = are_again(fields, header)
        if again and list(map(plain, fields)) == header:
            self.result.problem(self.name, line, f"repeats the header of line {self._header_line}; remove this line")
            return True
        if again:
            self.result.problem(
                self.name,
                line,
                f"repeats the header of line {self._header_line} in another order; move this line and those below it "
                "to a file of their own",
            )
            # So that the rows below are no problems, too.
            self._columns = recognise(fields) or self._columns
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
            elif suspect.perhaps_rows(known):
                self.result.doubt(f"{self.name}:{suspect.line}", ROWS_PERHAPS)

    def _wrong_count(self, count: int) -> str:
        shown, noun = SHOWN[self.delimiter], NAMES[self.delimiter]
        if count == 1:
            return self._one_column("1 column")
        where = f" where the header has {self._columns.count}" if self._header is not None else ""
        space = "" if self.delimiter == TAB else " "
        return f'{count} columns{where}; put a text that has {noun}s in quotes: 1{shown}"one{shown}{space}two"'

    def _one_column(self, what: str) -> str:
        noun = NAMES[self.delimiter]
        return f"{what}; a row is a label, a {noun}, and a text; if it is not a {noun} between them, {SET_DELIMITER}"

    def _other_columns(self, count: int, rows: int) -> str:
        """Return what is wrong where most rows have the same number of columns, which is another than it should be."""
        total, right = self._counts.total(), self._columns.count
        noun = NAMES[self.delimiter]
        every = f"{'every row has' if rows == total else f'{rows} of {total} rows have'} {_columns(count)}"
        if self._header is not None:
            every += f" where the header has {right}"
        if count == 1:
            return self._one_column(every)
        surplus = [fields[right:] for _, fields, _ in self._wrong if len(fields) == count]
        if count > right and not any(field.strip() for fields in surplus for field in fields):
            ends = f"a {noun}" if count == right + 1 else f"{count - right} {noun}s"
            return f"{every}: each line ends in {ends}; take that off, or name every column in a header"
        return f"{every}; {self._half_named(count) or self._unnamed_first(count) or self._naming(count, rows)}"

    def _naming(self, count: int, rows: int) -> str:
        """Return what to do with further columns; first what fits better: of most texts they may be the rest."""
        names = SHOWN[self.delimiter].join(("label", "text", *["other"] * (count - 2)))
        noun = NAMES[self.delimiter]
        name = f"name them in a header, in their order: {names} (in place of the first line, if that is a header)"
        further = [fields[self._columns.count :] for _, fields, _ in self._wrong if len(fields) == count]
        filled = sum(any(map(str.strip, fields)) for fields in further)
        if self._continued[count] > MOST * rows or filled <= MOST * rows:
            return f"put a text that has {noun}s in quotes; or, if these are columns, {name}"
        return f"{name}; or put a text that has {noun}s in quotes"

    def _unnamed_first(self, count: int) -> str:
        """Say what a header lacks that names all columns but the first, which holds a number or name of each row."""
        firsts = [fields[0] for _, fields, _ in self._wrong if len(fields) == count]
        if self._header is None or count != self._columns.count + 1 or len({*firsts}) < len(firsts):
            return ""
        mark = SHOWN[self.delimiter]
        return f"the first column, of row names as R writes them, has no name in the header; begin it with {mark!r}"

    def _half_named(self, count: int) -> str:
        """Return what a first row lacks that names some of the columns, or has labels spread over several."""
        _, first, _ = self._wrong[0]
        others = [fields for _, fields, _ in self._wrong[1:] if len(fields) == count]
        if self._header is not None or len(first) != count or not others:
            return ""
        spread = [
            shown(name)
            for number, name in enumerate(first)
            if reads_like_name(name) and all(fields[number].strip().lower() in ONES for fields in others)
        ]
        if len(spread) > 1:
            return (
                f"the columns {', '.join(at_most(spread, MOST_NAMED))} hold 0 and 1, which is one-hot; write one label "
                f"per row: a column called label with the name of the one that is 1 (in pandas: idxmax(axis=1))"
            )
        for named, lacking in ((texts(first), "label"), (label_names(first), "text")):
            if named:
                return f"the first row is a header without a column of the {lacking}; call that column {lacking!r}"
        return ""


def _distinct(names: Sequence[str]) -> list[str]:
    """Return the columns' names, with the number of a column in place of a name that is empty or comes again."""
    counts = Counter(names)
    return [name if name.strip() and counts[name] == 1 else str(number) for number, name in enumerate(names, start=1)]


def _columns(count: int) -> str:
    return f"{count} column{'' if count == 1 else 's'}"
