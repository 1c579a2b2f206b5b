"""The steps of a job that need TensorFlow, in the order they are taken."""

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier import __version__, artifact, resources
from classifier.artifact import Label
from classifier.encoders import ConfigurableEncoder, Encoder
from classifier.encoders.files import saved_models
from classifier.encoders.texts import TokenPreprocessor
from classifier.environment import Environment
from classifier.errors import UserError
from classifier.hyperparameters import Hyperparameters
from classifier.training import data, evaluate, feature_cache, hardware, load_encoder, precision, reading, warm_start
from classifier.training.cluster import Cluster, connect, peers_watched
from classifier.training.data import Data, Split, Tables
from classifier.training.export import Trained, export
from classifier.training.interruption import Interruption
from classifier.training.loop import batches
from classifier.training.loop.batches import Inputs, Rows
from classifier.training.loop.checkpoint import Folder, run_digest
from classifier.training.loop.fit import FitSpec, RunContext, fit
from classifier.training.loop.optimizers import choose_learning_rate
from classifier.training.loop.progress import Figures, Run
from classifier.training.loop.scoring import EvaluationSplit, evaluation_split, score_some, score_unless_stopped
from classifier.training.model import Network, assemble, build_head, learning_rate_multipliers, parameters, softmax
from classifier.training.warm_start import Previous, TopLayer

__all__ = ["JobContext", "agree", "connect", "finish", "peers_watched", "train"]

log = logging.getLogger(__name__)

ROWS_CHECKED_WITHOUT_VALIDATION = 64
# Word vectors are one table, or a table and a projection; an encoder of more is a network that bears small steps only.
MOST_VARIABLES_OF_WORD_VECTORS = 3


Answer = Callable[[Sequence[Any]], NDArray[np.float32]]


@dataclass(frozen=True)
class JobContext:
    """What a job trains in and from.

    Attributes:
        cluster: What it computes on.
        interruption: What tells it to stop.
        checkpoints: The folder of checkpoints.
        scratch: A folder for what is not kept.
        channel: The folder with the ``model`` channel's files, unpacked; None without that channel.
        previous: The model of this image that the channel holds, if it does.
        sharded: Which rows each host has its own of: ``training``, ``validation``, ``test``.
    """

    cluster: Cluster
    interruption: Interruption
    checkpoints: Path
    scratch: Path
    channel: Path | None = None
    previous: Previous | None = None
    sharded: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Outcome:
    """What a job came to.

    Attributes:
        trained: The model that is kept.
        history: The figures of every epoch.
        reports: Of ``validation`` and ``test``, where there are such rows: the figures of each label.
        answer: Records to the model's probabilities, float32[records, labels].
    """

    trained: Trained
    history: list[Figures]
    reports: dict[str, dict[str, Any]]
    answer: Answer


def agree(cluster: Cluster, found: Tables | UserError, known: tuple[Label, ...]) -> tuple[Tables, tuple[Label, ...]]:
    """Return this host's rows, and the labels of all hosts' rows in the order the model will answer in.

    The rows' images of 16 bits are read by as many bits as those of all hosts take up.

    Args:
        cluster: The hosts.
        found: This host's rows, or what is wrong with them.
        known: The labels of a model that is trained further.

    Raises:
        UserError: Some host's rows are wrong; all hosts say so.
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
        raise UserError(f"the hosts have {kinds} to train on; set modality to the one kind, or take the other out")
    labels = (*known, *data.new_labels([label for theirs in everyones for label in theirs["labels"]], known))
    bits = max(theirs["bits"] for theirs in everyones)
    if len(labels) < 2:
        raise UserError("every row on every host has the same label; a classifier needs two labels or more")
    return replace(_good(found), bits=bits), labels


def _labels_here(found: Tables | UserError, known: tuple[Label, ...]) -> dict[str, Any]:
    """Return this host's labels, or what is wrong with its rows, ready for JSON."""
    try:
        rows = _good(found)
        return {"labels": data.labels_of(rows, known, fewest=1), "modality": rows.modality.name, "bits": rows.bits}
    except UserError as error:
        return {"error": str(error)}


def _good(found: Tables | UserError) -> Tables:
    if isinstance(found, UserError):
        raise found
    return found


