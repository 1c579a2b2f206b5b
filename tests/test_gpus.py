"""Whether a GPU is there that the image can use, and what is said and done where it can't; no test needs a GPU."""

import ctypes
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from classifier import gpus
from classifier.serving import hooks
from classifier.serving.settings import ServingSettings
from classifier.training import hardware
from classifier.training.hardware import Precision

Machine = Callable[..., None]


class Driver:
    """A driver that is made for a version of CUDA."""

    def __init__(self, version: int) -> None:
        self._version = version

    def cuDriverGetVersion(self, number: Any) -> int:
        number._obj.value = self._version
        return 0


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """Return what makes a machine of device files, of the version of a driver, and of an image with or without CUDA."""

    def made(*devices: str, driver: int = 12080, cuda: bool = True) -> None:
        for device in ("null", "nvidiactl", "nvidia-uvm", *devices):
            (tmp_path / device).touch()
        monkeypatch.setattr(gpus, "DEVICES", tmp_path)
        monkeypatch.setattr(gpus, "CUDA", "json.decoder" if cuda else "no_such_package.cuda")
        if driver:
            monkeypatch.setattr(ctypes, "CDLL", lambda name: {gpus.DRIVER: Driver(driver)}[name])

    monkeypatch.delenv(gpus.VISIBLE, raising=False)
    gpus.why_unused.cache_clear()
    yield made
    gpus.why_unused.cache_clear()


def test_without_a_gpu_there_is_nothing_to_say(machine: Machine) -> None:
    machine(driver=0, cuda=False)
    assert (gpus.usable(), gpus.why_unused()) == ((), "")


@pytest.mark.parametrize(
    ("devices", "names"),
    [(["nvidia0"], ("0",)), (["nvidia3"], ("0",)), (["nvidia0", "nvidia1", "nvidia10"], ("0", "1", "2"))],
)
def test_gpus_are_counted_whatever_numbers_their_devices_have(
    machine: Machine, devices: list[str], names: tuple[str, ...]
) -> None:
    machine(*devices)
    assert (gpus.usable(), gpus.why_unused()) == (names, "")


@pytest.mark.parametrize(
    ("chosen", "names"), [("1", ("1",)), ("2, 0", ("2", "0")), ("GPU-8a,MIG-1", ("GPU-8a", "MIG-1")), ("", ())]
)
def test_the_gpus_that_a_user_chose_are_used(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, chosen: str, names: tuple[str, ...]
) -> None:
    machine("nvidia0", "nvidia1", "nvidia2")
    monkeypatch.setenv(gpus.VISIBLE, chosen)
    assert gpus.usable() == names


@pytest.mark.parametrize(
    ("driver", "cuda", "reason"),
    [
        (11040, True, "its driver is made for CUDA 11.4, and this image needs a driver for CUDA 12.0 or later"),
        (0, True, "libcuda.so.1 is missing, and this image needs a driver for CUDA 12.0 or later"),
        (12080, False, "this image computes on the processor; use the GPU image (Dockerfile.gpu)"),
    ],
)
def test_a_gpu_that_cannot_be_used_is_none_and_the_log_says_why_H36_T61(
    machine: Machine, caplog: pytest.LogCaptureFixture, driver: int, cuda: bool, reason: str
) -> None:
    machine("nvidia0", driver=driver, cuda=cuda)
    assert gpus.usable() == ()
    assert reason in gpus.why_unused()
    settings = ServingSettings.from_environ({})
    assert not settings.computing.gpu
    assert settings.batch_tokens < 10_000
    hardware.report(Precision("float32", "of a test"), 1)
    (warning,) = (record for record in caplog.records if record.levelno == logging.WARNING)
    assert reason in warning.getMessage()


def test_a_driver_of_any_cuda_12_is_new_enough(machine: Machine) -> None:
    machine("nvidia0", driver=12000)
    assert gpus.usable() == ("0",)


def test_each_of_several_gpus_has_a_worker_unless_the_user_says_otherwise(machine: Machine) -> None:
    machine("nvidia0", "nvidia1", "nvidia2")
    assert ServingSettings.from_environ({}).workers == 3
    assert ServingSettings.from_environ({"SAGEMAKER_MODEL_SERVER_WORKERS": "1"}).workers == 1
    assert ServingSettings.from_environ({"SAGEMAKER_MULTI_MODEL": "true"}).workers == 1


def test_a_worker_gets_the_gpu_that_the_fewest_others_compute_on(machine: Machine) -> None:
    machine("nvidia0", "nvidia1")
    server = SimpleNamespace(WORKERS={})
    for pid in range(4):
        worker = SimpleNamespace(gpu=None)
        hooks.pre_fork(server, worker)
        server.WORKERS[pid] = worker
    assert [worker.gpu for worker in server.WORKERS.values()] == ["0", "1", "0", "1"]
    del server.WORKERS[1]
    hooks.pre_fork(server, worker)
    assert worker.gpu == "1"
