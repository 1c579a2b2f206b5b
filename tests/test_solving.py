"""The glue between a network and its solved top layer."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

import tiny_images
from classifier.encoders import bert, hub_image
from classifier.encoders.images import Images
from classifier.hyperparameters import Hyperparameters
from classifier.training import evaluate, solving, top_layer, vector_parts
from classifier.training.cluster import Cluster
from classifier.training.interruption import Interruption
from classifier.training.loop import batches
from classifier.training.loop.batches import Rows
from classifier.training.loop.checkpoint import Folder
from classifier.training.loop.scoring import evaluation_split
from classifier.training.model import assemble, build_head, softmax
from classifier.training.solving import Task
from classifier.training.top_layer import Records, Solution, Wanted
from scored_networks import TARGETS, TEXTS, scored_on_rows


@pytest.mark.parametrize("largest_logit", [1, 30, 300])
def test_n_grams_beside_a_network_are_scored_as_they_are_exported_however_sure_it_is(
    tiny_encoder: Path, largest_logit: float
) -> None:
    """Where it is sure, and the n-grams are of another opinion, logits count whose probabilities are 0 in float32."""
    settings = Hyperparameters.parse({"ngram_features": "true"})
    encoder: Any = bert.load(tiny_encoder, "tiny", 16)
    network = assemble(encoder, build_head(2, settings))
    inputs = batches.tokenize(encoder, TEXTS)
    kernel, bias = network.head.layers[-1].get_weights()
    wide = largest_logit / np.abs(evaluate.compute(network.inference, inputs)).max()
    network.head.layers[-1].set_weights([kernel * wide, bias * wide])
    found = solving.with_ngrams(*scored_on_rows(network, settings))
    assert found is not None
    assert found.top_layer is not None
    assert found.top_layer.share < 1
    answers = softmax(evaluate.compute(found.network.inference, inputs))
    np.testing.assert_allclose(found.exported.probabilities, answers, atol=1e-4)


def test_held_out_rows_that_are_learnt_from_have_the_weights_of_their_labels(
    tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Hyperparameters.parse({"refit": "true"})
    encoder: Any = bert.load(tiny_encoder, "tiny", 16)
    network = assemble(encoder, build_head(2, settings))
    _, task = scored_on_rows(network, settings)
    by_label = np.array([0.5, 4], np.float32)
    task = replace(task, training=replace(task.training, weights=by_label[TARGETS]))
    given: list[Records] = []
    solve = top_layer.solve

    def solved(training: Records, validation: Records, wanted: Wanted) -> Solution:
        given.append(validation)
        return solve(training, validation, wanted)

    monkeypatch.setattr(top_layer, "solve", solved)
    solving.solved(network, task)
    np.testing.assert_array_equal(given[0].weights, by_label[TARGETS])


def test_no_more_images_than_a_batch_are_in_memory_at_once_beside_those_that_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Hyperparameters.parse({"train_only_top_layer": "True"})
    encoder = hub_image.load(tiny_images.write_hub(tmp_path), "tiny")
    encoder.layer.trainable = False
    network = assemble(encoder, build_head(2, settings))
    pixels, targets = list(tiny_images.pixels(200, 8)), np.arange(200, dtype=np.int32) % 2
    inputs, cluster = batches.tokenize(encoder, pixels), Cluster(tf.distribute.get_strategy())
    split = evaluation_split(batches.tokenize(encoder, pixels[:80]), targets[:80], cluster)
    training = Rows(inputs, targets, np.ones(200, np.float32))
    task = Task(
        training=training,
        sharded=False,
        validation=split,
        held_out=True,
        hyperparameters=settings,
        prior=None,
        cluster=cluster,
        interruption=Interruption(),
    )
    at_once: list[int] = []
    read = Images.__getitem__

    def counted(images: Images, indices: Sequence[int] | NDArray[np.int64]) -> NDArray[np.uint8]:
        at_once.append(len(indices))
        return read(images, indices)

    monkeypatch.setattr(Images, "__getitem__", counted)
    solved = solving.solved(network, task)
    assert solved.suspects is not None, "they are searched with the same vectors"
    assert sum(at_once) == 280, "each is read once"
    assert max(at_once) == evaluate.BATCH_SIZE
    vectors = evaluate.Vectors(network.inference.encode, inputs)
    vectors.of(np.arange(199, -1, -1))
    assert max(at_once) == evaluate.BATCH_SIZE
    np.testing.assert_array_equal(vectors.of(np.array([7, 3])), network.inference.encode(inputs.take([7, 3])))


def test_saved_vectors_are_those_of_the_frozen_encoder_and_not_of_one_that_was_trained(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(vector_parts, "SECONDS_BETWEEN_CHECKPOINTS", -1)
    settings = Hyperparameters.parse({})
    encoder: Any = bert.load(tiny_encoder, "tiny", 16)
    network = assemble(encoder, build_head(2, settings))
    scored, task = scored_on_rows(network, settings)
    task = replace(task, checkpoints=Folder(tmp_path, "0" * 16))
    solving.solved(network, task)
    with caplog.at_level(logging.INFO):
        solving.solved(network, task)
        assert caplog.text.count("note='read from checkpoints'") == 2  # of training and of validation rows
        caplog.clear()
        before = sorted(tmp_path.iterdir())
        solving.resolved(network, task, scored.run)
    assert "event=encoded" in caplog.text
    assert "read from checkpoints" not in caplog.text
    assert sorted(tmp_path.iterdir()) == before
