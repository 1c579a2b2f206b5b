"""A job of two hosts: two containers on a network of their own, as the platform starts them."""

import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from classifier import predictor
from image_helpers import Container, docker, require_image, run, started
from jobs import ROWS, Job, rows

pytestmark = pytest.mark.image

HOSTS = ("algo-1", "algo-2")


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Path]:
    """A folder for the hosts; what the containers' root writes there is removed by a container's root."""
    require_image()
    yield tmp_path
    run("--volume", f"{tmp_path}:/work", "IMAGE", "find", "/work", "-mindepth", "1", "-delete")


@pytest.fixture
def network() -> Iterator[str]:
    """A network without a way out, on which containers know each other by name."""
    require_image()
    name = f"image-test-{uuid.uuid4().hex[:12]}"
    docker("network", "create", "--internal", name)
    yield name
    docker("network", "rm", name)


@pytest.fixture
def hosts(work: Path, network: str, tiny_encoder: Path) -> Iterator[list[tuple[Job, Container]]]:
    """Two hosts that train for long, the second one started some time after the first."""
    with ExitStack() as stack:
        started_hosts = []
        for host in HOSTS:
            job = Job.create(work / host, encoder=tiny_encoder)
            job.channel("training", rows(ROWS * 8))
            resources = {"current_host": host, "hosts": list(HOSTS), "network_interface_name": "eth0"}
            job.configure(
                hyperparameters={"epochs": "1000", "batch_size": "8", "learning_rate": "0.0001"},
                resourceconfig=resources,
            )
            options = ("--network", network, "--network-alias", host, "--volume", f"{job.base}:/opt/ml")
            started_hosts.append((job, stack.enter_context(started(*options, "IMAGE", "train"))))
            time.sleep(3)
        started_hosts[0][1].wait_for("event=epoch epoch=1/")
        yield started_hosts


@pytest.mark.parametrize("killed", [0, 1])
def test_when_a_host_is_killed_the_other_ends_within_a_minute_with_a_message_T54(
    hosts: list[tuple[Job, Container]], killed: int
) -> None:
    docker("kill", hosts[killed][1].name)
    before = time.monotonic()
    job, other = hosts[1 - killed]
    ended = other.wait()
    assert time.monotonic() - before < 60
    assert ended.code == 1
    assert job.failure.startswith(f"host {HOSTS[1 - killed]}: another host of the job ({HOSTS[killed]}) ended")
    assert not (job.model / "1").exists()


def test_a_stop_of_all_hosts_keeps_the_best_model_and_ends_each_with_code_0_T08_T55(
    hosts: list[tuple[Job, Container]],
) -> None:
    for _, container in hosts:
        docker("kill", "--signal", "TERM", container.name)
    assert [container.wait().code for _, container in hosts] == [0, 0]
    assert predictor.load(hosts[0][0].model).labels == (0, 1)
    assert not hosts[1][0].model.exists()
