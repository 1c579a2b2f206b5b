"""The report on a job: its numbers, its bounds, and what it keeps to itself."""

import csv
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.sparse import random as random_matrix

from classifier import artifact, report
from classifier.encoders.texts import TokenPreprocessor
from classifier.environment import Environment
from classifier.hyperparameters import Hyperparameters
from classifier.pixels import ImageSource
from classifier.report import __main__ as program
from classifier.report import confusion, summary
from classifier.report.elements import quoted
from classifier.report.results import Results
from classifier.training import data_summary, evaluate, examples, output
from classifier.training.context import JobContext
from classifier.training.data import Split
from classifier.training.interruption import Interruption
from classifier.training.loop.batches import Inputs
from classifier.training.outcome import Outcome
from jobs import ROWS, Job, rows

HOSTILE = (
    "<script>document.title='taken'</script>", '"><img src=x onerror=alert(1)>', "{{ 7*7 }}", "a\x00b\nc", "x" * 3000,
    "\u202edesrever", "日本語", "שלום", "]]>", "&amp;", "\ud800",
)  # fmt: skip
MEGABYTE = 1_000_000
BINS = [{"from": 0.8, "to": 0.9, "confidence": 0.85, "accuracy": 0.75, "rows": 40}]


def of_split(labels: Sequence[Any], right: int = 8, wrong: int = 1) -> dict[str, Any]:
    """A report as training writes it: every label is confused with one other."""
    count = len(labels)
    matrix = right * np.eye(count, dtype=np.int64) + wrong * np.roll(
        np.eye(count, dtype=np.int64), 2 if count > 2 else 1, axis=1
    )
    share = right / (right + wrong)
    numbers = {"precision": share, "recall": share, "f1": share, "rows": right + wrong}
    return {
        "accuracy": share,
        "macro_f1": share,
        "by_label": [{"label": label, **numbers} for label in labels],
        "confusion_matrix_rows_are_true": matrix.tolist(),
    }


def written(folder: Path, evaluation: Mapping[str, Any], **tables: Sequence[Mapping[str, Any]]) -> str:
    """Write a job's files and their report; return the page."""
    (folder / report.EVALUATION).write_text(json.dumps(evaluation), encoding="utf-8")
    for name, content in tables.items():
        pd.DataFrame(content).to_csv(folder / f"{name}.csv", index=False)
    return report.write(folder, None).read_text(encoding="utf-8")


def words_of(page: str) -> str:
    """The text of a page, with ordinary spaces."""
    return re.sub(r"\s+", " ", re.sub("<[^>]*>|[\u2066-\u2069]", " ", page.partition("</style>")[2]))


def headings(page: str) -> list[str]:
    return re.findall(r'<section id="([\w-]+)"', page)


@pytest.fixture(scope="module")
def tiny_job(tiny_model: Path) -> Job:
    return Job(tiny_model.parent)


@pytest.fixture(scope="module")
def evaluation(tiny_job: Job) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((tiny_job.base / "output" / "data" / "evaluation.json").read_text())
    return content


def test_a_job_writes_a_page_with_the_numbers_of_its_files(tiny_job: Job, evaluation: dict[str, Any]) -> None:
    page = (tiny_job.base / "output" / "data" / "report.html").read_text(encoding="utf-8")
    assert headings(page)[:3] == ["summary", "learning", "labels"]
    assert {"confusions", "lengths", "label-mix", "cost", "settings"} <= set(headings(page))
    text = words_of(page)
    assert f"trained for 1 epoch on {sum(each['training'] for each in evaluation['data']['labels'])} texts" in text
    assert f"It is right for {100 * evaluation['validation']['accuracy']:.1f} % of 4 held-out validation rows" in text
    assert "Only 4 validation rows were scored" in text
    assert f"{evaluation['best']['val_loss']:.4f}" in text
    assert f"half of the training texts have {evaluation['data']['lengths']['training']['median']:g} or fewer" in page


