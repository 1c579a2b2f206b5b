"""Jobs on texts that are longer than the encoder reads at once: every step from training to answers."""

import json
import signal
from collections.abc import Mapping
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
from safetensors.numpy import load_file

import batch_helpers
from classifier import predictor
from classifier.backends import Computing
from classifier.backends.choice import ENGINES, TENSORFLOW
from classifier.errors import UserError
from jobs import ROWS, Job, rows
from serving_helpers import serving

WINDOWS = {"max_sequence_length": "8", "long_texts": "windows"}
SETTINGS = {
    "epochs": "2", "batch_size": "4", "validation_split_ratio": "0.34", "learning_rate": "0.001", **WINDOWS,
}  # fmt: skip
# Every fourth text is read at once, and the others in up to twelve windows.
LONG = [(label, " ".join([text] * (1 + 4 * (index % 4)))) for index, (label, text) in enumerate(ROWS * 3)]
HUNDRED_THOUSAND = "the film was not good, " * 4348


def new_job(base: Path, encoder: Path | None, **settings: str) -> Job:
    """Make a job; a setting that is empty is left out."""
    job = Job.create(base, encoder=encoder)
    job.channel("training", rows(LONG))
    given = {name: value for name, value in {**SETTINGS, **settings}.items() if value}
    job.configure(hyperparameters=given)
    return job


def weights(job: Job) -> dict[str, np.ndarray]:
    return {**load_file(job.model / "head.safetensors"), **load_file(job.model / "encoder" / "model.safetensors")}


def assert_same_weights(job: Job, other: Job) -> None:
    mine, theirs = weights(job), weights(other)
    assert mine.keys() == theirs.keys()
    for name, value in mine.items():
        np.testing.assert_allclose(value, theirs[name], atol=1e-5, err_msg=name)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, shallow_encoder: Path) -> Job:
    job = new_job(tmp_path_factory.mktemp("trained") / "ml", shallow_encoder)
    job.train()
    return job


