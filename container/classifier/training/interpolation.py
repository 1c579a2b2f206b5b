"""An encoder between the pre-trained and the fine-tuned one: a weighted mean of their weights, and a new top layer.

With many labels and few rows of each, fine-tuning ends where nearly all training rows are right, and its vectors of
them say little about others any more. Part of the way back to the pre-trained encoder they do, and the top layer that
is solved on them can learn from the validation rows too. Source of the mean: Wortsman et al., "Robust fine-tuning of
zero-shot models" (2022), arXiv 2109.01903.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.encoders import Encoder
from classifier.training import evaluate, solving
from classifier.training.interruption import StoppedError, WithinTime
from classifier.training.solving import ScoredNetwork, Task

log = logging.getLogger(__name__)

FINE_TUNED_SHARE = 0.3  # "What was tried" in docs/results.md has what other shares gave

Weights = Sequence[NDArray[Any]]


def weights_of(encoder: Encoder) -> Weights:
    """Return a copy of an encoder's weights."""
    return [variable.numpy() for variable in encoder.layer.trainable_variables]


def better(tuned: ScoredNetwork, pretrained: Weights, task: Task) -> ScoredNetwork | None:
    """Return the network between the pre-trained and the fine-tuned one if it is better than the latter.

    It is better by the job's metric on the validation rows; if that is the same, by the loss.

    Args:
        tuned: The fine-tuned network, with n-grams if it has them; its encoder and its top layer are changed in place
            if the other one is better.
        pretrained: The weights of its encoder before fine-tuning.
        task: What the job gives to the solver.

    Returns:
        The network; None if it isn't better, the job was told to stop or has no time left, or not all validation rows
        were scored.
    """
    network = tuned.network
    judged = 0 < len(task.validation.targets) == len(tuned.run.scores.rows)
    if not judged or not task.cluster.alone or task.interruption.requested():
        return None
    started = time.monotonic()
    fine_tuned, head = weights_of(network.encoder), network.head.get_weights()
    _assign(network.encoder, _between(pretrained, fine_tuned))
    try:
        found = solving.resolved(network, replace(task, interruption=WithinTime(task.interruption)), tuned.run)
    except StoppedError:
        found = None
    name = task.hyperparameters.eval_metric
    before = evaluate.rank(tuned.run.metrics, name)
    is_better = found is not None and evaluate.rank(found.run.metrics, name) > before
    log.info(
        "event=interpolated fine_tuned_share=%.1f better=%s seconds=%.1f", FINE_TUNED_SHARE, is_better,
        time.monotonic() - started,
    )  # fmt: skip
    if found is not None and is_better:
        return replace(found, report={**found.report, "fine_tuned_share": FINE_TUNED_SHARE})
    _assign(network.encoder, fine_tuned)
    network.head.set_weights(head)
    return None


def _between(pretrained: Weights, fine_tuned: Weights) -> Weights:
    share = np.float32(FINE_TUNED_SHARE)
    return [(1 - share) * before + share * after for before, after in zip(pretrained, fine_tuned, strict=True)]


def _assign(encoder: Encoder, weights: Weights) -> None:
    for variable, value in zip(encoder.layer.trainable_variables, weights, strict=True):
        variable.assign(value)