def test_what_the_job_took_is_measured_and_the_model_says_the_same(tiny_job: Job, evaluation: dict[str, Any]) -> None:
    cost = evaluation["cost"]
    assert set(cost["seconds"]) == {"preparation", "training", "export"}
    assert cost["answers_per_second"] == tiny_job.manifest["answers_per_second"]
    assert {"tensorflow", "openvino-float32"} <= set(cost["answers_per_second"])
    assert all(rate > 0 for rate in cost["answers_per_second"].values())
    assert (cost["hosts"], cost["instance_type"]) == (1, None)


def test_no_text_of_a_row_is_in_any_output_file_by_default(tiny_job: Job) -> None:
    paths = [path for path in (tiny_job.base / "output").rglob("*") if path.is_file()]
    assert len(paths) > 4
    for path in paths:
        content = path.read_bytes().decode("utf-8", "replace")  # TensorBoard's files are binary
        assert [text for _, text in ROWS if text in content] == [], path.name


def test_the_report_is_made_again_from_a_job_a_model_or_the_results(
    tiny_job: Job, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (tiny_job.base / "output" / "data" / "report.html").read_text(encoding="utf-8")
    for number, folder in enumerate((tiny_job.base, tiny_job.model, tiny_job.base / "output" / "data")):
        output = tmp_path / str(number)
        assert program.main([str(folder), "--output", str(output)]) == 0
        assert (output / "report.html").read_text(encoding="utf-8") == before
        assert capsys.readouterr().out == f"{output / 'report.html'}\n"


def test_a_model_alone_has_a_report_of_what_its_manifest_says(tiny_job: Job, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps(tiny_job.manifest), encoding="utf-8")
    assert program.main([str(tmp_path), "--output", str(tmp_path / "report")]) == 0
    text = words_of((tmp_path / "report" / "report.html").read_text(encoding="utf-8"))
    assert f"It was right for {100 * tiny_job.manifest['metrics']['val_accuracy']:.1f} % of the validation rows" in text


@pytest.mark.parametrize(
    ("content", "words"), [(None, "holds neither"), ("{", "not JSON"), ("[]", "not a JSON object")]
)
def test_a_folder_without_a_jobs_files_is_told_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, words: str
) -> None:
    if content is not None:
        (tmp_path / report.EVALUATION).write_text(content)
    with pytest.raises(SystemExit) as ended:
        program.main([str(tmp_path)])
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_what_a_job_does_not_have_is_left_out_or_said(tmp_path: Path) -> None:
    page = written(tmp_path, {"epochs": [{"loss": 0.5, "accuracy": 0.7}], "best": {"loss": 0.5, "accuracy": 0.7}})
    assert headings(page) == ["summary", "learning", "labels", "confusions"]
    text = words_of(page)
    assert "There are no validation rows and no test rows, so that nothing is known" in text
    assert text.count("there is nothing to show: set validation_split_ratio") == 2


