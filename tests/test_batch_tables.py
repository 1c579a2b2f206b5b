"""Files as ``batch`` reads them: which column is the text, what is a header, and every row that can't be read."""

import csv
import gzip
import io
import json
from pathlib import Path

import pytest

from classifier.batch import tables
from classifier.batch.lines import LONGEST_ROW
from classifier.batch.options import Options
from classifier.batch.records import NO_TEXT, Added, Answer, Record, Reject, Row, Table
from classifier.batch.tables import BrokenFileError
from classifier.tabular.files import LENIENT, Source, open_text

ADDED = Added(("brakes", "fire"), each=False)
CLAIMS = """\
id,date,amount,state,narrative
1,2024-01-01,10.50,CA,"Pedal goes soft, then hard"
2,2024-01-02,8.00,NY,Smoke from the glove box
"""


def source(folder: Path, content: str | bytes, name: str = "claims.csv") -> Source:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return Source(path, name)


def read(file: Source, *arguments: str, added: Added = ADDED) -> tuple[Table, list[Record]]:
    told = Options.parse(["--model", "m", "--input", "i", "--output", "o", *arguments], {})
    table = tables.read(tables.source(file.path, file.name, told), told, added)
    with tables.reading(file), open_text(file, LENIENT) as text:
        return table, list(table.records(text))


def texts(folder: Path, content: str | bytes, *arguments: str, name: str = "claims.csv") -> list[str]:
    _, found = read(source(folder, content, name), *arguments)
    assert not [record for record in found if isinstance(record, Reject)]
    return [record.text for record in found if isinstance(record, Row)]


def rejected(folder: Path, content: str | bytes, *arguments: str, name: str = "claims.csv") -> dict[int, str]:
    _, found = read(source(folder, content, name), *arguments)
    assert [record.line for record in found] == sorted(record.line for record in found)
    return {record.line: record.reason for record in found if isinstance(record, Reject)}


def refused(folder: Path, content: str | bytes, *arguments: str, name: str = "claims.csv") -> str:
    with pytest.raises(BrokenFileError) as refusal:
        read(source(folder, content, name), *arguments)
    return str(refusal.value)


def written(folder: Path, content: str | bytes, name: str = "claims.csv", *, each: bool = False) -> str:
    """What comes out where every row is most likely the second label."""
    table, found = read(source(folder, content, name), added=Added(("brakes", "fire, smoke"), each=each))
    numbers = [0.75, 0.25, 0.75] if each else [0.75]
    rows = [Answer(record, "fire, smoke", numbers) for record in found if isinstance(record, Row)]
    return table.start + table.lines(rows)


# --- the text's column


@pytest.mark.parametrize(
    "arguments", [(), ("--text-column", "narrative"), ("--text-column", " Narrative"), ("--text-column", "5")]
)
def test_the_text_is_the_only_column_that_looks_like_it_or_is_told_by_name_or_number(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    assert texts(tmp_path, CLAIMS, *arguments) == ["Pedal goes soft, then hard", "Smoke from the glove box"]


def test_a_name_that_people_give_to_texts_goes_before_what_looks_like_one(tmp_path: Path) -> None:
    content = "text,clerk's remark\nshort,a remark of many words is here\n"
    assert texts(tmp_path, content) == ["short"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("brakes\nengine\n", ["brakes", "engine"]),
        ("text\nbrakes\n", ["brakes"]),
        ("1,soft pedal\n2,smoke\n", ["soft pedal", "smoke"]),
        ("0,a text of four words\n1,and another one here\n", ["a text of four words", "and another one here"]),
        ("1,这是一个没有空格的比较长的中文句子而且还有\n", ["这是一个没有空格的比较长的中文句子而且还有"]),
    ],
)
def test_without_a_header_the_text_is_found_by_what_it_holds(tmp_path: Path, content: str, expected: list[str]) -> None:
    assert texts(tmp_path, content) == expected


