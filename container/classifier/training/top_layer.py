"""The top layer, solved instead of trained step by step: on vectors of a frozen encoder, on n-grams, or on both.

Each side is a multinomial logistic regression, a convex problem. The strengths of their L2 penalties and the share of
each side in the answer are chosen by the loss on held-out rows. The answer is the geometric mean of the two sides'
probabilities, weighted by the shares and normalized, so that the weighted logits add up.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from classifier.encoders import ngrams
from classifier.encoders.ngrams import NgramLayer, Vocabulary
from classifier.training import evaluate, logistic
from classifier.training.logistic import Examples, Features, Linear
from classifier.training.model import softmax

log = logging.getLogger(__name__)

# Inverse penalties, tried in this order until the loss on the held-out rows rises.
OF_VECTORS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
OF_NGRAMS = (10.0, 30.0, 100.0, 300.0)
SHARES = tuple(tenths / 10 for tenths in range(1, 11))  # of the vectors; the n-grams have the rest
HELD_OUT_SHARE = 0.2  # of the training rows, to choose by where a job has no validation rows
SMALLEST_DEVIATION = 1e-6

Stopped = Callable[[], bool]
Logits = NDArray[np.float32]


@dataclass(frozen=True)
class Records:
    """Encoded records with their labels.

    Attributes:
        vectors: The vectors of the frozen encoder, float32[rows, width]; None where none are used.
        bags: Which n-grams occur in each text, float32[rows, buckets]; None where the encoder reads no tokens.
        targets: int32[rows], the index of each row's label.
        weights: float32[rows], the weight of each row in the loss.
    """

    vectors: NDArray[np.float32] | None
    bags: scipy.sparse.csr_matrix | None
    targets: NDArray[np.int32]
    weights: NDArray[np.float32]

    def take(self, rows: NDArray[np.int64]) -> "Records":
        """Return some of the rows."""
        vectors, bags = (None if part is None else part[rows] for part in (self.vectors, self.bags))
        return Records(vectors, bags, self.targets[rows], self.weights[rows])

    def followed_by(self, other: "Records") -> "Records":
        """Return the rows of both."""
        vectors = None if self.vectors is None else np.concatenate([self.vectors, other.vectors])
        bags = None if self.bags is None else scipy.sparse.vstack([self.bags, other.bags], format="csr")
        targets = np.concatenate([self.targets, other.targets])
        return Records(vectors, bags, targets, np.concatenate([self.weights, other.weights]))


class Scale(Protocol):
    """Turns what is known of records into features of similar size; fitted to the training rows."""

    @property
    def name(self) -> str:
        """What the features are, for the log."""
        ...

    def features(self, raw: Any, /) -> Features:
        """Return float32[rows, features]."""
        ...


@dataclass(frozen=True)
class Standardization:
    """Scales vectors to mean 0 and standard deviation 1.

    Attributes:
        mean: float32[width].
        deviation: float32[width].
    """

    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]
    name: str = "vectors"

    @classmethod
    def of(cls, vectors: NDArray[np.float32]) -> "Standardization":
        """Return the scaling of training rows; a constant value is not scaled up."""
        deviation = vectors.std(axis=0)
        return cls(vectors.mean(axis=0), np.where(deviation > SMALLEST_DEVIATION, deviation, 1).astype(np.float32))

    def features(self, vectors: NDArray[np.float32]) -> Features:
        """Return the scaled vectors, float32[rows, width]."""
        return (vectors - self.mean) / self.deviation

    def to_vectors(self, layer: Linear) -> Linear:
        """Return the layer that gives for vectors what ``layer`` gives for scaled ones."""
        kernel = layer.kernel / self.deviation[:, np.newaxis]
        return Linear(kernel, layer.bias - self.mean @ kernel)

    def to_features(self, layer: Linear) -> Linear:
        """Return the layer that gives for scaled vectors what ``layer`` gives for vectors."""
        return Linear(layer.kernel * self.deviation[:, np.newaxis], layer.bias + self.mean @ layer.kernel)


PENALTIES: Mapping[type[Any], Sequence[float]] = {Standardization: OF_VECTORS, Vocabulary: OF_NGRAMS}


@dataclass(frozen=True)
class NgramSide:
    """A linear layer on n-gram features.

    Attributes:
        vocabulary: The features.
        layer: Its weights.
    """

    vocabulary: Vocabulary
    layer: Linear

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays that :meth:`of` reads."""
        return {
            "buckets": self.vocabulary.buckets,
            "weights": self.vocabulary.weights,
            "kernel": self.layer.kernel,
            "bias": self.layer.bias,
        }

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]]) -> "NgramSide":
        """Return the side with these arrays.

        Raises:
            KeyError: One is missing.
        """
        vocabulary = Vocabulary(arrays["buckets"], arrays["weights"])
        return cls(vocabulary, Linear(arrays["kernel"], arrays["bias"]))

    def on(self, vocabulary: Vocabulary) -> Linear:
        """Return the layer for other features; those that are new have weights of 0.

        What a feature contributes, its weight times its inverse document frequency, stays the same.
        """
        _, here, there = np.intersect1d(self.vocabulary.buckets, vocabulary.buckets, return_indices=True)
        kernel = np.zeros((len(vocabulary.buckets), len(self.layer.bias)), np.float32)
        ratio = self.vocabulary.weights[here] / vocabulary.weights[there]
        kernel[there] = self.layer.kernel[here] * ratio[:, np.newaxis]
        return Linear(kernel, self.layer.bias)


