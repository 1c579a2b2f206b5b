"""The steps of a job that need TensorFlow, in their order."""

import json
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier import __version__, artifact, resources
from classifier.artifact import Label
from classifier.encoders import NO_VECTORS, ConfigurableEncoder, Encoder
from classifier.encoders.files import saved_models
from classifier.encoders.long_texts import LongTextEncoder
from classifier.encoders.texts import TokenPreprocessor
from classifier.environment import Environment
from classifier.errors import UserError
from classifier.hyperparameters import Hyperparameters
from classifier.training import (
    baseline,
    data,
    evaluate,
    feature_cache,
    hardware,
    load_encoder,
    reading,
    solving,
    warm_start,
)
from classifier.training.baseline import Texts
from classifier.training.cluster import Cluster, connect, peers_watched
from classifier.training.data import Data, Split, Tables
from classifier.training.export import Trained, export
from classifier.training.interruption import Interruption, StoppedError, TimeLimit
from classifier.training.loop import batches
from classifier.training.loop.batches import Inputs, Rows
from classifier.training.loop.checkpoint import Folder, run_digest
from classifier.training.loop.fit import FitSpec, RunContext, fit
from classifier.training.loop.optimizers import choose_learning_rate
from classifier.training.loop.progress import Metrics, Run
from classifier.training.loop.scoring import EvaluationSplit, Scores, evaluation_split, score_some, score_unless_stopped
from classifier.training.model import Network, assemble, build_head, learning_rate_multipliers, parameters, softmax
from classifier.training.precision import choose as choose_precision
from classifier.training.recipe import Recipe
from classifier.training.recipe import choose as choose_recipe
from classifier.training.solving import ScoredNetwork, Task
from classifier.training.warm_start import Previous, TopLayer

__all__ = ["JobContext", "agree", "connect", "finish", "peers_watched", "train"]

log = logging.getLogger(__name__)

ROWS_CHECKED_WITHOUT_VALIDATION = 64
# Hyperparameters of what comes before and after training in steps.
OF_OTHER_STEPS = frozenset({"delimiter", "long_texts", "ngram_features", "refit", "time_budget"})
# Of a job's time budget, what is kept for the steps after training: n-grams beside the network; scoring and export.
FOR_EXPORT, MOST_FOR_EXPORT = 0.15, 60.0
# Word vectors are one table, or a table and a projection. An encoder with more variables is a deep network, for which
# large learning rates are harmful.
MOST_VARIABLES_OF_WORD_VECTORS = 3


Answer = Callable[[Sequence[Any]], NDArray[np.float32]]


@dataclass(frozen=True)
class JobContext:
    """The environment of a training job.

    Attributes:
        cluster: The hosts and devices.
        interruption: Tells whether the job was told to stop.
        checkpoints: The folder for checkpoints.
        scratch: A folder for temporary files.
        channel: The folder with the ``model`` channel's files, unpacked; None without that channel.
        previous: The model of this image that the channel holds; None without one.
        sharded: The splits of which each host has rows of its own: ``training``, ``validation``, ``test``.
        started: When the job was started, as :func:`time.monotonic` gives it.
    """

    cluster: Cluster
    interruption: Interruption
    checkpoints: Path
    scratch: Path
    channel: Path | None = None
    previous: Previous | None = None
    sharded: frozenset[str] = frozenset()
    started: float = field(default_factory=time.monotonic)

    def left(self, budget: int | None, share: float = 1.0) -> float:
        """Return the seconds of a time budget that are left for training; there is no end of them without a budget.

        Args:
            budget: The job's time budget in seconds.
            share: The share of the time for the steps after training that is kept for these.
        """
        if budget is None:
            return math.inf
        kept = share * min(FOR_EXPORT * budget, MOST_FOR_EXPORT)
        return self.started + budget - kept - time.monotonic()

    def limit(self, budget: int | None, share: float = 1.0) -> TimeLimit:
        """Return what stops training when no time is left for it."""
        return TimeLimit(self.interruption, time.monotonic() + self.left(budget, share))


@dataclass(frozen=True)
class Outcome:
    """The result of training.

    Attributes:
        trained: The model of the best epoch.
        history: The metrics of every epoch.
        reports: The metrics of each label on the splits ``validation`` and ``test``, where these have rows.
        answer: Maps records to the model's probabilities, float32[records, labels].
        hyperparameters: The job's hyperparameters, with the number of epochs that was chosen.
    """

    trained: Trained
    history: list[Metrics]
    reports: dict[str, dict[str, Any]]
    answer: Answer
    hyperparameters: Hyperparameters


