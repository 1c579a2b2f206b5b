"""A backend that runs OpenVINO models (token ids or pixels to probabilities) on CPUs, without TensorFlow.

A network that reads token ids comes with a tokenizer of the ``tokenizers`` library. It reads them packed
(:mod:`classifier.backends.packing`) or padded (:mod:`classifier.backends.padding`).
"""

import ctypes
import mmap
import queue
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import openvino
from numpy.typing import NDArray

from classifier.backends import Computing, Encoded, processor, tokenization
from classifier.backends.arrays import Arrays
from classifier.backends.packing import STEP, Packing
from classifier.backends.padding import LENGTH_STEP, padded
from classifier.backends.tokenization import Tokenization
from classifier.errors import UserError

NETWORK, WEIGHTS, TOKENIZER = "model.xml", "model.bin", "tokenizer.json"
MAPPINGS = Path("/proc/self/maps")
PRECISIONS: Mapping[str, Any] = {"float32": openvino.Type.f32, "bfloat16": openvino.Type.bf16}


class RecordEncoder(Protocol):
    """Encodes and collates the records of one modality."""

    def encode(self, records: Sequence[Any]) -> list[Encoded]:
        """Return each record encoded."""
        ...

    def collate(self, batch: Sequence[Encoded]) -> Mapping[str, NDArray[Any]] | NDArray[Any]:
        """Return encoded records as what the network reads: one array, or several by name."""
        ...


@dataclass(frozen=True)
class Reading:
    """How a network reads texts.

    Attributes:
        longest: The number of tokens of the longest text that it reads.
        folds_case: Whether texts are case-folded before they are tokenized.
        packing: How it reads packed texts; None if it reads padded ones.
    """

    longest: int
    folds_case: bool = False
    packing: Packing | None = None


@dataclass(frozen=True)
class Texts:
    """Encodes and collates texts.

    Attributes:
        tokenization: The tokenizer.
        longest: The number of tokens of the longest text that the network reads.
    """

    tokenization: Tokenization
    longest: int

    def encode(self, records: Sequence[str]) -> list[Encoded]:
        """Return each text's token ids, without padding."""
        return self.tokenization.encode(records)

    def collate(self, batch: Sequence[Encoded]) -> NDArray[np.int32]:
        """Return token ids as one array, int32[len(batch), length], padded to the longest text or more."""
        return padded([text.content for text in batch], LENGTH_STEP, self.longest)


@dataclass(frozen=True)
class PackedTexts:
    """Encodes texts, and packs them.

    Attributes:
        tokenization: The tokenizer.
        packing: How the network reads packed texts.
    """

    tokenization: Tokenization
    packing: Packing

    def encode(self, records: Sequence[str]) -> list[Encoded]:
        """Return each text's token ids."""
        return self.tokenization.encode(records)

    def collate(self, batch: Sequence[Encoded]) -> Mapping[str, NDArray[Any]]:
        """Return the texts packed."""
        return self.packing.pack([text.content for text in batch])


@dataclass(frozen=True, eq=False)
class OpenVinoBackend:
    """A compiled network.

    Attributes:
        record_encoder: Encodes and collates its records.
        compiled: The network, compiled for this processor.
        inputs: The names of its inputs.
        requests: Idle inference requests, each of which runs one batch at a time.
    """

    record_encoder: RecordEncoder
    compiled: Any
    inputs: Collection[str]
    requests: "queue.SimpleQueue[Any]" = field(default_factory=queue.SimpleQueue)

    @property
    def precision(self) -> str:
        """The dtype in which it computes: the requested one, if this processor supports that."""
        kind = self.compiled.get_property("INFERENCE_PRECISION_HINT")
        return next((name for name, each in PRECISIONS.items() if each == kind), str(kind))

    def encode(self, records: Sequence[Any], /) -> list[Encoded]:
        """Return each record encoded."""
        return self.record_encoder.encode(records)

    def run_batch(self, batch: Sequence[Encoded]) -> NDArray[np.float32]:
        """Return the probabilities, float32[len(batch), labels], of one batch."""
        arrays = self.record_encoder.collate(batch)
        if isinstance(arrays, np.ndarray):
            inputs = dict.fromkeys(self.inputs, arrays)
        else:
            inputs = {name: arrays[name] for name in self.inputs}
        request = self.requests.get()
        try:
            probabilities: NDArray[np.float32] = request.infer(inputs, share_inputs=True)[0]
        finally:
            self.requests.put(request)
        return probabilities[: len(batch)]


