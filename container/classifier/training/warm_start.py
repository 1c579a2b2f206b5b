"""A model of this image's own on the ``model`` channel, to be trained further."""

import hashlib
import json
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from classifier import TEXT, artifact
from classifier.artifact import Label
from classifier.encoders import catalog
from classifier.errors import UserError
from classifier.modalities import MODALITIES, Modality
from classifier.training.data import Data, Tables

log = logging.getLogger(__name__)

MOST_SHOWN = 20  # labels in a line of the log


@dataclass(frozen=True)
class TopLayer:
    """The weights of a top layer that was trained before.

    Attributes:
        kernel: float32[width, labels].
        bias: float32[labels].
    """

    kernel: NDArray[np.float32]
    bias: NDArray[np.float32]


@dataclass(frozen=True)
class ReferenceRow:
    """A row that the model was once scored on, of which no text is kept.

    Attributes:
        salted_sha256: The hash of the digest of that job's data and the text.
        label: The row's label.
        answer: The label the model gave it.
    """

    salted_sha256: str
    label: Label
    answer: Label


@dataclass(frozen=True)
class Previous:
    """A model that was trained before.

    Attributes:
        family: Of its encoder.
        name: Of its encoder.
        encoder: The folder with the encoder's files.
        labels: Its labels, in the order of its answers.
        top_layer: Its top layer.
        max_sequence_length: How many tokens of a text it read.
        salt: The digest of the data it was trained on.
        golden: Rows it was scored on.
        modality: What kind of records it answers.
        bits: How many bits of 16 it read images of 16 bits by; 0 where it was trained on none.
    """

    family: str
    name: str
    encoder: Path
    labels: tuple[Label, ...]
    top_layer: TopLayer
    max_sequence_length: int
    salt: str
    golden: tuple[ReferenceRow, ...]
    modality: Modality = MODALITIES[TEXT]
    bits: int = 0

    def defaults(self, _: str) -> Mapping[str, Any]:
        """Return the hyperparameters that go on as they were where the job gives none."""
        return {
            **catalog.defaults_of(self.modality, brought=True)(self.name),
            "max_sequence_length": self.max_sequence_length,
        }


def read(folder: Path, modality: Modality = MODALITIES[TEXT]) -> Previous | None:
    """Read a model that this image trained; None where the folder holds something else.

    Args:
        folder: The folder.
        modality: What kind of records it is to be trained on.

    Raises:
        UserError: A part of the model is missing or broken; it answers records of another kind; or it is a model of
            another program, which can be served but not trained, because its encoder's weights can't be told from the
            rest.
    """
    if not artifact.is_model(folder):
        return None
    model = artifact.load(folder)
    if not model.manifest:
        raise UserError(
            "model channel: a SavedModel that answers probabilities, without the encoder it was made of; it can be "
            "served as it is, but training needs the model.tar.gz of a job of this image, or an encoder"
        )
    if model.modality is not modality:
        raise UserError(
            f"model channel: holds a model of {model.modality.name}s, and the training data are {modality.name}s; "
            "give a model of their kind, or an encoder"
        )
    for note in model.notes:
        log.warning("event=model_note note=%r", note)
    encoder = model.manifest["encoder"]
    return Previous(
        encoder["family"],
        encoder["name"],
        model.folder / artifact.ENCODER_FOLDER,
        model.labels,
        _top_layer(model.folder / artifact.HEAD_FILE, len(model.labels)),
        int(model.manifest["hyperparameters"]["max_sequence_length"]),
        str(model.manifest.get("data", {}).get("sha256", "")),
        _golden(model.folder / artifact.REFERENCE_FILE, model.labels),
        model.modality,
        int(model.manifest["encoder"].get("bits", 0)),
    )


def _top_layer(path: Path, labels: int) -> TopLayer:
    try:
        weights = load_file(path)
        layer = TopLayer(weights["kernel"], weights["bias"])
    except (OSError, SafetensorError, KeyError) as error:
        raise UserError(f"model channel: {path.name} is missing or broken ({error}); give the model whole") from None
    if layer.kernel.shape[1:] != (labels,) or layer.bias.shape != (labels,):
        raise UserError(f"model channel: {path.name} is not of a model with {labels} labels; give the model whole")
    return layer


def _golden(path: Path, labels: Sequence[Label]) -> tuple[ReferenceRow, ...]:
    rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8")).get("rows", [])
    return tuple(
        ReferenceRow(row["salted_sha256"], labels[row["label"]], labels[int(np.argmax(row["probabilities"]))])
        for row in rows
        if "label" in row
    )


