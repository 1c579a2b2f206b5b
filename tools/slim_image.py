"""Take out of an image's packages what no program there can use: `python slim_image.py RECORD`.

Works on the site-packages of the Python that runs it, with only the standard library and binutils' `strip`. What was
taken out, why, and how large it was goes to RECORD as JSON. A line below that finds nothing any more ends the build
before anything is touched: what a new version no longer brings is to be looked at, not to be carried along.
"""

import json
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

MODULE_TESTS = "their own tests; what they offer for others' tests is elsewhere and stays"
NO_COMPILER = "C++ headers and build files; the image has no compiler"
NOT_HERE = "reads files of {}, which no package here writes"

# Patterns below site-packages, and why nobody misses what they find. No dependency goes as a whole, and nothing that a
# public name of TensorFlow's leads to.
UNUSED: Mapping[str, str] = {
    "tensorflow/include": NO_COMPILER,
    "tensorflow/compiler/mlir/stablehlo": "to write StableHLO by hand; nothing in TensorFlow imports it",
    "tensorflow/compiler/tf2xla/ops/_xla_ops.so": "can't be loaded beside TensorFlow's library, which has the same",
    "clang/native/libclang.so": "required by TensorFlow and imported nowhere in it; its Python bindings stay",
    "openvino/include": NO_COMPILER,
    "openvino/cmake": NO_COMPILER,
    "openvino/libs/libopenvino_intel_gpu_plugin.so": "drives Intel's graphics; models are served on processors",
    "openvino/libs/cache.json": "settings of Intel's graphics",
    "openvino/libs/libopenvino_intel_npu_plugin.so": "drives the neural processors of laptops",
    "openvino/frontend/onnx": NOT_HERE.format("ONNX"),
    "openvino/libs/libopenvino_onnx_frontend.so.*": NOT_HERE.format("ONNX"),
    "openvino/frontend/pytorch": NOT_HERE.format("PyTorch"),
    "openvino/libs/libopenvino_pytorch_frontend.so.*": NOT_HERE.format("PyTorch"),
    "openvino/frontend/paddle": NOT_HERE.format("PaddlePaddle"),
    "openvino/libs/libopenvino_paddle_frontend.so.*": NOT_HERE.format("PaddlePaddle"),
    "openvino/frontend/jax": NOT_HERE.format("JAX"),
    "openvino/libs/libopenvino_jax_frontend.so.*": NOT_HERE.format("JAX"),
    "openvino/libs/libopenvino_gguf_frontend.so.*": NOT_HERE.format("llama.cpp"),
    "pandas/**/tests": MODULE_TESTS,
    "scipy/**/tests": MODULE_TESTS,
    "numpy/**/tests": MODULE_TESTS,
    "gevent/tests": MODULE_TESTS,
    "zope/**/tests": MODULE_TESTS,
    "setuptools/**/tests": MODULE_TESTS,
    "keras/**/*_test.py": MODULE_TESTS,
    "keras/**/__pycache__/*_test.*.pyc": MODULE_TESTS,
}
# Packages whose libraries name every function for a debugger. What others link to keeps its names. Libraries that were
# moved into their wheels (numpy.libs and the like) are left alone: strip has broken such ones, and they have little.
WITH_SYMBOLS = ("tensorflow", "tensorflow_text", "tokenizers", "cryptography", "nacl")
SYMBOLS = "names of functions in the libraries, which only a debugger reads"


@dataclass(frozen=True)
class Saved:
    """What was taken out.

    Attributes:
        what: A pattern below site-packages, or a package whose libraries were stripped.
        why: Why nobody misses it.
        size: How much that was, in bytes.
    """

    what: str
    why: str
    size: int


def main() -> int:
    """Slim the packages of this Python, and write down what that was."""
    (record,) = sys.argv[1:]
    saved = slim(Path(sysconfig.get_path("purelib")), UNUSED, WITH_SYMBOLS)
    Path(record).write_text(json.dumps([asdict(line) for line in saved], indent=1) + "\n", encoding="utf-8")
    for line in saved:
        sys.stdout.write(f"{line.size / 1e6:6.1f} MB  {line.what}: {line.why}\n")
    return 0


def slim(site: Path, unused: Mapping[str, str], with_symbols: Sequence[str]) -> list[Saved]:
    """Remove and strip.

    Args:
        site: A site-packages folder.
        unused: Patterns below it, and why what they find is not needed.
        with_symbols: Packages whose libraries are stripped.

    Returns:
        What went, the removed before the stripped.

    Raises:
        SystemExit: A pattern finds nothing, and nothing was removed; or a package has nothing to strip.
    """
    found = {pattern: sorted(site.glob(pattern)) for pattern in unused}
    idle = [pattern for pattern, paths in found.items() if not paths]
    if idle:
        raise SystemExit(f"{', '.join(idle)}: not in {site}; take it off the list in slim_image.py, or mend it there")
    removed = [Saved(pattern, unused[pattern], _remove(paths)) for pattern, paths in found.items()]
    return [*removed, *(Saved(package, SYMBOLS, _strip(site / package)) for package in with_symbols)]


def _remove(paths: Iterable[Path]) -> int:
    size = 0
    for path in paths:  # a folder may lie in one that is gone already
        size += _size(path)
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return size


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if file.is_file())


def _strip(package: Path) -> int:
    before = _size(package)
    libraries = sorted(path for path in package.rglob("*.so*") if path.is_file() and not path.is_symlink())
    subprocess.run(["strip", "--strip-unneeded", "--", *libraries], check=True)
    saved = before - _size(package)
    if saved <= 0:
        raise SystemExit(f"{package.name}: nothing to strip; take it off the list in slim_image.py")
    return saved


if __name__ == "__main__":
    sys.exit(main())
