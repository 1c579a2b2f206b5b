"""What ``batch`` makes of people's real files: the right texts, a warning, or a refusal with a cure."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from classifier.batch import tables
from classifier.batch.options import Options
from classifier.batch.records import Added, Reject, Row, Table
from classifier.batch.tables import BrokenFileError
from classifier.tabular.files import LENIENT, Source, open_text

PROSE = [
    "Battery, dead again this morning in the cold",
    "Wipers, they smear and squeak all the time",
    "Radio, it goes off when the road is rough",
    "Horn, it has not worked since the service",
]
LABELLED = [
    ("brakes", "Pedal goes soft, then hard"),
    ("fire", "Smoke from the dash"),
    ("brakes", "It stops late, on ice"),
]
ADDED = Added(("brakes", "fire"), each=False)


def lines(texts: Sequence[str]) -> str:
    return "".join(f"{text}\n" for text in texts)


def labelled(line: str = '{},"{}"', above: str = "") -> str:
    return above + "".join(line.format(*pair) + "\n" for pair in LABELLED)


def read(folder: Path, content: str, name: str, *arguments: str) -> tuple[Table, list[str], list[str]]:
    """Return a file's table, its texts, and why other rows are none."""
    path = folder / name
    path.write_text(content, encoding="utf-8")
    told = Options.parse(["--model", "m", "--input", "i", "--output", "o", *arguments], {})
    file: Source = tables.source(path, name, told)
    table = tables.read(file, told, ADDED)
    with tables.reading(file), open_text(file, LENIENT) as text:
        found = list(table.records(text))
    texts = [record.text for record in found if isinstance(record, Row)]
    return table, texts, [record.reason for record in found if isinstance(record, Reject)]


