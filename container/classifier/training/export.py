"""Write the trained model, and prove that what is written answers as the trained model did."""

import importlib.metadata
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from safetensors.numpy import save_file

from classifier import __version__, artifact, predictor, resources
from classifier.artifact import Label
from classifier.backends import Computing
from classifier.backends.choice import TENSORFLOW
from classifier.encoders import Encoder
from classifier.encoders.texts import TokenPreprocessor
from classifier.hyperparameters import Hyperparameters
from classifier.predictor import Predictor
from classifier.training import optimized_exports
from classifier.training.data import Data, Split
from classifier.training.interruption import Interruption
from classifier.training.loop.progress import in_both_forms
from classifier.training.optimized_exports import COMPARED_AT_ONCE, LARGEST_DIFFERENCE, MOST_COMPARED, Checked
from classifier.training.warm_start import salted_hash

log = logging.getLogger(__name__)

NO_ID = -1  # no token's
GOLDEN_ROWS = 64
LIBRARIES = (
    "tensorflow",
    "tensorflow-cpu",
    "openvino",
    "tokenizers",
    "tf-keras",
    "tensorflow-hub",
    "tensorflow-text",
    "numpy",
    "pillow",
    "safetensors",
)


@dataclass(frozen=True)
class Trained:
    """A trained classifier and what is known of it.

    Attributes:
        encoder: The encoder, its layer as trained.
        head: The top layer, vectors to logits.
        metrics: The model's figures.
        checked: Rows whose answers are known.
        answers: The trained model's answers for them, float32[rows, labels].
        probes: Its answers for its modality's ``smoke_inputs``, float32[probes, labels].
    """

    encoder: Encoder
    head: Any
    metrics: dict[str, float]
    checked: Split
    answers: NDArray[np.float32]
    probes: NDArray[np.float32]


@dataclass(frozen=True)
class Comparison:
    """What was seen when the exported model was asked what the trained one had answered.

    Attributes:
        rows: How many of the checked rows, the first ones, were looked at.
        difference: The largest of a probability.
        tokens: Of those rows together; None where the model takes records whole.
        unknown: How many of the tokens stand for something the vocabulary lacks; None where that can't be told.
        asked: How many rows were asked, of those or of others.
    """

    rows: int
    difference: float
    tokens: int | None
    unknown: int | None
    asked: int = 0


class _Module(tf.Module):  # type: ignore[misc]
    """An exported model.

    Attributes:
        portable: The signature from numbers to probabilities, which other engines can compute too; empty without one.
        functions: What is exported, by name.
    """

    portable = ""

    def __init__(self, encoder: Encoder, head: Any) -> None:
        super().__init__(name="classifier")
        self.encoder = encoder.layer
        self.head = head

    def _probabilities(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        vectors = self.encoder(inputs, training=False)
        return {"probabilities": tf.nn.softmax(self.head(vectors, training=False))}


class ServingModule(_Module):
    """Texts in, probabilities out, at one go."""

    def __init__(self, encoder: Encoder, head: Any) -> None:
        super().__init__(encoder, head)
        preprocessor = cast("TokenPreprocessor", encoder.preprocessor)
        self.tokenizer = preprocessor.tokenizer
        self._tokenize = preprocessor.tokenize

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="texts")])  # type: ignore[untyped-decorator]
    def serve(self, texts: tf.Tensor) -> dict[str, tf.Tensor]:
        """Turn string[batch] into float32[batch, labels]."""
        return self._probabilities(self._tokenize(texts))

    @property
    def functions(self) -> dict[str, Any]:
        """What is exported, by name."""
        return {"serving_default": self.serve}


