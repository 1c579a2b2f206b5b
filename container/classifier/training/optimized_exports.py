"""Faster forms of the exported model, each kept only on evidence that it gives the labels that the model gives."""

import logging
import shutil
import xml.etree.ElementTree as ET
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
from classifier.encoders.texts import TokenPreprocessor
from classifier.errors import UserError
from classifier.predictor import Predictor
from classifier.training.data import Split
from classifier.training.interruption import Interruption

log = logging.getLogger(__name__)

LARGEST_DIFFERENCE = 1e-3  # of a probability, between the trained model and what is exported of it in float32
SHARE_OF_LABELS_KEPT = 0.998
ACCURACY_LOST = 0.002
FEW_ROWS = 500  # of which one may change
COMPARED_AT_ONCE = 64
# Rows. What computes in the same numbers differs on the first ones already, if it differs.
MOST_COMPARED = 256
# Who serves asks our own records again, and takes a form that is further off than SMOKE_TOLERANCE for a damaged one.
MOST_OFF = artifact.SMOKE_TOLERANCE / 2
MOST_JUDGED = 5_000  # of these 0.2 % are ten
# Sums and norms cost little; computed in float32 whatever the rest is, a third less is lost by rounding.
_KEPT_PRECISE = frozenset({"Add", "Divide", "MVN", "Multiply", "Subtract"})


@dataclass(frozen=True)
class Checked:
    """What a form is compared with.

    Attributes:
        rows: Rows whose answers are known.
        answers: The trained model's answers for them, float32[rows, labels].
        probes: Its answers for its modality's ``smoke_inputs``, float32[probes, labels].
        held_out: Whether the rows are of no training.
    """

    rows: Split
    answers: NDArray[np.float32]
    probes: NDArray[np.float32]
    held_out: bool

    def sample(self, most: int) -> "Checked":
        """Return so many of the rows at most, as far from one another as can be."""
        if len(self.answers) <= most:
            return self
        indices = np.linspace(0, len(self.answers) - 1, most).astype(np.int64)
        return replace(self, rows=self.rows.take(indices), answers=self.answers[indices])


@dataclass(frozen=True)
class Evidence:
    """How a form's answers differ from the trained model's.

    Attributes:
        accepted: Whether it may serve.
        reason: Why not, or nothing.
        rows: How many rows it was asked.
        equal_labels: The share of them that it gives the same label.
        accuracy_change: How much larger a share of them it answers rightly.
        largest_difference: The largest of a probability.
    """

    accepted: bool
    reason: str = ""
    rows: int = 0
    equal_labels: float = 0.0
    accuracy_change: float = 0.0
    largest_difference: float = 0.0


def write(
    work: Path, network: Any, encoder: Encoder, exported: Predictor, checked: Checked, interruption: Interruption
) -> dict[str, Any]:
    """Write the forms of the model that there can be, and see what they answer.

    Args:
        work: The model folder that is being written.
        network: The signature of the written model from token ids, or other numbers, to probabilities.
        encoder: The trained encoder.
        exported: The model as TensorFlow runs it.
        checked: What is known of its answers.
        interruption: A job that is told to stop writes none.

    Returns:
        What the manifest says of each, by the name of the engine that runs it.
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
    level = logging.getLogger().level
    try:
        model = openvino.convert_model(network)
    except Exception as error:  # noqa: BLE001  the library has no exceptions of its own; the model is whole without
        logging.getLogger().setLevel(level)  # which the library had left at ERROR
        log.warning("event=engine name=%s accepted=False note=%r", FLOAT32, f"not converted: {type(error).__name__}")
        shutil.rmtree(folder)
        return {}
    openvino.save_model(model, folder / openvino_model.NETWORK, compress_to_fp16=False)
    _keep_precise(folder / openvino_model.NETWORK)
    found: dict[str, Evidence] = {}
    for name in (each for each in BACKENDS if each != TENSORFLOW):
        if all(evidence.accepted for evidence in found.values()):
            some = checked.sample(MOST_COMPARED if name == FLOAT32 else MOST_JUDGED)
            found[name] = _evidence(name, work, exported, some, interruption, folds_case=folds_case)
            _log(name, found[name])
    if not found[FLOAT32].accepted:
        shutil.rmtree(folder)
    return {"folds_case": folds_case, **{name: asdict(evidence) for name, evidence in found.items()}}


def _evidence(
    name: str, work: Path, exported: Predictor, checked: Checked, interruption: Interruption, *, folds_case: bool
) -> Evidence:
    """Ask a form what the trained model had answered."""
    manifest = {**exported.manifest, "engines": {"folds_case": folds_case}}
    try:
        backend = BACKENDS[name].load(Stored(work, work / artifact.SAVED_MODEL_FOLDER, manifest), Computing())
    except UserError as error:
        return Evidence(accepted=False, reason=str(error))
    if isinstance(backend, OpenVinoBackend) and backend.precision != PRECISIONS[name]:
        return Evidence(accepted=False, reason=f"the training machine's processor computes no {PRECISIONS[name]}")
    if name != FLOAT32 and not checked.held_out:
        return Evidence(accepted=False, reason="there are no validation rows to show that it keeps the labels")
    predictor = Predictor(backend, exported.labels, exported.manifest)
    difference = float(np.abs(predictor.predict(exported.modality.smoke_inputs()) - checked.probes).max())
    answers = np.zeros_like(checked.answers)
    for start in range(0, len(answers), COMPARED_AT_ONCE):
        if interruption.requested():
            return Evidence(accepted=False, reason="the job was told to stop before it was compared")
        piece = slice(start, start + COMPARED_AT_ONCE)
        answers[piece] = predictor.predict(checked.rows.texts[piece])
    evidence = judged(name, answers, checked, difference)
    if evidence.accepted and difference > MOST_OFF:
        return replace(evidence, accepted=False, reason=f"it answers records of our own otherwise, by {difference:.3f}")
    return evidence


def judged(name: str, answers: NDArray[np.float32], checked: Checked, difference: float) -> Evidence:
    """Say whether a form may serve.

    A form in float32 must give the same probabilities. One that rounds must give 99.8 % of the labels, or all but one
    of fewer than 500 rows, and may lose 0.2 points of accuracy, or one such row.

    Args:
        name: The engine that runs it.
        answers: The form's, float32[rows, labels].
        checked: What they are compared with.
        difference: The largest of a probability that is known already.
    """
    count = len(answers)
    labels, expected, targets = answers.argmax(axis=1), checked.answers.argmax(axis=1), checked.rows.targets
    changed = int((labels != expected).sum())
    lost = int((expected == targets).sum()) - int((labels == targets).sum())
    difference = max(difference, float(np.abs(answers - checked.answers).max(initial=0.0)))
    few = count < FEW_ROWS
    keeps = changed <= (1 if few else (1 - SHARE_OF_LABELS_KEPT) * count)
    keeps = keeps and lost <= (1 if few else ACCURACY_LOST * count)
    reason = "" if keeps else f"it changes {changed} of {count} labels, and {lost} fewer are right"
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


def _keep_precise(network: Path) -> None:
    """Mark a network's sums and norms as ones that are computed in float32 whatever the rest is computed in.

    OpenVINO reads the mark as its own attribute "precise", which it sets where half precision is known to do harm.
    """
    tree = ET.parse(network)  # noqa: S314  it was written a moment ago
    for layer in tree.iter("layer"):
        if layer.get("type") in _KEPT_PRECISE:
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
