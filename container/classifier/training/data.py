"""The rows a job trains, validates and tests on."""

import hashlib
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from classifier import TEXT
from classifier.environment import ROLES, shown
from classifier.errors import UserError, at_most
from classifier.hyperparameters import Hyperparameters
from classifier.modalities import MODALITIES, Modality, report
from classifier.modalities import image_shades as shades
from classifier.modalities.text_channel import Label, sorted_labels
from classifier.tabular import labels as names
from classifier.tabular.dialect import AS_WRITTEN, Dialect
from classifier.tabular.files import Source
from classifier.tabular.rows import BadDataError, Problem, ReadResult, if_a_header

log = logging.getLogger(__name__)

# Channels without rows; the last two are the SageMaker SDK's own.
NO_ROWS = frozenset({"model", "code", "sm_drivers"})
FILES_NAMED = 5
NO_VALIDATION = (
    "hyperparameter early_stopping=True: there are no validation rows to see a rise on; give a channel 'validation' or "
    "a validation_split_ratio over 0"
)
# A share that is held out is far from the one asked for where it is so many times as large or as small, and by so many
# rows; of a label's few rows it comes out more by chance.
TIMES_FAR, TIMES_FAR_OF_A_LABEL = 2, 4
FEWEST_FAR = 5
LABELS_NAMED = 5
KEPT_TOGETHER = (
    "images of one folder below their label's stay together, and so do images of names alike: give them folders, or "
    "names, of their own, or a channel 'validation'"
)


@dataclass(frozen=True)
class Tables:
    """All rows of a job as they were read, with the columns of :func:`classifier.modalities.text_channel.table_of`.

    Attributes:
        training: The rows to train on, of which some may be held out.
        validation: The validation channel's; None without one.
        test: The test channel's; None without one.
        modality: What kind of records they are.
        bits: How many bits of 16 the values of images of 16 bits take up, or took up where the model that is trained
            further learned; 0 without such images.
    """

    training: pd.DataFrame
    validation: pd.DataFrame | None = None
    test: pd.DataFrame | None = None
    modality: Modality = MODALITIES[TEXT]
    bits: int = 0


