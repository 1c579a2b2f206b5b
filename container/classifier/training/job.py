"""The steps of a job that need TensorFlow, in their order."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier import __version__
from classifier.artifact import Label
from classifier.encoders import NO_VECTORS, ConfigurableEncoder, Encoder
from classifier.encoders.files import saved_models
from classifier.encoders.long_texts import LongTextEncoder
from classifier.encoders.texts import TokenPreprocessor
from classifier.errors import UserError
from classifier.hyperparameters import Hyperparameters
from classifier.training import (
    baseline,
    data,
    data_summary,
    evaluate,
    feature_cache,
    hardware,
    interpolation,
    label_check,
    load_encoder,
    reading,
    solving,
)
from classifier.training.baseline import Texts
from classifier.training.context import JobContext
from classifier.training.data import Data, Split
from classifier.training.evaluate import Vectors
from classifier.training.interpolation import Weights
from classifier.training.interruption import StoppedError, TimeLimit
from classifier.training.loop import batches
from classifier.training.loop.batches import Inputs, Rows
from classifier.training.loop.checkpoint import Folder, run_digest
from classifier.training.loop.fit import FitSpec, RunContext, fit
from classifier.training.loop.optimizers import choose_learning_rate
from classifier.training.loop.progress import Run
from classifier.training.loop.scoring import EvaluationSplit, evaluation_split, score_some, score_unless_stopped
from classifier.training.model import Network, assemble, build_head, learning_rate_multipliers, parameters
from classifier.training.outcome import Outcome, outcome_of
from classifier.training.precision import choose as choose_precision
from classifier.training.recipe import Recipe
from classifier.training.recipe import choose as choose_recipe
from classifier.training.solving import ScoredNetwork, Task
from classifier.training.warm_start import TopLayerWeights

log = logging.getLogger(__name__)

# Hyperparameters of what comes before and after training in steps.
OF_OTHER_STEPS = frozenset(
    {
        "calibrate",
        "delimiter",
        "long_texts",
        "ngram_features",
        "refit",
        "report",
        "report_examples",
        "suspect_labels",
        "target_precision",
        "time_budget",
    }
)
# Word vectors are one table, or a table and a projection. An encoder with more variables is a deep network, for which
# large learning rates are harmful.
MOST_VARIABLES_OF_WORD_VECTORS = 3
FOR_START = 0.2  # of the time that is left, at most, for the vectors on which the start of the top layer is solved


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
    counts = _rows_everywhere(rows, context), len(rows.labels)
    chosen = choose_recipe(files, *counts, hyperparameters, further=context.previous is not None)
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
        run_context = RunContext(cluster, Folder(context.checkpoints, digest), limit, context.events)
        task = _task(fit_spec, kept, rows, hyperparameters, context, run_context.checkpoints)
        solves = encoder.pooling == NO_VECTORS or (hyperparameters.solves_top_layer and not _augments(encoder))
        if solves:
            encoder.layer.trainable = False
            log.info("event=model trainable_parameters=%d", parameters(network.head))
            scored = solving.solved(network, task)
        else:
            if hyperparameters.train_only_top_layer:
                fit_spec = _top_layer_fit_spec(fit_spec, network, task)
            pretrained = interpolation.weights_of(encoder) if chosen.interpolated else None
            scored = _trained_in_steps(network, fit_spec, task, chosen, run_context, limit)
    if precision.name != "float32" or cluster.replicas > 1:
        scored = replace(scored, network=load_encoder.plain(scored.network, hyperparameters, context.scratch))
    if precision.name != "float32":
        scored = _scored_again(scored, evaluation["validation"], hyperparameters, context, solved=solves)
    if not solves:
        scored = _improved(scored, pretrained, task)
    scored = _with_baseline(scored, rows, fit_spec.training.weights, hyperparameters, context)
    return replace(
        outcome_of(scored, rows, parts["validation"], evaluation, hyperparameters, context),
        lengths=_lengths(encoder, task, evaluation),
    )


def _rows_everywhere(rows: Data, context: JobContext) -> int:
    """Return the number of training rows of all hosts."""
    here = len(rows.training.records)
    if "training" not in context.sharded:
        return here
    return sum(int(content) for content in context.cluster.all_gather(str(here).encode()))


def _lengths(encoder: Encoder, task: Task, evaluation: Mapping[str, EvaluationSplit]) -> dict[str, Any]:
    """Return statistics of the lengths of this host's texts."""
    inputs = {"training": task.training.inputs, **{name: split.inputs for name, split in evaluation.items()}}
    return data_summary.lengths(encoder.preprocessor, inputs)


