"""Suspect labels of rows whose vectors are not at hand: before a network is trained in steps, and in files."""

import functools
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from classifier import hashing
from classifier.encoders import NO_VECTORS, Encoder, ngrams
from classifier.hyperparameters import Hyperparameters
from classifier.training import evaluate, load_encoder, solving, suspect_labels
from classifier.training.cluster import local
from classifier.training.data import Data
from classifier.training.evaluate import Vectors
from classifier.training.interruption import StoppedError
from classifier.training.loop import batches
from classifier.training.loop.batches import Inputs
from classifier.training.loop.fit import FitSpec
from classifier.training.model import Network
from classifier.training.solving import Task
from classifier.training.suspect_labels import Suspects
from classifier.training.top_layer import Records
from classifier.training.warm_start import Previous

log = logging.getLogger(__name__)


Lookup = Callable[[NDArray[np.int64]], NDArray[np.float32]]


@dataclass(frozen=True)
class _Part:
    """Labelled rows of one split.

    Attributes:
        inputs: The inputs of the encoder.
        vectors: Returns the encoder's vectors of the rows with some indices; None where they are not used.
        targets: int32[rows], the index of each row's label.
    """

    inputs: Inputs
    vectors: Lookup | None
    targets: NDArray[np.int32]


def before_training(network: Network, task: Task, fit_spec: FitSpec, vectors: Vectors) -> Suspects | None:
    """Search the labelled rows of a network that is trained in steps, before it learns their labels.

    Args:
        network: The network.
        task: What the job gives to the solver.
        fit_spec: What is trained: the whole network, or its top layer on vectors.
        vectors: The encoder's vectors of the training rows.

    Returns:
        The suspects, by the index of the row among the training rows followed by the validation rows; None if the job
        doesn't want them, or the log says why there are none.
    """
    if not task.searches_labels():
        return None
    hurried = task.hyperparameters.time_budget is not None  # n-grams are enough then, if there are any
    of_parts: list[Lookup | None]
    if fit_spec.model is network.head:
        of_parts = [fit_spec.training.inputs.take, fit_spec.validation.inputs.take]
    elif hurried or not _is_pretrained(network.encoder):
        of_parts = [None, None]
    else:
        held_out = Vectors(network.inference.encode, task.validation.inputs, task.interruption)
        of_parts = [vectors.of, held_out.of]
    parts = [
        _Part(task.training.inputs, of_parts[0], task.training.targets),
        _Part(task.validation.inputs, of_parts[1], task.validation.targets),
    ]
    labels = int(network.head.layers[-1].kernel.shape[1])
    try:
        return _search(network.encoder, parts, labels, task.hyperparameters.seed)
    except StoppedError:
        log.info("event=suspect_labels note='not searched: the job was told to stop, or has no time left'")
        return None


def in_files(
    rows: Data, hyperparameters: Hyperparameters, channel: Path | None, previous: Previous | None, scratch: Path
) -> Suspects | None:
    """Search rows that were read from files, without a job.

    Args:
        rows: The rows.
        hyperparameters: Those that choose and configure the encoder.
        channel: The folder with the ``model`` channel's files, unpacked; None without that channel.
        previous: The model of this image that the channel holds; None without one.
        scratch: A folder for converted files.

    Returns:
        The suspects, by the index of the row among the training rows followed by the validation rows; None if the log
        says why there are none.

    Raises:
        UserError: The encoder can't be loaded.
    """
    files = load_encoder.find(channel, previous, hyperparameters, scratch, rows.modality)
    encoder = load_encoder.load(files, channel, hyperparameters, rows, local())
    encode = evaluate.compiled(encoder.layer, encoder.preprocessor.signature) if _is_pretrained(encoder) else None
    parts = []
    for split in (rows.training, rows.validation):
        inputs = batches.tokenize(encoder, split.records)
        parts.append(_Part(inputs, None if encode is None else Vectors(encode, inputs).of, split.targets))
    return _search(encoder, parts, len(rows.labels), hyperparameters.seed)


def _is_pretrained(encoder: Encoder) -> bool:
    """Return whether an encoder's vectors mean something before it is trained."""
    return encoder.pooling != NO_VECTORS and encoder.family not in load_encoder.FROM_SCRATCH_FAMILIES


def _search(encoder: Encoder, parts: Sequence[_Part], labels: int, seed: int) -> Suspects | None:
    """Search the rows of all parts, one part after another.

    Raises:
        StoppedError: The job was told to stop.
    """
    size = solving.vocabulary_size(encoder)

    def known(part: _Part, chosen: NDArray[np.int64]) -> Records:
        vectors = None if part.vectors is None else part.vectors(chosen)
        bags = ngrams.bags(part.inputs.some(chosen).token_ids, hashing.codes(size)) if size else None
        return Records(vectors, bags, part.targets[chosen], np.ones(len(chosen), np.float32))

    ends = np.cumsum([len(part.targets) for part in parts])

    def read(chosen: NDArray[np.int64]) -> Records:
        of_parts = np.split(chosen, np.searchsorted(chosen, ends[:-1]))
        found = [
            known(part, each - end + len(part.targets))
            for part, each, end in zip(parts, of_parts, ends, strict=True)
            if len(each)
        ]
        return functools.reduce(Records.followed_by, found)

    return suspect_labels.search(int(ends[-1]), read, labels, seed)
