"""Export the trained model, and verify that the exported model gives the same answers."""

import importlib.metadata
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
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
from classifier.encoders.ngrams import NgramLayer
from classifier.encoders.packed import SIGNATURE, Pack, reads_packed
from classifier.encoders.texts import TokenPreprocessor
from classifier.hyperparameters import Hyperparameters
from classifier.predictor import Predictor
from classifier.training import optimized_exports, solving
from classifier.training.data import Data, Split
from classifier.training.interruption import Interruption
from classifier.training.loop.progress import in_both_forms
from classifier.training.optimized_exports import COMPARED_AT_ONCE, LARGEST_DIFFERENCE, MOST_COMPARED, Checked
from classifier.training.top_layer import TopLayer
from classifier.training.warm_start import salted_hash

log = logging.getLogger(__name__)

NO_ID = -1  # not the id of any token
REFERENCE_ROWS = 64
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


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A trained classifier, with predictions to verify its export by.

    Attributes:
        encoder: The trained encoder.
        head: The top layer, which maps vectors to logits.
        metrics: The model's metrics.
        checked: Rows whose predictions are known.
        answers: The model's probabilities for these rows, float32[rows, labels].
        smoke_predictions: Its probabilities for the modality's ``smoke_inputs``, float32[records, labels].
        judged: The probabilities for the checked rows of the model as it was before it learnt from them,
            float32[rows, labels].
        ngrams: The layer whose logits are added to the top layer's; None without one.
        top_layer: The top layer's sides, if it was solved or has n-grams beside it.
        report: How it was chosen.
        temperature: What the logits are divided by.
        confidence: What the manifest has of its calibration and of the thresholds below which no label is answered.
    """

    encoder: Encoder
    head: Any
    metrics: dict[str, float]
    checked: Split
    answers: NDArray[np.float32]
    smoke_predictions: NDArray[np.float32]
    judged: NDArray[np.float32]
    ngrams: NgramLayer | None = None
    top_layer: TopLayer | None = None
    report: Mapping[str, Any] = field(default_factory=dict)
    temperature: float = 1.0
    confidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """A comparison of the exported model with the trained one.

    Attributes:
        rows: The number of checked rows whose tokens were counted.
        difference: The largest difference of a probability.
        tokens: The number of tokens of those rows; None where the model doesn't read tokens.
        unknown: The number of unknown tokens among them; None where that can't be determined.
        asked: The number of rows that were predicted and compared.
        answers_per_second: How many of them were predicted in a second, :data:`COMPARED_AT_ONCE` at a time.
    """

    rows: int
    difference: float
    tokens: int | None
    unknown: int | None
    asked: int = 0
    answers_per_second: float = 0.0


class _Module(tf.Module):  # type: ignore[misc]
    """An exported model.

    Attributes:
        portable: The name of the signature from token ids or pixels to probabilities, which other backends can run
            too; empty without one.
        functions: The exported functions by name.
        temperature: What the logits are divided by.
    """

    portable = ""
    temperature = 1.0

    def __init__(self, encoder: Encoder, head: Any, ngrams: NgramLayer | None = None) -> None:
        super().__init__(name="classifier")
        self.encoder = encoder.layer
        self.head = head
        self.ngrams = ngrams

    def _probabilities(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        ngrams = None if self.ngrams is None else self.ngrams(inputs)
        return self._classified(self.encoder(inputs, training=False), ngrams)

    def packed(self) -> Any:
        """Return the function from packed texts to probabilities, for other backends; None without one.

        It is no attribute, as it would then be stored in the SavedModel.
        """
        return None

    def _classified(self, vectors: tf.Tensor, ngrams: tf.Tensor | None) -> dict[str, tf.Tensor]:
        logits = self.head(vectors, training=False)
        if ngrams is not None:
            logits += ngrams
        if self.temperature != 1:
            logits /= self.temperature
        return {"probabilities": tf.nn.softmax(logits)}


class ServingModule(_Module):
    """An exported model that maps texts to probabilities in one step."""

    def __init__(self, encoder: Encoder, head: Any, ngrams: NgramLayer | None = None) -> None:
        super().__init__(encoder, head, ngrams)
        preprocessor = cast("TokenPreprocessor", encoder.preprocessor)
        self.tokenizer = preprocessor.tokenizer
        self._tokenize = preprocessor.tokenize

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="texts")], autograph=False)  # type: ignore[untyped-decorator]
    def serve(self, texts: tf.Tensor) -> dict[str, tf.Tensor]:
        """Map string[batch] to float32[batch, labels]."""
        return self._probabilities(self._tokenize(texts))

    @property
    def functions(self) -> dict[str, Any]:
        """The exported functions by name."""
        return {"serving_default": self.serve}


class TwoStepModule(ServingModule):
    """An exported model that also offers its two steps separately, so that a server can count tokens first."""

    portable = "classify"

    def __init__(self, encoder: Encoder, head: Any, ngrams: NgramLayer | None = None) -> None:
        super().__init__(encoder, head, ngrams)
        unknown_id = cast("TokenPreprocessor", encoder.preprocessor).unknown_id
        self._unknown_id = NO_ID if unknown_id is None else unknown_id

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="texts")], autograph=False)  # type: ignore[untyped-decorator]
    def tokenize(self, texts: tf.Tensor) -> dict[str, tf.Tensor]:
        """Map string[batch] to token ids, int32[batch, length], padded with 0, and unknown tokens, int32[batch]."""
        token_ids = self._tokenize(texts)
        unknown = tf.equal(token_ids, self._unknown_id)
        return {"token_ids": token_ids, "unknown_tokens": tf.reduce_sum(tf.cast(unknown, tf.int32), axis=1)}

    @tf.function(  # type: ignore[untyped-decorator]
        input_signature=[tf.TensorSpec([None, None], tf.int32, name="token_ids")],
        autograph=False,
    )
    def classify(self, token_ids: tf.Tensor) -> dict[str, tf.Tensor]:
        """Map token ids, int32[batch, length], to float32[batch, labels]; padding with 0 doesn't affect the result."""
        return self._probabilities(token_ids)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="texts")], autograph=False)  # type: ignore[untyped-decorator]
    def serve(self, texts: tf.Tensor) -> dict[str, tf.Tensor]:
        """Map string[batch] to float32[batch, labels] by calling both steps, so that the network is stored once."""
        answer: dict[str, tf.Tensor] = self.classify(self.tokenize(texts)["token_ids"])
        return answer

    @property
    def functions(self) -> dict[str, Any]:
        """The exported functions by name."""
        return {"serving_default": self.serve, "tokenize": self.tokenize, "classify": self.classify}

    def packed(self) -> Any:
        """Return the function from packed texts to float32[slots, labels]; None where the encoder reads none."""
        if not reads_packed(self.encoder):
            return None
        return tf.function(self._packed, input_signature=SIGNATURE, autograph=False).get_concrete_function()

    def _packed(self, *arrays: tf.Tensor) -> dict[str, tf.Tensor]:
        pack = Pack(*arrays)
        ngrams = None if self.ngrams is None else self.ngrams.packed(pack)
        return self._classified(self.encoder.packed(pack), ngrams)


