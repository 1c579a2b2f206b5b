"""The training loop."""

import logging
import math
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tf_keras
from numpy.typing import NDArray

from classifier.errors import UserError
from classifier.hyperparameters import Hyperparameters
from classifier.training import batches, evaluate
from classifier.training.batches import Inputs
from classifier.training.interruption import Interruption, StoppedError
from classifier.training.model import LearningRate, build_optimizer, softmax

log = logging.getLogger(__name__)

SECONDS_BETWEEN_PROGRESS = 20.0
ROWS_SCORED_WHEN_STOPPED = 64  # enough to check the export with, few enough for the 120 seconds there are


@dataclass(frozen=True)
class Rows:
    """Inputs and the index of each one's label, int32[rows]."""

    inputs: Inputs
    targets: NDArray[np.int32]


@dataclass
class Run:
    """What a run has come to.

    Attributes:
        weights: The best model's weights.
        scored: The validation rows it was scored on, int64[rows].
        probabilities: That model's answers for them, float32[rows, labels].
        metrics: That model's figures.
        history: The figures of every epoch.
    """

    weights: list[NDArray[Any]] = field(default_factory=list)
    scored: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    probabilities: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    metrics: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Task:
    """What is to be trained on what.

    Attributes:
        model: A tf_keras model from the rows' inputs to logits, float32[batch, labels].
        training: The rows it learns from.
        validation: The rows that decide which epoch was best; may be none.
        learning_rate: How large its steps are.
    """

    model: Any
    training: Rows
    validation: Rows
    learning_rate: LearningRate


def fit(task: Task, settings: Hyperparameters, interruption: Interruption) -> Run:
    """Train, and leave the model with the weights of its best epoch.

    The best epoch is the one with the highest validation accuracy, of equals the one with the lowest validation loss;
    without validation rows it is the last.

    Raises:
        UserError: The loss is no longer a number, or the job was stopped before its first step.
    """
    steps = math.ceil(len(task.training.inputs) / settings.batch_size)
    _log_plan(task.learning_rate, settings, steps)
    optimizer = build_optimizer(settings.optimizer, task.learning_rate, steps * settings.epochs)
    loss = tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    task.model.compile(optimizer, loss, metrics=["accuracy"])
    answers = evaluate.compiled(task.model, task.validation.inputs)
    run = Run()
    for epoch in range(settings.epochs):
        if interruption.requested():
            break
        watch = _Watch(epoch, settings.epochs, steps, interruption)
        order = batches.shuffled(task.training.inputs, settings.batch_size, [settings.seed, epoch])
        figures = _train_epoch(task, order, watch)
        if interruption.requested() and (run.weights or not watch.steps_done):
            break
        try:
            scored, probabilities = _score(answers, task.validation, interruption)
        except StoppedError:
            if run.weights:
                break
            scored, probabilities = _score_some(answers, task.validation, settings.seed)
        _keep_best(run, task, _Scored(figures, scored, probabilities))
        _log_epoch(figures, watch)
    if not run.weights:
        raise StoppedError
    task.model.set_weights(run.weights)
    return run


class _Watch(tf_keras.callbacks.Callback):  # type: ignore[misc]
    """Looks on after each step: is the loss still a number, is the job to stop, is it time for a line of progress."""

    def __init__(self, epoch: int, epochs: int, steps: int, interruption: Interruption) -> None:
        super().__init__()
        self.epoch = epoch
        self.epochs = epochs
        self.steps = steps
        self.interruption = interruption
        self.steps_done = 0
        self.started = self.last_line = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        loss = float((logs or {}).get("loss", 0.0))
        self.steps_done = batch + 1
        if not math.isfinite(loss):
            raise UserError(
                f"training diverged: the loss is not a number in epoch {self.epoch + 1}, step {batch + 1}; "
                "lower learning_rate"
            )
        if self.interruption.requested():
            self.model.stop_training = True
        if time.monotonic() - self.last_line >= SECONDS_BETWEEN_PROGRESS:
            self.last_line = time.monotonic()
            log.info(
                "event=progress epoch=%d/%d step=%d/%d done=%.1f%% average_loss=%.6f",
                self.epoch + 1, self.epochs, self.steps_done, self.steps, 100 * self.share_done, loss,
            )  # fmt: skip

    @property
    def seconds(self) -> float:
        """Return how long this epoch has lasted."""
        return time.monotonic() - self.started

    @property
    def share_of_epoch(self) -> float:
        """Return how much of this epoch is done, from 0 to 1."""
        return self.steps_done / self.steps

    @property
    def share_done(self) -> float:
        """Return how much of the whole run is done, from 0 to 1."""
        return (self.epoch + self.share_of_epoch) / self.epochs


