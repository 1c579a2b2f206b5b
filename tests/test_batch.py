"""``batch``: rows in, rows with predictions out, as `serve` would answer them; started again after any end."""

import csv
import errno
import gzip
import json
import os
import shutil
import signal
import tracemalloc
from ast import literal_eval
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from batch_helpers import hidden, objects, rows, run, start, visible
from classifier import predictor
from classifier.backends import Computing
from classifier.backends.choice import FLOAT32
from classifier.batch import folders, inputs, progress, task
from classifier.batch.inputs import LIKE_A_NOTICE
from classifier.batch.job import Job
from classifier.batch.lines import LONGEST_ROW
from classifier.batch.model import digest
from classifier.batch.options import Options
from classifier.errors import UserError
from classifier.predictor import Predictor
from classifier.tabular.channel import HIDDEN, NOWHERE, PERHAPS, TO_A_FOLDER
from classifier.tabular.files import READ
from jobs import rows as labelled
from serving_helpers import serving, wait_until

TEXTS = [
    "the film was good",
    "she works, and he too",
    'it was "bad"',
    "two\nlines of it",
    "Großes Café 価格",
    "smoke " * 99,
]
CLAIMS = "id,date,amount,state,part,narrative\n" + "".join(
    f'{number},2024-01-0{number},{number}.50,CA,door,"{text.replace(chr(34), 2 * chr(34))}"\n'
    for number, text in enumerate(TEXTS)
)
MEGABYTE = 1 << 20

pytestmark = pytest.mark.usefixtures("own_logging")


@pytest.fixture
def claims(tmp_path: Path) -> Path:
    path = tmp_path / "in" / "claims.csv"
    path.parent.mkdir()
    path.write_text(CLAIMS, encoding="utf-8")
    return path


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture(scope="session")
def asked(tiny_model: Path) -> Callable[[Sequence[str]], list[list[float]]]:
    """What `serve`'s predictor says of texts."""
    model = predictor.load(tiny_model, Computing(FLOAT32, threads=1))
    return lambda texts: model.predict(texts).tolist()


def many_rows(count: int) -> str:
    return "id,text\n" + "".join(f"{number},the car is {'red ' * (number % 9)}\n" for number in range(count))


# --- results


@pytest.fixture(scope="module")
def served(tiny_model: Path) -> Iterator[Callable[[Sequence[str]], list[dict[str, object]]]]:
    """Ask a server's `/invocations`."""
    with serving(tiny_model, {"SERVING_ENGINE": FLOAT32}) as server:

        def ask(texts: Sequence[str]) -> list[dict[str, object]]:
            body = "\n".join(json.dumps({"text": text}) for text in texts)
            answer = server.ask(body, Content_Type="application/jsonlines", Accept="application/jsonlines")
            return [json.loads(line) for line in answer.text.splitlines()]

        yield ask


def assert_like_served(predicted: Sequence[Sequence[str]], answers: Sequence[dict[str, object]]) -> None:
    """Compare a label and a probability a row with a server's answers; a processor may round batches differently."""
    assert len(predicted) == len(answers)
    for (label, probability, *_), answer in zip(predicted, answers, strict=True):
        assert float(probability) == pytest.approx(max(answer["probabilities"]), abs=1e-5)  # type: ignore[call-overload]
        assert label == str(answer["predicted_label"]) or float(probability) < 0.5001


def test_every_column_comes_back_in_order_with_what_invocations_answers_for_its_text(
    claims: Path, output: Path, tiny_model: Path, served: Callable[[Sequence[str]], list[dict[str, object]]]
) -> None:
    assert run(tiny_model, claims, output) == 0
    header, *found = rows(output / "claims_output.csv")
    assert header == ["id", "date", "amount", "state", "part", "narrative", "predicted_label", "probability"]
    assert [row[:-2] for row in found] == rows(claims)[1:]
    assert_like_served([row[-2:] for row in found], served(TEXTS))
    assert visible(output) == ["claims_output.csv"]


def test_real_posts_with_line_breaks_in_them_are_answered_as_invocations_does(
    output: Path,
    tiny_model: Path,
    shared: Callable[[str], Path],
    served: Callable[[Sequence[str]], list[dict[str, object]]],
) -> None:
    data = shared("data/text/20news4/test/data.csv")
    assert run(tiny_model, data, output) == 0
    before, found = rows(data), rows(output / "data_output.csv")
    assert [row[:-2] for row in found] == before
    assert_like_served([row[-2:] for row in found], served([text for _, text in before]))


