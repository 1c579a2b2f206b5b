"""What people's real tables come to: read with the right values, warned of, or refused with a cure."""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

import channels
from classifier.errors import UserError
from classifier.tabular.dialect import AS_WRITTEN, Dialect
from classifier.tabular.rows import label_problem
from classifier.tabular.values import reads_like_text
from classifier.training.data import Data
from jobs import check_data

Rows = Sequence[tuple[object, str]]

FAULTS = [
    "the lid broke off",
    "the belt slips at speed",
    "the motor hums and stops",
    "the switch is stuck",
    "the bowl leaks",
    "the blade is blunt",
    "the plug gets hot",
    "the handle came loose",
    "the foot is missing",
    "the cover has a crack",
]
PLACES = ["Kitchen|Mixers", "Kitchen|Blenders", "Garden|Mowers"]
QUESTIONS = [
    "Como fecho a minha conta?",
    "Onde vejo o meu saldo?",
    "Perdi o meu cartão ontem",
    "O que é preciso para abrir uma?",
    "Quanto custa a transferência?",
    "Como mudo a minha morada?",
    "O cartão foi recusado na loja",
    "Quero falar com alguém",
    "A aplicação não abre hoje",
    "Quando recebo o cartão novo?",
    "Posso pagar em prestações?",
]
TOPICS = ["conta", "saldo", "cartao"]


def table(rows: Rows, line: str = '{},"{}"', above: str = "") -> str:
    return above + "".join(line.format(label, text) + "\n" for label, text in rows)


def cycled(labels: Sequence[object], texts: Sequence[str], count: int) -> list[tuple[object, str]]:
    return [(labels[number % len(labels)], f"{texts[number % len(texts)]}") for number in range(count)]


def places(line: str, count: int = 24) -> str:
    """Rows whose labels have bars in them."""
    return table(cycled(PLACES, [f"{fault}, and {number}" for number, fault in enumerate(FAULTS)], count), line)


def topics(above: str, count: int = 11, line: str = '{},"{}"') -> str:
    return table(cycled(TOPICS, QUESTIONS, count), line, above)


def objects(*more: Mapping[str, object], count: int = 8) -> str:
    items = [
        {"label": ("fire", "brakes")[number % 2], "text": f"{FAULTS[number % 10]} {number}", **more[number % len(more)]}
        for number in range(count)
    ]
    return "".join(json.dumps(item) + "\n" for item in items)


def columns(header: str, *lines: str, count: int = 8) -> str:
    """Rows below a header: each line has a place for a label and one for a text."""
    rows = [
        lines[number % len(lines)].format(label=("fire", "brakes")[number % 2], text=f"{FAULTS[number % 10]} {number}")
        for number in range(count)
    ]
    return "\n".join([header, *rows]) + "\n"


def load(folder: Path, content: str, name: str = "data.csv", channel: str = "", dialect: Dialect = AS_WRITTEN) -> Data:
    """Load a file as the channel that is named; training then has both labels."""
    folders = {}
    contents = {"training": table(cycled(["fire", "brakes"], FAULTS, 10)), channel or "training": content}
    for role, text in contents.items():
        folders[role] = folder / role
        folders[role].mkdir(parents=True)
        (folders[role] / (name if text is content else "data.csv")).write_text(text, encoding="utf-8")
    return channels.load(folders, 0, 1, dialect=dialect)


def refusal(folder: Path, content: str, name: str = "data.csv", channel: str = "") -> str:
    with pytest.raises(UserError) as error:
        load(folder, content, name, channel)
    return str(error.value).splitlines()[0]


def warned(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING)


def first_pair(loaded: Data) -> tuple[object, str]:
    return loaded.labels[loaded.training.targets[0]], loaded.training.records[0]


# --- what separates the columns

COMMA: Mapping[str, tuple[str, str, str]] = {
    "a quoted field after a comma decides for the comma, whatever is in the labels": (
        places('{},"{}"'),
        "Kitchen|Mixers",
        "the lid broke off, and 0",
    ),
    "labels that come again before a comma decide for the comma without quotes": (
        table(cycled(PLACES, FAULTS, 24), "{},{}"),
        "Kitchen|Mixers",
        "the lid broke off",
    ),
    "labels with semicolons in them stay whole": (
        table(cycled(["Kitchen;Mixers", "Garden;Mowers"], FAULTS, 24)),
        "Kitchen;Mixers",
        "the lid broke off",
    ),
    "labels that come once, and no space after the comma": (
        "Kitchen|Mixers,lid broke\nKitchen|Ovens,door jams\nGarden|Mowers,blade is blunt\n",
        "Kitchen|Mixers",
        "lid broke",
    ),
    "a single quoted field among plain ones": (
        'a|b,the lid\nc|d,the belt\ne|f,"the motor"\n',
        "a|b",
        "the lid",
    ),
    "labels in quotes with bars in them": (
        table(cycled(PLACES, FAULTS, 24), '"{}","{}"'),
        "Kitchen|Mixers",
        "the lid broke off",
    ),
    "tabs in every label": (
        # a tab in a label is refused elsewhere, so here it is in the texts
        table([(label, f"{text}\tsince May") for label, text in cycled(["fire", "brakes"], FAULTS, 24)]),
        "fire",
        "the lid broke off\tsince May",
    ),
}