@pytest.mark.parametrize(
    ("content", "arguments", "why"),
    [
        (CLAIMS, ("--text-column", "claim"), "no column is called 'claim'"),
        (CLAIMS, ("--text-column", "6"), "no column is called '6'"),
        ("a,a\nx,y\n", ("--text-column", "a", "--header", "true"), "several columns are called 'a'"),
        ("1,good day,she works\n2,bad day,he works\n", (), "several columns look like text"),
        ("1,2\n3,4\n", (), "no column looks like text"),
        ("title,body,n\nx,y,1\n", (), "several columns have a name for a text"),
    ],
)
def test_where_the_text_can_not_be_told_the_columns_are_listed(
    tmp_path: Path, content: str, arguments: tuple[str, ...], why: str
) -> None:
    message = refused(tmp_path, content, *arguments)
    assert message.startswith(f"{why}; give --text-column and its name or number, of: 1 ")


def test_the_list_of_columns_says_what_they_hold_and_quotes_nothing_of_rows(tmp_path: Path) -> None:
    assert refused(tmp_path, CLAIMS, "--text-column", "x").endswith(
        "of: 1 'id' (figures); 2 'date' (figures); 3 'amount' (figures); 4 'state' (words); 5 'narrative' (text)"
    )
    assert "good day" not in refused(tmp_path, "1,good day,she works\n", "--text-column", "x")


# --- the header


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (CLAIMS, 2),
        (CLAIMS.partition("\n")[2], 2),
        (",amount,claim\n0,1.5,it is not good at all\n", 1),
        ("text,label\nx,1\n", 1),
        ("the film was good\nthe car is red\n", 2),
        ("3,the film was good\n4,text\n", 2),
        ("N/A,a text of four words\n2,and another one here\n3,and a third one here\n", 3),
    ],
)
def test_a_header_is_seen_by_its_names_and_by_figures_below_it(tmp_path: Path, content: str, rows: int) -> None:
    assert len(texts(tmp_path, content)) == rows


@pytest.mark.parametrize(
    "names",
    [
        "No.,Complaint text,Text",
        "Amount ($),Mileage (km),Narrative",
        "Date of the claim,Amount in US dollars,Text",
        "Date sent to company,Product,Consumer complaint narrative",
    ],
)
def test_a_header_may_have_long_names_beside_that_of_its_texts(tmp_path: Path, names: str) -> None:
    content = f"{names}\n1,2,it is soft again and then hard\n2,5,it is hot again\n"
    assert texts(tmp_path, content) == ["it is soft again and then hard", "it is hot again"]


REMARKS = [f"the customer says it {what}" for what in ("squeals when cold", "stalls at lights", "has no sound")]
QUESTION = "How satisfied are you with the repair of your car at our workshop?"


@pytest.mark.parametrize(
    ("names", "row"),
    [
        ("id,2023,text,remarks", "{number},1{number},short,{remark}"),
        ("id,text,2023-01-05", "{number},{remark},0"),
        ("id,text,1,2,3", "{number},{remark},0,1,0"),
        ("claim,2023,text", "A{number}x,12,{remark}"),
        ("remarks,remarks,text", "yes,no,{remark}"),
        (f"text,{QUESTION}", "{remark},very"),
        (f"id,text,{QUESTION}", "{number},{remark},very"),
    ],
)
def test_beside_a_column_called_text_a_header_may_have_figures_and_questions(
    tmp_path: Path, names: str, row: str
) -> None:
    content = "".join(f"{row.format(number=number, remark=remark)}\n" for number, remark in enumerate(REMARKS, start=1))
    expected = ["short"] * len(REMARKS) if "short" in row else REMARKS
    assert texts(tmp_path, f"{names}\n{content}") == expected


@pytest.mark.parametrize(
    "content",
    [
        "4,text\n3,the film was good\n5,the film was bad\n",
        "2,text,2023,the customer says it squeals\n3,mail,2024,the customer says it stalls\n",
        f"text,{QUESTION}\nshort,the customer says that the car squeals when it is cold\n",
        "id,2023,comment,remarks\n1,12,brakes,the customer says it squeals\n",
    ],
)
def test_where_a_usual_name_for_texts_stands_beside_what_is_no_name_the_file_may_be_refused(
    tmp_path: Path, content: str
) -> None:
    assert refused(tmp_path, content).startswith("the first row may be a header; set --header true")