def test_json_lines_gzip_and_csv_of_the_same_texts_are_answered_alike(
    claims: Path, output: Path, tiny_model: Path
) -> None:
    folder = claims.parent
    (folder / "claims.csv.gz").write_bytes(gzip.compress(CLAIMS.encode()))
    (folder / "sub").mkdir()
    (folder / "sub" / "claims.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    assert run(tiny_model, folder, output, "--probabilities") == 0
    assert visible(output) == ["claims_output.csv", "claims_output.csv.gz", "sub/claims_output.jsonl"]
    header, *found = rows(output / "claims_output.csv")
    assert header[6:] == ["predicted_label", "probability", "probability_0", "probability_1"]
    assert rows(output / "claims_output.csv.gz") == [header, *found]
    for row, item in zip(found, objects(output / "sub" / "claims_output.jsonl"), strict=True):
        assert row[6] == str(item["predicted_label"])
        assert [float(number) for number in row[7:]] == pytest.approx(list(item.values())[2:], abs=1e-6)


def test_more_rows_than_a_block_keep_their_order_whatever_their_lengths(
    tmp_path: Path, output: Path, tiny_model: Path, asked: Callable[[Sequence[str]], list[list[float]]]
) -> None:
    (tmp_path / "rows.csv").write_text(many_rows(5000))
    assert run(tiny_model, tmp_path / "rows.csv", output, "--probabilities") == 0
    _, *found = rows(output / "rows_output.csv")
    assert [int(row[0]) for row in found] == list(range(5000))
    expected = asked([row[1] for row in found[:9]])
    np.testing.assert_allclose([list(map(float, row[-2:])) for row in found[9:18]], expected, atol=1e-5)


def test_the_words_that_made_a_label_are_a_list_of_json_in_csv_and_a_list_in_json_lines(
    tmp_path: Path, output: Path, tiny_model: Path, asked: Callable[[Sequence[str]], list[list[float]]]
) -> None:
    source, text = tmp_path / "in", 'a "bad" Café'
    source.mkdir()
    (source / "x.csv").write_text('id,text\n1,"a ""bad"" Café"\n2,?!\n', encoding="utf-8")
    (source / "x.jsonl").write_text(json.dumps({"text": text}) + "\n")
    assert run(tiny_model, source, output) == 0
    assert run(tiny_model, source, output, "--explain") == 0  # finished without it is not finished with it
    header, row, without_words = rows(output / "x_output.csv")
    (item,) = objects(output / "x_output.jsonl")
    assert header == ["id", "text", "predicted_label", "probability", "words"]
    assert list(item) == ["text", "predicted_label", "probability", "words"]
    assert json.loads(row[-1]) == item["words"]
    assert without_words[-1] == "[]"
    assert [(word["text"], word["start"], word["end"]) for word in item["words"]] == [
        ("a", 0, 1), ("bad", 3, 6), ("Café", 8, 12)
    ]  # fmt: skip
    whole, *others = asked([text, ' "bad" Café', 'a "" Café', 'a "bad" '])
    label = int(np.argmax(whole))
    assert [word["weight"] for word in item["words"]] == pytest.approx(
        [whole[label] - other[label] for other in others], abs=1e-5
    )


# --- rejects


def test_bad_rows_are_listed_the_others_predicted_and_the_exit_code_is_3(
    claims: Path, output: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    claims.write_text(CLAIMS + "7,2024-01-01,secret\n8,2024-01-01,1,CA,door,fine again\n")
    assert run(tiny_model, claims, output, "--rejects", str(output / "rejects")) == 3
    assert [row[0] for row in rows(output / "claims_output.csv")[1:]] == ["0", "1", "2", "3", "4", "5", "8"]
    reason = "3 columns where there should be 6; put a text that has commas in quotes"
    assert rows(output / "rejects" / "claims_rejects.csv") == [["line", "reason"], ["9", reason]]
    log = capsys.readouterr().out
    assert "event=done files=1 failed=0 rows=7 rejected=1" in log
    assert "secret" not in log


def test_rejects_of_json_lines_are_json_lines(tmp_path: Path, output: Path, tiny_model: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"text": "good"}\n{"text": 5}\n')
    assert run(tiny_model, tmp_path / "x.jsonl", output) == 3
    (reject,) = objects(output / "x_rejects.jsonl")
    assert reject == {"line": 2, "reason": 'the text is a number; write a string: {"text": "..."}'}


def test_where_rejects_are_fatal_nothing_of_the_file_is_predicted_and_all_are_listed(
    claims: Path, output: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (claims.parent / "good.csv").write_text(CLAIMS)
    claims.write_text(CLAIMS + "7\n" + "8\n")
    assert run(tiny_model, claims.parent, output, "--fail-on-rejects") == 1
    assert visible(output) == ["claims_rejects.csv", "good_output.csv"]
    assert [row[0] for row in rows(output / "claims_rejects.csv")] == ["line", "9", "10"]
    assert "2 rows can't be read" in capsys.readouterr().out


def test_a_broken_file_is_a_reject_and_exit_code_1_and_the_others_are_done(
    claims: Path, output: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packed = gzip.compress(many_rows(3000).encode())
    (claims.parent / "cut.csv.gz").write_bytes(packed[:-50])
    (claims.parent / "two.csv").write_text("a,b\none two three,four five six\n")
    assert run(tiny_model, claims.parent, output) == 1
    assert visible(output) == ["claims_output.csv", "cut_rejects.csv.gz", "two_rejects.csv"]
    ((_, (line, reason)), (_, (_, other))) = rows(output / "cut_rejects.csv.gz"), rows(output / "two_rejects.csv")
    assert (line, "in the middle of its gzip data" in reason) == ("0", True)
    assert "several columns look like text; give --text-column" in other
    log = capsys.readouterr().out
    assert "event=done files=3 failed=2 rows=6 rejected=0" in log
    assert log.count("event=failed") == 2


def test_a_file_whose_first_text_is_very_long_is_predicted_as_are_those_after_it(
    claims: Path, output: Path, tiny_model: Path
) -> None:
    (claims.parent / "a.csv").write_text(f"id,text\n1,{'smoke ' * 30_000}\n2,the film was good\n")
    process = start("--model", str(tiny_model), "--input", str(claims.parent), "--output", str(output))
    log, _ = process.communicate(timeout=120)
    assert process.returncode == 0, log
    assert "event=done files=2 failed=0 rows=8 rejected=0" in log
    assert visible(output) == ["a_output.csv", "claims_output.csv"]


def test_what_python_refuses_to_read_as_csv_fails_its_own_file_only(
    claims: Path, output: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (claims.parent / "a.csv").write_text(f"id,text\n1,{'smoke ' * 300}\n2,the film was good\n")
    before = csv.field_size_limit(1000)
    try:
        assert run(tiny_model, claims.parent, output) == 1
    finally:
        csv.field_size_limit(before)
    assert visible(output) == ["a_rejects.csv", "claims_output.csv"]
    assert "a.csv: can't be read as CSV (field larger than field limit (1000))" in capsys.readouterr().out


def test_what_is_no_data_is_a_reject_too(tmp_path: Path, output: Path, tiny_model: Path) -> None:
    (tmp_path / "photo.png").write_bytes(b"\x89PNG")
    assert run(tiny_model, tmp_path / "photo.png", output) == 1
    assert visible(output) == ["photo.png_rejects.csv"]


def test_a_list_of_rejects_goes_when_the_file_was_put_right(claims: Path, output: Path, tiny_model: Path) -> None:
    claims.write_text(CLAIMS + "7\n")
    assert run(tiny_model, claims, output) == 3
    claims.write_text(CLAIMS)
    assert run(tiny_model, claims, output) == 0
    assert visible(output) == ["claims_output.csv"]


# --- which files


# What is there with its bytes, what of it is read, and what is warned of.
CHOSEN: Mapping[str, tuple[Mapping[str, int], list[str], list[str]]] = {
    "all tables": ({"a.csv": 9, "b/c.jsonl.gz": 9, "D.TSV": 9}, ["a.csv", "b/c.jsonl.gz", "D.TSV"], []),
    "what programs leave behind, and what goes with data": (
        {"a.csv": 9, "_SUCCESS": 9, ".DS_Store": 9, "x.manifest": 9, "README.txt": 9, "LICENSE": 9, "._a.csv": 9,
         "Thumbs.db": 9, ".ipynb_checkpoints/a.csv": 9},
        ["a.csv"],
        [],
    ),
    "tables whose names begin with a dot or an underscore": (
        {"a.csv": 9, "_b.csv": 1234, ".c.jsonl": 9}, ["a.csv"],
        [f"left out: _b.csv (1,234 bytes), .c.jsonl (9 bytes): {HIDDEN}"],
    ),
    "a .txt and a .json beside tables": (
        {"a.csv": 9, "b.txt": 9, "c.json": 9}, ["a.csv"],
        [f"left out: b.txt (9 bytes), c.json (9 bytes): {PERHAPS}"],
    ),
    "a .txt beside a readme": ({"a.txt": 9, "b.txt": 9, "readme.txt": 9}, ["a.txt", "b.txt"], []),
    "files that are called as what goes with data, and may hold rows": (
        {"a.csv": 9, "source_data.parquet": 9, "changes 2024.xlsx": 9, "source.gz": 9, "notice-1.txt": 9,
         "source.json": 9, "LICENSE-MIT": 9, "NOTICE": 9, "source.md": 9, "changes.txt": 0},
        ["a.csv"],
        [f"left out: source_data.parquet (9 bytes), changes 2024.xlsx (9 bytes), source.gz (9 bytes): use {READ}",
         f"left out: notice-1.txt (9 bytes): {PERHAPS}",
         f"left out: source.json (9 bytes): {LIKE_A_NOTICE}"],
    ),
    "such a .txt beside another": (
        {"a.txt": 9, "changes.txt": 9, "changes_2024.txt": 9, "readme_en.txt": 9}, ["a.txt", "changes_2024.txt"],
        [f"left out: changes.txt (9 bytes): {LIKE_A_NOTICE}"],
    ),
    "other programs' files, and an empty one": (
        {"a.csv": 9, "b.parquet": 9, "c.xlsx": 9, "d": 9, "e.csv": 0}, ["a.csv"],
        [f"left out: b.parquet (9 bytes), c.xlsx (9 bytes), d (9 bytes): use {READ}",
         "left out: e.csv (0 bytes): empty"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CHOSEN)
def test_files_are_chosen_by_their_names_and_the_others_are_warned_of(
    caplog: pytest.LogCaptureFixture, case: str
) -> None:
    there, taken, warnings = CHOSEN[case]
    options = Options.parse(["--model", "m", "--input", "in", "--output", "out"])
    assert inputs.chosen(list(there.items()), options) == taken
    assert [literal_eval(message.partition("note=")[2]) for message in caplog.messages] == warnings


def test_another_programs_folder_is_named() -> None:
    options = Options.parse(["--model", "m", "--input", "in", "--output", "out"])
    there = [("data-00000-of-00001.arrow", 9), ("dataset_info.json", 9), ("state.json", 9)]
    with pytest.raises(
        UserError, match=r"^in: a data set saved by Hugging Face's save_to_disk, in Arrow; write its texts"
    ):
        inputs.chosen(there, options)


def test_a_table_whose_name_hides_it_is_named_where_there_is_no_other() -> None:
    options = Options.parse(["--model", "m", "--input", "in", "--output", "out"])
    with pytest.raises(UserError, match=r"contains no file of rows; .*; _a.csv, .b.csv: names that begin with a dot"):
        inputs.chosen([("_a.csv", 9), (".b.csv", 9), ("_SUCCESS", 9)], options)


def test_links_that_are_not_followed_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder, elsewhere = tmp_path / "in", tmp_path / "elsewhere"
    for path in (folder, elsewhere):
        path.mkdir()
        (path / "a.csv").write_text(CLAIMS, encoding="utf-8")
    (folder / "2024").symlink_to(elsewhere)
    (folder / "b.csv").symlink_to(tmp_path / "missing")
    (folder / "c.csv").symlink_to(elsewhere / "a.csv")
    assert [name for name, _ in folders.to_read(folder).files()] == ["a.csv", "c.csv"]
    assert [message.partition("note=")[2] for message in caplog.messages] == [
        repr(f"left out: 2024: {TO_A_FOLDER}"), repr(f"left out: b.csv: {NOWHERE}")
    ]  # fmt: skip


def test_a_subfolder_that_can_not_be_listed_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "closed").mkdir()
    listed = os.scandir

    def scandir(path: Any) -> Any:
        if str(path).endswith("closed"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(UserError, match=r"closed: can't be listed \(Permission denied\); make it readable"):
        folders.to_read(tmp_path).files()


def test_the_hash_of_a_model_is_of_what_its_links_lead_to(tmp_path: Path) -> None:
    found = []
    for version in ("v1", "v2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "manifest.json").write_text(version)
        link = tmp_path / "models" / "current"
        link.parent.mkdir(exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(tmp_path / version)
        (tmp_path / version / "again").symlink_to(tmp_path / "models")  # around in a circle
        found.append(digest(tmp_path / "models"))
    assert found[0] != found[1]


def test_a_file_that_is_given_is_read_whatever_its_name_hides(tmp_path: Path, output: Path, tiny_model: Path) -> None:
    for name in ("_claims.csv", ".hidden.csv", "more.manifest"):
        path = tmp_path / name
        path.write_text('{"source": "the film was good"}\n' if name == "more.manifest" else CLAIMS, encoding="utf-8")
        assert run(tiny_model, path, output) == 0
    assert visible(output) == ["_claims_output.csv", "more_output.manifest"]


def test_a_full_disk_is_said_and_leaves_no_result(
    claims: Path, output: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (output / ".batch").mkdir(parents=True)
    (output / ".batch" / "claims_output.csv.part").symlink_to("/dev/full")
    assert run(tiny_model, claims, output) == 1
    assert "No space left on device" in capsys.readouterr().out
    assert visible(output) == []


@pytest.mark.parametrize(
    ("places", "words"),
    [
        (("in", "in/out"), "is inside the input"),
        (("in", "in"), "is inside the input"),
        (("nothing", "out"), "no such file or folder"),
        (("empty", "out"), "contains no file of rows"),
        (("in/claims.csv", "in/claims.csv"), "can't be written to"),
    ],
)
def test_places_that_can_not_be_are_refused_before_anything_is_done(
    tmp_path: Path,
    claims: Path,
    tiny_model: Path,
    capsys: pytest.CaptureFixture[str],
    places: tuple[str, str],
    words: str,
) -> None:
    (tmp_path / "empty").mkdir()
    assert run(tiny_model, tmp_path / places[0], tmp_path / places[1]) == 1
    log = capsys.readouterr().out
    assert words in log
    assert "event=model" not in log
    assert claims.read_text(encoding="utf-8") == CLAIMS


def test_the_model_may_be_an_archive_or_a_folder_with_one(
    tmp_path: Path, claims: Path, output: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = shutil.make_archive(str(tmp_path / "models" / "model"), "gztar", tiny_model)
    assert run(archive, claims, output) == 0
    assert run(tmp_path / "models", claims, output) == 0
    assert run(tiny_model, claims, output) == 0
    assert capsys.readouterr().out.count("event=skipped") == 2  # it is the same model


def test_what_is_no_model_is_said(
    tmp_path: Path, claims: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model.tar.gz").write_bytes(b"none")
    for model, words in (
        (tmp_path / "model.tar.gz", "can't be unpacked"),
        (claims.parent, "no model"),
        ("x", "no such"),
    ):
        assert run(model, claims, output) == 1
        assert words in capsys.readouterr().out
    assert visible(output) == []


# --- again


def test_a_finished_file_is_skipped_without_the_model_and_its_rejects_are_remembered(
    claims: Path, output: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    claims.write_text(CLAIMS + "7\n")
    assert run(tiny_model, claims, output) == 3
    written = (output / "claims_output.csv").stat().st_mtime_ns
    capsys.readouterr()
    assert run(tiny_model, claims, output) == 3
    log = capsys.readouterr().out
    assert "event=skipped file='claims.csv' rows=6 rejected=1" in log
    assert "event=model" not in log
    assert (output / "claims_output.csv").stat().st_mtime_ns == written


def test_a_finished_file_with_rejects_is_none_where_there_may_be_none(
    claims: Path, output: Path, tiny_model: Path
) -> None:
    claims.write_text(CLAIMS + "7\n")
    assert run(tiny_model, claims, output) == 3
    assert run(tiny_model, claims, output, "--fail-on-rejects") == 1


@pytest.mark.parametrize("change", ["input", "model", "option", "result", "gone", "record"])
def test_a_result_of_another_input_model_or_option_is_not_finished(
    tmp_path: Path, claims: Path, output: Path, tiny_model: Path, change: str
) -> None:
    model = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    assert run(model, claims, output) == 0
    result = output / "claims_output.csv"
    if change == "input":
        claims.write_text(CLAIMS.replace("film", "door"), encoding="utf-8")
    elif change == "model":
        (model / "note.txt").write_text("another")
    elif change == "result":
        result.write_text("id\n")
    elif change == "gone":
        result.unlink()
    elif change == "record":
        (output / ".batch" / "claims_output.csv.json").write_text("{")
    before = result.stat().st_mtime_ns if result.exists() else 0
    assert run(model, claims, output, *(["--probabilities"] if change == "option" else [])) == 0
    assert result.stat().st_mtime_ns != before
    assert [row[:6] for row in rows(result)] == rows(claims)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_job_that_was_ended_anywhere_leaves_no_result_and_does_all_the_next_time(
    tmp_path: Path, output: Path, tiny_model: Path, number: signal.Signals
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text(CLAIMS)
    (tmp_path / "in" / "b.csv").write_text(many_rows(30_000))
    arguments = ("--model", str(tiny_model), "--input", str(tmp_path / "in"), "--output", str(output))
    process = start(*arguments)
    part = output / ".batch" / "b_output.csv.part"
    wait_until(lambda: (part.exists() and part.stat().st_size > 0) or process.poll() is not None)
    process.send_signal(number)
    log, _ = process.communicate(timeout=60)
    assert process.returncode == (143 if number == signal.SIGTERM else -number), log
    assert visible(output) == ["a_output.csv"]
    assert run(tiny_model, tmp_path / "in", output) == 0
    assert visible(output) == ["a_output.csv", "b_output.csv"]
    assert hidden(output) == ["a_output.csv.json", "b_output.csv.json"]
    assert [row[0] for row in rows(output / "b_output.csv")[1:]] == [str(index) for index in range(30_000)]


# --- parts


@pytest.mark.parametrize(("name", "packed"), [("rows.csv", False), ("rows.csv.gz", True)])
def test_parts_put_together_are_the_whole(
    tmp_path: Path,
    output: Path,
    tiny_model: Path,
    name: str,
    packed: bool,
) -> None:
    content = many_rows(300).replace("7,the car", "7,the,car").encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if packed else content)
    assert run(tiny_model, tmp_path / name, output / "whole") == 3
    codes = [run(tiny_model, tmp_path / name, output / "parts", "--shard", f"{number}/4") for number in range(4)]
    assert set(codes) <= {0, 3}
    parts = sorted(path for path in (output / "parts").iterdir() if "_output." in path.name)
    assert [path.name for path in parts] == [f"rows_output.0000{n}-of-00004.csv{'.gz' * packed}" for n in range(4)]
    (tmp_path / f"joined{parts[0].suffix}").write_bytes(b"".join(path.read_bytes() for path in parts))
    joined, whole = rows(tmp_path / f"joined{parts[0].suffix}"), rows(output / "whole" / f"rows_output{name[4:]}")
    assert [row[:-1] for row in joined] == [row[:-1] for row in whole]
    assert [float(row[-1]) for row in joined[1:]] == pytest.approx([float(row[-1]) for row in whole[1:]], abs=1e-5)
    listed = [row for path in (output / "parts").glob("rows_rejects.*") for row in rows(path)[1:]]
    assert sorted(listed) == sorted(rows(output / "whole" / f"rows_rejects{name[4:]}")[1:])


def test_a_part_whose_rows_must_be_good_looks_at_its_own_only(tmp_path: Path, output: Path, tiny_model: Path) -> None:
    (tmp_path / "rows.csv").write_text(many_rows(100) + "100\n")
    assert run(tiny_model, tmp_path / "rows.csv", output, "--shard", "0/2", "--fail-on-rejects") == 0
    assert run(tiny_model, tmp_path / "rows.csv", output, "--shard", "1/2", "--fail-on-rejects") == 1


# --- how it runs


def test_progress_is_told_with_rows_a_second_and_the_time_left(
    tmp_path: Path, output: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    (tmp_path / "rows.csv").write_text(many_rows(5000))
    assert run(tiny_model, tmp_path / "rows.csv", output) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "event=progress" in line]
    assert len(lines) == 10
    assert "file='rows.csv' rows=512 rejected=0 rows_per_second=" in lines[0]
    done = [float(line.partition("done=")[2].partition("%")[0]) for line in lines]
    assert done == sorted(done)
    assert done[-1] == 100.0
    assert lines[-1].endswith("seconds_left=0")


def test_as_a_program_it_needs_no_tensorflow_and_no_option_in_a_processing_job(
    tmp_path: Path, claims: Path, tiny_model: Path
) -> None:
    processing = tmp_path / "ml" / "processing"
    (processing / "model").mkdir(parents=True)
    shutil.make_archive(str(processing / "model" / "model"), "gztar", tiny_model)
    shutil.copytree(claims.parent, processing / "input")
    process = start(environ={"CLASSIFIER_BASE_DIR": str(tmp_path / "ml")})
    log, _ = process.communicate(timeout=60)
    assert process.returncode == 0, log
    assert visible(processing / "output") == ["claims_output.csv"]
    assert "engine=openvino" in log
    assert "tensorflow" not in log.lower()


def test_a_wrong_option_and_a_fault_of_ours_are_exit_code_1_and_quote_no_text(
    claims: Path,
    output: Path,
    tiny_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(tiny_model, claims, output, "--formal") == 1
    assert "unrecognized arguments: --formal; `batch --help` lists the options" in capsys.readouterr().out

    def fails(_: Predictor, texts: Sequence[str]) -> None:
        raise RuntimeError(texts[0])

    monkeypatch.setattr(Predictor, "predict", fails)
    monkeypatch.setattr(predictor, "load", lambda *_: Predictor(None, (0, 1)))  # type: ignore[arg-type]  # it has no engine
    assert run(tiny_model, claims, output) == 1
    log = capsys.readouterr().out
    assert "event=failed error=RuntimeError" in log
    assert "the film" not in log
    assert visible(output) == []


class Constant:
    """A model that computes nothing."""

    labels = ("a", "b")
    thresholds = np.zeros(2)
    backend_name = backend_reason = ""

    def predict(self, texts: Sequence[str]) -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
        return np.full((len(texts), 2), 0.5, np.float32)


@pytest.mark.parametrize("kind", ["rows", "an open quote", "no line end"])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, kind: str) -> None:
    """A file several times as large as what may be held: rows, a quote that is never closed, a line without an end."""
    path = tmp_path / "rows.csv"
    with path.open("w") as file:
        file.write('1,"an open quote' if kind == "an open quote" else "0,good\n")
        for number in range(30_000):
            file.write(f"{number},{'x' * 1990}" + ("" if kind == "no line end" else "\n"))
    assert path.stat().st_size > 12 * LONGEST_ROW
    told = Options.parse(["--model", "m", "--input", str(path), "--output", str(tmp_path / "out")], {})
    results = folders.to_write(tmp_path / "out")
    with ThreadPoolExecutor(2) as pool:
        job = Job(told, folders.to_read(path), results, results, tmp_path, "", pool, tmp_path / "scratch")
        vars(job)["predictor"] = Constant()
        tracemalloc.start()
        tally = task.predict(job, "rows.csv")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert (tally.rows, tally.rejected) == {"rows": (30_001, 0), "an open quote": (29_999, 1), "no line end": (1, 1)}[
        kind
    ]
    assert peak < 30 * MEGABYTE, peak


def test_labelled_rows_without_a_header_come_back_with_their_labels(
    tmp_path: Path, output: Path, tiny_model: Path
) -> None:
    (tmp_path / "data.csv").write_text(labelled([(0, "the film was good"), (1, "it was a bad one")]))
    assert run(tiny_model, tmp_path / "data.csv", output) == 0
    assert [row[:2] for row in rows(output / "data_output.csv")] == [
        ["0", "the film was good"],
        ["1", "it was a bad one"],
    ]