@dataclass(frozen=True)
class TopLayer:
    """A top layer: the logits of its two sides, weighted by their shares, add up.

    Attributes:
        vectors: The side that reads the encoder's vectors; its kernel has no rows where none are used.
        ngrams: The side that reads n-grams; None without one.
        share: The vectors' share; the n-grams have the rest.
    """

    vectors: Linear
    ngrams: NgramSide | None = None
    share: float = 1.0

    @property
    def kernel(self) -> NDArray[np.float32]:
        """The weights of the vectors with their share, float32[width, labels]."""
        return self.vectors.kernel * np.float32(self.share)

    @property
    def bias(self) -> NDArray[np.float32]:
        """The bias of both sides, float32[labels]."""
        of_ngrams = 0 if self.ngrams is None else self.ngrams.layer.bias * np.float32(1 - self.share)
        return (self.vectors.bias * np.float32(self.share) + of_ngrams).astype(np.float32)

    def ngram_layer(self, vocabulary_size: int) -> NgramLayer | None:
        """Return the n-grams' side with its share as a layer of the network, without its bias; None without one."""
        if self.ngrams is None:
            return None
        kernel = self.ngrams.layer.kernel * np.float32(1 - self.share)
        return NgramLayer(self.ngrams.vocabulary, kernel, vocabulary_size)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a job asks for.

    Attributes:
        labels: The number of labels.
        ngram_features: ``auto``, ``true`` or ``false``.
        refit: Whether to learn from the validation rows too, once everything is chosen.
        eval_metric: The metric that n-grams must not lower.
        seed: The seed of the rows that are held out where there are no validation rows.
        prior: The top layer of a model that is trained further; None without one.
        stopped: Whether the job was told to stop; the best layer so far is used then.
    """

    labels: int
    ngram_features: str = "auto"
    refit: bool = True
    eval_metric: str = "accuracy"
    seed: int = 0
    prior: TopLayer | None = None
    stopped: Stopped = lambda: False


@dataclass(frozen=True)
class Solution:
    """A solved top layer.

    Attributes:
        layer: The layer that is exported; it may have learnt from the validation rows too.
        logits: The logits for the validation rows of the layer that was learnt from the training rows alone,
            float32[rows, labels].
        alone: The logits of n-grams alone for them; None where the encoder reads no tokens.
        fit: The loss and the accuracy of that layer on the training rows.
        report: What was chosen, for the log and the manifest.
        alone_seconds: How long it took to learn the n-grams alone.
    """

    layer: TopLayer
    logits: Logits
    alone: Logits | None
    fit: Mapping[str, float]
    report: dict[str, Any]
    alone_seconds: float = 0.0


@dataclass(frozen=True)
class _Candidate:
    """One side with one penalty.

    Attributes:
        inverse_penalty: The inverse of its penalty.
        layer: Its layer.
        logits: Its logits for the held-out rows.
        loss: The loss of these alone.
        share: The best share of the logits beside it.
        mixed_loss: The loss with that share.
    """

    inverse_penalty: float
    layer: Linear
    logits: Logits
    loss: float
    share: float
    mixed_loss: float

    @property
    def rank(self) -> tuple[float, float]:
        """What is to be low: beside logits that are better alone, the mixed losses of all candidates are the same."""
        return self.mixed_loss, self.loss


@dataclass(frozen=True)
class _Side:
    """A side that was fitted to training rows.

    Attributes:
        scale: What turns vectors or bags into features.
        examples: The training rows.
        candidates: The side with each penalty that was tried.
        seconds: How long that took.
    """

    scale: Any
    examples: Examples
    candidates: list[_Candidate]
    seconds: float

    @property
    def best(self) -> _Candidate:
        """The candidate with the lowest loss together with the logits beside it, then with the lowest of its own."""
        return min(self.candidates, key=lambda each: each.rank)

    @property
    def alone(self) -> _Candidate:
        """The candidate with the lowest loss of its own."""
        return min(self.candidates, key=lambda each: each.loss)


@dataclass(frozen=True)
class _Parts:
    """The rows by their use.

    Attributes:
        learnt: The rows that both sides learn from while choices are made.
        held_out: The rows by which choices are made.
        everything: The rows that the exported layer learns from.
        validated: The number of held-out rows that are validation rows: all or none.
    """

    learnt: Records
    held_out: Records
    everything: Records
    validated: int

    @classmethod
    def of(cls, training: Records, validation: Records, wanted: Wanted) -> "_Parts":
        """Return the parts of a job's rows."""
        if len(validation.targets):
            everything = training.followed_by(validation) if wanted.refit else training
            return cls(training, validation, everything, len(validation.targets))
        if len(training.targets) == 1:  # one more row for a model that is trained further
            return cls(training, training, training, 0)
        order = np.random.default_rng(wanted.seed).permutation(len(training.targets))
        count = max(1, round(HELD_OUT_SHARE * len(order)))
        return cls(training.take(order[count:]), training.take(order[:count]), training, 0)