TEXTS = [text for _, text in LABELLED]
LONG = "It is hot, " * 7000
READ: Mapping[str, tuple[str, str, Sequence[str], Sequence[str]]] = {
    "a .txt file with a comma in each line is one text per line": ("a.txt", lines(PROSE), (), PROSE),
    "a .txt file with a semicolon in each line": (
        "a.txt",
        lines([text.replace(",", ";") for text in PROSE]),
        (),
        [text.replace(",", ";") for text in PROSE],
    ),
    "a .txt file with a bar in each line": (
        "a.txt",
        lines([text.replace(", ", " | ") for text in PROSE]),
        (),
        [text.replace(", ", " | ") for text in PROSE],
    ),
    "a .txt file with two commas in each line": (
        "a.txt",
        lines([f"{text}, sadly" for text in PROSE]),
        (),
        [f"{text}, sadly" for text in PROSE],
    ),
    "a .txt file of one line": ("a.txt", lines(PROSE[:1]), (), PROSE[:1]),
    "a .txt file with quotes that are the texts' own": (
        "a.txt",
        '"Great" film, really\n"Titanic", the ship\nhe said "no, thanks"\n"never closed, I think\n',
        (),
        ['"Great" film, really', '"Titanic", the ship', 'he said "no, thanks"', '"never closed, I think'],
    ),
    "a .txt file of texts in quotes": (
        "a.txt",
        '"soft, then hard"\n"say ""yes"", or go"\n',
        (),
        [
            "soft, then hard",
            'say "yes", or go',
        ],
    ),
    "a .txt file with a quote over several lines": (
        "a.txt",
        '"I am here and waiting.\nAnd so are you, my friend."\nThird line of text\n"Quoted one"\n',
        (),
        ['"I am here and waiting.', 'And so are you, my friend."', "Third line of text", "Quoted one"],
    ),
    "a .txt file with inches": (
        "a.txt",
        '"Best 42 inch TV\nI like the screen of 42"\nlast line\n',
        (),
        ['"Best 42 inch TV', 'I like the screen of 42"', "last line"],
    ),
    "a .txt file with control characters": (
        "a.txt",
        "soft\x1fthen hard\nit\x1fis hot\n",
        (),
        ["soft\x1fthen hard", "it\x1fis hot"],
    ),
    "a .csv file of one text per line with a quote over two": (
        "a.csv",
        '"Here, still waiting\nAnd you, too"\n',
        ("--delimiter", "none"),
        ['"Here, still waiting', 'And you, too"'],
    ),
    "a .txt file with a name above": ("a.txt", lines(["text", *PROSE]), (), PROSE),
    "a .txt file of tabs is a table": (
        "a.txt",
        "id\ttext\n7\tsoft, then hard\n8\tit is hot\n",
        (),
        ["soft, then hard", "it is hot"],
    ),
    "a .txt file that is said to be CSV": ("a.txt", labelled(), ("--format", "csv"), TEXTS),
    "a .txt file whose delimiter is said": ("a.txt", labelled(), ("--delimiter", "comma"), TEXTS),
    "a .csv file that is said to be one text per line": ("a.csv", lines(PROSE), ("--delimiter", "none"), PROSE),
    "a .csv file of labels and texts": ("a.csv", labelled(), (), TEXTS),
    "labels with bars in them": (
        "a.csv",
        labelled().replace("brakes", "Car|Brakes").replace("fire", "Car|Fire"),
        (),
        TEXTS,
    ),
    "labels with bars, and a space after the comma": (
        "a.csv",
        labelled('{}, "{}"').replace("brakes", "Car|Brakes").replace("fire", "Car|Fire"),
        (),
        TEXTS,
    ),
    "semicolons before the only comma of every row": (
        "a.csv",
        "brakes;soft pedal, then hard\nfire;smoke smell, then flames\n",
        (),
        ["soft pedal, then hard", "smoke smell, then flames"],
    ),
    "semicolons, and a first text longer than what the delimiter is usually seen from": (
        "a.csv",
        f"Nr;Beschreibung;Jahr\n1;{LONG};2024\n2;it is soft;2025\n3;it is hard;2025\n",
        (),
        [LONG, "it is soft", "it is hard"],
    ),
    "the same without a header": (
        "a.csv",
        f"1;{LONG}\n2;it is soft\n3;it is hard\n",
        (),
        [LONG, "it is soft", "it is hard"],
    ),
    "tabs, and a first text of many lines": (
        "a.csv",
        'id\ttext\n1\t"' + "It is hot,\n" * 7000 + '"\n2\tit is soft\n3\tit is hard\n',
        (),
        ["It is hot,\n" * 7000, "it is soft", "it is hard"],
    ),
    "semicolons, told": (
        "a.csv",
        "brakes;soft pedal, then hard\nfire;smoke smell, then flames\n",
        ("--delimiter", "semicolon"),
        ["soft pedal, then hard", "smoke smell, then flames"],
    ),
    "numbers in front, and a space after the comma": (
        "a.csv",
        "1, it is soft again\n2, it is hot again\n",
        (),
        ["it is soft again", "it is hot again"],
    ),
    "labels that come again, and a space after the comma": (
        "a.csv",
        "fire, it is hot again\nbrakes, it is soft again\nfire, it is smoking now\nbrakes, it is hard now\n",
        (),
        ["it is hot again", "it is soft again", "it is smoking now", "it is hard now"],
    ),
    "a foreign header that is called one": (
        "a.csv",
        "categoria,pergunta\nconta,Como fecho a minha conta?\nsaldo,Onde vejo o meu saldo?\n",
        ("--header", "true"),
        ["Como fecho a minha conta?", "Onde vejo o meu saldo?"],
    ),
}


@pytest.mark.parametrize("kind", READ)
def test_a_text_is_read_whole_and_nothing_beside_it(tmp_path: Path, kind: str) -> None:
    name, content, arguments, expected = READ[kind]
    _, texts, rejected = read(tmp_path, content, name, *arguments)
    assert texts == expected
    assert not rejected


