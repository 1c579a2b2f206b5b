"""The top layer of a network, solved on all hosts' rows: glue between a network and :mod:`training.top_layer`.

The rows of all hosts are gathered, the chief solves, and every host receives the same layer.
"""

import json
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from classifier import hashing
from classifier.encoders import NO_VECTORS, Encoder, ngrams
from classifier.encoders.texts import TokenPreprocessor
from classifier.hyperparameters import Hyperparameters
from classifier.training import evaluate, suspect_labels, top_layer, warm_start
from classifier.training.baseline import Baseline
from classifier.training.cluster import Cluster
from classifier.training.evaluate import Vectors
from classifier.training.feature_cache import Allocate, in_memory
from classifier.training.interruption import Interruption, StoppedError
from classifier.training.logistic import Linear
from classifier.training.loop.batches import Inputs, Rows
from classifier.training.loop.checkpoint import Folder
from classifier.training.loop.progress import Metrics, Run, log_solved
from classifier.training.loop.scoring import EvaluationSplit, Scores, gathered
from classifier.training.model import Network, softmax
from classifier.training.suspect_labels import Suspects
from classifier.training.top_layer import NgramSide, Records, Solution, TopLayer, Wanted
from classifier.training.vector_parts import VectorParts

log = logging.getLogger(__name__)

# Rows between two looks at the time, where there is a limit; many at once need less padding.
ROWS_AT_ONCE, LIMITED_ROWS_AT_ONCE = 2048, 128


@dataclass(frozen=True)
class ScoredNetwork:
    """A trained network, with its scores for the validation rows.

    Attributes:
        network: The network that is exported.
        run: The run, whose scores and metrics are those of the network before it learnt from the validation rows.
        exported: The scores of the exported network for the same rows.
        top_layer: Its top layer, if that was solved or has n-grams beside it.
        report: What was chosen.
        calibration: How its probabilities were calibrated; empty if they were not judged.
        suspects: The labelled rows, training rows before validation rows, whose labels are probably wrong; None if they
            were not searched.
        baseline: The answers of n-grams alone, if they were learnt.
    """

    network: Network
    run: Run
    exported: Scores
    top_layer: TopLayer | None = None
    report: Mapping[str, Any] = field(default_factory=dict)
    calibration: Mapping[str, Any] = field(default_factory=dict)
    suspects: Suspects | None = None
    baseline: Baseline | None = None


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a job gives to the solver.

    Attributes:
        training: This host's training rows, as token ids or other inputs of the encoder.
        sharded: Whether each host has training rows of its own.
        validation: The validation rows.
        held_out: Whether these were held out from the training rows.
        hyperparameters: The job's hyperparameters.
        prior: The top layer of a model that is trained further; None without one.
        cluster: The hosts.
        interruption: Tells whether the job was told to stop.
        allocate: Allocates the array of all rows' vectors.
        checkpoints: The checkpoints, beside which parts of the vectors are saved; None where they are not saved.
    """

    training: Rows
    sharded: bool
    validation: EvaluationSplit
    held_out: bool
    hyperparameters: Hyperparameters
    prior: TopLayer | None
    cluster: Cluster
    interruption: Interruption
    allocate: Allocate = in_memory
    checkpoints: Folder | None = None

    def wanted(self, labels: int) -> Wanted:
        """Return what the job asks for."""
        refit = self.hyperparameters.refit
        return Wanted(
            labels=labels,
            ngram_features=self.hyperparameters.ngram_features,
            refit=refit == "true" or (refit == "auto" and self.held_out),
            eval_metric=self.hyperparameters.eval_metric,
            seed=self.hyperparameters.seed,
            prior=self.prior,
            stopped=self.interruption.requested,
        )

    def parts(self, what: str, rows: int) -> VectorParts | None:
        """Return the saved vectors of so many of this host's rows; None where they are not saved."""
        if self.checkpoints is None:
            return None
        return VectorParts.of(self.checkpoints, what, self.cluster.rank, rows)

    def searches_labels(self) -> bool:
        """Return whether to search for suspect labels; the log says why not, if the job wants it."""
        if not self.hyperparameters.suspect_labels:
            return False
        why = "" if self.cluster.alone else "has several hosts"
        why = why or ("was told to stop, or has no time left" if self.interruption.requested() else "")
        if why:
            log.info("event=suspect_labels note='not searched: the job %s'", why)
        return not why

    def mine(self) -> NDArray[np.int64]:
        """Return the indices of the training rows that this host contributes."""
        count = len(self.training.targets)
        return np.arange(count) if self.sharded else np.arange(self.cluster.rank, count, len(self.cluster.hosts))