@pytest.mark.parametrize("row", ["{number},text,2023,{remark}\n", "{number},body,{year},{remark}\n"])
def test_a_category_with_a_usual_name_for_texts_that_comes_again_beside_figures_is_data(
    tmp_path: Path, row: str
) -> None:
    years = ("unknown", "2023", "2024")
    content = "".join(
        row.format(number=number, year=years[number], remark=remark) for number, remark in enumerate(REMARKS)
    )
    assert texts(tmp_path, content) == REMARKS


def test_a_figure_in_the_first_row_is_no_name_of_the_column_with_that_number(tmp_path: Path) -> None:
    assert texts(tmp_path, "2,soft pedal\n3,smoke\n", "--text-column", "2") == ["soft pedal", "smoke"]


def test_what_is_said_of_the_header_goes_before_what_is_seen(tmp_path: Path) -> None:
    assert len(texts(tmp_path, CLAIMS, "--header", "false", "--text-column", "5")) == 3
    assert texts(tmp_path, "a narrative\nit broke\n", "--header", "true") == ["it broke"]


def test_a_header_that_comes_again_is_rejected(tmp_path: Path) -> None:
    assert rejected(tmp_path, CLAIMS + CLAIMS) == {4: "the header is repeated; remove this line"}


def test_a_header_that_comes_again_in_other_letters_is_rejected_and_no_evidence_against_the_first(
    tmp_path: Path,
) -> None:
    again = "ID, Date ,AMOUNT,State,Narrative\n" + CLAIMS.partition("\n")[2]
    assert rejected(tmp_path, CLAIMS + again) == {4: "the header is repeated; remove this line"}


@pytest.mark.parametrize("names", ["id,text", "id,narrative"])
def test_rows_below_a_header_in_another_order_are_rejected_up_to_one_in_the_first_order(
    tmp_path: Path, names: str
) -> None:
    first, _, second = names.partition(",")
    content = f"{names}\n0,some ticket broke\n1,my router rattled\n{second},{first.upper()}\nit leaked,0\nit is hot\n"
    _, found = read(source(tmp_path, f"{content}{names}\n2,it squeals\n"))
    assert [record.text for record in found if isinstance(record, Row)] == [
        "some ticket broke", "my router rattled", "it squeals",
    ]  # fmt: skip
    assert {record.line: record.reason.partition(";")[0] for record in found if isinstance(record, Reject)} == {
        4: "the header is repeated in another order",
        5: "below the header of line 4, whose columns are in another order",
        6: "below the header of line 4, whose columns are in another order",
        7: "the header is repeated",
    }


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            "id,text\n1,good,\n2,bad,\n",
            "the header has 2 columns, and no row of the first 2 has as many; most lines end in a comma: take that off",
        ),
        ("sep=|\nid|text\n1|good||\n", "most lines end in 2 vertical bars: take that off"),
        ("id,text\n1,good,x\n", "as many; write as many in both, and put a text that has commas in quotes"),
        (
            "id,date,text\n1,good\n",
            "the header has 3 columns, and no row of the first 1 has as many; write as many in both",
        ),
        ("text\nit is good,really\n", "the header has 1 column, and no row of the first 1 has as many; write"),
        ("text\nit is good,really\n", "in quotes; or set --delimiter none if each line is a text"),
    ],
)
def test_a_header_that_no_row_agrees_with_refuses_the_file(tmp_path: Path, content: str, words: str) -> None:
    message = refused(tmp_path, content)
    assert words in message
    assert "good" not in message


def test_a_result_that_is_given_as_input_is_refused(tmp_path: Path) -> None:
    assert "there is already a column predicted_label" in refused(tmp_path, "text,predicted_label\nx,1\n")
    wrong = rejected(tmp_path, '{"text": "a b", "probability": 1}\n{"text": "x"}\n', name="x.jsonl")
    assert wrong == {1: "there is already a key probability; remove or rename it"}


# --- CSV, row by row


