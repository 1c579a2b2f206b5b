"""The files of a model folder, which training writes and serving reads."""

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
NGRAMS_FILE = "ngrams.safetensors"
README_FILE = "README.md"
# The files and folders of a model of this image; and those of them that serving reads.
_PARTS = (
    SAVED_MODEL_FOLDER, choice.FOLDER, ENCODER_FOLDER, MANIFEST_FILE, LABELS_FILE, LABEL_INDEX_FILE, REFERENCE_FILE,
    HEAD_FILE, NGRAMS_FILE, README_FILE,
)  # fmt: skip
_SERVED = (SAVED_MODEL_FOLDER, choice.FOLDER, MANIFEST_FILE, LABELS_FILE, REFERENCE_FILE)

# Of a probability. Processors round differently; damaged files cause far larger differences.
SMOKE_TOLERANCE = 0.05

_COMPLETE = "deploy everything that training wrote"

Label = label_files.Label


@dataclass(frozen=True)
class Artifact:
    """A model folder that has everything that serving needs.

    Attributes:
        folder: The folder.
        labels: The labels, in the order of the probabilities: integers or names, as in the training data.
        manifest: Everything else that is known about the model; empty for a model of another program.
        smoke_predictions: The trained model's probabilities for the modality's ``smoke_inputs``, one list with one
            number per label for each input; None where they are not known.
        saved_model: The folder of the SavedModel.
        notes: A sentence for each part of the folder that isn't served but may have been meant to be.
    """

    folder: Path
    labels: tuple[Label, ...]
    manifest: Mapping[str, Any]
    smoke_predictions: Sequence[Sequence[float]] | None
    saved_model: Path
    notes: tuple[str, ...] = ()

    @property
    def modality(self) -> Modality:
        """The modality of the records that it classifies."""
        return modalities.of_manifest(self.manifest)


def is_model(folder: Path) -> bool:
    """Return whether a folder holds a classifier as this image or SageMaker's built-in algorithm writes it."""
    return bool(_near(model_folders.search(folder), MANIFEST_FILE, LABELS_FILE, LABEL_INDEX_FILE))


def load(folder: Path) -> Artifact:
    """Read a model folder, or a folder in it that holds the only model or the model's highest version.

    Raises:
        UserError: There is no model, or a part of it is missing, broken or unreadable.
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
        raise UserError(f"{folder}: incomplete model, without {', '.join(missing)}; {_COMPLETE}")
    manifest = _read(root / MANIFEST_FILE)
    version = manifest.get("format_version")
    if version != FORMAT_VERSION:
        raise UserError(f"{folder}: model of format {version!r}; this image reads {FORMAT_VERSION}: train it again")
    labels = label_files.read(root / LABELS_FILE)
    smoke_predictions = _read(root / REFERENCE_FILE).get("probes", [])
    if not _is_table(smoke_predictions, len(modalities.of_manifest(manifest).smoke_inputs()), len(labels)):
        raise UserError(f"{folder}: {LABELS_FILE} and {REFERENCE_FILE} are not of the same model; {_COMPLETE}")
    if manifest.get("labels", list(labels)) != list(labels):
        raise UserError(f"{folder}: {LABELS_FILE} and {MANIFEST_FILE} are not of the same model; {_COMPLETE}")
    notes = (*taken.notes, *model_folders.code_notes(searched))
    return Artifact(root, labels, manifest, smoke_predictions, root / SAVED_MODEL_FOLDER, notes)


def _near(searched: Searched, *names: str) -> list[Path]:
    """Return the folder itself and its direct subfolders, if they hold a file with one of these names."""
    return [each for each in searched.holding(*names) if searched.folder in (each, each.parent)]


def _foreign(searched: Searched) -> Artifact:
    """Read a model of another program: a SavedModel, and a file that names its labels, if there is one."""
    folder = searched.folder
    found = searched.holding(SAVED_MODEL)
    if not found:
        raise other_models.refusal(searched, MANIFEST_FILE)
    if _near(searched, REFERENCE_FILE):
        raise UserError(f"{folder}: incomplete model, without {MANIFEST_FILE}; {_COMPLETE}")
    taken = model_folders.chosen(searched, found)
    homes = (taken.folder, *(parent for parent in taken.folder.parents if parent.is_relative_to(folder)))
    label_paths = [path for home in homes for path in label_files.files(home)]
    model_folders.check_readable([taken.folder, *label_paths], folder)
    notes = (*taken.notes, *model_folders.code_notes(searched))
    return Artifact(folder, label_files.agreed(label_paths), {}, None, taken.folder, notes)


def _is_table(value: object, rows: int, columns: int) -> bool:
    """Return whether a value is a list of ``rows`` lists of ``columns`` numbers each."""

    def is_row(row: object) -> bool:
        return isinstance(row, list) and len(row) == columns and all(isinstance(each, int | float) for each in row)

    return isinstance(value, list) and len(value) == rows and all(map(is_row, value))


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error}); {_COMPLETE}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: not a JSON object; {_COMPLETE}")
    return content


def write_labels(folder: Path, labels: Sequence[Label]) -> None:
    """Write the labels to both files that programs for SageMaker's built-in algorithm read."""
    write_json(folder / LABELS_FILE, {"labels": list(labels)})
    write_json(folder / LABEL_INDEX_FILE, {str(label): index for index, label in enumerate(labels)})


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Write an indented JSON file."""
    write_whole(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def write_whole(path: Path, text: str) -> None:
    """Write a text file; an incomplete one is removed if an error, such as a full disk, occurs."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError:
        path.unlink(missing_ok=True)
        raise


def clear_unfinished(folder: Path) -> None:
    """Remove temporary files of a killed run, after moving back the parts of the earlier model among them."""
    for stale in folder.glob(".unfinished-*"):
        for part in (stale / "old").glob("*"):
            if not (folder / part.name).exists():
                part.rename(folder / part.name)
        shutil.rmtree(stale)


@contextmanager
def published(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder to write a model to, and move its entries to the model folder at the end.

    The model folder may be a mount and can't be renamed, so its entries are moved, the SavedModel last: if ``1/``
    exists, the model is complete. An earlier model's entries are replaced or removed, so that no part of it is taken
    for one of this model, and temporary files of a killed run removed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    clear_unfinished(folder)
    work = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=folder))
    work.chmod(0o755)
    try:
        new = work / "new"
        new.mkdir()
        yield new
        for path in new.rglob("*"):  # safetensors makes files readable for the owner only
            path.chmod(0o755 if path.is_dir() else 0o644)
        old = work / "old"
        old.mkdir()
        names = sorted((path.name for path in new.iterdir()), key=lambda name: name == SAVED_MODEL_FOLDER)
        for name in [*reversed(names), *(part for part in _PARTS if part not in names)]:
            if (folder / name).exists():
                (folder / name).rename(old / name)
        for name in names:
            (new / name).rename(folder / name)
        shutil.rmtree(old)
    finally:
        clear_unfinished(folder)
