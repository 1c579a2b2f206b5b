"""The files of encoders, with errors that name the file."""

from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from classifier.environment import read_object
from classifier.errors import UserError

CONFIG_FILE = "config.json"
SAVED_MODEL = "saved_model.pb"
DEPTH = 4  # folders below the channel that are searched


def saved_models(folder: Path) -> list[Path]:
    """Return the folders at or below this one that hold a SavedModel."""
    patterns = ["/".join(["*"] * depth + [SAVED_MODEL]) for depth in range(DEPTH)]
    return sorted(path.parent for pattern in patterns for path in folder.glob(pattern))


def in_channel(path: Path, folder: Path) -> str:
    """Return the name of a file or folder of the ``model`` channel for messages."""
    return path.relative_to(folder).as_posix() if path != folder else "model channel"


def settings(path: Path) -> dict[str, Any]:
    """Read a JSON file of settings; a missing one is empty.

    Raises:
        UserError: It is not a JSON object.
    """
    problems: list[str] = []
    content = read_object(path, problems)
    if problems:
        raise UserError(f"{path.name}: not a JSON object; copy the checkpoint again")
    return content


def is_of(folder: Path, model_type: str, *names: str) -> bool:
    """Return whether a folder holds an encoder of this project: settings that name its kind, and the files beside."""
    there = all((folder / name).is_file() for name in (CONFIG_FILE, *names))
    return there and settings(folder / CONFIG_FILE).get("model_type") == model_type


def tensors(path: Path) -> dict[str, NDArray[Any]]:
    """Read the weights of an encoder of this project.

    Raises:
        UserError: It is not a safetensors file.
    """
    try:
        found: dict[str, NDArray[Any]] = load_file(path)
    except SafetensorError as error:
        raise UserError(f"{path.name}: not a safetensors file ({error}); copy the model again") from None
    return found


def lines(path: Path) -> tuple[str, ...]:
    """Read a text file with one word per line.

    Raises:
        UserError: It is not UTF-8.
    """
    try:
        return tuple(path.read_text(encoding="utf-8").rstrip("\n").split("\n"))
    except UnicodeDecodeError:
        raise UserError(f"{path.name}: not UTF-8; copy the checkpoint again") from None
