"""The state of a run, and the log of its progress."""

import logging
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.training.loop import step
from classifier.training.loop.scoring import Scores

log = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 20.0

Metrics = dict[str, float]


@dataclass
class Run:
    """The state of a run.

    Attributes:
        epoch: The number of finished epochs.
        step: The number of finished steps of the current epoch.
        sums: The sums over those steps, float64[5], in the order of :mod:`classifier.training.loop.step`.
        history: The metrics of every finished epoch.
        best: The number of the best epoch, from 1; 0 before there is one.
        weights: The weights of the best epoch.
        scores: The probabilities of the best epoch for the validation rows.
        metrics: The metrics of the best epoch.
    """

    epoch: int = 0
    step: int = 0
    sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros(5))
    history: list[Metrics] = field(default_factory=list)
    best: int = 0
    weights: list[NDArray[Any]] = field(default_factory=list)
    scores: Scores = field(default_factory=lambda: Scores(np.zeros(0, np.int64), np.zeros((0, 0), np.float32)))
    metrics: Metrics = field(default_factory=dict)


class Watch:
    """Measures one epoch of a run, and logs its progress from time to time."""

    def __init__(self, run: Run, epochs: int, steps: int) -> None:
        self.run = run
        self.epochs = epochs
        self.steps = steps
        self.rows_before = float(run.sums[step.ROWS])
        self.started = self.last_line = self.last_checkpoint = time.monotonic()

    @property
    def seconds(self) -> float:
        """The seconds that this epoch has taken in this process."""
        return time.monotonic() - self.started

    @property
    def share_done(self) -> float:
        """The share of the whole run that is done, from 0 to 1."""
        return (self.run.epoch + self.run.step / self.steps) / self.epochs

    def metrics(self) -> Metrics:
        """Return the metrics of the epoch's training rows so far."""
        sums = self.run.sums
        return {
            "loss": float(sums[step.LOSS] / max(sums[step.WEIGHT], 1e-12)),
            "accuracy": float(sums[step.RIGHT] / max(sums[step.ROWS], 1.0)),
            "examples_per_second": float(sums[step.ROWS] - self.rows_before) / max(self.seconds, 1e-9),
        }

    def line(self) -> None:
        """Log the progress, at most every :data:`SECONDS_BETWEEN_LINES`."""
        if time.monotonic() - self.last_line < SECONDS_BETWEEN_LINES:
            return
        self.last_line = time.monotonic()
        log.info(
            "event=progress epoch=%d/%d step=%d/%d done=%.1f%% average_loss=%.6f",
            self.run.epoch + 1, self.epochs, self.run.step, self.steps, 100 * self.share_done, self.metrics()["loss"],
        )  # fmt: skip


def in_both_forms(metrics: Metrics) -> tuple[str, str]:
    """Return metrics in the two forms that published metric definitions match (contract T70 to T72)."""
    equals = " ".join(f"{name}={value:.6f}" for name, value in metrics.items())
    return equals, " - ".join(f"{name}: {value:.6f}" for name, value in metrics.items())


def log_epoch(metrics: Metrics, watch: Watch) -> None:
    """Log the metrics of the epoch that has just finished."""
    equals, colons = in_both_forms(metrics)
    log.info(
        "event=epoch epoch=%d/%d %s seconds=%.1f done=%.1f%%",
        watch.run.epoch, watch.epochs, equals, watch.seconds, 100 * watch.share_done,
    )  # fmt: skip
    log.info("Epoch %d - %s", watch.run.epoch, colons)


def log_solved(metrics: Metrics) -> None:
    """Log the metrics of a top layer that was solved, as those of a single epoch."""
    equals, colons = in_both_forms(metrics)
    log.info("event=epoch epoch=1/1 %s", equals)
    log.info("Epoch 1 - %s", colons)
