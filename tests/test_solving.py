"""The glue between a network and its solved top layer."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from classifier.encoders import bert
from classifier.hyperparameters import Hyperparameters
from classifier.training import evaluate, solving, top_layer
from classifier.training.loop import batches
from classifier.training.model import assemble, build_head, softmax
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
