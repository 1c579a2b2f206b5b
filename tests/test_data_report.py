"""What is said of data before training: in the job's log, and by the check command."""

import json
import subprocess
import sys
from pathlib import Path
from shutil import copytree

import pytest

from channels import load
from classifier.errors import UserError
from classifier.training import data
from jobs import ROOT, check_data
from jobs import ROWS as READABLE

TEXTS = [f"secret{number} word " + "more " * (number % 7) for number in range(40)]
ROWS = [(("fire", "brakes")[number % 2], text) for number, text in enumerate(TEXTS)]


def write(folder: Path, channel: str, rows: list[tuple[str, str]]) -> Path:
    path = folder / channel / "data.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f'{label},"{text}"\n' for label, text in rows), encoding="utf-8")
    return path.parent


def log_of(caplog: pytest.LogCaptureFixture, **channels: Path) -> list[str]:
    with caplog.at_level("INFO"):
        load(channels, 0, 1, max_sequence_length=6)
    assert all(message.startswith("event=data ") for message in caplog.messages)
    return [message.removeprefix("event=data ") for message in caplog.messages]


def test_rows_labels_and_lengths_are_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = log_of(caplog, training=write(tmp_path, "training", ROWS))
    assert lines == [
        "rows=training note='files read: training/data.csv (40 rows)'",
        ("training_rows=40 validation_rows=0 test_rows=0 labels=2 rows_of_rarest_label=20 rows_of_commonest_label=20"),
        "rows_of_labels='brakes: 20, fire: 20'",
        (
            "rows=training words_mean=4.9 words_median=5 words_95th_percentile=8 words_longest=8 "
            "longest_at='training/data.csv:7'"
        ),
        (
            "rows=training characters_mean=28.1 characters_median=29 characters_95th_percentile=44 "
            "characters_longest=44 longest_at='training/data.csv:14'"
        ),
        (
            "rows=training share_longer_at_least=0.5500 max_sequence_length=6 "
            "examples='training/data.csv:4, training/data.csv:5, training/data.csv:6'"
        ),
    ]


