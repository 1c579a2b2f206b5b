"""Optimized exports of the model for other backends, each accepted only if it predicts the same labels."""

import logging
import shutil
import time
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray

from classifier import artifact
from classifier.backends import Computing, openvino_model
from classifier.backends.choice import BACKENDS, FLOAT32, FOLDER, PRECISIONS, TENSORFLOW, Stored
from classifier.backends.openvino_model import OpenVinoBackend
from classifier.encoders import Encoder
from classifier.encoders.packed import SUMS
from classifier.encoders.texts import TokenPreprocessor
from classifier.errors import UserError
from classifier.predictor import Predictor
from classifier.training.data import Split
from classifier.training.interruption import Interruption

log = logging.getLogger(__name__)

LARGEST_DIFFERENCE = 1e-3  # of a probability, between the trained model and a float32 export
SHARE_OF_LABELS_KEPT = 0.998
ACCURACY_LOST = 0.002
FEW_ROWS = 500  # of fewer rows, one label may change
COMPARED_AT_ONCE = 64
# Rows. An export in the same dtype that differs does so on the first rows already.
MOST_COMPARED = 256
# Serving predicts the smoke inputs again, and refuses a model that differs by more than SMOKE_TOLERANCE as damaged.
MOST_OFF = artifact.SMOKE_TOLERANCE / 2
MOST_JUDGED = 5_000  # rows
# Sums and norms are cheap; in float32, they lower the rounding error of a bfloat16 network by a third.
_KEPT_PRECISE = frozenset({"Add", "Divide", "MVN", "Multiply", "ReduceSum", "Subtract"})


@dataclass(frozen=True)
class Checked:
    """The predictions that an optimized export is compared with.

    Attributes:
        rows: Rows whose predictions are known.
        answers: The trained model's probabilities for these rows, float32[rows, labels].
        smoke_predictions: Its probabilities for the modality's ``smoke_inputs``, float32[records, labels].
        held_out: Whether the rows are validation rows, which were not trained on.
    """

    rows: Split
    answers: NDArray[np.float32]
    smoke_predictions: NDArray[np.float32]
    held_out: bool

    def sample(self, most: int) -> "Checked":
        """Return at most this many rows, evenly spaced."""
        if len(self.answers) <= most:
            return self
        indices = np.linspace(0, len(self.answers) - 1, most).astype(np.int64)
        return replace(self, rows=self.rows.take(indices), answers=self.answers[indices])


@dataclass(frozen=True)
class Evidence:
    """How an optimized export's predictions differ from the trained model's.

    Attributes:
        accepted: Whether it may serve.
        reason: Why it may not serve; empty if it may.
        rows: The number of rows that were compared.
        equal_labels: The share of these rows with the same predicted label.
        accuracy_change: The change in accuracy on these rows.
        largest_difference: The largest difference of a probability.
        answers_per_second: How many rows were predicted in a second, :data:`COMPARED_AT_ONCE` at a time.
    """

    accepted: bool
    reason: str = ""
    rows: int = 0
    equal_labels: float = 0.0
    accuracy_change: float = 0.0
    largest_difference: float = 0.0
    answers_per_second: float = 0.0


@dataclass(frozen=True)
class Networks:
    """The trained network as functions that can be converted.

    Attributes:
        padded: From token ids or pixels to probabilities.
        packed: From packed texts to probabilities; None without one.
        ngrams_of: The number of token ids of which it reads n-grams; 0 without n-grams.
    """

    padded: Any
    packed: Any = None
    ngrams_of: int = 0


def write(
    work: Path, networks: Networks, encoder: Encoder, exported: Predictor, checked: Checked, interruption: Interruption
) -> dict[str, Any]:
    """Write optimized exports, and compare their predictions with the trained model's.

    Args:
        work: The model folder that is being written.
        networks: The network.
        encoder: The trained encoder.
        exported: A predictor that runs the model with TensorFlow.
        checked: The predictions to compare with.
        interruption: A job that is told to stop writes no optimized export.

    Returns:
        The entries of the manifest by the name of the backend.
    """
    preprocessor = encoder.preprocessor
    tokenizer = preprocessor.portable() if isinstance(preprocessor, TokenPreprocessor) else None
    if (isinstance(preprocessor, TokenPreprocessor) and tokenizer is None) or interruption.requested():
        return {}
    folder = work / FOLDER
    folder.mkdir()
    if tokenizer is not None:
        (folder / openvino_model.TOKENIZER).write_text(tokenizer.definition, encoding="utf-8")
    folds_case = tokenizer is not None and tokenizer.folds_case
    entries: dict[str, Any] = {"folds_case": folds_case}
    model = None if networks.packed is None else _converted(networks.packed)
    if model is not None and isinstance(preprocessor, TokenPreprocessor):
        entries["packed"] = {"special_tokens": preprocessor.special_tokens, "ngrams_of": networks.ngrams_of}
    elif (model := _converted(networks.padded)) is None:
        shutil.rmtree(folder)
        return {}
    openvino.save_model(model, folder / openvino_model.NETWORK, compress_to_fp16=False)
    _keep_precise(folder / openvino_model.NETWORK)
    found: dict[str, Evidence] = {}
    for name in (each for each in BACKENDS if each != TENSORFLOW):
        if name == FLOAT32 or found[FLOAT32].accepted:
            some = checked.sample(MOST_COMPARED if name == FLOAT32 else MOST_JUDGED)
            found[name] = _evidence(name, work, exported, some, interruption, entries)
            _log(name, found[name])
    if not found[FLOAT32].accepted:
        shutil.rmtree(folder)
    return {**entries, **{name: asdict(evidence) for name, evidence in found.items()}}


