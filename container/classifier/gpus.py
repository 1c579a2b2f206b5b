"""The GPUs that the container has, and whether this image can use them; known without TensorFlow."""

import ctypes
import functools
import importlib.util
from pathlib import Path

from classifier import environment

DEVICES = Path("/dev")
VISIBLE = "CUDA_VISIBLE_DEVICES"
CUDA = "nvidia.cuda_runtime"  # the package of the GPU image
DRIVER = "libcuda.so.1"
OLDEST_CUDA = (12, 0)  # a driver of any CUDA 12 runs programs that were built with a later 12


def usable() -> tuple[str, ...]:
    """Return the GPUs that this image can use, as ``CUDA_VISIBLE_DEVICES`` names them."""
    return () if why_unused() else _found()


@functools.cache
def why_unused() -> str:
    """Return why the GPUs that are there are not used, and what to do; empty without any, or if they are used."""
    if not _found():
        return ""
    if not _is_installed(CUDA):
        return "the machine has a GPU, and this image computes on the processor; use the GPU image (Dockerfile.gpu)"
    version = _cuda_of_driver()
    if version >= OLDEST_CUDA:
        return ""
    found = f"its driver is made for CUDA {version[0]}.{version[1]}" if version > (0, 0) else f"{DRIVER} is missing"
    return (
        f"the machine's GPU is not used: {found}, and this image needs a driver for CUDA {OLDEST_CUDA[0]}."
        f"{OLDEST_CUDA[1]} or later; on SageMaker, set InferenceAmiVersion of the endpoint, or TransformAmiVersion of "
        "the transform job, to one with a later driver; elsewhere, update the driver and the NVIDIA Container Toolkit"
    )


def _found() -> tuple[str, ...]:
    """Return the GPUs that the container has; a device of a single one may have any of the machine's numbers."""
    devices = list(DEVICES.glob("nvidia[0-9]*"))
    chosen = environment.variables().get(VISIBLE)
    if not devices or chosen is None:
        return tuple(map(str, range(len(devices))))
    return tuple(filter(None, chosen.replace(" ", "").split(",")))


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:  # of the package that it is in
        return False


def _cuda_of_driver() -> tuple[int, int]:
    """Return the CUDA version that the driver is made for; 0, 0 without a driver."""
    try:
        driver = ctypes.CDLL(DRIVER)
    except OSError:
        return 0, 0
    number = ctypes.c_int()
    driver.cuDriverGetVersion(ctypes.byref(number))  # 12040 is 12.4
    return number.value // 1000, number.value % 1000 // 10