class TwoStepModule(ServingModule):
    """The same, and its two steps apart: who serves it knows what a text costs before it is computed."""

    portable = "classify"

    def __init__(self, encoder: Encoder, head: Any) -> None:
        super().__init__(encoder, head)
        unknown_id = cast("TokenPreprocessor", encoder.preprocessor).unknown_id
        self._unknown_id = NO_ID if unknown_id is None else unknown_id

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="texts")])  # type: ignore[untyped-decorator]
    def tokenize(self, texts: tf.Tensor) -> dict[str, tf.Tensor]:
        """Turn string[batch] into int32[batch, length], 0 after a text's end, and how many of each are unknown."""
        token_ids = self._tokenize(texts)
        unknown = tf.equal(token_ids, self._unknown_id)
        return {"token_ids": token_ids, "unknown_tokens": tf.reduce_sum(tf.cast(unknown, tf.int32), axis=1)}

    @tf.function(  # type: ignore[untyped-decorator]
        input_signature=[tf.TensorSpec([None, None], tf.int32, name="token_ids")]
    )
    def classify(self, token_ids: tf.Tensor) -> dict[str, tf.Tensor]:
        """Turn int32[batch, length] into float32[batch, labels]; zeros after a text's end change nothing."""
        return self._probabilities(token_ids)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="texts")])  # type: ignore[untyped-decorator]
    def serve(self, texts: tf.Tensor) -> dict[str, tf.Tensor]:
        """Take both steps; calls to the same functions, so that the network is in the file once."""
        answer: dict[str, tf.Tensor] = self.classify(self.tokenize(texts)["token_ids"])
        return answer

    @property
    def functions(self) -> dict[str, Any]:
        """What is exported, by name."""
        return {"serving_default": self.serve, "tokenize": self.tokenize, "classify": self.classify}


class NumbersModule(_Module):
    """What the encoder's layer reads in, be it arrays or texts; probabilities out."""

    def __init__(self, encoder: Encoder, head: Any) -> None:
        super().__init__(encoder, head)
        signature = encoder.preprocessor.signature
        self.portable = "" if signature.dtype == tf.string else "serving_default"
        self.serve = tf.function(self._probabilities, input_signature=[signature])

    @property
    def functions(self) -> dict[str, Any]:
        """What is exported, by name."""
        return {"serving_default": self.serve}


def save(encoder: Encoder, head: Any, folder: Path) -> "_Module":
    """Write a classifier as a SavedModel, in two steps where there are tokens between them; return what is in it."""
    reads_tokens = isinstance(encoder.preprocessor, TokenPreprocessor)
    module = TwoStepModule(encoder, head) if reads_tokens else NumbersModule(encoder, head)
    tf.saved_model.save(module, str(folder), signatures=module.functions)
    return module


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
    with artifact.published(folder) as work, resources.room_for("the model", folder):
        module = save(trained.encoder, trained.head, work / artifact.SAVED_MODEL_FOLDER)
        artifact.write_labels(work, data.labels)
        _write_weights(work, trained)
        artifact.write_json(work / artifact.REFERENCE_FILE, _golden(trained, data))
        manifest = _manifest(trained, data, settings)
        artifact.write_json(work / artifact.MANIFEST_FILE, manifest)
        exported = predictor.from_artifact(artifact.load(work), Computing(TENSORFLOW))
        checked = Checked(trained.checked, trained.answers, trained.probes, bool(len(data.validation.texts)))
        comparison = _compare(exported, trained, checked.sample(MOST_COMPARED), interruption)
        if not comparison.difference <= LARGEST_DIFFERENCE:
            raise RuntimeError(
                f"the exported model's probabilities differ from the trained one's by {comparison.difference:.6f}"
            )
        manifest["baseline"] = baseline(trained.answers[: comparison.rows], data.labels, comparison)
        if module.portable:
            # As it was written: training may have left the one in memory in a form that is not converted.
            saved: Any = exported.backend
            network = saved.model.signatures[module.portable]
            manifest["engines"] = optimized_exports.write(
                work, network, trained.encoder, exported, checked, interruption
            )
        artifact.write_json(work / artifact.MANIFEST_FILE, manifest)
    equals, colons = in_both_forms(trained.metrics)  # a tuning job takes the last value of the log: the kept model's
    log.info(
        "event=exported rows_compared=%d largest_difference=%.8f %s", comparison.asked, comparison.difference, equals
    )
    log.info("Exported - %s", colons)
    return replace(exported, manifest=manifest)


