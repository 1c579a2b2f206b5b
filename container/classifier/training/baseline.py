"""The baseline of a job: how good n-grams alone are on its validation rows, which a trained model should surpass."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier import TEXT, hashing
from classifier.encoders import catalog, linear, ngrams
from classifier.hyperparameters import AUTO, LINEAR, WINDOWS, Hyperparameters
from classifier.modalities import MODALITIES
from classifier.training import evaluate, top_layer
from classifier.training.loop import batches
from classifier.training.model import softmax
from classifier.training.top_layer import Records, Stopped, Wanted

log = logging.getLogger(__name__)

# Where n-grams are learnt for the baseline alone, a random part of the training and the validation texts is read: about
# a second's work on one processor, as the time grows with the characters and, for many labels, with the labels.
MOST_CHARACTERS = 1_000_000
FEW_LABELS = 20  # of more labels, fewer characters are read
FEWEST_ROWS = 10  # validation rows to judge by
FEWEST_ROWS_A_LABEL = 2  # on average, to learn from, unless the job has no more
_DEFAULTS = catalog.defaults_of(MODALITIES[TEXT], brought=False)


@dataclass(frozen=True)
class Texts:
    """Rows of texts.

    Attributes:
        records: The texts.
        targets: int32[rows], the index of each row's label.
        weights: float32[rows], the weight of each row in the loss.
    """

    records: Sequence[str]
    targets: NDArray[np.int32]
    weights: NDArray[np.float32]

    def take(self, indices: NDArray[np.int64]) -> "Texts":
        """Return some of the rows."""
        return Texts([self.records[index] for index in indices], self.targets[indices], self.weights[indices])


@dataclass(frozen=True)
class Baseline:
    """The answers of n-grams alone.

    Attributes:
        probabilities: For validation rows, float32[rows, labels].
        targets: int32[rows], the index of each row's label.
        seconds: How long it took to learn them.
    """

    probabilities: NDArray[np.float32]
    targets: NDArray[np.int32]
    seconds: float

    def report(self, trained: NDArray[np.float32] | None, hyperparameters: Hyperparameters) -> dict[str, Any]:
        """Log the baseline, and a warning where the trained model is not better.

        Args:
            trained: The trained model's probabilities for the same rows, float32[rows, labels]; None if it is the same
                model.
            hyperparameters: The job's hyperparameters, by whose ``eval_metric`` the two are compared.

        Returns:
            The metrics, for the manifest and ``evaluation.json``.
        """
        name = hyperparameters.eval_metric
        of_ngrams = evaluate.metrics(self.probabilities, self.targets, name)
        accuracy, macro_f1 = of_ngrams["val_accuracy"], of_ngrams["val_macro_f1"]
        log.info("event=baseline accuracy=%.6f macro_f1=%.6f seconds=%.1f", accuracy, macro_f1, self.seconds)
        found: dict[str, Any] = {
            "accuracy": accuracy,
            "macro_f1": macro_f1,
            "rows": len(self.targets),
            "seconds": round(self.seconds, 1),
        }
        if trained is None:
            return found
        of_model = evaluate.metrics(trained, self.targets, name)
        baseline, model = (metrics[f"val_{name}"] for metrics in (of_ngrams, of_model))
        found["surpassed"] = model > baseline or baseline == 1
        if not found["surpassed"]:
            found["note"] = (
                f"the model is not better than n-grams alone: {name} {model:.4f}, and theirs {baseline:.4f}, on "
                f"{len(self.targets)} validation rows; try {'; '.join(_advice(hyperparameters))}"
            )
            log.warning("event=baseline note=%r", found["note"])
        return found


def _advice(hyperparameters: Hyperparameters) -> list[str]:
    """Return what may surpass n-grams, or do with less."""
    without = hyperparameters.ngram_features == "false"
    frozen = hyperparameters.train_only_top_layer
    long = hyperparameters.long_texts not in (AUTO, WINDOWS)
    return [
        *(["ngram_features=auto, which adds them to the model"] if without else []),
        "train_only_top_layer=False" if frozen else "more epochs",
        *(["long_texts=windows, if texts are longer than max_sequence_length"] if long else []),
        f"model_id={LINEAR}, which is as good as they are, small and fast",
    ]


def learned(
    training: Texts, validation: Texts, labels: int, hyperparameters: Hyperparameters, stopped: Stopped
) -> tuple[Baseline, NDArray[np.int64]] | None:
    """Learn n-grams of texts whose encoder's tokens are not known, by the tokenizer of :mod:`encoders.linear`.

    Args:
        training: The training rows.
        validation: The validation rows.
        labels: The number of labels.
        hyperparameters: The job's hyperparameters.
        stopped: Whether the job was told to stop; what was learnt so far is used then.

    Returns:
        The baseline, and the indices of the validation rows that it is of, int64[rows]; None where there are too few.
    """
    started = time.monotonic()
    budget = MOST_CHARACTERS * FEW_LABELS // max(labels, FEW_LABELS)
    some, held_out = (_sample(each.records, budget, hyperparameters.seed) for each in (training, validation))
    if len(held_out) < FEWEST_ROWS:
        log.info("event=baseline note='not learnt: %d validation rows are too few to judge by'", len(held_out))
        return None
    if len(some) < min(len(training.records), FEWEST_ROWS_A_LABEL * labels):
        log.info("event=baseline note='not learnt: %d rows of %d labels would be too few'", len(some), labels)
        return None
    learnt, judged = training.take(some), validation.take(held_out)
    settings = Hyperparameters.from_values({"model_id": LINEAR, **_given_length(hyperparameters)}, _DEFAULTS)
    encoder = linear.build(learnt.records, settings, None)
    codes = hashing.codes(encoder.preprocessor.vocabulary_size)

    def read(texts: Texts) -> Records:
        bags = ngrams.bags(batches.tokenize(encoder, texts.records).token_ids, codes)
        return Records(None, bags, texts.targets, texts.weights)

    wanted = Wanted(labels=labels, refit=False, seed=hyperparameters.seed, stopped=stopped)
    solution = top_layer.solve(read(learnt), read(judged), wanted)
    seconds = time.monotonic() - started
    log.info("event=baseline rows=%d of=%d validation_rows=%d", len(some), len(training.records), len(held_out))
    return Baseline(softmax(solution.logits), judged.targets, seconds), held_out


def _given_length(hyperparameters: Hyperparameters) -> dict[str, int]:
    given = "max_sequence_length" in hyperparameters.given
    return {"max_sequence_length": hyperparameters.max_sequence_length} if given else {}


def _sample(texts: Sequence[str], characters: int, seed: int) -> NDArray[np.int64]:
    """Return the indices of all texts, or of a random part with this many characters at most, in ascending order."""
    order = np.random.default_rng(seed).permutation(len(texts))
    lengths = np.array([len(texts[index]) for index in order], np.int64)
    return np.sort(order[: np.searchsorted(lengths.cumsum(), characters, side="right")])
