"""Calibration: a temperature that the logits are divided by, so that of the answers given with 0.8, 8 in 10 are right.

It is fitted to validation rows, with the probabilities of a model that has not learnt from them. As it is positive, no
predicted label changes. Source: Guo et al., "On Calibration of Modern Neural Networks" (2017).
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.hyperparameters import Hyperparameters
from classifier.training import evaluate
from classifier.training.loop.scoring import Scores
from classifier.training.model import softmax
from classifier.training.solving import ScoredNetwork
from classifier.training.temperature import best_temperature

log = logging.getLogger(__name__)

BINS = 15
FEWEST_ROWS = 200  # validation rows
PARTS = 5  # of the validation rows, each of which must confirm what was fitted to the others
MOST_NUMBERS = 3_000_000  # probabilities; of more, a random sample of the rows is used, which takes a few seconds
# Temperatures. A probability that is 0 in float32 is taken for SMALLEST_FLOAT, which is exact enough up to the largest:
# divided by it, the logits of 10,000 such labels add up to a probability of 0.0003.
SMALLEST, LARGEST = 0.1, 5.0
SMALLEST_FLOAT = np.finfo(np.float32).tiny
OFF, TEMPERATURE = "none", "temperature"  # methods


def calibrated(scored: ScoredNetwork, targets: NDArray[np.int32], hyperparameters: Hyperparameters) -> ScoredNetwork:
    """Return a network whose logits are divided by a temperature, with its scores and metrics.

    Args:
        scored: The network, with its scores for validation rows.
        targets: int32[rows], the index of the label of every validation row.
        hyperparameters: The job's hyperparameters.
    """
    scores = scored.run.scores
    if not len(scores.rows):
        _log_none("there are no validation rows")
        return scored
    known = targets[scores.rows]
    rows = _sample(scores.probabilities, hyperparameters.seed)
    probabilities, some = scores.probabilities[rows], known[rows]
    before = after = reliability(probabilities, some)
    temperature = 1.0
    if hyperparameters.calibrate == "false":
        _log_none("calibrate=False")
    elif len(rows) < FEWEST_ROWS:
        _log_none(f"there are fewer than {FEWEST_ROWS} validation rows")
    else:
        apart = _fitted_apart(probabilities, some)
        temperature = _accepted(fit(probabilities, some), probabilities, apart, some)
    if temperature != 1:
        after = reliability(apart, some)
        shown = temperature, before["ece"], after["ece"], len(rows)
        log.info("event=calibration temperature=%.4f ece_before=%.6f ece_after=%.6f rows=%d", *shown)
    report = {
        "method": OFF if temperature == 1 else TEMPERATURE,
        "temperature": temperature,
        "rows": len(rows),
        "validation": {"before": before, "after": after},
    }
    if temperature == 1:
        return replace(scored, calibration=report)
    judged = Scores(scores.rows, scaled(scores.probabilities, temperature))
    exported = Scores(scored.exported.rows, scaled(scored.exported.probabilities, temperature))
    metrics = evaluate.metrics(judged.probabilities, known, hyperparameters.eval_metric)
    run = replace(scored.run, scores=judged, metrics={**scored.run.metrics, **metrics})
    network = replace(scored.network, temperature=temperature)
    return replace(scored, network=network, run=run, exported=exported, calibration=report)


def summary(report: Mapping[str, Any]) -> dict[str, float]:
    """Return what the manifest has of a report of :func:`calibrated`."""
    before, after = (report["validation"][name]["ece"] for name in ("before", "after"))
    return {"temperature": report["temperature"], "ece_before": before, "ece_after": after}


def scaled(probabilities: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Return the probabilities of the same logits divided by a temperature, both float32[rows, labels]."""
    logits = np.log(np.maximum(probabilities, SMALLEST_FLOAT)) / np.float32(temperature)
    return softmax(logits.astype(np.float32, copy=False))


def fit(probabilities: NDArray[np.float32], targets: NDArray[np.int32]) -> float:
    """Return the temperature that suits rows, from :data:`SMALLEST` to :data:`LARGEST`.

    Args:
        probabilities: float32[rows, labels].
        targets: int32[rows], the index of each row's label.
    """
    return best_temperature(np.log(np.maximum(probabilities, SMALLEST_FLOAT)), targets, SMALLEST, LARGEST)


def reliability(probabilities: NDArray[np.float32], targets: NDArray[np.int32]) -> dict[str, Any]:
    """Return the expected calibration error, and the bins that it is a mean over, as a JSON object.

    A bin holds the rows whose highest probability is above ``from`` and at most ``to``; its error is the difference of
    their mean probability, ``confidence``, and their ``accuracy``. Bins without rows are left out.

    Args:
        probabilities: float32[rows, labels], at least one row.
        targets: int32[rows], the index of each row's label.
    """
    confidence, right = probabilities.max(axis=1).astype(np.float64), probabilities.argmax(axis=1) == targets
    bin_of = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    rows, sums, hits = (np.bincount(bin_of, of, BINS) for of in (np.ones(len(targets)), confidence, right))
    bins = [
        {
            "from": index / BINS,
            "to": (index + 1) / BINS,
            "confidence": float(sums[index] / rows[index]),
            "accuracy": float(hits[index] / rows[index]),
            "rows": int(rows[index]),
        }
        for index in np.flatnonzero(rows).tolist()
    ]
    return {"ece": float(np.abs(sums - hits).sum() / len(targets)), "bins": bins}


def _sample(probabilities: NDArray[np.float32], seed: int) -> NDArray[np.int64]:
    """Return the indices of the rows to calibrate by, in a random order."""
    rows, labels = probabilities.shape
    return np.random.default_rng(seed).permutation(rows)[: max(FEWEST_ROWS, MOST_NUMBERS // labels)]


def _fitted_apart(probabilities: NDArray[np.float32], targets: NDArray[np.int32]) -> NDArray[np.float32]:
    """Return the calibrated probabilities of each part of the rows, with the temperature that suits the other parts."""
    apart = np.empty_like(probabilities)
    part_of = np.arange(len(targets)) % PARTS
    for part in range(PARTS):
        here = part_of == part
        apart[here] = scaled(probabilities[here], fit(probabilities[~here], targets[~here]))
    return apart


def _accepted(
    temperature: float, before: NDArray[np.float32], apart: NDArray[np.float32], targets: NDArray[np.int32]
) -> float:
    """Return the temperature, or 1 if it is no plausible one, or does not clearly help rows that it was not fitted to.

    Clearly: the loss falls by more than the standard error of the fall. Without that, the calibration error of 200 rows
    that are calibrated already rose by up to 0.05.
    """
    margin = 1.01
    if not SMALLEST * margin < temperature < LARGEST / margin:
        words = "no temperature helps: the probabilities tell little of which answers are right"
        log.warning("event=calibration temperature=1 note=%r", words)
        return 1.0
    row = np.arange(len(targets))
    old, new = (np.log(np.maximum(each[row, targets], SMALLEST_FLOAT)) for each in (before, apart))
    falls = (new - old).astype(np.float64)
    if falls.mean() <= falls.std() / np.sqrt(len(falls)):
        _log_none("a temperature does not clearly lower the loss of rows that it was not fitted to")
        return 1.0
    return temperature


def _log_none(why: str) -> None:
    log.info("event=calibration temperature=1 note=%r", f"not calibrated: {why}")
