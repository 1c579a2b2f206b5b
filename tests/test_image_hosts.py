"""Jobs of images on two hosts, each of which gets a part of them: two processes of this machine."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from shutil import move

import numpy as np
import pytest

import drawn_images
from classifier import predictor
from classifier.errors import UserError
from jobs import Job
from test_cluster import free_ports, run_all

SHARDED = {"TrainingInputMode": "File", "S3DistributionType": "ShardedByS3Key"}


@pytest.fixture
def two(tmp_path: Path) -> Callable[[Sequence[str]], list[Job]]:
    """Make a job of two hosts whose training channels hold files of these names."""

    def make(names: Sequence[str]) -> list[Job]:
        hosts = sorted(f"127.0.0.1:{port}" for port in free_ports(2))
        jobs = [Job(tmp_path / f"host-{number}") for number in range(len(hosts))]
        for job, host, name in zip(jobs, hosts, names, strict=True):
            job.channel("training", "rose,a text\ntulip,another text\n" * 4, name)
            job.configure(
                hyperparameters={"epochs": "1", "batch_size": "8", "model_id": "cnn"},
                inputdataconfig={"training": SHARDED},
                resourceconfig={"current_host": host, "hosts": hosts},
            )
        return jobs

    return make


def test_each_host_may_have_images_and_labels_of_its_own_T33(two: Callable[[Sequence[str]], list[Job]]) -> None:
    jobs = two(("LICENSE.txt", "LICENSE.txt"))
    for number, job in enumerate(jobs):
        drawn_images.write(job.base / "input" / "data" / "training", range(8 * number, 8 * number + 8))
    for job, label in zip(jobs, ("disc", "stripes"), strict=True):
        move(job.base / "input" / "data" / "training" / label, job.base / "other-hosts")
    ended = run_all(jobs)
    assert [code for code, _ in ended] == [0, 0], ended[0][1] + ended[1][1]
    assert predictor.load(jobs[0].model).labels == ("disc", "dots", "stripes")
    assert json.loads((jobs[0].model / "manifest.json").read_text())["encoder"]["family"] == "image_network"


def test_hosts_solve_the_top_layer_of_the_encoder_in_the_image_on_the_images_of_all(
    two: Callable[[Sequence[str]], list[Job]],
) -> None:
    jobs = two(("LICENSE.txt", "LICENSE.txt"))
    for number, job in enumerate(jobs):
        drawn_images.write(job.base / "input" / "data" / "training", range(8 * number, 8 * number + 8))
        job.configure(hyperparameters={})
    for job, label in zip(jobs, ("disc", "stripes"), strict=True):
        move(job.base / "input" / "data" / "training" / label, job.base / "other-hosts")
    ended = run_all(jobs)
    assert [code for code, _ in ended] == [0, 0], ended[0][1] + ended[1][1]
    served = predictor.load(jobs[0].model)
    assert (served.labels, served.manifest["encoder"]["family"]) == (("disc", "dots", "stripes"), "efficientnet")
    asked = [drawn_images.encoded(label, number) for label in drawn_images.LABELS for number in range(50, 54)]
    assert np.mean(served.predict(asked).argmax(axis=1) == np.repeat([0, 1, 2], 4)) >= 0.9
    assert not (jobs[1].model / "manifest.json").exists()


def test_hosts_with_another_kind_of_records_each_end_with_what_to_do(
    two: Callable[[Sequence[str]], list[Job]],
) -> None:
    jobs = two(("data.csv", "LICENSE.txt"))
    drawn_images.write(jobs[1].base / "input" / "data" / "training", range(3))
    for job in jobs:
        job.configure(hyperparameters={})
    ended = run_all(jobs)
    assert [code for code, _ in ended] == [1, 1]
    for job in jobs:
        assert "the hosts have both images and texts to train on; set modality to one of them" in job.failure


def test_a_network_that_begins_from_nothing_has_no_use_for_a_model_channel(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    job = Job(tmp_path)
    drawn_images.write(tmp_path / "input" / "data" / "training", range(3))
    job.channel("model", b"x", "mobilenet.h5")
    job.configure(hyperparameters={"model_id": "cnn", "max_sequence_length": "9"})
    with (
        caplog.at_level("INFO"),
        pytest.raises(
            UserError, match="model_id=cnn: is trained from scratch, and there is a model channel; leave one"
        ),
    ):
        job.train()
    assert "event=hyperparameters note='max_sequence_length has no effect: it is for texts'" in caplog.messages