def test_bad_rows_are_named_by_line_and_the_rows_around_them_are_read(tmp_path: Path) -> None:
    content = (
        b'id,text\n1,good\n2,"two\nlines"\n3\n4,a,b\n5,\n6,"open\n7,fine\n8,"odd"quote\n9,"fine, too"\n'
        b"10,caf\xe9\n11,caf\xc3\xa9\n\n   \n,\n12,end"
    )
    _, found = read(source(tmp_path, content))
    assert [record.text for record in found if isinstance(record, Row)] == [
        "good", "two\nlines", "fine", "fine, too", "café", "end",
    ]  # fmt: skip
    reasons = {record.line: record.reason.partition(";")[0] for record in found if isinstance(record, Reject)}
    assert reasons == {
        5: "1 column where there should be 2",
        6: "3 columns where there should be 2",
        7: "the text is empty",
        8: "a quote is not closed or not doubled",
        10: "a quote is not closed or not doubled",
        12: "not UTF-8",
        16: "the text is empty",
    }


def test_a_quote_that_is_never_closed_costs_its_own_row_only(tmp_path: Path) -> None:
    content = 'id,text\n1,"open\n' + "".join(f"{number},fine\n" for number in range(2, 100))
    _, found = read(source(tmp_path, content))
    assert sum(isinstance(record, Row) for record in found) == 98
    assert [record.line for record in found if isinstance(record, Reject)] == [2]


OPEN_QUOTE = """\
{0},Horn is loud
{1},"Pedal goes soft
{2},Smoke from the dash
{3},he said it is bad"
{4},"two lines,
as he said, of a text"
"""


@pytest.mark.parametrize(
    "keys",
    [
        ("1", "2", "3", "4", "5"),
        ("2024-01-01", "2024-01-01", "2024-01-02", "2024-02-03", "2024-02-04"),
        ("D-17", "D-18", "D-9", "D-100", "D-3"),
        ("3fa8-5f64", "77e1-a0b2", "1c4d-9ef0", "c0de-00ff", "5717-4562"),
        ("brakes", "fire", "brakes", "fire", "fire"),
        ("1,CA", "2,CA", "3,NY", "4,CA", "5,NY"),
        ("ann@ex.org", "bob@ex.org", "carl.x@ex.org", "dora@mail.com", "e@ex.org"),
    ],
)
@pytest.mark.parametrize("header", [True, False])
def test_rows_that_an_open_quote_took_for_lines_of_its_text_are_read(
    tmp_path: Path, keys: tuple[str, ...], header: bool
) -> None:
    names = "id,state,text\n" if "," in keys[0] else "id,text\n"
    content = (names if header else "") + OPEN_QUOTE.format(*keys)
    _, found = read(source(tmp_path, content), "--header", str(header).lower())
    assert [record.text for record in found if isinstance(record, Row)] == [
        "Horn is loud", "Smoke from the dash", 'he said it is bad"', "two lines,\nas he said, of a text",
    ]  # fmt: skip
    (reject,) = [record for record in found if isinstance(record, Reject)]
    assert reject.line == (3 if header else 2)
    assert reject.reason.startswith("lines of this text look like rows; close the quote before them, or double it")


def test_rows_below_an_open_quote_are_read_where_no_value_beside_the_texts_comes_again(tmp_path: Path) -> None:
    content = "".join(f"{name},It squeals\n" for name in ("Anna", "Bob", "Carla"))
    _, found = read(source(tmp_path, f'name,text\n{content}Dora,"Pedal is soft\nEmil,Smoke\nFranz,it is bad"\n'))
    assert [record.text for record in found if isinstance(record, Row)] == ["It squeals"] * 3 + ["Smoke", 'it is bad"']
    assert [record.line for record in found if isinstance(record, Reject)] == [5]


def test_rows_in_a_quote_of_a_column_in_front_are_read_too(tmp_path: Path) -> None:
    content = 'text,state\nHorn is loud,CA\n"Pedal goes soft,CA\nSmoke from the dash,NY\nit is bad",CA\n'
    assert list(rejected(tmp_path, content)) == [3]


