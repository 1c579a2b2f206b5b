import io
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from classifier.serving import csv_texts, records
from classifier.serving.lines import LONGEST_LINE, LineReader
from classifier.serving.media_types import CSV
from classifier.serving.records import Record
from record_helpers import BOUNDS, Trickle, all_of, problems, shown, texts


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("a", ["a"]),
        ("a\n", ["a"]),
        ("a\nb", ["a", "b"]),
        ("a\r\nb\r\n", ["a", "b"]),
        ("a\n\nb\n\n", ["a", "", "b", ""]),
        ("\n", [""]),
        ("commas, and, more\n,\n", ["commas, and, more", ","]),
        ('"quoted, with comma"\n', ["quoted, with comma"]),
        ('"says ""yes"""\n"b"', ['says "yes"', "b"]),
        ('"over\ntwo\r\nlines"\r\nb', ["over\ntwo\r\nlines", "b"]),
        ('""\n""', ["", ""]),
        ('in the "middle", so\n', ['in the "middle", so']),
        ('"Great" film\nb', ['"Great" film', "b"]),
        ('"never closed\nb\n', ['"never closed', "b"]),
        ('"never closed\nhe said "no"\n', ['"never closed', 'he said "no"']),
        ('"', ['"']),
        ('"""\nb', ['"""', "b"]),
        ('"ends at the end"', ["ends at the end"]),
        ('"ends so"\r', ["ends so"]),
        ("\ufeffmarked\nb", ["marked", "b"]),
        ('\ufeff"marked"\nb', ["marked", "b"]),
        ("alone\rno end\nb", [None, "b"]),
        ("line\u2028separator\x0b\x85", ["line\u2028separator\x0b\x85"]),
        ("nul\0\nb", ["nul\0", "b"]),
    ],
)
def test_csv_is_one_column_of_texts_a_line_each_unless_properly_quoted_B06_B07_B10_D06(
    body: str, found: list[Record]
) -> None:
    assert shown(texts(body, CSV)) == found
    assert shown(all_of(records.read(Trickle(body.encode()), CSV, BOUNDS))) == found


@pytest.mark.parametrize(
    ("body", "line", "found"),
    [
        ('"a",5', 1, [None]),
        ('b\n\n"a","secret"\nc\n', 3, ["b", "", None, "c"]),
        ('"two\nlines"\n"secret",\n"c"', 3, ["two\nlines", None, "c"]),
        ('"",""\n\n', 1, [None, ""]),
        ('"over\ntwo","secret"\r\nc', 1, [None, "c"]),
        ('"a",' + "secret" * 500_000 + "\nc", 1, [None, "c"]),
    ],
)
def test_a_second_csv_column_is_an_error_of_its_line_D03_B11(body: str, line: int, found: list[str | None]) -> None:
    read_texts = texts(body, CSV)
    assert shown(read_texts) == found
    (message,) = problems(read_texts)
    assert f"CSV line {line} has a second column" in message
    assert "secret" not in message


def test_a_csv_text_that_is_not_utf_8_is_an_error_of_its_line_B11_B13() -> None:
    found = texts(b'a\nb\xff\n"two\nlines"\n"quoted\xff\nso"\n\xef\xbb\xbfc\n', CSV)
    assert shown(found) == ["a", None, "two\nlines", None, "\ufeffc"]
    assert ["line 2 is not UTF-8 (at byte 1" in problems(found)[0], "line 5 is" in problems(found)[1]] == [True, True]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_as_many_lines_come_out_as_went_in_B06_B12_D04(end: str, last: bool) -> None:
    lines: list[Record] = ["first", "", "third, with a comma", "four"]
    assert texts(end.join(map(str, lines)) + (end if last else ""), CSV) == lines


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (
            ["fine text", '"Unclosed start of a quotation', "another text", 'TV of 55"', "last"],
            ["fine text", '"Unclosed start of a quotation', "another text", 'TV of 55"', "last"],
        ),
        (['"one line"', '"says ""yes"""', '"over', 'two"'], ["one line", 'says "yes"', '"over', 'two"']),
        (['5,"over', 'two"', '"over', 'two",5', '"a",5'], ['5,"over', 'two"', '"over', 'two",5', None]),
        (['"a","over', 'two"', "b"], [None, 'two"', "b"]),
        (['"', '"', '""', ""], ['"', '"', "", ""]),
    ],
)
def test_without_line_breaks_in_texts_a_quote_never_reaches_beyond_its_line_B06_B10_B12(
    lines: list[str], found: list[str | None], end: str
) -> None:
    body = io.BytesIO("".join(line + end for line in lines).encode())
    assert shown(all_of(records.read(body, CSV, replace(BOUNDS, look_ahead=csv_texts.NO_LOOK_AHEAD)))) == found


