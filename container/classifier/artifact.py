"""What training leaves and serving finds: the files of a model folder."""

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from classifier import IMAGE, TEXT
from classifier.errors import UserError

FORMAT_VERSION = 1
SAVED_MODEL_FOLDER = "1"
MANIFEST_FILE = "manifest.json"
LABELS_FILE = "labels_info.json"
LABEL_INDEX_FILE = "class_label_to_prediction_index.json"
GOLDEN_FILE = "golden.json"
ENCODER_FOLDER = "encoder"
HEAD_FILE = "head.safetensors"

# Texts of our own; see :func:`probes_of`.
PROBES = (
    "",
    "It works.",
    "The delivery came two days late, but the staff were kind and gave me my money back.",
    "Großes Café, naïve façade: 100 % über-cool… 価格は",
    "one two three four five six seven eight nine ten " * 60,
)
# Processors round differently; a model whose files are damaged is off by far more.
PROBE_TOLERANCE = 0.05

Label = int | str


@dataclass(frozen=True)
class Artifact:
    """A model folder that has everything serving needs.

    Attributes:
        folder: Where it is.
        labels: The labels, in the order of the probabilities, integers or names as the training data had them.
        manifest: Everything else that is known of the model; nothing, of a model that another program made.
        probes: The answers training got for the model's :func:`probes_of`, a list each with a number a label; None
            where they are not known.
        saved_model: The SavedModel's folder.
    """

    folder: Path
    labels: tuple[Label, ...]
    manifest: Mapping[str, Any]
    probes: Sequence[Sequence[float]] | None
    saved_model: Path

    @property
    def modality(self) -> str:
        """What kind of records it answers."""
        return modality_of(self.manifest)


def modality_of(manifest: Mapping[str, Any]) -> str:
    """Return what kind of records a model answers; one that another program made answers texts."""
    return str(manifest.get("modality", TEXT))


def probes_of(modality: str) -> Sequence[Any]:
    """Return records of our own, which training answers and serving asks again before it calls itself ready."""
    if modality != IMAGE:
        return PROBES
    from classifier import pixels  # noqa: PLC0415  a server of texts does without Pillow, and its memory

    return pixels.probes()


def is_model(folder: Path) -> bool:
    """Say whether a folder holds a model that answers labels, as this image or the built-in algorithm leaves it."""
    names = (MANIFEST_FILE, LABELS_FILE, LABEL_INDEX_FILE)
    return any((root / name).is_file() for root in _candidates(folder) for name in names)


def load(folder: Path) -> Artifact:
    """Read a model folder, or one folder inside it where that is the only one with a model.

    Raises:
        UserError: There is no model, or a part of it is missing or broken.
    """
    roots = [path for path in _candidates(folder) if (path / MANIFEST_FILE).is_file()]
    if not roots:
        return _foreign(folder)
    if len(roots) != 1 and folder not in roots:
        raise UserError(f"{folder}: {len(roots)} models in it; deploy one")
    root = roots[0]
    missing = [
        name
        for name in (f"{SAVED_MODEL_FOLDER}/saved_model.pb", LABELS_FILE, GOLDEN_FILE)
        if not (root / name).is_file()
    ]
    if missing:
        raise UserError(f"{folder}: incomplete model, without {', '.join(missing)}; deploy what training wrote, whole")
    manifest = _read(root / MANIFEST_FILE)
    version = manifest.get("format_version")
    if version != FORMAT_VERSION:
        raise UserError(f"{folder}: model of format {version!r}; this image reads {FORMAT_VERSION}: train it again")
    labels = tuple(_read(root / LABELS_FILE).get("labels", ()))
    probes = _read(root / GOLDEN_FILE).get("probes", [])
    if not _is_table(probes, len(probes_of(modality_of(manifest))), len(labels)):
        raise UserError(f"{folder}: {LABELS_FILE} and {GOLDEN_FILE} are not of the same model; deploy it whole")
    return Artifact(root, labels, manifest, probes, root / SAVED_MODEL_FOLDER)


def _candidates(folder: Path) -> list[Path]:
    return [folder, *sorted(path for path in folder.glob("*") if path.is_dir())]


def _foreign(folder: Path) -> Artifact:
    """Read a model of another program: a SavedModel, and, where it is there, a file that names its labels."""
    found = [path.parent for path in (*folder.glob("saved_model.pb"), *folder.glob("*/saved_model.pb"))]
    found = found or [path.parent for path in folder.glob("*/*/saved_model.pb")]
    if len(found) != 1:
        names = ", ".join(sorted(path.name for path in folder.glob("*"))[:10]) or "nothing"
        raise UserError(
            f"{folder}: no model ({names} in it); it takes the files of the model.tar.gz that training wrote, "
            f"{MANIFEST_FILE} among them"
        )
    if any((root / GOLDEN_FILE).is_file() for root in _candidates(folder)):
        raise UserError(f"{folder}: incomplete model, without {MANIFEST_FILE}; deploy what training wrote, whole")
    homes = (found[0], *(parent for parent in found[0].parents if parent.is_relative_to(folder)))
    return Artifact(folder, _labels_beside(homes), {}, None, found[0])


def _is_table(value: Any, rows: int, columns: int) -> bool:
    """Say whether a value is so many lists of so many numbers."""

    def is_row(row: Any) -> bool:
        return isinstance(row, list) and len(row) == columns and all(isinstance(each, int | float) for each in row)

    return isinstance(value, list) and len(value) == rows and all(map(is_row, value))


def _labels_beside(folders: Sequence[Path]) -> tuple[Label, ...]:
    for folder in folders:
        if (folder / LABELS_FILE).is_file():
            return tuple(_read(folder / LABELS_FILE).get("labels", ()))
        if (folder / LABEL_INDEX_FILE).is_file():
            places = _read(folder / LABEL_INDEX_FILE)
            return tuple(sorted(places, key=lambda label: places[label]))
    return ()


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