@pytest.mark.parametrize(
    "text",
    [
        "Dear Sirs,\nthe pedal is soft, then hard,\nyours, a driver",
        "Found:\n horn,pedal\n pedal,horn",
        "Found:\nhorn,pedal",
        "Found:\nhorn,pedal\npedal,horn\nnothing else",
        "Of two parts,\nthe horn,so to say\nthe pedal,too",
    ],
)
def test_a_text_of_several_lines_with_commas_beside_names_is_a_text(tmp_path: Path, text: str) -> None:
    content = "".join(f"{name},It squeals\n" for name in ("Anna", "Bob", "Carla"))
    assert texts(tmp_path, f'name,text\n{content}Dora,"{text}"\n')[-1] == text


@pytest.mark.parametrize(
    "text",
    [
        "Dear Sirs,\nthe pedal is soft, then hard,\nyours, a driver",
        "Found:\n 1,horn\n 2,pedal",
        "Found:\nhorn,pedal\npedal,horn",
        "The tyres have\n1,5 bar\n2,5 bar",
    ],
)
def test_a_text_of_several_lines_with_commas_is_a_text(tmp_path: Path, text: str) -> None:
    assert texts(tmp_path, f'id,text\n1,Horn is loud\n2,"{text}"\n') == ["Horn is loud", text]


def test_quotes_that_open_in_every_line_cost_no_more_than_some_times_the_files_length(tmp_path: Path) -> None:
    odd = 'x""","\n' * 200_000  # no line closes the quote of the one before without opening another
    _, found = read(source(tmp_path, f"id,text\n1,good\n{odd}"))
    *_, last = found
    assert isinstance(last, Reject)
    assert last.reason.endswith("lines are lost")
    assert sum(isinstance(record, Row) for record in found) == 1


def test_a_row_that_is_too_long_is_rejected_and_the_next_is_read(tmp_path: Path) -> None:
    long = "x" * (LONGEST_ROW + 5)
    wrong = rejected(tmp_path, f'1,good\n2,{long}\n3,"{long}"\n4,"a\n{long}\n5,fine\n')
    assert {line: reason[:6] for line, reason in wrong.items()} == {2: "longer", 3: "longer", 4: "a quot", 5: "longer"}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_line_end_will_do(tmp_path: Path, end: str) -> None:
    assert texts(tmp_path, CLAIMS.replace("\n", end)) == ["Pedal goes soft, then hard", "Smoke from the glove box"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", 'id;amount;text\n1;2,5;"soft; and, hard"\n2;1,5;x\n'),
        ("a.tsv", "id\tamount\ttext\n1\t2,5\tsoft; and, hard\n"),
        ("a.csv", "id|amount|text\n1|2,5|soft; and, hard\n"),
        ("a.csv", "sep=;\nid;amount;text\n1;2,5;'soft'\n"),
        ("a.txt", "id\tamount\ttext\n1\t2,5\tsoft; and, hard\n"),
    ],
)
def test_the_result_has_the_delimiter_of_its_input(tmp_path: Path, name: str, content: str) -> None:
    lines = written(tmp_path, content, name).splitlines()
    old = content.splitlines()
    delimiter = next(character for character in "\t|;" if character in old[-1])
    assert lines[0] == old[0] + (f"{delimiter}predicted_label{delimiter}probability" if old[0] != "sep=;" else "")
    assert lines[-1] == f"{old[-1]}{delimiter}fire, smoke{delimiter}0.75000000"


def test_a_field_with_a_carriage_return_is_read_back_as_it_was(tmp_path: Path) -> None:
    content = written(tmp_path, 'id,text\n1,"Pedal soft\rthen hard"\n2,"two\r\nlines"\n3,Smoke\n')
    rows = list(csv.reader(io.StringIO(content, newline="")))
    assert [row[:2] for row in rows[1:]] == [["1", "Pedal soft\rthen hard"], ["2", "two\r\nlines"], ["3", "Smoke"]]
    assert content.endswith('3,Smoke,"fire, smoke",0.75000000\n')


def test_an_empty_text_in_quotes_is_a_reject_wherever_it_is(tmp_path: Path) -> None:
    for content in ('text\n"good film"\n""\n"bad film"\n', '""\ntext\ngood film\nbad film\n'):
        assert list(rejected(tmp_path, content).values()) == [NO_TEXT]