@pytest.mark.parametrize(
    ("body", "joined"),
    [
        ("a\nb\n", 0),
        ('"a"\n"b, c"\n"d\n', 0),
        ('"over\ntwo"\na\n"over\nthree\nlines"', 2),
        ('"over\r\ntwo"\r\n', 1),
        ('"over\ntwo","and\nthree"\na\n5,"over\ntwo"\n', 2),
    ],
)
def test_records_over_several_lines_are_counted_B10(body: str, joined: int) -> None:
    read = records.read(Trickle(body.encode()), CSV, BOUNDS)
    all_of(read)
    assert read.joined() == joined


FIELD = rb'"(?:[^"]|"")*+"'
ALONE = re.compile(FIELD + rb"\r?\n")


def row_patterns(mark: bytes) -> tuple[re.Pattern[bytes], re.Pattern[bytes], re.Pattern[bytes]]:
    """A quoted field with a delimiter after it, one with a delimiter before it, and other columns."""
    comma, plain = mark == b",", re.escape(mark)
    field = FIELD + rb'|[^"\r\n%b]*+' % plain
    before = rb'[^"\r\n]*+(?<=,)' if comma else rb'[^"\r\n]{1,100}+(?<=[^;\t|\r\n]%b)' % plain
    return (
        re.compile(FIELD + plain + (rb"" if comma else rb"(?=[^ \r\n])")),
        re.compile(before + FIELD + rb"(%b|\r?\n)" % plain),
        re.compile(rb"(?:%b)(?:%b(?:%b))*+\r?\n" % (field, plain, field)),
    )


ROWS = {mark: row_patterns(mark) for mark in (b",", b";", b"\t", b"|")}


def whole_csv(content: bytes, look_ahead: int, longest: int) -> Iterator[bytes | None]:
    """Read CSV at once, from a body that is all there: what the streaming reader must come to."""
    content += b"" if content.endswith(b"\n") or not content else b"\n"
    position = 0
    while position < len(content):
        end = content.index(b"\n", position) + 1
        line = content[position:end].removesuffix(b"\n").removesuffix(b"\r")
        if end - 1 - position > longest:
            yield None
            position = end
            continue
        window = position, position + max(look_ahead, end - position)
        if alone := ALONE.match(content, *window):
            yield alone[0].removesuffix(b"\n").removesuffix(b"\r")[1:-1].replace(b'""', b'"')
            position = alone.end()
        elif (past := past_second_column(content, window)) is not None:
            yield None
            position, mark = past
            if mark:
                position = rest_of_row(content, position, mark, look_ahead, longest)
        else:
            yield None if b"\r" in line else line
            position = end


def past_second_column(content: bytes, window: tuple[int, int]) -> tuple[int, bytes] | None:
    """Return where a row's quoted field ends, and the delimiter after it, if a delimiter is beside it."""
    for mark, (first, later, _) in ROWS.items():
        if found := first.match(content, *window):
            return found.end(), mark
        if found := later.match(content, *window):
            return found.end(), mark if found[1] == mark else b""
    return None


def rest_of_row(content: bytes, position: int, mark: bytes, look_ahead: int, longest: int) -> int:
    """Return where a row ends of which other columns are to come."""
    end = content.index(b"\n", position) + 1
    found = ROWS[mark][2].match(content, position, position + max(look_ahead, end - position))
    return found.end() if found and end - 1 - position <= longest else end


def utf_8(content: bytes | None) -> str | None:
    try:
        return None if content is None else content.decode()
    except UnicodeDecodeError:
        return None