def agree(cluster: Cluster, found: Tables | UserError, known: tuple[Label, ...]) -> tuple[Tables, tuple[Label, ...]]:
    """Agree with all hosts on the labels, the modality and the number of bits of 16-bit images.

    Args:
        cluster: The hosts.
        found: This host's rows, or what is wrong with them.
        known: The labels of the model that is trained further.

    Returns:
        This host's rows, and the labels of all hosts' rows in the order of the model's probabilities.

    Raises:
        UserError: The rows of a host are invalid, or don't fit those of the others; it is raised on all hosts.
    """
    everyones = [json.loads(content) for content in cluster.all_gather(json.dumps(_labels_here(found, known)).encode())]
    wrong = [
        f"{theirs['error']} (host {host})"
        for host, theirs in zip(cluster.hosts, everyones, strict=True)
        if "error" in theirs
    ]
    if wrong:
        raise UserError(wrong)
    modalities = {theirs["modality"] for theirs in everyones}
    if len(modalities) > 1:
        kinds = " and ".join(f"{modality}s" for modality in sorted(modalities))
        raise UserError(f"the hosts have both {kinds} to train on; set modality to one of them, or remove the other")
    labels = (*known, *data.new_labels([label for theirs in everyones for label in theirs["labels"]], known))
    bits = max(theirs["bits"] for theirs in everyones)
    if len(labels) < 2:
        raise UserError("every row on every host has the same label; a classifier needs two labels or more")
    return replace(_good(found), bits=bits), labels


def _labels_here(found: Tables | UserError, known: tuple[Label, ...]) -> dict[str, Any]:
    """Return this host's labels, or what is wrong with its rows, as a JSON object."""
    try:
        rows = _good(found)
        return {"labels": data.labels_of(rows, known, fewest=1), "modality": rows.modality.name, "bits": rows.bits}
    except UserError as error:
        return {"error": str(error)}


def _good(found: Tables | UserError) -> Tables:
    if isinstance(found, UserError):
        raise found
    return found


def train(rows: Data, labels_kept: Sequence[Label], hyperparameters: Hyperparameters, context: JobContext) -> Outcome:
    """Train a model.

    Args:
        rows: This host's rows; unless they are sharded, every host has all rows.
        labels_kept: The first labels, if the top layer's weights for them come from a model that is trained further.
        hyperparameters: The job's hyperparameters.
        context: The job's environment.

    Returns:
        The model of the best epoch, with its metrics.

    Raises:
        UserError: The job's hyperparameters, data or model channel are wrong, or it was stopped before the first
            training step.
    """
    cluster = context.cluster
    files = load_encoder.find(context.channel, context.previous, hyperparameters, context.scratch, rows.modality)
    further = context.previous is not None
    counts = _rows_everywhere(rows, context), len(rows.labels)
    chosen = choose_recipe(files, *counts, hyperparameters, further=further)
    hyperparameters = chosen.hyperparameters
    precision = choose_precision(files, rows, hyperparameters, cluster, context.checkpoints)
    hardware.report(precision, cluster.replicas)
    with hardware.computing_with(precision), cluster.strategy.scope():
        encoder = load_encoder.load(files, context.channel, hyperparameters, rows, cluster)
        kept = context.previous.top_layer if context.previous and labels_kept else None
        network = assemble(encoder, build_head(len(rows.labels), hyperparameters, kept))
        parts = _to_score(rows, context)
        evaluation = {
            name: _evaluation_split(encoder, part, name, hyperparameters, context) for name, part in parts.items()
        }
        fit_spec = _fit_spec(network, rows, evaluation["validation"], chosen, context)
        digest = run_digest(
            *(
                __version__,
                _decisive(hyperparameters, encoder),
                precision.name,
                cluster.replicas,
                _digests(rows, context),
                rows.labels,
                *chosen.decisive,
            ),
            weights=_given_weights(encoder, kept, context, from_scratch=files is None),
        )
        limit = context.limit(hyperparameters.time_budget)
        run_context = RunContext(cluster, Folder(context.checkpoints, digest), limit)
        task = _task(fit_spec, kept, rows, hyperparameters, context)
        solves = encoder.pooling == NO_VECTORS or (hyperparameters.solves_top_layer and not _augments(encoder))
        if solves:
            encoder.layer.trainable = False
            log.info("event=model trainable_parameters=%d", parameters(network.head))
            scored = solving.solved(network, task)
        else:
            if hyperparameters.train_only_top_layer:
                fit_spec = _top_layer_fit_spec(fit_spec, network, context)
            log.info("event=model trainable_parameters=%d", parameters(fit_spec.model))
            if chosen.share_encoded:
                solving.start(network, task, min(chosen.share_encoded, 1.0))
            run = _fitted(fit_spec, hyperparameters, run_context, limit)
            scored = ScoredNetwork(network, run, run.scores)
    if precision.name != "float32" or cluster.replicas > 1:
        scored = replace(scored, network=load_encoder.plain(scored.network, hyperparameters, context.scratch))
    if precision.name != "float32":
        scored = _scored_again(scored, evaluation["validation"], hyperparameters, context, solved=solves)
    if not solves:
        scored = solving.with_ngrams(scored, task) or scored
    scored = _with_baseline(scored, rows, fit_spec.training.weights, hyperparameters, context)
    return _outcome(scored, rows, parts["validation"], evaluation, hyperparameters, context)


