"""Runs a model in OpenVINO's form (token ids in, probabilities out) on CPUs, without TensorFlow.

Beside the network there is the tokenizer, in the form of the ``tokenizers`` library.
"""

import ctypes
import mmap
import queue
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray

from classifier.engines import Computing, Prepared, tokenization
from classifier.engines.padding import LENGTH_STEP, padded
from classifier.engines.tokenization import Tokenization
from classifier.errors import UserError

NETWORK, WEIGHTS, TOKENIZER = "model.xml", "model.bin", "tokenizer.json"
MAPPINGS = Path("/proc/self/maps")
PRECISIONS: Mapping[str, Any] = {"float32": openvino.Type.f32, "bfloat16": openvino.Type.bf16}


@dataclass(frozen=True, eq=False)
class OpenVinoEngine:
    """A compiled network.

    Attributes:
        tokenization: The tokenizer.
        compiled: The network, ready for this processor.
        longest: Tokens of the longest text it reads.
        requests: What computes one batch at a time each, those that are idle.
    """

    tokenization: Tokenization
    compiled: Any
    longest: int
    requests: "queue.SimpleQueue[Any]" = field(default_factory=queue.SimpleQueue)

    @property
    def precision(self) -> str:
        """The numbers it computes with: what was asked for, if this processor can."""
        kind = self.compiled.get_property("INFERENCE_PRECISION_HINT")
        return next((name for name, each in PRECISIONS.items() if each == kind), str(kind))

    def prepare(self, texts: Sequence[str]) -> list[Prepared]:
        """Return each text's token ids, without padding."""
        return self.tokenization.prepare(texts)

    def predict(self, batch: Sequence[Prepared]) -> NDArray[np.float32]:
        """Return the probabilities, float32[len(batch), labels], of one batch, padded to its longest text or more."""
        token_ids = padded([text.content for text in batch], LENGTH_STEP, self.longest)
        request = self.requests.get()
        try:
            probabilities: NDArray[np.float32] = request.infer({0: token_ids}, share_inputs=True)[0]
        finally:
            self.requests.put(request)
        return probabilities


def load(folder: Path, longest: int, precision: str, computing: Computing, *, folds_case: bool) -> OpenVinoEngine:
    """Read a model and make it ready for this processor.

    Args:
        folder: Its three files.
        longest: Tokens of the longest text it reads.
        precision: One of :data:`PRECISIONS`; its weights are float32 in any case.
        computing: What it may use.
        folds_case: Whether letters are folded before the tokenizer.

    Raises:
        UserError: A file is missing or broken.
    """
    missing = [name for name in (NETWORK, WEIGHTS, TOKENIZER) if not (folder / name).is_file()]
    if missing:
        raise UserError(f"{folder}: incomplete, without {', '.join(missing)}; deploy what training wrote, whole")
    tokens = tokenization.load(folder / TOKENIZER, folds_case=folds_case)
    settings = {
        "INFERENCE_PRECISION_HINT": PRECISIONS[precision],
        "NUM_STREAMS": computing.batches_at_once,
        "INFERENCE_NUM_THREADS": computing.threads,
        # Threads that keep to their processors would fight with those of other programs, and other models, for them.
        "ENABLE_CPU_PINNING": False,
    }
    core = openvino.Core()
    others = _mapped(folder / WEIGHTS)  # by models that another thread may be about to let go of
    try:
        compiled = core.compile_model(core.read_model(folder / NETWORK), "CPU", settings)
    except RuntimeError as error:
        raise UserError(f"{folder}: the network does not load ({type(error).__name__}); copy it again") from error
    engine = OpenVinoEngine(tokens, compiled, longest)
    for _ in range(computing.batches_at_once):
        engine.requests.put(compiled.create_infer_request())
    engine.predict([Prepared(np.zeros(1, np.int32), 1)])  # now weights are laid out anew, which no request waits for
    _let_go_of(_mapped(folder / WEIGHTS) - others)
    return engine


def _mapped(path: Path) -> set[tuple[int, int]]:
    """Return where a file is in memory, to be read only: first address, and the one after the last."""
    try:
        lines = MAPPINGS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return set()
    columns = [line.split(maxsplit=5) for line in lines if line.endswith(f" {path.resolve()}")]
    ranges = [addresses.split("-") for addresses, permissions, *_ in columns if "w" not in permissions]
    return {(int(start, 16), int(end, 16)) for start, end in ranges}


def _let_go_of(ranges: Collection[tuple[int, int]]) -> None:
    """Take a mapped file's pages out of memory: the weights were laid out anew, and are hardly read here again.

    Those that are read come back by themselves. Source: madvise(2), MADV_DONTNEED for a file's unchanged pages.
    """
    advise = ctypes.CDLL(None).madvise
    for start, end in ranges:
        advise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), mmap.MADV_DONTNEED)
