"""The outcome of training: a calibrated model with its metrics."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from classifier.artifact import Label
from classifier.hyperparameters import Hyperparameters
from classifier.training import abstention, calibration, evaluate
from classifier.training.abstention import Predicted, Thresholds
from classifier.training.context import JobContext
from classifier.training.data import Data, Split
from classifier.training.export import Trained
from classifier.training.interruption import Interruption, StoppedError
from classifier.training.loop import batches
from classifier.training.loop.progress import Metrics
from classifier.training.loop.scoring import EvaluationSplit, score_unless_stopped
from classifier.training.model import softmax
from classifier.training.solving import ScoredNetwork
from classifier.training.standard_files.statistics import Predictions
from classifier.training.suspect_labels import Suspects

log = logging.getLogger(__name__)

ROWS_CHECKED_WITHOUT_VALIDATION = 64


class Answer(Protocol):
    """Maps records to a model's probabilities."""

    def __call__(self, records: Sequence[Any], interruption: Interruption | None = None) -> NDArray[np.float32]:
        """Return the probabilities, float32[records, labels].

        Raises:
            StoppedError: The interruption was requested.
        """
        ...


@dataclass(frozen=True)
class Outcome:
    """The result of training.

    Attributes:
        trained: The model of the best epoch.
        history: The metrics of every epoch.
        reports: What ``evaluation.json`` has of the splits ``validation`` and ``test``, where these have rows: the
            metrics of each label, ``calibration`` and ``abstention``.
        answer: Maps records to the model's probabilities, float32[records, labels].
        hyperparameters: The job's hyperparameters, with the number of epochs that was chosen.
        thresholds: Those below which no label is answered; None without ``target_precision``.
        lengths: Statistics of the texts' lengths; empty for records that are not tokenized here.
        predictions: The predictions that the metrics of each label were computed from, by split.
        suspects: The labelled rows, training rows before validation rows, whose labels are probably wrong; None if they
            were not searched.
    """

    trained: Trained
    history: list[Metrics]
    reports: dict[str, dict[str, Any]]
    answer: Answer
    hyperparameters: Hyperparameters
    thresholds: Thresholds | None = None
    lengths: Mapping[str, Any] = field(default_factory=dict)
    predictions: Mapping[str, Predictions] = field(default_factory=dict)
    suspects: Suspects | None = None


def outcome_of(
    scored: ScoredNetwork,
    rows: Data,
    part: Split,
    evaluation: Mapping[str, EvaluationSplit],
    hyperparameters: Hyperparameters,
    context: JobContext,
) -> Outcome:
    """Calibrate the network and score the test rows.

    Args:
        scored: The network with its scores for the validation rows.
        rows: The job's rows.
        part: This host's part of the validation rows.
        evaluation: The splits ``validation`` and ``test``.
        hyperparameters: The job's hyperparameters.
        context: The job's environment.

    Returns:
        The model with its metrics, and the predictions to verify its export by.
    """
    scored = calibration.calibrated(scored, evaluation["validation"].targets, hyperparameters)
    network, run = scored.network, scored.run

    def answer(records: Sequence[Any], interruption: Interruption | None = None) -> NDArray[np.float32]:
        inputs = batches.tokenize(network.encoder, records, interruption)
        return softmax(evaluate.compute(network.inference, inputs, interruption))

    context.events.close(run.history)
    validation = _judged(scored, evaluation["validation"], rows.labels, hyperparameters)
    checked, probabilities, judged = _checked(answer, scored, rows, part)
    trained = Trained(
        encoder=network.encoder,
        head=network.head,
        metrics=run.metrics,
        checked=checked,
        answers=probabilities,
        smoke_predictions=answer(rows.modality.smoke_inputs()),
        judged=judged,
        ngrams=network.ngrams,
        top_layer=scored.top_layer,
        report=scored.report,
        temperature=network.temperature,
        confidence=validation.confidence,
    )
    outcome = Outcome(
        trained=trained,
        history=run.history,
        reports=validation.reports,
        answer=answer,
        hyperparameters=hyperparameters,
        thresholds=validation.thresholds,
        predictions=validation.predictions,
        suspects=scored.suspects,
    )
    scores = score_unless_stopped(network.inference, evaluation["test"], context.cluster, context.interruption)
    if scores is None or not len(scores.rows):
        return outcome
    return _with_test_rows(outcome, scores.probabilities, evaluation["test"].targets[scores.rows], rows.labels)