def _rows_everywhere(rows: Data, context: JobContext) -> int:
    """Return the number of training rows of all hosts."""
    here = len(rows.training.records)
    if "training" not in context.sharded:
        return here
    return sum(int(content) for content in context.cluster.all_gather(str(here).encode()))


def _fitted(fit_spec: FitSpec, hyperparameters: Hyperparameters, run_context: RunContext, limit: TimeLimit) -> Run:
    """Train in steps, and say so if the time budget ended that.

    Raises:
        UserError: The budget was over before the first step.
    """
    try:
        run = fit(fit_spec, hyperparameters, run_context)
    except StoppedError:
        if not limit.passed:
            raise
        raise UserError(
            f"hyperparameter time_budget={hyperparameters.time_budget}: is over before the first training step; give "
            "more seconds, or set model_id to linear or auto"
        ) from None
    if limit.passed and len(run.history) < hyperparameters.epochs:
        words = f"stopped after {len(run.history)} of {hyperparameters.epochs} epochs, the best of which is kept"
        log.warning("event=time_budget seconds=%s note=%r", hyperparameters.time_budget, words)
    return run


def _augments(encoder: Encoder) -> bool:
    return isinstance(encoder, ConfigurableEncoder) and encoder.augments


def _with_baseline(
    scored: ScoredNetwork,
    rows: Data,
    weights: NDArray[np.float32],
    hyperparameters: Hyperparameters,
    context: JobContext,
) -> ScoredNetwork:
    """Report what n-grams alone achieve, where a network reads texts whose tokens are not known."""
    if rows.modality.is_array or "baseline" in scored.report or not len(scored.run.scores.rows):
        return scored
    if not context.cluster.alone or context.interruption.requested():
        why = "was told to stop" if context.cluster.alone else "has several hosts"
        log.info("event=baseline note='not learnt: the job %s'", why)
        return scored
    judged = scored.run.scores.rows
    part = rows.validation.take(judged)
    training = Texts(rows.training.records, rows.training.targets, weights)
    validation = Texts(part.records, part.targets, np.ones(len(judged), np.float32))
    learned = baseline.learned(training, validation, len(rows.labels), hyperparameters, context.interruption.requested)
    if learned is None:
        return scored
    found, some = learned
    report = found.report(scored.run.scores.probabilities[some], hyperparameters)
    return replace(scored, report={**scored.report, "baseline": report})


def _task(
    fit_spec: FitSpec, kept: TopLayer | None, rows: Data, hyperparameters: Hyperparameters, context: JobContext
) -> Task:
    return Task(
        fit_spec.training,
        fit_spec.sharded,
        fit_spec.validation,
        rows.held_out,
        hyperparameters,
        None if kept is None else solving.prior(kept, len(rows.labels)),
        context.cluster,
        context.limit(hyperparameters.time_budget, share=0.5),
    )


def _decisive(hyperparameters: Hyperparameters, encoder: Encoder) -> dict[str, Any]:
    """Return the hyperparameters that affect training in steps; how rows are read is part of their digest.

    How long texts are read counts where they aren't truncated, so that checkpoints of earlier versions remain valid.
    """
    settings = {name: value for name, value in hyperparameters.values.items() if name not in OF_OTHER_STEPS}
    reads = encoder.preprocessor.reads if isinstance(encoder, LongTextEncoder) else {}
    return settings | dict(reads)


def _given_weights(
    encoder: Encoder, kept: TopLayer | None, context: JobContext, *, from_scratch: bool
) -> list[NDArray[Any]]:
    """Return the weights that the job was given; weights that are initialized at random follow from the seed."""
    given = [] if from_scratch and context.channel is None else encoder.layer.get_weights()
    return [*given, *([] if kept is None else [kept.kernel, kept.bias])]


