"""Evaluation splits, and a model's probabilities for their rows, gathered from all hosts."""

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

ROWS_SCORED_WHEN_STOPPED = 64  # enough to verify the export, and few enough for the 120 seconds that are left


@dataclass(frozen=True)
class EvaluationSplit:
    """Validation or test rows, distributed over the hosts; may be empty.

    Attributes:
        inputs: The inputs of this host's rows.
        targets: int32[rows], the index of the label of every row, host after host.
        start: The index of this host's first row.
    """

    inputs: Inputs
    targets: NDArray[np.int32]
    start: int = 0


@dataclass(frozen=True)
class Scores:
    """A model's probabilities for rows of an evaluation split.

    Attributes:
        rows: int64[rows], the indices of the rows in the split.
        probabilities: float32[rows, labels].
    """

    rows: NDArray[np.int64]
    probabilities: NDArray[np.float32]


def evaluation_split(inputs: Inputs, targets: NDArray[np.int32], cluster: Cluster) -> EvaluationSplit:
    """Return the evaluation split of all hosts.

    Args:
        inputs: The inputs of this host's rows.
        targets: int32[rows], the indices of their labels.
        cluster: The hosts.
    """
    parts = [np.frombuffer(content, np.int32) for content in cluster.all_gather(targets.astype(np.int32).tobytes())]
    return EvaluationSplit(inputs, np.concatenate(parts), sum(len(part) for part in parts[: cluster.rank]))


def score_unless_stopped(
    infer: evaluate.Compute, split: EvaluationSplit, cluster: Cluster, interruption: Interruption
) -> Scores | None:
    """Score all rows of a split.

    Args:
        infer: Maps inputs to logits, float32[batch, labels].
        split: The rows.
        cluster: The hosts, each of which scores its own rows.
        interruption: Tells whether the job was told to stop.

    Returns:
        The scores; None if a host was told to stop before it had scored its rows.
    """
    logits: NDArray[np.float32] | None = None
    try:
        logits = evaluate.compute(infer, split.inputs, interruption)
    except StoppedError:
        log.warning("event=stop note='not all rows are scored'")
    if cluster.any(logits is None) or logits is None:
        return None
    return gathered(np.arange(len(split.inputs)), logits, split, cluster)


def score_some(infer: evaluate.Compute, split: EvaluationSplit, cluster: Cluster, seed: int) -> Scores:
    """Score a random sample of a split, small enough for a job that was told to stop."""
    most = max(1, ROWS_SCORED_WHEN_STOPPED // len(cluster.hosts))
    count = min(most, len(split.inputs))
    here = np.sort(np.random.default_rng(seed).choice(len(split.inputs), count, replace=False))
    log.warning("event=stop note='scored on %d validation rows only'", count)
    return gathered(here, evaluate.compute(infer, split.inputs.some(here)), split, cluster)


def gathered(rows: NDArray[np.int64], logits: NDArray[np.float32], split: EvaluationSplit, cluster: Cluster) -> Scores:
    """Return the scores of all hosts.

    Args:
        rows: int64[rows], the indices of this host's scored rows among its rows.
        logits: float32[rows, labels], their logits.
        split: The split.
        cluster: The hosts.
    """
    content = save({"rows": rows + split.start, "logits": logits})
    parts = [part for part in map(load, cluster.all_gather_large(content)) if len(part["rows"])]
    if not parts:
        return Scores(np.zeros(0, np.int64), np.zeros((0, 0), np.float32))
    return Scores(
        np.concatenate([part["rows"] for part in parts]), softmax(np.concatenate([part["logits"] for part in parts]))
    )