def solve(training: Records, validation: Records, wanted: Wanted) -> Solution:
    """Solve the top layer on vectors, n-grams, or both.

    Args:
        training: The training rows.
        validation: The validation rows; if there are none, a fifth of the training rows takes their place in choosing,
            and the exported layer learns from all rows.
        wanted: What the job asks for.
    """
    parts = _Parts.of(training, validation, wanted)
    vectors = _vector_side(parts, wanted)
    return _completed(parts, wanted, vectors, None if vectors is None else vectors.best.logits)


def beside_network(training: Records, validation: Records, network: Logits, wanted: Wanted) -> Solution:
    """Solve the n-gram side of a network that was trained as a whole.

    Args:
        training: The training rows; their vectors are not used.
        validation: The validation rows, at least one.
        network: The network's logits for the validation rows, float32[rows, labels].
        wanted: What the job asks for.
    """
    return _completed(_Parts.of(training, validation, wanted), wanted, None, network)


def _completed(parts: _Parts, wanted: Wanted, vectors: _Side | None, beside: Logits | None) -> Solution:
    """Add the n-gram side to the other one, and learn both again from everything."""
    asked = (
        beside is None
        or wanted.ngram_features == "true"
        or (wanted.ngram_features == "auto" and not _forgets(parts, wanted))
    )
    ngram_side = _ngram_side(parts, wanted, beside if asked else None)
    share, report = _share(ngram_side, beside, parts.held_out.targets, wanted, asked=asked)
    used = ngram_side if share < 1 else None
    layer = _top_layer(vectors, used, share, wanted.labels)
    again = parts.everything is not parts.learnt
    if again:
        of_vectors = vectors and _again(vectors, parts.everything.vectors, parts.everything, wanted)
        of_ngrams = used and _again(used, parts.everything.bags, parts.everything, wanted)
        layer = _top_layer(of_vectors, of_ngrams, share, wanted.labels)
    logits = _mixture(beside, used.best.logits if used else None, share)[: parts.validated]
    alone = ngram_side.alone.logits[: parts.validated] if ngram_side else None
    report |= {
        "refit": again and bool(vectors or used),
        "vectors_inverse_penalty": vectors.best.inverse_penalty if vectors else None,
    }
    fit = {} if beside is not None and vectors is None else _fit_to_training(vectors, used, share)
    return Solution(layer, logits, alone, fit, report, ngram_side.seconds if ngram_side else 0.0)