MAY_BE_A_HEADER = "the first row may be a header; set --header true if it is, or --header false"
READ_AS_DATA = "the first row is read as data, and may be a header; set --header true if it is, or --header false"
READ_AS_HEADER = "the first row is read as a header, and may be data; set --header false if it is, or --header true"
LOST = ["It broke on the way to work", "I lost control of my car in the rain"]
ASK = "set --delimiter none if each line is a text, or --text-column"
REFUSED: Mapping[str, tuple[str, str, str]] = {
    "a .csv file with a comma in each sentence": (
        "a.csv",
        lines(PROSE),
        f"the commas stand as in a sentence, and may be the texts' own; {ASK}",
    ),
    "a comma after several words in each sentence": (
        "a.csv",
        "the battery was dead, again\nthe wipers smear badly, always\nthe horn is silent, mostly\n",
        "the commas stand as in a sentence",
    ),
    "a semicolon in each sentence": (
        "a.csv",
        lines([text.replace(",", ";") for text in PROSE]),
        "the semicolons stand as in a sentence",
    ),
    "two commas in each sentence": ("a.csv", lines([f"{text}, sadly" for text in PROSE]), "the commas stand as in"),
    "two columns that both read like text": (
        "a.csv",
        "the door does not close,it was so from the first day\nthe light is too dim,we saw it in the dark\n",
        "several columns look like text; give --text-column and its name or number, of: 1 (text); 2 (text)",
    ),
    "a .txt file of labels and quoted texts": (
        "a.txt",
        labelled(),
        "a .txt file is one text per line, and this one looks like a table with commas; set --delimiter comma",
    ),
    "a .txt file of labels and texts": (
        "a.txt",
        "fire,it is hot\nbrakes,soft\nfire,smoke\n",
        "looks like a table with commas",
    ),
    "a .txt file of ids and texts": ("a.txt", "1,it is hot\n2,soft\n3,smoke\n", "looks like a table with commas"),
    "a .txt file of semicolons below a header": ("a.txt", "id;text\n1;soft\n2;hot\n", "set --delimiter semicolon"),
    "a .txt file of texts and labels": (
        "a.txt",
        "it is hot,fire\nit is soft,brakes\nsmoke,fire\n",
        "a table with commas",
    ),
    "a foreign header": (
        "a.csv",
        "categoria,pergunta\nconta,Como fecho a conta?\nsaldo,Onde vejo o meu saldo?\nconta,Quanto custa a conta?\n",
        "the first row may be a header; set --header true if it is, or --header false",
    ),
    "a dash above numbers, beside a sentence": (
        "a.csv",
        "-,The horn is hot.\n12,Smoke came from the dash.\n15,The horn is broken!\n",
        "the first row may be a header; set --header true if it is, or --header false",
    ),
    "a word above numbers, beside a sentence without a full stop": (
        "a.csv",
        "unknown,The pedal is hot when cold\n12,Smoke came from the dash\n15,The horn is broken\n",
        "the first row may be a header",
    ),
    "a word above years, behind a sentence": (
        "a.csv",
        "The pedal is hot.,none yet\nSmoke came from the dash.,2019\nThe horn is broken!,2020\n",
        "the first row may be a header",
    ),
    "a header with semicolons, and more of them in the rows": (
        "a.csv",
        "id;text\n1;it is hot;;\n2;it is soft;;\n",
        "the header has 2 columns, and no row of the first 2 has as many; most lines end in 2 semicolons: take that",
    ),
    "a category that is a usual name for texts": (
        "a.csv",
        "question,Is it hot?\ncomplaint,The pedal goes soft when cold\npraise,I like this car very much\n",
        "the first row may be a header",
    ),
    "such a category that comes again": (
        "a.csv",
        "question,hot again\ncomplaint,The pedal goes soft when cold\nquestion,Why is there smoke in my car\n",
        "the first row may be a header",
    ),
    "v1,v2 with empty names": (
        "a.csv",
        "v1,v2,,,\nham,see you at the corner,,,\nspam,call now and win a car,,,\nham,what are you up to,,,\n",
        "the first row may be a header",
    ),
    "pandas' header of a Series": (
        "a.csv",
        ",0\n0,it is hot again\n1,it is soft again\n",
        "the first row may be a header; set --header true if it is, or --header false",
    ),
    "quotes that are not closed": ("a.csv", 'fire,"it is hot\n', "no row that can be read; a quote is not closed"),
    "other objects": (
        "a.jsonl",
        '{"source-ref": "s3://bucket/hot.txt"}\n',
        "source-ref leads to another object; nothing is downloaded: put the text in source",
    ),
    "pandas' column numbers in another order": ("a.csv", "1,0\nit is hot,fire\nit is soft,brakes\n", MAY_BE_A_HEADER),
    "pandas' numbers of two columns of several": (
        "a.csv",
        "0,5\n1001,it is hot again\n1002,it is soft again\n",
        MAY_BE_A_HEADER,
    ),
    "pandas' number of a column, beside row names": (
        "a.csv",
        ",3\n0,it is hot again\n1,it is soft again\n",
        MAY_BE_A_HEADER,
    ),
    "pandas' column numbers": (
        "a.csv",
        "0,1\nfire,it is hot again\nbrakes,it is soft again\n",
        "the first row may be a header",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_where_it_can_not_be_known_what_is_text_the_file_is_refused_with_a_cure(tmp_path: Path, kind: str) -> None:
    name, content, words = REFUSED[kind]
    with pytest.raises(BrokenFileError) as refusal:
        read(tmp_path, content, name)
    assert words in str(refusal.value)
    assert "hot" not in str(refusal.value)


DOUBTED: Mapping[str, tuple[str, str, str]] = {
    "an abstract beside the title that is read": (
        "a.csv",
        "title,abstract\nIt is hot,It is hot and has been so since May\n",
        "reads the text from the column 'title' and not from 'abstract', which holds longer texts",
    ),
    "an abstract as a key": (
        "a.jsonl",
        '{"title": "It is hot", "abstract": "It is hot and has been so since May"}\n',
        "reads the text from the key 'title' and not from 'abstract'",
    ),
    "semicolons that only the rows tell of": (
        "a.csv",
        "fire;it is hot again\nbrakes;it is soft, and then hard\n",
        "is read as separated by semicolons, with 2 columns in most rows, a guess from its rows",
    ),
    "a quote over several lines of a .txt file": (
        "a.txt",
        '"It is hot again\nand then it is soft."\nIt is hard\n',
        "a quote that opens in one line closes in another, and each line is read as one text; if a text has several",
    ),
    "pandas' name of a Series": ("a.csv", "0\nIt is hot again\nIt is soft again\n", READ_AS_DATA),
    "pandas' number of a single column": ("a.csv", "3\nIt is hot again\nIt is soft again\n", READ_AS_DATA),
    "a foreign name above a single column": (
        "a.csv",
        "pergunta\nComo fecho a minha conta?\nOnde vejo o meu saldo?\nQuanto custa a conta?\n",
        READ_AS_DATA,
    ),
    "a question above its answers": ("a.csv", lines(["What happened?", "It is hot", *LOST]), READ_AS_DATA),
    "a long name above a single column": (
        "a.csv",
        lines(["What the customer said", *LOST, "The horn is silent since May"]),
        READ_AS_DATA,
    ),
    "a request above texts, beside a name above brands": (
        "a.csv",
        "Marke,Please say what is hot in your words.\nVW,It is soft\nAudi,It is hot\nVW,It is late\nAudi,It squeals\n",
        READ_AS_DATA,
    ),
    "long names above brands and texts": (
        "a.csv",
        lines(
            [
                "Marke des Fahrzeugs,Bemerkung des Kunden zum Schaden",
                "VW,Die Bremse wird hot und quietscht bei Regen",
                "Audi,Der Motor geht an jeder Ampel einfach aus",
                "Seat,Das Radio bleibt auf jeder Fahrt ganz still",
            ]
        ),
        READ_AS_DATA,
    ),
    "names, one of which comes again": (
        "a.csv",
        "Marke,Bemerkung\nVW,Die Bremse ist hot\nMarke,Der Motor geht oft aus\nSeat,Das Radio bleibt still\n",
        READ_AS_DATA,
    ),
    "a question of many words, beside a name above numbers": (
        "a.csv",
        "nr,How is the car since you have had it repaired in our workshop in May?\n1,It is hot\n2,It is soft\n",
        READ_AS_DATA,
    ),
    "a name above texts of one word": ("a.csv", "remark\nhot\nengine\nradio\n", READ_AS_DATA),
    "a name of several words above texts of one word": (
        "a.csv",
        "Bemerkung des Kunden\nhot\nengine\nradio\n",
        READ_AS_DATA,
    ),
    "a text above dates, beside a word": (
        "a.csv",
        "Pedal gets hot,pending\nSmoke from the dash,2024-03-01\nThe horn is silent again,2024-03-02\n",
        READ_AS_HEADER,
    ),
    "a text no shorter than others, beside a word above figures": (
        "a.csv",
        "open,hot pedal\n12,horn mute\n15,soft pedal\n17,smoke\n",
        READ_AS_HEADER,
    ),
}


@pytest.mark.parametrize("kind", DOUBTED)
def test_what_may_be_a_mistake_is_a_warning(tmp_path: Path, kind: str) -> None:
    name, content, words = DOUBTED[kind]
    table, _, _ = read(tmp_path, content, name)
    (doubt,) = table.doubts
    assert words in doubt
    assert "hot" not in doubt + str(table)


def test_a_field_after_a_text_in_quotes_is_rejected_where_a_line_is_a_text(tmp_path: Path) -> None:
    _, texts, rejected = read(tmp_path, f'{lines(PROSE)}"soft",5\n', "a.txt")
    assert texts == PROSE
    (reason,) = rejected
    assert reason.startswith("something follows the quoted text; each line is read as one text: set --delimiter")


def test_the_result_of_a_text_a_line_is_csv(tmp_path: Path) -> None:
    table, texts, _ = read(tmp_path, lines(["text", *PROSE]), "a.txt")
    assert table.start == "text,predicted_label,probability\n"
    assert str(table) == "delimiter=none columns=1 header=yes name='text' text_column=1"
    assert len(texts) == len(PROSE)


GOOD: Mapping[str, tuple[str, str]] = {
    "labels and texts": ("a.csv", labelled()),
    "labels and texts, text first": ("a.csv", labelled('"{1}",{0}')),
    "a header and columns of many kinds": (
        "a.csv",
        "id,date,amount,narrative\n1,2024-03-01,3.50,Pedal goes soft\n2,2024-03-02,8.00,It smells of smoke\n",
    ),
    "semicolons below a header": ("a.csv", "id;amount;narrative\n1;3,50;Pedal goes soft\n2;8,00;It smells of smoke\n"),
    "numbers as the only texts": ("a.csv", "7\n12\n3\n"),
    "a number and a text in front of others": ("a.csv", "5,it is late\n6,7\n8,it is hot\n"),
    "a label that comes once, first": (
        "a.csv",
        "fire,it is hot again and smells\nbrakes,it is soft\nbody,it rattles\nbrakes,it is hard\nradio,it is silent\n",
    ),
    "a question among questions": ("a.csv", lines(["Why is it hot?", "Why?", "Is it soft?", "Who broke it?"])),
    "a word among texts of one word that comes again": ("a.csv", "hot\nsoft\nhot\nhard\n"),
    "a header of several columns above figures": (
        "a.csv",
        "Complaint ID,Date received,Consumer complaint narrative\n1,2024-01-02,It is hot\n2,2024-02-02,It is soft\n",
    ),
    "a header of a column above figures": ("a.csv", "id,narrative\n1,it is hot again\n2,it is soft again\n"),
    "a single column": ("a.csv", lines(["Pedal goes soft", "It smells of smoke", "hot", "It stops late"])),
    "a short text first among short ones": ("a.csv", "1,hot\n2,soft\n3,it smells of smoke\n4,late\n"),
    "texts with commas in quotes": ("a.csv", '1,"Battery, dead"\n2,"Wipers, smear"\n'),
    "objects": ("a.jsonl", '{"id": 7, "text": "Pedal goes soft", "note": "seen"}\n{"id": 8, "text": "It smells"}\n'),
}


@pytest.mark.parametrize("kind", GOOD)
def test_an_ordinary_file_is_read_without_a_word(tmp_path: Path, kind: str) -> None:
    name, content = GOOD[kind]
    table, texts, rejected = read(tmp_path, content, name)
    assert texts
    assert not rejected
    assert not table.doubts


@pytest.mark.parametrize(
    "content", ["id,text\n--,----\n1,it is hot\n", "| id | text |\n|---|:--|\n| 1 | it is hot |\n"]
)
def test_a_line_of_dashes_below_the_header_is_no_text(tmp_path: Path, content: str) -> None:
    _, texts, rejected = read(tmp_path, content, "a.csv")
    assert [text.strip() for text in texts] == ["it is hot"]
    assert rejected == ["a line of dashes below the header, as sqlcmd and Markdown write it"]
