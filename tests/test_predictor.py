"""Answers come in order, whatever the batches, and a model that answers wrongly is not served."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from classifier import artifact, predictor
from classifier.backends import Computing, Encoded, processor
from classifier.backends.choice import BFLOAT16, FLOAT32, TENSORFLOW
from classifier.errors import UserError
from classifier.modalities.text import LONGEST, SMOKE_TEXTS
from classifier.predictor import Predictor
from jobs import Job

# The largest difference to TensorFlow's probabilities, of each backend that this processor can verify in training.
TOLERANCES = {TENSORFLOW: 0.0, FLOAT32: 1e-5} | ({BFLOAT16: 0.02} if processor.multiplies_bfloat16() else {})


class LengthBackend:
    """Answers how long a text is, and remembers what it was given."""

    def __init__(self, *, padded: bool = True) -> None:
        self.padded = padded
        self.pieces: list[int] = []
        self.batches: list[list[int]] = []

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        self.pieces.append(len(texts))
        return [Encoded(text, len(text), padded=self.padded) for text in texts]

    def run_batch(self, batch: Sequence[Encoded]) -> NDArray[np.float32]:
        self.batches.append([text.tokens for text in batch])
        return np.array([[len(text.content), 0.0] for text in batch], np.float32)


class BrokenBackend(LengthBackend):
    def run_batch(self, batch: Sequence[Encoded]) -> NDArray[np.float32]:
        return np.full((len(batch), 2), np.nan, np.float32)


def test_answers_come_in_the_order_of_the_texts_H18() -> None:
    backend = LengthBackend()
    texts = ["x" * ((index * 37) % 101) for index in range(100)]
    answers = Predictor(backend, ("a", "b")).predict(texts)
    assert answers[:, 0].tolist() == [len(text) for text in texts]
    assert [len(batch) for batch in backend.batches] == [32, 32, 32, 4]


def test_a_batch_holds_no_more_tokens_than_it_may_but_for_one_text_alone() -> None:
    backend = LengthBackend()
    Predictor(backend, ("a", "b")).predict(["x" * length for length in (1, 9000, 100, 2048, 1000, 2048, 1025, 1000)])
    assert backend.batches == [[1, 100, 1000, 1000], [1025, 2048], [2048], [9000]]


def test_texts_that_are_packed_share_a_batch_of_any_lengths_but_a_long_one() -> None:
    backend = LengthBackend(padded=False)
    Predictor(backend, ("a", "b")).predict(["x" * length for length in (300, 5, 600, 205, 2, 301)])
    assert backend.batches == [[2, 5, 205, 300], [301], [600]]
    backend.batches.clear()
    Predictor(backend, ("a", "b")).predict(["x" * 10] * 60)
    assert list(map(len, backend.batches)) == [51, 9]


def test_thousands_of_texts_are_prepared_some_hundreds_at_once() -> None:
    backend = LengthBackend()
    encoded = Predictor(backend, ("a", "b")).encode(["x" * index for index in range(1100)])
    assert backend.pieces == [512, 512, 76]
    assert [text.tokens for text in encoded] == list(range(1100))


def test_of_a_text_of_millions_of_characters_the_first_are_read_H26() -> None:
    backend = LengthBackend()
    (answer,) = Predictor(backend, ("a", "b")).predict(["x" * (3 * LONGEST)])
    assert answer[0] == LONGEST


def test_no_text_is_no_answer() -> None:
    predictor = Predictor(LengthBackend(), ("a", "b"))
    assert predictor.encode([]) == []
    assert predictor.predict([]).shape == (0, 2)


def test_an_answer_that_is_no_number_is_an_error() -> None:
    predictor = Predictor(BrokenBackend(), ("a", "b"))
    with pytest.raises(ArithmeticError):
        predictor.predict(["x"])
    with pytest.raises(ArithmeticError):
        predictor.run_batch(predictor.encode(["x"]))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path) -> Path:
    job = Job.create(tmp_path_factory.mktemp("predictor") / "ml", encoder=tiny_encoder)
    job.train()
    return job.model


@pytest.mark.parametrize("backend", TOLERANCES)
def test_a_trained_model_answers_alone_as_in_a_batch(trained: Path, backend: str) -> None:
    model = predictor.load(trained, Computing(backend))
    texts = ["good film", "", "the car door light is broken and the engine is cold", "\ud800 lone surrogate"]
    together = model.predict(texts)
    np.testing.assert_allclose(together.sum(axis=1), 1.0, atol=1e-6)
    for text, answer in zip(texts, together, strict=True):
        np.testing.assert_allclose(model.predict([text])[0], answer, atol=2e-3 if backend == BFLOAT16 else 1e-6)


def test_a_trained_model_tells_what_it_was_trained_on(trained: Path) -> None:
    assert predictor.load(trained).manifest == json.loads((trained / "manifest.json").read_text())


def test_a_model_that_answers_differently_than_after_training_is_refused_H08(trained: Path, tmp_path: Path) -> None:
    from shutil import copytree

    copytree(trained, tmp_path / "model")
    smoke_predictions = artifact.load(trained).smoke_predictions
    assert smoke_predictions is not None
    artifact.write_json(
        tmp_path / "model" / "golden.json",
        {"probes": [[0.1 * number for number in reversed(answer)] for answer in smoke_predictions]},
    )
    with pytest.raises(UserError, match="predictions for its smoke inputs differ from those after training"):
        predictor.load(tmp_path / "model")


def test_a_network_beside_the_files_of_another_model_is_refused_with_what_to_deploy_H08(
    trained: Path, tmp_path: Path
) -> None:
    from shutil import copytree

    model = copytree(trained, tmp_path / "model")
    manifest = json.loads((model / "manifest.json").read_text(encoding="utf-8"))
    artifact.write_json(model / "manifest.json", {**manifest, "labels": [0, 1, 2]})
    artifact.write_labels(model, [0, 1, 2])
    artifact.write_json(model / "golden.json", {"probes": [[0.2, 0.3, 0.5]] * len(SMOKE_TEXTS)})
    with pytest.raises(
        UserError, match=r"inputs, which are texts \(ArithmeticError\); its files are damaged .* deploy all that"
    ):
        predictor.load(tmp_path / "model")


@pytest.mark.parametrize("name", ["1/saved_model.pb", "1/variables/variables.index"])
def test_a_broken_savedmodel_is_refused_H08(trained: Path, tmp_path: Path, name: str) -> None:
    from shutil import copytree

    copytree(trained, tmp_path / "model")
    (tmp_path / "model" / name).write_bytes(b"junk")
    with pytest.raises(UserError, match="the SavedModel does not load"):
        predictor.load(tmp_path / "model", Computing("tensorflow"))


@pytest.mark.parametrize("content", [b"junk", b""])
@pytest.mark.parametrize("name", ["model.xml", "model.bin", "tokenizer.json"])
def test_a_broken_faster_form_is_refused_H08(trained: Path, tmp_path: Path, name: str, content: bytes) -> None:
    from shutil import copytree

    copytree(trained, tmp_path / "model")
    (tmp_path / "model" / "openvino" / name).write_bytes(content)
    with pytest.raises(UserError, match="copy it again"):
        predictor.load(tmp_path / "model")


def test_a_faster_form_that_is_not_whole_is_refused_H08(trained: Path, tmp_path: Path) -> None:
    from shutil import copytree

    copytree(trained, tmp_path / "model")
    (tmp_path / "model" / "openvino" / "model.bin").unlink()
    with pytest.raises(UserError, match=r"incomplete, without model\.bin"):
        predictor.load(tmp_path / "model")


def test_every_engine_gives_the_same_answers(trained: Path) -> None:
    texts = ["the film was good", "", "so bad", "a " * 500, *SMOKE_TEXTS]
    answers = {name: predictor.load(trained, Computing(name)).predict(texts) for name in TOLERANCES}
    for name, tolerance in TOLERANCES.items():
        np.testing.assert_allclose(answers[name], answers[TENSORFLOW], atol=tolerance, rtol=0, err_msg=name)


def test_the_engine_that_is_asked_for_runs_the_model_and_says_so(trained: Path) -> None:
    for name in TOLERANCES:
        model = predictor.load(trained, Computing(name))
        assert (model.backend_name, model.backend_reason) == (name, "asked for")