@dataclass(frozen=True)
class _Judged:
    """What the validation rows say of a calibrated network; nothing without any that were scored.

    Attributes:
        reports: What ``evaluation.json`` has of them.
        confidence: What the manifest has of calibration and thresholds.
        thresholds: Those below which no label is answered; None without ``target_precision``.
        predictions: The predictions that the metrics were computed from, by split.
    """

    reports: dict[str, dict[str, Any]] = field(default_factory=dict)
    confidence: dict[str, Any] = field(default_factory=dict)
    thresholds: Thresholds | None = None
    predictions: dict[str, Predictions] = field(default_factory=dict)


def _judged(
    scored: ScoredNetwork, split: EvaluationSplit, labels: Sequence[Label], hyperparameters: Hyperparameters
) -> _Judged:
    """Judge a calibrated network by the validation rows, and choose its thresholds."""
    scores = scored.run.scores
    if not len(scores.rows):
        return _Judged()
    predictions = Predictions(scores.probabilities, split.targets[scores.rows])
    predicted = Predicted.of(*predictions)
    target = hyperparameters.target_precision
    thresholds = None if target is None else abstention.choose(predicted, target)
    chosen = {} if thresholds is None else abstention.report(thresholds, predicted, labels)
    reports = {
        "validation": evaluate.report(*predictions, labels),
        "calibration": dict(scored.calibration),
        "abstention": {"curve": abstention.curve(predicted), **chosen},
    }
    confidence = {"calibration": calibration.summary(scored.calibration)} | ({"abstention": chosen} if chosen else {})
    return _Judged(reports, confidence, thresholds, {"validation": predictions})


def tested(outcome: Outcome, rows: Data, interruption: Interruption) -> Outcome:
    """Return the outcome of a job of one host with a report on the test rows, if there are any and no stop comes."""
    if not len(rows.test.records):
        return outcome
    try:
        probabilities = outcome.answer(rows.test.records, interruption)
    except StoppedError:
        log.warning("event=stop note='the test rows are not scored'")
        return outcome
    return _with_test_rows(outcome, probabilities, rows.test.targets, rows.labels)


def _with_test_rows(
    outcome: Outcome, probabilities: NDArray[np.float32], targets: NDArray[np.int32], labels: Sequence[Label]
) -> Outcome:
    """Log the metrics of test rows, and return the outcome with its reports on them."""
    metrics = evaluate.report(probabilities, targets, labels)
    log.info(
        "event=test rows=%d test_accuracy=%.6f test_macro_f1=%.6f",
        len(targets), metrics["accuracy"], metrics["macro_f1"],
    )  # fmt: skip
    reports = {**outcome.reports, "test": metrics}
    if "calibration" in reports:
        off = calibration.scaled(probabilities, 1 / outcome.trained.temperature)
        errors = {
            name: calibration.reliability(each, targets) for name, each in (("before", off), ("after", probabilities))
        }
        reports["calibration"] = reports["calibration"] | {"test": errors}
    if outcome.thresholds is not None:
        answered = abstention.answered(outcome.thresholds, Predicted.of(probabilities, targets))
        reports["abstention"] = reports["abstention"] | {"test": answered}
    predictions = {**outcome.predictions, "test": Predictions(probabilities, targets)}
    return replace(outcome, reports=reports, predictions=predictions)


def _checked(
    answer: Answer, scored: ScoredNetwork, rows: Data, part: Split
) -> tuple[Split, NDArray[np.float32], NDArray[np.float32]]:
    """Return rows of this host with two models' probabilities: of the exported one, and of the one that was judged.

    They are scored validation rows, or else some training rows.
    """
    scores, exported = scored.run.scores, scored.exported
    here = exported.rows < len(part.records)  # the chief's part comes first, and only the chief exports
    if here.any():
        judged = scores.probabilities[np.isin(scores.rows, exported.rows[here])]
        return part.take(exported.rows[here]), exported.probabilities[here], judged
    some = rows.training.take(np.arange(min(ROWS_CHECKED_WITHOUT_VALIDATION, len(rows.training.records))))
    answers = answer(some.records)
    return some, answers, answers
