"""Several candidates, the best of which on the validation rows is kept: ``model_id=auto``.

The candidates are trained in the order of their cost. With a time budget, one that would not fit into what is left is
skipped; the whole network gets as many epochs as fit.
"""

import json
import logging
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from classifier import DEFAULT_ENCODER, __version__, artifact, resources
from classifier.artifact import Label
from classifier.encoders import catalog, long_texts
from classifier.encoders.resolve import EncoderFiles, recognised
from classifier.environment import Environment
from classifier.errors import UserError
from classifier.hyperparameters import AUTO_MODEL, LINEAR, STEPWISE, Hyperparameters
from classifier.modalities import Modality
from classifier.report import LEADERBOARD
from classifier.training import evaluate, job, load_encoder, recipe
from classifier.training.context import JobContext
from classifier.training.data import Data
from classifier.training.interruption import StoppedError
from classifier.training.loop import batches
from classifier.training.loop.checkpoint import run_digest
from classifier.training.outcome import Outcome, tested
from classifier.training.output import finish
from classifier.training.standard_files.tensorboard import EpochEvents

log = logging.getLogger(__name__)

FIGURES = ("val_loss", "val_accuracy", "val_macro_f1", "val_auc")  # the last with eval_metric=auc only
ROWS_TIMED = 128
SECONDS_TO_TRACE = 5.0  # at most
# Of the time that is left; the rest is for loading the encoder and for what was estimated too low.
SHARE_OF_EPOCHS = 0.85
TRAINING_TO_ENCODING = 3.5  # the time of a training step to that of encoding the same texts


@dataclass(frozen=True)
class Candidate:
    """What a candidate differs in.

    Attributes:
        name: Its name, for the log and the leaderboard.
        settings: Its hyperparameters.
    """

    name: str
    settings: Mapping[str, Any]


TOP_LAYER = "top layer"
CANDIDATES = (
    Candidate(LINEAR, {"model_id": LINEAR}),
    Candidate(TOP_LAYER, {"model_id": DEFAULT_ENCODER, "train_only_top_layer": True}),
    Candidate("whole network", {"model_id": DEFAULT_ENCODER, "train_only_top_layer": False}),
)


@dataclass(frozen=True)
class Trial:
    """A candidate, and what became of it.

    Attributes:
        name: Its name.
        settings: The hyperparameters in which it differs, beside the model.
        hyperparameters: All of its hyperparameters.
        encoder: The name of its encoder.
        seconds: How long it took.
        note: Why it was skipped or stopped; empty if neither.
        outcome: Its model; None if it has none, or isn't the best.
        metrics: Its metrics on the validation rows.
    """

    name: str
    settings: Mapping[str, Any]
    hyperparameters: Hyperparameters
    encoder: str
    seconds: float = 0.0
    note: str = ""
    outcome: Outcome | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def model(self) -> Outcome:
        """Its model, which it must have."""
        if self.outcome is None:
            raise ValueError(f"{self.name} has no model")
        return self.outcome

    def rank(self) -> tuple[float, float]:
        """Return what a better trial has more of."""
        return evaluate.rank(self.metrics, self.hyperparameters.eval_metric) if self.metrics else (-1.0, -np.inf)


@dataclass(frozen=True)
class Costs:
    """What candidates take, in seconds.

    Attributes:
        encoding: The encoder on one text, at most.
        windows: The mean number of windows of a text, one of which is read in a training step.
        training: The number of training rows.
        scored: The number of validation and test rows.
        linear: What the linear model took, whose n-grams the other candidates learn too.
    """

    encoding: float
    windows: float
    training: int
    scored: int
    linear: float

    @property
    def top_layer(self) -> float:
        """The frozen encoder on all rows, and what is solved."""
        return self.encoding * (self.training + self.scored) + self.linear

    @property
    def epoch(self) -> float:
        """An epoch of the whole network."""
        return self.encoding * (TRAINING_TO_ENCODING * self.training / self.windows + self.scored)


