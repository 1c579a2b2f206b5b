"""Read the tensors of a file that `torch.save` wrote before PyTorch 1.6, without PyTorch and without running its code.

Such a file is a row of pickles (a magic number, the version, facts about the machine, the object, and the keys of its
storages), followed by the numbers of each storage. Pickles may call any function of Python; this reader refuses all
functions but those that rebuild tensors, which are replaced by its own (Python's documentation of ``pickle``,
"Restricting Globals").
"""

import pickle
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
VERSION = 1001
DTYPES: Mapping[str, str] = {"FloatStorage": "<f4", "LongStorage": "<i8"}
LENGTH_BYTES = 8


class TorchFileError(Exception):
    """A file that is not read: it is damaged, of another format, or asks for a function that is not allowed."""


@dataclass(frozen=True)
class _Storage:
    """Where a tensor's numbers are: the key of the storage, the dtype and how many there are."""

    key: str
    dtype: str
    count: int


@dataclass(frozen=True)
class _View:
    """A tensor as the pickle describes it: a part of a storage."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def of(self, numbers: NDArray[Any]) -> NDArray[Any]:
        """Return the tensor, given the numbers of its storage.

        Raises:
            TorchFileError: It leads outside of the storage.
        """
        steps = [(length - 1) * stride for length, stride in zip(self.shape, self.strides, strict=True)]
        if min((self.offset, *self.shape, *self.strides)) < 0 or self.offset + sum(steps) >= len(numbers):
            raise TorchFileError("a tensor that is outside of its storage")
        strides = [stride * numbers.itemsize for stride in self.strides]
        view = np.lib.stride_tricks.as_strided(numbers[self.offset :], self.shape, strides, writeable=False)
        return np.ascontiguousarray(view).reshape(self.shape)


def _rebuilt(
    storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_facts_about_training: Any
) -> _View:
    return _View(storage, offset, shape, strides)


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a function or class; refuse all that no tensor needs."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuilt
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        raise TorchFileError(f"it asks for {module}.{name}, which no tensor needs")

    def persistent_load(self, pid: Any) -> _Storage:
        """Return the storage that a tensor refers to."""
        match pid:
            case ("storage", str(dtype), str(key), _, int(count), None) if dtype in DTYPES.values():
                return _Storage(key, dtype, count)
        raise TorchFileError("it refers to something that is no storage")


def read(path: Path) -> dict[str, NDArray[Any]]:
    """Return the tensors of a file by name.

    Raises:
        TorchFileError: It is not such a file, is damaged, or would run code.
    """
    try:
        with path.open("rb") as file:
            return _tensors(file)
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise TorchFileError(f"not a whole file of tensors ({type(error).__name__})") from error


def _tensors(file: BinaryIO) -> dict[str, NDArray[Any]]:
    magic, version, _machine, views, keys = (_Reader(file).load() for _ in range(5))
    if (magic, version) != (MAGIC_NUMBER, VERSION):
        raise TorchFileError("another format")
    if not all(isinstance(view, _View) for view in views.values()):
        raise TorchFileError("it holds other things than tensors")
    dtypes = {view.storage.key: view.storage for view in views.values()}
    numbers = {key: _numbers(file, dtypes[key]) for key in keys}
    return {str(name): view.of(numbers[view.storage.key]) for name, view in views.items()}


def _numbers(file: BinaryIO, storage: _Storage) -> NDArray[Any]:
    count = int.from_bytes(file.read(LENGTH_BYTES), "little")
    if count != storage.count:
        raise TorchFileError("a storage of another length than its tensors say")
    return np.frombuffer(file.read(count * np.dtype(storage.dtype).itemsize), storage.dtype, count)
