"""The rows a job trains and validates on."""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from classifier.errors import UserError, at_most
from classifier.modalities import text
from classifier.modalities.text import Examples, Label

log = logging.getLogger(__name__)

TRAINING_CHANNELS = ("training", "train")
VALIDATION_CHANNEL = "validation"
# The last two are the SageMaker SDK's own.
KNOWN_CHANNELS = (*TRAINING_CHANNELS, VALIDATION_CHANNEL, "model", "code", "sm_drivers")


@dataclass(frozen=True)
class Split:
    """Texts and the index of each one's label.

    Attributes:
        texts: The texts.
        targets: int32[rows], each row's label as its place among the labels.
        places: Where each row comes from, ``file:line``.
    """

    texts: tuple[str, ...]
    targets: NDArray[np.int32]
    places: tuple[str, ...]

    def take(self, indices: NDArray[np.int64]) -> "Split":
        """Return some of the rows."""
        chosen = indices.tolist()
        return Split(
            tuple(self.texts[index] for index in chosen),
            self.targets[indices],
            tuple(self.places[index] for index in chosen),
        )


@dataclass(frozen=True)
class Data:
    """What a job trains on.

    Attributes:
        labels: The labels in order; their place is the index the model answers with.
        training: The rows trained on.
        validation: The rows held out; may be none.
        digest: SHA-256 of all rows in their order, as hexadecimal.
    """

    labels: tuple[Label, ...]
    training: Split
    validation: Split
    digest: str


def load(channels: Mapping[str, Path], validation_split_ratio: float, seed: int) -> Data:
    """Read the job's channels.

    Raises:
        UserError: There is no training channel, a row is bad, or too little is left to train on.
    """
    name = _training_channel(channels)
    _mention_unused(channels)
    training = _read(channels[name], name)
    text.check_labels(training, name)
    labels = tuple(text.sorted_labels(list(training.table["label"])))
    if len(labels) < 2:
        raise UserError(f"channel {name}: every row has the same label; a classifier needs two labels or more")
    if VALIDATION_CHANNEL in channels:
        validation = _read(channels[VALIDATION_CHANNEL], VALIDATION_CHANNEL).table
        _check_known(validation, labels)
        train = training.table
    else:
        held_out = hold_out(training.table["label"], validation_split_ratio, seed)
        train, validation = training.table[~held_out], training.table[held_out]
        if validation_split_ratio and not held_out.any():
            log.warning("event=data note='too few rows to hold any out: there will be no val_accuracy'")
    data = Data(labels, _split(train, labels), _split(validation, labels), _digest(train, validation))
    _report(data)
    return data


def hold_out(labels: pd.Series, ratio: float, seed: int) -> NDArray[np.bool_]:
    """Choose rows to hold out: of each label alike, at random but the same for the same seed.

    Each label keeps at least one row to train on. The numbers of rows are rounded so that their sum is as near to
    ``ratio`` of all rows as can be (largest remainders).

    Returns:
        bool[rows], True where a row is held out.
    """
    counts = labels.groupby(labels, sort=True).transform("size")
    generator = np.random.default_rng(seed)
    shuffled = pd.Series(generator.permutation(len(labels)), index=labels.index)
    rank = shuffled.groupby(labels).rank(method="first") - 1
    # Held out are the rows whose place among their label's, in random order, falls below the label's quota.
    sizes = labels.value_counts().sort_index()
    exact = sizes * ratio
    quota = np.floor(exact).astype(int)
    missing = round(float(exact.sum())) - int(quota.sum())
    quota[(exact - quota).sort_values(ascending=False, kind="stable").index[:missing]] += 1
    quota = np.minimum(quota, sizes - 1)
    held_out: NDArray[np.bool_] = (rank < labels.map(quota).astype(int)).to_numpy() & (counts > 1).to_numpy()
    return held_out


def _mention_unused(channels: Mapping[str, Path]) -> None:
    unused = [name for name in channels if name not in KNOWN_CHANNELS]
    if unused:
        log.warning("event=data note='channels that are not read: %s'", ", ".join(unused))


def _training_channel(channels: Mapping[str, Path]) -> str:
    given = [name for name in TRAINING_CHANNELS if name in channels]
    if len(given) != 1:
        found = ", ".join(channels) or "none"
        raise UserError(
            "both channels 'training' and 'train' are given; give one"
            if given
            else f"no channel 'training' (or 'train'); the job's channels: {found}"
        )
    return given[0]


def _read(folder: Path, name: str) -> Examples:
    examples = text.read_channel(folder, name)
    for note in examples.notes:
        log.info("event=data channel=%s note=%r", name, note)
    return examples


def _check_known(validation: pd.DataFrame, labels: tuple[Label, ...]) -> None:
    unknown = validation[~validation["label"].isin(labels)]
    if len(unknown):
        problems = [f"{row.file}:{row.line}: a label that no training row has" for row in unknown.itertuples()]
        raise UserError(at_most(problems), "rows in channel validation that can't be scored; nothing was trained:")


def _split(table: pd.DataFrame, labels: tuple[Label, ...]) -> Split:
    index = {label: number for number, label in enumerate(labels)}
    targets = np.array([index[label] for label in table["label"]], np.int32)
    places = tuple(f"{file}:{line}" for file, line in zip(table["file"], table["line"], strict=True))
    return Split(tuple(table["text"]), targets, places)


def _digest(*tables: pd.DataFrame) -> str:
    digest = hashlib.sha256()
    for table in tables:
        digest.update(len(table).to_bytes(8, "big"))
        for field in (str(value) for pair in zip(table["label"], table["text"], strict=True) for value in pair):
            encoded = field.encode("utf-8", "surrogatepass")
            digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.hexdigest()


def _report(data: Data) -> None:
    counts = np.bincount(data.training.targets, minlength=len(data.labels))
    log.info(
        "event=data training_rows=%d validation_rows=%d labels=%d rows_of_rarest_label=%d rows_of_commonest_label=%d",
        len(data.training.texts),
        len(data.validation.texts),
        len(data.labels),
        counts.min(),
        counts.max(),
    )