def run(
    environ: Environment,
    rows: Data,
    labels_kept: Sequence[Label],
    hyperparameters: Hyperparameters,
    context: JobContext,
) -> None:
    """Train a model, or candidates for the best one, and write it with its metrics and the leaderboard.

    Args:
        environ: The files of the job.
        rows: This host's rows.
        labels_kept: The first labels, if the top layer's weights for them come from a model that is trained further.
        hyperparameters: The job's hyperparameters.
        context: The job's environment.
    """
    began = time.monotonic()
    if context.cluster.is_chief:
        context = replace(context, events=EpochEvents(environ.tensorboard_folder))
    if hyperparameters.model_id == AUTO_MODEL:
        best, trials = train(rows, hyperparameters, context)
        write(environ.output_data_folder, best, trials)
        finish(environ, best.model, rows, context, began)
    else:
        model = job.train(rows, labels_kept, hyperparameters, context)
        (environ.output_data_folder / LEADERBOARD).unlink(missing_ok=True)  # of an earlier run
        finish(environ, model, rows, context, began)
    budget = hyperparameters.time_budget
    if context.left(budget, share=0) < 0:
        log.warning("event=time_budget seconds=%s note='took %.0f s'", budget, time.monotonic() - context.started)


def train(rows: Data, hyperparameters: Hyperparameters, context: JobContext) -> tuple[Trial, list[Trial]]:
    """Train the candidates.

    Args:
        rows: The job's rows, with validation rows.
        hyperparameters: The job's hyperparameters.
        context: The job's environment, of one host.

    Returns:
        The best trial, with its model, and all trials in their order.

    Raises:
        UserError: No candidate has a model; or, if the first to fail did so by another error, that.
    """
    untested = replace(rows, test=rows.test.take(np.zeros(0, np.int64)))  # only the chosen model is tested
    trials: list[Trial] = []
    best: Trial | None = None
    failures: list[Exception] = []
    suspects = None  # of the last candidate that searched, which knew most of the texts
    for candidate in CANDIDATES:
        trial = _planned(candidate, rows, hyperparameters, context, trials)
        log.info(
            "event=candidate name=%r encoder=%r %s note=%r",
            trial.name, trial.encoder, _shown(trial.settings), trial.note,
        )  # fmt: skip
        if not trial.note:
            trial = _tried(trial, untested, context, failures)
        suspects = trial.outcome.suspects or suspects if trial.outcome else suspects
        if trial.outcome is not None and (best is None or trial.rank() > best.rank()):
            best = trial
        trials.append(replace(trial, outcome=None))
    if best is None:
        notes = "; ".join(f"{trial.name}: {trial.note}" for trial in trials)
        raise (
            failures[0] if failures else UserError(f"hyperparameter model_id=auto: no candidate was trained ({notes})")
        )
    for trial in trials:
        log.info(
            "event=leaderboard model=%r encoder=%r %s seconds=%.1f chosen=%s note=%r",
            trial.name, trial.encoder, _figures(trial), trial.seconds, trial.name == best.name, trial.note,
        )  # fmt: skip
    given = replace(best.model.hyperparameters, suspect_labels=hyperparameters.suspect_labels)
    outcome = replace(tested(best.model, rows, context.interruption), suspects=suspects, hyperparameters=given)
    return replace(best, outcome=outcome), trials


def _planned(
    candidate: Candidate, rows: Data, hyperparameters: Hyperparameters, context: JobContext, trials: Sequence[Trial]
) -> Trial:
    """Return a candidate's trial, with a note if it is skipped."""
    given = {name: getattr(hyperparameters, name) for name in hyperparameters.given}
    settings = {name: value for name, value in candidate.settings.items() if name != "model_id"}
    if candidate.settings["model_id"] == LINEAR and hyperparameters.ngram_features == "false":
        return Trial(candidate.name, settings, hyperparameters, LINEAR, note="skipped: ngram_features=False")
    defaults = catalog.defaults_of(rows.modality, brought=context.channel is not None)
    chosen = Hyperparameters.from_values({**given, **candidate.settings}, defaults)
    if chosen.train_only_top_layer:  # hyperparameters of steps are for the whole network
        chosen = replace(chosen, given=chosen.given - STEPWISE)
    if not chosen.solves_top_layer and any(each.metrics for each in trials):  # these have searched for suspect labels
        chosen = replace(chosen, suspect_labels=False)
    trial = Trial(candidate.name, settings, chosen, _encoder(chosen.model_id, context, rows.modality))
    if context.interruption.requested() and any(each.metrics for each in trials):
        return replace(trial, note="skipped: the job was told to stop")
    if chosen.time_budget is None or chosen.model_id == LINEAR:
        return trial
    try:
        return _fitting(trial, rows, context, trials)
    except UserError as error:
        return replace(trial, note=f"failed: {error}")