def solved(network: Network, task: Task) -> ScoredNetwork:
    """Solve the top layer on vectors of the network's encoder, which is frozen and may have none, and on n-grams."""
    training, validation = _all_known(network, task)
    scored = _solved(network, task, Run(), training, validation)
    if not task.searches_labels():
        return scored
    everything = training.followed_by(validation) if len(validation.targets) else training
    count, seed = len(everything.targets), task.hyperparameters.seed
    return replace(scored, suspects=suspect_labels.search(count, everything.take, _labels(network), seed))


def resolved(network: Network, task: Task, run: Run) -> ScoredNetwork:
    """Solve the top layer of a network whose encoder was trained in steps, in the place of the one that was trained."""
    # The digest of its parts would not know the weights to which the encoder was trained.
    return _solved(network, task, run, *_all_known(network, replace(task, checkpoints=None)))


def _solved(network: Network, task: Task, run: Run, training: Records, validation: Records) -> ScoredNetwork:
    solution = _of_chief(task.cluster, lambda: top_layer.solve(training, validation, task.wanted(_labels(network))))
    _set_head(network, solution.layer.kernel, solution.layer.bias)
    network = _with_layer(network, solution)
    start = task.validation.start
    here = slice(start, start + len(task.validation.inputs))
    vectors = np.zeros((len(task.validation.inputs), 1), np.float32)  # of an encoder without any
    if validation.vectors is not None:
        vectors = validation.vectors[here]
    logits = evaluate.compute(network.inference.classify, Inputs(vectors))
    return _finished(network, run, task, solution, logits)


def _all_known(network: Network, task: Task) -> tuple[Records, Records]:
    """Return the training and the validation rows of all hosts, with their vectors if the encoder has any."""
    if network.encoder.pooling == NO_VECTORS:
        return _known(network, task)
    return _known(network, task, *encoded(network, task, task.training.inputs.some(task.mine())))