KINDS: Mapping[str, dict[str, str]] = {
    "windows, the whole network": {},
    "windows, the top layer": {"train_only_top_layer": "True"},
    "windows, the top layer solved, with n-grams": {
        "train_only_top_layer": "True", "epochs": "", "learning_rate": "", "ngram_features": "True",
    },
    "windows in a step that XLA compiles": {"jit_compile": "true", "batch_size": "32"},  # of one shape
    "windows in bfloat16": {"mixed_precision": "bfloat16"},
    "windows that the lengths ask for": {"long_texts": "auto"},
    "windows of words": {"model_id": "cnn"},
    "head and tail": {"long_texts": "head_tail"},
    "head and tail of words": {"long_texts": "head_tail", "model_id": "lstm"},
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_backend_answers_as_the_trained_model_does(kind: str, shallow_encoder: Path, tmp_path: Path) -> None:
    job = new_job(
        tmp_path / "ml", None if "model_id" in KINDS[kind] else shallow_encoder, **{"epochs": "1", **KINDS[kind]}
    )
    job.train()  # compares TensorFlow's and OpenVINO's answers with its own
    assert job.manifest["engines"]["openvino-float32"]["accepted"]
    assert job.manifest["encoder"]["max_sequence_length"] == 8
    assert job.manifest["encoder"]["long_texts"] == kind.replace("head and tail", "head_tail").split()[0].rstrip(",")
    references = json.loads((job.model / "golden.json").read_text())["rows"]
    texts = {f"training/data.csv:{line}": text for line, (_, text) in enumerate(LONG, 1)}
    asked = [texts[row["place"]] for row in references]
    assert max(map(len, asked)) > 200
    expected = np.array([row["probabilities"] for row in references])
    for backend in (each for each in ENGINES if each == TENSORFLOW or job.manifest["engines"][each]["accepted"]):
        answers = predictor.load(job.model, Computing(backend)).predict(asked)
        np.testing.assert_allclose(answers, expected, atol=2e-2 if "bfloat16" in backend else 1e-3, err_msg=backend)


def test_what_is_after_the_window_changes_the_answer(trained: Job) -> None:
    model = predictor.load(trained.model)
    one, other = model.predict(["the film was good " * 20 + word for word in ("bad " * 60, "we " * 60)])
    assert np.abs(one - other).max() > 1e-3


def test_a_server_and_batch_answer_as_training_did(trained: Job, tmp_path: Path) -> None:
    texts = [text for _, text in LONG]
    expected = predictor.load(trained.model, Computing(TENSORFLOW)).predict(texts)
    with serving(trained.model) as server:
        answer = server.ask(json.dumps({"instances": texts}), Content_Type="application/json",
                            Accept="application/json;verbose")  # fmt: skip
        assert answer.status_code == 200, answer.text
        served = [each["probabilities"] for each in answer.json()]
    np.testing.assert_allclose(served, expected, atol=1e-3)
    (tmp_path / "in.csv").write_text("text\n" + "".join(f'"{text.replace(chr(34), chr(34) * 2)}"\n' for text in texts))
    assert batch_helpers.run(trained.model, tmp_path / "in.csv", tmp_path / "out") == 0
    header, *written = batch_helpers.rows(next((tmp_path / "out").glob("in*.csv")))
    probabilities = [float(row[header.index("probability")]) for row in written]
    np.testing.assert_allclose(probabilities, expected.max(axis=1), atol=1e-3)


@pytest.mark.parametrize("backend", [each for each in ENGINES if "bfloat16" not in each])
def test_a_text_of_a_hundred_thousand_characters_is_answered(trained: Job, backend: str) -> None:
    model = predictor.load(trained.model, Computing(backend))
    (encoded,) = model.encode([HUNDRED_THOUSAND])
    assert encoded.tokens == trained.manifest["encoder"]["longest_text"] == 6 * 32 + 2
    assert model.answer([encoded]).shape == (1, 2)


def test_a_killed_job_goes_on_with_the_windows_that_it_would_have_chosen(
    trained: Job, shallow_encoder: Path, tmp_path: Path
) -> None:
    job = new_job(tmp_path / "ml", shallow_encoder)
    job.stop_at("-0001-00000000.safetensors", signal.SIGKILL)
    again = job.run()
    assert again.returncode == 0, again.stdout
    assert "resumed from it" in again.stdout
    assert_same_weights(job, trained)


def test_a_checkpoint_of_truncated_texts_is_not_gone_on_from(
    trained: Job, shallow_encoder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    job = new_job(tmp_path / "ml", shallow_encoder, long_texts="truncate")
    copytree(trained.base / "checkpoints", job.base / "checkpoints")
    with caplog.at_level("INFO"):
        job.train()
    assert "not used: " in caplog.text
    assert "resumed from it" not in caplog.text


# The settings of the first job, none where it is the one with windows; of the one that goes on; and what that one does.
FURTHER: Mapping[str, tuple[dict[str, str], dict[str, str], str]] = {
    "windows are kept": ({}, {}, "windows"),
    "windows are given up if the job asks for it": ({}, {"long_texts": "truncate"}, "truncate"),
    "truncation that was asked for is kept": ({**WINDOWS, "long_texts": "truncate"}, {}, "truncate"),
    "windows are chosen for texts that have become longer": ({"max_sequence_length": "64"}, {}, "windows"),
}


@pytest.mark.parametrize("kind", FURTHER)
def test_a_model_that_is_trained_further_reads_long_texts_as_before(
    kind: str, trained: Job, shallow_encoder: Path, tmp_path: Path
) -> None:
    first, settings, expected = FURTHER[kind]
    job = trained
    if first:
        job = Job.create(tmp_path / "first", encoder=shallow_encoder)
        if "long_texts" in first:
            job.channel("training", rows(LONG))
        job.configure(hyperparameters={"epochs": "1", "validation_split_ratio": "0.34", **first})
        job.train()
    again = Job.create(tmp_path / "again", encoder=job.model)
    again.channel("training", rows([(label, text * 4) for label, text in LONG]))
    again.configure(hyperparameters={"epochs": "1", "validation_split_ratio": "0.34", **settings})
    again.train()
    assert again.manifest["encoder"]["long_texts"] == expected
    assert again.manifest["encoder"]["max_sequence_length"] == job.manifest["encoder"]["max_sequence_length"]


def test_an_encoder_that_reads_texts_as_they_are_is_not_given_windows(tmp_path: Path) -> None:
    import tiny_hub

    job = Job.create(tmp_path / "ml")
    tiny_hub.write_letters(job.base / "input" / "data" / "model")
    job.configure(hyperparameters=SETTINGS)
    with pytest.raises(UserError, match="long_texts=windows: this encoder reads texts as they are"):
        job.train()
