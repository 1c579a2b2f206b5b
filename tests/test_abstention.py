"""Thresholds below which no label is answered: how they are chosen, and what answers have in the label's place."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
from numpy.typing import NDArray

import serving_helpers
from batch_helpers import objects, rows, run
from classifier import predictor, shares
from classifier.backends import Encoded
from classifier.errors import UserError
from classifier.training import abstention
from classifier.training.abstention import NOTHING, Predicted, Thresholds
from jobs import Job


def drawn(count: int, seed: int = 0) -> Predicted:
    """Return predictions that are right as often as their probabilities say, 0.875 of them on average."""
    generator = np.random.default_rng(seed)
    top = 0.75 + generator.random(count) / 4
    probabilities = np.stack([top, 1 - top], axis=1).astype(np.float32)
    return Predicted.of(probabilities, (generator.random(count) > top).astype(np.int32))


def predicted(*pairs: tuple[int, float, bool]) -> Predicted:
    """Return predictions given as the label, its probability, and whether it is right."""
    labels, top, right = (np.array(column) for column in zip(*pairs, strict=True))
    order = np.argsort(-top, kind="stable")
    return Predicted(labels, top.astype(np.float64), right).take(order)


def test_new_rows_have_the_precision_that_was_asked_for() -> None:
    kept = []
    for seed in range(40):
        thresholds = abstention.choose(drawn(3_000, seed), 0.93)
        answered = thresholds.answered(drawn(20_000, seed + 100))
        assert len(answered) > 1_000
        kept.append(answered.right.mean() >= 0.93)
    assert np.mean(kept) >= 0.85


def test_the_more_precision_is_asked_for_the_fewer_rows_are_answered() -> None:
    rows_known = drawn(5_000)
    counts = [len(abstention.choose(rows_known, target).answered(rows_known)) for target in (0.8, 0.9, 0.95, 0.97)]
    assert counts[0] == 5_000
    assert counts == sorted(counts, reverse=True)
    assert len(set(counts)) == 4


def test_a_model_that_is_right_often_enough_answers_everything() -> None:
    assert abstention.choose(drawn(5_000), 0.8) == Thresholds(0.8, 0.0)


def test_a_target_that_is_not_reached_answers_nothing_and_warns_of_it(caplog: pytest.LogCaptureFixture) -> None:
    few = drawn(30)
    thresholds = abstention.choose(few, 0.95)
    assert thresholds == Thresholds(0.95, NOTHING)
    assert not len(thresholds.answered(few))
    certain = predicted((0, 1.0, True))
    assert not len(thresholds.answered(certain))
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert 'event=abstention target_precision=0.95 note="not reached: on 30 validation rows' in caplog.text
    found = abstention.report(thresholds, few, ["a", "b"])
    assert (found["coverage"], found["precision"], found["precision_interval"]) == (0.0, None, None)


def test_rows_of_one_probability_are_answered_together_or_not_at_all() -> None:
    same = predicted(*[(0, 0.9, True)] * 100, *[(0, 0.8, number % 2 == 0) for number in range(100)])
    thresholds = abstention.choose(same, 0.95)
    assert thresholds.general == pytest.approx(0.85)
    assert len(thresholds.answered(same)) == 100


def test_a_label_that_is_wrong_too_often_has_a_higher_threshold_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    good = [(0, 0.9, True)] * 1_000
    poor = [(1, 0.95, True)] * 60 + [(1, 0.92, number % 2 == 0) for number in range(40)]
    bad = [(2, 0.93, number % 4 > 0) for number in range(60)]
    few = [(3, 0.93, number % 4 > 0) for number in range(40)]
    known = predicted(*good, *poor, *bad, *few)
    thresholds = abstention.choose(known, 0.9)
    assert thresholds.general == 0
    assert thresholds.of_labels == {1: pytest.approx(0.935), 2: NOTHING}
    assert np.bincount(thresholds.answered(known).labels).tolist() == [1_000, 60, 0, 40]
    with caplog.at_level("INFO"):
        found = abstention.report(thresholds, known, ["a", 7, "c", "d"])
    assert found["thresholds"] == {"7": thresholds.of_labels[1], "c": NOTHING}
    assert caplog.records[-1].levelname == "WARNING"
    assert "labels_with_own_threshold=2 labels_never_answered=1" in caplog.text


def test_intervals_are_those_of_clopper_and_pearson() -> None:
    for right, count in ((0, 5), (5, 5), (3, 7), (950, 1_000)):
        expected = scipy.stats.binomtest(right, count).proportion_ci(0.95, "exact")
        assert shares.interval(right, count) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_the_curve_has_the_share_that_each_threshold_answers_and_how_many_of_that_are_right() -> None:
    known = drawn(500)
    curve = abstention.curve(known)
    assert curve[0] == {"threshold": 0.0, "coverage": 1.0, "precision": known.right.mean()}
    for point in curve:
        answered = Thresholds(0.9, point["threshold"]).answered(known)
        assert point["coverage"] == len(answered) / 500
        assert point["precision"] == pytest.approx(answered.right.mean())
    assert len(curve) == 100
    assert len(json.dumps(curve)) < 10_000


def test_a_target_without_validation_rows_is_refused(job: Job) -> None:
    job.configure(hyperparameters={"target_precision": "0.9", "validation_split_ratio": "0"})
    with pytest.raises(
        UserError, match=r"target_precision=0.9: thresholds are chosen on validation rows, and there ar"
    ):
        job.train()


LABELS = ("no", "yes")
THRESHOLDS = {"abstention": {"threshold": 0.9, "thresholds": {"yes": 0.6}}}
# Of "yes", "no" and "no", the first and the second are answered.
TEXTS = ["0.75", "0.0625", "0.125"]


class ReadBackend:
    """Reads the probability of "yes" in the text."""

    def encode(self, texts: list[str]) -> list[Encoded]:
        return [Encoded(text, 1) for text in texts]

    def run_batch(self, batch: list[Encoded]) -> NDArray[np.float32]:
        yes = np.array([float(text.content) for text in batch], np.float32)
        return np.stack([1 - yes, yes], axis=1)


def ask(accept: str, manifest: dict[str, Any] = THRESHOLDS) -> str:
    client = serving_helpers.client_of(ReadBackend(), LABELS, manifest, {})
    headers = {"Content-Type": "application/json", "Accept": accept}
    answer = client.post("/invocations", data=json.dumps(TEXTS), headers=headers)
    assert answer.status_code == 200
    return answer.text


@pytest.mark.usefixtures("own_logging")
def test_a_label_that_is_not_answered_is_null_in_json_and_empty_in_csv() -> None:
    told = json.loads(ask("application/json;verbose"))
    assert [answer["predicted_label"] for answer in told] == ["yes", "no", None]
    assert told[2]["labels"] == ["no", "yes"]
    assert told[2]["probabilities"] == [0.875, 0.125]
    lines = [json.loads(line) for line in ask("application/jsonlines").split("\n")]
    assert [line["predicted_label"] for line in lines] == ["yes", "no", None]
    assert ask("text/csv") == "yes,0.75000000\nno,0.93750000\n,0.87500000"
    assert json.loads(ask("application/json")) == json.loads(ask("application/json", {}))


@pytest.mark.usefixtures("own_logging")
@pytest.mark.parametrize(
    ("threshold", "labels"),
    [("0", ["yes", "no", "no"]), ("0.75", [None, "no", "no"]), ("1", [None, None, None]), (".9", [None, "no", None])],
)
def test_a_request_may_set_the_threshold_of_all_labels(threshold: str, labels: list[str | None]) -> None:
    for manifest in (THRESHOLDS, {}):
        answers = json.loads(ask(f"application/json;verbose;threshold={threshold}", manifest))
        assert [answer["predicted_label"] for answer in answers] == labels


@pytest.mark.usefixtures("own_logging")
def test_a_model_without_thresholds_answers_everything() -> None:
    assert [answer["predicted_label"] for answer in json.loads(ask("application/json;verbose", {}))] == [
        "yes",
        "no",
        "no",
    ]


@pytest.fixture
def abstaining(tiny_model: Path, tmp_path: Path) -> Path:
    """A model whose thresholds only one of its labels exceeds."""
    folder = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["abstention"] = {"threshold": 1.0, "thresholds": {"0": 0.0}}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


@pytest.mark.usefixtures("own_logging")
def test_batch_leaves_the_label_empty_and_keeps_the_probability(abstaining: Path, tmp_path: Path) -> None:
    texts = ["the film was good", "a bad film", "she works", "old smoke"]
    best = predictor.load(abstaining).predict(texts)
    expected = [("0" if row.argmax() == 0 else "", f"{row.max():.2f}") for row in best]
    (tmp_path / "a.csv").write_text("text\n" + "\n".join(texts) + "\n", encoding="utf-8")
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    for name in ("a.csv", "a.jsonl"):
        assert run(abstaining, tmp_path / name, tmp_path / "out") == 0
    table = rows(tmp_path / "out" / "a_output.csv")[1:]
    assert [(label, f"{float(probability):.2f}") for _, label, probability in table] == expected
    found = objects(tmp_path / "out" / "a_output.jsonl")
    assert [each["predicted_label"] for each in found] == [0 if label else None for label, _ in expected]
    for threshold, answered in (("0", True), ("1", False)):
        assert run(abstaining, tmp_path / "a.csv", tmp_path / "out", "--threshold", threshold) == 0
        labels = [row[1] for row in rows(tmp_path / "out" / "a_output.csv")[1:]]
        assert [bool(label) for label in labels] == [answered] * len(texts)
