"""BERTs of TensorFlow Hub become checkpoints where these compute the same, and stay SavedModels where not."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from shutil import copyfile, copytree, rmtree
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file

import tiny_hub
import tiny_hub_bert
from classifier import predictor
from classifier.encoders import bert, hub, hub_bert
from classifier.encoders.resolve import EncoderFiles
from jobs import Job
from tiny_hub_bert import VOCABULARY, gelu_erf, gelu_tanh

TEXTS = ["The film was not good", "", "bad smoke, very bad", "\U00013000 is new", "it works " * 30]
SETTINGS = {"epochs": "1", "batch_size": "4", "validation_split_ratio": "0.34"}
CONVERTED = {
    "family": "bert",
    "name": "garden",
    "pooling": "pooler",
    "max_sequence_length": 16,
    "long_texts": "truncate",
}
REAL = ("bert_en_uncased_preprocess_3", "small_bert_L-2_H-128_A-2_2_RANDOM_WEIGHTS")


@pytest.fixture
def carry(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Callable[[Path], EncoderFiles]:
    """What carries an encoder over, and keeps what it logs."""
    caplog.set_level(logging.INFO, "classifier.encoders.hub_bert")
    (tmp_path / "scratch").mkdir()
    return lambda folder: hub_bert.carried_over(EncoderFiles("some", "hub", folder), 16, tmp_path / "scratch")


@pytest.fixture(scope="module")
def garden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder as TensorFlow Hub's are, and its preprocessor."""
    return tiny_hub_bert.write(tmp_path_factory.mktemp("garden") / "given")


def tokens(encoder: Any, texts: list[str]) -> Any:
    return encoder.preprocessor.tokenize(tf.constant(texts))


def vectors(encoder: Any, texts: list[str]) -> Any:
    return encoder.layer(tokens(encoder, texts), training=False).numpy()


def config(files: EncoderFiles) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((files.folder / "config.json").read_text())
    return content


