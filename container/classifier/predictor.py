"""Predictions of a model folder; serving and batch use them, and training verifies its exports with them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier import artifact, modalities
from classifier.artifact import Artifact, Label
from classifier.backends import PACK_TOKENS, Backend, Computing, Encoded, choice, cost
from classifier.backends.choice import TENSORFLOW, Stored
from classifier.errors import UserError
from classifier.modalities import Modality

ENCODED_AT_ONCE = 512  # records
BATCH_SIZE = 32  # records
BATCH_TOKENS = 4096  # of a batch, including padding; a longer text is a batch of its own
DAMAGED = "its files are damaged or mixed with another model's: deploy all that training wrote"


@dataclass(frozen=True, eq=False)
class Predictor:
    """A loaded model; it may be used by several threads at once.

    >>> predictor = load(Path("model"))
    >>> predictor.labels
    ('negative', 'neutral, or so', 'positive')
    >>> encoded = predictor.encode([predictor.decode(text) for text in ("Yes.", "No.")])
    >>> predictor.run_batch(encoded).shape
    (2, 3)

    Attributes:
        backend: The backend that runs the model.
        labels: The labels, in the order of the probabilities.
        manifest: The manifest that training wrote; empty for a model of another program.
        backend_name: The backend's name, one of :data:`classifier.backends.choice.ENGINES`.
        backend_reason: Why this backend was chosen.
        notes: A sentence for each part of the model folder that isn't served but may have been meant to be.
    """

    backend: Backend
    labels: tuple[Label, ...]
    manifest: Mapping[str, Any] = field(default_factory=dict, repr=False)
    backend_name: str = TENSORFLOW
    backend_reason: str = ""
    notes: tuple[str, ...] = ()

    @property
    def modality(self) -> Modality:
        """The modality of the records that it classifies."""
        return modalities.of_manifest(self.manifest)

    @cached_property
    def thresholds(self) -> NDArray[np.float64]:
        """What the probability of each label must exceed for the label to be answered, float64[labels]."""
        chosen = self.manifest.get("abstention", {})
        general, of_labels = chosen.get("threshold", 0.0), chosen.get("thresholds", {})
        return np.array([of_labels.get(str(label), general) for label in self.labels])

    def decode(self, record: Any) -> Any:
        """Return a record as the backend reads it: a text of bounded length, or the pixels of an image.

        Args:
            record: A text, or the content of an image file or its :class:`classifier.pixels.ImageSource`.

        Raises:
            RecordError: The record can't be read.
        """
        return self.modality.decode(record, self.manifest)

    def encode(self, records: Sequence[Any]) -> list[Encoded]:
        """Return any number of decoded records, encoded for :meth:`run_batch`, in their order."""
        pieces = (records[start : start + ENCODED_AT_ONCE] for start in range(0, len(records), ENCODED_AT_ONCE))
        return [encoded for piece in pieces for encoded in self.backend.encode(piece)]

    def run_batch(self, batch: Sequence[Encoded]) -> NDArray[np.float32]:
        """Return the probabilities, float32[len(batch), labels], of one batch of at least one record.

        Raises:
            ArithmeticError: The model's output is not finite, or has a wrong shape.
        """
        probabilities = self.backend.run_batch(batch)
        if probabilities.shape != (len(batch), len(self.labels)):
            raise ArithmeticError(f"the model answered {probabilities.shape} for {len(batch)} records")
        if not np.isfinite(probabilities).all():
            raise ArithmeticError("the model answered a probability that is not a number")
        return probabilities

    def answer(self, encoded: Sequence[Encoded]) -> NDArray[np.float32]:
        """Return the probabilities, float32[len(encoded), labels], of any number of records.

        They are run in batches of similar lengths, or packed.

        Raises:
            ArithmeticError: The model's output is not finite, or has a wrong shape.
        """
        probabilities = np.empty((len(encoded), len(self.labels)), np.float32)
        for batch in _batches(encoded):
            probabilities[batch] = self.run_batch([encoded[index] for index in batch])
        return probabilities

    def predict(self, records: Sequence[Any]) -> NDArray[np.float32]:
        """Return the probabilities, float32[len(records), labels], of any number of records, in their order.

        Raises:
            RecordError: A record can't be read.
            ArithmeticError: The model's output is not finite, or has a wrong shape.
        """
        return self.answer(self.encode([self.decode(record) for record in records]))


def _batches(encoded: Sequence[Encoded]) -> Iterator[list[int]]:
    """Yield the indices of all records in batches of similar lengths, the shortest first."""
    batch: list[int] = []
    tokens = 0
    for index in sorted(range(len(encoded)), key=lambda index: encoded[index].tokens):
        each = encoded[index]
        expected = cost(tokens + each.tokens, each.tokens, len(batch) + 1, padded=each.padded)
        full = expected > BATCH_TOKENS or len(batch) == BATCH_SIZE if each.padded else expected > PACK_TOKENS
        if batch and full:
            yield batch
            batch, tokens = [], 0
        batch.append(index)
        tokens += each.tokens
    if batch:
        yield batch


def load(folder: Path, computing: Computing = Computing()) -> Predictor:  # noqa: B008  it is frozen
    """Load a model folder, and verify its predictions for the smoke inputs of its modality.

    They are compared with those that training stored. A model of another program has none: it is only verified to
    answer.

    >>> predictor = load(Path("model"))
    >>> predictor.predict(["It works.", "It does not."]).shape
    (2, 3)

    Args:
        folder: The model folder, as training wrote it, or a SavedModel of another program.
        computing: The backend that is wanted, and the resources it may use.

    Raises:
        UserError: The model is incomplete, can't be loaded, or gives other predictions than in training.
    """
    model = artifact.load(folder)
    predictor = from_artifact(model, computing)
    answers = _smoke_test(predictor, folder)
    if model.smoke_predictions is None:
        return predictor
    difference = float(np.abs(answers - np.array(model.smoke_predictions, np.float32)).max())
    if not difference <= artifact.SMOKE_TOLERANCE:
        raise UserError(
            f"{folder}: the model's predictions for its smoke inputs differ from those after training by "
            f"{difference:.3f}; {DAMAGED}"
        )
    return predictor


def _smoke_test(predictor: Predictor, folder: Path) -> NDArray[np.float32]:
    try:
        return predictor.predict(predictor.modality.smoke_inputs())
    except Exception as error:
        noun = predictor.modality.name
        cure = DAMAGED if predictor.manifest else f"it must accept any {noun}, and return one number per label"
        raise UserError(
            f"{folder}: the model fails on its smoke inputs, which are {noun}s ({type(error).__name__}); {cure}"
        ) from error


def from_artifact(model: Artifact, computing: Computing) -> Predictor:
    """Load a model without verifying its predictions.

    Raises:
        UserError: The wanted backend can't run the model, or its files are broken.
    """
    if not model.manifest:
        return _foreign(model, computing)
    chosen = choice.load(Stored(model.folder, model.saved_model, model.manifest), computing)
    return Predictor(chosen.backend, model.labels, model.manifest, chosen.name, chosen.reason, model.notes)


def _foreign(model: Artifact, computing: Computing) -> Predictor:
    backend = choice.load_foreign(model.saved_model, computing, len(model.labels))
    labels = model.labels or tuple(range(backend.width))
    return Predictor(backend, labels, backend_reason=backend.reason, notes=model.notes)
