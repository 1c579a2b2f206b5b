"""The capabilities of the machine's devices, and the dtypes that suit them."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import tensorflow as tf
import tf_keras

from classifier import gpus

log = logging.getLogger(__name__)

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
# The lowest compute capabilities that multiply in these dtypes at full speed (NVIDIA, CUDA programming guide).
HAS_BFLOAT16 = (8, 0)
HAS_FLOAT16 = (7, 0)


@dataclass(frozen=True)
class Precision:
    """The dtype in which a network computes; its weights are always float32.

    Attributes:
        name: The dtype: ``float32``, ``bfloat16`` or ``float16``.
        reason: Why it was chosen, for the log.
    """

    name: str
    reason: str


def by_card(capabilities: Sequence[tuple[int, int]]) -> Precision:
    """Return the fastest precision that all GPUs support.

    Args:
        capabilities: Each GPU's compute capability, major and minor version.
    """
    weakest = min(capabilities)
    shown = ".".join(str(part) for part in weakest)
    if weakest >= HAS_BFLOAT16:
        return Precision("bfloat16", f"compute capability {shown}")
    if weakest >= HAS_FLOAT16:
        return Precision("float16", f"compute capability {shown}, which lacks bfloat16; the loss is scaled")
    return Precision("float32", f"compute capability {shown} is too low for half precision")


def capabilities() -> list[tuple[int, int]]:
    """Return each GPU's compute capability."""
    details = [tf.config.experimental.get_device_details(gpu) for gpu in tf.config.list_physical_devices("GPU")]
    return [tuple(each.get("compute_capability") or (0, 0)) for each in details]


def has_gpu() -> bool:
    """Return whether TensorFlow uses a GPU."""
    return bool(tf.config.list_physical_devices("GPU"))


def length_multiple(jit_compile: str) -> int:
    """Return the number that the length of a batch should be a multiple of.

    On CPUs, a new length has no measurable cost, and padding has. GPUs are fastest at multiples of 8, and XLA compiles
    each length anew.

    Args:
        jit_compile: The hyperparameter: ``auto``, ``true`` or ``false``.
    """
    return 8 if has_gpu() or jit_compile == "true" else 1


@contextmanager
def computing_with(precision: Precision) -> Iterator[None]:
    """Make layers that are created in this context compute with this precision."""
    before = tf_keras.mixed_precision.global_policy()
    tf_keras.mixed_precision.set_global_policy(POLICIES[precision.name])
    try:
        yield
    finally:
        tf_keras.mixed_precision.set_global_policy(before)


def report(precision: Precision, replicas: int) -> None:
    """Log the devices, the number of replicas, the precision and the reason for it."""
    names = [
        tf.config.experimental.get_device_details(gpu).get("device_name", "GPU")
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    if not names and (reason := gpus.why_unused()):
        log.warning("event=devices note=%r", reason)
    log.info(
        "event=devices devices=%r replicas=%d precision=%s precision_from=%r",
        ", ".join(names) or "CPU", replicas, precision.name, precision.reason,
    )  # fmt: skip