def salted_hash(salt: str, text: str) -> str:
    """Return what a row is known by without its text, or without what stands for its record's content."""
    return hashlib.sha256((salt + text).encode("utf-8", "surrogatepass")).hexdigest()


def kept_labels(previous: Previous | None, reinitialize_top_layer: str) -> tuple[Label, ...]:
    """Return the labels whose part of the top layer is kept.

    Raises:
        UserError: One is to be kept, and there is none.
    """
    if previous is None and reinitialize_top_layer == "False":
        raise UserError(
            "hyperparameter reinitialize_top_layer=False: there is no trained top layer to keep; "
            "give a model of this image on the channel 'model', or leave the hyperparameter out"
        )
    return () if previous is None or reinitialize_top_layer == "True" else previous.labels


def read_as_before(previous: Previous | None, tables: Tables) -> Tables:
    """Return rows whose images of 16 bits are read by the bits that the model learned with, if their values fit."""
    bits = 0 if previous is None else previous.bits
    if bits and tables.bits > bits:
        log.warning(
            "event=data note='images of 16 bits have values of %d bits, and those that the model learned from of %d: "
            "all are read darker than before; give values as those were, or train the model anew'",
            tables.bits, bits,
        )  # fmt: skip
    return replace(tables, bits=max(bits, tables.bits))


def report_labels(kept: Sequence[Label], data: Data) -> None:
    """Log which labels are new to the model, and which of its own the data do not have."""
    if not kept:
        return
    counts = np.bincount(data.training.targets, minlength=len(data.labels)).tolist()
    new = {label: count for label, count in zip(data.labels, counts, strict=True) if label not in kept}
    absent = [label for label, count in zip(data.labels, counts, strict=True) if label in kept and not count]
    log.info("event=top_layer kept_labels=%d new_labels=%d: %s", len(kept), len(new), _shown(new))
    if absent:
        log.warning(
            "event=top_layer note='no training row has these labels, so the model may forget them: %s'",
            ", ".join(str(label) for label in absent[:MOST_SHOWN]),
        )


def _shown(rows_of_labels: Mapping[Label, int]) -> str:
    """Name labels, but for what may be a text in the wrong column: a long one, and one that a single row has."""
    shown = [
        str(label)
        for label, rows in rows_of_labels.items()
        if isinstance(label, int) or (rows > 1 and len(label) <= 40)
    ]
    more = len(rows_of_labels) - len(shown[:MOST_SHOWN])
    return ", ".join([*shown[:MOST_SHOWN], *([f"and {more} not shown"] if more else [])]) or "none"


def compare(previous: Previous, data: Data, answer: Callable[[Sequence[Any]], NDArray[np.float32]]) -> None:
    """Ask the new model the old one's golden rows, as far as their texts are in the data, and log any fall.

    Args:
        previous: The model that was trained further.
        data: The rows of this job; the golden rows are looked for among them by their hashes.
        answer: Records to probabilities, float32[records, labels], of the new model.
    """
    wanted = {row.salted_sha256: row for row in previous.golden if row.label in data.labels}
    texts = _found(wanted, previous.salt, data.validation.texts)
    learnt = {} if texts else _found(wanted, previous.salt, data.training.texts)
    texts = texts or learnt
    if not texts:
        log.info("event=golden note='no row that the model was scored on before is in these data: nothing to compare'")
        return
    rows = [wanted[digest] for digest in texts]
    answers = [data.labels[index] for index in answer(list(texts.values())).argmax(axis=1)]
    before = sum(row.answer == row.label for row in rows) / len(rows)
    after = sum(given == row.label for given, row in zip(answers, rows, strict=True)) / len(rows)
    log.log(
        logging.WARNING if after < before else logging.INFO,
        "event=golden rows=%d trained_on=%d accuracy_before=%.6f accuracy_after=%.6f note='%s'",
        len(rows), len(learnt), before, after, "the model has become worse on them" if after < before else "no fall",
    )  # fmt: skip


def _found(wanted: Collection[str], salt: str, texts: Sequence[Any]) -> dict[str, Any]:
    """Return the records whose hashes are wanted, by their hashes."""
    hashed = {salted_hash(salt, str(text)): text for text in texts}
    return {digest: text for digest, text in hashed.items() if digest in wanted}
