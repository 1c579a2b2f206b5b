"""What is written answers alike in one step and in two, and says what its rows were like."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

import tiny_bert
import tiny_hub
from classifier import predictor
from classifier.backends import Computing, Encoded, saved_model
from classifier.backends.choice import TENSORFLOW
from classifier.backends.saved_model import TextsBackend, TokensBackend
from classifier.encoders import bert, convolutional, hub, recurrent
from classifier.hyperparameters import Hyperparameters
from classifier.modalities.text import SMOKE_TEXTS
from classifier.training import export
from classifier.training.data import Data, Split
from classifier.training.export import Comparison, Trained
from classifier.training.interruption import Interruption
from jobs import ROWS, Job, rows

TEXTS = [text for _, text in ROWS]
ASKED = [
    "the film was good",
    "",
    "so bad \U00013000",
    "it is a very, very good film " * 9,
    "\u6f22\u5b57 \0\t \u00e9",
    "[PAD] a [PAD]",
]
SMALL = {"embed_size": "8", "hidden_size": "6", "kernel_size": "3", "max_sequence_length": "16", "vocab_size": "30"}


def _bert(folder: Path) -> Any:
    return bert.load(tiny_bert.write(folder), "tiny", 16)


def _cnn(_: Path) -> Any:
    return convolutional.build(TEXTS, Hyperparameters.parse(SMALL), None)


def _lstm(_: Path) -> Any:
    return recurrent.build(TEXTS, Hyperparameters.parse(SMALL), None)


def _hub(folder: Path) -> Any:
    return hub.load(tiny_hub.write_bert(folder), "tiny", 16)


ENCODERS: dict[str, Callable[[Path], Any]] = {"bert": _bert, "cnn": _cnn, "lstm": _lstm, "hub": _hub}


def head_of(labels: int) -> Any:
    dense = tf_keras.layers.Dense(labels, kernel_initializer=tf_keras.initializers.GlorotUniform(seed=1), name="dense")
    return tf_keras.Sequential([dense])


@pytest.fixture(scope="module", params=ENCODERS)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, TokensBackend]:
    """An encoder of each family that has tokens, and what runs it once it is exported."""
    folder = tmp_path_factory.mktemp("exported")
    encoder = ENCODERS[request.param](folder / "encoder")
    export.save(encoder, head_of(3), folder / "1")
    backend = saved_model.load(folder / "1", encoder.preprocessor.max_sequence_length)
    assert isinstance(backend, TokensBackend)
    return encoder, backend


def test_in_two_steps_every_family_answers_as_in_one_whatever_the_padding(exported: tuple[Any, TokensBackend]) -> None:
    _, backend = exported
    expected = backend.model.signatures["serving_default"](texts=tf.constant(ASKED))["probabilities"].numpy()
    encoded = backend.encode(ASKED)
    np.testing.assert_allclose(backend.run_batch(encoded), expected, atol=1e-5)
    alone = np.concatenate([backend.run_batch([text]) for text in encoded])
    np.testing.assert_allclose(alone, expected, atol=1e-5)
    padded = np.stack([np.pad(text.content, (0, 16 - text.tokens)) for text in encoded])
    answers = backend.classify(token_ids=tf.constant(padded))["probabilities"]
    np.testing.assert_allclose(answers, expected, atol=1e-5)


def test_lengths_are_rounded_up_but_never_beyond_what_the_network_reads(exported: tuple[Any, TokensBackend]) -> None:
    encoder, backend = exported
    lengths: list[int] = []

    def classify(token_ids: tf.Tensor) -> dict[str, tf.Tensor]:
        lengths.append(token_ids.shape[1])
        return backend.classify(token_ids=token_ids)

    longest = encoder.preprocessor.max_sequence_length
    for length in range(1, longest + 1):
        replace(backend, classify=classify).run_batch([Encoded(np.ones(length, np.int32), length)])
    assert lengths == [min(-(-length // 8) * 8, longest) for length in range(1, longest + 1)]


def test_a_batch_of_empty_texts_alone_is_answered(exported: tuple[Any, TokensBackend]) -> None:
    _, backend = exported
    expected = backend.model.signatures["serving_default"](texts=tf.constant([""]))["probabilities"].numpy()
    np.testing.assert_allclose(backend.run_batch(backend.encode(["", ""])), np.repeat(expected, 2, axis=0), atol=1e-5)


def test_tokens_and_unknown_tokens_are_those_of_the_encoder(exported: tuple[Any, TokensBackend]) -> None:
    encoder, backend = exported
    token_ids = encoder.preprocessor.tokenize(tf.constant(ASKED)).numpy()
    encoded = backend.encode(ASKED)
    for text, row in zip(encoded, token_ids, strict=True):
        assert text.tokens == len(text.content)
        np.testing.assert_array_equal(np.pad(text.content, (0, len(row) - text.tokens)), row)
        assert text.unknown == (row == encoder.preprocessor.unknown_id).sum()
    assert encoded[2].unknown >= 1
    assert encoded[3].tokens == encoder.preprocessor.max_sequence_length


def operations(folder: Path) -> int:
    model = SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    return sum(len(function.node_def) for function in model.meta_graphs[0].graph_def.library.function)


def test_the_network_is_in_the_file_once(exported: tuple[Any, TokensBackend], tmp_path: Path) -> None:
    encoder, _ = exported
    one_step = export.ServingModule(encoder, head_of(3))
    tf.saved_model.save(one_step, str(tmp_path / "one"), signatures=one_step.functions)
    export.save(encoder, head_of(3), tmp_path / "two")
    assert operations(tmp_path / "two") < operations(tmp_path / "one") + 40


def test_an_encoder_of_strings_is_exported_in_one_step(tmp_path: Path) -> None:
    encoder: Any = hub.load(tiny_hub.write_letters(tmp_path / "letters"), "x", 16)
    export.save(encoder, head_of(2), tmp_path / "1")
    backend = saved_model.load(tmp_path / "1")
    assert isinstance(backend, TextsBackend)
    assert set(backend.model.signatures) == {"serving_default"}
    assert backend.run_batch(backend.encode(ASKED)).shape == (len(ASKED), 2)


def test_where_the_unknown_token_is_not_known_none_is_counted(exported: tuple[Any, TokensBackend]) -> None:
    encoder, _ = exported
    parts = {name: getattr(encoder.preprocessor, name) for name in ("tokenizer", "tokenize")}
    told = SimpleNamespace(layer=encoder.layer, preprocessor=SimpleNamespace(**parts, unknown_id=None))
    module = export.TwoStepModule(cast("Any", told), head_of(2))
    answers = module.tokenize(tf.constant(ASKED))
    assert answers["unknown_tokens"].numpy().tolist() == [0] * len(ASKED)


def test_a_baseline_is_shares_and_means() -> None:
    answers = np.array([[0.9, 0.1, 0.0], [0.6, 0.4, 0.0], [0.3, 0.7, 0.0], [0.8, 0.1, 0.1]], np.float32)
    found = export.baseline(answers, ("no", "yes", "perhaps"), Comparison(4, 0.0, 40, 3))
    assert found == {
        "rows": 4,
        "labels": {"no": 0.75, "yes": 0.25, "perhaps": 0.0},
        "top_probability": pytest.approx(0.75),
        "tokens": 10.0,
        "unknown_tokens": 3 / 40,
    }
    uncounted = export.baseline(answers, (0, 1, 2), Comparison(4, 0.0, None, None))
    assert (uncounted["tokens"], uncounted["unknown_tokens"], list(uncounted["labels"])) == (
        None,
        None,
        ["0", "1", "2"],
    )
    untold = export.baseline(answers, (0, 1, 2), Comparison(4, 0.0, 40, None))
    assert (untold["tokens"], untold["unknown_tokens"]) == (10.0, None)


def baseline_of(job: Job) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((job.model / "manifest.json").read_text())["baseline"]
    return found


def test_a_models_baseline_is_what_it_answers_its_held_out_rows(job: Job) -> None:
    held = ["the film was \U00013000", *TEXTS[:6]]
    job.channel("validation", rows([(index % 2, text) for index, text in enumerate(held)]))
    job.train()
    model = predictor.load(job.model, Computing(TENSORFLOW))
    answers, encoded = model.predict(held), model.encode(held)
    tokens = sum(text.tokens for text in encoded)
    assert baseline_of(job) == {
        "rows": 7,
        "labels": {str(label): pytest.approx((answers.argmax(axis=1) == label).mean()) for label in (0, 1)},
        "top_probability": pytest.approx(answers.max(axis=1).mean(), abs=1e-5),
        "tokens": pytest.approx(tokens / 7),
        "unknown_tokens": pytest.approx(sum(text.unknown for text in encoded) / tokens),
    }
    assert baseline_of(job)["unknown_tokens"] > 0


def test_without_held_out_rows_the_baseline_is_of_training_rows(job: Job) -> None:
    job.configure(hyperparameters={"epochs": "1", "validation_split_ratio": "0"})
    job.train()
    assert baseline_of(job)["rows"] == len(ROWS)


def test_where_texts_are_taken_whole_the_baseline_has_no_tokens(tmp_path: Path) -> None:
    job = Job.create(tmp_path / "ml")
    tiny_hub.write_letters(job.base / "input" / "data" / "model")
    job.train()
    assert baseline_of(job)["rows"] > 0
    assert (baseline_of(job)["tokens"], baseline_of(job)["unknown_tokens"]) == (None, None)


def test_a_tiny_bert_of_tensorflow_hub_and_its_preprocessor_train_and_are_counted_T80(tmp_path: Path) -> None:
    job = Job.create(tmp_path / "ml")
    tiny_hub.write_bert(job.base / "input" / "data" / "model")
    job.train()
    assert baseline_of(job)["tokens"] > 2
    assert 0 < baseline_of(job)["unknown_tokens"] < 1


def test_a_job_that_is_to_stop_makes_its_baseline_of_fewer_rows(
    tmp_path: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "COMPARED_AT_ONCE", 3)
    settings = Hyperparameters.parse({})
    interruption = Interruption()
    interruption.request()
    encoder, head = cast("Any", bert.load(tiny_encoder, "tiny", 16)), head_of(2)
    texts = tf.constant([*SMOKE_TEXTS, *TEXTS])
    answers = tf.nn.softmax(head(encoder.layer(encoder.preprocessor.tokenize(texts)))).numpy()
    smoke_predictions, checked = answers[: len(SMOKE_TEXTS)], answers[len(SMOKE_TEXTS) :]
    split = Split(tuple(TEXTS), np.zeros(len(TEXTS), np.int32), ("data.csv:1",) * len(TEXTS))
    data = Data((0, 1), split, split, split, "digest")
    trained = Trained(
        encoder=encoder,
        head=head,
        metrics={},
        checked=split,
        answers=checked,
        smoke_predictions=smoke_predictions,
        judged=checked,
    )
    made = export.export(tmp_path / "model", trained, data, settings, interruption)
    written = json.loads((tmp_path / "model" / "manifest.json").read_text())
    assert written["baseline"]["rows"] == 3
    assert made.manifest == written
