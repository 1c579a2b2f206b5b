"""Reading tensors of PyTorch's older file format: numbers only, and no function that a pickle may call."""

import io
import os
import pickle
import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from jobs import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import torch_file
from torch_file import TorchFileError

ARRAY = np.arange(24, dtype="<f4").reshape(2, 3, 4)
COUNT = np.array(7, "<i8")


class FloatStorage:
    pass


class LongStorage:
    pass


class Tensor:
    """A tensor that is pickled as PyTorch pickles its own."""

    def __init__(self, array: NDArray[Any], key: str, strides: tuple[int, ...] | None = None, offset: int = 0) -> None:
        self.array, self.key, self.offset = array, key, offset
        self.strides = tuple(step // array.itemsize for step in array.strides) if strides is None else strides

    def __reduce__(self) -> Any:
        return rebuild, (Reference(self), self.offset, self.array.shape, self.strides, False, OrderedDict())


class Reference:
    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


def rebuild(*_: Any) -> None:
    """Stand for PyTorch's function of this name."""


class Writer(pickle.Pickler):
    def persistent_id(self, obj: Any) -> Any:
        if not isinstance(obj, Reference):
            return None
        array = obj.tensor.array
        kind = FloatStorage if array.dtype == np.float32 else LongStorage
        return ("storage", kind, obj.tensor.key, "cpu", array.size, None)


@pytest.fixture(autouse=True)
def torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pickles name these classes as PyTorch's, which is not installed."""
    package, utilities = ModuleType("torch"), ModuleType("torch._utils")
    for kind in (FloatStorage, LongStorage):
        monkeypatch.setattr(kind, "__module__", "torch")
        setattr(package, kind.__name__, kind)
    monkeypatch.setattr(rebuild, "__module__", "torch._utils")
    monkeypatch.setattr(rebuild, "__name__", "_rebuild_tensor_v2")
    monkeypatch.setattr(rebuild, "__qualname__", "_rebuild_tensor_v2")
    utilities._rebuild_tensor_v2 = rebuild  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch", package)
    monkeypatch.setitem(sys.modules, "torch._utils", utilities)


def written(tensors: dict[str, Any], *, magic: int = torch_file.MAGIC_NUMBER) -> bytes:
    """Return a file as `torch.save` wrote it."""
    file = io.BytesIO()
    for part in (magic, torch_file.VERSION, {"little_endian": True}, OrderedDict(tensors)):
        Writer(file, protocol=2).dump(part)
    stored = {tensor.key: tensor.array for tensor in tensors.values() if isinstance(tensor, Tensor)}
    Writer(file, protocol=2).dump(list(stored))
    for array in stored.values():
        as_it_lies = array.transpose(np.argsort(array.strides)[::-1])
        file.write(array.size.to_bytes(8, "little") + as_it_lies.tobytes())
    return file.getvalue()


def read(tmp_path: Path, content: bytes) -> dict[str, NDArray[Any]]:
    (tmp_path / "x.pth").write_bytes(content)
    return torch_file.read(tmp_path / "x.pth")


def test_tensors_are_read_with_their_names_shapes_and_dtypes(tmp_path: Path) -> None:
    found = read(tmp_path, written({"a.weight": Tensor(ARRAY, "1"), "steps": Tensor(COUNT, "2")}))
    assert list(found) == ["a.weight", "steps"]
    for name, array in (("a.weight", ARRAY), ("steps", COUNT)):
        np.testing.assert_array_equal(found[name], array)
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)


def test_a_tensor_that_lies_in_another_order_is_read_in_its_own(tmp_path: Path) -> None:
    lying = ARRAY.transpose(2, 0, 1)
    np.testing.assert_array_equal(read(tmp_path, written({"a": Tensor(lying, "1")}))["a"], lying)


def test_a_function_that_no_tensor_needs_is_not_called(tmp_path: Path) -> None:
    class Harmful:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "called"),)

    with pytest.raises(TorchFileError, match=r"it asks for (posix|nt)\.mkdir, which no tensor needs"):
        read(tmp_path, written({"a": Tensor(ARRAY, "1"), "b": Harmful()}))
    assert not (tmp_path / "called").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (lambda: b"", "not a whole file of tensors"),
        (lambda: b"PK\x03\x04 and so on", "not a whole file of tensors"),
        (lambda: written({"a": Tensor(ARRAY, "1")})[:-1], "not a whole file of tensors"),
        (lambda: written({"a": Tensor(ARRAY, "1")}, magic=5), "another format"),
        (lambda: written({"a": 5}), "it holds other things than tensors"),
        (lambda: written({"a": Tensor(ARRAY, "1", (12, 4, 2))}), "a tensor that is outside of its storage"),
        (lambda: written({"a": Tensor(ARRAY, "1", (-12, 4, 1))}), "a tensor that is outside of its storage"),
        (lambda: written({"a": Tensor(ARRAY, "1", offset=1)}), "a tensor that is outside of its storage"),
    ],
)
def test_what_is_not_read_is_refused(tmp_path: Path, content: Callable[[], bytes], words: str) -> None:
    with pytest.raises(TorchFileError, match=words):
        read(tmp_path, content())
