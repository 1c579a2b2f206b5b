"""The choice of the backend: the fastest one that the model was exported for and that suits the processor."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from classifier import modalities
from classifier.backends import Backend, Computing, processor
from classifier.errors import UserError
from classifier.modalities import Modality

if TYPE_CHECKING:  # supervising processes, which know the backends' names, don't import numpy
    from classifier.backends.packing import Packing
    from classifier.backends.saved_model import ForeignBackend

TENSORFLOW, FLOAT32, BFLOAT16 = "tensorflow", "openvino-float32", "openvino-bfloat16"
PRECISIONS: Mapping[str, str] = {FLOAT32: "float32", BFLOAT16: "bfloat16"}
AUTO = "auto"
WANTED = "environment variable SERVING_ENGINE"
FOLDER = "openvino"


class SavedModels(Protocol):
    """The interface of :mod:`classifier.backends.saved_model`."""

    def load(self, folder: Path, longest: int, *, is_array: bool) -> Backend:
        """Load a model of this image."""
        ...

    def load_foreign(self, folder: Path, named: int) -> "ForeignBackend":
        """Load a model of another program."""
        ...


@dataclass(frozen=True)
class Stored:
    """The files of a model of this image.

    Attributes:
        folder: The model folder.
        saved_model: The folder of the SavedModel.
        manifest: The manifest that training wrote.
    """

    folder: Path
    saved_model: Path
    manifest: Mapping[str, Any]

    @property
    def longest(self) -> int:
        """The number of tokens of the longest text that it reads; 0 where that is not known."""
        encoder = self.manifest.get("encoder", {})
        return int(encoder.get("longest_text", encoder.get("max_sequence_length", 0)))

    @property
    def packing(self) -> "Packing | None":
        """How the network of the faster export reads packed texts; None if it doesn't."""
        from classifier.backends.packing import Packing  # noqa: PLC0415

        packed = self.manifest.get("engines", {}).get("packed")
        if packed is None:
            return None
        encoder = self.manifest["encoder"]
        return Packing(encoder["max_sequence_length"], encoder["long_texts"], **packed)

    @property
    def modality(self) -> Modality:
        """The modality of the records that it classifies."""
        return modalities.of_manifest(self.manifest)

    @property
    def backends(self) -> list[str]:
        """The names of the backends that training verified for this model."""
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
    """The backend that runs a model.

    Attributes:
        backend: The backend, with the model loaded.
        name: Its name, one of :data:`ENGINES`.
        reason: Why it was chosen.
    """

    backend: Backend
    name: str
    reason: str


def load(stored: Stored, computing: Computing) -> Chosen:
    """Load a model with the wanted backend, or by default with the best one.

    Raises:
        UserError: The wanted backend can't run the model, or its files are broken.
    """
    name, reason = _choice(stored, computing)
    return Chosen(BACKENDS[name].load(stored, computing), name, reason)


def _choice(stored: Stored, computing: Computing) -> tuple[str, str]:
    """Return the name of the backend, and why it was chosen."""
    there = stored.backends
    if computing.backend != AUTO:
        if computing.backend not in there:
            raise UserError(
                f"{WANTED}={computing.backend}: this model can be run by {', '.join(there)}; see `engines` in its "
                "manifest.json for the reasons"
            )
        return computing.backend, "asked for"
    if computing.gpu:
        return TENSORFLOW, "there is a GPU"
    return next((name, reason) for name in reversed(there) if (reason := BACKENDS[name].reason()))


def load_foreign(folder: Path, computing: Computing, named: int = 0) -> "ForeignBackend":
    """Load a SavedModel of another program.

    Args:
        folder: The folder of the SavedModel.
        computing: The backend that is wanted, and the resources it may use.
        named: The number of labels in the files beside it; 0 without such files.

    Raises:
        UserError: It doesn't map texts to one number per label, or the wanted backend can't run it.
    """
    if computing.backend not in (AUTO, TENSORFLOW):
        raise UserError(f"{WANTED}={computing.backend}: only {TENSORFLOW} runs models of other programs")
    return _started(computing).load_foreign(folder, named)


def _tensorflow(stored: Stored, computing: Computing) -> Backend:
    return _started(computing).load(stored.saved_model, stored.longest, is_array=stored.modality.is_array)


def _started(computing: Computing) -> SavedModels:
    """Return the module of TensorFlow's backend; it is imported here, so that other backends start faster."""
    from classifier.backends import saved_model  # noqa: PLC0415

    if computing.threads:
        saved_model.start(computing.threads)
    return saved_model


def _openvino(precision: str) -> Callable[[Stored, Computing], Backend]:
    def load_export(stored: Stored, computing: Computing) -> Backend:
        from classifier.backends import openvino_model  # noqa: PLC0415  its import takes a third of a second

        folds_case = bool(stored.manifest["engines"]["folds_case"])
        texts = openvino_model.Reading(stored.longest, folds_case, stored.packing)
        return openvino_model.load(
            stored.folder / FOLDER, precision, computing, None if stored.modality.is_array else texts
        )

    return load_export


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