def train(rows: Data, labels_kept: Sequence[Label], settings: Hyperparameters, context: JobContext) -> Outcome:
    """Train, and return the best model and what is known of it.

    Args:
        rows: This host's rows; without shards, every host has them all.
        labels_kept: The first labels, if they have weights from a model that is trained further.
        settings: The job's hyperparameters.
        context: What it trains in and from.

    Raises:
        UserError: The job can't be done as it is described, or was stopped before there was anything to keep.
    """
    cluster = context.cluster
    files = load_encoder.find(context.channel, context.previous, settings, context.scratch, rows.modality)
    numbers = precision.choose(files, rows, settings, cluster, context.checkpoints)
    hardware.report(numbers, cluster.replicas)
    with hardware.computing_with(numbers), cluster.strategy.scope():
        encoder = load_encoder.load(files, context.channel, settings, rows)
        kept = context.previous.top_layer if context.previous and labels_kept else None
        network = assemble(encoder, build_head(len(rows.labels), settings, kept))
        parts = _to_score(rows, context)
        held = {name: _evaluation_split(encoder, part, name, settings, context) for name, part in parts.items()}
        fit_spec = _fit_spec(network, rows, held["validation"], settings, context)
        digest = run_digest(
            *(__version__, _decisive(settings), numbers.name, cluster.replicas, _digests(rows, context), rows.labels),
            weights=_given_weights(encoder, kept, context, from_nothing=files is None),
        )
        run_context = RunContext(cluster, Folder(context.checkpoints, digest), context.interruption)
        if settings.train_only_top_layer:
            fit_spec = _top_layer_fit_spec(fit_spec, network, context)
        log.info("event=model trainable_parameters=%d", parameters(fit_spec.model))
        run = fit(fit_spec, settings, run_context)
    if numbers.name != "float32" or cluster.replicas > 1:
        network = load_encoder.plain(network, settings, context.scratch)
    if numbers.name != "float32":
        run = _scored_again(run, network, held["validation"], settings, context)
    return _outcome(network, run, rows, parts["validation"], held, context)


def _decisive(settings: Hyperparameters) -> dict[str, Any]:
    """Return the hyperparameters that decide a run's outcome beside its rows, whose digest says how they were read."""
    return {name: value for name, value in asdict(settings).items() if name != "delimiter"}


def _given_weights(
    encoder: Encoder, kept: TopLayer | None, context: JobContext, *, from_nothing: bool
) -> list[NDArray[Any]]:
    """Return the weights that were given to the job; new ones follow from the seed."""
    given = [] if from_nothing and context.channel is None else encoder.layer.get_weights()
    return [*given, *([] if kept is None else [kept.kernel, kept.bias])]


def finish(environ: Environment, outcome: Outcome, rows: Data, settings: Hyperparameters, context: JobContext) -> None:
    """Let the leader write the model and its figures; no host ends before that is done."""
    if context.cluster.is_chief:
        _write_evaluation(environ.output_data_folder, outcome, rows)
        if context.previous is not None and not context.interruption.requested():
            warm_start.compare(context.previous, rows, outcome.answer)
        export(environ.model_folder, outcome.trained, rows, settings, context.interruption)
    context.cluster.all_gather(b"done")


def _write_evaluation(folder: Path, outcome: Outcome, rows: Data) -> None:
    """Write the figures of every epoch, and of the rows held out those of each label, and where the wrong ones are."""
    with resources.room_for("the model's figures", folder):
        folder.mkdir(parents=True, exist_ok=True)
        content = {"epochs": outcome.history, "best": outcome.trained.metrics, **outcome.reports}
        artifact.write_json(folder / "evaluation.json", content)
        if "validation" in outcome.reports:
            table = evaluate.misclassified(outcome.trained.checked, outcome.trained.answers, rows.labels)
            artifact.write_whole(folder / "misclassified.csv", table.to_csv(index=False))


def _to_score(rows: Data, context: JobContext) -> dict[str, Split]:
    """Return this host's part of the rows that are not trained on."""
    parts = {"validation": rows.validation, "test": rows.test}
    first, hosts = context.cluster.rank, len(context.cluster.hosts)
    return {
        name: part if name in context.sharded else part.take(np.arange(first, len(part.texts), hosts))
        for name, part in parts.items()
    }


def _evaluation_split(
    encoder: Encoder, part: Split, name: str, settings: Hyperparameters, context: JobContext
) -> EvaluationSplit:
    return evaluation_split(_tokenized(encoder, part.texts, name, settings, context), part.targets, context.cluster)


def _fit_spec(
    network: Network, rows: Data, validation: EvaluationSplit, settings: Hyperparameters, context: JobContext
) -> FitSpec:
    if settings.early_stopping and not len(validation.targets):
        raise UserError(data.NO_VALIDATION)
    layer = network.encoder.layer
    reads_tokens = isinstance(network.encoder.preprocessor, TokenPreprocessor)
    deep = reads_tokens or len(layer.trainable_variables) > MOST_VARIABLES_OF_WORD_VECTORS
    made_here = network.encoder.family in load_encoder.FROM_SCRATCH_FAMILIES
    transformer = deep and not made_here and not settings.train_only_top_layer
    decay = settings.encoder_learning_rate_decay
    inputs = _tokenized(network.encoder, rows.training.texts, "training", settings, context)
    targets = rows.training.targets
    return FitSpec(
        network.whole,
        network.answers,
        Rows(inputs, targets, _weights(targets, len(rows.labels), settings, context)),
        validation,
        choose_learning_rate(settings, transformer=transformer),
        learning_rate_multipliers(layer, decay) if decay != 1 and not settings.train_only_top_layer else (),
        "training" in context.sharded,
    )