class ArraysModule(_Module):
    """An exported model that reads what the encoder's layer reads, arrays or texts, in one step."""

    def __init__(self, encoder: Encoder, head: Any, ngrams: NgramLayer | None = None) -> None:
        super().__init__(encoder, head, ngrams)
        signature = encoder.preprocessor.signature
        self.portable = "" if signature.dtype == tf.string else "serving_default"
        self.serve = tf.function(self._probabilities, input_signature=[signature], autograph=False)

    @property
    def functions(self) -> dict[str, Any]:
        """The exported functions by name."""
        return {"serving_default": self.serve}


def save(
    encoder: Encoder, head: Any, folder: Path, ngrams: NgramLayer | None = None, temperature: float = 1.0
) -> "_Module":
    """Write a classifier as a SavedModel, with separate steps if it reads tokens.

    Returns:
        The exported module.
    """
    reads_tokens = isinstance(encoder.preprocessor, TokenPreprocessor)
    module = TwoStepModule(encoder, head, ngrams) if reads_tokens else ArraysModule(encoder, head)
    module.temperature = temperature
    tf.saved_model.save(module, str(folder), signatures=module.functions)
    return module


def export(
    folder: Path,
    trained: Trained,
    data: Data,
    hyperparameters: Hyperparameters,
    interruption: Interruption,
    readme: str = "",
) -> Predictor:
    """Write the model folder, which appears once it is complete and verified.

    A job that is told to stop compares only the first rows, as it has 120 seconds.

    Args:
        folder: The model folder.
        trained: The trained classifier.
        data: The job's rows.
        hyperparameters: The job's hyperparameters.
        interruption: Tells whether the job was told to stop.
        readme: The model card; empty to write none.

    Returns:
        A predictor for the exported model.

    Raises:
        RuntimeError: The exported model's probabilities differ from those of the trained one.
    """
    with artifact.published(folder) as work, resources.room_for("the model", folder):
        saved_model = work / artifact.SAVED_MODEL_FOLDER
        module = save(trained.encoder, trained.head, saved_model, trained.ngrams, trained.temperature)
        artifact.write_labels(work, data.labels)
        _write_weights(work, trained)
        artifact.write_json(work / artifact.REFERENCE_FILE, _references(trained, data))
        if readme:
            artifact.write_whole(work / artifact.README_FILE, readme)
        manifest = _manifest(trained, data, hyperparameters)
        artifact.write_json(work / artifact.MANIFEST_FILE, manifest)
        exported = predictor.from_artifact(artifact.load(work), Computing(TENSORFLOW))
        checked = Checked(
            trained.checked, trained.answers, trained.smoke_predictions, bool(len(data.validation.records))
        )
        comparison = _compare(exported, trained, checked.sample(MOST_COMPARED), interruption)
        if not comparison.difference <= LARGEST_DIFFERENCE:
            raise RuntimeError(
                f"the exported model's probabilities differ from the trained one's by {comparison.difference:.6f}"
            )
        manifest["baseline"] = baseline(trained.judged[: comparison.rows], data.labels, comparison)
        if module.portable:
            # The exported network, as the one in memory may be in a form that can't be converted.
            saved: Any = exported.backend
            padded = saved.model.signatures[module.portable]
            networks = optimized_exports.Networks(padded, module.packed(), _ngrams_of(trained))
            manifest["engines"] = optimized_exports.write(
                work, networks, trained.encoder, exported, checked, interruption
            )
        rates = {TENSORFLOW: comparison.answers_per_second, **optimized_exports.rates(manifest.get("engines", {}))}
        manifest["answers_per_second"] = {name: round(rate, 1) for name, rate in rates.items()}
        artifact.write_json(work / artifact.MANIFEST_FILE, manifest)
    equals, colons = in_both_forms(trained.metrics)  # a tuning job reads the last value in the log
    log.info(
        "event=exported rows_compared=%d largest_difference=%.8f %s", comparison.asked, comparison.difference, equals
    )
    log.info("Exported - %s", colons)
    return replace(exported, manifest=manifest)