def _encoder(model_id: str, context: JobContext, modality: Modality) -> str:
    """Return the name of the encoder that a candidate has, as far as it is known before it is loaded."""
    if context.channel is None or model_id == LINEAR:
        return model_id
    try:
        return recognised(context.channel, load_encoder.MODEL_CHANNEL, modality).name
    except UserError:  # which the candidate fails by
        return load_encoder.MODEL_CHANNEL


def _fitting(trial: Trial, rows: Data, context: JobContext, trials: Sequence[Trial]) -> Trial:
    """Return a trial that fits into the time that is left, or one with a note that it doesn't."""
    linear = max((each.seconds for each in trials if each.name == LINEAR), default=0.0)
    scored = len(rows.validation.records) + len(rows.test.records)
    files = load_encoder.find(context.channel, None, trial.hyperparameters, _scratch(context, "timed"), rows.modality)
    counts = len(rows.training.records), len(rows.labels)
    epochs = recipe.choose(files, *counts, trial.hyperparameters, further=False).hyperparameters.epochs
    costs = Costs(*_timed(files, trial, rows, context, trials), counts[0], scored, linear)
    left = context.left(trial.hyperparameters.time_budget)
    needed = costs.top_layer if trial.hyperparameters.train_only_top_layer else costs.epoch
    if needed > left:
        unit = "" if trial.hyperparameters.train_only_top_layer else "an epoch "
        return replace(trial, note=f"skipped: {unit}would take about {needed:.0f} s, and {max(left, 0):.0f} s are left")
    if trial.hyperparameters.train_only_top_layer:
        return trial
    fitting = _remembered(trial, rows, context, min(epochs, max(1, int(SHARE_OF_EPOCHS * left / costs.epoch))))
    if fitting == epochs:
        return trial
    given = trial.hyperparameters.given | {"epochs"}
    chosen = replace(trial.hyperparameters, epochs=fitting, given=given)
    return replace(trial, settings={**trial.settings, "epochs": fitting}, hyperparameters=chosen)


def _remembered(trial: Trial, rows: Data, context: JobContext, epochs: int) -> int:
    """Return the number of epochs of an earlier start of this job, whose checkpoints can then be used, or this one."""
    digest = run_digest(__version__, trial.hyperparameters.values, rows.digest, rows.labels)
    path = context.checkpoints / f"epochs-{digest}.json"
    try:
        return int(json.loads(path.read_text(encoding="utf-8"))["epochs"])
    except (OSError, ValueError, KeyError, TypeError):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            artifact.write_json(path, {"epochs": epochs})
        except OSError as error:
            log.warning("event=candidate name=%r note='not stored for a restart: %s'", trial.name, error.strerror)
        return epochs


def _timed(
    files: EncoderFiles | None, trial: Trial, rows: Data, context: JobContext, trials: Sequence[Trial]
) -> tuple[float, float]:
    """Return the most seconds that the encoder takes for a training text, and a text's mean windows, by a sample."""
    encoder = load_encoder.load(files, context.channel, trial.hyperparameters, rows, context.cluster)
    order = np.random.default_rng(trial.hyperparameters.seed).permutation(len(rows.training.records))[:ROWS_TIMED]
    inputs = batches.tokenize(encoder, [rows.training.records[index] for index in order])
    encode = evaluate.compiled(encoder.layer, encoder.preprocessor.signature)
    for _ in range(2):
        started = time.monotonic()
        evaluate.compute(encode, inputs)
        seconds = time.monotonic() - started
        if seconds > SECONDS_TO_TRACE:  # which the first time includes
            break
    windows = float(long_texts.windows(encoder.layer, inputs.lengths()).mean())
    return _at_most(seconds / len(inputs), trials, len(rows.training.records) + len(rows.validation.records)), windows