def streamed_csv(content: bytes, look_ahead: int, longest: int, piece: int) -> list[str | None]:
    lines = LineReader(io.BytesIO(content), longest=longest, piece=piece)
    found = list(csv_texts.read(lines, look_ahead))
    assert lines.number == len((content.removesuffix(b"\n") + b"\n").split(b"\n")) or not content
    return shown(found)


ODD_PARTS = [
    b'"',
    b'""',
    b'"""',
    b",",
    b',"',
    b"; ",
    b"\t",
    b'|"',
    b"\n",
    b"\r\n",
    b"\r",
    b"a",
    b"bcd",
    "é".encode(),
    b"\xff",
    b'"\n',
    b'\n"',
]


@settings(deadline=None)  # a busy machine is no fault
@given(
    st.lists(st.sampled_from(ODD_PARTS), max_size=30).map(b"".join),
    st.integers(0, 30),
    st.integers(1, 30),
    st.integers(1, 9),
)
@example(b'\n\t""', 4, 9, 1)
@example(b'"a""', 4, 9, 1)
@example(b'"a"\r', 4, 9, 1)
@example(b'"a\nb"\nc', 6, 9, 3)
@example(b'"a\nb"\nc', 5, 9, 3)
def test_csv_read_as_a_stream_is_what_it_is_read_at_once_B10_H26(
    content: bytes, look_ahead: int, longest: int, piece: int
) -> None:
    expected = [utf_8(text) for text in whole_csv(content, look_ahead, longest)]
    assert streamed_csv(content, look_ahead, longest, piece) == expected


@settings(deadline=None)  # a busy machine is no fault
@given(st.lists(st.sampled_from(ODD_PARTS), min_size=1, max_size=30).map(b"".join), st.integers(1, 9))
def test_without_line_breaks_in_texts_there_is_a_record_for_every_line_B06_B12(content: bytes, piece: int) -> None:
    found = streamed_csv(content, csv_texts.NO_LOOK_AHEAD, LONGEST_LINE, piece)
    assert len(found) == len(content.removesuffix(b"\n").split(b"\n"))


NASTY = [
    b'"never closed\n',
    b'"never closed, and a line of some length\n',
    b'""never closed, and a line of some length\n',
    b'"\n',
    b'""\n',
    b'"""\n',
    b'a"b\n',
    b'"a""\n',
    b'"a"b\n',
    b'"""a\n',
    b'"""a\n""b\n',
    b'""a""\n""b\n',
    b"\n",
    b'"' * 1_000_000,
    b'"' * 999_999 + b"\n",
    b'"' + b'""' * 2_000_000 + b"\n",
    b'"' + b'""a\n' * 270_000,
    b'"' + b'a""\n' * 260_000 + b'"x\n',
    b'"' + b"\n" * 600_000 + b"a" * 500_000,
    b'"' + b"a\n" * 520_000 + b'"\n',
    b'a,"never closed\n',
    b'a,"b""\n',
    b'a,"","b\n',
    b'a,""""b\n',
    b'a,"b"\n',
    b'a;"b",c\n',
    b'"a"\t"b\nc"\n',
    b'"a","' + b'""a\n' * 260_000,
    b'a,"' + b'""a\n' * 260_000 + b'a,"x\n',
]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("line", NASTY)
def test_megabytes_of_odd_quotes_are_read_in_time_that_grows_with_them_B10_H26(line: bytes) -> None:
    content = line * min(max(2_500_000 // len(line), 1), 100_000)
    found = shown(all_of(records.read(io.BytesIO(content), CSV, BOUNDS)))
    assert found == [utf_8(text) for text in whole_csv(content, csv_texts.LOOK_AHEAD, LONGEST_LINE)]


def test_a_quote_that_closes_far_below_is_part_of_its_line_B10() -> None:
    far = ["a" * 99] * (csv_texts.LOOK_AHEAD // 100 + 1)
    assert texts('"' + "\n".join(far) + '"\n"near\nby"\n', CSV) == ['"' + far[0], *far[1:-1], far[-1] + '"', "near\nby"]
    on_one_line = "a" * (2 * csv_texts.LOOK_AHEAD)
    assert texts(f'"{on_one_line}"\nb', CSV) == [on_one_line, "b"]
