"""Reading rows of label and text, good and bad."""

from pathlib import Path

import pytest

from channels import Read, read_channel
from classifier.errors import UserError
from classifier.modalities.text import LONGEST
from classifier.tabular.dialect import Dialect

GOOD = '0,"fine"\n1,"broken"\n'


def channel(folder: Path, content: str | bytes, name: str = "data.csv") -> Path:
    path = folder / "training" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder / "training"


def read(folder: Path, content: str | bytes) -> Read:
    return read_channel(channel(folder, content), "training")


def pairs(examples: Read) -> list[tuple[object, str]]:
    return list(zip(examples.table["label"], examples.table["record"], strict=True))


def failure(folder: Path, content: str | bytes) -> UserError:
    with pytest.raises(UserError) as error:
        read(folder, content)
    return error.value


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('0,"a"\n1,"b"\n', [(0, "a"), (1, "b")]),
        ("0,a\n1,b", [(0, "a"), (1, "b")]),
        ('0,"a"\r\n1,"b"\r\n', [(0, "a"), (1, "b")]),
        ('\ufeff0,"a"\n1,"b"\n', [(0, "a"), (1, "b")]),
        ('0,"a, b, c"\n1,"say ""b"""\n', [(0, "a, b, c"), (1, 'say "b"')]),
        ('0,"two\nlines"\n1,"and\r\nthree"\n', [(0, "two\nlines"), (1, "and\r\nthree")]),
        ('0,"a"\n\n1,"b"\n\n', [(0, "a"), (1, "b")]),
        (" 0 ,a\n1,b\n", [(0, "a"), (1, "b")]),
        ("10,a\n-9,b\n", [(10, "a"), (-9, "b")]),
        ("fire,a\nbrakes,b\n", [("fire", "a"), ("brakes", "b")]),
        ("01,a\n02,b\n", [("01", "a"), ("02", "b")]),
        ("1.0,a\n0.0,b\n", [("1.0", "a"), ("0.0", "b")]),
        ('0,"日本語 ☕"\n1,"naïve"\n', [(0, "日本語 ☕"), (1, "naïve")]),
        ("0,a\x00b\n1,c\n", [(0, "a\x00b"), (1, "c")]),
        ('0, "a, b"\n1, b\n', [(0, "a, b"), (1, "b")]),
        ("label,text\n0,a\n1,b\n", [(0, "a"), (1, "b")]),
        ("\nlabel,text\n0,a\n1,b\n", [(0, "a"), (1, "b")]),
        ("-0,a\nx,b\n", [("-0", "a"), ("x", "b")]),
        ("Sentence,Label\na,0\nb,1\n", [(0, "a"), (1, "b")]),
        ("tweet,sentiment\na,good\nb,bad\n", [("good", "a"), ("bad", "b")]),
        ('""," Text ",day,LABEL\n7,"a, b",1,0\n8,c,2,1\n', [(0, "a, b"), (1, "c")]),
        ("label,title,text\n0,x,a\n1,y,b\n", [(0, "a"), (1, "b")]),
        ("1;good, bad\n0;fine\n", [(1, "good, bad"), (0, "fine")]),
        ("text;label\na, b;0\nc;1\n", [(0, "a, b"), (1, "c")]),
        ("1\tgood, bad\n0\tfine, too\n", [(1, "good, bad"), (0, "fine, too")]),
        ("a;b,one\nc;d,two; three\n", [("a;b", "one"), ("c;d", "two; three")]),
        ("0,one; two\n1,three; four\n", [(0, "one; two"), (1, "three; four")]),
        ("question,one word\ny,comment\n", [("question", "one word"), ("y", "comment")]),
        ("a;b, c\nd;e, f\n", [("a", "b, c"), ("d", "e, f")]),
        ("a|b, c\nd|e, f\n", [("a", "b, c"), ("d", "e, f")]),
        ("label|text\n0|a\n1|b, c\n", [(0, "a"), (1, "b, c")]),
        ("a;b,c\nd,e;f\n", [("a;b", "c"), ("d", "e;f")]),
        ("sep=;\r\n0;a, b\r\n1;c\r\n", [(0, "a, b"), (1, "c")]),
        ("0,a\n,\n ,  \n1,b\n;;\n".replace(";;", ",,"), [(0, "a"), (1, "b")]),
        ("می\u200cخواهم,a\nb,c\n", [("می\u200cخواهم", "a"), ("b", "c")]),
        ('yes,"Is it?\nno, thanks"\nno,b\n', [("yes", "Is it?\nno, thanks"), ("no", "b")]),
        ('1,"It cost\n1,500 dollars"\n0,b\n', [(1, "It cost\n1,500 dollars"), (0, "b")]),
        ('1,"one\ntwo\nthree\n0,four"\n0,b\n', [(1, "one\ntwo\nthree\n0,four"), (0, "b")]),
        ('1,"one\n 0,two"\n0,b\n', [(1, "one\n 0,two"), (0, "b")]),
    ],
)
def test_rows_are_read_as_they_were_written_T83(tmp_path: Path, content: str, expected: list[object]) -> None:
    assert pairs(read(tmp_path, content)) == expected


