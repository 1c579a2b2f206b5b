"""The packages in the image: none that anybody could miss was taken out, and what was is gone."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from image_helpers import IMAGE, Container, inspect, require_image, run, started

pytestmark = pytest.mark.image

SCRIPT = Path(__file__).with_name("image_script.py")
GIGABYTE = 10**9
# The second TensorFlow that the lock leaves out, OpenVINO's telemetry, and what tokenizers downloads with.
LEFT_OUT = {"tensorflow", "openvino-telemetry", "huggingface-hub"}


@pytest.fixture(scope="module")
def shell() -> Iterator[Container]:
    """A container that does nothing, to look around in."""
    require_image()
    with started("--entrypoint", "sleep", "IMAGE", "infinity") as container:
        yield container


def test_the_image_for_cpus_is_below_two_gigabytes() -> None:
    require_image()
    image = inspect(IMAGE)
    if any(variable.startswith("NVIDIA") for variable in image["Config"]["Env"]):
        pytest.skip("an image for GPUs")
    assert image["Size"] < 2 * GIGABYTE


def test_what_was_taken_out_is_gone_and_written_down_with_its_reason(shell: Container) -> None:
    removed = json.loads(shell.run("cat", "/opt/venv/removed.json"))
    assert sum(line["size"] for line in removed) > GIGABYTE / 2
    assert all(line["why"] for line in removed)
    site = "/opt/venv/lib/python3.11/site-packages"
    assert shell.run("find", site, "-path", "*/tensorflow/include", "-o", "-path", "*/pandas/tests") == ""


def test_no_cache_of_apt_is_left(shell: Container) -> None:
    assert shell.run("find", "/var/cache/apt", "/var/lib/apt/lists", "-type", "f", "-size", "+4k") == ""


def test_a_jobs_own_script_finds_what_it_would_import() -> None:
    require_image()
    mount = ("--volume", f"{SCRIPT}:/script.py:ro", "--network", "none")
    ended = run(*mount, "IMAGE", "python3", "-W", "ignore", "/script.py", "/tmp")
    assert ended.code == 0, ended.log[-3000:]
    assert "all of it works" in ended.log


def test_pip_misses_nothing_but_what_the_lock_leaves_out() -> None:
    require_image()
    ended = run("IMAGE", "pip", "check")
    missing = {line.split(" requires ")[1].split(",")[0] for line in ended.log.splitlines() if " requires " in line}
    assert missing == LEFT_OUT
    assert "not supported" not in ended.log