def _forgets(parts: _Parts, wanted: Wanted) -> bool:
    """Return whether new n-grams would push out labels that have no rows, and that the earlier model knows."""
    if wanted.prior is None or wanted.prior.ngrams is not None:
        return False
    forgets = len(np.unique(parts.learnt.targets)) < wanted.labels
    if forgets:
        log.info("event=ngram_features ngram_features=False note='some labels have no rows, and the model no n-grams'")
    return forgets


def _fit_to_training(vectors: _Side | None, ngram_side: _Side | None, share: float) -> dict[str, float]:
    """Return the loss and the accuracy on the rows that both sides learnt from."""
    of_vectors, of_ngrams = (
        None if side is None else side.best.layer.logits(side.examples.features) for side in (vectors, ngram_side)
    )
    targets = next(side.examples.targets for side in (vectors, ngram_side) if side)
    probabilities = softmax(_mixture(of_vectors, of_ngrams, share))
    return {
        "loss": evaluate.cross_entropy(probabilities, targets),
        "accuracy": evaluate.accuracy(probabilities, targets),
    }


def _vector_side(parts: _Parts, wanted: Wanted) -> _Side | None:
    if parts.learnt.vectors is None:
        return None
    scale = Standardization.of(parts.learnt.vectors)
    prior = scale.to_features(wanted.prior.vectors) if wanted.prior else None
    return _fitted(scale, (parts.learnt.vectors, parts.held_out.vectors), parts, wanted, prior)


def _ngram_side(parts: _Parts, wanted: Wanted, beside: Logits | None) -> _Side | None:
    if parts.learnt.bags is None:
        return None
    vocabulary, prior = _vocabulary(parts.learnt.bags, wanted)
    return _fitted(vocabulary, (parts.learnt.bags, parts.held_out.bags), parts, wanted, prior, beside)


def _vocabulary(bags: scipy.sparse.csr_matrix, wanted: Wanted) -> tuple[Vocabulary, Linear | None]:
    """Return the features of texts and of the model that is trained further, and that model's layer on them."""
    most = ngrams.most_features(wanted.labels)
    vocabulary = Vocabulary.of(bags, most)
    if wanted.prior is None or wanted.prior.ngrams is None:
        return vocabulary, None
    vocabulary = wanted.prior.ngrams.vocabulary.extended(vocabulary, most)
    return vocabulary, wanted.prior.ngrams.on(vocabulary)


def _fitted(
    scale: Scale,
    raw: tuple[Any, Any],
    parts: _Parts,
    wanted: Wanted,
    prior: Linear | None,
    beside: Logits | None = None,
) -> _Side:
    """Fit one side with rising inverse penalties, until the loss on the held-out rows rises too."""
    started = time.monotonic()
    features, of_held_out = (scale.features(each) for each in raw)
    examples, targets = Examples(features, parts.learnt.targets, parts.learnt.weights), parts.held_out.targets
    layer = prior or Linear.zeros(features.shape[1], wanted.labels)
    candidates: list[_Candidate] = []
    for penalty in PENALTIES[type(scale)]:
        layer = logistic.fit(examples, penalty, layer, prior, wanted.stopped)
        logits = layer.logits(of_held_out)
        share, mixed_loss = _best_share(beside, logits, targets)
        candidates.append(_Candidate(penalty, layer, logits, _loss(logits, targets), share, mixed_loss))
        if wanted.stopped() or (len(candidates) > 1 and candidates[-1].rank >= candidates[-2].rank):
            break
    side = _Side(scale, examples, candidates, time.monotonic() - started)
    log.info(
        "event=solved features=%s width=%d inverse_penalty=%g loss=%.6f seconds=%.1f",
        scale.name, features.shape[1], side.best.inverse_penalty, side.best.loss, side.seconds,
    )  # fmt: skip
    return side


