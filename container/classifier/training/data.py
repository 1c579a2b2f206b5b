"""The rows of a job, read from its channels and split into training, validation and test rows."""

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
from classifier.hyperparameters import AUTO_MODEL, Hyperparameters
from classifier.modalities import MODALITIES, Modality, report
from classifier.modalities import image_shades as shades
from classifier.modalities.text_channel import Label, sorted_labels
from classifier.tabular import spelling
from classifier.tabular.dialect import AS_WRITTEN, Dialect
from classifier.tabular.files import Source
from classifier.tabular.rows import BadDataError, Problem, ReadResult, if_a_header, location_of

log = logging.getLogger(__name__)

# Channels without rows; the last two are the SageMaker SDK's own.
NO_ROWS = frozenset({"model", "code", "sm_drivers"})
FILES_NAMED = 5
NO_VALIDATION = "hyperparameter {}: {} validation rows, and there are none; {}"
HOLD_OUT = "add a channel 'validation', or set validation_split_ratio above 0"
HOLD_OUT_MORE = (
    "add a channel 'validation', or more rows to hold some out: a label needs two or more, one of which is always "
    "trained on, and few rows need a larger validation_split_ratio"
)
# The share of rows that is held out by hash is far from the requested one if it is off by this factor and by this many
# rows. For a single label, which has fewer rows, chance alone accounts for larger factors.
TIMES_FAR, TIMES_FAR_OF_A_LABEL = 2, 4
FEWEST_FAR = 5
LABELS_NAMED = 5
KEPT_TOGETHER = (
    "images in one folder below their label's folder are held out together, and so are images with similar names: give "
    "them separate folders or names, or add a channel 'validation'"
)


@dataclass(frozen=True)
class Tables:
    """All rows of a job as they were read, with the columns of :func:`classifier.modalities.text_channel.table_of`.

    Attributes:
        training: The rows of the training channel, some of which may be held out.
        validation: The rows of the validation channel; None without one.
        test: The rows of the test channel; None without one.
        modality: The modality of the records.
        bits: The number of significant bits in the values of 16-bit images: those of these rows, or those that the
            model to train further was trained with; 0 without such images.
    """

    training: pd.DataFrame
    validation: pd.DataFrame | None = None
    test: pd.DataFrame | None = None
    modality: Modality = MODALITIES[TEXT]
    bits: int = 0


@dataclass(frozen=True)
class Split:
    """Records with their labels.

    Attributes:
        records: The records: texts, or :class:`classifier.pixels.ImageSource` values.
        targets: int32[rows], the index of each row's label.
        locations: Where each row was read from: ``file:line``, or the name of an image file.
    """

    records: tuple[Any, ...]
    targets: NDArray[np.int32]
    locations: tuple[str, ...]

    def take(self, indices: NDArray[np.int64]) -> "Split":
        """Return the rows with these indices, int64[rows]."""
        chosen = indices.tolist()
        return Split(
            tuple(self.records[index] for index in chosen),
            self.targets[indices],
            tuple(self.locations[index] for index in chosen),
        )


@dataclass(frozen=True)
class Data:
    """The data set of a job.

    Attributes:
        labels: The labels, in the order of the model's probabilities.
        training: The training rows.
        validation: The validation rows, from the validation channel or held out; may be empty.
        test: The rows of the test channel, which influence no decision; may be empty.
        digest: SHA-256 of the training and validation rows in their order, as hexadecimal.
        modality: The modality of the records.
        bits: The number of significant bits by which 16-bit images are scaled; 0 without such images.
        held_out: Whether the validation rows are training rows that were held out, not those of a channel of their own.
    """

    labels: tuple[Label, ...]
    training: Split
    validation: Split
    test: Split
    digest: str
    modality: Modality = MODALITIES[TEXT]
    bits: int = 0
    held_out: bool = True


