"""Write the trained model, and prove that what is written answers as the trained model did."""

import importlib.metadata
import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from safetensors.numpy import save_file

from classifier import __version__, artifact, predictor
from classifier.encoders import Encoder
from classifier.hyperparameters import Hyperparameters
from classifier.predictor import Predictor
from classifier.training.data import Data, Split
from classifier.training.interruption import Interruption
from classifier.training.previous import salted_hash
from classifier.training.progress import in_both_forms

log = logging.getLogger(__name__)

LARGEST_DIFFERENCE = 1e-3  # of a probability, between the trained model and the exported one
COMPARED_AT_ONCE = 64
GOLDEN_ROWS = 64
LIBRARIES = ("tensorflow", "tensorflow-cpu", "tf-keras", "tensorflow-hub", "tensorflow-text", "numpy", "safetensors")


@dataclass(frozen=True)
class Trained:
    """A trained classifier and what is known of it.

    Attributes:
        encoder: The encoder, its layer as trained.
        head: The top layer, vectors to logits.
        metrics: The model's figures.
        checked: Rows whose answers are known.
        answers: The trained model's answers for them, float32[rows, labels].
        probes: Its answers for :data:`classifier.artifact.PROBES`, float32[probes, labels].
    """

    encoder: Encoder
    head: Any
    metrics: dict[str, float]
    checked: Split
    answers: NDArray[np.float32]
    probes: NDArray[np.float32]


class ServingModule(tf.Module):  # type: ignore[misc]
    """The exported model: texts in, probabilities out."""

    def __init__(self, encoder: Encoder, head: Any) -> None:
        super().__init__(name="classifier")
        self.encoder = encoder.layer
        self.tokenizer = encoder.tokenizer
        self.head = head
        self._tokenize = encoder.tokenize

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="texts")])  # type: ignore[untyped-decorator]
    def serve(self, texts: tf.Tensor) -> dict[str, tf.Tensor]:
        """Turn string[batch] into float32[batch, labels]."""
        vectors = self.encoder(self._tokenize(texts), training=False)
        return {"probabilities": tf.nn.softmax(self.head(vectors, training=False))}


def export(
    folder: Path, trained: Trained, data: Data, settings: Hyperparameters, interruption: Interruption
) -> Predictor:
    """Write the model folder; it appears only once all of it is written and proved.

    A job that is told to stop compares the first rows only, for it has 120 seconds.

    Returns:
        What will serve it.

    Raises:
        RuntimeError: The exported model answers differently than the trained one.
    """
    with artifact.published(folder) as work:
        module = ServingModule(trained.encoder, trained.head)
        signatures = {"serving_default": module.serve}
        tf.saved_model.save(module, str(work / artifact.SAVED_MODEL_FOLDER), signatures=signatures)
        artifact.write_labels(work, data.labels)
        _write_weights(work, trained)
        artifact.write_json(work / artifact.GOLDEN_FILE, _golden(trained, data))
        artifact.write_json(work / artifact.MANIFEST_FILE, _manifest(trained, data, settings))
        exported = predictor.from_artifact(artifact.load(work))
        compared, difference = _largest_difference(exported, trained, interruption)
        if not difference <= LARGEST_DIFFERENCE:
            raise RuntimeError(f"the exported model's probabilities differ from the trained one's by {difference:.6f}")
    equals, colons = in_both_forms(trained.metrics)  # a tuning job takes the last value of the log: the kept model's
    log.info("event=exported rows_compared=%d largest_difference=%.8f %s", compared, difference, equals)
    log.info("Exported - %s", colons)
    return exported


def _write_weights(work: Path, trained: Trained) -> None:
    """Write what is needed to train further: the encoder, and the top layer's two arrays."""
    (work / artifact.ENCODER_FOLDER).mkdir()
    trained.encoder.save(work / artifact.ENCODER_FOLDER)
    dense = trained.head.layers[-1]
    save_file({"kernel": dense.kernel.numpy(), "bias": dense.bias.numpy()}, work / artifact.HEAD_FILE)


def _largest_difference(exported: Predictor, trained: Trained, interruption: Interruption) -> tuple[int, float]:
    """Return how many rows were compared, and the largest difference of a probability."""
    largest = float(np.abs(exported.predict(artifact.PROBES) - trained.probes).max())
    compared = 0
    while compared < len(trained.answers) and not (compared and interruption.requested()):
        expected = trained.answers[compared : compared + COMPARED_AT_ONCE]
        answers = exported.predict(trained.checked.texts[compared : compared + len(expected)])
        largest = max(largest, float(np.abs(answers - expected).max()))
        compared += len(expected)
    return compared, largest


def _golden(trained: Trained, data: Data) -> dict[str, Any]:
    """Return answers to compare a later model's with: to our own texts, and to some rows, of which no text is kept."""
    count = min(GOLDEN_ROWS, len(trained.answers))
    return {
        "probes": trained.probes.tolist(),
        "rows": [
            {
                "place": trained.checked.places[index],
                "salted_sha256": salted_hash(data.digest, trained.checked.texts[index]),
                "label": int(trained.checked.targets[index]),
                "probabilities": trained.answers[index].tolist(),
            }
            for index in range(count)
        ],
    }


def _manifest(trained: Trained, data: Data, settings: Hyperparameters) -> dict[str, Any]:
    return {
        "format_version": artifact.FORMAT_VERSION,
        "image_version": __version__,
        "modality": "text",
        "encoder": {
            "family": trained.encoder.family,
            "name": trained.encoder.name,
            "pooling": trained.encoder.pooling,
        },
        "labels": list(data.labels),
        "hyperparameters": asdict(settings),
        "metrics": trained.metrics,
        "data": {
            "sha256": data.digest,
            "training_rows": len(data.training.texts),
            "validation_rows": len(data.validation.texts),
        },
        "library_versions": {name: version for name in LIBRARIES if (version := _version(name))},
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