@pytest.mark.parametrize(
    ("activation", "name"), [(gelu_tanh, "gelu_new"), (gelu_erf, "gelu")], ids=["approximate", "exact"]
)
def test_an_encoder_of_the_garden_is_carried_over_and_gives_the_same_vectors(
    tmp_path: Path,
    carry: Callable[[Path], EncoderFiles],
    activation: Callable[[tf.Tensor], tf.Tensor],
    name: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = tiny_hub_bert.write(tmp_path / "given", activation=activation)
    files = carry(folder)
    assert (files.family, files.name, config(files)["hidden_act"]) == ("bert", "garden", name)
    original, carried = hub.load(folder, "x", 16), bert.load(files.folder, "x", 16)
    np.testing.assert_array_equal(tokens(carried, TEXTS), tokens(original, TEXTS))
    np.testing.assert_allclose(vectors(carried, TEXTS), vectors(original, TEXTS), atol=1e-5)
    assert np.ptp(vectors(carried, TEXTS), axis=0).max() > 0.1, "different texts must have different vectors"
    assert carried.pooling == "pooler"
    assert f"event=encoder name='garden' carried_over=True activation={name}" in caplog.text


def test_the_published_form_of_a_small_bert_is_carried_over(
    tmp_path: Path,
    shared: Callable[[str], Path],
    carry: Callable[[Path], EncoderFiles],
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name in REAL:
        copytree(shared(f"encoders/{name}"), tmp_path / "given" / name, copy_function=copyfile)
    files = carry(tmp_path / "given")
    assert files.name == REAL[1]
    assert "carried_over=True activation=gelu_new" in caplog.text
    assert config(files)["num_attention_heads"] == 2
    original, carried = hub.load(tmp_path / "given", "x", 16), bert.load(files.folder, "x", 16)
    np.testing.assert_array_equal(tokens(carried, TEXTS), tokens(original, TEXTS))
    np.testing.assert_allclose(vectors(carried, TEXTS), vectors(original, TEXTS), atol=1e-5)


def test_narrower_word_vectors_make_an_electra_and_a_prefix_of_the_names_nothing(
    tmp_path: Path, carry: Callable[[Path], EncoderFiles]
) -> None:
    folder = tiny_hub_bert.write(tmp_path / "given", words=4, prefix="bert_encoder/")
    files = carry(folder)
    assert (config(files)["model_type"], config(files)["embedding_size"]) == ("electra", 4)
    carried = bert.load(files.folder, "x", 16)
    np.testing.assert_allclose(vectors(carried, TEXTS), vectors(hub.load(folder, "x", 16), TEXTS), atol=1e-5)


def test_a_preprocessor_that_keeps_case_is_carried_over_as_one(
    tmp_path: Path, carry: Callable[[Path], EncoderFiles]
) -> None:
    carried = bert.load(carry(tiny_hub_bert.write(tmp_path / "given", lower_case=False)).folder, "x", 16)
    assert not carried.preprocessor.lower_case
    assert tokens(carried, ["The the"]).numpy().tolist() == [[2, 1, VOCABULARY.index("the"), 3]]


@pytest.mark.parametrize(
    ("differs", "reason"),
    [
        ({"activation": tf.nn.silu}, "with its weights a BERT gives vectors that differ by "),
        ({"factor": 1.001}, "with its weights a BERT gives vectors that differ by "),
        ({"others": ("transformer/layer_0/gate/kernel",)}, "its variable transformer/layer_0/gate/kernel:0 is not one"),
        ({"others": ("again/pooler_transform/bias",)}, "two of its variables have one name'"),
        ({"others": ("transformer/layer_3/output/bias",)}, "it has more variables than a BERT of its shape'"),
    ],
    ids=["activation", "operation", "part", "name", "layer"],
)
def test_what_differs_from_a_bert_stays_a_saved_model_and_the_log_says_why(
    tmp_path: Path,
    carry: Callable[[Path], EncoderFiles],
    differs: dict[str, Any],
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = tiny_hub_bert.write(tmp_path / "given", **differs)
    assert carry(folder) == EncoderFiles("some", "hub", folder)
    assert f"event=encoder name='garden' carried_over=False note='{reason}" in caplog.text
    assert not list((tmp_path / "scratch").iterdir())


def _half_folded(folder: Path) -> Any:
    return tiny_hub_bert.HalfFolded(tiny_hub_bert.write_vocabulary(folder))


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (_half_folded, "its preprocessor gives other tokens than the word pieces of BERT"),
        (lambda _: tiny_hub.Preprocessor(), "its preprocessor has no vocabulary of word pieces"),
    ],
    ids=["half-folded", "no-assets"],
)
def test_with_other_tokens_than_word_pieces_it_stays_a_saved_model(
    tmp_path: Path,
    garden: Path,
    carry: Callable[[Path], EncoderFiles],
    made: Callable[[Path], Any],
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = tmp_path / "given"
    copytree(garden / "garden", folder / "garden")
    tf.saved_model.save(made(tmp_path), str(folder / "preprocessor"))
    assert carry(folder).family == "hub"
    assert f"carried_over=False note='{reason}'" in caplog.text


def test_an_encoder_that_takes_texts_is_left_alone(
    tmp_path: Path, carry: Callable[[Path], EncoderFiles], caplog: pytest.LogCaptureFixture
) -> None:
    folder = tiny_hub.write_letters(tmp_path / "given")
    assert carry(folder) == EncoderFiles("some", "hub", folder)
    assert not caplog.records


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, garden: Path) -> Path:
    """The model of a job on a BERT of TensorFlow Hub."""
    job = Job.create(tmp_path_factory.mktemp("job") / "ml")
    copytree(garden, job.base / "input" / "data" / "model")
    job.configure(hyperparameters={**SETTINGS, "max_sequence_length": "16"})
    job.train()
    return job.model


def test_a_job_on_a_carried_encoder_exports_a_checkpoint_and_is_served(trained: Path) -> None:
    manifest = json.loads((trained / "manifest.json").read_text())
    assert manifest["encoder"] == CONVERTED
    names = {path.name for path in (trained / "encoder").iterdir()}
    assert names == {"config.json", "vocab.txt", "tokenizer_config.json", "model.safetensors"}
    answers = predictor.load(trained).predict(TEXTS)
    np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-5)
    assert np.ptp(answers, axis=0).max() > 1e-4


def test_a_model_of_an_earlier_version_is_carried_over_and_trained_further_in_half_precision(
    tmp_path: Path, garden: Path, trained: Path, caplog: pytest.LogCaptureFixture
) -> None:
    job = Job.create(tmp_path / "ml")
    given = copytree(trained, job.base / "input" / "data" / "model")
    _as_earlier_versions_left_it(given, garden)
    job.configure(hyperparameters={**SETTINGS, "learning_rate": "0", "mixed_precision": "bfloat16"})
    with caplog.at_level(logging.INFO):
        job.train()
    assert "event=encoder name='garden' carried_over=True" in caplog.text
    assert "precision=bfloat16" in caplog.text
    manifest = json.loads((job.model / "manifest.json").read_text())
    assert manifest["encoder"] == CONVERTED
    before, after = (load_file(model / "encoder" / "model.safetensors") for model in (trained, job.model))
    assert before.keys() == after.keys()
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value)
    assert "note='not worse'" in caplog.text


def _as_earlier_versions_left_it(model: Path, garden: Path) -> None:
    """Put the encoder's SavedModel, with the weights it was trained to, where the checkpoint is."""
    encoder = hub.load(garden, "garden", 16)
    checkpoint = bert.load(model / "encoder", "garden", 16).layer.trainable_variables
    variables = encoder.layer.encoder.resolved_object.trainable_variables
    for variable, value in zip(variables, checkpoint, strict=True):
        variable.assign(tf.reshape(value, variable.shape))
    rmtree(model / "encoder")
    (model / "encoder").mkdir()
    encoder.save(model / "encoder")
    manifest = json.loads((model / "manifest.json").read_text())
    manifest["encoder"] |= {"family": "hub", "pooling": "own"}
    (model / "manifest.json").write_text(json.dumps(manifest))
