"""The encoder between the pre-trained and the fine-tuned one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from classifier.encoders import bert
from classifier.hyperparameters import Hyperparameters
from classifier.training import evaluate, interpolation
from classifier.training.interpolation import FINE_TUNED_SHARE, Weights
from classifier.training.model import Network, assemble, build_head, softmax
from classifier.training.solving import ScoredNetwork, Task
from scored_networks import scored_on_rows

SETTINGS = Hyperparameters.parse({})


@pytest.fixture
def tuned(tiny_encoder: Path) -> tuple[ScoredNetwork, Task, Weights]:
    """A network that stands for a fine-tuned one, its task, and the weights before fine-tuning."""
    pretrained: Any = bert.load(tiny_encoder, "tiny", 16)
    encoder: Any = bert.load(tiny_encoder, "tiny", 16)
    generator = np.random.default_rng(1)
    for variable in encoder.layer.trainable_variables:
        variable.assign_add(generator.normal(0, 0.1, variable.shape))
    scored, task = scored_on_rows(assemble(encoder, build_head(2, SETTINGS)), SETTINGS)
    return scored, task, interpolation.weights_of(pretrained)


def answers(network: Network, task: Task) -> Any:
    return softmax(evaluate.compute(network.inference, task.validation.inputs))


def test_a_better_encoder_between_the_two_replaces_the_fine_tuned_one(
    tuned: tuple[ScoredNetwork, Task, Weights],
) -> None:
    scored, task, pretrained = tuned
    after = interpolation.weights_of(scored.network.encoder)
    found = interpolation.better(scored, pretrained, task)
    assert found is not None
    assert found.run.metrics["val_accuracy"] > scored.run.metrics["val_accuracy"]
    assert found.run.history == scored.run.history
    for mine, old, new in zip(interpolation.weights_of(found.network.encoder), pretrained, after, strict=True):
        np.testing.assert_allclose(mine, (1 - FINE_TUNED_SHARE) * old + FINE_TUNED_SHARE * new, atol=1e-6)
    np.testing.assert_allclose(found.exported.probabilities, answers(found.network, task), atol=1e-5)


def test_a_fine_tuned_network_that_is_better_stays_as_it_is(tuned: tuple[ScoredNetwork, Task, Weights]) -> None:
    scored, task, pretrained = tuned
    before = answers(scored.network, task)
    perfect = {**scored.run.metrics, "val_accuracy": 1.0, "val_loss": 0.0}
    scored.run.metrics.update(perfect)
    assert interpolation.better(scored, pretrained, task) is None
    np.testing.assert_array_equal(answers(scored.network, task), before)


def test_a_job_that_is_told_to_stop_keeps_the_fine_tuned_network(tuned: tuple[ScoredNetwork, Task, Weights]) -> None:
    scored, task, pretrained = tuned
    before = answers(scored.network, task)
    task.interruption.request()
    assert interpolation.better(scored, pretrained, task) is None
    np.testing.assert_array_equal(answers(scored.network, task), before)
