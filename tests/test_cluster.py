"""Several replicas: two hosts as two processes of this machine, and two devices of one host."""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from socket import socket

import numpy as np
import pytest

from classifier import predictor
from classifier.errors import UserError
from classifier.training import recipe
from classifier.training.cluster import Cluster
from jobs import ROOT, ROWS, Job, many_labels, rows

SETTINGS = {"epochs": "2", "batch_size": "8", "validation_split_ratio": "0.34", "learning_rate": "0.001"}
EPOCH = re.compile(r"event=epoch epoch=(\d)/2 loss=([\d.]+)")


def free_ports(count: int) -> list[int]:
    sockets = [socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.fixture
def two(tmp_path: Path, shallow_encoder: Path) -> Callable[..., list[Job]]:
    """Make a job of two hosts: a folder each, as SageMaker mounts it."""

    def make(**settings: str) -> list[Job]:
        hosts = [f"127.0.0.1:{port}" for port in free_ports(2)]
        jobs = []
        for number, host in enumerate(hosts):
            job = Job.create(tmp_path / f"host-{number}", encoder=shallow_encoder)
            job.channel("training", rows(ROWS * 8))
            # The list is not sorted, and the chief is the first by name.
            resources = {"current_host": host, "hosts": sorted(hosts, reverse=True)}
            job.configure(hyperparameters={**SETTINGS, **settings}, resourceconfig=resources)
            jobs.append(job)
        return sorted(jobs, key=lambda job: hosts[jobs.index(job)])

    return make


def run_all(jobs: Sequence[Job], *, kill: int | None = None) -> list[tuple[int, str]]:
    """Run all hosts to their ends; kill one of them after its first epoch, if told to."""
    processes = [job.start() for job in jobs]
    logs = [""] * len(jobs)

    def read(number: int) -> None:
        stream = processes[number].stdout
        assert stream is not None
        with stream:
            for line in stream:
                logs[number] += line
                if "event=epoch epoch=1/" in line and kill is not None:
                    processes[kill].kill()

    threads = [threading.Thread(target=read, args=(number,)) for number in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=180)
    return [(process.wait(timeout=60), log) for process, log in zip(processes, logs, strict=True)]


def test_two_hosts_end_well_with_one_model_written_by_the_chief_T54_T55_U01(two: Callable[..., list[Job]]) -> None:
    jobs = two()
    (chiefs_code, chiefs_log), (others_code, others_log) = run_all(jobs)
    assert (chiefs_code, others_code) == (0, 0), chiefs_log + others_log
    assert len(EPOCH.findall(chiefs_log)) == 2
    assert "val_accuracy" not in others_log
    assert predictor.load(jobs[0].model).labels == (0, 1)
    assert not jobs[1].model.exists()
    assert not (jobs[1].base / "output" / "data").exists()
    evaluation = json.loads((jobs[0].base / "output" / "data" / "evaluation.json").read_text())
    assert np.sum(evaluation["validation"]["confusion_matrix_rows_are_true"]) == 33  # of both hosts' parts


def test_two_hosts_resume_from_the_chiefs_checkpoint_C09(two: Callable[..., list[Job]]) -> None:
    jobs = two()
    codes = [code for code, _ in run_all(jobs, kill=1)]
    assert codes[0] != 0
    assert "another host of the job" in jobs[0].failure
    assert not (jobs[0].model / "1").exists()
    assert not (jobs[1].base / "checkpoints").exists()
    ended = run_all(jobs)
    assert [code for code, _ in ended] == [0, 0], ended[0][1] + ended[1][1]
    assert [number for number, _ in EPOCH.findall(ended[0][1])] == ["2"]


def test_two_hosts_start_from_the_same_solved_top_layer(two: Callable[..., list[Job]]) -> None:
    jobs = two()
    pairs = many_labels(recipe.MANY_LABELS)
    for job, part in zip(jobs, (pairs[: len(pairs) // 2], pairs[len(pairs) // 2 :]), strict=True):
        job.channel("training", rows(part))
        sharded = {"TrainingInputMode": "File", "S3DistributionType": "ShardedByS3Key"}
        whole = {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated"}
        job.configure(
            hyperparameters={"epochs": "4", "batch_size": "8"}, inputdataconfig={"training": sharded, "model": whole}
        )
    ended = run_all(jobs)
    assert [code for code, _ in ended] == [0, 0], ended[0][1] + ended[1][1]
    solved = [re.findall(r"event=top_layer start=solved rows=(\d+)", log) for _, log in ended]
    assert solved == [[str(round(0.8 * len(pairs)))]] * 2


def test_each_host_may_have_rows_and_labels_of_its_own_T33(two: Callable[..., list[Job]]) -> None:
    jobs = two(class_weights="balanced")
    jobs[0].channel("training", rows([(0, text) for _, text in ROWS * 3]))
    jobs[1].channel("training", rows([(index % 2 + 1, text) for index, (_, text) in enumerate(ROWS)]))
    for job in jobs:
        sharded = {"TrainingInputMode": "File", "S3DistributionType": "ShardedByS3Key"}
        whole = {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated"}
        job.configure(inputdataconfig={"training": sharded, "model": whole})
    ended = run_all(jobs)
    assert [code for code, _ in ended] == [0, 0], ended[0][1] + ended[1][1]
    assert predictor.load(jobs[0].model).labels == (0, 1, 2)
    evaluation = json.loads((jobs[0].base / "output" / "data" / "evaluation.json").read_text())
    assert np.sum(evaluation["validation"]["confusion_matrix_rows_are_true"]) == round(0.34 * 36) + round(0.34 * 12)


def test_hosts_read_long_texts_alike_although_one_alone_has_them_T33(two: Callable[..., list[Job]]) -> None:
    jobs = two(max_sequence_length="8")
    for job, times in zip(jobs, (1, 6), strict=True):
        job.channel("training", rows([(label, " ".join([text] * times)) for label, text in ROWS * 4]))
        sharded = {"TrainingInputMode": "File", "S3DistributionType": "ShardedByS3Key"}
        whole = {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated"}
        job.configure(inputdataconfig={"training": sharded, "model": whole})
    ended = run_all(jobs)
    assert [code for code, _ in ended] == [0, 0], ended[0][1] + ended[1][1]
    lines = [re.findall("event=long_texts .*", log) for _, log in ended]
    assert lines[0] == lines[1]
    assert "long_texts=windows long_texts_from='the lengths'" in lines[0][0]
    assert jobs[0].manifest["encoder"]["long_texts"] == "windows"


def test_what_is_wrong_with_one_hosts_rows_ends_all_with_its_words_T33(two: Callable[..., list[Job]]) -> None:
    jobs = two()
    jobs[1].channel("training", "0,one, two\n")
    ended = run_all(jobs)
    assert [code for code, _ in ended] == [1, 1]
    host = json.loads((jobs[1].base / "input" / "config" / "resourceconfig.json").read_text())["current_host"]
    for job in jobs:
        assert job.failure.startswith("training/data.csv:1: 3 columns; put a text that has commas in quotes")
        assert f"(host {host})" in job.failure
        assert not job.model.exists()


def test_a_host_that_is_not_there_yet_is_waited_for_until_the_job_is_stopped_T54(job: Job) -> None:
    job.configure(resourceconfig={"current_host": "algo-1", "hosts": ["algo-1", "algo-2"]})
    ended = job.stop_at("event=cluster note='waiting for algo-1, algo-2'")
    assert ended.returncode == 1
    assert "stopped before its first training step" in job.failure


def test_a_host_that_is_not_among_the_hosts_is_an_error_that_names_them_T35(job: Job) -> None:
    job.configure(resourceconfig={"current_host": "algo-3", "hosts": ["algo-1", "algo-2"]})
    with pytest.raises(UserError, match="current_host 'algo-3' is not among the hosts algo-1, algo-2"):
        job.train()


TWO_DEVICES = """
import sys
from pathlib import Path

import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

from classifier.environment import Environment, configure_logging
from classifier.training import cluster, program
from classifier.training.interruption import Interruption

cluster.local = lambda: cluster.Cluster(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))
configure_logging()
program.train(Environment.from_environ({"SAGEMAKER_BASE_DIR": sys.argv[1]}), Interruption())
"""


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_two_devices_of_a_host_share_each_batch(tmp_path: Path, shallow_encoder: Path, precision: str) -> None:
    job = Job.create(tmp_path / "ml", encoder=shallow_encoder)
    job.channel("training", rows(ROWS * 8))
    job.configure(hyperparameters={**SETTINGS, "mixed_precision": precision})
    runs = 2 if precision == "float32" else 1  # the second goes on from the checkpoint
    for _ in range(runs):
        ended = subprocess.run(
            [sys.executable, "-c", TWO_DEVICES, str(job.base)],
            cwd=ROOT / "container",
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert "replicas=2" in ended.stdout
    assert ("resumed from it" in ended.stdout) == (runs == 2)
    assert predictor.load(job.model).labels == (0, 1)


def test_a_cluster_of_one_host_exchanges_with_itself() -> None:
    alone = Cluster(None)
    assert alone.all_gather(b"") == [b""]
    assert alone.any(True)
    assert not alone.any(False)
    assert alone.is_chief


def test_hosts_with_rows_of_their_own_solve_one_top_layer(two: Callable[..., list[Job]]) -> None:
    jobs = two()
    pairs = [(index % 2, f"{('a good', 'good a')[index % 2]} {word}") for index, (_, word) in enumerate(ROWS * 4)]
    jobs[0].channel("training", rows([row for row in pairs if row[0] == 0]))
    jobs[1].channel("training", rows([row for row in pairs if row[0] == 1]))
    sharded = {"TrainingInputMode": "File", "S3DistributionType": "ShardedByS3Key"}
    whole = {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated"}
    for job in jobs:
        job.configure(
            inputdataconfig={"training": sharded, "model": whole}, hyperparameters={"train_only_top_layer": "1"}
        )
    (chiefs_code, chiefs_log), (others_code, others_log) = run_all(jobs)
    assert (chiefs_code, others_code) == (0, 0), chiefs_log + others_log
    assert "event=solved features=vectors" in chiefs_log
    assert "event=solved" not in others_log
    evaluation = json.loads((jobs[0].base / "output" / "data" / "evaluation.json").read_text())
    assert evaluation["validation"]["accuracy"] == 1.0
    answers = predictor.load(jobs[0].model).predict(["a good the film was good", "good a a bad film"])
    assert answers.argmax(axis=1).tolist() == [0, 1]
