"""The job as a run of MLflow, where the variable MLFLOW_TRACKING_URI is set and the package mlflow is installed.

The model is complete before the run is logged, so that a tracking server can't harm it. The server has a limited time;
after that, the run is written to a folder instead, which ``mlflow migrate-filestore`` imports.
"""

import importlib.util
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from classifier import environment
from classifier.training.standard_files.facts import Facts, figures_of

log = logging.getLogger(__name__)

FOLDER = "mlruns"
ADDRESS, EXPERIMENT = "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"
SECONDS, SECONDS_OF_A_STOPPED_JOB = 60.0, 15.0  # for the whole run
SETTINGS: Mapping[str, str] = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_ALLOW_FILE_STORE": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # it may hold a password
}
MOST_SHOWN = 300  # characters of an error
METRICS_AT_ONCE, PARAMETERS_AT_ONCE = 1000, 100  # the most that the service accepts


@dataclass(frozen=True)
class Point:
    """A metric's value in an epoch; that of the finished model has no epoch of its own, and is the last.

    Attributes:
        name: The metric's name.
        value: Its value.
        epoch: The number of the epoch, from 1.
    """

    name: str
    value: float
    epoch: int


def log_run(facts: Facts, files: Sequence[Path], folder: Path, *, stopped: bool) -> None:
    """Log the job as a run of MLflow, if the job asks for it.

    Args:
        facts: What is known of the model.
        files: Files to keep with the run.
        folder: Where the run is written if the tracking server doesn't take it.
        stopped: Whether the job was told to stop, and has little time left.
    """
    address = environment.variables().get(ADDRESS)
    if not address:
        return
    if importlib.util.find_spec("mlflow") is None:
        log.warning("event=mlflow note='%s is set, but mlflow is not installed, so no run is logged'", ADDRESS)
        return
    environment.set_defaults(SETTINGS)
    seconds = SECONDS_OF_A_STOPPED_JOB if stopped else SECONDS
    problem = _within(seconds, lambda: _write(address, facts, files))
    if not problem:
        log.info("event=mlflow experiment=%r run=%r", _experiment(), facts.job_name)
        return
    log.warning("event=mlflow note=%r", f"the tracking server did not take the run: {problem}; it is in {folder}")
    problem = _within(seconds, lambda: _write(folder.absolute().as_uri(), facts, ()))
    if problem:
        log.warning("event=mlflow note=%r", f"the run could not be written to {folder}: {problem}")


def _within(seconds: float, action: Callable[[], None]) -> str:
    """Run an action, which is left behind if it takes too long.

    Returns:
        What went wrong; empty if nothing did.
    """
    problems = [f"no answer in {seconds:.0f} seconds"]

    def run() -> None:
        try:
            action()
        except Exception as error:  # noqa: BLE001  whatever it is, the job has its model
            problems[0] = _words(error)
        else:
            problems[0] = ""

    thread = threading.Thread(target=run, name="mlflow", daemon=True)
    thread.start()
    thread.join(seconds)
    return problems[0]


def _words(error: Exception) -> str:
    """Return an error in words; without its message if that may repeat a password, which addresses can hold."""
    secret = "@" in environment.variables().get(ADDRESS, "")
    return type(error).__name__ if secret else f"{type(error).__name__}: {' '.join(str(error).split())[:MOST_SHOWN]}"


def _experiment() -> str:
    return environment.variables().get(EXPERIMENT) or "Default"


def _write(address: str, facts: Facts, files: Sequence[Path]) -> None:
    """Write a run with its parameters, metrics and files."""
    import mlflow  # noqa: PLC0415  it takes seconds to import, and may not be installed

    client: Any = mlflow.MlflowClient(tracking_uri=address)
    known = client.get_experiment_by_name(_experiment())
    experiment = client.create_experiment(_experiment()) if known is None else known.experiment_id
    tags = {"image_version": facts.image_version, "encoder": facts.encoder, "data_sha256": facts.data_sha256}
    run = client.create_run(experiment, run_name=facts.job_name, tags=tags)
    run_id, now = run.info.run_id, run.info.start_time
    parameters = [mlflow.entities.Param(*each) for each in facts.shown_hyperparameters.items()]
    for start in range(0, len(parameters), PARAMETERS_AT_ONCE):
        client.log_batch(run_id, params=parameters[start : start + PARAMETERS_AT_ONCE])
    metrics = [mlflow.entities.Metric(each.name, each.value, now, each.epoch) for each in points(facts)]
    for start in range(0, len(metrics), METRICS_AT_ONCE):
        client.log_batch(run_id, metrics=metrics[start : start + METRICS_AT_ONCE])
    for path in files:
        client.log_artifact(run_id, str(path))
    client.set_terminated(run_id)


def points(facts: Facts) -> Iterator[Point]:
    """Yield the metrics of every epoch, and those of the finished model by split, such as ``test_accuracy``."""
    epochs = facts.evaluation["epochs"]
    for epoch, metrics in enumerate(epochs, start=1):
        for name, value in metrics.items():
            yield Point(name, value, epoch)
    for split, report in facts.reports.items():
        for name, value in figures_of(report).items():
            yield Point(f"{split}_{name}", value, len(epochs))