def finish(environ: Environment, outcome: Outcome, rows: Data, context: JobContext) -> None:
    """Write the model and its metrics on the chief; no host returns before that is done."""
    if context.cluster.is_chief:
        _write_evaluation(environ.output_data_folder, outcome, rows)
        if context.previous is not None and not context.interruption.requested():
            warm_start.compare(context.previous, rows, outcome.answer)
        export(environ.model_folder, outcome.trained, rows, outcome.hyperparameters, context.interruption)
    context.cluster.all_gather(b"done")


def _write_evaluation(folder: Path, outcome: Outcome, rows: Data) -> None:
    """Write ``evaluation.json``, and ``misclassified.csv`` if there are validation rows."""
    with resources.room_for("the model's metrics", folder):
        folder.mkdir(parents=True, exist_ok=True)
        content = {"epochs": outcome.history, "best": outcome.trained.metrics, **outcome.reports}
        report = dict(outcome.trained.report)
        content |= {"baseline": report.pop("baseline")} if "baseline" in report else {}
        content |= {"top_layer": report} if report else {}
        artifact.write_json(folder / "evaluation.json", content)
        if "validation" in outcome.reports:
            table = evaluate.misclassified(outcome.trained.checked, outcome.trained.judged, rows.labels)
            artifact.write_whole(folder / "misclassified.csv", table.to_csv(index=False))


def _to_score(rows: Data, context: JobContext) -> dict[str, Split]:
    """Return the validation and test rows that this host scores."""
    parts = {"validation": rows.validation, "test": rows.test}
    first, hosts = context.cluster.rank, len(context.cluster.hosts)
    return {
        name: part if name in context.sharded else part.take(np.arange(first, len(part.records), hosts))
        for name, part in parts.items()
    }


def _evaluation_split(
    encoder: Encoder, part: Split, name: str, hyperparameters: Hyperparameters, context: JobContext
) -> EvaluationSplit:
    return evaluation_split(
        _tokenized(encoder, part.records, name, hyperparameters, context), part.targets, context.cluster
    )


def _fit_spec(
    network: Network, rows: Data, validation: EvaluationSplit, chosen: Recipe, context: JobContext
) -> FitSpec:
    hyperparameters = chosen.hyperparameters
    if hyperparameters.early_stopping and not len(validation.targets):
        raise UserError(data.NO_VALIDATION)
    layer = network.encoder.layer
    reads_tokens = isinstance(network.encoder.preprocessor, TokenPreprocessor)
    deep = reads_tokens or len(layer.trainable_variables) > MOST_VARIABLES_OF_WORD_VECTORS
    made_here = network.encoder.family in load_encoder.FROM_SCRATCH_FAMILIES
    transformer = deep and not made_here and not hyperparameters.train_only_top_layer
    decay = hyperparameters.encoder_learning_rate_decay
    inputs = _tokenized(network.encoder, rows.training.records, "training", hyperparameters, context)
    targets = rows.training.targets
    return FitSpec(
        network.whole,
        network.inference,
        Rows(inputs, targets, _weights(targets, len(rows.labels), hyperparameters.class_weights, context)),
        validation,
        choose_learning_rate(hyperparameters, transformer=transformer, usual_peak=chosen.learning_rate),
        learning_rate_multipliers(layer, decay) if decay != 1 and not hyperparameters.train_only_top_layer else (),
        "training" in context.sharded,
    )


def _weights(targets: NDArray[np.int32], labels: int, class_weights: str, context: JobContext) -> NDArray[np.float32]:
    """Return the weight of each training row, float32[rows]; ``balanced`` gives all labels the same total weight."""
    if class_weights == "none":
        return np.ones(len(targets), np.float32)
    counts = np.bincount(targets, minlength=labels)
    if "training" in context.sharded:
        everyones = context.cluster.all_gather(counts.astype(np.int64).tobytes())
        counts = np.sum([np.frombuffer(theirs, np.int64) for theirs in everyones], axis=0)
    present = int((counts > 0).sum())
    by_label = counts.sum() / (present * np.maximum(counts, 1))
    weights: NDArray[np.float32] = by_label[targets].astype(np.float32)
    return weights


def _digests(rows: Data, context: JobContext) -> list[str]:
    return [content.decode() for content in context.cluster.all_gather(rows.digest.encode())]


