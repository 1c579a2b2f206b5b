"""Texts to probabilities over an engine: what serves, and what training checks its own export with."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from classifier import artifact
from classifier.artifact import Artifact, Label
from classifier.engines import Engine
from classifier.errors import UserError

BATCH_SIZE = 32


@dataclass(frozen=True)
class Predictor:
    """A model ready to answer; safe to use from several threads at once.

    Attributes:
        engine: What computes.
        labels: The labels, in the order of the probabilities.
    """

    engine: Engine
    labels: tuple[Label, ...]

    def predict(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return probabilities, float32[len(texts), labels], in the order of the texts.

        Texts are computed in batches of similar length, because a batch costs as much as its longest text.
        """
        probabilities = np.empty((len(texts), len(self.labels)), np.float32)
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        for start in range(0, len(texts), BATCH_SIZE):
            batch = order[start : start + BATCH_SIZE]
            probabilities[batch] = self.engine.predict([texts[index] for index in batch])
        if not np.isfinite(probabilities).all():
            raise ArithmeticError("the model answered a probability that is not a number")
        return probabilities


def load(folder: Path) -> Predictor:
    """Load a model folder and ask it the texts whose answers training left there.

    A model of another program has no such answers: it is asked only to see that it answers.

    Raises:
        UserError: The model is incomplete, does not load, or answers differently than it did in training.
    """
    model = artifact.load(folder)
    predictor = from_artifact(model)
    answers = predictor.predict(artifact.PROBES)
    if model.probes is None:
        return predictor
    difference = float(np.abs(answers - model.probes).max())
    if not difference <= artifact.PROBE_TOLERANCE:
        raise UserError(
            f"{folder}: the model answers its test texts differently than after training (by {difference:.3f}); "
            "its files are damaged or were mixed with another model's: deploy it whole"
        )
    return predictor


def from_artifact(model: Artifact) -> Predictor:
    """Load a model's engine, without asking it anything."""
    from classifier.engines import saved_model  # noqa: PLC0415  TensorFlow only where a model is really loaded

    if model.manifest:
        return Predictor(saved_model.load(model.saved_model), model.labels)
    engine = saved_model.load_foreign(model.saved_model)
    labels = model.labels or tuple(range(engine.width))
    if len(labels) != engine.width:
        raise UserError(
            f"{model.folder}: {len(labels)} labels are named, and the SavedModel answers {engine.width} numbers; "
            f"put the right {artifact.LABELS_FILE} beside it"
        )
    return Predictor(engine, labels)
