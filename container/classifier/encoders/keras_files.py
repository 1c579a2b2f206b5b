"""Files of weights that Keras wrote, read as numbers alone: nothing of what they say of a network is built or run.

There are two layouts of HDF5. The older one (``.h5`` of Keras 2, and of Keras 3 in its legacy format) has the layers in
the order of the network, each with the names of its weights. The newer one (``.weights.h5``, and ``.keras``, which is
an archive of it) numbers layers of a class, and the weights of a layer. Both keep, within a class of layers, the
network's order; so that is what layers are known by here, and names, which a network makes up anew each time, are not.

Only where the older layout holds a network within a network is it otherwise: weights that were trained come first
there, but all have the names that they had in that network, whose order is that in which the layers were made.
"""

import io
import math
import re
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from classifier.errors import UserError

SUFFIXES = (".h5", ".hdf5", ".keras")
MEMBER = "model.weights.h5"  # of a .keras archive
LARGEST_MEMBER = 2 << 30  # bytes
LAYOUT = "layer_names"
CONFIG = "model_config"
NORM, KERNEL, DEPTHWISE, OTHER = "norm", "kernel", "depthwise", "other"
FEWEST_OF_A_NORM = 3  # weights: shift, mean and variance, and mostly a scale

Array = NDArray[np.float32]
Layers = Mapping[str, list[list[Array]]]


@dataclass(frozen=True)
class Stored:
    """What a file holds.

    Attributes:
        layers: The weights of every layer, float32 each, by kind.
        by_name: Whether layers of a kind are in the order of their names (:func:`natural`), not in the network's.
        config: What the file says of the network, as JSON; empty where it says nothing.
    """

    layers: Layers
    by_name: bool
    config: str


def found(folder: Path) -> list[Path]:
    """Return the files of a folder that Keras may have written."""
    return sorted(path for path in folder.glob("*") if path.name.lower().endswith(SUFFIXES) and path.is_file())


def kind(shapes: Sequence[tuple[int, ...]]) -> str:
    """Say what a layer with weights of these shapes is: a batch norm, a convolution of one of two kinds, or another."""
    if len(shapes) >= FEWEST_OF_A_NORM and {len(shape) for shape in shapes} == {1}:
        return NORM
    if len(shapes[0]) != 4:
        return OTHER
    return DEPTHWISE if shapes[0][-1] == 1 else KERNEL


def natural(name: str) -> list[str | int]:
    """Return what sorts ``conv2d_10`` after ``conv2d_9``, and ``conv2d`` before both."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def read(path: Path) -> Stored:
    """Read a file.

    Raises:
        UserError: It is no such file, or is damaged.
    """
    try:
        return _opened(path)
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        reason = type(error).__name__
        raise UserError(
            f"{path.name}: not a whole file of weights that Keras wrote ({reason}); copy it again, or save the model "
            "again with save_weights or save"
        ) from error


def _opened(path: Path) -> Stored:
    if not path.name.lower().endswith(".keras"):
        with h5py.File(path) as file:
            return _stored(file, _text(file.attrs.get(CONFIG, "")))
    with zipfile.ZipFile(path) as archive:
        if archive.getinfo(MEMBER).file_size > LARGEST_MEMBER:
            raise ValueError(MEMBER)
        content = archive.read(MEMBER)
        config = archive.read("config.json").decode()
    with h5py.File(io.BytesIO(content)) as file:
        return _stored(file, config)


def _stored(file: Any, config: str) -> Stored:
    top = file.get("model_weights", file)
    if LAYOUT not in top.attrs:
        return Stored(_by_kind(_numbered(top)), by_name=False, config=config)
    groups = [_parts(top[_text(name)]) for name in top.attrs[LAYOUT]]
    by_name = any(len(group) > 1 for group in groups)
    named = [item for group in groups for item in group.items()]
    if by_name:
        named.sort(key=lambda item: natural(item[0]))
    return Stored(_by_kind(arrays for _, arrays in named), by_name, config)


def _by_kind(layers: Iterable[list[Array]]) -> Layers:
    kinds: dict[str, list[list[Array]]] = defaultdict(list)
    for arrays in layers:
        kinds[kind([array.shape for array in arrays])].append(arrays)
    return kinds


def _parts(group: Any) -> dict[str, list[Array]]:
    """Return the weights of a layer of the older layout by its name; of a network, those of each of its layers."""
    parts: dict[str, list[Array]] = defaultdict(list)
    for weight in map(_text, group.attrs["weight_names"]):
        parts[weight.rpartition("/")[0]].append(_values(group[weight]))
    return parts


def _numbered(top: Any) -> Iterator[list[Array]]:
    """Yield the layers of the newer layout, those of a class in their order."""
    folders: list[str] = []

    def visit(name: str, item: Any) -> None:
        if name.endswith("/vars") and len(item) and not name.startswith("optimizer"):
            folders.append(name)

    top.visititems(visit)
    for name in sorted(folders, key=natural):
        yield [_values(top[name][key]) for key in sorted(top[name], key=natural)]


def _values(data: Any) -> Array:
    if data.external or data.is_virtual:
        raise ValueError("its numbers are in another file")
    if data.dtype.kind not in "fiu" or math.prod(data.shape) * 4 > LARGEST_MEMBER:
        raise ValueError("no numbers")
    return np.asarray(data[()], np.float32)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