@pytest.mark.parametrize("kind", COMMA)
def test_the_comma_is_not_given_up_for_what_is_in_labels(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    content, label, text = COMMA[kind]
    assert first_pair(load(tmp_path, content)) == (label, text)
    assert "delimiter" not in warned(caplog)


GUESSED: Mapping[str, tuple[str, str, str, str]] = {
    "semicolons, with commas in the texts": (
        table([("fire", "smoke, then flames"), ("brakes", "soft"), ("fire", "heat, smell")], "{};{}"),
        "fire",
        "smoke, then flames",
        "data.csv:1 (label 'fire', and a text of 18 characters) is the first row as it is read: separated by",
    ),
    "semicolons before the only comma of every row": (
        "fire;smoke, then flames\nbrakes;soft, then hard\n",
        "fire",
        "smoke, then flames",
        "(a label of 4 characters, and a text of 18 characters)",
    ),
    "bars": (table(cycled(["fire", "brakes"], FAULTS, 6), "{}|{}"), "fire", "the lid broke off", "vertical bars"),
    "tabs in a file that is called .csv": (
        table(cycled(["fire", "brakes"], FAULTS, 6), "{}\t{}"),
        "fire",
        "the lid broke off",
        "separated by tabs",
    ),
    "semicolons and numbers with a decimal comma": (
        "fire;1,5 mm wide\nbrakes;1,7 mm wide\nfire;2,0 mm wide\n",
        "fire",
        "1,5 mm wide",
        "semicolons",
    ),
    "a comma in every label": (
        table(cycled(["Home, Garden", "Home, Kitchen", "Toys, Games"], ["a hose", "a lid", "a top"], 12), "{};{}"),
        "Home",
        "Garden;a hose",
        "separated by commas, a guess from the rows",
    ),
    "a greeting with a comma in every text": (
        table(
            [("fire", f"Hello, {text}") for text in FAULTS[:5]] + [("brakes", f"Hi, {text}") for text in FAULTS[5:]],
            "{};{}",
        ),
        "fire;Hello",
        "the lid broke off",
        "separated by commas, a guess from the rows",
    ),
}


@pytest.mark.parametrize("kind", GUESSED)
def test_a_guess_is_a_warning_that_shows_the_first_row_as_it_was_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    content, label, text, words = GUESSED[kind]
    assert first_pair(load(tmp_path, content)) == (label, text)
    assert words in warned(caplog)
    assert "smoke, then flames" not in caplog.text


SAID: Mapping[str, tuple[str, str, str]] = {
    "a header names the columns": (
        table(cycled(["fire", "brakes"], FAULTS, 6), "{};{}", "label;text\n"),
        "data.csv",
        "auto",
    ),
    "a header names the columns, and commas are in labels": (
        table(cycled(["fire", "smoke, or heat"], FAULTS, 6), '"{}";"{}"', '"label";"text"\n'),
        "data.csv",
        "auto",
    ),
    "a header with tabs names the columns, and commas are in labels": (
        table(cycled(["fire", "smoke, or heat"], FAULTS, 6), "{}\t{}", "Category\tMessage\n"),
        "data.csv",
        "auto",
    ),
    "a header with tabs names the columns, and a semicolon is in each text": (
        table(
            [("fire", "the lid broke off"), *cycled(["brakes", "fire"], ["soft; hard", "hot; dry"], 9)],
            "{}\t{}",
            "label\ttext\n",
        ),
        "data.csv",
        "auto",
    ),
    "a header with bars names the columns, and a semicolon is in each text": (
        table(
            [("fire", "the lid broke off"), *cycled(["brakes", "fire"], ["soft; hard", "hot; dry"], 9)],
            "{1}|{0}",
            "text|label\n",
        ),
        "data.csv",
        "auto",
    ),
    "the first line is Excel's": (table(cycled(["fire", "brakes"], FAULTS, 6), "{};{}", "sep=;\n"), "data.csv", "auto"),
    "the name ends in .tsv": (table(cycled(["fire", "brakes"], FAULTS, 6), "{}\t{}"), "data.tsv", "auto"),
    "the hyperparameter says semicolon": (
        table(cycled(["fire", "brakes"], FAULTS, 6), "{};{}"),
        "data.csv",
        "semicolon",
    ),
    "the hyperparameter says tab": (table(cycled(["fire", "brakes"], FAULTS, 6), "{}\t{}"), "data.csv", "tab"),
    "the hyperparameter says bar": (table(cycled(["fire", "brakes"], FAULTS, 6), "{}|{}"), "data.csv", "bar"),
    "the hyperparameter goes before Excel's line": (
        table(cycled(["fire", "brakes"], FAULTS, 6), "{}|{}", "sep=;\n"),
        "data.csv",
        "bar",
    ),
}


@pytest.mark.parametrize("kind", SAID)
def test_a_delimiter_that_is_said_is_no_guess(tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str) -> None:
    content, name, delimiter = SAID[kind]
    loaded = load(tmp_path, content, name, dialect=Dialect(delimiter=delimiter))
    assert first_pair(loaded) == ("fire", "the lid broke off")
    assert "delimiter" not in warned(caplog)


@pytest.mark.parametrize(
    ("header", "first", "words"),
    [
        ("false", "label,text\n", "the names of columns are read as a row, because header is false"),
        ("true", "", "data.csv:1: left out, because header is true, for all files; the label comes again in other"),
        ("true", "kind,what\n", ""),
        ("false", "", ""),
    ],
)
def test_a_header_that_is_said_of_all_files_is_doubted_where_it_is_not_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, header: str, first: str, words: str
) -> None:
    load(tmp_path, table(cycled(["fire", "brakes"], FAULTS, 10), "{},{}", first), dialect=Dialect(header=header))
    assert words in warned(caplog)
    assert bool(words) == ("header is" in warned(caplog))