def test_a_field_may_be_longer_than_the_csv_modules_limit(tmp_path: Path) -> None:
    long = "word " * 60_000
    assert pairs(read(tmp_path, f'0,"{long}"\n1,b\n'))[0] == (0, long[:LONGEST])


def test_lines_are_those_an_editor_shows(tmp_path: Path) -> None:
    examples = read(tmp_path, '0,"one\ntwo\nthree"\n1,b\n\n0,c\n')
    assert list(examples.table["line"]) == [1, 4, 6]
    assert set(examples.table["file"]) == {"training/data.csv"}


@pytest.mark.parametrize(
    ("header", "content", "expected"),
    [
        ("true", "mood,posting\n0,a\n1,b\n", [(0, "a"), (1, "b")]),
        ("true", "text,label\na,0\nb,1\n", [(0, "a"), (1, "b")]),
        ("true", "label,text\nlabel,a\nb,c\n", [("label", "a"), ("b", "c")]),
        ("false", "label,text\nx,a\n", [("label", "text"), ("x", "a")]),
        ("false", "label,text\nlabel,text\n", [("label", "text"), ("label", "text")]),
    ],
)
def test_a_header_is_what_the_user_says_it_is_T83(
    tmp_path: Path, header: str, content: str, expected: list[object]
) -> None:
    assert pairs(read_channel(channel(tmp_path, content), "training", dialect=Dialect(header))) == expected


@pytest.mark.parametrize(
    ("header", "content", "line", "words"),
    [
        ("auto", "label,text\n0,a\nlabel,text\n1,b\n", 3, "repeats the header of line 1; remove this line"),
        ("auto", "y,comment\ny,a\nn,b\n", 1, "but line 2 begins alike; set header to true, or to false if it is data"),
        (
            "auto",
            "label,review,tweet\n0,a,b\n",
            1,
            "columns 2 and 3 may each be the text; rename the one to read to 'text'",
        ),
        ("auto", "class,target,text\n0,1,b\n", 1, "columns 1 and 2 may each be the label"),
        ("auto", "id,label,text\n1,0,a\n2,1,b,c\n", 3, "4 columns where the header has 3; put a text that has commas"),
        ("true", "a,b,c\n0,1,2\n", 1, "a header of 3 columns; call those to read label and text"),
        ("false", "label,text\n0,a\n1,b\n", 1, "the label is not an integer where most are integers"),
    ],
)
def test_a_header_that_leaves_a_doubt_is_refused_T83(
    tmp_path: Path, header: str, content: str, line: int, words: str
) -> None:
    with pytest.raises(UserError) as error:
        read_channel(channel(tmp_path, content), "training", dialect=Dialect(header))
    assert str(error.value).startswith(f"training/data.csv:{line}: ")
    assert words in str(error.value).splitlines()[0]


def test_columns_that_are_not_read_are_noted(tmp_path: Path) -> None:
    assert read(tmp_path, "id,label,text\n7,0,a\n8,1,b\n").notes == (
        "training/data.csv:1 is a header: label in column 2, text in column 3; 1 column not read",
    )


def test_another_delimiter_is_noted_and_named_in_messages(tmp_path: Path) -> None:
    assert read(tmp_path, "label;text\n0;a\n1;b\n").notes[0] == "training/data.csv is separated by semicolons"
    (guess,) = read(tmp_path, "0;a\n1;b\n").notes
    assert guess == (
        "training/data.csv:1 (label 0, and a text of 1 character) is the first row as it is read: separated by "
        "semicolons, a guess from the rows; set delimiter to comma, semicolon, tab or bar to be sure"
    )
    message = str(failure(tmp_path, "0;a\n1;b\n1;c\n0;d;e\n"))
    assert message == 'training/data.csv:4: 3 columns; put a text that has semicolons in quotes: 1;"one; two"'