def _converted(network: Any) -> Any:
    """Return a network as an OpenVINO model; None if it can't be converted."""
    level = logging.getLogger().level
    try:
        return openvino.convert_model(network)
    except Exception as error:  # noqa: BLE001  the library has no exception types; this export is optional
        logging.getLogger().setLevel(level)  # the library leaves it at ERROR
        log.warning("event=engine name=%s accepted=False note=%r", FLOAT32, f"not converted: {type(error).__name__}")
        return None


def _evidence(
    name: str,
    work: Path,
    exported: Predictor,
    checked: Checked,
    interruption: Interruption,
    entries: Mapping[str, Any],
) -> Evidence:
    """Compare an optimized export's predictions with the trained model's.

    Args:
        name: The backend that runs it.
        work: The model folder.
        exported: A predictor that runs the model with TensorFlow.
        checked: The predictions to compare with.
        interruption: A job that is told to stop stops comparing.
        entries: What the manifest says of the export.
    """
    if name != FLOAT32 and not checked.held_out:
        return Evidence(accepted=False, reason="there are no validation rows to verify its labels with")
    manifest = {**exported.manifest, "engines": entries}
    try:
        backend = BACKENDS[name].load(Stored(work, work / artifact.SAVED_MODEL_FOLDER, manifest), Computing())
    except UserError as error:
        return Evidence(accepted=False, reason=str(error))
    if isinstance(backend, OpenVinoBackend) and backend.precision != PRECISIONS[name]:
        return Evidence(accepted=False, reason=f"the training machine's processor does not support {PRECISIONS[name]}")
    predictor = Predictor(backend, exported.labels, exported.manifest)
    difference = float(np.abs(predictor.predict(exported.modality.smoke_inputs()) - checked.smoke_predictions).max())
    answers, started = np.zeros_like(checked.answers), time.monotonic()
    for start in range(0, len(answers), COMPARED_AT_ONCE):
        if interruption.requested():
            return Evidence(accepted=False, reason="the job was stopped before it was verified")
        piece = slice(start, start + COMPARED_AT_ONCE)
        answers[piece] = predictor.predict(checked.rows.records[piece])
    rate = len(answers) / max(time.monotonic() - started, 1e-9)
    evidence = replace(judged(name, answers, checked, difference), answers_per_second=round(rate, 1))
    if evidence.accepted and difference > MOST_OFF:
        return replace(evidence, accepted=False, reason=f"its smoke predictions differ by {difference:.3f}")
    return evidence


def judged(name: str, answers: NDArray[np.float32], checked: Checked, difference: float) -> Evidence:
    """Judge whether an optimized export may serve.

    A float32 export must give the same probabilities. One of lower precision must predict the same label for 99.8 % of
    the rows, and may lose 0.2 percentage points of accuracy; with fewer than 500 rows, one row may differ.

    Args:
        name: The backend that runs it.
        answers: The export's probabilities, float32[rows, labels].
        checked: The predictions to compare with.
        difference: The largest difference of the smoke predictions.
    """
    count = len(answers)
    labels, expected, targets = answers.argmax(axis=1), checked.answers.argmax(axis=1), checked.rows.targets
    changed = int((labels != expected).sum())
    lost = int((expected == targets).sum()) - int((labels == targets).sum())
    difference = max(difference, float(np.abs(answers - checked.answers).max(initial=0.0)))
    few = count < FEW_ROWS
    keeps = changed <= (1 if few else (1 - SHARE_OF_LABELS_KEPT) * count)
    keeps = keeps and lost <= (1 if few else ACCURACY_LOST * count)
    reason = "" if keeps else f"it changes {changed} of {count} labels, and {lost} fewer are correct"
    if name == FLOAT32:
        keeps = difference <= LARGEST_DIFFERENCE
        reason = "" if keeps else f"its probabilities differ by {difference:.6f}"
    return Evidence(
        accepted=keeps,
        reason=reason,
        rows=count,
        equal_labels=1 - changed / max(count, 1),
        accuracy_change=-lost / max(count, 1),
        largest_difference=difference,
    )


def rates(engines: Mapping[str, Any]) -> dict[str, float]:
    """Return the answers per second of the accepted exports by the name of the backend.

    Args:
        engines: What :func:`write` returned.
    """
    entries = {name: entry for name, entry in engines.items() if name in BACKENDS and entry["accepted"]}
    return {name: entry["answers_per_second"] for name, entry in entries.items() if entry["rows"]}


def _keep_precise(network: Path) -> None:
    """Mark a network's sums and norms to be computed in float32, whatever the dtype of the rest.

    The mark is OpenVINO's own attribute "precise", which it sets where half precision is known to be harmful.
    """
    tree = ET.parse(network)  # noqa: S314  it was written a moment ago
    for layer in tree.iter("layer"):
        kind, name = layer.get("type", ""), layer.get("name", "")
        if kind in _KEPT_PRECISE or (kind == "MatMul" and SUMS in name):
            marks = ET.Element("rt_info")
            ET.SubElement(marks, "attribute", {"name": "precise", "version": "0"})
            layer.insert(0, marks)
    tree.write(network, encoding="utf-8", xml_declaration=True)


def _log(name: str, evidence: Evidence) -> None:
    log.info(
        "event=engine name=%s accepted=%s rows=%d equal_labels=%.4f accuracy_change=%.4f "
        "largest_difference=%.6f note=%r",
        name, evidence.accepted, evidence.rows, evidence.equal_labels, evidence.accuracy_change,
        evidence.largest_difference, evidence.reason,
    )  # fmt: skip