def encoded(network: Network, task: Task, training: Inputs) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the vectors of training rows and of this host's validation rows, float32[rows, width].

    Raises:
        StoppedError: The job was told to stop.
    """
    started = time.monotonic()
    vectors, held_out = (
        evaluate.compute(
            network.inference.encode, inputs, task.interruption, task.allocate, task.parts(what, len(inputs))
        )
        for what, inputs in (("training", training), ("validation", task.validation.inputs))
    )
    log.info("event=encoded rows=%d seconds=%.1f", len(vectors) + len(held_out), time.monotonic() - started)
    return vectors, held_out


def start(network: Network, task: Task, share: float, vectors: Vectors, seconds: float = math.inf) -> None:
    """Set a new top layer to the one that is solved on the encoder's vectors, before the whole network is trained.

    Source: Kumar et al., "Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution" (2022).

    Args:
        network: The network.
        task: The task, whose validation rows are not used.
        share: The share of the training rows on which it is solved, above 0.
        vectors: The encoder's vectors of the training rows.
        seconds: How long to compute vectors; the rows whose vectors are there by then are used.
    """
    started = time.monotonic()
    mine, seed = task.mine(), task.hyperparameters.seed
    order = np.random.default_rng(seed).permutation(mine)[: math.ceil(share * len(mine))]
    count, at_once = 0, ROWS_AT_ONCE if math.isinf(seconds) else LIMITED_ROWS_AT_ONCE
    while count < len(order) and (count == 0 or time.monotonic() - started < seconds):
        vectors.of(order[count : count + at_once])
        count += at_once
    chosen = np.sort(order[:count])
    targets, weights = task.training.targets[chosen], task.training.weights[chosen]
    arrays = {"vectors": vectors.of(chosen), "targets": targets, "weights": weights}
    rows = _records(_joined(task.cluster, arrays))
    nothing = rows.take(np.zeros(0, np.int64))
    stopped = task.interruption.requested
    wanted = Wanted(labels=_labels(network), ngram_features="false", seed=seed, stopped=stopped)
    layer = _of_chief(task.cluster, lambda: top_layer.solve(rows, nothing, wanted)).layer
    _set_head(network, layer.kernel, layer.bias)
    log.info("event=top_layer start=solved rows=%d seconds=%.1f", len(rows.targets), time.monotonic() - started)


def with_ngrams(scored: ScoredNetwork, task: Task) -> ScoredNetwork | None:
    """Add n-grams beside a network that was trained in steps.

    Returns:
        The network, with n-grams if they help; None where the encoder reads no tokens, or where not all of the
        validation rows were scored, by which n-grams are judged.
    """
    network, run = scored.network, scored.run
    judged = 0 < len(task.validation.targets) == len(run.scores.rows)
    if not vocabulary_size(network.encoder) or not judged or task.cluster.any(task.interruption.requested()):
        return None
    logits = _logits_of_scores(network, run.scores, task)
    if logits is None:
        return None
    training, validation = _known(network, task)
    wanted = task.wanted(_labels(network))
    solution = _of_chief(task.cluster, lambda: top_layer.beside_network(training, validation, logits, wanted))
    share, of_ngrams = np.float32(solution.layer.share), solution.layer.bias
    kernel, bias = network.head.layers[-1].get_weights()
    _set_head(network, kernel * share, bias * share + of_ngrams)
    here = slice(task.validation.start, task.validation.start + len(task.validation.inputs))
    return _finished(_with_layer(network, solution), run, task, solution, logits[here] * share + of_ngrams)


def _logits_of_scores(network: Network, scores: Scores, task: Task) -> NDArray[np.float32] | None:
    """Return the logits of all validation rows, float32[rows, labels].

    Where a probability is 0 in float32, they are computed again; None if a host was told to stop meanwhile.
    """
    if scores.probabilities.min() > np.finfo(np.float32).tiny:
        return np.log(scores.probabilities)
    here = None
    try:
        here = evaluate.compute(network.inference, task.validation.inputs, task.interruption)
    except StoppedError:
        log.warning("event=stop note='n-grams are not judged'")
    if task.cluster.any(here is None) or here is None:
        return None
    return _joined(task.cluster, {"logits": here})["logits"]


def prior(kept: warm_start.TopLayerWeights, labels: int) -> TopLayer:
    """Return the top layer of a model that is trained further, with weights of 0 for new labels."""
    new = labels - kept.kernel.shape[1]
    widened = {
        name: np.pad(array, [*[(0, 0)] * (array.ndim - 1), (0, new)]) if name in ("kernel", "bias") else array
        for name, array in kept.ngrams.items()
    }
    vectors = Linear(np.pad(kept.kernel, [(0, 0), (0, new)]), np.pad(kept.bias, (0, new)))
    return TopLayer(vectors, NgramSide.of(widened) if widened else None)


def _labels(network: Network) -> int:
    return int(network.head.layers[-1].kernel.shape[1])


def vocabulary_size(encoder: Encoder) -> int:
    """Return the number of token ids that an encoder reads; 0 where it reads none, or their number is not known."""
    preprocessor = encoder.preprocessor
    return (preprocessor.vocabulary_size or 0) if isinstance(preprocessor, TokenPreprocessor) else 0


def _set_head(network: Network, kernel: NDArray[np.float32], bias: NDArray[np.float32]) -> None:
    """Set the top layer's weights; a kernel without rows, where no vectors are used, is set to zeros."""
    dense = network.head.layers[-1]
    dense.set_weights([kernel if len(kernel) else np.zeros(dense.kernel.shape, np.float32), bias])


def _with_layer(network: Network, solution: Solution) -> Network:
    return network.with_ngrams(solution.layer.ngram_layer(vocabulary_size(network.encoder)))


def _finished(network: Network, run: Run, task: Task, solution: Solution, logits: NDArray[np.float32]) -> ScoredNetwork:
    """Return the network with its scores.

    Args:
        network: The network that is exported.
        run: The run of a network that was trained in steps, or an empty one.
        task: The task.
        solution: The solution.
        logits: The logits of this host's validation rows without those of n-grams, float32[rows, labels].
    """
    inputs, targets = task.validation.inputs, task.validation.targets
    if network.inference.ngrams is not None and len(inputs):
        logits = logits + evaluate.compute(network.inference.ngrams, inputs)
    exported = gathered(np.arange(len(inputs)), logits, task.validation, task.cluster)
    scores = Scores(np.arange(len(targets)), softmax(solution.logits))
    metrics: Metrics = dict(solution.fit) if not run.history else {}
    if len(targets):
        metrics |= evaluate.metrics(scores.probabilities, targets, task.hyperparameters.eval_metric)
    if not run.history:
        run = Run(epoch=1, history=[metrics], best=1)
        log_solved(metrics)
    run = replace(run, scores=scores, metrics={**run.metrics, **metrics})
    ngrams_alone = None
    if solution.alone is not None and len(targets):
        ngrams_alone = Baseline(softmax(solution.alone), targets, solution.alone_seconds)
    return ScoredNetwork(network, run, exported, solution.layer, solution.report, baseline=ngrams_alone)