def test_a_blank_line_between_texts_is_a_reject_as_the_result_has_no_line_for_it(tmp_path: Path) -> None:
    assert rejected(tmp_path, "text\ngood film\n\n  \nbad film\n\n\n") == {3: NO_TEXT, 4: NO_TEXT}
    assert rejected(tmp_path, "good film\n\nbad film; dull\n\r\nso so\n", "--header", "false") == {
        2: NO_TEXT,
        4: NO_TEXT,
    }
    assert texts(tmp_path, "\nid,text\n\n1,good film\n\n2,bad film\n") == ["good film", "bad film"]


def test_a_single_line_of_prose_is_no_table_of_semicolons(tmp_path: Path) -> None:
    assert texts(tmp_path, "Soft; then hard\n") == ["Soft; then hard"]


def test_a_byte_order_mark_stays_where_the_file_begins(tmp_path: Path) -> None:
    assert (
        written(tmp_path, "\ufefftext\nsoft\n")
        == '\ufefftext,predicted_label,probability\nsoft,"fire, smoke",0.75000000\n'
    )


def test_each_labels_probability_has_a_column_of_its_own_where_it_is_wanted(tmp_path: Path) -> None:
    first, second = written(tmp_path, "text\nsoft\n", each=True).splitlines()
    assert first == 'text,predicted_label,probability,probability_brakes,"probability_fire, smoke"'
    assert second == 'soft,"fire, smoke",0.75000000,0.25000000,0.75000000'


# --- JSON Lines


def test_objects_keep_their_very_characters_and_get_more_keys(tmp_path: Path) -> None:
    content = '{"id": 1.10, "text": "a b", "far": 1e999}\r\n\n  {"text":"\\u00e9 b"}'
    assert written(tmp_path, content, "x.jsonl", each=True) == (
        '{"id": 1.10, "text": "a b", "far": 1e999, "predicted_label": "fire, smoke", "probability": 0.75, '
        '"probability_brakes": 0.25, "probability_fire, smoke": 0.75}\n'
        '{"text":"\\u00e9 b", "predicted_label": "fire, smoke", "probability": 0.75, "probability_brakes": 0.25, '
        '"probability_fire, smoke": 0.75}\n'
    )


@pytest.mark.parametrize(
    ("item", "arguments"),
    [
        ({"id": 1, "narrative": "it broke down again"}, ()),
        ({"state": "CA", "narrative": "x"}, ("--text-column", "narrative")),
        ({"source": "x", "part": 3, "note": "a text of many words"}, ()),
    ],
)
def test_the_texts_key_is_told_or_found(tmp_path: Path, item: dict[str, object], arguments: tuple[str, ...]) -> None:
    expected = item.get("narrative", item.get("source"))
    assert texts(tmp_path, json.dumps(item), *arguments, name="x.jsonl") == [expected]


@pytest.mark.parametrize("key", ["review", "comment", "Text", " Message"])
def test_a_usual_name_of_a_text_goes_before_source(tmp_path: Path, key: str) -> None:
    item = {"source": "web", key: "it broke down again"}
    assert texts(tmp_path, json.dumps(item), name="x.jsonl") == ["it broke down again"]


@pytest.mark.parametrize("metadata", ["source-metadata", "crawl-metadata"])
def test_metadata_of_what_is_no_label_make_no_augmented_manifest(tmp_path: Path, metadata: str) -> None:
    item = {"source": "web", metadata: {"day": 1}, "review": "it broke down again"}
    assert texts(tmp_path, json.dumps(item), name="x.jsonl") == ["it broke down again"]


def test_the_text_of_an_augmented_manifest_is_its_source_as_in_training(tmp_path: Path) -> None:
    item = {"source": "it broke down again", "title": "broken", "part": 1, "part-metadata": {"class-name": "x"}}
    assert texts(tmp_path, json.dumps(item), name="x.jsonl") == ["it broke down again"]