def test_what_excel_writes_beside_the_rows_is_noted(tmp_path: Path) -> None:
    examples = read(tmp_path, "sep=;\nlabel;text\n0;a\n1;b\n;\n;\n")
    assert list(examples.table["line"]) == [3, 4]
    assert examples.notes == (
        "training/data.csv is separated by semicolons, as its first line says, which is not a row",
        "training/data.csv:2 is a header: label in column 1, text in column 2",
        "training/data.csv has empty rows, which are left out",
    )


@pytest.mark.parametrize(
    ("content", "line", "count"),
    [
        ('label\ttext\n0\ta\n1\t"secret\n0\tsecret\n1\tsecret"\n', 3, 2),
        ('sentence\tlabel\na\t0\n"secret\t1\nsecret"\t1\n', 3, 1),
        ('text,label\na,fire\n"secret,brakes\nb,fire\nsecret",brakes\n', 3, 2),
        ('id,text,label\n7,a,0\n8,"secret,1\n9,secret",1\n', 3, 1),
        ('id,label,text\n7,0,a\n8,1,"secret\n9,0,secret\n10,1,b"\n', 3, 2),
        ('fire,a\nbrakes,"secret\nfire,secret"\n', 2, 1),
    ],
)
def test_rows_that_an_open_quote_swallows_are_a_problem_T05(
    tmp_path: Path, content: str, line: int, count: int
) -> None:
    message = str(failure(tmp_path, content))
    assert message.startswith(f"training/data.csv:{line}: lines of this text look like rows: {count}; close the quote")
    assert "secret" not in message


SPACED = "".join(f"smoke number {number}, fire\npedal number {number}, brakes\n" for number in range(9))


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (f'text, label\n{SPACED}"secret one, fire\nsecret, brakes\nsecret, fire\nsecret", brakes\n', 20),
        (f'text, label\n{SPACED}"secret one, fire\nsecret", brakes\n', 20),
        (f'text, label\n{SPACED}"secret, secret, fire\nsecret", brakes\n', 20),
        ('id, label, text\n1, 0, a\n2, 1, "secret\n3, 0, secret\n4, 1, secret"\n', 3),
        (f'text, label\n{SPACED}"secret, brakes and\n all else, fire\nsecret", brakes\n', 0),
        (f'text, label\n{SPACED}"secret\nsecret, horn\nsecret", brakes\n', 0),
        (f'text, label\n{SPACED}"secret, more of it\nsecret, fire", brakes\n', 0),
    ],
)
def test_rows_that_an_open_quote_may_have_swallowed_are_warned_of(tmp_path: Path, content: str, line: int) -> None:
    doubts = [note for note in read(tmp_path, content).notes if "looks like a row" in note]
    assert [note.partition(" ")[0] for note in doubts] == [f"training/data.csv:{line}"] * bool(line)
    assert not any("secret" in note for note in doubts)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("0,a,b\n" * 9, "every row has 3 columns; name them in a header, in their order: label,text,other (in place"),
        (GOOD + "0,a,b\n" * 9, "9 of 11 rows have 3 columns; name them in a header"),
        ("0,a,\n" * 9, "every row has 3 columns: each line ends in a comma; take that off"),
        ("0;a;;\n" * 9, "every row has 4 columns: each line ends in 2 semicolons; take that off"),
        ("label,text\n" + "0,a,b\n" * 9, "every row has 3 columns where the header has 2; name them in a header"),
        ("text\n" * 9, "every row has 1 column; a row is a label, a comma, and a text"),
    ],
)
def test_columns_that_most_rows_have_are_one_problem(tmp_path: Path, content: str, words: str) -> None:
    message = str(failure(tmp_path, content))
    assert words in message
    assert len(message.splitlines()) == 1


def test_a_note_that_is_true_of_many_files_is_one_line(tmp_path: Path) -> None:
    for number in range(3):
        channel(tmp_path, "label,text\n" + GOOD, f"part-{number}.csv")
    assert read_channel(tmp_path / "training", "training").notes == (
        "training/part-0.csv:1 is a header: label in column 1, text in column 2 (and 2 more alike)",
    )


def test_a_header_is_noted(tmp_path: Path) -> None:
    assert read(tmp_path, "label,text\n0,a\n1,b\n").notes == (
        "training/data.csv:1 is a header: label in column 1, text in column 2",
    )