def test_what_may_be_a_mistake_is_named_by_its_place(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    training = [
        *ROWS, ("fire", ""), ("fire", " "), ("fire", TEXTS[0]), ("fire", TEXTS[1]),
        ("fire", "secret\nbrakes, secret\nfire, secret"),
    ]  # fmt: skip
    validation = [("fire", TEXTS[4]), ("fire", "new"), ("brakes", "")]
    lines = log_of(
        caplog,
        training=write(tmp_path, "training", training),
        validation=write(tmp_path, "validation", validation),
        test=write(tmp_path, "test", [("fire", "new"), ("fire", TEXTS[4])]),
    )
    assert [line for line in lines if "note=" in line and "files read" not in line] == [
        "rows=training note='empty texts: 2' examples='training/data.csv:41, training/data.csv:42'",
        ("rows=training note='texts that an earlier row has: 2' examples='training/data.csv:43, training/data.csv:44'"),
        ("rows=training note='texts with more than one label: 1' examples='training/data.csv:2, training/data.csv:44'"),
        (
            "rows=training note='texts with a line that looks like a row: 1; is a quote missing?' "
            "examples='training/data.csv:45'"
        ),
        "rows=validation note='empty texts: 1' examples='validation/data.csv:3'",
        (
            "rows=validation note='texts that are in training too: 1' "
            "examples='validation/data.csv:1 is training/data.csv:5'"
        ),
        ("rows=test note='texts that are in training too: 1' examples='test/data.csv:2 is training/data.csv:5'"),
        (
            "rows=test note='texts that are in validation too: 2' "
            "examples='test/data.csv:1 is validation/data.csv:2, test/data.csv:2 is validation/data.csv:1'"
        ),
    ]
    assert "secret" not in caplog.text


def test_of_many_labels_the_commonest_and_the_rarest_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [(f"l{label:02}", f"{label} {number}") for label in range(20) for number in range(40 - label)]
    lines = log_of(caplog, training=write(tmp_path, "training", rows))
    assert (
        "rows_of_labels='l00: 40, l01: 39, l02: 38, l03: 37, l04: 36, ... 10 more, "
        "l15: 25, l16: 24, l17: 23, l18: 22, l19: 21'"
    ) in lines


def test_a_label_that_may_be_a_text_is_called_by_its_place(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [("secret text", "one"), ("secret too", "two"), ("secret " * 9, "three"), ("secret " * 9, "four")]
    lines = log_of(caplog, training=write(tmp_path, "training", rows))
    assert lines[2] == (
        "rows_of_labels='that at training/data.csv:3: 2, that at training/data.csv:1: 1, "
        "that at training/data.csv:2: 1'"
    )
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    ("common", "rare", "warned"),
    [(40, 4, True), (100, 5, False), (101, 5, True), (5, 5, False), (4, 4, False), (3, 4, False), (9, 4, True)],
)
def test_labels_far_apart_in_number_are_warned_of_with_a_cure(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, common: int, rare: int, *, warned: bool
) -> None:
    rows = [("fire", f"a{number}") for number in range(common)] + [("brakes", f"b{number}") for number in range(rare)]
    log_of(caplog, training=write(tmp_path, "training", rows))
    assert ("class_weights=balanced" in caplog.text) == warned
    assert ("WARNING" in caplog.text) == (warned or rare < 5)
    assert ("few rows: the rarest" in caplog.text) == (rare < 5 and not warned)


def test_the_files_that_are_read_are_named_with_their_rows(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = write(tmp_path, "training", ROWS)
    for number in range(6):
        (folder / f"part{number}.csv").write_text("fire,a\n" * number + "brakes,b\n")
    (folder / "data.csv").unlink()
    log_of(caplog, training=folder, validation=write(tmp_path, "validation", ROWS[:2]))
    assert "files read: training/part0.csv (1 row), training/part1.csv (2 rows), " in caplog.text
    assert "training/part4.csv (5 rows), ... and 1 more'" in caplog.text
    assert "rows=validation note='files read: validation/data.csv (2 rows)'" in caplog.text


@pytest.mark.parametrize(
    ("name", "warned"),
    [
        ("test.csv", True),
        ("my-valid_2.csv", True),
        ("sample_submission.csv", True),
        ("claims_holdout.csv", True),
        ("Development.csv", True),
        ("hold-out.1.csv", True),
        ("latest.csv", False),
        ("a.csv", False),
    ],
)
def test_files_to_train_on_by_the_names_of_others_are_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, *, warned: bool
) -> None:
    folder = write(tmp_path, "training", ROWS)
    (folder / "data.csv").rename(folder / name)
    lines = log_of(caplog, training=folder)
    words = f"files to train on that are called as if they were something else: training/{name}"
    assert any(words in line for line in lines) == warned


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (("fire", "Fire"), "differ only in case, spaces or Unicode form: Fire, fire"),
        (("no fault", "no  fault"), "differ only in case, spaces or Unicode form: no  fault, no fault"),
        (
            ("T\u00fcr", "Tu\u0308r"),
            "differ only in case, spaces or Unicode form: Tu\u0308r (U+0308), T\u00fcr (U+00FC)",
        ),
        *(
            (labels, "differ only in case, spaces, dashes, quotes or Unicode form: ")
            for labels in (("no_show", "no-show"), ("no show", "No-Show"), ("A-1", "A\u20131"), ("pos", "'pos'"))
        ),
        *(
            (labels, "differ only in case, spaces, punctuation, HTML's escapes, or characters that look alike: ")
            for labels in (
                ("\u2764", "\u2764\ufe0f"),
                ("R&D", "R&amp;D"),
                ("spam", "spam."),
                ("spam", "sp\u0430m"),
                ("\u0410", "A"),
                ("caf\u00e9", "Caf&eacute;."),
            )
        ),
        *((("pos", quoted), "dashes, quotes or Unicode form") for quoted in ("\u201cpos\u201d", "\u00abpos\u00bb")),
        (
            ("G\u00fcte", "G\u00c3\u00bcte"),
            "labels with two letters for one, as \u00c3\u00a9 for \u00e9: they were UTF-8",
        ),
        (("cafe", "caf\ufffd"), "labels with U+FFFD, which stands for a letter that was lost: 1; export them again"),
        *(
            (labels, "")
            for labels in (
                ("A-", "A"),
                ("A+", "A"),
                ("1.1x", "11x"),
                ("v1.1", "v11"),
                ("2-3", "23.x"),
                ("C", "C#"),
                ("*", "**"),
                (":)", ":("),
                ("caf\u00e9", "cafe"),
                ("\u0432\u043e\u0434\u0430", "\u0441\u043e\u043a"),
            )
        ),
        (("0.0", "1.0"), "labels that are numbers with a point, as 1.0: they are names here"),
        (("00", "01"), "labels that are numbers with a zero in front, as 01: they are names here"),
        (("'0'", "'1'"), "labels that are in quotes of their own, as '0': they are names here"),
        (("fire", "NaN"), "labels that are one that stands for nothing, as NaN: they are names here"),
        (("fire", "1.0"), ""),
        (("fire", "brakes"), ""),
    ],
)
def test_labels_that_may_be_slips_are_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, labels: tuple[str, str], words: str
) -> None:
    rows = [(labels[number % 2], text) for number, text in enumerate(TEXTS)]
    log_of(caplog, training=write(tmp_path, "training", rows))
    assert words in caplog.text
    assert ("WARNING" in caplog.text) == bool(words)