def read(
    channels: Mapping[str, Path],
    *,
    dialect: Dialect = AS_WRITTEN,
    sharded: Collection[str] = frozenset(),
    modality: Modality = MODALITIES[TEXT],
) -> Tables:
    """Read the job's channels, and log what the user should know about their files.

    Args:
        channels: The folder of each channel by its name.
        dialect: The format of tables, as far as the user specifies it.
        sharded: The channels of which this host gets a part (``ShardedByS3Key``).
        modality: The modality of the records.

    Raises:
        UserError: There is no training channel, or rows of any channel are invalid: the message lists all of them.
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
    """Return the names of the channels that are read, by their role: ``training``, ``validation``, ``test``.

    Raises:
        UserError: Two channels have the same role.
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
    """Read the files of each role.

    Args:
        sources: The files by role: ``training``, and optionally ``validation`` and ``test``.
        dialect: As for :func:`read`.
        found: The result of each role so far, to which rows and problems are added.
        modality: The modality of the records.

    Raises:
        UserError: Rows are invalid: the message lists all of them.
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
    """Return the labels in the order of the model's probabilities: the known ones, then the new ones, sorted.

    Args:
        tables: All rows.
        known: The labels of the model that is trained further.
        fewest: The smallest allowed number of labels; 1 on a host that has only some of the rows.

    Raises:
        UserError: The values in the training rows can't be labels, differ in type from the known labels, or are all
            the same.
    """
    table = tables.training
    tables.modality.channel.check(table, known)
    labels = sorted_labels(list(table["label"]))
    if known and isinstance(labels[0], int) != isinstance(known[0], int):
        kind, other = ("integers", "names") if isinstance(labels[0], int) else ("names", "integers")
        raise UserError(
            f"{_location(table)}: the labels are {kind}, and those of the model to train further are {other}; use the "
            "model's labels"
        )
    if not known and len(labels) < fewest:
        more = tables.modality.channel.why_one_label(table)
        raise UserError(
            f"{_location(table)}: every row has the same label; a classifier needs two labels or more{more}"
        )
    return (*known, *new_labels(labels, known))


def new_labels(labels: Sequence[Label], known: Sequence[Label]) -> list[Label]:
    """Return the labels that are not known, each once and sorted.

    Raises:
        UserError: Some labels are integers and others are names.
    """
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
    """Hold out validation rows where there is no validation channel, and log a report on the data.

    Args:
        tables: All rows.
        labels: The labels in their order; some may have no row.
        validation_split_ratio: The share of the training rows to hold out, 0 to 1.
        seed: Makes the choice repeatable.
        max_sequence_length: The number of tokens of a text that will be read, for the report.

    Raises:
        UserError: A validation or test row has a label that is not one of these.
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
        held_out=tables.validation is None,
    )


def check_validation(rows: int, hyperparameters: Hyperparameters) -> None:
    """Check that there are validation rows where the job needs them.

    Args:
        rows: The number of validation rows of all hosts.
        hyperparameters: The job's hyperparameters.

    Raises:
        UserError: There are no validation rows, and the job needs them.
    """
    target = hyperparameters.target_precision
    needed = {
        ("early_stopping=True", "early stopping needs"): hyperparameters.early_stopping,
        (f"model_id={AUTO_MODEL}", "candidates are compared on"): hyperparameters.model_id == AUTO_MODEL,
        (f"target_precision={target}", "thresholds are chosen on"): target is not None,
    }
    cure = HOLD_OUT_MORE if hyperparameters.validation_split_ratio else HOLD_OUT
    problems = [NO_VALIDATION.format(*words, cure) for words, needs in needed.items() if needs and not rows]
    if problems:
        raise UserError(problems)


def _held_out(table: pd.DataFrame, ratio: float, seed: int) -> NDArray[np.bool_]:
    by_hash = "hash_bucket" in table
    held_out = (
        hold_out_by_hash(table["label"], table["hash_bucket"], ratio)
        if by_hash
        else hold_out(table["label"], ratio, seed)
    )
    if ratio and not held_out.any():
        log.warning("event=data note=%r", f"no row is held out: there will be no val_accuracy; {HOLD_OUT_MORE}")
    elif by_hash:
        for note in far_from(ratio, held_out, table["label"]):
            log.warning("event=data note=%r", note)
    return held_out


