"""Abstaining: thresholds below which no label is answered, so that enough of the labels that are answered are right.

They are chosen on validation rows, with the probabilities of a model that has not learnt from them. Source: Geifman and
El-Yaniv, "Selective Classification for Deep Neural Networks" (2017).
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier import shares
from classifier.artifact import Label
from classifier.shares import CONFIDENCE

log = logging.getLogger(__name__)

FEWEST_OF_LABEL = 50  # answers with a label, for a threshold of its own
FEWEST_ABOVE = 20  # of these, above that threshold
NOTHING = 1.0  # the threshold that no probability exceeds
CURVE = np.arange(101) / 100  # thresholds


@dataclass(frozen=True)
class Predicted:
    """The predictions for rows whose labels are known, the most probable ones first.

    Attributes:
        labels: int64[rows], the index of each row's most probable label.
        probabilities: float64[rows], the probability of that label.
        right: bool[rows], whether it is correct.
    """

    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    right: NDArray[np.bool_]

    @classmethod
    def of(cls, probabilities: NDArray[np.float32], targets: NDArray[np.int32]) -> "Predicted":
        """Return the predictions of probabilities, float32[rows, labels], for rows whose labels have these indices."""
        labels, top = probabilities.argmax(axis=1), probabilities.max(axis=1).astype(np.float64)
        return cls(labels, top, labels == targets).take(np.argsort(-top, kind="stable"))

    def take(self, rows: NDArray[Any]) -> "Predicted":
        """Return some of the rows, by their indices or a mask."""
        return Predicted(self.labels[rows], self.probabilities[rows], self.right[rows])

    def __len__(self) -> int:
        return len(self.labels)

    def counts(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return how many rows exceed a threshold, for each threshold that matters, and how many of them are right."""
        followed = self.probabilities[:-1] > self.probabilities[1:]
        counts = np.flatnonzero(np.append(followed, [True] * bool(len(self)))) + 1
        return counts.astype(np.int64), np.cumsum(self.right, dtype=np.int64)[counts - 1]

    def above(self, count: int) -> float:
        """Return the threshold that the first ``count`` rows exceed, halfway to the next row; 0 for all rows."""
        return 0.0 if count == len(self) else float(self.probabilities[count - 1 : count + 1].mean())


@dataclass(frozen=True)
class Thresholds:
    """What the highest probability of a record must exceed for its label to be answered.

    Attributes:
        target: The wanted share of right labels among those that are answered.
        general: The threshold of all labels without one of their own.
        of_labels: Thresholds by the indices of labels.
    """

    target: float
    general: float
    of_labels: Mapping[int, float] = field(default_factory=dict)

    def answered(self, rows: Predicted) -> Predicted:
        """Return the rows that are answered."""
        limits = np.full(len(rows), self.general)
        for label, threshold in self.of_labels.items():
            limits[rows.labels == label] = threshold
        return rows.take(rows.probabilities > limits)


def choose(rows: Predicted, target: float) -> Thresholds:
    """Return the lowest thresholds with which the precision is at least a target.

    The general threshold reaches it with 95 % confidence. A label of whose answers many are known, and too many of
    them wrong, gets a higher one, above which enough of them are right.

    Args:
        rows: Validation rows.
        target: The wanted share of right labels among those that are answered.
    """
    counts, right = rows.counts()
    surely = shares.lower_limit(right, counts)
    enough = counts[surely >= target]
    if not len(enough):
        log.warning(
            "event=abstention target_precision=%g note=%r", target,
            f"not reached: on {len(rows)} validation rows, the model's surest answers have a precision of "
            f"{surely.max():.3f} with {CONFIDENCE:.0%} confidence. No label is answered, unless a request has "
            "threshold=0; lower target_precision, or provide more validation rows",
        )  # fmt: skip
        return Thresholds(target, NOTHING)
    general = rows.above(int(enough[-1]))
    answered = Thresholds(target, general).answered(rows)
    of_labels = {}
    for label in np.flatnonzero(np.bincount(answered.labels) >= FEWEST_OF_LABEL).tolist():
        own = answered.take(answered.labels == label)
        if own.right.mean() < target:
            of_labels[label] = _raised(own, target)
    return Thresholds(target, general, of_labels)


def _raised(own: Predicted, target: float) -> float:
    """Return the lowest threshold above which enough of one label's answers are right."""
    counts, right = own.counts()
    enough = counts[(right >= target * counts) & (counts >= FEWEST_ABOVE)]
    return own.above(int(enough[-1])) if len(enough) else NOTHING


def report(thresholds: Thresholds, rows: Predicted, labels: Sequence[Label]) -> dict[str, Any]:
    """Log thresholds, and return them with what becomes of the rows that they were chosen on, as a JSON object."""
    known = answered(thresholds, rows)
    of_labels = {str(labels[index]): threshold for index, threshold in thresholds.of_labels.items()}
    never = sum(threshold == NOTHING for threshold in of_labels.values())
    log.log(
        logging.WARNING if never else logging.INFO,
        "event=abstention target_precision=%g threshold=%.6f labels_with_own_threshold=%d labels_never_answered=%d "
        "rows=%d coverage=%.6f precision=%s",
        thresholds.target, thresholds.general, len(of_labels), never, len(rows), known["coverage"], known["precision"],
    )  # fmt: skip
    return {
        "target_precision": thresholds.target,
        "threshold": thresholds.general,
        "thresholds": of_labels,
        **known,
    }


def answered(thresholds: Thresholds, rows: Predicted) -> dict[str, Any]:
    """Return the share of rows that are answered and the share of these that are right, with 95 % intervals.

    Args:
        thresholds: The thresholds.
        rows: At least one row.
    """
    some = thresholds.answered(rows)
    right = int(some.right.sum())
    return {
        "rows": len(rows),
        "coverage": len(some) / len(rows),
        "coverage_interval": list(shares.interval(len(some), len(rows))),
        "precision": right / len(some) if len(some) else None,
        "precision_interval": list(shares.interval(right, len(some))) if len(some) else None,
    }


def curve(rows: Predicted) -> list[dict[str, float]]:
    """Return coverage and precision for thresholds from 0 on, up to the last one that leaves rows."""
    counts = np.searchsorted(-rows.probabilities, -CURVE, side="left")
    right = np.append(0, np.cumsum(rows.right))[counts]
    points = zip(CURVE[counts > 0].tolist(), counts[counts > 0].tolist(), right[counts > 0].tolist(), strict=True)
    return [
        {"threshold": threshold, "coverage": count / len(rows), "precision": hits / count}
        for threshold, count, hits in points
    ]