@pytest.mark.parametrize(
    ("more", "warned"),
    [
        ([f"fire;Smoke {number}, then flames" for number in range(3)], "and a comma, semicolon or bar: 3; if that"),
        (["fire|Smoke, then flames"], "and a comma, semicolon or bar: 1; if that"),
        (["fire;Smoke,then flames", "fire;Smoke,then ash"], ""),
        (["smoke;Flames,then ash"], ""),
        (["fire;brakes,then ash"], ""),
    ],
)
def test_lines_with_another_delimiter_that_are_read_are_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, more: list[str], warned: str
) -> None:
    folder = write(tmp_path, "training", ROWS)
    with (folder / "data.csv").open("a") as file:
        file.writelines(f"{line}\n" for line in more)
    found = [line for line in log_of(caplog, training=folder) if "labels that begin with another label" in line]
    assert len(found) == bool(warned)
    assert all(warned in line and "training/data.csv:41" in line and "Smoke" not in line for line in found)


DAMAGED = {
    "a letter that was lost": ("caf\ufffd", "texts with U+FFFD, which stands for a letter that was lost: 1; export"),
    "UTF-8 that was read as Windows-1252": (
        "caf\u00c3\u00a9",
        "they were UTF-8, and read as something else: 1; export",
    ),
    "such quotes": (
        "\u00e2\u20ac\u0153so\u00e2\u20ac\u2122s",
        "they were UTF-8, and read as something else: 1; export",
    ),
    "such quotes as Windows-1252 has them, but the last": (
        "so \u00e2\u20ac\u0153text\u00e2\u20ac",
        "and read as something else: 1",
    ),
    "such quotes in Latin-1": ("\u00e2\x80\x9ctext\u00e2\x80\x9d", "and read as something else: 1"),
    "such quotes, with what Windows-1252 lacks": (
        "\u00e2\u20ac\u0153text\u00e2\u20ac\x9d",
        "and read as something else: 1",
    ),
    "such a letter beside a smile": ("caf\u00c3\u00a9 \U0001f600", "and read as something else: 1"),
    "such Russian": ("\u00d0\u0178\u00d1\u20ac\u00d0\u00b8", "and read as something else: 1"),
    "good capitals": ("CAF\u00c9\u2026 D\u00c9J\u00c0\u00a0!", ""),
    "good French marks": ("\u00ab\u00a0voil\u00e0\u00a0\u00bb", ""),
    "good German quotes": ("\u201e\u00c4\u201c", ""),
    "good Portuguese in quotes": ("\u201cIRM\u00c3\u201d", ""),
    "good French": ("caf\u00e9 \u00e0 la cr\u00e8me", ""),
    "good Portuguese": ("N\u00c3O, MA\u00c7\u00c3", ""),
    "good quotes": ("\u201cso\u201d \u2014 it\u2019s \u20ac5\u2026", ""),
    "good Thai": ("\u0e41\u0e22\u0e48", ""),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_texts_that_were_damaged_before_are_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    text, words = DAMAGED[kind]
    log_of(caplog, training=write(tmp_path, "training", [*ROWS, ("fire", text), ("brakes", text + " too")][:41]))
    assert words in caplog.text
    assert ("WARNING" in caplog.text) == bool(words)


def test_columns_that_look_swapped_are_warned_of_where_the_labels_are_known(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [(f"secret text {number % 7}", ("fire", "brakes")[number % 2]) for number in range(40)]
    folder = write(tmp_path, "training", rows)
    known = tuple(sorted({label for label, _ in rows}))
    with caplog.at_level("INFO"):
        load({"training": folder}, 0, 1, known_labels=known)
    assert "are the columns swapped? the label comes first" in caplog.text
    assert "secret" not in caplog.text
    with pytest.raises(UserError, match="7 different labels in 40 rows, more and longer than the texts"):
        load({"training": folder}, 0, 1)


def test_known_labels_without_rows_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tables = data.read({"training": write(tmp_path, "training", ROWS)})
    with caplog.at_level("INFO"):
        data.prepare(tables, ("axle", "brakes", "fire"), 0, 1)
    assert "note='labels without a row to train on: 1'" in caplog.text


# --- the command ----------------------------------------------------------------------------------------------------


def test_the_command_reports_on_good_data_and_ends_with_0(tmp_path: Path) -> None:
    training, validation = write(tmp_path, "training", ROWS), write(tmp_path, "validation", ROWS[:3])
    ended = check_data("check", training, "--validation", validation / "data.csv", "--max-sequence-length", "6")
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert lines[0].startswith("rows=training note='files read: ")
    assert any(line.startswith("training_rows=40 validation_rows=3 test_rows=0 labels=2 ") for line in lines)
    assert any("max_sequence_length=6" in line for line in lines)
    assert any(line.startswith("warning: rows=validation note='texts that are in training too: 3'") for line in lines)
    assert lines[-1] == "problems: 0"


def test_the_command_names_all_problems_of_all_files_and_ends_with_1(tmp_path: Path) -> None:
    first, second = write(tmp_path, "a", ROWS) / "data.csv", write(tmp_path, "b", ROWS) / "data.csv"
    with second.open("a") as file:
        file.write("1,2,3\n" * 30 + ",secret\n")
    ended = check_data("check", first, second)
    assert ended.returncode == 1
    lines = ended.stdout.splitlines()
    assert lines[0].startswith(f"{second}:41: 3 columns; ")
    assert lines[0].endswith(" (and 29 more lines: 42, 43, 44, 45, 46, 47, 48, 49, ...)")
    assert lines[1] == f"{second}:71: the label is empty; write one"
    assert lines[2].startswith("rows=training note='files read: ")
    assert lines[-1] == "problems: 31"


def test_the_command_shows_some_of_many_problems(tmp_path: Path) -> None:
    paths = [write(tmp_path, f"part{number}", ROWS) / "data.csv" for number in range(30)]
    for path in paths:
        path.write_text("fire,a\nbrakes,b\nfire,c\nfire,d,e\n")
    lines = check_data("check", *paths).stdout.splitlines()
    assert len([line for line in lines if "3 columns" in line]) == 20
    assert lines[20] == "... and 10 more"
    assert lines[-1] == "problems: 30"


def test_the_command_refuses_the_names_of_files_that_a_job_refuses(tmp_path: Path) -> None:
    path = write(tmp_path, "training", ROWS) / "data.csv"
    for name, words in (
        ("data.dat", "it looks like rows; rename it to data.dat.csv"),
        ("noext", "it looks like rows; rename it to noext.csv"),
    ):
        ended = check_data("check", path.rename(path.with_name(name)))
        path.with_name(name).rename(path)
        assert ended.returncode == 1
        assert words in ended.stdout.splitlines()[0]


def test_the_command_finds_what_training_refuses_later(tmp_path: Path) -> None:
    ended = check_data("check", write(tmp_path, "training", [("fire", "a"), ("fire", "b")]))
    assert ended.returncode == 1
    assert "every row has the same label" in ended.stdout


@pytest.mark.parametrize(
    ("training", "validation", "problem"),
    [
        (["fire", "brakes"], [], "the labels are names, and those of the model to train further are integers"),
        ([1], [], ""),
        ([1, 2], [], ""),
        ([1, 2], [0], ""),
        ([1, 2], [3], "a label that no training row has"),
    ],
)
def test_the_command_knows_the_labels_of_a_model_that_is_trained_further(
    tmp_path: Path, tiny_model: Path, training: list[str | int], validation: list[str | int], problem: str
) -> None:
    channels = [
        write(tmp_path, name, [(str(labels[row % len(labels)]), text) for row, (_, text) in enumerate(READABLE[:11])])
        for name, labels in (("training", training), ("validation", validation))
        if labels
    ]
    ended = check_data(
        "check", *channels[:1], *(f"--validation={each}" for each in channels[1:]), "--model", tiny_model
    )
    assert (ended.returncode, ended.stderr) == (bool(problem), "")
    assert problem in ended.stdout
    assert ("no training row has these labels, so the model may forget them: 0" in ended.stdout) == (not problem)


def test_the_command_reads_texts_as_a_model_that_is_trained_further_reads_them(
    tmp_path: Path, tiny_model: Path
) -> None:
    model = copytree(tiny_model, tmp_path / "model")
    manifest = json.loads((model / "manifest.json").read_text(encoding="utf-8"))
    manifest["hyperparameters"]["max_sequence_length"] = 7
    manifest["encoder"]["long_texts"] = "head_tail"
    (model / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    training = write(tmp_path, "training", [(str(label), text) for label, text in READABLE[:11]])
    assert "max_sequence_length=7 long_texts=head_tail" in check_data("check", training, "--model", model).stdout
    asked = check_data("check", training, "--model", model, "--max-sequence-length", "9").stdout
    assert "max_sequence_length=9 long_texts=head_tail" in asked


def test_the_command_counts_by_the_length_that_an_encoder_reads_by_default(tmp_path: Path) -> None:
    rows = [(label, text * 40) for label, text in ROWS]
    ended = check_data("check", write(tmp_path, "training", rows), "--model-id", "linear")
    assert ended.returncode == 0
    assert "max_sequence_length=4096" in ended.stdout


def test_the_command_finds_that_candidates_can_not_be_compared(tmp_path: Path) -> None:
    ended = check_data("check", write(tmp_path, "training", [("fire", "a"), ("brakes", "b")]), "--model-id", "auto")
    assert ended.returncode == 1
    assert "candidates are compared on validation rows, and there are none" in ended.stdout


def test_the_command_takes_the_users_word_on_headers(tmp_path: Path) -> None:
    folder = write(tmp_path, "training", [("mood", "posting"), *ROWS])
    assert check_data("check", folder).returncode == 1
    assert check_data("check", folder, "--header", "true").returncode == 0


def test_the_command_takes_the_users_word_on_delimiters(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("".join(f"{label};{text}\n" for label, text in ROWS), encoding="utf-8")
    guess = "is the first row as it is read: separated by semicolons"
    assert guess in check_data("check", path).stdout
    ended = check_data("check", path, "--delimiter", "semicolon")
    assert ended.returncode == 0
    assert guess not in ended.stdout
    assert check_data("check", path, "--delimiter", "comma").returncode == 1


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("check",),
        ("check", ".", "--delimiter", "dot"),
        ("check", "no-such-file"),
        ("check", ".", "--header", "maybe"),
        ("check", ".", "--max-sequence-length", "2"),
        ("check", ".", "--max-sequence-length", "5000"),
        ("check", ".", "--max-sequence-length", "x"),
        ("check", __file__, __file__),
    ],
)
def test_wrong_usage_of_the_command_ends_with_2(arguments: tuple[str, ...]) -> None:
    ended = check_data(*arguments)
    assert ended.returncode == 2
    assert "usage: python -m classifier.check_data" in ended.stderr


def test_the_command_does_not_wait_for_tensorflow(tmp_path: Path) -> None:
    program = (
        "import runpy, sys\n"
        f"sys.argv = ['x', 'check', {str(write(tmp_path, 'training', ROWS))!r}]\n"
        "try:\n"
        "    runpy.run_module('classifier.check_data', run_name='__main__')\n"
        "except SystemExit as end:\n"
        "    assert end.code == 0\n"
        "assert not [name for name in sys.modules if name.split('.')[0] in ('tensorflow', 'tf_keras', 'keras')]\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT / "container", check=True, capture_output=True)
