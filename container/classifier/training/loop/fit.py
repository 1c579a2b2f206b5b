"""The training loop."""

import itertools
import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray

from classifier.errors import UserError
from classifier.hyperparameters import Hyperparameters
from classifier.training import evaluate, hardware
from classifier.training.cluster import Cluster
from classifier.training.interruption import Interruption, StoppedError
from classifier.training.loop import batches, step
from classifier.training.loop.batches import Rows
from classifier.training.loop.checkpoint import SECONDS_BETWEEN_CHECKPOINTS, Folder
from classifier.training.loop.optimizers import LearningRate, build_optimizer
from classifier.training.loop.progress import Metrics, Run, Watch, log_epoch
from classifier.training.loop.resumption import captured, resumed
from classifier.training.loop.scoring import EvaluationSplit, Scores, score_some, score_unless_stopped
from classifier.training.standard_files.tensorboard import EpochEvents

log = logging.getLogger(__name__)

STEPS_BETWEEN_LOOKS_ON_GPU = 8  # reading a sum waits for the GPU


@dataclass(frozen=True)
class FitSpec:
    """What is trained, on which rows, and how.

    Attributes:
        model: A tf_keras model that maps the rows' inputs to logits, float32[batch, labels].
        inference: The same model in inference mode.
        training: The training rows: all of them, or, if ``sharded``, this host's.
        validation: The rows whose metrics decide which epoch is kept.
        learning_rate: The learning rate and its schedule.
        learning_rate_multipliers: Variables and their learning-rate multipliers; for all other variables it is 1.
        sharded: Whether each host has training rows of its own.
        initialize: Sets weights before the first step of a run that is not resumed.
    """

    model: Any
    inference: evaluate.Compute
    training: Rows
    validation: EvaluationSplit
    learning_rate: LearningRate
    learning_rate_multipliers: Sequence[tuple[tf.Variable, float]] = ()
    sharded: bool = False
    initialize: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class RunContext:
    """The environment of a run.

    Attributes:
        cluster: The hosts and devices.
        checkpoints: The checkpoints that the run is resumed from and writes.
        interruption: Tells whether the job was told to stop.
        events: The event files of the chief; other hosts write none.
    """

    cluster: Cluster
    checkpoints: Folder
    interruption: Interruption
    events: EpochEvents = field(default_factory=EpochEvents)

    def stop_requested(self) -> bool:
        """Return whether any host was told to stop; all hosts must call it at the same point."""
        return self.cluster.any(self.interruption.requested())


def fit(fit_spec: FitSpec, hyperparameters: Hyperparameters, run_context: RunContext) -> Run:
    """Train the model, and set its weights to those of the best epoch.

    The best epoch is the one with the highest ``eval_metric`` on the validation rows, and among equals the one with the
    lowest validation loss. Without validation rows, it is the last epoch.

    Args:
        fit_spec: What to train.
        hyperparameters: The job's hyperparameters.
        run_context: The hosts, the checkpoints, and what tells the run to stop.

    Returns:
        The finished run, with the metrics of all epochs.

    Raises:
        UserError: The loss is not finite, or the job was stopped before its first step.
    """
    cluster = run_context.cluster
    steps = _steps_per_epoch(fit_spec, hyperparameters.batch_size, cluster)
    _log_plan(fit_spec.learning_rate, hyperparameters, steps)
    with cluster.strategy.scope():
        optimizer = build_optimizer(hyperparameters, fit_spec.learning_rate, steps, fit_spec.learning_rate_multipliers)
        if tf_keras.mixed_precision.global_policy().name == "mixed_float16":
            optimizer = tf_keras.mixed_precision.LossScaleOptimizer(optimizer)
        optimizer.build(fit_spec.model.trainable_variables)
    run = resumed(fit_spec.model, optimizer, run_context.checkpoints, cluster)
    if not run.epoch and not run.step:
        fit_spec.initialize()
    loop = _loop(fit_spec, hyperparameters, optimizer, run_context, run, steps)
    while run.epoch < hyperparameters.epochs and not _has_stopped_improving(run.history, hyperparameters):
        if run_context.stop_requested() or not _epoch(
            loop, fit_spec, hyperparameters, Watch(run, hyperparameters.epochs, steps)
        ):
            break
    if not run.weights:
        raise StoppedError
    fit_spec.model.set_weights(run.weights)
    return run