def test_a_source_that_is_shorter_than_another_key_is_a_warning(tmp_path: Path) -> None:
    table, _ = read(source(tmp_path, '{"source": "web", "narrative": "it broke down again"}', "x.jsonl"))
    assert [doubt.partition(", which")[0] for doubt in table.doubts] == [
        "reads the text from the key 'source' and not from 'narrative'"
    ]


def test_a_key_that_is_told_as_it_is_written_goes_before_one_in_other_letters(tmp_path: Path) -> None:
    content = '{"Text": "a b", "text": "c d"}'
    assert "several columns have a name for a text; give --text-column" in refused(tmp_path, content, name="x.jsonl")
    assert texts(tmp_path, content, "--text-column", "text", name="x.jsonl") == ["c d"]
    assert texts(tmp_path, content, "--text-column", "Text", name="x.jsonl") == ["a b"]
    assert texts(tmp_path, "Text,text\na b,c d\n", "--text-column", "text") == ["c d"]


def test_keys_are_listed_where_none_can_be_told(tmp_path: Path) -> None:
    message = refused(tmp_path, '{"a": "one two three", "b": "four five six"}', "--text-column", "1", name="x.jsonl")
    assert message == "no column is called '1'; give --text-column and its key, of: 1 'a' (text); 2 'b' (text)"


def test_bad_lines_are_named_and_the_others_are_read(tmp_path: Path) -> None:
    lines = [
        b'{"text": "good"}', b'{"text": 1}', b'{"text": "half \\ud800"}', b'{"other": "x"}', b'{"text": ""}',
        b'{"text": "good", "text": "x"}', b"[1]", b'{"text": "caf\xe9"}', b'{"text"', b"[" * 100_000,
        b'{"text": "' + b"x" * LONGEST_ROW + b'"}', b'{"text": null}', b'{"text": "good"}',
    ]  # fmt: skip
    wrong = rejected(tmp_path, b"\n".join(lines), name="x.jsonl")
    assert list(wrong) == list(range(2, 13))
    assert not [reason for reason in wrong.values() if "label" in reason or "good" in reason]


# --- files


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"PK\x03\x04", "an Excel workbook or a ZIP archive"),
        ("a.csv", "text\nx\n".encode("utf-16"), "UTF-16, not UTF-8"),
        ("a.csv", b'{"text": "x"}', "JSON Lines; let the file's name end in .jsonl"),
        ("a.csv.gz", b"text\nx\n", "not gzip"),
        ("a.csv", b"", "has no row"),
        ("a.csv", b"\n\n", "has no row"),
        ("a.jsonl", b"", "has no row"),
        ("a.jsonl", b'[{"text": "x"}]', "a JSON array"),
        ("a.jsonl", b"1\n2\n", "no JSON object in the first 2 lines"),
        ("photo.png", b"\x89PNG", "unsupported file; use"),
    ],
)
def test_what_is_no_table_is_refused_as_a_whole(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    assert words in refused(tmp_path, content, name=name)


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a"])
def test_json_lines_that_are_said_to_be_csv_are_refused_with_the_option_that_says_otherwise(
    tmp_path: Path, name: str
) -> None:
    message = refused(tmp_path, '{"text": "x"}', "--format", "csv", name=name)
    assert message == "JSON Lines; set --format jsonl, or leave it out where the file's name ends in .jsonl"


def test_a_file_without_a_kind_is_read_as_the_kind_that_is_said(tmp_path: Path) -> None:
    assert texts(tmp_path, CLAIMS, "--format", "csv", name="claims.dat") == texts(tmp_path, CLAIMS)
    assert texts(tmp_path, '{"text": "x"}', "--format", "jsonl", name="claims") == ["x"]


def test_gzip_that_breaks_off_or_is_broken_is_the_whole_files_problem(tmp_path: Path) -> None:
    packed = gzip.compress(("text\n" + "a b c d\n" * 50_000).encode())
    assert "ends in the middle of its gzip data" in refused(tmp_path, packed[:-20], name="a.csv.gz")
    assert "broken gzip" in refused(tmp_path, packed[:40] + b"\xff" * 40 + packed[80:], name="a.csv.gz")
