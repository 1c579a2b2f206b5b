"""Rows a model is scored on, and their probabilities, gathered from all hosts."""

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from classifier.training import evaluate
from classifier.training.cluster import Cluster
from classifier.training.interruption import Interruption, StoppedError
from classifier.training.loop.batches import Inputs
from classifier.training.model import softmax

log = logging.getLogger(__name__)

ROWS_SCORED_WHEN_STOPPED = 64  # enough to check the export with, few enough for the 120 seconds there are


@dataclass(frozen=True)
class EvaluationSplit:
    """Rows that are not trained on; may be none.

    Attributes:
        inputs: This host's part of them.
        targets: int32[rows], the labels of all hosts' parts, host after host.
        start: Where this host's part begins.
    """

    inputs: Inputs
    targets: NDArray[np.int32]
    start: int = 0


@dataclass(frozen=True)
class Scores:
    """Answers for held rows.

    Attributes:
        rows: Which of them, int64[rows].
        probabilities: float32[rows, labels].
    """

    rows: NDArray[np.int64]
    probabilities: NDArray[np.float32]


def evaluation_split(inputs: Inputs, targets: NDArray[np.int32], cluster: Cluster) -> EvaluationSplit:
    """Put the labels of all hosts' parts together."""
    parts = [np.frombuffer(content, np.int32) for content in cluster.all_gather(targets.astype(np.int32).tobytes())]
    return EvaluationSplit(inputs, np.concatenate(parts), sum(len(part) for part in parts[: cluster.rank]))


def score_unless_stopped(
    answers: evaluate.Compute, held: EvaluationSplit, cluster: Cluster, interruption: Interruption
) -> Scores | None:
    """Return the answers for all rows, or None if a host is told to stop before it is through.

    Args:
        answers: Inputs to logits.
        held: The rows.
        cluster: The hosts, each of which scores its part.
        interruption: What tells them to stop.
    """
    logits: NDArray[np.float32] | None = None
    try:
        logits = evaluate.compute(answers, held.inputs, interruption)
    except StoppedError:
        log.warning("event=stop note='not all rows are scored'")
    if cluster.any(logits is None) or logits is None:
        return None
    return _gathered(np.arange(len(held.inputs)), logits, held, cluster)


def score_some(answers: evaluate.Compute, held: EvaluationSplit, cluster: Cluster, seed: int) -> Scores:
    """Return the answers for as many rows, drawn at random, as a job that is to stop has time for."""
    most = max(1, ROWS_SCORED_WHEN_STOPPED // len(cluster.hosts))
    count = min(most, len(held.inputs))
    here = np.sort(np.random.default_rng(seed).choice(len(held.inputs), count, replace=False))
    log.warning("event=stop note='scored on %d validation rows only'", count)
    return _gathered(here, evaluate.compute(answers, held.inputs.some(here)), held, cluster)


def _gathered(rows: NDArray[np.int64], logits: NDArray[np.float32], held: EvaluationSplit, cluster: Cluster) -> Scores:
    content = save({"rows": rows + held.start, "logits": logits})
    parts = [part for part in map(load, cluster.all_gather(content)) if len(part["rows"])]
    if not parts:
        return Scores(np.zeros(0, np.int64), np.zeros((0, 0), np.float32))
    return Scores(
        np.concatenate([part["rows"] for part in parts]), softmax(np.concatenate([part["logits"] for part in parts]))
    )