def _epoch(loop: "_Loop", fit_spec: FitSpec, hyperparameters: Hyperparameters, watch: Watch) -> bool:
    """Train and score one epoch, and keep its weights if they are the best; return whether the run continues."""
    run, cluster = watch.run, loop.run_context.cluster
    finished = loop.train_epoch(watch)
    if not finished and run.weights:
        return False
    metrics = watch.metrics()
    stop = loop.run_context.interruption
    scores = None
    if finished or not cluster.any(stop.told_to_stop()):  # where the time is over, some is kept for scoring
        scores = score_unless_stopped(fit_spec.inference, fit_spec.validation, cluster, stop)
    if finished and scores is None:
        loop.save()  # all steps of the epoch are done, so a resumed run starts with the scoring
    if scores is None and run.weights:
        return False
    some = scores or score_some(fit_spec.inference, fit_spec.validation, cluster, hyperparameters.seed)
    _keep_best(run, fit_spec, hyperparameters, metrics, some)
    if cluster.is_chief:
        log_epoch(metrics, watch)
        loop.run_context.events.write(run.history)
    if finished and scores is not None:
        loop.save()
    return finished and scores is not None


@dataclass(frozen=True)
class _Loop:
    """The parts of the training loop that don't change from epoch to epoch."""

    model: Any
    optimizer: Any
    step: step.Step
    elements: Iterator[Any]
    run_context: RunContext
    run: Run
    steps_between_looks: int

    def train_epoch(self, watch: Watch) -> bool:
        """Take the remaining steps of an epoch; return False if the run was told to stop."""
        pending = tf.zeros(5)
        while self.run.step < watch.steps:
            stop = float(self.run_context.interruption.requested())
            pending += self.step(next(self.elements), tf.constant(stop))
            self.run.step += 1
            if self.run.step % self.steps_between_looks and self.run.step < watch.steps:
                continue
            sums, pending = pending.numpy(), tf.zeros(5)
            self.run.sums += sums
            self._check(watch)
            if sums[step.STOP]:
                self.save()
                return False
            watch.line()
            if time.monotonic() - watch.last_checkpoint > SECONDS_BETWEEN_CHECKPOINTS:
                watch.last_checkpoint = time.monotonic()
                self.save()
        return True

    def save(self) -> None:
        """Write a checkpoint, if this host is the chief."""
        if self.run_context.cluster.is_chief:
            self.run_context.checkpoints.save(captured(self.model, self.optimizer, self.run))

    def _check(self, watch: Watch) -> None:
        if not math.isfinite(self.run.sums[step.LOSS]):
            raise _diverged(f"epoch {self.run.epoch + 1} of {watch.epochs}, step {self.run.step}")


def _loop(
    fit_spec: FitSpec, hyperparameters: Hyperparameters, optimizer: Any, run_context: RunContext, run: Run, steps: int
) -> _Loop:
    cluster = run_context.cluster
    spec, elements = fed(fit_spec.training, _batches(fit_spec, hyperparameters, cluster, run, steps), cluster)
    texts = fit_spec.training.inputs.signature.dtype == tf.string
    jit_compile = hyperparameters.jit_compile == "true" and cluster.replicas == 1 and not texts
    if hyperparameters.jit_compile == "true" and not jit_compile:
        log.warning(
            "event=plan note='jit_compile has no effect: XLA compiles neither strings nor steps of several replicas'"
        )
    loss = step.Loss(hyperparameters.label_smoothing)
    function = step.build_step(fit_spec.model, optimizer, loss, cluster, spec, jit_compile=jit_compile)
    looks = STEPS_BETWEEN_LOOKS_ON_GPU if hardware.has_gpu() else 1
    return _Loop(fit_spec.model, optimizer, function, elements, run_context, run, looks)