def _weights(
    targets: NDArray[np.int32], labels: int, settings: Hyperparameters, context: JobContext
) -> NDArray[np.float32]:
    """Return how much each training row counts, float32[rows]; with balanced labels their sums are alike."""
    if settings.class_weights == "none":
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
    encoder: Encoder, texts: Sequence[Any], name: str, settings: Hyperparameters, context: JobContext
) -> Inputs:
    multiple = hardware.length_multiple(settings.jit_compile)
    inputs = batches.tokenize(encoder, texts, context.interruption, multiple=multiple)
    if isinstance(encoder.preprocessor, TokenPreprocessor) and len(inputs):
        lengths, limit = inputs.lengths(), encoder.preprocessor.max_sequence_length
        share = float(np.mean(lengths >= limit))
        log.info(
            "event=tokens rows=%s mean=%.1f longest=%d limit=%d share_at_limit=%.4f",
            name, float(np.mean(lengths)), int(lengths.max()), limit, share,
        )  # fmt: skip
        # What a checkpoint reads at most was known, and said, before; of a SavedModel it is known only now.
        if share and limit < settings.max_sequence_length and context.channel and saved_models(context.channel):
            words = reading.LIMITED.format(asked=settings.max_sequence_length, limit=limit, share=share)
            log.warning("event=tokens rows=%s note=%r", name, words)
    return inputs


def _top_layer_fit_spec(fit_spec: FitSpec, network: Network, context: JobContext) -> FitSpec:
    """Run the frozen encoder once over all rows, where every epoch would give the same vectors."""
    network.encoder.layer.trainable = False
    if isinstance(network.encoder, ConfigurableEncoder) and network.encoder.augments:
        return fit_spec
    room = feature_cache.in_memory_or(context.scratch)
    started = time.monotonic()
    training, validation = (
        Inputs(evaluate.compute(network.answers.encode, inputs, context.interruption, room))
        for inputs in (fit_spec.training.inputs, fit_spec.validation.inputs)
    )
    log.info("event=encoded rows=%d seconds=%.1f", len(training) + len(validation), time.monotonic() - started)
    return replace(
        fit_spec,
        model=network.head,
        answers=network.answers.classify,
        training=replace(fit_spec.training, inputs=training),
        validation=replace(fit_spec.validation, inputs=validation),
    )


def _scored_again(
    run: Run, network: Network, held: EvaluationSplit, settings: Hyperparameters, context: JobContext
) -> Run:
    """Score the model that will be exported, whose numbers are not quite those it was trained with.

    A job that is to stop keeps the figures of training, and scores only rows enough to check the export with.
    """
    if not len(held.targets):
        return run
    scores = score_unless_stopped(network.answers, held, context.cluster, context.interruption)
    if scores is None:
        return replace(run, scores=score_some(network.answers, held, context.cluster, settings.seed))
    figures = evaluate.figures(scores.probabilities, held.targets[scores.rows], settings.eval_metric)
    return replace(run, scores=scores, metrics={**run.metrics, **figures})


def _outcome(
    network: Network, run: Run, rows: Data, part: Split, held: Mapping[str, EvaluationSplit], context: JobContext
) -> Outcome:
    def answer(texts: Sequence[Any]) -> NDArray[np.float32]:
        return softmax(evaluate.compute(network.answers, batches.tokenize(network.encoder, texts)))

    reports = {}
    if len(run.scores.rows):
        targets = held["validation"].targets[run.scores.rows]
        reports["validation"] = evaluate.report(run.scores.probabilities, targets, rows.labels)
    scores = score_unless_stopped(network.answers, held["test"], context.cluster, context.interruption)
    if scores is not None and len(scores.rows):
        reports["test"] = evaluate.report(scores.probabilities, held["test"].targets[scores.rows], rows.labels)
        log.info(
            "event=test rows=%d test_accuracy=%.6f test_macro_f1=%.6f",
            len(scores.rows), reports["test"]["accuracy"], reports["test"]["macro_f1"],
        )  # fmt: skip
    checked, probabilities = _checked(answer, run, rows, part)
    probes = answer(rows.modality.smoke_inputs())
    trained = Trained(network.encoder, network.head, run.metrics, checked, probabilities, probes)
    return Outcome(trained, run.history, reports, answer)


def _checked(answer: Answer, run: Run, rows: Data, part: Split) -> tuple[Split, NDArray[np.float32]]:
    """Return rows of this host whose answers are known: those it was scored on, or else some it was trained on."""
    here = run.scores.rows < len(part.texts)  # the leader's part, which comes first; only the leader exports
    if here.any():
        return part.take(run.scores.rows[here]), run.scores.probabilities[here]
    some = rows.training.take(np.arange(min(ROWS_CHECKED_WITHOUT_VALIDATION, len(rows.training.texts))))
    return some, answer(some.texts)
