"""The outcome of training: a model with its metrics, and the files that are written of both."""

import json
import logging
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier import artifact, report, resources
from classifier.artifact import Label
from classifier.environment import Environment
from classifier.hyperparameters import Hyperparameters
from classifier.report import EVALUATION, EXAMPLES, MISCLASSIFIED
from classifier.training import (
    abstention,
    calibration,
    data_summary,
    evaluate,
    examples,
    hardware,
    suspect_labels,
    warm_start,
)
from classifier.training.abstention import Predicted, Thresholds
from classifier.training.context import JobContext
from classifier.training.data import Data, Split
from classifier.training.export import Trained, export
from classifier.training.loop import batches
from classifier.training.loop.progress import Metrics
from classifier.training.loop.scoring import EvaluationSplit, score_unless_stopped
from classifier.training.model import softmax
from classifier.training.solving import ScoredNetwork
from classifier.training.suspect_labels import Suspects

log = logging.getLogger(__name__)

ROWS_CHECKED_WITHOUT_VALIDATION = 64

Answer = Callable[[Sequence[Any]], NDArray[np.float32]]


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

    def answer(records: Sequence[Any]) -> NDArray[np.float32]:
        return softmax(evaluate.compute(network.inference, batches.tokenize(network.encoder, records)))

    reports, manifest, thresholds = {}, {}, None
    if len(run.scores.rows):
        targets = evaluation["validation"].targets[run.scores.rows]
        reports["validation"] = evaluate.report(run.scores.probabilities, targets, rows.labels)
        reports["calibration"] = dict(scored.calibration)
        manifest["calibration"] = calibration.summary(scored.calibration)
        predicted = Predicted.of(run.scores.probabilities, targets)
        reports["abstention"] = {"curve": abstention.curve(predicted)}
        if hyperparameters.target_precision is not None:
            thresholds = abstention.choose(predicted, hyperparameters.target_precision)
            manifest["abstention"] = abstention.report(thresholds, predicted, rows.labels)
            reports["abstention"] |= manifest["abstention"]
    checked, probabilities, judged = _checked(answer, scored, rows, part)
    smoke_predictions = answer(rows.modality.smoke_inputs())
    trained = Trained(
        network.encoder,
        network.head,
        run.metrics,
        checked,
        probabilities,
        smoke_predictions,
        judged,
        network.ngrams,
        scored.top_layer,
        scored.report,
        network.temperature,
        manifest,
    )
    outcome = Outcome(trained, run.history, reports, answer, hyperparameters, thresholds, suspects=scored.suspects)
    scores = score_unless_stopped(network.inference, evaluation["test"], context.cluster, context.interruption)
    if scores is None or not len(scores.rows):
        return outcome
    return _with_test_rows(outcome, scores.probabilities, evaluation["test"].targets[scores.rows], rows.labels)


def tested(outcome: Outcome, rows: Data) -> Outcome:
    """Return the outcome of a job of one host with a report on the test rows, if there are any."""
    if not len(rows.test.records):
        return outcome
    return _with_test_rows(outcome, outcome.answer(rows.test.records), rows.test.targets, rows.labels)


def finish(environ: Environment, outcome: Outcome, rows: Data, context: JobContext, began: float) -> None:
    """Write the model, its metrics and the report on the chief; no host returns before that is done.

    Args:
        environ: The files of the job.
        outcome: The result of training.
        rows: This host's rows.
        context: The job's environment.
        began: When training began, as :func:`time.monotonic` gives it.
    """
    if context.cluster.is_chief:
        ended = time.monotonic()
        _write_evaluation(environ.output_data_folder, outcome, rows)
        if context.previous is not None and not context.interruption.requested():
            warm_start.compare(context.previous, rows, outcome.answer)
        exported = export(environ.model_folder, outcome.trained, rows, outcome.hyperparameters, context.interruption)
        seconds = {
            "preparation": round(began - context.started, 1),
            "training": round(ended - began, 1),
            "export": round(time.monotonic() - ended, 1),
        }
        _add_cost(environ, seconds, exported.manifest["answers_per_second"])
        _report(environ, outcome, rows, context)
    context.cluster.all_gather(b"done")


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
    return replace(outcome, reports=reports)


