"""Detects rows that are no rows, and labels with a part of a row in them: by all rows of a table."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from classifier.tabular.rows import Row
from classifier.tabular.unread import Finding
from classifier.tabular.values import is_figure, plain

# What programs and people write below the last row.
TOTALS = frozenset({"total", "totals", "grand total", "subtotal", "sum", "count", "summe", "gesamt"})
COUNT_OF_ROWS = re.compile(r"\(?\d+ (?:rows?|records?)(?: (?:affected|selected|returned|in set))?\)?\.?")
COMMENT = re.compile(r"#|//")
TUPLE = re.compile(r"\(['\"].*['\"]")
QUOTE = '"'
# Of inches and seconds: 19" racks.
AFTER_A_NUMBER = re.compile(r'\d"')
MOST = 0.5
FEW = 0.1
AS_IN = 'fire,"smoke, then flames"'


def findings(rows: Sequence[Row]) -> Iterator[Finding]:
    """Return what is in the rows of a table and is no row.

    Args:
        rows: The good rows of one table.
    """
    names = [row for row in rows if isinstance(row.label, str)]
    if not names:
        yield from _below(rows)
        return
    counts = Counter(str(row.label) for row in names)
    yield from _quotes(names)
    yield from _below(rows)
    comments = [row for row in names if COMMENT.match(str(row.label))]
    if comments and len(comments) <= FEW * len(names) and all(counts[str(row.label)] == 1 for row in comments):
        yield Finding(
            comments[0].line,
            f"begins with a mark of a comment, as no other row does (such rows: {len(comments)}), and is read as a "
            "row; take it out if it is none",
            ends=False,
        )
    tuples = [row for row in names if TUPLE.fullmatch(str(row.label)) and row.record.rstrip().endswith(("')", '")'))]
    if len(tuples) > MOST * len(names):
        yield Finding(
            tuples[0].line,
            "looks like a tuple as Python prints it, whose brackets and quotes are read with the label and the text; "
            "write the rows as CSV (in Python: csv.writer)",
            ends=False,
        )


def _below(rows: Sequence[Row]) -> Iterator[Finding]:
    """Name a last row that says how many rows there are, or a sum, where no other row has its label."""
    if len(rows) < 2 or not isinstance(rows[-1].label, str):
        return
    last = rows[-1]
    bare, text = plain(str(last.label)), last.record.strip()
    is_total = bare in TOTALS and (not text or is_figure(text))
    if (is_total or COUNT_OF_ROWS.fullmatch(bare)) and all(row.label != last.label for row in rows[:-1]):
        yield Finding(
            last.line,
            "looks like a sum or a count below the last row, and is read as a row; take it out if it is none",
            ends=False,
        )


def _quotes(rows: Sequence[Row]) -> Iterator[Finding]:
    """Name rows whose label has a quote that nothing closes; where most have, it may be what they are called."""
    quoted = [row for row in rows if QUOTE in str(row.label)]
    lone = [row for row in quoted if _has_lone_quote(str(row.label))]
    if lone and len(lone) == len(quoted):
        yield Finding(
            lone[0].line,
            f"a double quote inside the label, which no other label has (such rows: {len(lone)}); put the whole text "
            f"in quotes, as in {AS_IN}"
            if len(lone) <= MOST * len(rows)
            else f"has a double quote inside the label, as most rows have; is it a quote of the text, as in {AS_IN}?",
            ends=len(lone) <= MOST * len(rows),
        )


def _has_lone_quote(label: str) -> bool:
    return len(label) > 1 and label.count(QUOTE) % 2 == 1 and not AFTER_A_NUMBER.search(label)