def _at_most(seconds: float, trials: Sequence[Trial], read: int) -> float:
    """Return the seconds for a text by a sample or, if fewer, by the top layer's trial, which has read so many texts.

    A few texts are padded more than many in order of length.
    """
    return min([seconds, *(each.seconds / read for each in trials if each.name == TOP_LAYER and each.metrics)])


def _tried(trial: Trial, rows: Data, context: JobContext, failures: list[Exception]) -> Trial:
    """Train a candidate; what fails is noted, as others may not."""
    started = time.monotonic()
    try:
        model = job.train(rows, (), trial.hyperparameters, _own(context, trial))
    except UserError as error:
        failures.append(error)
        seconds = time.monotonic() - started
        log.warning("event=candidate name=%r seconds=%.1f note=%r", trial.name, seconds, str(error))
        stopped = isinstance(error, StoppedError)
        return replace(
            trial, seconds=seconds, note="stopped: the job was told to stop" if stopped else f"failed: {error}"
        )
    except Exception as error:  # such as too little memory of a GPU
        failures.append(error)
        seconds = time.monotonic() - started
        log.exception("event=candidate name=%r seconds=%.1f", trial.name, seconds)
        return replace(trial, seconds=seconds, note=f"failed: {type(error).__name__}, see the log")
    done = replace(
        trial,
        encoder=model.trained.encoder.name,
        seconds=time.monotonic() - started,
        outcome=model,
        metrics=model.trained.metrics,
    )
    epochs = len(model.history)
    judged = model.predictions.get("validation")
    if judged is None or len(judged.targets) < len(rows.validation.records):
        # Not all rows were scored, so that its metrics can't be compared.
        return replace(done, note="stopped before the end of its first epoch", metrics={})
    planned = model.hyperparameters.epochs
    if not trial.hyperparameters.solves_top_layer and epochs < planned:
        why = _why_stopped(trial.hyperparameters, context)
        return replace(done, note=f"stopped after {epochs} of {planned} epochs: {why}")
    return done


def _why_stopped(hyperparameters: Hyperparameters, context: JobContext) -> str:
    if context.interruption.requested():
        return "the job was told to stop"
    return "no time was left" if context.limit(hyperparameters.time_budget).passed else "early stopping"


def _own(context: JobContext, trial: Trial) -> JobContext:
    """Return a trial's context: folders of its own, and the model channel, if it has a use for that."""
    channel = None if trial.hyperparameters.model_id == LINEAR else context.channel
    events = context.events.below(_folder_name(trial.name))
    return replace(context, scratch=_scratch(context, trial.name), channel=channel, events=events)


def _scratch(context: JobContext, name: str) -> Path:
    return Path(tempfile.mkdtemp(prefix=f"{_folder_name(name)}-", dir=context.scratch))


def _folder_name(name: str) -> str:
    return name.replace(" ", "-")


def _shown(settings: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in settings.items())


def _figures(trial: Trial) -> str:
    return " ".join(f"{name}={trial.metrics[name]:.6f}" for name in FIGURES if name in trial.metrics)


def write(folder: Path, best: Trial, trials: Sequence[Trial]) -> None:
    """Write all candidates with their figures, as :data:`classifier.report.LEADERBOARD`."""
    table = pd.DataFrame(
        {
            "model": trial.encoder,
            "hyperparameters": _shown(trial.settings),
            **{name: trial.metrics.get(name) for name in FIGURES if name in best.metrics},
            "seconds": round(trial.seconds, 1),
            "chosen": trial.name == best.name,
            "note": trial.note,
        }
        for trial in trials
    )
    with resources.room_for("the leaderboard", folder):
        folder.mkdir(parents=True, exist_ok=True)
        artifact.write_whole(folder / LEADERBOARD, table.to_csv(index=False))