def _train_epoch(task: Task, order: list[NDArray[np.int64]], watch: _Watch) -> dict[str, float]:
    rows = batches.dataset(task.training.inputs, task.training.targets, order)
    history = task.model.fit(rows, epochs=1, verbose=0, callbacks=[watch]).history
    figures = {name: float(values[-1]) for name, values in history.items()}
    figures["examples_per_second"] = len(task.training.inputs) * watch.share_of_epoch / watch.seconds
    return figures


@dataclass(frozen=True)
class _Scored:
    """An epoch's figures, the validation rows scored, and the probabilities of their labels."""

    figures: dict[str, float]
    rows: NDArray[np.int64]
    probabilities: NDArray[np.float32]


def _score(
    answers: evaluate.Compute, validation: Rows, interruption: Interruption
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return all validation rows' numbers and probabilities, float32[rows, labels].

    Raises:
        StoppedError: The job was told to stop meanwhile.
    """
    if not len(validation.inputs):
        return np.zeros(0, np.int64), np.zeros((0, 0), np.float32)
    return np.arange(len(validation.inputs)), softmax(evaluate.compute(answers, validation.inputs, interruption))


def _score_some(
    answers: evaluate.Compute, validation: Rows, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the numbers and probabilities of as many rows, drawn at random, as a job that is to stop has time for."""
    count = min(ROWS_SCORED_WHEN_STOPPED, len(validation.inputs))
    rows = np.sort(np.random.default_rng(seed).choice(len(validation.inputs), count, replace=False))
    log.warning("event=stop note='scored on %d validation rows only'", count)
    return rows, softmax(evaluate.compute(answers, validation.inputs.some(rows)))


def _keep_best(run: Run, task: Task, epoch: _Scored) -> None:
    if len(epoch.rows):
        targets = task.validation.targets[epoch.rows]
        epoch.figures["val_loss"] = evaluate.cross_entropy(epoch.probabilities, targets)
        epoch.figures["val_accuracy"] = evaluate.accuracy(epoch.probabilities, targets)
    run.history.append(epoch.figures)
    if not run.weights or _rank(epoch.figures) >= _rank(run.metrics):
        run.weights, run.metrics = task.model.get_weights(), epoch.figures
        run.scored, run.probabilities = epoch.rows, epoch.probabilities


def _rank(figures: dict[str, float]) -> tuple[float, float]:
    return figures.get("val_accuracy", 0.0), -figures.get("val_loss", 0.0)


def _log_plan(rate: LearningRate, settings: Hyperparameters, steps: int) -> None:
    log.info(
        "event=plan epochs=%d steps_per_epoch=%d optimizer=%s learning_rate=%.8f learning_rate_from=%r schedule=%s",
        settings.epochs, steps, settings.optimizer, rate.peak, rate.reason,
        "warm-up-then-linear" if rate.scheduled else "constant",
    )  # fmt: skip


def in_both_forms(figures: dict[str, float]) -> tuple[str, str]:
    """Return figures in the two forms that published metric definitions look for (contract T70 to T72)."""
    equals = " ".join(f"{name}={value:.6f}" for name, value in figures.items())
    return equals, " - ".join(f"{name}: {value:.6f}" for name, value in figures.items())


def _log_epoch(figures: dict[str, float], watch: _Watch) -> None:
    equals, colons = in_both_forms(figures)
    log.info(
        "event=epoch epoch=%d/%d %s seconds=%.1f done=%.1f%%",
        watch.epoch + 1, watch.epochs, equals, watch.seconds, 100 * watch.share_done,
    )  # fmt: skip
    log.info("Epoch %d - %s", watch.epoch + 1, colons)
