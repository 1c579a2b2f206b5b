"""How far a run is: what it has come to so far, and the lines of the log that say so."""

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

Figures = dict[str, float]


@dataclass
class Run:
    """What a run has come to.

    Attributes:
        epoch: Epochs done.
        step: Steps done of the one after.
        sums: That epoch's sums so far, float32[5], as :mod:`classifier.training.loop.step` orders them.
        history: The figures of every epoch.
        best: The number of the epoch that is kept, from 1; 0 before there is one.
        weights: That epoch's weights.
        scores: Its answers for the validation rows.
        metrics: Its figures.
    """

    epoch: int = 0
    step: int = 0
    sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros(5))
    history: list[Figures] = field(default_factory=list)
    best: int = 0
    weights: list[NDArray[Any]] = field(default_factory=list)
    scores: Scores = field(default_factory=lambda: Scores(np.zeros(0, np.int64), np.zeros((0, 0), np.float32)))
    metrics: Figures = field(default_factory=dict)


class Watch:
    """Measures one epoch of a run, and says now and then how far it is."""

    def __init__(self, run: Run, epochs: int, steps: int) -> None:
        self.run = run
        self.epochs = epochs
        self.steps = steps
        self.rows_before = float(run.sums[step.ROWS])
        self.started = self.last_line = self.last_checkpoint = time.monotonic()

    @property
    def seconds(self) -> float:
        """Return how long this epoch has lasted, in this process."""
        return time.monotonic() - self.started

    @property
    def share_done(self) -> float:
        """Return how much of the whole run is done, from 0 to 1."""
        return (self.run.epoch + self.run.step / self.steps) / self.epochs

    def figures(self) -> Figures:
        """Return the epoch's figures so far, of the rows trained on."""
        sums = self.run.sums
        return {
            "loss": float(sums[step.LOSS] / max(sums[step.WEIGHT], 1e-12)),
            "accuracy": float(sums[step.RIGHT] / max(sums[step.ROWS], 1.0)),
            "examples_per_second": float(sums[step.ROWS] - self.rows_before) / max(self.seconds, 1e-9),
        }

    def line(self) -> None:
        """Log a line if the last one was long ago."""
        if time.monotonic() - self.last_line < SECONDS_BETWEEN_LINES:
            return
        self.last_line = time.monotonic()
        log.info(
            "event=progress epoch=%d/%d step=%d/%d done=%.1f%% average_loss=%.6f",
            self.run.epoch + 1, self.epochs, self.run.step, self.steps, 100 * self.share_done, self.figures()["loss"],
        )  # fmt: skip


def in_both_forms(figures: Figures) -> tuple[str, str]:
    """Return figures in the two forms that published metric definitions look for (contract T70 to T72)."""
    equals = " ".join(f"{name}={value:.6f}" for name, value in figures.items())
    return equals, " - ".join(f"{name}: {value:.6f}" for name, value in figures.items())


def log_epoch(figures: Figures, watch: Watch) -> None:
    """Log the figures of the epoch that was just done."""
    equals, colons = in_both_forms(figures)
    log.info(
        "event=epoch epoch=%d/%d %s seconds=%.1f done=%.1f%%",
        watch.run.epoch, watch.epochs, equals, watch.seconds, 100 * watch.share_done,
    )  # fmt: skip
    log.info("Epoch %d - %s", watch.run.epoch, colons)