def _again(side: _Side, raw: Any, rows: Records, wanted: Wanted) -> _Side:
    """Fit a side to more rows, with the penalty that was chosen."""
    best, scale, prior = side.best, side.scale, None
    start = best.layer
    if isinstance(scale, Vocabulary):
        scale, prior = _vocabulary(raw, wanted)
        start = NgramSide(side.scale, start).on(scale)
    elif wanted.prior:
        prior = scale.to_features(wanted.prior.vectors)
    examples = Examples(scale.features(raw), rows.targets, rows.weights)
    layer = logistic.fit(examples, best.inverse_penalty, start, prior, wanted.stopped)
    return replace(side, scale=scale, examples=examples, candidates=[replace(best, layer=layer)])


def _share(
    ngram_side: _Side | None, beside: Logits | None, targets: NDArray[np.int32], wanted: Wanted, *, asked: bool
) -> tuple[float, dict[str, Any]]:
    """Return the share of the logits beside the n-grams, and why."""
    if ngram_side is None or not asked:
        return 1.0, {"ngram_features": False}
    if beside is None:
        return 0.0, {"ngram_features": True, "ngrams_inverse_penalty": ngram_side.best.inverse_penalty}
    without = _judged(beside, targets, wanted)
    # From the share with the lowest loss on towards the vectors: the first that does not lower the metric.
    shares = [share for share in SHARES if ngram_side.best.share <= share < 1] or [SHARES[-2]]
    found = {share: _judged(_mixture(beside, ngram_side.best.logits, share), targets, wanted) for share in shares}
    helping = [
        share
        for share, mixed in found.items()
        if mixed["loss"] < without["loss"] and mixed["metric"] >= without["metric"]
    ]
    share = (helping or shares)[0]
    mixed, accepted = found[share], bool(helping) or wanted.ngram_features == "true"
    report = {
        "ngram_features": accepted,
        "ngrams_inverse_penalty": ngram_side.best.inverse_penalty,
        "vectors_share": share,
    }
    report |= {f"{name}_without_ngrams": value for name, value in without.items()}
    report |= {f"{name}_with_ngrams": value for name, value in mixed.items()}
    log.info("event=ngram_features %s", " ".join(f"{name}={_shown(value)}" for name, value in report.items()))
    return share if accepted else 1.0, report


def _judged(logits: Logits, targets: NDArray[np.int32], wanted: Wanted) -> dict[str, float]:
    return {"loss": _loss(logits, targets), "metric": _metric(logits, targets, wanted.eval_metric)}


def _shown(value: Any) -> str:
    return f"{value:.6f}" if isinstance(value, float) else str(value)


def _top_layer(vectors: _Side | None, ngram_side: _Side | None, share: float, labels: int) -> TopLayer:
    of_vectors = Linear.zeros(0, labels) if vectors is None else vectors.scale.to_vectors(vectors.best.layer)
    side = None if ngram_side is None else NgramSide(ngram_side.scale, ngram_side.best.layer)
    return TopLayer(of_vectors, side, share)


def _mixture(beside: Logits | None, of_ngrams: Logits | None, share: float) -> Logits:
    """Return the logits of the weighted geometric mean of two sides' probabilities."""
    parts = [part * np.float32(size) for part, size in ((beside, share), (of_ngrams, 1 - share)) if part is not None]
    mixed: Logits = np.sum(parts, axis=0, dtype=np.float32)
    return mixed


def _best_share(beside: Logits | None, logits: Logits, targets: NDArray[np.int32]) -> tuple[float, float]:
    """Return the share of the logits beside with the lowest loss, and that loss."""
    if beside is None:
        return 0.0, _loss(logits, targets)
    losses = [_loss(_mixture(beside, logits, share), targets) for share in SHARES]
    best = int(np.argmin(losses))
    return SHARES[best], losses[best]


def _loss(logits: Logits, targets: NDArray[np.int32]) -> float:
    return evaluate.cross_entropy(softmax(logits), targets)


def _metric(logits: Logits, targets: NDArray[np.int32], eval_metric: str) -> float:
    return evaluate.metrics(softmax(logits), targets, eval_metric)[f"val_{eval_metric}"]
