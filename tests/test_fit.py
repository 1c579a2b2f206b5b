"""The training loop: what it is fed with, and that a frozen encoder need not be computed every epoch."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray

from classifier.encoders import bert
from classifier.hyperparameters import Hyperparameters
from classifier.training import evaluate, hardware, job
from classifier.training.cluster import Cluster
from classifier.training.interruption import Interruption
from classifier.training.loop import batches, fit
from classifier.training.loop.batches import Inputs, Rows
from classifier.training.loop.checkpoint import Folder
from classifier.training.loop.fit import FitSpec, RunContext
from classifier.training.loop.optimizers import LearningRate
from classifier.training.loop.scoring import evaluation_split
from classifier.training.model import Network, assemble, build_head
from classifier.training.solving import Task
from jobs import ROWS, Job, rows

SETTINGS = Hyperparameters.parse({"epochs": "4", "batch_size": "4", "dropout_rate": "0.3", "seed": "5"})
TEXTS = [text for _, text in ROWS]
TARGETS = np.array([label for label, _ in ROWS], np.int32)


class InAnyOrder(Inputs):
    """Rows of tokens that are put into batches as vectors are: whatever their lengths."""

    def lengths(self) -> NDArray[np.int64]:
        return np.ones(len(self.rows), np.int64)


class EncoderEveryTime(tf_keras.Model):  # type: ignore[misc]
    """A frozen encoder and a top layer, both computed in every step."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.encoder, self.head = network.encoder.layer, network.head

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        return self.head(self.encoder(inputs, training=False), training=training)


@pytest.fixture
def run_context(tmp_path: Path) -> RunContext:
    return RunContext(Cluster(tf.distribute.get_strategy()), Folder(tmp_path, "0" * 16), Interruption())


def frozen(folder: Path, run_context: RunContext) -> tuple[Network, FitSpec]:
    """Return a network, and the fit_spec to train its top layer with the encoder computed every time."""
    encoder: Any = bert.load(folder, "tiny", 16)
    network = assemble(encoder, build_head(2, SETTINGS))
    encoder.layer.trainable = False
    inputs = InAnyOrder(batches.tokenize(encoder, TEXTS).rows, 16)
    model = EncoderEveryTime(network)
    model(inputs.take([0]))
    held = evaluation_split(inputs, TARGETS, run_context.cluster)
    answers = evaluate.compiled(model, inputs.signature)
    training = Rows(inputs, TARGETS, np.ones(len(TEXTS), np.float32))
    return network, FitSpec(model, answers, training, held, LearningRate(0.05, "constant", ""))


def test_a_top_layer_learns_the_same_from_kept_vectors_as_from_an_encoder_that_is_computed_every_epoch(
    tiny_encoder: Path, run_context: RunContext, tmp_path: Path
) -> None:
    network, fit_spec = frozen(tiny_encoder, run_context)
    before = network.head.get_weights()
    slow = fit.fit(fit_spec, SETTINGS, run_context)
    slowly = network.head.get_weights()

    again, fit_spec = frozen(tiny_encoder, run_context)
    cluster = run_context.cluster
    task = Task(
        training=fit_spec.training,
        sharded=False,
        validation=fit_spec.validation,
        held_out=True,
        hyperparameters=SETTINGS,
        prior=None,
        cluster=cluster,
        interruption=run_context.interruption,
    )
    short = job._top_layer_fit_spec(fit_spec, again, task)
    assert short.training.inputs.signature.dtype == tf.float32
    fast = fit.fit(short, SETTINGS, RunContext(cluster, Folder(tmp_path / "others", "1" * 16), Interruption()))
    assert np.abs(before[1] - slowly[1]).max() > 0.01
    for mine, other in zip(again.head.get_weights(), slowly, strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-5)
    for mine, other in zip(fast.history, slow.history, strict=True):
        assert {**mine, "examples_per_second": 0} == pytest.approx({**other, "examples_per_second": 0}, abs=1e-5)


@pytest.mark.parametrize("train_only_top_layer", ["True", "False"])
def test_every_text_is_tokenized_once_however_many_epochs_there_are(
    job: Job, train_only_top_layer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenized: list[str] = []
    tokenize = batches.tokenize

    def counting(encoder: Any, texts: Sequence[str], *arguments: Any, **more: Any) -> Inputs:
        tokenized.extend(texts)
        return tokenize(encoder, texts, *arguments, **more)

    monkeypatch.setattr(batches, "tokenize", counting)
    job.channel("training", rows(ROWS))
    settings = {"epochs": "3", "batch_size": "4", "validation_split_ratio": "0.34"}
    job.configure(hyperparameters={**settings, "train_only_top_layer": train_only_top_layer})
    job.train()
    assert sorted(text for text in tokenized if text in TEXTS) == sorted(TEXTS)


def cycled(inputs: Inputs) -> Iterator[NDArray[np.int64]]:
    return itertools.cycle(batches.shuffled(inputs, 4, [1, 0]))


@pytest.mark.parametrize("has_gpu", [False, True])
def test_one_replica_is_fed_the_same_with_and_without_another_thread(
    tiny_encoder: Path, has_gpu: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder: Any = bert.load(tiny_encoder, "tiny", 16)
    inputs = batches.tokenize(encoder, TEXTS)
    given = Rows(inputs, TARGETS, np.linspace(0, 1, len(TEXTS), dtype=np.float32))
    monkeypatch.setattr(hardware, "has_gpu", lambda: has_gpu)
    spec, elements = fit.fed(given, cycled(inputs), Cluster(tf.distribute.get_strategy()))
    for indices, element in zip(itertools.islice(cycled(inputs), 7), elements, strict=False):
        for tensor, expected, each in zip(
            element, (inputs.take(indices), TARGETS[indices], given.weights[indices]), spec, strict=True
        ):
            assert each.is_compatible_with(tensor)
            assert tensor.numpy().tolist() == expected.tolist()


def test_lengths_are_rounded_up_where_a_new_one_is_dear(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (hardware.length_multiple("auto"), hardware.length_multiple("true")) == (1, 8)
    monkeypatch.setattr(hardware, "has_gpu", lambda: True)
    assert hardware.length_multiple("auto") == 8