def test_every_section_has_its_numbers(tmp_path: Path) -> None:
    page = written(
        tmp_path,
        {
            "epochs": [{"loss": 1 / n, "accuracy": n / 10, "val_loss": 0.4, "val_accuracy": 0.61} for n in (1, 2)],
            "best": {"val_accuracy": 0.61},
            "validation": of_split(["yes", "no", "perhaps"]),
            "baseline": {"accuracy": 0.5, "macro_f1": 0.4, "surpassed": False, "note": "the model is not better"},
            "calibration": {
                "method": "temperature", "temperature": 1.234, "rows": 40,
                "validation": {"before": {"ece": 0.1, "bins": BINS}, "after": {"ece": 0.0234, "bins": BINS}},
            },
            "abstention": {
                "target_precision": 0.95, "threshold": 0.777, "coverage": 0.8, "precision": 0.97, "rows": 27,
                "coverage_interval": [0.7, 0.9], "precision_interval": [0.94, 0.99], "thresholds": {"yes": 0.654},
                "curve": [{"threshold": 0.0, "coverage": 1.0, "precision": 0.9},
                          {"threshold": 0.777, "coverage": 0.8, "precision": 0.97}],
            },
            "suspect_labels": {"rows": 1, "checked": 27, "file": "suspect_labels.csv"},
            "cost": {"seconds": {"training": 12.3}, "instance_type": "ml.m5.xlarge", "hosts": 2, "processors": 4,
                     "answers_per_second": {"tensorflow": 1234.5}},
        },
        suspect_labels=[{"place": "training/data.csv:7", "label": "yes", "suggested_label": "no", "score": 0.91}],
        misclassified=[{"place": "training/data.csv:3", "label": "no", "predicted_label": "yes", "probability": 0.99}],
        leaderboard=[{"model": "linear", "hyperparameters": "", "val_loss": 0.2, "val_accuracy": 0.6543,
                      "val_macro_f1": None, "seconds": 3.0, "chosen": True, "note": ""}],
    )  # fmt: skip
    assert headings(page) == [
        "summary", "candidates", "learning", "labels", "confusions", "mistakes", "suspects", "calibration", "coverage",
        "cost",
    ]  # fmt: skip
    text = words_of(page)
    for words in (
        "The model is not better.", "0.6543", "Epoch 2 of 2 was kept.", "88.9 %", "All confusions label",
        "training/data.csv:3 no yes 99.0 %", "1 row of 27 may have a wrong label", "training/data.csv:7 yes no 0.910",
        "a temperature of 1.234, fitted on 40 validation rows", "2.34 %", "10.00 %", "80 % to 90 % 85.0 % 75.0 % 40",
        "the threshold 0.777 was chosen. 80.0 % of 27 validation rows are answered (95 % interval: 70.0 % to 90.0 %)",
        "yes 0.654", "12 seconds; 2 hosts, instance type ml.m5.xlarge, 4 processors.", "tensorflow 1,234",
    ):  # fmt: skip
        assert words in text, words


@pytest.mark.parametrize(("rows", "compared"), [(18, True), (10, False)])
def test_a_baseline_is_compared_on_the_same_rows_only(tmp_path: Path, rows: int, compared: bool) -> None:
    baseline = {"accuracy": 0.5, "macro_f1": 0.4, "rows": rows, "surpassed": True}
    text = words_of(written(tmp_path, {"validation": of_split(["a", "b"]), "baseline": baseline}))
    assert ("get 50.0 % of the validation rows right: the model makes 78 % fewer mistakes." in text) == compared
    assert ("get 50.0 % of the validation rows right." in text) != compared


def test_a_last_step_on_validation_rows_is_told_where_there_are_some(tmp_path: Path) -> None:
    chosen = {"refit": True, "vectors_inverse_penalty": 1.0}
    assert "the validation rows too" not in words_of(written(tmp_path, {"top_layer": chosen, "best": {"loss": 0.5}}))
    page = written(tmp_path, {"top_layer": chosen, "validation": of_split(["a", "b"])})
    assert "At the end, it learnt from the validation rows too" in words_of(page)


def test_an_encoder_between_the_pre_trained_and_the_fine_tuned_one_is_told(tmp_path: Path) -> None:
    epochs = [{"val_accuracy": 0.6, "val_loss": 0.5}, {"val_accuracy": 0.7, "val_loss": 0.4}]
    chosen = {"fine_tuned_share": 0.3, "vectors_inverse_penalty": 1.0, "refit": True, "ngram_features": True}
    text = words_of(
        written(tmp_path, {"epochs": epochs, "top_layer": chosen, "best": {}, "validation": of_split(["a", "b"])})
    )
    assert "Epoch 2 of 2 was kept. Better than that was an encoder between the pre-trained and the fine-tuned" in text
    assert "its top layer learnt from the validation rows too" in text


