"""``model_id=linear``: n-grams without a network, through the whole flow."""

import csv
import json
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file

import batch_helpers
from classifier import TEXT, predictor
from classifier.backends import Computing
from classifier.backends.choice import FLOAT32, TENSORFLOW
from classifier.encoders import linear, ngrams
from classifier.environment import Environment
from classifier.errors import UserError
from classifier.hyperparameters import Hyperparameters, remarks
from classifier.modalities import MODALITIES
from classifier.training import program
from jobs import ROWS, Job, rows
from test_cluster import free_ports, run_all

SETTINGS = {"model_id": "linear", "validation_split_ratio": "0.34"}
FILLER = "it was a day like any other and then "
ASKED = ["a good film", "", "the car is broken", "Großes Café 価格は", "word " * 5000, "x" * 200]


@pytest.fixture
def linear_job(tmp_path: Path) -> Callable[..., Job]:
    def make(pairs: Any = (*ROWS * 4,), folder: str = "ml", **settings: str) -> Job:
        job = Job.create(tmp_path / folder)
        job.channel("training", rows(pairs))
        job.configure(hyperparameters={**SETTINGS, **settings})
        return job

    return make


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    job = Job.create(tmp_path_factory.mktemp("linear") / "ml")
    job.channel("training", rows([*ROWS * 4, (0, "zanzibar is far away")]))
    job.configure(hyperparameters=SETTINGS)
    job.train()
    return job.model


def weights(model: Path) -> Mapping[str, np.ndarray[Any, Any]]:
    found: Mapping[str, np.ndarray[Any, Any]] = load_file(model / "ngrams.safetensors")
    return found


def assert_same_model(model: Path, other: Path) -> None:
    assert (model / "encoder" / "vocab.txt").read_text() == (other / "encoder" / "vocab.txt").read_text()
    mine, theirs = weights(model), weights(other)
    for name, values in mine.items():
        np.testing.assert_allclose(values, theirs[name], atol=1e-5, err_msg=name)


def test_the_savedmodel_answers_strings_and_the_faster_backend_answers_alike(trained: Path) -> None:
    manifest = json.loads((trained / "manifest.json").read_text())
    assert manifest["encoder"] == {
        "family": "linear", "name": "linear", "pooling": "none", "max_sequence_length": 4096, "long_texts": "truncate",
    }  # fmt: skip
    assert manifest["engines"]["openvino-float32"]["accepted"]
    serve = tf.saved_model.load(str(trained / "1")).signatures["serving_default"]
    expected = serve(texts=tf.constant([text.encode() for text in ASKED]))["probabilities"].numpy()
    for backend in (TENSORFLOW, FLOAT32):
        found = predictor.load(trained, Computing(backend)).predict(ASKED)
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_what_was_seen_often_is_learnt(trained: Path) -> None:
    answers = predictor.load(trained).predict([text for _, text in ROWS])
    assert answers.argmax(axis=1).tolist() == [label for label, _ in ROWS]


def test_a_vocabulary_is_not_shown_where_the_tokenizer_is() -> None:
    encoder = linear.build(["a secret", "a secret"], Hyperparameters.parse({"model_id": "linear"}), None)
    assert "secret" in encoder.preprocessor.vocabulary
    assert "secret" not in repr(encoder)


def test_no_word_that_occurs_once_is_in_the_model(trained: Path) -> None:
    content = b"".join(path.read_bytes() for path in trained.rglob("*") if path.is_file())
    assert b"broken" in content
    assert b"zanzibar" not in content.lower()


@pytest.mark.usefixtures("own_logging")
def test_batch_gives_the_same_answers(trained: Path, tmp_path: Path) -> None:
    source, output = tmp_path / "in.csv", tmp_path / "out"
    with source.open("w", newline="") as file:
        csv.writer(file).writerows([["text"], *([text] for text in ASKED if text)])
    assert batch_helpers.run(trained, source, output) == 0
    found = batch_helpers.rows(output / "in_output.csv")
    answers = predictor.load(trained).predict([text for text in ASKED if text])
    place = found[0].index("predicted_label")
    assert [int(row[place]) for row in found[1:]] == answers.argmax(axis=1).tolist()


def test_a_whole_text_is_read(linear_job: Callable[..., Job]) -> None:
    pairs = [(index % 2, FILLER * 300 + ("north wind" if index % 2 else "south sea")) for index in range(24)]
    job = linear_job(pairs)
    job.train()
    answers = predictor.load(job.model).predict([FILLER * 320 + "north wind", FILLER * 310 + "south sea"])
    assert answers.argmax(axis=1).tolist() == [1, 0]


def test_texts_of_many_scripts_are_told_apart(linear_job: Callable[..., Job]) -> None:
    texts = [
        "価格は高い",
        "配達が遅れた",
        "цена высокая",
        "доставка опоздала",
        "السعر مرتفع",
        "التسليم متأخر",
        "비싼 가격",
        "늦은 배달",
    ]
    job = linear_job([(index % 2, text) for index, text in enumerate(texts)] * 6)
    job.train()
    for backend in (TENSORFLOW, FLOAT32):
        answers = predictor.load(job.model, Computing(backend)).predict(texts)
        assert answers.argmax(axis=1).tolist() == [0, 1] * 4


def test_a_label_of_one_row_is_kept(linear_job: Callable[..., Job]) -> None:
    job = linear_job([*ROWS * 4, (2, "an entirely different matter")])
    job.train()
    assert predictor.load(job.model).labels == (0, 1, 2)