def fed(rows: Rows, order: Iterator[NDArray[np.int64]], cluster: Cluster) -> tuple[Any, Iterator[Any]]:
    """Return the spec of the elements, and an iterator over them, prefetched where that is faster."""
    if cluster.replicas == 1 and not hardware.has_gpu():
        return batches.signature(rows), batches.one_by_one(rows, order)
    distributed = cluster.strategy.distribute_datasets_from_function(
        lambda _: batches.endless(rows, order, cluster.replicas_here),
        tf.distribute.InputOptions(experimental_fetch_to_device=rows.inputs.signature.dtype != tf.string),
    )
    return distributed.element_spec, iter(distributed)


def _rows_per_step(batch_size: int, cluster: Cluster) -> int:
    """Return the number of this host's rows in a step, where each host has rows of its own."""
    return max(1, batch_size // len(cluster.hosts))


def _steps_per_epoch(fit_spec: FitSpec, batch_size: int, cluster: Cluster) -> int:
    if not fit_spec.sharded:
        return math.ceil(len(fit_spec.training.inputs) / batch_size)
    here = math.ceil(len(fit_spec.training.inputs) / _rows_per_step(batch_size, cluster))
    return max(int(content) for content in cluster.all_gather(str(here).encode()))


def _batches(
    fit_spec: FitSpec, hyperparameters: Hyperparameters, cluster: Cluster, run: Run, steps: int
) -> Iterator[NDArray[np.int64]]:
    """Yield this host's part of every batch, from the run's current step on, without end."""
    inputs, first = fit_spec.training.inputs, run.step
    for epoch in itertools.count(run.epoch):
        if fit_spec.sharded:
            seed = [hyperparameters.seed, epoch, cluster.rank]
            order = batches.shuffled(inputs, _rows_per_step(hyperparameters.batch_size, cluster), seed)
            order += [np.zeros(0, np.int64)] * (steps - len(order))
        else:
            order = batches.shuffled(inputs, hyperparameters.batch_size, [hyperparameters.seed, epoch])
            order = [batches.dealt(batch, len(cluster.hosts))[cluster.rank] for batch in order]
        yield from order[first:]
        first = 0


def _keep_best(run: Run, fit_spec: FitSpec, hyperparameters: Hyperparameters, metrics: Metrics, scores: Scores) -> None:
    """Record the metrics of the finished epoch, and keep its weights if they are the best so far."""
    run.epoch, run.step, run.sums = run.epoch + 1, 0, np.zeros(5)
    if len(scores.rows):
        if not np.isfinite(scores.probabilities).all():
            raise _diverged(f"epoch {run.epoch} of {hyperparameters.epochs}")
        targets = fit_spec.validation.targets[scores.rows]
        metrics.update(evaluate.metrics(scores.probabilities, targets, hyperparameters.eval_metric))
    run.history.append(metrics)
    if not run.weights or evaluate.rank(metrics, hyperparameters.eval_metric) >= evaluate.rank(
        run.metrics, hyperparameters.eval_metric
    ):
        run.best, run.weights, run.metrics = run.epoch, fit_spec.model.get_weights(), metrics
        run.scores = scores


def _has_stopped_improving(history: Sequence[Metrics], hyperparameters: Hyperparameters) -> bool:
    """Return whether early stopping is on and due."""
    if not hyperparameters.early_stopping:
        return False
    best, waited = -math.inf, 0
    for metrics in history:
        value = metrics[f"val_{hyperparameters.eval_metric}"]
        improved = value > best + hyperparameters.early_stopping_min_delta
        best, waited = (value, 0) if improved else (best, waited + 1)
    due = waited >= hyperparameters.early_stopping_patience
    if due:
        log.info(
            "event=early_stopping note='val_%s has not improved in %d epochs'", hyperparameters.eval_metric, waited
        )
    return due


def _diverged(where: str) -> UserError:
    return UserError(
        f"training diverged: the loss is not finite in {where}; lower learning_rate, or set gradient_clip_norm=1"
    )


def _log_plan(rate: LearningRate, hyperparameters: Hyperparameters, steps: int) -> None:
    log.info(
        "event=plan epochs=%d steps_per_epoch=%d optimizer=%s learning_rate=%.8f learning_rate_from=%r schedule=%s",
        hyperparameters.epochs, steps, hyperparameters.optimizer, rate.peak, rate.reason, rate.schedule,
    )  # fmt: skip