def test_a_row_that_is_left_out_as_a_header_is_told_by_the_labels_of_other_files(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    parts = {
        "a.csv": table(cycled(["fire", "brakes"], FAULTS, 20), "{},{}", "label,text\n"),
        "b.csv": "brakes,the only row\n",
        "c.csv": "fire,the first row\nbrakes,another row\n",
        "d.csv": "kind,what\nbrakes,one more row\n",
    }
    for name, content in parts.items():
        (tmp_path / name).write_text(content)
    channels.load({"training": tmp_path}, 0, 1, dialect=Dialect(header="true"))
    assert "training/b.csv:1, training/c.csv:1: left out, because header is true, for all files" in warned(caplog)


def test_the_hyperparameter_settles_a_guess_that_is_wrong(tmp_path: Path) -> None:
    content = table([("fire", f"Hello, {text}") for text in FAULTS[:5]] + [("brakes", f"Hi, {FAULTS[5]}")], "{};{}")
    loaded = load(tmp_path, content, dialect=Dialect(delimiter="semicolon"))
    assert first_pair(loaded) == ("fire", "Hello, the lid broke off")


MEANT: Mapping[str, tuple[str, str]] = {
    "labels in quotes, with commas in them, before semicolons": (
        table(cycled(["fire, smoke", "brakes; belts"], ["it is hot; it smokes, too", "soft"], 6), '"{}";"{}"'),
        "if it is not a comma between the columns, set delimiter to comma, semicolon, tab or bar",
    ),
    "a tab before what comes again before a comma": (
        table([("fire", "it burns, too"), ("brakes", "soft")] * 5, "{}\t{}"),
        "data.csv:1: the label holds a tab; take it out, or, where tabs separate the columns, set delimiter to tab",
    ),
    "commas without quotes in some texts": (
        places("{},{}"),
        "every row has 3 columns; put a text that has commas in quotes; or, if these are columns, name them in a",
    ),
    "words in few rows behind a header of v1 and v2": (
        topics("v1,v2,,,\n", 24, '{},"{}",,,') + "conta,posso entrar, ou nao,,\n",
        "every row has 5 columns; put a text that has commas in quotes; or, if these are columns, name",
    ),
    "columns of an id and a text": (
        "".join(f"{number},{'ab'[number % 2]},{fault}\n" for number, fault in enumerate(FAULTS)),
        "every row has 3 columns; name them in a header, in their order: label,text,other (in place of the first line,",
    ),
    "quotes in some texts only": (
        places('{},"{}"') + "Garden|Mowers,a, b\n",
        "data.csv:25: 3 columns; put a text that has commas in quotes",
    ),
}


@pytest.mark.parametrize("kind", MEANT)
def test_a_row_that_breaks_the_comma_does_not_make_it_another_delimiter(tmp_path: Path, kind: str) -> None:
    content, words = MEANT[kind]
    assert words in refusal(tmp_path, content)


# --- columns and keys that are not read

SPLIT_CURE = "move the rows of other splits to channels of their own (training, validation, test) or take them out"
VERDICT = "looks like a verdict on each row, and is not read: rows that were not accepted would count like the others"
UNREAD: Mapping[str, tuple[str, str, str]] = {
    "true and false in is_valid": (
        columns("label,text,is_valid", "{label},{text},False", "{label},{text},False", "{label},{text},True"),
        "data.csv",
        "data.csv:4: the column 'is_valid' says that not all rows are for training",
    ),
    "train and test in split": (
        columns("label,text,split", "{label},{text},train", "{label},{text},test"),
        "data.csv",
        "data.csv:3: the column 'split' says that not all rows are for training",
    ),
    "split words by whatever name": (
        columns("id,type,text,label", "1,train,{text},{label}", "1,test,{text},{label}"),
        "data.csv",
        "data.csv:3: the column 'type'",
    ),
    "TRAIN, VALIDATION and TEST of Vertex AI": (
        columns("ml_use,text,label", "TRAIN,{text},{label}", "VALIDATION,{text},{label}", "TEST,{text},{label}"),
        "data.csv",
        "data.csv:3: the column 'ml_use'",
    ),
    "training and tests": (
        columns("label,text,part", "{label},{text},training", "{label},{text},tests"),
        "data.csv",
        "data.csv:3: the column 'part'",
    ),
    "a word that is none among splits": (
        columns("label,text,split", "{label},{text},train", "{label},{text},test", "{label},{text},unsup"),
        "data.csv",
        "data.csv:3: the column 'split' says that not all rows are for training",
    ),
    "splits with words about them": (
        columns("label,text,split", "{label},{text},train-clean", "{label},{text},test-clean"),
        "data.csv",
        "data.csv:3: the column 'split'",
    ),
    "splits by other words": (
        columns("label,text,split", "{label},{text},entrenamiento", "{label},{text},prueba"),
        "data.csv",
        "the column 'split'",
    ),
    "an x for the rows to test with": (
        columns("label,text,is_test", "{label},{text},", "{label},{text},x"),
        "data.csv",
        "data.csv:3: the column 'is_test' says that not all rows are for training",
    ),
    "an x for the rows to exclude": (
        columns("label,text,exclude?", "{label},{text},", "{label},{text},x"),
        "data.csv",
        "data.csv:3: the column 'exclude?' looks like a verdict on each row",
    ),
    "dev_set and train-00": (
        columns("label,text,part", "{label},{text},train-00", "{label},{text},dev_set"),
        "data.csv",
        "the column 'part'",
    ),
    "0 and 1 in isTest": (
        columns("label,text,isTest", "{label},{text},0", "{label},{text},1"),
        "data.csv",
        "data.csv:3: the column 'isTest'",
    ),
    "numbers in split": (
        columns("label,text,split", "{label},{text},0", "{label},{text},1", "{label},{text},2"),
        "data.csv",
        "the column 'split'",
    ),
    "every row is a test row": (
        columns("label,text,split", "{label},{text},test"),
        "data.csv",
        "data.csv:2: the column 'split'",
    ),
    "yes where a row is to be held out, in tabs": (
        columns("label\ttext\tholdout", "{label}\t{text}\tno", "{label}\t{text}\tyes"),
        "data.tsv",
        "the column 'holdout'",
    ),
    "a key split": (objects({"split": "train"}, {"split": "dev"}), "data.jsonl", "data.jsonl:2: the key 'split'"),
    "a key is_valid": (
        objects({"is_valid": False}, {"is_valid": True}),
        "data.jsonl",
        "data.jsonl:2: the key 'is_valid'",
    ),
    "a split within other keys": (
        objects({"meta": {"split": "train"}}, {"meta": {"split": "test"}}),
        "data.jsonl",
        "the key 'meta.split'",
    ),
    "Prodigy's answer": (
        objects({"answer": "accept"}, {"answer": "reject"}, {"answer": "ignore"}),
        "data.jsonl",
        f"data.jsonl:2: the key 'answer' {VERDICT}",
    ),
    "Prodigy's answer in a table": (
        columns("text,label,answer", "{text},{label},accept", "{text},{label},ignore"),
        "data.csv",
        f"data.csv:3: the column 'answer' {VERDICT}",
    ),
    "Argilla's status": (
        objects({"status": "submitted"}, {"status": "discarded"}),
        "data.jsonl",
        "data.jsonl:2: the key 'status'",
    ),
    "Label Studio's was_cancelled": (
        columns("text,label,was_cancelled", "{text},{label},False", "{text},{label},True"),
        "data.csv",
        "the column 'was_cancelled'",
    ),
    "an annotation status": (
        columns("text,label,annotation_status", "{text},{label},approved", "{text},{label},rejected"),
        "data.csv",
        "the column 'annotation_status'",
    ),
    "rows to exclude": (
        columns("text,label,exclude", "{text},{label},0", "{text},{label},1"),
        "data.csv",
        "the column 'exclude'",
    ),
    "a rejected row of an augmented manifest": (
        "".join(
            json.dumps(
                {
                    "source": f"{fault}",
                    "part": "ab"[number % 2],
                    "part-metadata": {},
                    "answer": ("accept", "reject")[number % 2],
                }
            )
            + "\n"
            for number, fault in enumerate(FAULTS)
        ),
        "a.manifest",
        "a.manifest:2: the key 'answer'",
    ),
}


@pytest.mark.parametrize("kind", UNREAD)
def test_a_column_that_is_not_read_and_changes_what_a_row_means_ends_the_job(tmp_path: Path, kind: str) -> None:
    content, name, words = UNREAD[kind]
    message = refusal(tmp_path, content, name)
    assert words in message
    assert "take the column out" in message or "take the key out" in message


def test_rows_of_a_split_that_are_in_their_channel_are_read(tmp_path: Path) -> None:
    for role in ("validation", "test"):
        load(tmp_path / role, columns("label,text,split", "{label},{text},test"), channel=role)
        message = refusal(
            tmp_path / f"{role}-2",
            columns("label,text,split", "{label},{text},test", "{label},{text},train"),
            channel=role,
        )
        assert f"{role}/data.csv:3: the column 'split' says that not all rows are for {role}" in message


def test_the_cure_of_a_split_column_is_to_leave_other_rows_and_the_column_out(tmp_path: Path) -> None:
    """Obeyed in steps: rows of other splits out, which is enough; then the column."""
    assert SPLIT_CURE in refusal(
        tmp_path / "a", columns("label,text,split", "{label},{text},train", "{label},{text},test")
    )
    load(tmp_path / "b", columns("label,text,split", "{label},{text},train"))
    load(tmp_path / "c", columns("label,text", "{label},{text}"))


DOUBTED: Mapping[str, tuple[str, str, str]] = {
    "splits with words about them, by whatever name": (
        columns("label,text,source", "{label},{text},imdb_train", "{label},{text},imdb_test"),
        "data.csv",
        "data.csv:3 the column 'source' says that not all rows are for training",
    ),
    "rows that were deleted": (
        columns("label,text,is_deleted", "{label},{text},0", "{label},{text},1"),
        "data.csv",
        "data.csv:3 the column 'is_deleted' looks like a verdict on each row",
    ),
    "an abstract beside the title that is read": (
        columns("title,abstract,label", "{text},{text} and it has been so since we bought it in May,{label}"),
        "data.csv",
        "data.csv reads the text from the column 'title' and not from 'abstract', which holds longer texts (",
    ),
    "an abstract as a key": (
        "".join(
            json.dumps({"title": fault, "abstract": fault * 3, "label": "ab"[number % 2]}) + "\n"
            for number, fault in enumerate(FAULTS)
        ),
        "data.jsonl",
        "reads the text from the key 'title' and not from 'abstract'",
    ),
    "a passage beside a question": (
        columns("question,passage,label", "is it so?,{text} and it has been so since we bought it in May,{label}"),
        "data.csv",
        "not from 'passage'",
    ),
    "a summary called text beside the narrative": (
        columns("narrative;text;label", "{text} and it has been so since we bought it in May;{text};{label}"),
        "data.csv",
        "from the column 'text' and not from 'narrative'",
    ),
    "claims that were approved or rejected": (
        columns("label,text,claim_state", "{label},{text},approved", "{label},{text},rejected"),
        "data.csv",
        f"data.csv:3 the column 'claim_state' {VERDICT}",
    ),
    **{
        f"a column {name} of {words}": (
            columns(f"label,text,{name}", *(f"{{label}},{{text}},{word}" for word in words.split())),
            "data.csv",
            f"data.csv:{line} the column '{name}' {VERDICT}",
        )
        for name, words, line in [
            ("status", "approved rejected", 3),
            ("Status", "Pending Approved", 2),
            ("review_status", "approved pending", 3),
            ("response", "accepted rejected", 3),
            ("record_status", "valid invalid", 3),
            ("rejected", "no yes", 3),
            ("keep", "1 0", 3),
            ("is_included", "true false", 3),
        ]
    },
    "texts with a comma, below the header that names the rest": (
        columns("label,text,other", "{label},{text}, in the rain"),
        "data.csv",
        "data.csv:2 column 3 is not read, and looks like the rest of the text: there are words after a space in rows",
    ),
    "texts with a comma in some rows, beside a column of sources": (
        columns("label,text,source", "{label},{text},web", "{label},{text},web", "{label},{text}, in the rain"),
        "data.csv",
        "data.csv:4 column 3 is not read, and looks like the rest of the text",
    ),
    "words in few rows, below the header that names the rest": (
        columns("label,text,other,other,other", *["{label},{text},,,"] * 7, "{label},{text},lol,,"),
        "data.csv",
        "data.csv:9 column 3 is not read and has no name of its own, and there are words in rows of it (1); where",
    ),
    "words in few rows of columns without names": (
        columns("label,text,,Unnamed: 3", *["{label},{text},,"] * 7, "{label},{text},lol,"),
        "data.csv",
        "data.csv:9 column 3 is not read and has no name of its own",
    ),
    "a description beside a title, below the header that names the rest": (
        columns("label,text,other", '"{label}","{text} in the rain","it has been so"'),
        "data.csv",
        "data.csv:2 column 3 is not read and has no name of its own, and there are words in rows of it (8)",
    ),
    **{
        f"{other} beside a label called {taken}": (
            columns(f"{taken},text,{other}", "{label},{text},one", "{label},{text},two", "{label},{text},one"),
            "data.csv",
            f"data.csv reads the label from the column '{taken}' and not from '{other}', which may be the label too",
        )
        for taken, other in [
            ("category", "rating"),
            ("topic", "emotion"),
            ("label", "gold_label"),
            ("label", "labels"),
            ("class", "true_label"),
        ]
    },
    "a list of labels beside a label": (
        objects({"labels": ["fire"]}, {"labels": ["brakes", "fire"]}, {"labels": ["fire"]}),
        "data.jsonl",
        "data.jsonl reads the label from the key 'label' and not from 'labels'",
    ),
    "labels joined of others": (
        table(cycled(["fire", "brakes", "fire|brakes"], FAULTS, 12)),
        "data.csv",
        'labels that are other labels joined: "fire|brakes"; one label per row is learnt',
    ),
    "labels joined by commas": (
        table(cycled(["fire", "brakes", "brakes, fire"], FAULTS, 12), '"{}","{}"'),
        "data.csv",
        'labels that are other labels joined: "brakes, fire";',
    ),
    **{
        f"labels joined as in {joined}": (
            table(cycled(["fire", "Brakes", joined], FAULTS, 12), '"{}","{}"'),
            "data.csv",
            f'labels that are other labels joined: "{joined}";',
        )
        for joined in ["fire||brakes", "fire:Brakes", "fire and brakes", "Fire, Brakes", "Brakes fire"]
    },
    "labels joined in brackets": (
        table(cycled(["<c#>", "<java>", "<c#><java>"], FAULTS, 12)),
        "data.csv",
        'labels that are other labels joined: "<c#><java>";',
    ),
    "ditto marks for labels": (
        table([("fire", "a b"), ("''", "c d"), ("brakes", "e f"), ("''", "g h")] * 3),
        "data.csv",
        "labels that are one that stands for the label of the line above, as ditto marks",
    ),
    **{
        f"a last row {last}": (
            table(cycled(["fire", "brakes"], FAULTS, 12), "{},{}") + f"{last}\n",
            "data.csv",
            "data.csv:13 looks like a sum or a count below the last row, and is read as a row",
        )
        for last in ["Total,40", "(40 rows affected),", "40 rows,", "Grand total,12"]
    },
    "a comment between rows": (
        table(cycled(["fire", "brakes"], FAULTS, 12), "{},{}") + "# of May, checked\nfire,the end of it\n",
        "data.csv",
        "data.csv:13 begins with a mark of a comment, as no other row does (such rows: 1)",
    ),
    "tuples as Python prints them": (
        table(cycled(["fire", "brakes"], FAULTS, 12), "('{}', '{}')"),
        "data.csv",
        "data.csv:1 looks like a tuple as Python prints it",
    ),
    "a quote in all labels": (
        table(cycled(["fire", "brakes"], FAULTS, 12), '{}","{}, x"'),
        "data.csv",
        "data.csv:1 has a double quote inside the label, as most rows have",
    ),
    "rows in a quote that another text closes, the label between others": (
        columns("text,label,src", "{text},{label},x") + '"our waiter, hate it,fire,x\nthat app, great",brakes,x\n',
        "data.csv",
        "data.csv:10 has a text with a line that looks like a row; is a quote missing?",
    ),
    "minus one for no label": (
        table(cycled([0, 1, 2, -1], FAULTS, 12)),
        "data.csv",
        "the label -1 is the only one below 0: if it stands for rows without a label",
    ),
    "the number that a loss leaves out": (table(cycled([0, 1, -100], FAULTS, 12)), "data.csv", "the label -100 is"),
    **{
        f"a label {label}": (
            table(cycled(["fire", "brakes", label], FAULTS, 12)),
            "data.csv",
            "that stands for nothing",
        )
        for label in ["#N/A", "#REF!", "\\N", "(null)", "undefined", "unlabeled", "?"]
    },
    **{
        f"a label for no label, {label}": (
            table(cycled(["fire", "brakes", label], FAULTS, 12)),
            "data.csv",
            f"labels that are one that stands for nothing, as {label}:",
        )
        for label in ["unset", "Skip", "missing", "-", "...", "???", "to be labelled"]
    },
    "texts that are often empty": (table(cycled(["fire", "brakes"], ["", *FAULTS], 12)), "data.csv", "empty texts: 2"),
    "texts that pandas wrote as nan": (
        table(cycled(["fire", "brakes"], ["nan", *FAULTS], 12)),
        "data.csv",
        "texts that stand for nothing, as NaN: 2",
    ),
    **{
        f"the text {name} of a pair": (
            columns(f"label,{text},{name}", "{label},{text},it is a fault"),
            "data.csv",
            f"reads the text from the column '{text}' and not from '{name}', a second text of each row",
        )
        for text, name in [("text", "text_b"), ("sentence", "sentence2"), ("text", "hypothesis"), ("text", "text_pair")]
    },
    **{
        f"for a text {text}": (table([("ab"[n % 2], text.format(n)) for n in range(10, 18)]), "data.csv", words)
        for text, words in {
            "texts/00{}.txt": "texts that are addresses or names of files; write the text itself: 8",
            "https://example.com/claims/{}": "texts that are addresses or names of files",
            "s3://bucket/claims/{}": "texts that are addresses or names of files",
            "['the', 'lid', '{}']": "texts that are lists; write the text as one string",
            "[101, 20{}, 102]": "texts that are lists",
            "b'the lid broke {}'": "texts that are bytes as Python prints them; decode them first",
            "VGhlIGxpZCBicm9rZSB{}rsz": "texts that are base64; decode it first",
        }.items()
    },
    "an environment called test": (
        columns("label,text,environment", "{label},{text},test", "{label},{text},development"),
        "data.csv",
        "data.csv:2 the column 'environment' says that not all rows are for training",
    ),
    "objects whose texts are in different keys": (
        objects({}) + '{"label": "fire", "title": "a"}\n',
        "data.jsonl",
        "has keys by other names: label is the key 'label', text is the key 'title'",
    ),
}


@pytest.mark.parametrize("kind", DOUBTED)
def test_a_column_that_may_change_what_a_row_means_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    content, name, words = DOUBTED[kind]
    load(tmp_path, content, name)
    assert words in warned(caplog)


# --- a header or a row

FIRST = "a label that no row below has"
CALLED = "the text is what a column of texts is called, which that of no other row is"
HEADERS: Mapping[str, tuple[str, str]] = {
    "pandas' column numbers above other labels": (
        table(cycled([1, 2, 3, 4, 5], FAULTS, 30), above="0,1\n"),
        "data.csv:1: column numbers (as 0, 1), which pandas writes",
    ),
    "pandas' column numbers above the same labels": (
        table(cycled([0, 1], FAULTS, 30), above="0,1\n"),
        "data.csv:1: column numbers (as 0, 1)",
    ),
    "pandas' column numbers above names": (
        table(cycled(["fire", "brakes"], FAULTS, 12), above="0,1\n"),
        "data.csv:1: column numbers (as 0, 1)",
    ),
    **{
        f"pandas' column numbers {numbers}": (
            table(cycled([0, 4], FAULTS, 12), above=f"{numbers}\n"),
            "data.csv:1: column numbers (as 0, 1)",
        )
        for numbers in ("0,5", "1,0", "2,1", "1,2", "12,3")
    },
    "column numbers in another order, above names": (
        table(cycled(["fire", "brakes"], FAULTS, 12), above="1,0\n"),
        "data.csv:1: column numbers (as 0, 1)",
    ),
    **{
        f"a column that is called as a label, {name}": (
            table(cycled(["spam", "ham"], FAULTS, 8), above=f"spam,{name}\n"),
            f"data.csv:1: {CALLED}; if it is a header, call its columns label and text",
        )
        for name in ("text", "message", "comment_text", "Review", "text_clean")
    },
    "a column that is called as a number, above integers": (
        table(cycled([0, 1], FAULTS, 8), above="0,text\n"),
        f"data.csv:1: {CALLED}",
    ),
    "column numbers below a header": (
        table(cycled([1, 2], FAULTS, 12), above="label,text\n0,1\n"),
        "data.csv:2: column numbers (as 0, 1)",
    ),
    "v1,v2 with empty names": (
        topics("v1,v2,,,\n", 24, '{},"{}",,,'),
        "each line ends in 3 commas; take that off, or name every column",
    ),
    "v1,v2 below a header that was put above it": (
        topics("label,text,a,b,c\nv1,v2,,,\n", 24, '{},"{}",,,'),
        f"data.csv:2: {FIRST}, below a header: a second header?",
    ),
    "a foreign header above a few rows": (topics("categoria,pergunta\n"), f"data.csv:1: {FIRST}"),
    "a foreign header above rows with a label each": (
        table(list(zip("abcde", QUESTIONS, strict=False)), above="categoria,pergunta\n"),
        f"data.csv:1: {FIRST}, beside a text as short as a column's name",
    ),
    "a foreign header below one that was put above it": (
        topics("label,text\ncategoria,pergunta\n"),
        f"data.csv:2: {FIRST}, below a header: a second header?",
    ),
    "R's row names, which have no name": (
        columns('"label","text"', *(f'"{number}","{{label}}","{{text}}"' for number in range(8))),
        "the first column, of row names as R writes them, has no name in the header; begin it with ','",
    ),
    "a second line of types": (
        topics("label\ttext\ndiscrete\tstring\n", line="{}\t{}"),
        f"data.csv:2: {FIRST}, below a header",
    ),
    "a second line that explains the first": (
        topics("label,text\nthe topic,what they ask\n"),
        f"data.csv:2: {FIRST}, below a header",
    ),
    "a header that names the label only": (
        table([("a", "one"), ("b", "two")], above="label,posting\n"),
        f"data.csv:1: {FIRST}",
    ),
    "a header that names the text only": (
        table([("a", "one"), ("b", "two")], above="mood,text\n"),
        f"data.csv:1: {FIRST}",
    ),
    "Spark's names": (topics("_c0,_c1\n"), f"data.csv:1: {FIRST}"),
    "R's names": (topics('"V1","V2"\n'), f"data.csv:1: {FIRST}"),
    "a second line of dashes": (
        topics("label,text\n-----,----\n"),
        "data.csv:2: a line of dashes below the header",
    ),
    "a table of Markdown": (
        topics("| label | text |\n|:---|---|\n", line="| {} | {} |"),
        "data.csv:2: a line of dashes below the header",
    ),
    "a header in the middle, of files that were joined": (
        topics("") + topics("label,text\n"),
        "data.csv:12: a header that is not in the first line; take it out",
    ),
    "a header in the middle, in another order": (
        topics("", 200) + topics("text,label\n", 30, '"{1}",{0}'),
        "data.csv:201: a header that is not in the first line; take out the lines above it where those are no rows",
    ),
    "a second header in other letters": (
        topics("label,text\n") + topics(" Label ,TEXT\n"),
        "data.csv:13: repeats the header of line 1; remove this line",
    ),
    "a second header in another order, of files that were joined": (
        topics("label,text\n", 200) + topics("text,label\n", 30, '"{1}",{0}'),
        "data.csv:202: repeats the header of line 1 in another order; move this line and those below it to a file",
    ),
    "a second header in another order, with ids": (
        columns("id,label,text", "7,{label},{text}") + columns("ID,Text,Label", "7,{text},{label}"),
        "data.csv:10: repeats the header of line 1 in another order",
    ),
    "a second header in another order, above integers": (
        table(cycled([1, 2], FAULTS, 10), above="label,text\n")
        + table(cycled([1, 2], FAULTS, 20), "{1},{0}", "text,label\n"),
        "data.csv:12: repeats the header of line 1 in another order",
    ),
    "a title above the header": (
        topics("Perguntas de 2024,\nlabel,text\n"),
        "data.csv:2: a header that is not in the first line; take it out, with the lines above it",
    ),
    "a header above integers below another header": (
        table(cycled([1, 2], FAULTS, 12), above="label,text\nnota,pergunta\n"),
        "data.csv:2: the label is not an integer",
    ),
    "texts first": (
        table(cycled(["good", "bad"], FAULTS, 12), "{1},{0}"),
        "data.csv:1: 10 different labels in 12 rows, more and longer than the texts; the first column must be the",
    ),
    "a few texts first": (
        "works well,good\nbroke down twice,bad\nruns very well,good\nfell apart,bad\n",
        "more and longer than the texts",
    ),
    "texts first below a foreign header": (
        topics("pergunta,categoria\n", 11, '"{1}",{0}'),
        "more and longer than the texts",
    ),
    "texts first, all different from each other": (
        "it works very well,good\nit broke down twice,bad\nit does nothing at all,mixed\n",
        "longer than the texts",
    ),
    "texts below a header that calls them labels": (
        table(cycled(["good", "bad"], FAULTS, 12), "{1},{0}", "label,text\n"),
        "more and longer than the texts",
    ),
    "numbers of rows for labels": (
        table([(number, fault) for number, fault in enumerate(FAULTS)]),
        "10 different labels in 10 rows",
    ),
    "splits for labels": (
        table(cycled(["train", "test"], FAULTS, 12)),
        "the labels are names of splits, as train and test",
    ),
}


@pytest.mark.parametrize("kind", HEADERS)
def test_a_first_row_that_may_be_no_row_ends_the_job(tmp_path: Path, kind: str) -> None:
    content, words = HEADERS[kind]
    message = refusal(tmp_path, content)
    assert words in message
    assert "pergunta" not in message


CURED: Mapping[str, tuple[str, Dialect]] = {
    "column numbers taken out": (table(cycled([1, 2], FAULTS, 30)), AS_WRITTEN),
    "column numbers called a header": (table(cycled([1, 2], FAULTS, 30), above="0,1\n"), Dialect("true")),
    "a comma in front of the header of R's row names": (
        columns(',"label","text"', *(f'"{number}","{{label}}","{{text}}"' for number in range(8))),
        AS_WRITTEN,
    ),
    "names in place of v1,v2": (topics("label,text,a,b,c\n", 24, '{},"{}",,,'), AS_WRITTEN),
    "a foreign header called one": (topics("categoria,pergunta\n"), Dialect("true")),
    "a foreign header called data": (topics("categoria,pergunta\n"), Dialect("false")),
    "names put above texts that come first": (
        table(cycled(["good", "bad"], FAULTS, 12), "{1},{0}", "text,label\n"),
        AS_WRITTEN,
    ),
    "names in place of a foreign header, texts first": (topics("text,label\n", 11, '"{1}",{0}'), AS_WRITTEN),
    "a rare short row below another": (topics("label,text\n") + "rara,ola\n", AS_WRITTEN),
}


@pytest.mark.parametrize("kind", CURED)
def test_what_a_message_says_to_do_about_a_header_helps(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    content, dialect = CURED[kind]
    load(tmp_path, content, dialect=dialect)
    assert "swapped" not in caplog.text


# --- labels in other forms

LABELS: Mapping[str, tuple[str, str, str]] = {
    "one-hot columns": (
        columns("text,fire,brakes", "{text},1,0", "{text},0,1"),
        "data.csv",
        "the columns 'fire', 'brakes' hold 0 and 1, which is one-hot; write one label per row: a column called label",
    ),
    "columns of several labels at once": (
        columns("id,comment_text,toxic,obscene,threat", "7,{text},1,1,0", "8,{text},0,0,0"),
        "data.csv",
        "the columns 'toxic', 'obscene', 'threat' hold 0 and 1",
    ),
    "one-hot columns of True and False": (
        columns("text;fire;brakes", "{text};True;False", "{text};False;True"),
        "data.csv",
        "hold 0 and 1",
    ),
    "one-hot keys": (
        '{"text": "a", "fire": 1, "brakes": 0}\n',
        "data.jsonl",
        "data.jsonl:1: no key for the label, and the key 'fire', the key 'brakes' hold 0 and 1, which is one-hot",
    ),
    "spaCy's cats": (
        '{"text": "a", "cats": {"fire": 1.0, "brakes": 0.0}}\n',
        "data.jsonl",
        "spaCy's format for categories",
    ),
    "a one-hot list": (
        '{"text": "a", "label": [0, 1, 0]}\n',
        "data.jsonl",
        "the label is a list of 0 and 1, which is one-hot",
    ),
    "a list of several labels": (
        '{"text": "a", "labels": ["fire", "brakes"]}\n',
        "data.jsonl",
        "the label is a list of 2; one label per row is read",
    ),
    "an empty list": ('{"text": "a", "label": []}\n', "data.jsonl", "the label is an empty list"),
    "spans": ('{"text": "a", "label": [[0, 5, "fire"]]}\n', "data.jsonl", "the label is a list of 3"),
    "lists in a table": (
        columns("label,text", "['{label}'],{text}"),
        "data.csv",
        "the label is written as a list; one label",
    ),
    "several labels in a table": (
        columns("label,text", "\"['{label}', 'x']\",{text}"),
        "data.csv",
        "the label is written as a list",
    ),
    "a list of numbers in a table": (columns("label,text", '"[0, 1]",{text}', "[1 0],{text}"), "data.csv", "as a list"),
    "Label Studio's choices in a table": (
        columns("text,label", '{text},"{{""choices"":[""{label}"",""x""]}}"'),
        "data.csv",
        "data.csv:2: the label is written as JSON, as Label Studio writes several choices; one label per row is read",
    ),
    "a quote that was left out in front": (
        table(cycled(["fire", "brakes"], FAULTS, 12), "{},{}") + 'fire","smoke, x"\n',
        "data.csv",
        "data.csv:13: a double quote inside the label, which no other label has (such rows: 1); put the whole text in",
    ),
    "a quote in place of a comma": (
        table(cycled(["fire", "brakes"], FAULTS, 12), "{},{}") + 'fire"smoke, then flames"\n',
        "data.csv",
        "data.csv:13: a double quote inside the label",
    ),
    "a list in a string": ('{"text": "a", "label": "[\'fire\']"}\n', "data.jsonl", "the label is written as a list"),
    "a header without a label": (
        columns("id,text,mood", "7,{text},{label}"),
        "data.csv",
        "the first row is a header without a column of the label; call that column 'label'",
    ),
    "a header without a text": (
        columns("id,label,posting", "7,{label},{text}"),
        "data.csv",
        "without a column of the text; call that column 'text'",
    ),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_in_a_form_that_is_not_read_are_refused_by_name(tmp_path: Path, kind: str) -> None:
    content, name, words = LABELS[kind]
    assert words in refusal(tmp_path, content, name)


@pytest.mark.parametrize(
    "label", ["[" + "1  " * 60 + "x", "['" + "'" * 30_000 + " " * 30_000, "\u76d6" * 100_000, "(" + "1, " * 30_000]
)
def test_however_odd_a_label_is_it_is_judged_at_once(label: str) -> None:
    started = time.perf_counter()
    label_problem(label)
    reads_like_text(label)
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize("label", [["fire"], "fire"])
def test_a_list_of_one_label_is_that_label(tmp_path: Path, label: object) -> None:
    rows = [{"id": 1, "text": "a b c", "label": label}, {"id": 2, "text": "d e f", "label": ["brakes"]}]
    loaded = load(tmp_path, "".join(json.dumps(row) + "\n" for row in rows), "data.jsonl")
    assert loaded.labels == ("brakes", "fire")


# --- no false alarm

GOOD: Mapping[str, tuple[str, str]] = {
    "two rows": ("fire,smoke\nbrakes,soft\n", "data.csv"),
    "a row of each label": ("greeting,hello there\norder,where is my order\nrefund,I want my money\n", "data.csv"),
    "short texts": (table(cycled(["yes", "no"], ["ok", "nope", "fine", "bad"], 12)), "data.csv"),
    "a rare label below the header": (topics("label,text\nraro,Isto é uma pergunta rara\n"), "data.csv"),
    "texts that are numbers": (table(cycled([0, 1], ["1", "2", "3", "17"], 12)), "data.csv"),
    "labels with bars, and quotes": (places('{},"{}"'), "data.csv"),
    "labels in brackets": (columns("label,text", "[{label}],{text}"), "data.csv"),
    "labels in parentheses": (columns("label,text", "({label}),{text}"), "data.csv"),
    "a column of ids and one of dates": (columns("id,date,label,text", "7,2024-03-01,{label},{text}"), "data.csv"),
    "all rows are for training": (columns("label,text,split", "{label},{text},train"), "data.csv"),
    "no row is held out": (columns("label,text,is_valid", "{label},{text},False"), "data.csv"),
    "all answers accepted": (objects({"answer": "accept"}), "data.jsonl"),
    "a purchase that was verified or not": (
        columns("label,text,verified_purchase", "{label},{text},Y", "{label},{text},N"),
        "data.csv",
    ),
    "a phase that is called so": (
        columns("label,text,phase", "{label},{text},testing", "{label},{text},production"),
        "data.csv",
    ),
    "a partition of a table": (
        columns("label,text,partition", "{label},{text},2024-01", "{label},{text},2024-02"),
        "data.csv",
    ),
    "whether there were tests": (columns("label,text,tests", "{label},{text},yes", "{label},{text},no"), "data.csv"),
    "a state of open and closed": (
        columns("label,text,status", "{label},{text},open", "{label},{text},closed"),
        "data.csv",
    ),
    "a state among others": (
        columns("label,text,status", "{label},{text},rejected", "{label},{text},closed"),
        "data.csv",
    ),
    "what was kept is all there is": (columns("label,text,keep", "{label},{text},1"), "data.csv"),
    "some texts that are addresses": (
        columns("label,text", "{label},{text}", "{label},{text}", "{label},https://example.com/1"),
        "data.csv",
    ),
    "texts of a word": (
        table(cycled(["a", "b"], ["Kraftfahrzeugversicherung", "fahrzeugbrand", "/s", "e.g."], 9)),
        "data.csv",
    ),
    "labels from minus one to one": (table(cycled([-1, 0, 1], FAULTS, 12)), "data.csv"),
    "labels from minus two to two": (table(cycled([-2, -1, 0, 1, 2], FAULTS, 10)), "data.csv"),
    "labels of dashes": (columns("label,text", "-,{text}", "+,{text}"), "data.csv"),
    "a train among other vehicles": (
        columns("label,text,by", "{label},{text},train", "{label},{text},bus"),
        "data.csv",
    ),
    "a remark in one row": (columns("label,text,remark", *["{label},{text},"] * 7, "{label},{text},test"), "data.csv"),
    "an address longer than the text": (
        columns("label,text,url", "{label},{text},https://www.example.com/claims/2024/03/01/a-long-name-of-a-page/7"),
        "data.csv",
    ),
    "a shorter text beside the one that is read": (
        columns("label,text,note", "{label},{text},see the file"),
        "data.csv",
    ),
    "keys of any kind": (
        objects({"id": 7, "meta": {"day": "2024-03-01", "by": "train"}, "tags": ["a"], "score": 0.5}),
        "data.jsonl",
    ),
    "doccano's": (objects({"id": 1, "Comments": []}), "data.jsonl"),
    "rows of tabs with commas in them": (
        table([(label, f"{text}, and more") for label, text in cycled(["fire", "brakes"], FAULTS, 8)], "{}\t{}"),
        "data.tsv",
    ),
    "many labels of a row or two": (
        table([(f"intent {number // 2}", f"{FAULTS[number % 10]} {number}") for number in range(30)]),
        "data.csv",
    ),
    "a row of each of ten labels, below a header": (
        table([(number, fault) for number, fault in enumerate(FAULTS)], above="label,text\n"),
        "data.csv",
    ),
    "a column of the labels' names": (
        columns("label,text,label_text,true_label", "{label},{text},the {label},is {label}"),
        "data.csv",
    ),
    "a rating beside a label called label": (
        columns("label,text,rating,topic", "{label},{text},5,a", "{label},{text},3,b", "{label},{text},5,b"),
        "data.csv",
    ),
    "tags that are all different beside a category": (
        columns("category,text,tags", "{label},{text} again,{text}"),
        "data.csv",
    ),
    "the same list of labels beside a label": (objects({"labels": ["fire"]}), "data.jsonl"),
    "a label of an inch": (
        table(cycled(["fire", "brakes"], FAULTS, 12)) + '"19"" rack","the lid"\n"19"" rack","the box"\n',
        "data.csv",
    ),
    "labels with quotes in them": (
        table(cycled(['the ""new"" one', "brakes"], FAULTS, 12), '"{}","{}"') + '"an ""x","the lid"\n',
        "data.csv",
    ),
    "labels of hashes": (table(cycled(["#fire", "#brakes"], FAULTS, 12)), "data.csv"),
    "a label C beside C#": (table(cycled(["C", "C#", "#"], FAULTS, 12)), "data.csv"),
    "a total among others": (table(cycled(["total", "part"], FAULTS, 12)), "data.csv"),
    "a label of two words, one of which is a label": (table(cycled(["card", "lost card"], FAULTS, 12)), "data.csv"),
    "several lines of a text, the label between others": (
        columns("text,label,src", '"{text}, so\nit was, we think",{label},x'),
        "data.csv",
    ),
    "a space after each comma": (columns("label, text, place, day", "{label}, {text}, the shop, 3"), "data.csv"),
    "a space after each comma, the text first": (
        columns("text, place, label", "{text}, the shop, {label}"),
        "data.csv",
    ),
    "a space before a date": (columns("label,text,day", "{label},{text}, 2024-03-01"), "data.csv"),
    "a column of other things": (columns("label,text,other", "{label},{text},Ford"), "data.csv"),
    "a column of numbers that has no name": (columns("label,text,", "{label},{text},7", "{label},{text},"), "data.csv"),
    "a first text that is a word, as others are": (
        table(cycled(["noun", "verb"], ["question", "run", "house", "see", "the lid", "go"], 12)),
        "data.csv",
    ),
    "a text that is such a word again": (
        table(cycled(["yes", "no"], ["title", *FAULTS, "review"], 24)),
        "data.csv",
    ),
    "numbers in the first row, as in others": (
        table(cycled([5, 3], ["10", "7", "8 of 10", "9", "no"], 12)),
        "data.csv",
    ),
    "a first text of a large number": (table([(5, "100"), *cycled([5, 3], FAULTS, 12)]), "data.csv"),
    "a label called valid": (table(cycled(["valid", "invalid"], FAULTS, 12)), "data.csv"),
}
KNOWN = ("few rows", "class_weights", "that are called as if", "texts with more than one label", "labels that are in")


@pytest.mark.parametrize("kind", GOOD)
def test_an_ordinary_table_is_read_without_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str) -> None:
    content, name = GOOD[kind]
    assert load(tmp_path, content, name).training.records
    found = [line for line in warned(caplog).splitlines() if not any(words in line for words in KNOWN)]
    assert not found


# --- the same words beforehand


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (UNREAD["train and test in split"][0], UNREAD["train and test in split"][2]),
        HEADERS["a few texts first"],
        HEADERS["pandas' column numbers above the same labels"],
        (LABELS["one-hot columns"][0], LABELS["one-hot columns"][2]),
        (GUESSED["bars"][0], "warning: rows=training note="),
        (DOUBTED["an abstract beside the title that is read"][0], "warning: rows=training note="),
    ],
)
def test_the_check_command_says_the_same_of_the_same_bytes(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "data.csv"
    path.write_text(content, encoding="utf-8")
    ended = check_data("check", path)
    assert ended.returncode == (0 if words.startswith("warning") else 1), ended.stderr
    assert words in ended.stdout
