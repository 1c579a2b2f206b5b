"""What training leaves and serving finds: the files of a model folder."""

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from classifier import label_files, modalities, model_folders, other_models
from classifier.backends import choice
from classifier.errors import UserError
from classifier.label_files import LABEL_INDEX_FILE, LABELS_FILE
from classifier.modalities import Modality
from classifier.model_folders import SAVED_MODEL, Searched

FORMAT_VERSION = 1
SAVED_MODEL_FOLDER = "1"
MANIFEST_FILE = "manifest.json"
REFERENCE_FILE = "golden.json"
ENCODER_FOLDER = "encoder"
HEAD_FILE = "head.safetensors"
# What serving reads of a model of this image.
_SERVED = (SAVED_MODEL_FOLDER, choice.FOLDER, MANIFEST_FILE, LABELS_FILE, REFERENCE_FILE)

# Processors round differently; a model whose files are damaged is off by far more.
SMOKE_TOLERANCE = 0.05

Label = label_files.Label


@dataclass(frozen=True)
class Artifact:
    """A model folder that has everything serving needs.

    Attributes:
        folder: Where it is.
        labels: The labels, in the order of the probabilities, integers or names as the training data had them.
        manifest: Everything else that is known of the model; nothing, of a model that another program made.
        probes: The answers training got for its modality's ``smoke_inputs``, a list each with a number a label; None
            where they are not known.
        saved_model: The SavedModel's folder.
        notes: What of the folder was passed over and may have been meant to be served, a sentence each.
    """

    folder: Path
    labels: tuple[Label, ...]
    manifest: Mapping[str, Any]
    probes: Sequence[Sequence[float]] | None
    saved_model: Path
    notes: tuple[str, ...] = ()

    @property
    def modality(self) -> Modality:
        """What kind of records it answers."""
        return modalities.of_manifest(self.manifest)


def is_model(folder: Path) -> bool:
    """Say whether a folder holds a model that answers labels, as this image or the built-in algorithm leaves it."""
    return bool(_near(model_folders.search(folder), MANIFEST_FILE, LABELS_FILE, LABEL_INDEX_FILE))


def load(folder: Path) -> Artifact:
    """Read a model folder, or one folder inside it where that is the only one with a model or the highest version.

    Raises:
        UserError: There is no model, or a part of it is missing, broken or not to be read by this user.
    """
    searched = model_folders.search(folder)
    roots = _near(searched, MANIFEST_FILE)
    if not roots:
        return _foreign(searched)
    taken = model_folders.chosen(searched, roots)
    root = taken.folder
    model_folders.check_readable([root / name for name in _SERVED], folder)
    missing = [
        name
        for name in (f"{SAVED_MODEL_FOLDER}/{SAVED_MODEL}", LABELS_FILE, REFERENCE_FILE)
        if not (root / name).is_file()
    ]
    if missing:
        raise UserError(f"{folder}: incomplete model, without {', '.join(missing)}; deploy what training wrote, whole")
    manifest = _read(root / MANIFEST_FILE)
    version = manifest.get("format_version")
    if version != FORMAT_VERSION:
        raise UserError(f"{folder}: model of format {version!r}; this image reads {FORMAT_VERSION}: train it again")
    labels = label_files.read(root / LABELS_FILE)
    probes = _read(root / REFERENCE_FILE).get("probes", [])
    if not _is_table(probes, len(modalities.of_manifest(manifest).smoke_inputs()), len(labels)):
        raise UserError(f"{folder}: {LABELS_FILE} and {REFERENCE_FILE} are not of the same model; deploy it whole")
    notes = (*taken.notes, *model_folders.code_notes(searched))
    return Artifact(root, labels, manifest, probes, root / SAVED_MODEL_FOLDER, notes)


def _near(searched: Searched, *names: str) -> list[Path]:
    """Return the folder, or folders right inside it, that hold a file of one of these names."""
    return [each for each in searched.holding(*names) if searched.folder in (each, each.parent)]


def _foreign(searched: Searched) -> Artifact:
    """Read a model of another program: a SavedModel, and, where it is there, a file that names its labels."""
    folder = searched.folder
    found = searched.holding(SAVED_MODEL)
    if not found:
        raise other_models.refusal(searched, MANIFEST_FILE)
    if _near(searched, REFERENCE_FILE):
        raise UserError(f"{folder}: incomplete model, without {MANIFEST_FILE}; deploy what training wrote, whole")
    taken = model_folders.chosen(searched, found)
    homes = (taken.folder, *(parent for parent in taken.folder.parents if parent.is_relative_to(folder)))
    label_paths = [path for home in homes for path in label_files.files(home)]
    model_folders.check_readable([taken.folder, *label_paths], folder)
    notes = (*taken.notes, *model_folders.code_notes(searched))
    return Artifact(folder, label_files.agreed(label_paths), {}, None, taken.folder, notes)


def _is_table(value: Any, rows: int, columns: int) -> bool:
    """Say whether a value is so many lists of so many numbers."""

    def is_row(row: Any) -> bool:
        return isinstance(row, list) and len(row) == columns and all(isinstance(each, int | float) for each in row)

    return isinstance(value, list) and len(value) == rows and all(map(is_row, value))


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error}); deploy the model whole, as training wrote it") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: not a JSON object; deploy the model whole, as training wrote it")
    return content


def write_labels(folder: Path, labels: Sequence[Label]) -> None:
    """Write the labels in both forms that programs written for the built-in algorithm read."""
    write_json(folder / LABELS_FILE, {"labels": list(labels)})
    write_json(folder / LABEL_INDEX_FILE, {str(label): index for index, label in enumerate(labels)})


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file a person can read."""
    write_whole(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def write_whole(path: Path, text: str) -> None:
    """Write a text file; none is left where there is no room for all of it."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError:
        path.unlink(missing_ok=True)
        raise


def clear_unfinished(folder: Path) -> None:
    """Remove what a killed run left; parts of the model before it that it had moved away come back first."""
    for stale in folder.glob(".unfinished-*"):
        for part in (stale / "old").glob("*"):
            if not (folder / part.name).exists():
                part.rename(folder / part.name)
        shutil.rmtree(stale)


@contextmanager
def published(folder: Path) -> Iterator[Path]:
    """Give a temporary folder to write a model in, and move its parts into place when all is written.

    The folder itself may be a mount, so its entries are moved, the SavedModel last: whoever finds ``1/`` finds a whole
    model. Entries of an earlier run are replaced; unfinished ones of a killed run are removed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    clear_unfinished(folder)
    work = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=folder))
    work.chmod(0o755)
    try:
        new = work / "new"
        new.mkdir()
        yield new
        for path in new.rglob("*"):  # safetensors writes files only their owner reads; who serves may be another
            path.chmod(0o755 if path.is_dir() else 0o644)
        old = work / "old"
        old.mkdir()
        names = sorted((path.name for path in new.iterdir()), key=lambda name: name == SAVED_MODEL_FOLDER)
        for name in reversed(names):
            if (folder / name).exists():
                (folder / name).rename(old / name)
        for name in names:
            (new / name).rename(folder / name)
    finally:
        clear_unfinished(folder)