def test_empty_texts_are_kept(tmp_path: Path) -> None:
    assert pairs(read(tmp_path, '0,a\n1,""\n0," "\n')) == [(0, "a"), (1, ""), (0, " ")]


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        (GOOD + "0,one, two\n", 3, "3 columns; put a text that has commas in quotes"),
        (GOOD + "only text\n", 3, "1 column"),
        (GOOD + ',"text"\n', 3, "the label is empty"),
        (GOOD + 'x,"text"\n', 3, "not an integer where most are integers"),
        ("a,x\nb,y\n3,z\n", 3, "an integer where most are names"),
        (GOOD + '0,"never closed\n', 3, "a quote is not closed"),
        (GOOD + '0,"a" b\n', 3, "a quote is not closed or not doubled"),
        (GOOD.encode() + b'0,"\xff\xfe"\n', 3, "not UTF-8"),
        ("fi\x00re,a\nbrakes,b\n", 1, "the label holds a line break or another control character"),
        ("1\tgood, bad\n0\tone\ttwo, three\n", 1, "the label holds a tab"),
        (
            "mood,posting,day\n0,a,1\n1,b,2\n",
            1,
            "every row has 3 columns; name them in a header, in their order: label,text,other",
        ),
        ("mood,posting\n0,a\n1,b\n0,c\n", 1, "if it is a header, call its columns label and text"),
    ],
)
def test_a_bad_row_is_named_by_file_line_and_cure_T05(
    tmp_path: Path, content: str | bytes, line: int, words: str
) -> None:
    message = str(failure(tmp_path, content))
    assert f"training/data.csv:{line}: " in message
    assert words in message


def test_the_first_line_names_the_first_place_its_cure_and_how_many_more_there_are_T06(tmp_path: Path) -> None:
    message = str(failure(tmp_path, GOOD * 20 + "0,a,b\n" * 30))
    lines = message.splitlines()
    assert lines[0] == (
        'training/data.csv:41: 3 columns; put a text that has commas in quotes: 1,"one, two" '
        "(and 29 more problems; nothing was trained)"
    )
    assert len(lines) == 20 + 1
    assert lines[-1] == "... and 10 more"


def test_problems_are_in_the_order_of_their_lines(tmp_path: Path) -> None:
    message = str(failure(tmp_path, GOOD + "x,label of another kind\n0,a,b\n"))
    assert [line.split(":")[1] for line in message.splitlines()] == ["3", "4"]
    assert message.splitlines()[0].endswith("(and 1 more problem; nothing was trained)")


def test_rows_after_one_that_is_no_csv_are_still_looked_at(tmp_path: Path) -> None:
    message = str(failure(tmp_path, GOOD + '0,"a" b\n' + GOOD + "0,a,b\n"))
    assert "training/data.csv:3: a quote" in message
    assert "training/data.csv:6: 3 columns" in message


def test_a_message_holds_nothing_of_a_users_text(tmp_path: Path) -> None:
    message = str(failure(tmp_path, GOOD + "secret words,more secret\nsecret,one,two\n"))
    assert "secret" not in message


def test_an_empty_file_is_not_data(tmp_path: Path) -> None:
    assert str(failure(tmp_path, "")).startswith("training/data.csv: the file is empty; ")


def test_a_file_of_blank_lines_holds_no_rows(tmp_path: Path) -> None:
    assert str(failure(tmp_path, "\n\n")).startswith("training/data.csv: the file holds no rows; ")


def test_a_channel_without_files_is_named_T05(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="channel training: the job names it, but it has no files"):
        read_channel(tmp_path / "training", "training")


def test_files_that_are_no_data_are_left_out_and_said_T26_T27(tmp_path: Path) -> None:
    folder = channel(tmp_path, GOOD)
    for name in ("_SUCCESS", ".DS_Store", "x.manifest", ".ipynb_checkpoints/data.csv", "empty.csv", "sub/_$folder$"):
        channel(tmp_path, "" if name in ("_SUCCESS", "empty.csv") else "junk", name)
    channel(tmp_path, "notes", "notes.txt")
    examples = read_channel(folder, "training")
    assert len(examples.table) == 2
    assert examples.notes == ("left out: notes.txt",)


def test_data_in_a_sub_folder_are_found_T25(tmp_path: Path) -> None:
    channel(tmp_path, GOOD, "2026/11/data.csv")
    assert list(read_channel(tmp_path / "training", "training").table["file"]) == ["training/2026/11/data.csv"] * 2


def test_other_file_names_are_read_where_there_is_no_data_csv_T83(tmp_path: Path) -> None:
    channel(tmp_path, GOOD, "part-1.csv")
    channel(tmp_path, GOOD, "part-2.CSV")
    assert len(read_channel(tmp_path / "training", "training").table) == 4