def load(folder: Path, precision: str, computing: Computing, reading: Reading | None) -> OpenVinoBackend:
    """Load a model and compile it for this processor.

    Args:
        folder: The folder with the network's two files, and a tokenizer if it reads token ids.
        precision: One of :data:`PRECISIONS`; the weights are always float32.
        computing: The resources it may use.
        reading: How it reads texts; None if it reads arrays.

    Raises:
        UserError: A file is missing or broken.
    """
    record_encoder = Arrays() if reading is None else _texts(folder, reading, precision)
    _check_whole(folder, NETWORK, WEIGHTS)
    config = {
        "INFERENCE_PRECISION_HINT": PRECISIONS[precision],
        "NUM_STREAMS": computing.batches_at_once,
        "INFERENCE_NUM_THREADS": computing.threads,
        # Pinned threads would compete with those of other processes and models for the same processors.
        "ENABLE_CPU_PINNING": False,
    }
    core = openvino.Core()
    others = _mapped(folder / WEIGHTS)  # of models that another thread may be unloading
    try:
        compiled = core.compile_model(core.read_model(folder / NETWORK), "CPU", config)
    except RuntimeError as error:
        raise UserError(f"{folder}: the network does not load ({type(error).__name__}); copy it again") from error
    backend = OpenVinoBackend(record_encoder, compiled, tuple(port.any_name for port in compiled.inputs))
    for _ in range(computing.batches_at_once):
        backend.requests.put(compiled.create_infer_request())
    backend.run_batch([_smallest(compiled, reading)])  # lays out the weights anew, which no request should wait for
    _release(_mapped(folder / WEIGHTS) - others)
    return backend


def _texts(folder: Path, reading: Reading, precision: str) -> Texts | PackedTexts:
    _check_whole(folder, TOKENIZER)
    packing = reading.packing
    loaded = tokenization.load(folder / TOKENIZER, folds_case=reading.folds_case, padded=packing is None)
    if packing is None:
        return Texts(loaded, reading.longest)
    quick = precision == "bfloat16" and processor.has_bfloat16_matrices()
    return PackedTexts(loaded, replace(packing, step=STEP) if quick else packing)


def _smallest(compiled: Any, reading: Reading | None) -> Encoded:
    """Return the smallest record that a network reads, filled with zeros."""
    if reading is not None:
        return Encoded(np.zeros(1, np.int32), 1)
    (network_input,) = compiled.inputs
    _, *sizes = network_input.partial_shape
    shape = [size.get_length() if size.is_static else 1 for size in sizes]
    return Encoded(np.zeros(shape, network_input.element_type.to_dtype()), 1)


def _check_whole(folder: Path, *names: str) -> None:
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise UserError(f"{folder}: incomplete, without {', '.join(missing)}; deploy everything that training wrote")


def _mapped(path: Path) -> set[tuple[int, int]]:
    """Return the address ranges, start and end, at which a file is mapped read-only."""
    try:
        lines = MAPPINGS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return set()
    ending = f" {path.resolve()}"
    columns = [line.split(maxsplit=5) for line in lines if line.endswith(ending)]
    ranges = [addresses.split("-") for addresses, permissions, *_ in columns if "w" not in permissions]
    return {(int(start, 16), int(end, 16)) for start, end in ranges}


def _release(ranges: Collection[tuple[int, int]]) -> None:
    """Release a mapped file's pages from memory: the weights were laid out anew, and are hardly read here again.

    Pages that are read are loaded again. Source: madvise(2), MADV_DONTNEED for a file's unchanged pages.
    """
    advise = ctypes.CDLL(None).madvise
    for start, end in ranges:
        advise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), mmap.MADV_DONTNEED)