def test_the_part_of_one_host_is_not_told_as_the_whole_data(tmp_path: Path) -> None:
    labels = [
        {"label": "a", "training": 90, "validation": 10, "test": 1},
        {"label": "b", "training": 10, "validation": 90, "test": 9},
    ]
    data = {"modality": "text", "held_out": False, "labels": labels}
    assert "is the label of" in words_of(written(tmp_path, {"validation": of_split(["a", "b"]), "data": data}))
    data["sharded"] = ["training"]
    text = words_of(written(tmp_path, {"validation": of_split(["a", "b"]), "data": data}))
    assert "was trained on 100 texts (those of the first host) with 2 labels" in text
    assert "is the label of" not in text


def test_a_linear_model_is_not_advised_to_read_windows() -> None:
    lengths = {"limit": 64, "long_texts": "truncate", "training": {"rows": 10, "at_limit": 5}}
    results = Results({"data": {"labels": [], "lengths": lengths}}, {"encoder": {"family": "linear"}})
    (advice,) = summary._of_data(results)
    assert advice.endswith("are not read whole: try a larger max_sequence_length.")


def test_a_curve_without_a_target_has_no_threshold(tmp_path: Path) -> None:
    curve = [{"threshold": step / 10, "coverage": 1 - step / 10, "precision": 0.9 + step / 100} for step in range(10)]
    page = written(tmp_path, {"abstention": {"curve": curve}})
    assert "coverage" in headings(page)
    assert "was chosen" not in words_of(page)


def test_a_target_that_is_not_reached_is_said(tmp_path: Path) -> None:
    curve = [{"threshold": 0.0, "coverage": 1.0, "precision": 0.9}]
    found = {"target_precision": 0.99, "threshold": 1.0, "thresholds": {}, "rows": 9, "coverage": 0.0}
    nothing = {"coverage_interval": [0.0, 0.3], "precision": None, "precision_interval": None}
    page = written(tmp_path, {"abstention": {**found, **nothing, "curve": curve, "test": {**found, **nothing}}})
    assert "reaches the precision of 99.0 % that was asked for: no label is answered" in words_of(page)


def test_a_model_that_was_not_calibrated_has_one_line(tmp_path: Path) -> None:
    bins = {"ece": 0.05, "bins": BINS}
    known = {"method": "none", "temperature": 1.0, "rows": 40, "validation": {"before": bins, "after": bins}}
    text = words_of(written(tmp_path, {"calibration": known}))
    assert "the log says why they were not calibrated" in text
    assert "validation, not calibrated 5.00 %" in text
    assert "after" not in text


def test_labels_that_are_never_answered_are_counted(tmp_path: Path) -> None:
    found = {"target_precision": 0.9, "threshold": 0.5, "rows": 9, "coverage": 0.9, "precision": 0.95}
    thresholds = {"thresholds": {"a": 1.0, "b": 0.7}, "curve": [{"threshold": 0.0, "coverage": 1.0, "precision": 0.9}]}
    text = words_of(written(tmp_path, {"abstention": {**found, **thresholds}}))
    assert "1 label with a threshold of 1, which no probability exceeds: never answered." in text


@pytest.mark.parametrize(("metric", "kept"), [("macro_f1", 3), ("accuracy", 1)])
def test_the_epoch_that_was_kept_is_told_without_the_model(tmp_path: Path, metric: str, kept: int) -> None:
    epochs = [
        {"val_accuracy": accuracy, "val_macro_f1": f1, "val_loss": 0.5}
        for accuracy, f1 in ((0.92, 0.6), (0.91, 0.65), (0.9, 0.75))
    ]
    page = written(tmp_path, {"epochs": epochs, "eval_metric": metric, "best": epochs[kept - 1]})
    assert f"Epoch {kept} of 3 was kept" in words_of(page)