@dataclass(frozen=True)
class Split:
    """Records and the index of each one's label.

    Attributes:
        texts: The records: texts, or whatever else the modality reads.
        targets: int32[rows], each row's label as its place among the labels.
        places: Where each row comes from, ``file:line``, or the file that it is.
    """

    texts: tuple[Any, ...]
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
        test: The rows of the test channel, which nothing is chosen by; may be none.
        digest: SHA-256 of the rows of training and validation in their order, as hexadecimal.
        modality: What kind of records the rows are.
        bits: How many bits of 16 images of 16 bits are read by; 0 without such images.
    """

    labels: tuple[Label, ...]
    training: Split
    validation: Split
    test: Split
    digest: str
    modality: Modality = MODALITIES[TEXT]
    bits: int = 0


def read(
    channels: Mapping[str, Path],
    *,
    dialect: Dialect = AS_WRITTEN,
    sharded: Collection[str] = frozenset(),
    modality: Modality = MODALITIES[TEXT],
) -> Tables:
    """Read the job's channels, and log what the user should know of their files.

    Args:
        channels: The folder of each channel by its name.
        dialect: What the user says of how tables are written.
        sharded: The channels of which this host gets a part (``ShardedByS3Key``).
        modality: What kind of records they hold.

    Raises:
        UserError: There is no training channel, or a row of any channel is bad: the message has all of them.
    """
    found_roles = roles(channels)
    if "training" not in found_roles:
        raise UserError(
            f"no channel 'training' (or 'train'); the job's channels: {', '.join(map(shown, channels)) or 'none'}"
        )
    _warn_of_others({name: channels[name] for name in channels if name not in found_roles.values()}, modality)
    found: dict[str, ReadResult] = {}
    sources: dict[str, list[Source]] = {}
    for role, name in found_roles.items():
        found[role] = ReadResult(role=role)
        sources[role] = modality.channel.find(channels[name], name, found[role], sharded=name in sharded)
    return read_sources(sources, dialect, found, modality)


def roles(channels: Collection[str]) -> dict[str, str]:
    """Return the channels that are read, by what they are for: ``training``, ``validation``, ``test``.

    Raises:
        UserError: Two channels are for the same.
    """
    found = {role: sorted(name for name in channels if name.lower() in names) for role, names in ROLES.items()}
    problems = [
        f"the channels {', '.join(names[:-1])} and {names[-1]} are all for {role}; give one"
        for role, names in found.items()
        if len(names) > 1
    ]
    if problems:
        raise UserError(problems)
    return {role: names[0] for role, names in found.items() if names}


def read_sources(
    sources: Mapping[str, Sequence[Source]],
    dialect: Dialect,
    found: Mapping[str, ReadResult] | None = None,
    modality: Modality = MODALITIES[TEXT],
) -> Tables:
    """Read files by what they are for: ``training`` and perhaps ``validation`` and ``test``.

    Args:
        sources: The files.
        dialect: As for :func:`read`.
        found: What is already known of them.
        modality: What kind of records they hold.

    Raises:
        UserError: A row is bad: the message has all of them.
    """
    found = found or {role: ReadResult(role=role) for role in sources}
    for role, result in found.items():
        modality.channel.read_sources(sources[role], dialect, result)
        for finding in report.of_files(role, result):
            log.log(finding.level, "event=data %s", finding.line)
        for warning in result.warnings:
            log.warning("event=data rows=%s note=%r", role, warning)
        for note in result.notes:
            log.info("event=data rows=%s note=%r", role, note)
    problems = [problem for result in found.values() for problem in result.problems_in_order()]
    if problems:
        raise BadDataError(problems)
    tables = {role: modality.channel.table_of(result) for role, result in found.items()}
    return Tables(**tables, modality=modality, bits=modality.channel.bits_of(tables.values()))


def labels_of(tables: Tables, known: tuple[Label, ...] = (), *, fewest: int = 2) -> tuple[Label, ...]:
    """Return the labels in the order the model will answer in: the known ones, then the new ones, sorted.

    Args:
        tables: All rows.
        known: The labels of a model that is trained further.
        fewest: How many labels there must be; 1 on a host that has some of the rows.

    Raises:
        UserError: The training rows' labels can't be labels, are of another kind than the known ones, or are one only.
    """
    table = tables.training
    tables.modality.channel.check(table, known)
    labels = sorted_labels(list(table["label"]))
    if known and isinstance(labels[0], int) != isinstance(known[0], int):
        kind, other = ("integers", "names") if isinstance(labels[0], int) else ("names", "integers")
        raise UserError(
            f"{_place(table)}: the labels are {kind}, and those of the model to go on from {other}; use its"
        )
    if not known and len(labels) < fewest:
        more = tables.modality.channel.why_one_label(table)
        raise UserError(f"{_place(table)}: every row has the same label; a classifier needs two labels or more{more}")
    return (*known, *new_labels(labels, known))


def new_labels(labels: Sequence[Label], known: Sequence[Label]) -> list[Label]:
    """Return each label that is not known once, in the order of labels."""
    kinds = {type(label) for label in (*labels, *known)}
    if len(kinds) > 1:
        raise UserError("the labels are integers in one place and names in another; use one kind throughout")
    return sorted_labels([label for label in labels if label not in set(known)])


def prepare(
    tables: Tables,
    labels: tuple[Label, ...],
    validation_split_ratio: float,
    seed: int,
    *,
    max_sequence_length: int | None = None,
) -> Data:
    """Hold rows out where there is no validation channel, and log what the data are like.

    Args:
        tables: All rows.
        labels: The labels in their order; some may have no row.
        validation_split_ratio: The share of the training rows to hold out.
        seed: Makes the choice repeatable.
        max_sequence_length: How many tokens of a text will be read, for the report.

    Raises:
        UserError: A row to validate or test on has a label that is none of these.
    """
    _check_known(tables, labels)
    train, validation = tables.training, tables.validation
    if validation is None:
        held_out = _held_out(train, validation_split_ratio, seed)
        train, validation = train[~held_out], train[held_out]
    splits = {
        "training": train,
        "validation": validation,
        "test": train.iloc[:0] if tables.test is None else tables.test,
    }
    if tables.bits:
        splits = {name: shades.read_by(table, tables.bits) for name, table in splits.items()}
    for finding in tables.modality.channel.findings(splits, labels, max_sequence_length):
        log.log(finding.level, "event=data %s", finding.line)
    return Data(
        labels,
        **{name: _split(table, labels) for name, table in splits.items()},
        digest=_digest(train, validation),
        modality=tables.modality,
        bits=tables.bits,
    )


def check_validation(rows: Data, settings: Hyperparameters) -> None:
    """See to it that there are rows to validate on, if the job needs some.

    Raises:
        UserError: There are none.
    """
    if settings.early_stopping and not rows.validation.texts:
        raise UserError(NO_VALIDATION)


def _held_out(table: pd.DataFrame, ratio: float, seed: int) -> NDArray[np.bool_]:
    by_share = "share" in table
    held_out = (
        hold_out_by_share(table["label"], table["share"], ratio) if by_share else hold_out(table["label"], ratio, seed)
    )
    if ratio and not held_out.any():
        words = "give a channel 'validation', or a greater validation_split_ratio"
        log.warning("event=data note=%r", f"no row is held out: there will be no val_accuracy; {words}")
    elif by_share:
        for note in far_from(ratio, held_out, table["label"]):
            log.warning("event=data note=%r", note)
    return held_out


def far_from(ratio: float, held_out: NDArray[np.bool_], labels: pd.Series) -> Iterator[str]:
    """Say where the share that is held out is far from the one that was asked for: of all rows, or of a label's.

    Args:
        ratio: The share that was asked for.
        held_out: bool[rows], True where a row is held out.
        labels: Each row's label.
    """
    rows, held = len(held_out), int(held_out.sum())
    if _is_far(held, rows, ratio, TIMES_FAR):
        asked = f"validation_split_ratio={ratio:g} asks for {rows * ratio:.0f}"
        yield f"{held} of {rows} rows are held out, where {asked}; {KEPT_TOGETHER}"
        return
    counts = pd.Series(held_out).groupby(labels.to_numpy()).agg(["sum", "size"])
    odd = [
        f"{label} ({of} of {size})"
        for label, of, size in zip(counts.index, counts["sum"], counts["size"], strict=True)
        if _is_far(int(of), int(size), ratio, TIMES_FAR_OF_A_LABEL)
    ]
    if odd:
        shown = ", ".join(at_most(odd, LABELS_NAMED))
        yield f"far from {ratio:g} of the rows of these labels are held out: {shown}; {KEPT_TOGETHER}"


def _is_far(held: int, rows: int, ratio: float, times: float) -> bool:
    wanted = rows * ratio
    many = held > times * wanted or rows - held < (rows - wanted) / times
    return abs(held - wanted) >= FEWEST_FAR and (many or held < wanted / times)


def hold_out_by_share(labels: pd.Series, shares: pd.Series, ratio: float) -> NDArray[np.bool_]:
    """Choose rows to hold out: those whose share is below the ratio, whatever other rows there are.

    Each label keeps at least one row to train on: that of the highest share, and others of the same.

    Args:
        labels: Each row's label.
        shares: Each row's place between 0 and 1, which is its own.
        ratio: About this share of all rows is held out.

    Returns:
        bool[rows], True where a row is held out.
    """
    last = shares.groupby(labels).rank(method="min", ascending=False) == 1
    held_out: NDArray[np.bool_] = ((shares < ratio) & ~last).to_numpy()
    return held_out


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


def _warn_of_others(channels: Mapping[str, Path], modality: Modality) -> None:
    """Warn of channels that are not read, and name the files in them that would be."""
    for name, folder in channels.items():
        if name in NO_ROWS:
            continue
        found = modality.channel.find(folder, name, ReadResult())
        files = at_most([f"{source.name} ({source.path.stat().st_size:,} bytes)" for source in found], FILES_NAMED)
        rows = f" and holds {', '.join(files)}" if files else ""
        note = f"the channel {shown(name)} is not read{rows}; what is read are the channels {', '.join(ROLES)}"
        log.warning("event=data note=%r", note)


def _place(table: pd.DataFrame) -> str:
    return _place_of(str(table["file"].iloc[0]), int(table["line"].iloc[0]))


def _place_of(file: str, line: int) -> str:
    return f"{file}:{line}" if line else file


def _check_known(tables: Tables, labels: tuple[Label, ...]) -> None:
    """Refuse rows to validate or test on that no answer could be right for."""
    counts = tables.training["label"].value_counts()
    problems = [
        problem
        for table in (tables.validation, tables.test)
        if table is not None
        for problem in _unknown(table, labels, counts)
    ]
    if problems:
        raise BadDataError(problems)


def _unknown(table: pd.DataFrame, labels: tuple[Label, ...], counts: "pd.Series[int]") -> list[Problem]:
    if isinstance(table["label"].iloc[0], int) != isinstance(labels[0], int):
        kind, other = ("names", "integers") if isinstance(labels[0], int) else ("integers", "names")
        words = f"the labels are {kind} here and {other} in training; use one kind"
        return [Problem(str(table["file"].iloc[0]), int(table["line"].iloc[0]), words)]
    unknown = table[~table["label"].isin(labels)]
    otherwise = names.written_otherwise(set(unknown["label"]), labels)
    return [
        Problem(
            str(file),
            int(line),
            _why_unknown(label, otherwise.get(label), counts, if_a_header(first=first, below=below)),
        )
        for label, file, line, first, below in zip(
            *(unknown[name] for name in ("label", "file", "line", "first", "below")), strict=True
        )
    ]


def _why_unknown(label: Label, alike: tuple[str, str] | None, counts: "pd.Series[int]", if_a_header: str) -> str:
    """Say of a label that training lacks what to do; one that training writes in another way is named."""
    if alike is None:
        perhaps = if_a_header if isinstance(label, str) else ""
        return f"a label that no training row has; correct it, or add rows to train on{perhaps}"
    other, difference = alike
    cure = "write both alike, or add rows to train on"
    if counts.get(other) == 1:  # it may be a text in the wrong column, which is not shown
        return f"the label differs from one that training has only in {difference}; {cure}"
    return (
        f"the label {names.spelled(label)} differs from training's {names.spelled(other)} only in {difference}; {cure}"
    )


def _split(table: pd.DataFrame, labels: tuple[Label, ...]) -> Split:
    index = {label: number for number, label in enumerate(labels)}
    targets = np.array([index[label] for label in table["label"]], np.int32)
    places = tuple(map(_place_of, table["file"], table["line"]))
    return Split(tuple(table["record"]), targets, places)


def _digest(*tables: pd.DataFrame) -> str:
    digest = hashlib.sha256()
    for table in tables:
        digest.update(len(table).to_bytes(8, "big"))
        for field in (str(value) for pair in zip(table["label"], table["record"], strict=True) for value in pair):
            encoded = field.encode("utf-8", "surrogatepass")
            digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.hexdigest()
