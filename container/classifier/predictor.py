"""Records to probabilities over an engine: what serves, and what training checks its own export with."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier import artifact, modalities
from classifier.artifact import Artifact, Label
from classifier.backends import Backend, Computing, Encoded, choice
from classifier.backends.choice import TENSORFLOW, Stored
from classifier.errors import UserError
from classifier.modalities import Modality

ENCODED_AT_ONCE = 512  # records
BATCH_SIZE = 32  # texts
BATCH_TOKENS = 4096  # of a batch, padding among them; a longer text is a batch of its own


@dataclass(frozen=True, eq=False)
class Predictor:
    """A model ready to answer; safe to use from several threads at once.

    Attributes:
        engine: What computes.
        labels: The labels, in the order of the probabilities.
        manifest: What else training left word of; nothing, of a model that another program made.
        engine_name: Which engine it is, of :data:`classifier.backends.choice.ENGINES`.
        engine_reason: Why it is this one.
        notes: What of the model folder was passed over and may have been meant, a sentence each.
    """

    backend: Backend
    labels: tuple[Label, ...]
    manifest: Mapping[str, Any] = field(default_factory=dict, repr=False)
    backend_name: str = TENSORFLOW
    backend_reason: str = ""
    notes: tuple[str, ...] = ()

    @property
    def modality(self) -> Modality:
        """What kind of records it answers."""
        return modalities.of_manifest(self.manifest)

    def decode(self, record: Any) -> Any:
        """Return a record as the engine takes it: a text of bounded length, an image's file as pixels.

        Raises:
            RecordError: It can't be read.
        """
        return self.modality.decode(record, self.manifest)

    def encode(self, records: Sequence[Any]) -> list[Encoded]:
        """Return decoded records ready to compute, in their order; of any number of them."""
        pieces = (records[start : start + ENCODED_AT_ONCE] for start in range(0, len(records), ENCODED_AT_ONCE))
        return [encoded for piece in pieces for encoded in self.backend.encode(piece)]

    def run_batch(self, batch: Sequence[Encoded]) -> NDArray[np.float32]:
        """Return the probabilities, float32[len(batch), labels], of one batch of one text or more.

        Raises:
            ArithmeticError: The model answered something that is not a number, or not as much as it was asked.
        """
        probabilities = self.backend.run_batch(batch)
        if probabilities.shape != (len(batch), len(self.labels)):
            raise ArithmeticError(f"the model answered {probabilities.shape} for {len(batch)} texts")
        if not np.isfinite(probabilities).all():
            raise ArithmeticError("the model answered a probability that is not a number")
        return probabilities

    def answer(self, encoded: Sequence[Encoded]) -> NDArray[np.float32]:
        """Return the probabilities, float32[len(prepared), labels], of any number of texts, in batches of like lengths.

        Raises:
            ArithmeticError: The model answered something that is not a number.
        """
        probabilities = np.empty((len(encoded), len(self.labels)), np.float32)
        for batch in _batches(encoded):
            probabilities[batch] = self.run_batch([encoded[index] for index in batch])
        return probabilities

    def predict(self, records: Sequence[Any]) -> NDArray[np.float32]:
        """Return the probabilities, float32[len(records), labels], of any number of records, in their order.

        Raises:
            RecordError: One can't be read.
            ArithmeticError: The model answered something that is not a number.
        """
        return self.answer(self.encode([self.decode(record) for record in records]))


def _batches(encoded: Sequence[Encoded]) -> Iterator[list[int]]:
    """Yield the indices of all texts, batch by batch, the shortest first: a batch costs as much as its longest text."""
    batch: list[int] = []
    for index in sorted(range(len(encoded)), key=lambda index: encoded[index].tokens):
        full = len(batch) == BATCH_SIZE or encoded[index].tokens * (len(batch) + 1) > BATCH_TOKENS
        if batch and full:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def load(folder: Path, computing: Computing = Computing()) -> Predictor:  # noqa: B008  it is frozen
    """Load a model folder and ask it the texts whose answers training left there.

    A model of another program has no such answers: it is asked only to see that it answers.

    Raises:
        UserError: The model is incomplete, does not load, or answers differently than it did in training.
    """
    model = artifact.load(folder)
    predictor = from_artifact(model, computing)
    answers = _asked(predictor, folder)
    if model.probes is None:
        return predictor
    difference = float(np.abs(answers - np.array(model.probes, np.float32)).max())
    if not difference <= artifact.SMOKE_TOLERANCE:
        raise UserError(
            f"{folder}: the model answers its test texts differently than after training (by {difference:.3f}); "
            "its files are damaged or were mixed with another model's: deploy it whole"
        )
    return predictor


def _asked(predictor: Predictor, folder: Path) -> NDArray[np.float32]:
    try:
        return predictor.predict(predictor.modality.smoke_inputs())
    except Exception as error:
        raise UserError(
            f"{folder}: the model does not answer its test texts ({type(error).__name__}); it must take any texts, and "
            "answer each with a number a label"
        ) from error


def from_artifact(model: Artifact, computing: Computing) -> Predictor:
    """Load a model's engine, without asking it anything.

    Raises:
        UserError: The wanted engine can't run it, or its files are broken.
    """
    if not model.manifest:
        return _foreign(model, computing)
    chosen = choice.load(Stored(model.folder, model.saved_model, model.manifest), computing)
    return Predictor(chosen.backend, model.labels, model.manifest, chosen.name, chosen.reason, model.notes)


def _foreign(model: Artifact, computing: Computing) -> Predictor:
    backend = choice.load_foreign(model.saved_model, computing, len(model.labels))
    labels = model.labels or tuple(range(backend.width))
    return Predictor(backend, labels, backend_reason=backend.reason, notes=model.notes)