def test_a_search_without_suspects_says_that_there_are_none(tmp_path: Path) -> None:
    page = written(tmp_path, {"suspect_labels": {"rows": 0, "checked": 27, "file": "suspect_labels.csv"}})
    assert "None of 27 rows was suspected." in words_of(page)
    assert "Correct those" not in page


def test_a_model_that_answers_one_label_only_and_a_label_without_rows_are_told(tmp_path: Path) -> None:
    probabilities = np.tile(np.array([[0.6, 0.3, 0.1]], np.float32), (20, 1))
    known = evaluate.report(probabilities, np.arange(20, dtype=np.int32) % 2, ["a", "b", "c"])
    text = words_of(written(tmp_path, {"validation": known}))
    assert "“ b ” predicted as “ a ”, 10 times (100 % of that label" in text
    assert "1 label without a validation row, of which nothing is known" in text
    assert "c – – – 0" in text


def test_long_labels_that_differ_at_their_ends_are_told_apart(tmp_path: Path) -> None:
    labels = [f"appliances > kitchen > {'small > ' * 20}spare parts {number}" for number in (1, 2)]
    page = written(tmp_path, {"validation": of_split(labels)})
    for number in (1, 2):
        assert re.search(f'<td dir="auto">appliances .*….* spare parts {number}</td>', page)
        assert f"… parts {number}<title>" in page


def test_hostile_labels_are_shown_as_they_are_written(tmp_path: Path) -> None:
    data = {"modality": "text", "held_out": True}
    counts = [{"label": label, "training": 9, "validation": 2, "test": 0} for label in HOSTILE]
    page = written(tmp_path, {"validation": of_split(HOSTILE), "data": {**data, "labels": counts}})
    assert "<script" not in page
    assert "<img" not in page
    assert "{{ 7*7 }}" in page
    assert r"a\x00b\nc" in page
    assert "x" * 101 not in page
    for path in (tmp_path / "report").glob("*.svg"):
        assert ET.fromstring(path.read_text(encoding="utf-8")).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314  ours


def test_nothing_in_a_page_or_a_chart_is_an_address(tmp_path: Path) -> None:
    page = written(tmp_path, {"validation": of_split(["a", "b", "c"]), "test": of_split(["a", "b", "c"])})
    charts = [path.read_text(encoding="utf-8") for path in (tmp_path / "report").glob("*.svg")]
    assert charts
    for content in (page, *charts):
        assert set(re.findall(r"https?:[^\"'\s)]+", content)) <= {"http://www.w3.org/2000/svg"}
        assert not re.search(r"url\(|@import|<link(?! rel=\"icon\" href=\"data:,\">)|<script|<iframe|<object", content)
    assert re.findall(r'(?:src|href)="([^"#]+)', page) == ["data:,"]
    assert "default-src 'none'" in page


@pytest.mark.parametrize(("labels", "drawn"), [(2, 2), (12, 12), (60, 60), (150, 30), (1000, 30)])
def test_a_page_is_small_however_many_labels_there_are(tmp_path: Path, labels: int, drawn: int) -> None:
    names = [f"a label of some length {number}" for number in range(labels)]
    known = of_split(names, wrong=2)
    if labels > 500:
        matrix = np.array(known.pop("confusion_matrix_rows_are_true"))
        known["confusion_matrix_cells"] = [
            {"label": names[row], "predicted_label": names[column], "rows": int(matrix[row, column])}
            for row, column in zip(*np.nonzero(matrix), strict=True)
        ]
    counts = [{"label": name, "training": 20, "validation": 9, "test": 9} for name in names]
    data = {"modality": "text", "held_out": True, "labels": counts}
    page = written(tmp_path, {"validation": known, "test": known, "data": data})
    assert len(page.encode()) < MEGABYTE
    found = confusion.read(known)
    assert len(found.drawn()) == drawn
    assert page.count('class="cell right"') == drawn
    assert "The largest confusion: " in page
    for name in names:
        assert f'<td dir="auto">{name}</td>' in page


