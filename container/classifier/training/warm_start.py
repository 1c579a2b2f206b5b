"""A model of this image on the ``model`` channel, which is trained further."""

import hashlib
import json
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
from classifier.hyperparameters import AUTO, TRUNCATE
from classifier.modalities import MODALITIES, Modality
from classifier.tabular.rows import may_be_shown
from classifier.training.data import Data, Split, Tables

log = logging.getLogger(__name__)

MOST_SHOWN = 20  # labels in a line of the log


@dataclass(frozen=True)
class TopLayerWeights:
    """The weights of a trained top layer.

    Attributes:
        kernel: float32[width, labels], without the share that it had beside n-grams.
        bias: float32[labels].
        ngrams: The arrays of the n-grams' side, as :mod:`classifier.training.top_layer` has them; empty without one.
    """

    kernel: NDArray[np.float32]
    bias: NDArray[np.float32]
    ngrams: Mapping[str, NDArray[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class ReferenceRow:
    """A row that the earlier model was scored on; its text isn't stored.

    Attributes:
        salted_sha256: The hash of the digest of that job's data and the text.
        label: The row's label.
        answer: The label that the model predicted.
    """

    salted_sha256: str
    label: Label
    answer: Label


@dataclass(frozen=True, kw_only=True)
class Previous:
    """A model of an earlier job.

    Attributes:
        family: The family of its encoder.
        name: The name of its encoder.
        encoder: The folder with the encoder's files.
        labels: Its labels, in the order of its probabilities.
        top_layer: Its top layer.
        max_sequence_length: The number of tokens of a text that it reads, or reads at once.
        salt: The digest of the data that it was trained on.
        reference_rows: Rows that it was scored on.
        modality: The modality of its records.
        bits: The number of significant bits by which it scales 16-bit images; 0 if it was trained on none.
        long_texts: How it reads longer texts; ``auto`` if it truncates them and its job didn't ask for that.
    """

    family: str
    name: str
    encoder: Path
    labels: tuple[Label, ...]
    top_layer: TopLayerWeights
    max_sequence_length: int
    salt: str
    reference_rows: tuple[ReferenceRow, ...]
    modality: Modality = MODALITIES[TEXT]
    bits: int = 0
    long_texts: str = AUTO

    def defaults(self, _: str) -> Mapping[str, Any]:
        """Return the defaults of hyperparameters that are taken over from the earlier job."""
        return {
            **catalog.defaults_of(self.modality, brought=True)(self.name),
            "max_sequence_length": self.max_sequence_length,
            "long_texts": self.long_texts,
        }


def read(folder: Path, modality: Modality = MODALITIES[TEXT]) -> Previous | None:
    """Read a model that this image trained.

    Args:
        folder: The folder with the model channel's files.
        modality: The modality of the training data.

    Returns:
        The model; None if the folder holds something else.

    Raises:
        UserError: A part of the model is missing or broken; its modality is another one; or it is a model of another
            program, which can't be trained further, as its encoder's weights can't be told from the rest.
    """
    if not artifact.is_model(folder):
        return None
    model = artifact.load(folder)
    if not model.manifest:
        raise UserError(
            "model channel: a SavedModel of a classifier, without its encoder; it can be served as it is, but training "
            "needs the model.tar.gz of a job of this image, or an encoder"
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
        family=encoder["family"],
        name=encoder["name"],
        encoder=model.folder / artifact.ENCODER_FOLDER,
        labels=model.labels,
        top_layer=_top_layer(model.folder / artifact.HEAD_FILE, len(model.labels)),
        max_sequence_length=int(model.manifest["hyperparameters"]["max_sequence_length"]),
        salt=str(model.manifest.get("data", {}).get("sha256", "")),
        reference_rows=_reference_rows(model.folder / artifact.REFERENCE_FILE, model.labels),
        modality=model.modality,
        bits=int(encoder.get("bits", 0)),
        long_texts=_long_texts(model.manifest),
    )


def _long_texts(manifest: Mapping[str, Any]) -> str:
    """Return how a model reads long texts, or, if it truncates them, what its job asked for."""
    reads: str = manifest["encoder"].get("long_texts", TRUNCATE)
    return manifest["hyperparameters"].get("long_texts", AUTO) if reads == TRUNCATE else reads


def _top_layer(path: Path, labels: int) -> TopLayerWeights:
    try:
        weights = load_file(path)
        layer = TopLayerWeights(weights["kernel"], weights["bias"])
        of_ngrams = path.with_name(artifact.NGRAMS_FILE)
        if of_ngrams.is_file():
            layer = _without_ngrams(layer, load_file(of_ngrams))
    except (OSError, SafetensorError, KeyError) as error:
        raise UserError(
            f"model channel: {path.name} is missing or broken ({error}); provide the complete model"
        ) from None
    if layer.kernel.shape[1:] != (labels,) or layer.bias.shape != (labels,):
        raise UserError(
            f"model channel: {path.name} is not of a model with {labels} labels; provide the complete model"
        )
    return layer


def _without_ngrams(mixed: TopLayerWeights, ngrams: Mapping[str, NDArray[Any]]) -> TopLayerWeights:
    """Return the vectors' own layer: without their share, and without the n-grams' bias."""
    share = float(ngrams["share"][0])
    if not share:
        return TopLayerWeights(np.zeros_like(mixed.kernel), np.zeros_like(mixed.bias), ngrams)
    bias = (mixed.bias - (1 - share) * ngrams["bias"]) / share
    return TopLayerWeights((mixed.kernel / share).astype(np.float32), bias.astype(np.float32), ngrams)


def _reference_rows(path: Path, labels: Sequence[Label]) -> tuple[ReferenceRow, ...]:
    rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8")).get("rows", [])
    return tuple(
        ReferenceRow(row["salted_sha256"], labels[row["label"]], labels[_answered(row)])
        for row in rows
        if "label" in row
    )


def _answered(row: Mapping[str, Any]) -> int:
    """Return the index of the label of a reference row's answer; earlier versions wrote only the exported model's."""
    return int(row["judged"] if "judged" in row else np.argmax(row["probabilities"]))


def salted_hash(salt: str, text: str) -> str:
    """Return a hash that identifies a row without revealing its text, or the digest of its image."""
    return hashlib.sha256((salt + text).encode("utf-8", "surrogatepass")).hexdigest()


def kept_labels(previous: Previous | None, reinitialize_top_layer: str) -> tuple[Label, ...]:
    """Return the labels whose weights in the top layer are kept.

    Raises:
        UserError: The top layer must be kept, and there is none.
    """
    if previous is None and reinitialize_top_layer == "False":
        raise UserError(
            "hyperparameter reinitialize_top_layer=False: there is no trained top layer to keep; "
            "give a model of this image on the channel 'model', or leave the hyperparameter out"
        )
    return () if previous is None or reinitialize_top_layer == "True" else previous.labels


def read_as_before(previous: Previous | None, tables: Tables) -> Tables:
    """Return rows whose 16-bit images are scaled as those that the earlier model was trained with, if they fit."""
    bits = 0 if previous is None else previous.bits
    if bits and tables.bits > bits:
        log.warning(
            "event=data note='16-bit images have values of %d bits, and those that the model was trained on of %d: all "
            "are read darker than before; provide values like those, or train the model from scratch'",
            tables.bits, bits,
        )  # fmt: skip
    return replace(tables, bits=max(bits, tables.bits))


def report_labels(kept: Sequence[Label], data: Data) -> None:
    """Log which labels are new to the model, and which of its labels have no training row."""
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


def warn_of_known_rows(previous: Previous | None, data: Data) -> None:
    """Warn if held-out rows say little, as the earlier model may have learnt them."""
    if previous is None or not data.held_out or not len(data.validation.records):
        return
    wanted = {row.salted_sha256 for row in previous.reference_rows}
    if any(_found(wanted, previous.salt, part.records) for part in (data.validation, data.training)):
        log.warning(
            "event=data rows=validation note='rows of the job that trained the earlier model are among these: it may "
            "have learnt those that are held out here, so that the metrics, and what is chosen by them, are too good; "
            "provide rows that are new to it on a validation channel'"
        )


def _shown(rows_of_labels: Mapping[Label, int]) -> str:
    """Return labels for the log, except those that may be texts in the wrong column."""
    shown = [str(label) for label, rows in rows_of_labels.items() if may_be_shown(label, rows)]
    more = len(rows_of_labels) - len(shown[:MOST_SHOWN])
    return ", ".join([*shown[:MOST_SHOWN], *([f"and {more} not shown"] if more else [])]) or "none"


def compare(
    previous: Previous,
    data: Data,
    scored: Split,
    judged: NDArray[np.float32],
    answer: Callable[[Sequence[Any]], NDArray[np.float32]],
) -> None:
    """Log whether the new model is worse than the earlier one on its reference rows, as far as the data hold them.

    Args:
        previous: The earlier model.
        data: The rows of this job, among which the reference rows are found by their hashes.
        scored: Validation rows that were scored, if there are any.
        judged: Their probabilities, float32[rows, labels], by the model that had not learnt from them yet.
        answer: Maps records to the exported model's probabilities, float32[records, labels].
    """
    wanted = {row.salted_sha256: row for row in previous.reference_rows if row.label in data.labels}
    held_out = _found(wanted, previous.salt, scored.records) if data.validation.records else {}
    trained_on = {} if held_out else _found(wanted, previous.salt, data.training.records)
    found = held_out or trained_on
    if not found:
        log.info("event=golden note='no reference row of the earlier model is in these data: nothing to compare'")
        return
    rows, indices = [wanted[digest] for digest in found], list(found.values())
    probabilities = judged[indices] if held_out else answer([data.training.records[index] for index in indices])
    answers = [data.labels[index] for index in probabilities.argmax(axis=1)]
    before = sum(row.answer == row.label for row in rows) / len(rows)
    after = sum(given == row.label for given, row in zip(answers, rows, strict=True)) / len(rows)
    log.log(
        logging.WARNING if after < before else logging.INFO,
        "event=golden rows=%d trained_on=%d accuracy_before=%.6f accuracy_after=%.6f note='%s'",
        len(rows), len(trained_on), before, after, "the model is worse on them" if after < before else "not worse",
    )  # fmt: skip


def _found(wanted: Collection[str], salt: str, records: Sequence[Any]) -> dict[str, int]:
    """Return the indices of the records whose hashes are wanted, by their hashes."""
    hashed = {salted_hash(salt, str(record)): index for index, record in enumerate(records)}
    return {digest: index for digest, index in hashed.items() if digest in wanted}
