"""Which engine runs a model here: the fastest that is there, keeps the labels, and suits the processor."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from classifier import modalities
from classifier.backends import Backend, Computing, processor
from classifier.errors import UserError
from classifier.modalities import Modality

if TYPE_CHECKING:
    from classifier.backends.saved_model import ForeignBackend

TENSORFLOW, FLOAT32, BFLOAT16 = "tensorflow", "openvino-float32", "openvino-bfloat16"
PRECISIONS: Mapping[str, str] = {FLOAT32: "float32", BFLOAT16: "bfloat16"}
AUTO = "auto"
WANTED = "environment variable SERVING_ENGINE"
FOLDER = "openvino"


class SavedModels(Protocol):
    """What :mod:`classifier.backends.saved_model` offers."""

    def load(self, folder: Path, longest: int, *, is_array: bool) -> Backend:
        """Load a model of this image."""
        ...

    def load_foreign(self, folder: Path, named: int) -> "ForeignBackend":
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
    def modality(self) -> Modality:
        """What it answers."""
        return modalities.of_manifest(self.manifest)

    @property
    def backends(self) -> list[str]:
        """The engines that can run it and were shown to keep its labels."""
        entries = self.manifest.get("engines", {})
        accepted = [name for name in BACKENDS if entries.get(name, {}).get("accepted")]
        return [TENSORFLOW, *accepted]


@dataclass(frozen=True)
class Registration:
    """What is known of a backend before it runs a model.

    Attributes:
        load: Loads a stored model.
        reason: Returns why the backend is the best one for this machine's processor; empty where it does not suit it.
    """

    load: Callable[[Stored, Computing], Backend]
    reason: Callable[[], str]


@dataclass(frozen=True)
class Chosen:
    """The engine that runs a model.

    Attributes:
        engine: The engine.
        name: Which of :data:`ENGINES` it is.
        reason: Why it is this one.
    """

    backend: Backend
    name: str
    reason: str


def load(stored: Stored, computing: Computing) -> Chosen:
    """Load a model with the engine that is wanted, or the best.

    Raises:
        UserError: The wanted engine can't run it, or its files are broken.
    """
    name, reason = _choice(stored, computing)
    return Chosen(BACKENDS[name].load(stored, computing), name, reason)


def _choice(stored: Stored, computing: Computing) -> tuple[str, str]:
    """Return the name of the engine, and why it is this one."""
    there = stored.backends
    if computing.backend != AUTO:
        if computing.backend not in there:
            raise UserError(
                f"{WANTED}={computing.backend}: this model can be run by {', '.join(there)}; "
                "its manifest.json says under `engines` what was found of others"
            )
        return computing.backend, "asked for"
    if computing.gpu:
        return TENSORFLOW, "there is a GPU"
    return next((name, reason) for name in reversed(there) if (reason := BACKENDS[name].reason()))


def load_foreign(folder: Path, computing: Computing, named: int = 0) -> "ForeignBackend":
    """Load a SavedModel that another program made.

    Args:
        folder: Where it is.
        computing: What the engine may use.
        named: How many labels are named beside it; 0 where none are.

    Raises:
        UserError: It is none of texts to a number per label, or an engine is wanted that can't run it.
    """
    if computing.backend not in (AUTO, TENSORFLOW):
        raise UserError(f"{WANTED}={computing.backend}: only {TENSORFLOW} runs a model that another program made")
    return _started(computing).load_foreign(folder, named)


def _tensorflow(stored: Stored, computing: Computing) -> Backend:
    return _started(computing).load(stored.saved_model, stored.longest, is_array=stored.modality.is_array)


def _started(computing: Computing) -> SavedModels:
    """Return the module of TensorFlow's engine; TensorFlow is imported here, where it is really used."""
    from classifier.backends import saved_model  # noqa: PLC0415

    if computing.threads:
        saved_model.start(computing.threads)
    return saved_model


def _openvino(precision: str) -> Callable[[Stored, Computing], Backend]:
    def load_form(stored: Stored, computing: Computing) -> Backend:
        from classifier.backends import openvino_model  # noqa: PLC0415  it takes a third of a second

        folds_case, is_array = bool(stored.manifest["engines"]["folds_case"]), stored.modality.is_array
        return openvino_model.load(
            stored.folder / FOLDER, stored.longest, precision, computing, folds_case=folds_case, is_array=is_array
        )

    return load_form


def _bfloat16_reason() -> str:
    suits = processor.multiplies_bfloat16()
    return "the processor has bfloat16 instructions, twice as fast as float32" if suits else ""


# From the slowest to the fastest, on processors that have what they need.
BACKENDS: Mapping[str, Registration] = {
    TENSORFLOW: Registration(_tensorflow, lambda: "the model has no faster export for this processor"),
    FLOAT32: Registration(_openvino(PRECISIONS[FLOAT32]), lambda: "the fastest export of the model for this processor"),
    BFLOAT16: Registration(_openvino(PRECISIONS[BFLOAT16]), _bfloat16_reason),
}
ENGINES = tuple(BACKENDS)