def _known(
    network: Network,
    task: Task,
    vectors: NDArray[np.float32] | None = None,
    held_out: NDArray[np.float32] | None = None,
) -> tuple[Records, Records]:
    """Return the training and the validation rows of all hosts.

    Args:
        network: The network.
        task: The task.
        vectors: The vectors of this host's training rows, float32[rows, width]; None if they are not used.
        held_out: Those of its validation rows.
    """
    mine = task.mine()
    training = _read(network, task.training.inputs, mine, vectors)
    training |= {"targets": task.training.targets[mine], "weights": task.training.weights[mine]}
    learnt = _records(_joined(task.cluster, training))
    validation = _read(network, task.validation.inputs, np.arange(len(task.validation.inputs)), held_out)
    targets = task.validation.targets
    weights = np.ones(_labels(network), np.float32)
    weights[learnt.targets] = learnt.weights  # the rows of a label have the same one; these may be learnt from, too
    known = {"targets": targets, "weights": weights[targets]}
    return learnt, _records(_joined(task.cluster, validation) | known)


def _read(
    network: Network, inputs: Inputs, chosen: NDArray[np.int64], vectors: NDArray[np.float32] | None
) -> dict[str, NDArray[Any]]:
    """Return what is known of records, as arrays: their vectors, and the buckets and the number of their n-grams.

    Args:
        network: The network.
        inputs: The inputs of the encoder; only token ids are read.
        chosen: The indices of the records among these, int64[records].
        vectors: The vectors of the records; None if they are not used.
    """
    arrays: dict[str, NDArray[Any]] = {} if vectors is None else {"vectors": vectors}
    if size := vocabulary_size(network.encoder):
        bags = ngrams.bags(inputs.some(chosen).token_ids, hashing.codes(size))
        arrays |= {"buckets": bags.indices, "counts": np.diff(bags.indptr)}
    return arrays


def _records(arrays: Mapping[str, NDArray[Any]]) -> Records:
    bags = ngrams.bags_of(arrays["buckets"], arrays["counts"]) if "buckets" in arrays else None
    return Records(arrays.get("vectors"), bags, arrays["targets"], arrays["weights"])


def _joined(cluster: Cluster, arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return the arrays of all hosts, host after host."""
    if cluster.alone:
        return arrays
    parts = [load(content) for content in cluster.all_gather_large(save(arrays))]
    filled = [part for part in parts if len(part[next(iter(arrays))])] or parts[:1]
    return {name: np.concatenate([part[name] for part in filled]) for name in arrays}


def _of_chief(cluster: Cluster, solve: Callable[[], Solution]) -> Solution:
    """Return the chief's solution on every host."""
    if cluster.alone:
        return solve()
    content = _packed(solve()) if cluster.is_chief else b""
    return _unpacked(cluster.broadcast(content))


def _packed(solution: Solution) -> bytes:
    layer, ngram_side = solution.layer, solution.layer.ngrams
    arrays = {"kernel": layer.vectors.kernel, "bias": layer.vectors.bias, "logits": solution.logits}
    arrays |= {} if solution.alone is None else {"alone": solution.alone}
    arrays |= {} if ngram_side is None else {f"ngrams.{name}": array for name, array in ngram_side.arrays.items()}
    facts = [layer.share, dict(solution.fit), solution.report, solution.alone_seconds]
    content: bytes = save(arrays, {"json": json.dumps(facts)})
    return content


def _unpacked(content: bytes) -> Solution:
    arrays = load(content)
    size = int.from_bytes(content[:8], "little")  # of the header, as the format has it
    share, fit, report, seconds = json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["json"])
    of_ngrams = {name.removeprefix("ngrams."): array for name, array in arrays.items() if name.startswith("ngrams.")}
    side = NgramSide.of(of_ngrams) if of_ngrams else None
    layer = TopLayer(Linear(arrays["kernel"], arrays["bias"]), side, share)
    return Solution(layer, arrays["logits"], arrays.get("alone"), fit, report, seconds)