def _write_weights(work: Path, trained: Trained) -> None:
    """Write what is needed to train further: the encoder, and the top layer's two arrays."""
    (work / artifact.ENCODER_FOLDER).mkdir()
    trained.encoder.save(work / artifact.ENCODER_FOLDER)
    dense = trained.head.layers[-1]
    save_file({"kernel": dense.kernel.numpy(), "bias": dense.bias.numpy()}, work / artifact.HEAD_FILE)


def _compare(exported: Predictor, trained: Trained, some: Checked, interruption: Interruption) -> Comparison:
    """Ask the exported model our own records and some of the checked rows: fewer where the job is to stop.

    What the rows have of tokens is counted of all of them, for that takes no computing.
    """
    largest = float(np.abs(exported.predict(exported.modality.smoke_inputs()) - some.probes).max())
    compared = 0
    while compared < len(some.answers) and not (compared and interruption.requested()):
        expected = some.answers[compared : compared + COMPARED_AT_ONCE]
        answers = exported.predict(some.rows.texts[compared : compared + len(expected)])
        largest = max(largest, float(np.abs(answers - expected).max()))
        compared += len(expected)
    preprocessor = trained.encoder.preprocessor
    if not isinstance(preprocessor, TokenPreprocessor):
        return Comparison(len(trained.answers), largest, None, None, compared)
    some_texts = trained.checked.texts[: compared if interruption.requested() else None]
    texts = exported.encode([exported.decode(text) for text in some_texts])
    told = preprocessor.unknown_id is not None
    tokens, unknown = sum(text.tokens for text in texts), sum(text.unknown for text in texts)
    return Comparison(len(texts), largest, tokens, unknown if told else None, compared)


def baseline(answers: NDArray[np.float32], labels: Sequence[Label], comparison: Comparison) -> dict[str, Any]:
    """Return what is usual, to tell by that what the model is asked later is not what it was made for.

    It is of the held-out rows, or of some training rows where none were held out.

    Args:
        answers: The trained model's, float32[rows, labels], for the rows that were looked at.
        labels: The labels, in the order of the answers.
        comparison: What was seen of the rows.

    Returns:
        How many rows; which share of them is given each label; the mean of the largest probability; the mean number
        of tokens of a row, and the share of all tokens that is unknown, each None where it is not known.
    """
    shares = np.bincount(answers.argmax(axis=1), minlength=len(labels)) / len(answers)
    tokens, unknown = comparison.tokens, comparison.unknown
    return {
        "rows": comparison.rows,
        "labels": {str(label): share for label, share in zip(labels, shares.tolist(), strict=True)},
        "top_probability": float(answers.max(axis=1).mean()),
        "tokens": None if tokens is None else tokens / comparison.rows,
        "unknown_tokens": None if unknown is None or not tokens else unknown / tokens,
    }


def _golden(trained: Trained, data: Data) -> dict[str, Any]:
    """Return answers to compare a later model's with: to our own texts, and to some rows, of which no text is kept."""
    count = min(GOLDEN_ROWS, len(trained.answers))
    return {
        "probes": trained.probes.tolist(),
        "rows": [
            {
                "place": trained.checked.places[index],
                "salted_sha256": salted_hash(data.digest, str(trained.checked.texts[index])),
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
        "modality": data.modality.name,
        "encoder": {
            "family": trained.encoder.family,
            "name": trained.encoder.name,
            "pooling": trained.encoder.pooling,
            **trained.encoder.preprocessor.reads,
            **({"bits": data.bits} if data.bits else {}),
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
