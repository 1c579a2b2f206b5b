"""The glue between a network and its solved top layer."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from classifier.encoders import bert
from classifier.hyperparameters import Hyperparameters
from classifier.training import evaluate, solving
from classifier.training.cluster import Cluster
from classifier.training.interruption import Interruption
from classifier.training.loop import batches
from classifier.training.loop.batches import Rows
from classifier.training.loop.progress import Run
from classifier.training.loop.scoring import evaluation_split, gathered
from classifier.training.model import assemble, build_head, softmax
from classifier.training.solving import ScoredNetwork, Task
from jobs import ROWS

TEXTS = [text for _, text in ROWS]
TARGETS = np.array([label for label, _ in ROWS], np.int32)


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
    cluster = Cluster(tf.distribute.get_strategy())
    split = evaluation_split(inputs, TARGETS, cluster)
    scores = gathered(np.arange(len(TEXTS)), evaluate.compute(network.inference, inputs), split, cluster)
    training = Rows(inputs, TARGETS, np.ones(len(TEXTS), np.float32))
    task = Task(training, False, split, True, settings, None, cluster, Interruption())
    run = Run(scores=scores, history=[{"loss": 0.0}])
    found = solving.with_ngrams(ScoredNetwork(network, run, scores), task)
    assert found is not None
    assert found.top_layer is not None
    assert found.top_layer.share < 1
    answers = softmax(evaluate.compute(found.network.inference, inputs))
    np.testing.assert_allclose(found.exported.probabilities, answers, atol=1e-4)