def test_labels_that_are_confused_stand_side_by_side() -> None:
    generator = np.random.default_rng(1)
    order = generator.permutation(30)
    rows_of = {(int(label), int(label)): 20 for label in order}
    pairs = list(zip(order[::2].tolist(), order[1::2].tolist(), strict=True))
    rows_of |= dict.fromkeys(pairs, 5)
    found = confusion.Confusions(list(range(30)), [25] * 30, rows_of)
    place = {label: index for index, label in enumerate(found.drawn())}
    assert sorted(place) == list(range(30))
    assert all(abs(place[one] - place[other]) == 1 for one, other in pairs)


def test_a_matrix_of_random_confusions_is_ordered_and_complete() -> None:
    matrix = random_matrix(50, 50, density=0.3, random_state=1).toarray()
    cells = {(int(i), int(j)): int(100 * matrix[i, j]) for i, j in zip(*np.nonzero(matrix), strict=True)}
    found = confusion.Confusions(list(range(50)), (100 * matrix).astype(int).sum(axis=1).tolist(), cells)
    drawn = found.drawn()
    assert sorted(drawn) == list(range(50))
    assert found.matrix(drawn).sum() == sum(cells.values())


def test_a_label_in_a_sentence_does_not_turn_it_around() -> None:
    assert quoted("\u202ex") == "“\u2068\u202ex\u2069”"


class _Tokens(TokenPreprocessor):
    """What a tokenizer says of itself."""

    def __init__(self, long_texts: str, limit: int, read: int) -> None:
        self.max_sequence_length, self._reads = read, {"max_sequence_length": limit, "long_texts": long_texts}

    unknown_id = None
    reads = property(lambda self: self._reads)

    def tokenize(self, texts: Any) -> Any:
        raise NotImplementedError

    def portable(self) -> None:
        return None


@pytest.mark.parametrize(
    ("long_texts", "read", "limit"), [("truncate", 8, 8), ("head_tail", 100, 8), ("windows", 30, 30)]
)
def test_lengths_count_the_texts_that_are_not_read_whole(long_texts: str, read: int, limit: int) -> None:
    lengths = [1, 3, 7, 8, 8, read]
    inputs = {"training": Inputs([np.ones(length, np.int32) for length in lengths]), "test": Inputs([])}
    found = data_summary.lengths(_Tokens(long_texts, 8, read), inputs)
    assert (found["limit"], found["long_texts"]) == (limit, long_texts)
    assert found["training"]["at_limit"] == sum(length >= limit for length in lengths)
    assert sum(found["training"]["counts"]) == found["training"]["rows"] == 6
    assert len({after - before for before, after in zip(found["edges"], found["edges"][1:], strict=False)}) == 1
    assert "test" not in found
    assert data_summary.lengths(object(), inputs) == {}


def finished(job: Job, **hyperparameters: str) -> JobContext:
    """The end of a job whose files are there already: its report."""
    context = JobContext(cast("Any", None), Interruption(), job.base, job.base)
    nothing = cast("Any", None)
    model = Outcome(nothing, [], {}, nothing, Hyperparameters.parse(hyperparameters))
    output._report(Environment.from_environ(job.environ), model, nothing, context)
    return context


@pytest.fixture
def copied(tmp_path: Path, evaluation: dict[str, Any]) -> Job:
    """A job that has its results, without a report."""
    folder = tmp_path / "output" / "data"
    folder.mkdir(parents=True)
    (folder / "evaluation.json").write_text(json.dumps(evaluation), encoding="utf-8")
    return Job(tmp_path)