def test_a_job_without_validation_rows_trains_too(linear_job: Callable[..., Job]) -> None:
    job = linear_job(validation_split_ratio="0")
    job.train()
    assert predictor.load(job.model).labels == (0, 1)


def test_training_further_keeps_the_vocabulary_and_begins_with_the_weights(
    trained: Path, linear_job: Callable[..., Job], caplog: pytest.LogCaptureFixture
) -> None:
    new = [(2, "quite another subject altogether"), (2, "yet another subject")] * 4
    job = linear_job([*ROWS, *ROWS, *new], folder="further")
    job.configure(hyperparameters={"validation_split_ratio": "0.34"})
    copytree(trained, job.base / "input" / "data" / "model")
    with caplog.at_level("INFO"):
        job.train()
    assert (job.model / "encoder" / "vocab.txt").read_text() == (trained / "encoder" / "vocab.txt").read_text()
    assert job.manifest["hyperparameters"]["model_id"] == "linear"
    assert job.manifest["hyperparameters"]["max_sequence_length"] == 4096
    assert "kept_labels=2 new_labels=1: 2" in caplog.text
    found = predictor.load(job.model)
    assert found.labels == (0, 1, 2)
    answers = found.predict([text for _, text in ROWS])
    assert answers.argmax(axis=1).tolist() == [label for label, _ in ROWS]
    assert found.predict(["another subject"]).argmax() == 2


def test_a_job_that_is_killed_ends_as_one_that_was_not(linear_job: Callable[..., Job]) -> None:
    straight, killed = linear_job(folder="straight"), linear_job(folder="killed")
    straight.train()
    killed.stop_at("event=vocabulary", signal.SIGKILL)
    assert not (killed.model / "1").exists()
    again = killed.run()
    assert again.returncode == 0, again.stdout
    assert_same_model(killed.model, straight.model)


def test_two_hosts_make_the_model_that_one_makes(linear_job: Callable[..., Job]) -> None:
    alone = linear_job(folder="alone")
    alone.train()
    hosts = [f"127.0.0.1:{port}" for port in free_ports(2)]
    jobs = [linear_job(folder=f"host-{number}") for number in range(2)]
    for job, host in zip(jobs, hosts, strict=True):
        job.configure(resourceconfig={"current_host": host, "hosts": hosts})
    ended = run_all(jobs)
    assert [code for code, _ in ended] == [0, 0], ended[0][1] + ended[1][1]
    chief = next(job for job in jobs if job.model.exists())
    assert (chief.model / "encoder" / "vocab.txt").read_text() == (alone.model / "encoder" / "vocab.txt").read_text()
    assert weights(chief.model)["kernel"].shape == weights(alone.model)["kernel"].shape


def test_sharded_training_rows_are_refused(linear_job: Callable[..., Job]) -> None:
    job = linear_job()
    sharded = {"training": {"TrainingInputMode": "File", "S3DistributionType": "ShardedByS3Key"}}
    hosts = {"current_host": "algo-1", "hosts": ["algo-1", "algo-2"]}
    job.configure(inputdataconfig=sharded, resourceconfig=hosts)
    with pytest.raises(UserError, match="channel training: model_id=linear builds its vocabulary from all rows"):
        program._sharded(Environment.from_environ(job.environ), "linear", MODALITIES[TEXT])


def test_n_grams_can_not_be_left_out(linear_job: Callable[..., Job]) -> None:
    with pytest.raises(UserError, match="ngram_features=False: model_id=linear is a model of n-grams alone"):
        linear_job(ngram_features="False").train()


def test_a_model_channel_with_something_else_is_refused(linear_job: Callable[..., Job], shallow_encoder: Path) -> None:
    job = linear_job()
    copytree(shallow_encoder, job.base / "input" / "data" / "model")
    with pytest.raises(UserError, match="model_id=linear: is trained from scratch, and there is a model channel"):
        job.train()


def test_hyperparameters_of_networks_are_said_to_have_no_effect() -> None:
    given = {"model_id": "linear", "epochs": "3", "lr": "0.1", "hidden_size": "8", "vocab_size": "100", "seed": "1"}
    assert remarks(given, Hyperparameters.parse(given)) == [
        "epochs has no effect: it is for networks, and model_id=linear has none",
        "lr has no effect: it is for networks, and model_id=linear has none",
        "hidden_size has no effect: it is for model_id=cnn or lstm",
    ]


def test_texts_without_spaces_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    linear.build(["ก" * 150, "ข" * 150, "a few words"], Hyperparameters.parse({"model_id": "linear"}), None)
    assert "40.0% of the words have more than 100 characters and are not read" in caplog.text


def test_an_encoder_that_was_saved_reads_as_before(tmp_path: Path) -> None:
    settings = Hyperparameters.parse({"model_id": "linear", "vocab_size": "60"})
    encoder = linear.build([text for _, text in ROWS] * 2, settings, None)
    encoder.save(tmp_path)
    assert linear.recognise(tmp_path)
    again = linear.load(tmp_path, "again", 16)
    read = [each.preprocessor.tokenize(tf.constant(["the film was good", ""])).numpy() for each in (encoder, again)]
    np.testing.assert_array_equal(*read)
    (tmp_path / "config.json").unlink()
    assert not linear.recognise(tmp_path)


def test_the_layer_has_no_vectors_of_use() -> None:
    vectors = linear.NoVectors()(tf.constant([[1, 2, 0], [3, 0, 0]]))
    assert vectors.shape == (2, 1)
    assert not vectors.numpy().any()
    assert ngrams.PADDING == 0
