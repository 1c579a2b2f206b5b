"""The glue between a network and its solved top layer."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from classifier.encoders import bert
from classifier.hyperparameters import Hyperparameters
from classifier.training import evaluate, solving
from classifier.training.loop import batches
from classifier.training.model import assemble, build_head, softmax
from scored_networks import TEXTS, scored_on_rows


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
