"""The image under both generations of the SageMaker Python SDK, in local mode: as in a user's notebook, without AWS.

Each SDK has an environment of its own (tests/sdk/setup.sh) and a driver (tests/sdk/v2.py, v3.py) that goes through
everything once and prints a line of JSON a step; a test here looks at one step.
"""

import csv
import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from serving_helpers import free_port

ROOT = Path(__file__).parent.parent
DRIVERS = Path(__file__).parent / "sdk"
IMAGE = os.environ.get("IMAGE", "text-classification:cpu")
NETWORK = "sagemaker-local"
LOCK = Path(tempfile.gettempdir()) / f"{NETWORK}.lock"
LABELS = ["body", "brakes", "electrical", "fire", "no_fault_found"]
CLAIMS = ["brake noise from the rear", "paint peeling, roof and bonnet", "battery flat every morning"]
SETTINGS = """\
SchemaVersion: "1.0"
SageMaker: {PythonSDK: {Modules: {TelemetryOptOut: true}}}
"""

pytestmark = [pytest.mark.image, pytest.mark.sdk]


@dataclass(frozen=True)
class Run:
    """What a driver reported, and what the user saw scroll by."""

    steps: dict[str, dict[str, Any]]
    log: str

    def __getitem__(self, step: str) -> dict[str, Any]:
        assert step in self.steps, f"the driver did not come to {step!r}; it said:\n{self.log[-5000:]}"
        return self.steps[step]


