"""What a job writes: its model, its metrics, the report, and the standard files beside them."""

import logging
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from classifier import artifact, report, resources
from classifier.environment import Environment
from classifier.report import EVALUATION, EXAMPLES, MISCLASSIFIED
from classifier.training import data_summary, evaluate, examples, hardware, suspect_labels, warm_start
from classifier.training.context import JobContext
from classifier.training.data import Data
from classifier.training.export import export
from classifier.training.outcome import Outcome
from classifier.training.standard_files import mlflow_run, registry
from classifier.training.standard_files.facts import facts_of
from classifier.training.standard_files.readme import readme

log = logging.getLogger(__name__)


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
        folder, evaluation = environ.output_data_folder, _evaluation(outcome, rows, context)
        mistakes = _mistakes(outcome, rows)
        _write_evaluation(folder, evaluation, mistakes, outcome, rows)
        sharded = "training" in context.sharded
        facts = facts_of(environ, outcome.trained, rows, outcome.hyperparameters, evaluation, sharded=sharded)
        files = registry.write(folder, facts, outcome.predictions)
        if context.previous is not None and not context.interruption.requested():
            scored, judged = outcome.trained.checked, outcome.trained.judged
            warm_start.compare(context.previous, rows, scored, judged, outcome.answer)
        card, settings = readme(facts), outcome.hyperparameters
        exported = export(environ.model_folder, outcome.trained, rows, settings, context.interruption, card)
        seconds = {
            "preparation": round(began - context.started, 1),
            "training": round(ended - began, 1),
            "export": round(time.monotonic() - ended, 1),
        }
        _add_cost(environ, evaluation, seconds, exported.manifest["answers_per_second"])
        _report(environ, outcome, mistakes, context)
        files += [folder / EVALUATION, environ.model_folder / artifact.README_FILE]
        mlflow_run.log_run(facts, files, folder / mlflow_run.FOLDER, stopped=context.interruption.requested())
    context.cluster.all_gather(b"done")


def _evaluation(outcome: Outcome, rows: Data, context: JobContext) -> dict[str, Any]:
    """Return the content of ``evaluation.json``."""
    metric = outcome.hyperparameters.eval_metric
    content = {"epochs": outcome.history, "eval_metric": metric, "best": outcome.trained.metrics, **outcome.reports}
    chosen = dict(outcome.trained.report)
    content |= {"baseline": chosen.pop("baseline")} if "baseline" in chosen else {}
    content |= {"top_layer": chosen} if chosen else {}
    content["data"] = data_summary.summary(rows, outcome.lengths, context.sharded)
    content |= {} if outcome.suspects is None else {"suspect_labels": outcome.suspects.report}
    return content


def _mistakes(outcome: Outcome, rows: Data) -> pd.DataFrame | None:
    """Return the validation rows that the model gets wrong; None without scored validation rows."""
    if "validation" not in outcome.reports:
        return None
    return evaluate.misclassified(outcome.trained.checked, outcome.trained.judged, rows.labels)


def _write_evaluation(
    folder: Path, evaluation: Mapping[str, Any], mistakes: pd.DataFrame | None, outcome: Outcome, rows: Data
) -> None:
    """Write ``evaluation.json`` and the lists of wrong answers and suspect labels, if any; remove an earlier report."""
    report.remove(folder)
    with resources.room_for("the model's metrics", folder):
        folder.mkdir(parents=True, exist_ok=True)
        artifact.write_json(folder / EVALUATION, evaluation)
        for name in (suspect_labels.FILE, MISCLASSIFIED):  # of an earlier job in this folder
            (folder / name).unlink(missing_ok=True)
        if outcome.suspects is not None:
            table = outcome.suspects.table(rows.training, rows.validation, rows.labels)
            artifact.write_whole(folder / suspect_labels.FILE, table.to_csv(index=False))
        if mistakes is not None:
            artifact.write_whole(folder / MISCLASSIFIED, mistakes.to_csv(index=False))


def _add_cost(
    environ: Environment,
    evaluation: Mapping[str, Any],
    seconds: Mapping[str, float],
    answers_per_second: Mapping[str, float],
) -> None:
    """Add what the job took to ``evaluation.json``, which was written before that was known, and is kept if that fails.

    Args:
        environ: The files of the job.
        evaluation: What was written.
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
        artifact.write_json(new, {**evaluation, "cost": cost})
    except OSError as error:  # a full disk
        log.warning("event=cost note=%r", f"not written to {EVALUATION}: {error.strerror}")
        return
    new.replace(path)


def _report(environ: Environment, outcome: Outcome, mistakes: pd.DataFrame | None, context: JobContext) -> None:
    """Write the report, if the job asks for it and has time; without one, the job has all that matters."""
    hyperparameters, folder = outcome.hyperparameters, environ.output_data_folder
    if not hyperparameters.report:
        return
    if context.interruption.requested():
        log.info("event=report note='not written: the job was told to stop'")
        return
    started = time.monotonic()
    try:
        if hyperparameters.report_examples and mistakes is not None:
            artifact.write_json(folder / EXAMPLES, {"validation": examples.worst(outcome.trained.checked, mistakes)})
        path = report.write(folder, environ.model_folder)
    except Exception as error:  # noqa: BLE001  its message may quote a text, so only its type and traceback are logged
        locations = "".join(traceback.format_tb(error.__traceback__))
        log.warning(
            "event=report note='not written; the model is complete' error=%s\n%s", type(error).__name__, locations
        )
        return
    log.info("event=report file=%s bytes=%d seconds=%.1f", path.name, path.stat().st_size, time.monotonic() - started)
