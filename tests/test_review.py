"""``batch --review``: the rows most worth labelling, ready to be labelled and appended to the training data."""

from pathlib import Path

import numpy as np
import pytest

from batch_helpers import rows, run, visible
from classifier.batch import review
from classifier.batch.review import Candidates
from jobs import check_data
from jobs import rows as labelled

TEXTS = [f"the {word} is {other}" for word in ("car", "door", "film", "light") for other in ("good", "bad", "old")]

pytestmark = pytest.mark.usefixtures("own_logging")


def probabilities(*first: float) -> "np.ndarray":
    """Return those of two labels."""
    return np.array([[each, 1 - each] for each in first], np.float32)


def test_the_row_of_which_the_model_is_least_certain_comes_first() -> None:
    assert review.chosen(["a b", "c d", "e f"], probabilities(0.9, 0.55, 0.1), 1) == [1]


def test_rows_that_are_unlike_those_chosen_come_before_others() -> None:
    texts = ["my card is lost", "my card is lost now", "how do i top up"]
    assert sorted(review.chosen(texts, probabilities(0.5, 0.5, 0.52), 2)) != [0, 1]


def test_no_row_is_chosen_twice_and_all_are_if_there_are_too_few() -> None:
    certain = probabilities(*[1.0] * len(TEXTS))
    assert sorted(review.chosen(TEXTS, certain, 100)) == list(range(len(TEXTS)))
    assert sorted(review.chosen(TEXTS, probabilities(*np.linspace(0, 1, len(TEXTS))), 100)) == list(range(len(TEXTS)))
    assert len(review.chosen(TEXTS, certain, 5)) == 5


def test_texts_without_a_word_can_be_chosen() -> None:
    assert sorted(review.chosen(["?", "", "a"], probabilities(0.5, 0.6, 0.7), 3)) == [0, 1, 2]


def test_of_many_rows_only_those_are_kept_of_which_the_model_is_least_certain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(review, "MOST_CANDIDATES", 3)
    kept = Candidates(labels=2)
    kept.add(["a", "b", "a", "c"], probabilities(0.6, 0.9, 0.6, 0.8))
    kept.add(["d", "a", "e"], probabilities(0.55, 0.6, 1.0))
    assert kept.texts == ["d", "a", "c"]
    np.testing.assert_allclose(kept.probabilities[:, 0], [0.55, 0.6, 0.8])


def test_long_texts_take_no_more_memory_than_is_given_to_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(review, "MOST_CHARACTERS", 10)
    kept = Candidates(labels=2)
    kept.add(["abcdef", "ghi", "jklm"], probabilities(0.5, 0.6, 0.7))
    assert kept.texts == ["abcdef", "ghi"]


def test_the_review_is_appended_to_the_training_data_once_it_is_labelled(tmp_path: Path, tiny_model: Path) -> None:
    source, output = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    (source / "a.csv").write_text("id,text\n" + "".join(f"{n},{text}\n" for n, text in enumerate(TEXTS)))
    (source / "b.jsonl").write_text('{"text": "it was \\"bad\\", she said"}\n{"text": "the car is good"}\n')
    assert run(tiny_model, source, output, "--review", "5") == 0
    assert visible(output) == ["review.csv"]
    found = rows(output / "review.csv")
    assert [label for label, _ in found] == [""] * 5
    texts = [text for _, text in found]
    assert len(set(texts)) == 5
    assert set(texts) <= {*TEXTS, 'it was "bad", she said'}
    assert run(tiny_model, source, output, "--review", "100") == 0
    assert len(rows(output / "review.csv")) == len(TEXTS) + 1

    data = tmp_path / "data.csv"
    content = (output / "review.csv").read_text(encoding="utf-8")
    data.write_text(labelled([(0, "good"), (1, "bad")]) + content)
    assert f"{data}:3: the label is empty; write one" in check_data("check", data).stdout
    data.write_text(labelled([(0, "good"), (1, "bad")]) + content.replace(',"', '1,"', 1).replace('\n,"', '\n0,"'))
    assert check_data("check", data).returncode == 0


def test_predictions_of_batch_can_be_reviewed(tmp_path: Path, tiny_model: Path) -> None:
    for name, content in (
        ("a.csv", "text,predicted_label,probability\nthe car is good,0,0.75\n"),
        ("b.jsonl", '{"text": "the film is old", "predicted_label": 0, "probability": 0.75}\n'),
    ):
        (tmp_path / name).write_text(content)
        assert run(tiny_model, tmp_path / name, tmp_path / "out", "--review", "5") == 0
        assert len(rows(tmp_path / "out" / "review.csv")) == 1


def test_rows_that_can_not_be_read_are_left_out_with_a_warning(
    tmp_path: Path, tiny_model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "claims.csv"
    source.write_text("id,text\n1,the car is good\n2\n3,the film is old\n")
    assert run(tiny_model, source, tmp_path / "out", "--review", "5") == 0
    assert len(rows(tmp_path / "out" / "review.csv")) == 2
    assert "1 of 3 rows can't be read; without --review, batch lists them" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--probabilities",), "--probabilities"),
        (("--fail-on-rejects",), "--fail-on-rejects"),
        (("--threshold", "0.5"), "--threshold"),
        (("--explain",), "--explain"),
        (("--shard", "0/2"), "a part of the rows"),
        (("--review", "0"), "must be a whole number from 1 to 10,000"),
    ],
)
def test_options_of_predictions_are_refused(
    tmp_path: Path, tiny_model: Path, capfd: pytest.CaptureFixture[str], options: tuple[str, ...], named: str
) -> None:
    source = tmp_path / "claims.csv"
    source.write_text("the car is good\nthe film is old\n")
    assert run(tiny_model, source, tmp_path / "out", "--review", "5", *options) == 1
    assert named in capfd.readouterr().out
    assert not (tmp_path / "out" / "review.csv").exists()


def test_a_file_that_is_no_table_ends_the_review_by_name(
    tmp_path: Path, tiny_model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text("the car is good\nthe film is old\n")
    (tmp_path / "in" / "b.csv").write_bytes(b"PAR1\0\0\0")
    assert run(tiny_model, tmp_path / "in", tmp_path / "out", "--review", "5") == 1
    assert "b.csv: " in capfd.readouterr().out
    assert visible(tmp_path / "out") == []