def _trained_in_steps(
    network: Network, fit_spec: FitSpec, task: Task, chosen: Recipe, run_context: RunContext, limit: TimeLimit
) -> ScoredNetwork:
    """Train a network, or its top layer, after what comes before."""
    log.info("event=model trainable_parameters=%d", parameters(fit_spec.model))
    vectors = Vectors(network.inference.encode, task.training.inputs, task.interruption)
    suspects = label_check.before_training(network, task, fit_spec, vectors)

    def solve_start() -> None:
        solving.start(network, task, min(chosen.share_encoded, 1.0), vectors, FOR_START * limit.left)

    if chosen.share_encoded:
        fit_spec = replace(fit_spec, initialize=solve_start)
    run = _fitted(fit_spec, chosen.hyperparameters, run_context, limit)
    return ScoredNetwork(network, run, run.scores, suspects=suspects)


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
            "more seconds, or choose a cheaper model: train_only_top_layer=True, or for new models of texts "
            "model_id=linear"
        ) from None
    if limit.passed and len(run.history) < hyperparameters.epochs:
        words = f"stopped after {len(run.history)} of {hyperparameters.epochs} epochs, the best of which is kept"
        log.warning("event=time_budget seconds=%s note=%r", hyperparameters.time_budget, words)
    return run


def _improved(tuned: ScoredNetwork, pretrained: Weights | None, task: Task) -> ScoredNetwork:
    """Return a network that was trained in steps with what makes it better on the validation rows."""
    scored = solving.with_ngrams(tuned, task) or tuned
    between = interpolation.better(scored, pretrained, task) if pretrained is not None else None
    return replace(between or scored, suspects=tuned.suspects)


def _augments(encoder: Encoder) -> bool:
    return isinstance(encoder, ConfigurableEncoder) and encoder.augments


def _with_baseline(
    scored: ScoredNetwork,
    rows: Data,
    weights: NDArray[np.float32],
    hyperparameters: Hyperparameters,
    context: JobContext,
) -> ScoredNetwork:
    """Report what n-grams alone achieve; they are learnt here if the network reads texts whose tokens are not known."""
    if scored.baseline is not None:
        trained = None if scored.network.encoder.pooling == NO_VECTORS else scored.run.scores.probabilities
        report = scored.baseline.report(trained, hyperparameters)
        return replace(scored, report={**scored.report, "baseline": report})
    if rows.modality.is_array or not len(scored.run.scores.rows):
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
    fit_spec: FitSpec,
    kept: TopLayerWeights | None,
    rows: Data,
    hyperparameters: Hyperparameters,
    context: JobContext,
    checkpoints: Folder,
) -> Task:
    return Task(
        training=fit_spec.training,
        sharded=fit_spec.sharded,
        validation=fit_spec.validation,
        held_out=rows.held_out,
        hyperparameters=hyperparameters,
        prior=None if kept is None else solving.prior(kept, len(rows.labels)),
        cluster=context.cluster,
        interruption=context.limit(hyperparameters.time_budget, share=0.5),
        allocate=feature_cache.in_memory_or(context.scratch),
        checkpoints=checkpoints,
    )


def _decisive(hyperparameters: Hyperparameters, encoder: Encoder) -> dict[str, Any]:
    """Return the hyperparameters that affect training in steps; how rows are read is part of their digest.

    How long texts are read counts where they aren't truncated, so that checkpoints of earlier versions remain valid.
    """
    settings = {name: value for name, value in hyperparameters.values.items() if name not in OF_OTHER_STEPS}
    reads = encoder.preprocessor.reads if isinstance(encoder, LongTextEncoder) else {}
    return settings | dict(reads)


def _given_weights(
    encoder: Encoder, kept: TopLayerWeights | None, context: JobContext, *, from_scratch: bool
) -> list[NDArray[Any]]:
    """Return the weights that the job was given; weights that are initialized at random follow from the seed."""
    given = [] if from_scratch and context.channel is None else encoder.layer.get_weights()
    return [*given, *([] if kept is None else [kept.kernel, kept.bias])]


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
    data.check_validation(len(validation.targets), hyperparameters)
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


def _top_layer_fit_spec(fit_spec: FitSpec, network: Network, task: Task) -> FitSpec:
    """Return a fit spec for the top layer alone, on vectors of the frozen encoder, which runs over all rows once.

    Where the encoder augments records, its vectors differ from epoch to epoch, and the spec stays as it is.
    """
    network.encoder.layer.trainable = False
    if _augments(network.encoder):
        return fit_spec
    training, validation = (Inputs(vectors) for vectors in solving.encoded(network, task, fit_spec.training.inputs))
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
        if len(run.scores.rows) < len(split.targets):
            run = replace(run, scores=some)
        return replace(scored, run=run, exported=some)
    if solved:
        return replace(scored, exported=scores)
    metrics = evaluate.metrics(scores.probabilities, split.targets[scores.rows], hyperparameters.eval_metric)
    return replace(scored, run=replace(run, scores=scores, metrics={**run.metrics, **metrics}), exported=scores)