def test_a_fault_of_the_report_is_a_warning_without_its_message(
    copied: Job, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    number = 4711

    def fail(*_: object) -> Path:
        raise KeyError(f"a text of a user, {number}")

    monkeypatch.setattr(report, "write", fail)
    finished(copied)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "event=report note='not written; the model is complete' error=KeyError" in record.getMessage()
    assert "in fail" in record.getMessage()
    assert str(number) not in record.getMessage()


def test_no_report_is_written_where_none_is_wanted(copied: Job) -> None:
    finished(copied, report="False")
    assert [path.name for path in (copied.base / "output" / "data").iterdir()] == ["evaluation.json"]
    finished(copied)
    assert (copied.base / "output" / "data" / "report.html").exists()


def test_a_disk_without_room_for_the_cost_keeps_the_evaluation(
    copied: Job, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(path: Path, *_: object) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(artifact, "write_json", full)
    before = (copied.base / "output" / "data" / "evaluation.json").read_bytes()
    output._add_cost(Environment.from_environ(copied.environ), {}, {"training": 1.0}, {})
    assert "WARNING" in caplog.text
    assert "not written to evaluation.json: No space left on device" in caplog.text
    assert [path.read_bytes() for path in (copied.base / "output" / "data").iterdir()] == [before]


def test_a_job_that_is_told_to_stop_writes_none(
    copied: Job, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Interruption, "requested", lambda _: True)
    with caplog.at_level("INFO"):
        finished(copied)
    assert "event=report note='not written: the job was told to stop'" in caplog.text
    assert not (copied.base / "output" / "data" / "report.html").exists()


def test_texts_are_shown_where_the_job_asks_for_them_and_gone_after_the_next(job: Job) -> None:
    # The same text has both labels, so that one of its rows is wrong whatever is learnt.
    both = [(index % 2, f"the film {word}") for word in ("one", "two") for index in range(4)]
    job.channel("validation", rows([(0, "<b>what & why</b>"), (1, "<b>what & why</b>"), *both]))
    settings = {"epochs": "1", "batch_size": "4"}
    job.configure(hyperparameters={**settings, "report_examples": "True"})
    job.train()
    folder = job.base / "output" / "data"
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.count("&lt;b&gt;what &amp; why&lt;/b&gt;") == 1
    with (folder / "misclassified.csv").open(encoding="utf-8") as file:
        places = [row["place"] for row in csv.DictReader(file)]
    shown = json.loads((folder / report.EXAMPLES).read_text(encoding="utf-8"))["validation"]
    assert [each["place"] for each in shown] == places
    job.configure(hyperparameters={**settings, "report": "False", "train_only_top_layer": "True"})
    job.train()
    left = [path for path in (job.base / "output").rglob("*") if path.is_file() and b"what &" in path.read_bytes()]
    assert left == []
    assert not (folder / "report.html").exists()


def test_examples_are_short_texts_and_thumbnails(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (900, 600, 3), np.uint8)).save(path)
    records = ("long " * 1000, ImageSource(path, "", 900, 600), ImageSource(tmp_path / "gone.png", ""), 7)
    split = Split(records, np.zeros(4, np.int32), ("1", "2", "3", "4"))
    table = pd.DataFrame(
        {"place": list("4321"), "label": 0, "predicted_label": 1, "probability": 0.9}, index=[3, 2, 1, 0]
    )
    number, gone, image, text = examples.worst(split, table)
    assert [each["place"] for each in (number, gone, image, text)] == list("4321")
    assert len(text["text"]) < 500
    assert image["image"].startswith("data:image/jpeg;base64,")
    assert len(image["image"]) < 40_000
    assert not {"text", "image"} & {*number, *gone}


def test_the_type_of_the_instance_is_that_of_the_jobs_configuration(tmp_path: Path) -> None:
    job = Job(tmp_path)
    job.configure(
        resourceconfig={"current_host": "algo-1", "hosts": ["algo-1"], "current_instance_type": "ml.g5.xlarge"}
    )
    assert Environment.from_environ(job.environ).instance_type == "ml.g5.xlarge"