def _tokenized(
    encoder: Encoder, records: Sequence[Any], name: str, hyperparameters: Hyperparameters, context: JobContext
) -> Inputs:
    multiple = hardware.length_multiple(hyperparameters.jit_compile)
    inputs = batches.tokenize(encoder, records, context.interruption, multiple=multiple)
    if isinstance(encoder.preprocessor, TokenPreprocessor) and len(inputs):
        lengths, limit = inputs.lengths(), encoder.preprocessor.max_sequence_length
        share = float(np.mean(lengths >= limit))
        log.info(
            "event=tokens rows=%s mean=%.1f longest=%d limit=%d share_at_limit=%.4f",
            name, float(np.mean(lengths)), int(lengths.max()), limit, share,
        )  # fmt: skip
        # The limit of a checkpoint was logged with the data; that of a SavedModel is known only once it is loaded.
        if share and limit < hyperparameters.max_sequence_length and context.channel and saved_models(context.channel):
            words = reading.LIMITED.format(asked=hyperparameters.max_sequence_length, limit=limit, share=share)
            log.warning("event=tokens rows=%s note=%r", name, words)
    return inputs


def _top_layer_fit_spec(fit_spec: FitSpec, network: Network, context: JobContext) -> FitSpec:
    """Return a fit spec for the top layer alone, on vectors of the frozen encoder, which runs over all rows once.

    Where the encoder augments records, its vectors differ from epoch to epoch, and the spec stays as it is.
    """
    network.encoder.layer.trainable = False
    if _augments(network.encoder):
        return fit_spec
    allocate = feature_cache.in_memory_or(context.scratch)
    started = time.monotonic()
    training, validation = (
        Inputs(evaluate.compute(network.inference.encode, inputs, context.interruption, allocate))
        for inputs in (fit_spec.training.inputs, fit_spec.validation.inputs)
    )
    log.info("event=encoded rows=%d seconds=%.1f", len(training) + len(validation), time.monotonic() - started)
    return replace(
        fit_spec,
        model=network.head,
        inference=network.inference.classify,
        training=replace(fit_spec.training, inputs=training),
        validation=replace(fit_spec.validation, inputs=validation),
    )


def _scored_again(
    scored: ScoredNetwork,
    split: EvaluationSplit,
    hyperparameters: Hyperparameters,
    context: JobContext,
    *,
    solved: bool,
) -> ScoredNetwork:
    """Score the float32 model that will be exported, whose answers differ slightly from those during training.

    A job that was told to stop keeps the metrics of training, and scores only enough rows to verify the export. A
    solved network keeps them too, as the exported one may have learnt from these rows.
    """
    if not len(split.targets):
        return scored
    run, infer = scored.run, scored.network.inference
    scores = score_unless_stopped(infer, split, context.cluster, context.interruption)
    if scores is None:
        some = score_some(infer, split, context.cluster, hyperparameters.seed)
        probabilities = run.scores.probabilities[some.rows] if solved else some.probabilities
        return replace(scored, run=replace(run, scores=Scores(some.rows, probabilities)), exported=some)
    if solved:
        return replace(scored, exported=scores)
    metrics = evaluate.metrics(scores.probabilities, split.targets[scores.rows], hyperparameters.eval_metric)
    return replace(scored, run=replace(run, scores=scores, metrics={**run.metrics, **metrics}), exported=scores)


def _outcome(
    scored: ScoredNetwork,
    rows: Data,
    part: Split,
    evaluation: Mapping[str, EvaluationSplit],
    hyperparameters: Hyperparameters,
    context: JobContext,
) -> Outcome:
    network, run = scored.network, scored.run

    def answer(records: Sequence[Any]) -> NDArray[np.float32]:
        return softmax(evaluate.compute(network.inference, batches.tokenize(network.encoder, records)))

    reports = {}
    if len(run.scores.rows):
        targets = evaluation["validation"].targets[run.scores.rows]
        reports["validation"] = evaluate.report(run.scores.probabilities, targets, rows.labels)
    scores = score_unless_stopped(network.inference, evaluation["test"], context.cluster, context.interruption)
    if scores is not None and len(scores.rows):
        targets = evaluation["test"].targets[scores.rows]
        reports["test"] = _test_report(scores.probabilities, targets, rows)
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
    )
    return Outcome(trained, run.history, reports, answer, hyperparameters)


def _test_report(probabilities: NDArray[np.float32], targets: NDArray[np.int32], rows: Data) -> dict[str, Any]:
    """Log the metrics of test rows, and return those of each label."""
    report = evaluate.report(probabilities, targets, rows.labels)
    log.info(
        "event=test rows=%d test_accuracy=%.6f test_macro_f1=%.6f",
        len(targets), report["accuracy"], report["macro_f1"],
    )  # fmt: skip
    return report


def tested(outcome: Outcome, rows: Data) -> Outcome:
    """Return the outcome of a job of one host with a report on the test rows, if there are any."""
    if not len(rows.test.records):
        return outcome
    report = _test_report(outcome.answer(rows.test.records), rows.test.targets, rows)
    return replace(outcome, reports={**outcome.reports, "test": report})


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