def _checked(
    answer: Answer, scored: ScoredNetwork, rows: Data, part: Split
) -> tuple[Split, NDArray[np.float32], NDArray[np.float32]]:
    """Return rows of this host with two models' probabilities: of the exported one, and of the one that was judged.

    They are scored validation rows, or else some training rows.
    """
    scores = scored.run.scores
    here = scores.rows < len(part.records)  # the chief's part comes first, and only the chief exports
    if here.any():
        return part.take(scores.rows[here]), scored.exported.probabilities[here], scores.probabilities[here]
    some = rows.training.take(np.arange(min(ROWS_CHECKED_WITHOUT_VALIDATION, len(rows.training.records))))
    answers = answer(some.records)
    return some, answers, answers


def _write_evaluation(folder: Path, outcome: Outcome, rows: Data) -> None:
    """Write ``evaluation.json`` and the lists of wrong answers and suspect labels, if any; remove an earlier report."""
    report.remove(folder)
    with resources.room_for("the model's metrics", folder):
        folder.mkdir(parents=True, exist_ok=True)
        content = {"epochs": outcome.history, "best": outcome.trained.metrics, **outcome.reports}
        chosen = dict(outcome.trained.report)
        content |= {"baseline": chosen.pop("baseline")} if "baseline" in chosen else {}
        content |= {"top_layer": chosen} if chosen else {}
        content["data"] = data_summary.summary(rows, outcome.lengths)
        if outcome.suspects is not None:
            content["suspect_labels"] = outcome.suspects.report
            table = outcome.suspects.table(rows.training, rows.validation, rows.labels)
            artifact.write_whole(folder / suspect_labels.FILE, table.to_csv(index=False))
        artifact.write_json(folder / EVALUATION, content)
        if "validation" in outcome.reports:
            table = evaluate.misclassified(outcome.trained.checked, outcome.trained.judged, rows.labels)
            artifact.write_whole(folder / MISCLASSIFIED, table.to_csv(index=False))


def _add_cost(environ: Environment, seconds: Mapping[str, float], answers_per_second: Mapping[str, float]) -> None:
    """Add what the job took to ``evaluation.json``, which was written before that was known, and is kept if that fails.

    Args:
        environ: The files of the job.
        seconds: The seconds of each phase of this run.
        answers_per_second: The answers per second of each engine.
    """
    path = environ.output_data_folder / EVALUATION
    cost = {
        "seconds": seconds,
        "instance_type": environ.instance_type or None,
        "hosts": len(environ.hosts),
        "processors": resources.processors(),
        "gpus": len(hardware.capabilities()),
        "answers_per_second": answers_per_second,
    }
    new = path.with_name(f".{EVALUATION}")
    try:
        artifact.write_json(new, {**json.loads(path.read_text(encoding="utf-8")), "cost": cost})
    except OSError as error:  # a full disk
        log.warning("event=cost note=%r", f"not written to {EVALUATION}: {error.strerror}")
        return
    new.replace(path)


def _report(environ: Environment, outcome: Outcome, rows: Data, context: JobContext) -> None:
    """Write the report, if the job asks for it and has time; without one, the job has all that matters."""
    hyperparameters, folder = outcome.hyperparameters, environ.output_data_folder
    if not hyperparameters.report:
        return
    if context.interruption.requested():
        log.info("event=report note='not written: the job was told to stop'")
        return
    started = time.monotonic()
    try:
        if hyperparameters.report_examples and "validation" in outcome.reports:
            wrong = evaluate.misclassified(outcome.trained.checked, outcome.trained.judged, rows.labels)
            artifact.write_json(folder / EXAMPLES, {"validation": examples.worst(outcome.trained.checked, wrong)})
        path = report.write(folder, environ.model_folder)
    except Exception as error:  # noqa: BLE001  its message may quote a text, so only its type and traceback are logged
        locations = "".join(traceback.format_tb(error.__traceback__))
        log.warning(
            "event=report note='not written; the model is complete' error=%s\n%s", type(error).__name__, locations
        )
        return
    log.info("event=report file=%s bytes=%d seconds=%.1f", path.name, path.stat().st_size, time.monotonic() - started)