def far_from(ratio: float, held_out: NDArray[np.bool_], labels: pd.Series) -> Iterator[str]:
    """Yield warnings where the share of rows held out is far from the requested one, of all rows or of a label's.

    Args:
        ratio: The requested share.
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
        yield f"for these labels, the share of rows held out is far from {ratio:g}: {shown}; {KEPT_TOGETHER}"


def _is_far(held: int, rows: int, ratio: float, times: float) -> bool:
    wanted = rows * ratio
    many = held > times * wanted or rows - held < (rows - wanted) / times
    return abs(held - wanted) >= FEWEST_FAR and (many or held < wanted / times)


def hold_out_by_hash(labels: pd.Series, buckets: pd.Series, ratio: float) -> NDArray[np.bool_]:
    """Choose the rows to hold out by their hash buckets, so that the choice doesn't depend on other rows.

    Rows whose bucket is below the ratio are held out. Each label keeps the rows of its highest bucket to train on.

    Args:
        labels: Each row's label.
        buckets: Each row's hash bucket, from 0 to below 1.
        ratio: The approximate share of rows to hold out, 0 to 1.

    Returns:
        bool[rows], True where a row is held out.
    """
    last = buckets.groupby(labels).rank(method="min", ascending=False) == 1
    held_out: NDArray[np.bool_] = ((buckets < ratio) & ~last).to_numpy()
    return held_out


def hold_out(labels: pd.Series, ratio: float, seed: int) -> NDArray[np.bool_]:
    """Choose the rows to hold out: a stratified random sample that depends only on the labels and the seed.

    Each label keeps at least one row to train on. The number of rows per label is rounded so that the total is as
    close as possible to ``ratio`` of all rows (largest remainder method).

    >>> labels = pd.Series(["ham"] * 8 + ["spam"] * 2)
    >>> held_out = hold_out(labels, ratio=0.5, seed=1)
    >>> labels[held_out].value_counts().to_dict()
    {'ham': 4, 'spam': 1}

    Args:
        labels: Each row's label.
        ratio: The share of rows to hold out, 0 to 1.
        seed: Makes the choice repeatable.

    Returns:
        bool[rows], True where a row is held out.
    """
    counts = labels.groupby(labels, sort=True).transform("size")
    generator = np.random.default_rng(seed)
    shuffled = pd.Series(generator.permutation(len(labels)), index=labels.index)
    rank = shuffled.groupby(labels).rank(method="first") - 1
    # A row is held out if its rank among the shuffled rows of its label is below the label's quota.
    sizes = labels.value_counts().sort_index()
    exact = sizes * ratio
    quota = np.floor(exact).astype(int)
    missing = round(float(exact.sum())) - int(quota.sum())
    remainders = (exact - quota).iloc[generator.permutation(len(sizes))]  # labels of equal ones are drawn
    quota[remainders.sort_values(ascending=False, kind="stable").index[:missing]] += 1
    quota = np.minimum(quota, sizes - 1)
    held_out: NDArray[np.bool_] = (rank < labels.map(quota).astype(int)).to_numpy() & (counts > 1).to_numpy()
    return held_out


def _warn_of_others(channels: Mapping[str, Path], modality: Modality) -> None:
    """Warn of channels that are not read, and name the files in them that hold rows."""
    for name, folder in channels.items():
        if name in NO_ROWS:
            continue
        found = modality.channel.find(folder, name, ReadResult())
        files = at_most([f"{source.name} ({source.path.stat().st_size:,} bytes)" for source in found], FILES_NAMED)
        rows = f" and holds {', '.join(files)}" if files else ""
        note = f"the channel {shown(name)} is not read{rows}; the channels that are read are {', '.join(ROLES)}"
        log.warning("event=data note=%r", note)


def _location(table: pd.DataFrame) -> str:
    return location_of(str(table["file"].iloc[0]), int(table["line"].iloc[0]))


def _check_known(tables: Tables, labels: tuple[Label, ...]) -> None:
    """Raise an error where validation or test rows have labels that the model can't predict."""
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
    otherwise = spelling.written_otherwise(set(unknown["label"]), labels)
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
    """Return what is wrong with a label that no training row has, and what to do about it.

    Args:
        label: The label.
        alike: A training label that is spelled almost alike, and the difference; None without one.
        counts: The number of training rows of each label.
        if_a_header: A sentence for the case that the row is a header; may be empty.
    """
    if alike is None:
        perhaps = if_a_header if isinstance(label, str) else ""
        return f"a label that no training row has; correct it, or add training rows with it{perhaps}"
    other, difference = alike
    cure = "write both alike, or add training rows with it"
    if counts.get(other) == 1:  # it may be a text in the wrong column, which must not be logged
        return f"the label differs from one that training has only in {difference}; {cure}"
    here, there = spelling.spelled(label), spelling.spelled(other)
    return f"the label {here} differs from training's {there} only in {difference}; {cure}"


def _split(table: pd.DataFrame, labels: tuple[Label, ...]) -> Split:
    index = {label: number for number, label in enumerate(labels)}
    targets = np.array([index[label] for label in table["label"]], np.int32)
    locations = tuple(map(location_of, table["file"], table["line"]))
    return Split(tuple(table["record"]), targets, locations)


def _digest(*tables: pd.DataFrame) -> str:
    digest = hashlib.sha256()
    for table in tables:
        digest.update(len(table).to_bytes(8, "big"))
        for field in (str(value) for pair in zip(table["label"], table["record"], strict=True) for value in pair):
            encoded = field.encode("utf-8", "surrogatepass")
            digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.hexdigest()