def _ngrams_of(trained: Trained) -> int:
    """Return the number of token ids of which n-grams are made; 0 without n-grams."""
    return 0 if trained.ngrams is None else solving.vocabulary_size(trained.encoder)


def _write_weights(work: Path, trained: Trained) -> None:
    """Write what training further needs: the encoder, and the top layer's kernel and bias."""
    (work / artifact.ENCODER_FOLDER).mkdir()
    trained.encoder.save(work / artifact.ENCODER_FOLDER)
    dense = trained.head.layers[-1]
    save_file({"kernel": dense.kernel.numpy(), "bias": dense.bias.numpy()}, work / artifact.HEAD_FILE)
    if trained.top_layer is not None and trained.top_layer.ngrams is not None:
        share = np.array([trained.top_layer.share], np.float32)
        save_file({**trained.top_layer.ngrams.arrays, "share": share}, work / artifact.NGRAMS_FILE)


def _compare(exported: Predictor, trained: Trained, some: Checked, interruption: Interruption) -> Comparison:
    """Compare predictions for the smoke inputs and some of the checked rows; fewer if the job was told to stop.

    Tokens are counted in all checked rows, as that is cheap.
    """
    largest = float(np.abs(exported.predict(exported.modality.smoke_inputs()) - some.smoke_predictions).max())
    compared, started = 0, time.monotonic()
    while compared < len(some.answers) and not (compared and interruption.requested()):
        expected = some.answers[compared : compared + COMPARED_AT_ONCE]
        answers = exported.predict(some.rows.records[compared : compared + len(expected)])
        largest = max(largest, float(np.abs(answers - expected).max()))
        compared += len(expected)
    rate = compared / max(time.monotonic() - started, 1e-9)
    preprocessor = trained.encoder.preprocessor
    if not isinstance(preprocessor, TokenPreprocessor):
        return Comparison(len(trained.answers), largest, None, None, compared, rate)
    records = trained.checked.records[: compared if interruption.requested() else None]
    encoded = exported.encode([exported.decode(record) for record in records])
    has_unknown = preprocessor.unknown_id is not None
    tokens, unknown = sum(each.tokens for each in encoded), sum(each.unknown for each in encoded)
    return Comparison(len(encoded), largest, tokens, unknown if has_unknown else None, compared, rate)


def baseline(answers: NDArray[np.float32], labels: Sequence[Label], comparison: Comparison) -> dict[str, Any]:
    """Return statistics of predictions, by which drift in later requests can be detected.

    They describe the validation rows, or some training rows where there are none.

    Args:
        answers: The trained model's probabilities for the rows, float32[rows, labels].
        labels: The labels, in the order of the probabilities.
        comparison: The token counts of the rows.

    Returns:
        The number of rows; the share of them with each predicted label; the mean of the largest probability; the mean
        number of tokens per row and the share of unknown tokens, each None where it is not known.
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


def _references(trained: Trained, data: Data) -> dict[str, object]:
    """Return predictions for the smoke inputs and for some rows; of the rows, no text is stored, only hashes.

    ``judged`` is what a validation row's label was predicted to be before the exported model learnt from it too.
    """
    count = min(REFERENCE_ROWS, len(trained.answers))
    return {
        "probes": trained.smoke_predictions.tolist(),
        "rows": [
            {
                "place": trained.checked.locations[index],
                "salted_sha256": salted_hash(data.digest, str(trained.checked.records[index])),
                "label": int(trained.checked.targets[index]),
                "probabilities": trained.answers[index].tolist(),
                "judged": int(trained.judged[index].argmax()),
            }
            for index in range(count)
        ],
    }


def _manifest(trained: Trained, data: Data, hyperparameters: Hyperparameters) -> dict[str, Any]:
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
        "hyperparameters": hyperparameters.values,
        "metrics": trained.metrics,
        **({"top_layer": dict(trained.report)} if trained.report else {}),
        **trained.confidence,
        "data": {
            "sha256": data.digest,
            "training_rows": len(data.training.records),
            "validation_rows": len(data.validation.records),
        },
        "library_versions": {name: version for name in LIBRARIES if (version := _version(name))},
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
