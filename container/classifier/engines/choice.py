"""Which engine runs a model here: the fastest that is there, keeps the labels, and suits the processor."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from classifier.engines import Computing, Engine, processor
from classifier.errors import UserError

if TYPE_CHECKING:
    from classifier.engines.saved_model import ForeignEngine

TENSORFLOW, FLOAT32, BFLOAT16 = "tensorflow", "openvino-float32", "openvino-bfloat16"
# The likely fastest last: it is timed last, and is then loaded already.
ENGINES = (TENSORFLOW, FLOAT32, BFLOAT16)
PRECISIONS: Mapping[str, str] = {FLOAT32: "float32", BFLOAT16: "bfloat16"}
AUTO = "auto"
WANTED = "environment variable SERVING_ENGINE"
FOLDER = "openvino"
# What is computed to compare engines: long enough to be computing mostly, short enough for a ping's two seconds.
TIMED_TEXTS = ("This sentence of our own has about as many words as most of those that people send us.",) * 8
TIMED_SECONDS = 0.25
TIMED_ROUNDS = 3
# Of the time of the one that should be the fastest: on a busy machine so short a look is off by a tenth.
CLEARLY = 0.8


class SavedModels(Protocol):
    """What :mod:`classifier.engines.saved_model` offers."""

    def load(self, folder: Path, longest: int) -> Engine:
        """Load a model of this image."""
        ...

    def load_foreign(self, folder: Path) -> "ForeignEngine":
        """Load a model of another program."""
        ...


@dataclass(frozen=True)
class Stored:
    """A model of this image as engines see it.

    Attributes:
        folder: The model folder.
        saved_model: The SavedModel's folder.
        manifest: What training left word of.
    """

    folder: Path
    saved_model: Path
    manifest: Mapping[str, Any]

    @property
    def longest(self) -> int:
        """Tokens of the longest text it reads; 0 where that is not known."""
        return int(self.manifest.get("encoder", {}).get("max_sequence_length", 0))

    @property
    def engines(self) -> list[str]:
        """The engines that can run it and were shown to keep its labels."""
        entries = self.manifest.get("engines", {})
        accepted = [name for name in ENGINES if entries.get(name, {}).get("accepted")]
        return [TENSORFLOW, *accepted]


@dataclass(frozen=True)
class Chosen:
    """The engine that runs a model.

    Attributes:
        engine: The engine.
        name: Which of :data:`ENGINES` it is.
        reason: Why it is this one.
    """

    engine: Engine
    name: str
    reason: str


def load(stored: Stored, computing: Computing) -> Chosen:
    """Load a model with the engine that is wanted, or the best.

    Raises:
        UserError: The wanted engine can't run it, or its files are broken.
    """
    candidates, reason = _candidates(stored, computing)
    if len(candidates) == 1:
        return Chosen(_LOADERS[candidates[0]](stored, computing), candidates[0], reason)
    seconds: dict[str, float] = {}
    for name in candidates:
        engine = _LOADERS[name](stored, computing)
        seconds[name] = _seconds(engine)
    *others, best = candidates
    fastest = min(others, key=lambda name: seconds[name])
    if seconds[fastest] < CLEARLY * seconds[best]:
        best, engine = fastest, _LOADERS[fastest](stored, computing)
    timed = ", ".join(f"{name} {1000 * seconds[name]:.1f}" for name in candidates)
    return Chosen(engine, best, f"the faster one here; milliseconds for {len(TIMED_TEXTS)} texts: {timed}")


def _candidates(stored: Stored, computing: Computing) -> tuple[Sequence[str], str]:
    """Return the engines worth trying, and why these."""
    there = stored.engines
    if computing.engine != AUTO:
        if computing.engine not in there:
            raise UserError(
                f"{WANTED}={computing.engine}: this model can be run by {', '.join(there)}; "
                "its manifest.json says under `engines` what was found of others"
            )
        return [computing.engine], "asked for"
    if computing.gpu:
        return [TENSORFLOW], "there is a GPU"
    if not processor.multiplies_bfloat16():
        there = [name for name in there if name != BFLOAT16]
    faster = [name for name in there if name != TENSORFLOW]
    if not faster:
        return [TENSORFLOW], "the model has no other form that this processor runs well"
    return faster, "the only other form that this processor runs well"


def _seconds(engine: Engine) -> float:
    """Return the least time that a batch took."""
    batch = engine.prepare(TIMED_TEXTS)
    engine.predict(batch)
    taken: list[float] = []
    while len(taken) < TIMED_ROUNDS or sum(taken) < TIMED_SECONDS:
        started = time.monotonic()
        engine.predict(batch)
        taken.append(time.monotonic() - started)
    return min(taken)


def load_foreign(folder: Path, computing: Computing) -> "ForeignEngine":
    """Load a SavedModel that another program made.

    Raises:
        UserError: It is none of texts to a number a label, or an engine is wanted that can't run it.
    """
    if computing.engine not in (AUTO, TENSORFLOW):
        raise UserError(f"{WANTED}={computing.engine}: only {TENSORFLOW} runs a model that another program made")
    return _started(computing).load_foreign(folder)


def _tensorflow(stored: Stored, computing: Computing) -> Engine:
    return _started(computing).load(stored.saved_model, stored.longest)


def _started(computing: Computing) -> SavedModels:
    """Return the module of TensorFlow's engine; TensorFlow is imported here, where it is really used."""
    from classifier.engines import saved_model  # noqa: PLC0415

    if computing.threads:
        saved_model.start(computing.threads)
    return saved_model


def _openvino(precision: str) -> Callable[[Stored, Computing], Engine]:
    def load_form(stored: Stored, computing: Computing) -> Engine:
        from classifier.engines import openvino_model  # noqa: PLC0415  it takes a third of a second

        folds_case = bool(stored.manifest["engines"]["folds_case"])
        return openvino_model.load(stored.folder / FOLDER, stored.longest, precision, computing, folds_case=folds_case)

    return load_form


_LOADERS: Mapping[str, Callable[[Stored, Computing], Engine]] = {
    TENSORFLOW: _tensorflow,
    **{name: _openvino(precision) for name, precision in PRECISIONS.items()},
}