def docker(*arguments: str) -> list[str]:
    command = ["docker", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout.splitlines()


def write_channels(work: Path) -> None:
    """Write some training rows of every label, the same with two bad ones after them, and claims to classify."""
    with (ROOT / "local_test/test_dir/input/data/training/data.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    few = [row for label in LABELS for row in [row for row in rows if row[0] == label][:12]]
    bad = [*few[:6], ["brakes", "two", "texts"], ["brakes"]]
    for name, content in (("training", few), ("bad", bad)):
        (work / name).mkdir()
        with (work / name / "data.csv").open("w", newline="") as file:
            csv.writer(file).writerows(content)
    lines = [json.dumps({"text": claim}) for claim in CLAIMS]
    for name, file_name, written in (
        ("transform", "data.csv", [f'"{CLAIMS[0]}"', *CLAIMS[1:]]),  # one quoted, one with a comma that is not
        ("transform-lines", "data.jsonl", [lines[0], '{"txt": "one that is wrong"}', *lines[1:]]),
    ):
        (work / name).mkdir()
        (work / name / file_name).write_text("".join(f"{line}\n" for line in written))


def environment(work: Path) -> dict[str, str]:
    """Make any call to AWS fail at once: the keys are made up and nothing listens at the address."""
    settings = work / "settings.yaml"
    settings.write_text(SETTINGS)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SAGEMAKER_"))}
    return clean | {
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "SAGEMAKER_USER_CONFIG_OVERRIDE": str(settings),
        "SAGEMAKER_ADMIN_CONFIG_OVERRIDE": str(settings),
        "TMPDIR": str(work),
    }


@contextmanager
def cleaned(work: Path) -> Iterator[None]:
    """Remove what the SDKs leave: containers, their network, and folders that belong to the container's root.

    Their network has one name, and each of them removes it: one at a time.
    """
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        networks = docker("network", "ls", "--format", "{{.Name}}")
        try:
            yield
        finally:
            _clean(work, networks)


def _clean(work: Path, networks: list[str]) -> None:
    folder = "com.docker.compose.project.working_dir"
    ours = docker("ps", "--all", "--format", f'{{{{.ID}}}} {{{{.Label "{folder}"}}}}')
    for container, _, place in (line.partition(" ") for line in ours):
        if place.startswith(str(work)):
            docker("rm", "--force", "--volumes", container)
    if NETWORK not in networks and NETWORK in docker("network", "ls", "--format", "{{.Name}}"):
        docker("network", "rm", NETWORK)
    docker("run", "--rm", "--volume", f"{work}:/work", IMAGE, "find", "/work", "-mindepth", "1", "-delete")


def drive(sdk: int, work: Path) -> Run:
    subprocess.run([DRIVERS / "setup.sh", str(sdk)], check=True, timeout=400)
    write_channels(work)
    python = ROOT / f".venv-sdk{sdk}" / "bin" / "python"
    with (work / "log").open("w+") as log, cleaned(work):
        command = [str(python), str(DRIVERS / f"v{sdk}.py"), IMAGE, str(work), str(free_port())]
        done = subprocess.run(
            command, env=environment(work), cwd=work, stdout=subprocess.PIPE, stderr=log, timeout=500, check=False
        )
        log.seek(0)
        seen = log.read()
    # SDK 2 prints a few words of its own on standard output.
    reports = [json.loads(line) for line in done.stdout.decode().splitlines() if line.startswith("{")]
    return Run({report["step"]: report for report in reports}, seen)


def require_docker() -> None:
    if not shutil.which("docker") or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        pytest.skip("needs a Docker engine")
    for program, package in (("docker-compose", "docker-compose"), ("pgrep", "procps")):
        assert shutil.which(program), f"the SDK needs {program}: apt-get install {package}"
    assert docker("images", "--quiet", IMAGE), f"there is no image {IMAGE}: make image-cpu"


@pytest.fixture(scope="module")
def v2(tmp_path_factory: pytest.TempPathFactory) -> Run:
    require_docker()
    return drive(2, tmp_path_factory.mktemp("sdk2"))


@pytest.fixture(scope="module")
def v3(tmp_path_factory: pytest.TempPathFactory) -> Run:
    require_docker()
    return drive(3, tmp_path_factory.mktemp("sdk3"))


def assert_model(files: list[str]) -> None:
    assert {"1/saved_model.pb", "labels_info.json", "manifest.json"} <= set(files)


def assert_bad_rows(run: Run) -> None:
    """Assert that the job failed, and that the user can read why: on the screen, and in the failure file."""
    step = run["bad rows"]
    assert "exited with code: 1" in step["error"]
    assert step["failure"].startswith("training/data.csv:7: ")
    assert "(and 1 more problem; nothing was trained)" in step["failure"]
    for place in ("training/data.csv:7", "training/data.csv:8"):
        assert place in step["failure"]
        assert place in run.log


def assert_verbose(answer: dict[str, Any]) -> None:
    assert answer["labels"] == LABELS
    assert sum(answer["probabilities"]) == pytest.approx(1, abs=1e-3)
    assert answer["predicted_label"] == LABELS[answer["probabilities"].index(max(answer["probabilities"]))]


def labels_in(files: dict[str, str]) -> list[str]:
    (content,) = files.values()
    return [line.partition(",")[0] for line in content.splitlines()]


def assert_the_wrong_line_has_its_place(files: dict[str, str]) -> None:
    answers = [json.loads(line) for line in files["data.jsonl.out"].splitlines()]
    assert [set(answer) for answer in answers] == [
        {"predicted_label", "probabilities"},
        {"error"},
        *[{"predicted_label", "probabilities"}] * (len(CLAIMS) - 1),
    ]


def assert_one_line_out_per_line_in(files: dict[str, str]) -> None:
    rows = list(csv.reader(files["data.csv.out"].splitlines()))
    assert [len(row) for row in rows] == [2] * len(CLAIMS)
    assert {label for label, _ in rows} <= set(LABELS)
    assert all(0 < float(probability) <= 1 for _, probability in rows)


def test_sdk_2_estimator_fits_L01_L02_L06_X21(v2: Run) -> None:
    assert_model(v2["fit"]["files"])


def test_sdk_2_estimator_fits_on_two_hosts_with_one_model_T54_T55(v2: Run) -> None:
    step = v2["fit on two hosts"]
    assert step["archives"] == 1
    assert_model(step["files"])
    assert "replicas=2" in v2.log


def test_sdk_2_shows_why_a_job_failed_L08_T06(v2: Run) -> None:
    assert_bad_rows(v2)


def test_sdk_2_endpoint_answers_a_text_with_its_labels_L09_L10_H20(v2: Run) -> None:
    assert_verbose(v2["predict text"]["answer"])


def test_sdk_2_endpoint_answers_json_with_a_record_each_L10_H19(v2: Run) -> None:
    answer = v2["predict json"]["answer"]
    assert [len(record["probabilities"]) for record in answer] == [len(LABELS), len(LABELS)]


@pytest.mark.parametrize("strategy", ["MultiRecord", "SingleRecord"])
def test_sdk_2_batch_transform_gives_a_line_for_a_line_L11_B02_B03_B06_B07_B08_B12(v2: Run, strategy: str) -> None:
    assert_one_line_out_per_line_in(v2[f"transform text/csv {strategy}"]["files"])


@pytest.mark.parametrize("strategy", ["MultiRecord", "SingleRecord"])
def test_sdk_2_batch_transform_answers_a_wrong_line_in_its_place_L11_B11(v2: Run, strategy: str) -> None:
    assert_the_wrong_line_has_its_place(v2[f"transform application/jsonlines {strategy}"]["files"])


def test_sdk_2_batch_transform_gives_the_same_answers_one_by_one_as_many_at_once_B06_B07(v2: Run) -> None:
    for kind in ("text/csv", "application/jsonlines"):
        many, single = (v2[f"transform {kind} {strategy}"]["files"] for strategy in ("MultiRecord", "SingleRecord"))
        assert labels_in(many) == labels_in(single)


def test_sdk_3_model_trainer_trains_without_a_command_L20_L21_L24(v3: Run) -> None:
    assert_model(v3["train"]["files"])


def test_sdk_3_shows_why_a_job_failed_L20_T06(v3: Run) -> None:
    assert_bad_rows(v3)


def test_sdk_3_endpoint_answers_a_text_with_its_labels_L20_H20_H22(v3: Run) -> None:
    assert v3["predict text"]["type"] == "application/json"
    assert_verbose(json.loads(v3["predict text"]["answer"]))


def test_sdk_3_batch_transform_gives_a_line_for_a_line_L11_B06_B07(v3: Run) -> None:
    assert_one_line_out_per_line_in(v3["transform"]["files"])
