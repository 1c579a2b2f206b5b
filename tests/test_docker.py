"""The image in Docker, as SageMaker and a user on a machine of their own run it: both programs, whole and undisturbed.

What the programs do with their files and requests is tested without Docker; here is what only a container can show.
"""

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from classifier import __version__, predictor
from image_helpers import IMAGE, Container, Ended, docker, inspect, require_image, run, started, wait_until
from jobs import ROWS, Job, rows
from serving_helpers import model_folder

GIGABYTE = 10**9
PUBLISHED = ("--publish", "127.0.0.1::8080")
ISOLATED = ("--network", "none", "--read-only", "--tmpfs", "/tmp")
SERVERLESS = (
    *ISOLATED, "--tmpfs", "/dev/shm:ro", "--user", "993:990", "--cap-drop", "ALL", "--memory", "2g", "--cpus", "1"
)  # fmt: skip
CAPABILITIES = "com.amazonaws.sagemaker.capabilities"
SHORT = {"epochs": "1", "batch_size": "4", "validation_split_ratio": "0.34"}
LONG = {**SHORT, "epochs": "1000"}

pytestmark = pytest.mark.image


def mounted(job: Job) -> tuple[str, ...]:
    return ("--volume", f"{job.base}:/opt/ml")


def served(model: Path) -> tuple[str, ...]:
    """Mount a model as hosting does."""
    return ("--volume", f"{model}:/opt/ml/model:ro")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for jobs; what the container's root writes there is removed by a container's root."""
    require_image()
    folder = tmp_path_factory.mktemp("image")
    yield folder
    run("--volume", f"{folder}:/work", "IMAGE", "find", "/work", "-mindepth", "1", "-delete")


# --- what the image is


@pytest.fixture(scope="module")
def image() -> dict[str, Any]:
    require_image()
    return inspect(IMAGE)


@pytest.fixture(scope="module")
def config(image: dict[str, Any]) -> dict[str, Any]:
    content = image["Config"]
    assert isinstance(content, dict)
    return content


@pytest.fixture(scope="module")
def shell() -> Iterator[Container]:
    """A container that does nothing, to look around in."""
    require_image()
    with started("--entrypoint", "sleep", "IMAGE", "infinity") as container:
        yield container


def test_it_is_for_the_platforms_machines_and_small_enough_for_serverless_S02_T14_X03(image: dict[str, Any]) -> None:
    assert (image["Os"], image["Architecture"]) == ("linux", "amd64")
    assert image["Size"] < 10 * GIGABYTE


def test_it_trains_by_default_and_no_shell_stands_before_the_program_T03_T15_X04(config: dict[str, Any]) -> None:
    assert config["Cmd"] == ["train"]
    assert not config.get("Entrypoint")


def test_it_runs_as_root_T12(config: dict[str, Any]) -> None:
    assert config.get("User", "") in ("", "root", "0")


def test_its_labels_promise_what_it_does_and_no_more_H04_M01(config: dict[str, Any]) -> None:
    labels = config["Labels"]
    assert labels["org.opencontainers.image.version"] == __version__
    promised = {name: value for name, value in labels.items() if name.startswith(CAPABILITIES)}
    assert promised == {f"{CAPABILITIES}.accept-bind-to-port": "true", f"{CAPABILITIES}.multi-models": "true"}


def test_it_sets_none_of_the_platforms_variables_T50_T51(config: dict[str, Any]) -> None:
    variables = dict(variable.split("=", 1) for variable in config["Env"])
    assert not [name for name in variables if name.startswith(("AWS_", "SAGEMAKER_", "SM_", "TRAINING_JOB_"))]
    assert variables["PYTHONUNBUFFERED"] == "1"


@pytest.mark.parametrize("program", ["train", "serve", "batch"])
def test_the_programs_are_executables_on_the_path_with_a_first_line_that_can_be_run_T02_H01_X01(
    shell: Container, program: str
) -> None:
    assert shell.run("sh", "-c", f"command -v {program}").strip() == f"/opt/program/{program}"
    assert shell.run("head", "-n1", f"/opt/program/{program}") == "#!/usr/bin/env python3\n"


@pytest.mark.parametrize("program", ["bash", "python3", "pip", "pip3"])
def test_what_the_sdks_start_the_image_with_is_on_the_path_T15_L22(shell: Container, program: str) -> None:
    assert shell.run(program, "--version")


def test_no_program_has_carriage_returns_T02_X02(shell: Container) -> None:
    find = "grep -rlI \"$(printf '\\r')\" /opt/program --exclude-dir=pretrained || true"
    assert shell.run("sh", "-c", find) == ""


def test_every_user_can_read_it_S05(shell: Container) -> None:
    assert shell.run("find", "/opt", "!", "-type", "l", "!", "-perm", "-o=r") == ""


def test_nothing_is_in_the_folder_that_the_platform_covers_T13(shell: Container) -> None:
    assert shell.run("sh", "-c", "ls -A /opt/ml 2>/dev/null || true") == ""


def test_it_holds_no_driver_of_a_graphics_card_T59_T60(shell: Container) -> None:
    assert shell.run("sh", "-c", "find / -xdev -name 'libcuda.so*' | grep -v -e /compat/ -e /stubs/ || true") == ""


@pytest.mark.parametrize("command", [("chmod", "--version"), ("ls", "/")], ids=" ".join)
def test_other_commands_are_run_as_they_are_T15_L23(command: tuple[str, ...]) -> None:
    require_image()
    assert run("IMAGE", *command).code == 0


# --- training


@pytest.fixture(scope="module")
def isolated(work: Path) -> tuple[Job, Ended, Mapping[str, Any]]:
    """Twenty-four rows and the image's own encoder, where nothing can be reached, and only the outcome written."""
    job = Job(work / "isolated")
    job.channel("training", rows(ROWS * 2))
    job.configure(hyperparameters={"epochs": "1", "train_only_top_layer": "True"})
    input_only_read = ("--volume", f"{job.base / 'input'}:/opt/ml/input:ro")
    with started(*ISOLATED, *mounted(job), *input_only_read, "IMAGE", "train") as container:
        return job, container.wait(), inspect(container.name)


def test_train_trains_without_network_variables_gpu_or_a_place_to_write_T01_T05_T07_T28_T51_T53_T58_T60_X16(
    isolated: tuple[Job, Ended, Mapping[str, Any]],
) -> None:
    job, ended, container = isolated
    assert ended.code == 0, ended.log[-3000:]
    assert job.failure == ""
    assert "event=encoder name='all-minilm-l6-v2'" in ended.log
    assert container["HostConfig"]["ShmSize"] == 64 * 2**20
    assert predictor.load(job.model).labels == (0, 1)


def test_the_model_is_files_that_every_user_can_read_without_links_T37_X17(
    isolated: tuple[Job, Ended, Mapping[str, Any]],
) -> None:
    job, _, _ = isolated
    entries = list(job.model.rglob("*"))
    assert {"1", "labels_info.json", "manifest.json"} <= {entry.name for entry in entries}
    assert not [entry for entry in entries if entry.is_symlink()]
    assert not [entry for entry in entries if not entry.stat().st_mode & 0o004]


def test_the_report_and_the_files_for_other_programs_need_no_network(
    isolated: tuple[Job, Ended, Mapping[str, Any]],
) -> None:
    job, ended, _ = isolated
    output = job.base / "output"
    wanted = {"report.html", "evaluation.json", "statistics.json", "model_card.json", "misclassified.csv"}
    assert wanted <= {path.name for path in (output / "data").iterdir()}
    assert list((output / "tensorboard").glob("events.*"))
    assert (job.model / "README.md").exists()
    assert "event=suspect_labels" in ended.log


@dataclass(frozen=True)
class Lives:
    """A job's folder that went through three containers.

    Attributes:
        job: The folder.
        first: The end of the first container, killed while it exported.
        after_first: What it left in the model folder.
        program: The command line of the second's first process.
        stopped: The end of the second, which was told to stop while it trained.
        stop_seconds: How long it took to stop.
        after_stopped: What it left in the model folder, and when that was written.
    """

    job: Job
    first: Ended
    after_first: list[str]
    program: str
    stopped: Ended
    stop_seconds: float
    after_stopped: dict[str, int]


def kill_mid_export(container: Container, job: Job) -> Ended:
    exporting = ".unfinished-*/new/1"
    before = set(job.model.glob(exporting))
    wait_until(lambda: bool(set(job.model.glob(exporting)) - before) or not container.running, "the export")
    assert container.running, container.log[-3000:]
    docker("kill", "--signal", "KILL", container.name)
    return container.wait()


def written(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


@pytest.fixture(scope="module")
def lives(work: Path, tiny_encoder: Path) -> Lives:
    """Train in one folder twice: killed while exporting, then told to stop."""
    job = Job.create(work / "lives", encoder=tiny_encoder)
    job.configure(hyperparameters=SHORT)
    with started(*mounted(job), "--entrypoint", "/opt/program/train", "IMAGE") as container:
        first = kill_mid_export(container, job)
    after_first = sorted(path.name for path in job.model.iterdir())
    job.configure(hyperparameters=LONG)
    with started(*mounted(job), "IMAGE") as container:
        container.wait_for("event=epoch epoch=2/1000")
        program = container.run("cat", "/proc/1/cmdline").replace("\0", " ")
        seconds = container.stop(120)
        stopped = container.wait()
    return Lives(job, first, after_first, program, stopped, seconds, written(job.model))


def test_a_kill_while_exporting_leaves_nothing_that_looks_like_a_model_T04_T10(lives: Lives) -> None:
    assert lives.first.code == 137
    (unfinished,) = lives.after_first
    assert unfinished.startswith(".unfinished-")


def test_docker_stop_ends_training_with_code_0_and_the_model_so_far_T08_T09_X13(lives: Lives) -> None:
    assert lives.stopped.code == 0, lives.stopped.log[-3000:]
    assert lives.stop_seconds < 120
    assert "event=stop" in lives.stopped.log
    assert lives.program.split()[1:] == ["/opt/program/train"]
    assert predictor.load(lives.job.model).labels == (0, 1)
    assert lives.job.failure == ""


def test_a_job_starts_from_what_a_killed_one_left_and_clears_it_away_T15_T16(lives: Lives) -> None:
    assert lives.stopped.code == 0
    assert "1" in lives.after_stopped
    assert not [name for name in lives.after_stopped if name.startswith(".")]


def test_a_kill_while_exporting_leaves_the_model_of_the_earlier_run_T10_T16(lives: Lives, model: Path) -> None:
    lives.job.configure(hyperparameters=SHORT)
    with started(*mounted(lives.job), "IMAGE", "train") as container:
        assert kill_mid_export(container, lives.job).code == 137
    left = written(model)
    assert lives.after_stopped.items() <= left.items()
    assert len(left) == len(lives.after_stopped) + 1
    assert predictor.load(model).labels == (0, 1)


def test_bad_rows_are_code_1_and_a_failure_file_that_names_them_T04_T05_T06(work: Path) -> None:
    job = Job(work / "bad-rows")
    job.channel("training", rows(ROWS) + "0,one, two\n")
    ended = run(*mounted(job), "--entrypoint", "sh", "IMAGE", "-c", "train")
    assert ended.code == 1
    assert job.failure.startswith("training/data.csv:13: 3 columns")
    assert "training/data.csv:13" in ended.log
    assert "Traceback" not in ended.log


def test_wrong_hyperparameters_are_code_1_and_a_failure_file_that_names_them_T05_T06(work: Path) -> None:
    job = Job(work / "bad-hyperparameters")
    job.channel("training", rows(ROWS))
    job.configure(hyperparameters={"epochs": "abc"})
    ended = run(*mounted(job), "IMAGE", "train")
    assert ended.code == 1
    assert job.failure == "hyperparameter epochs='abc': must be a whole number from 1 to 1,000"
    assert not job.model.exists()


def test_on_an_empty_folder_train_starts_and_says_what_is_missing_T06_T13(work: Path) -> None:
    job = Job(work / "empty")
    job.base.mkdir()
    ended = run(*mounted(job), "IMAGE", "train")
    assert ended.code == 1
    assert "channel" in job.failure
    assert "training" in job.failure
    assert job.failure.splitlines()[0] in ended.log


# --- serving


@pytest.fixture(scope="module")
def model(lives: Lives) -> Path:
    """A model that a container trained, of an encoder that the job brought."""
    return lives.job.model


@pytest.fixture
def own_encoders_model(isolated: tuple[Job, Ended, Mapping[str, Any]]) -> Path:
    """A model that a container trained, of the image's own encoder."""
    return isolated[0].model


def assert_answers(container: Container, *, port: int = 8080) -> None:
    status, body = container.ask("/invocations", "the film was good", port=port)
    assert status == 200, body
    probabilities = json.loads(body)["probabilities"]
    assert len(probabilities) == 2
    assert sum(probabilities) == pytest.approx(1, abs=1e-5)


def listening_ports(container: Container) -> set[int]:
    lines = container.run("sh", "-c", "cat /proc/net/tcp*").splitlines()
    sockets = [line.split() for line in lines if "local_address" not in line]
    return {int(local.rpartition(":")[2], 16) for _, local, _, state, *_ in sockets if state == "0A"}


def test_it_listens_on_the_port_it_is_given_alone_with_no_network_or_capability_H02_H03_H15_H35_H37_X18(
    model: Path,
) -> None:
    options = ("--network", "none", "--cap-drop", "ALL", "--env", "SAGEMAKER_BIND_TO_PORT=8123")
    with started(*options, *served(model), "IMAGE", "serve") as container:
        container.wait_for_ping(port=8123)
        assert_answers(container, port=8123)
        assert listening_ports(container) == {8123}


def test_it_serves_where_serverless_inference_would_run_it_S01_S03_S04_S05_S06_S09_H15_H35_X19(
    own_encoders_model: Path,
) -> None:
    with started(*SERVERLESS, *served(own_encoders_model), "IMAGE", "serve") as container:
        container.wait_for_ping()
        assert container.run("id", "-u") == "993\n"
        assert container.run("sh", "-c", "touch /dev/shm/x 2>/dev/null || echo refused") == "refused\n"
        assert_answers(container)
        assert not inspect(container.name)["State"]["OOMKilled"]
        assert '"processors": 1, "memory_megabytes": 2048' in container.log


def test_it_is_a_multi_model_endpoint_where_the_platform_says_so_M01_M02_M03_M06_M07(model: Path) -> None:
    mount = ("--volume", f"{model}:/opt/ml/models/abc/model:ro")
    options = ("--env", "SAGEMAKER_MULTI_MODEL=true", "--memory", "2g", "--cap-drop", "ALL")
    with started(*ISOLATED, *options, *mount, "IMAGE", "serve") as container:
        container.wait_for_ping()
        assert json.loads(container.ask("/models")[1]) == {"models": []}
        request = json.dumps({"model_name": "abc", "url": "/opt/ml/models/abc/model"})
        assert container.ask("/models", request)[0] == 200
        assert container.ask("/models", request)[0] == 409
        assert container.ask("/models/abc/invoke", "the film was good")[0] == 200
        assert container.ask("/models/abc", method="DELETE")[0] == 200
        assert container.ask("/models/abc/invoke", "the film was good")[0] == 404
        assert not inspect(container.name)["State"]["OOMKilled"]


@pytest.mark.parametrize("command", [(), ("--volume", "{empty}:/opt/ml")], ids=["nothing mounted", "an empty folder"])
def test_without_a_model_serve_ends_with_one_line_that_says_so_H08_H15_T13(
    work: Path, command: tuple[str, ...]
) -> None:
    (work / "no-model").mkdir(exist_ok=True)
    ended = run(*(word.format(empty=work / "no-model") for word in command), "IMAGE", "serve")
    assert ended.code == 1
    (line,) = ended.log.splitlines()
    assert '"event": "serve_refused", "reason": "/opt/ml/model: no model' in line


# --- files of rows


def test_batch_writes_predictions_where_nothing_else_can_be_written_and_nothing_reached(
    work: Path, own_encoders_model: Path
) -> None:
    folder = work / "batch"
    (folder / "in").mkdir(parents=True)
    (folder / "out").mkdir(mode=0o777)
    (folder / "out").chmod(0o777)
    (folder / "in" / "claims.csv").write_text('id,text\n1,the film was good\n2\n3,"two\nlines"\n')
    (folder / "in" / "more.jsonl").write_text('{"text": "the film was good"}\n')
    mounts = ("--volume", f"{folder}/in:/in:ro", "--volume", f"{folder}/out:/out", *served(own_encoders_model))
    command = ("batch", "--input", "/in", "--output", "/out")
    for _ in range(2):
        ended = run(*ISOLATED, "--user", "993:990", "--cap-drop", "ALL", *mounts, "IMAGE", *command)
        assert ended.code == 3, ended.log[-3000:]
    assert ended.log.count("event=skipped") == 2
    header, first, *_ = (folder / "out" / "claims_output.csv").read_text().splitlines()
    assert header == "id,text,predicted_label,probability"
    assert json.loads((folder / "out" / "more_output.jsonl").read_text())["predicted_label"] == int(first.split(",")[2])
    assert (folder / "out" / "claims_rejects.csv").read_text().startswith("line,reason\n3,1 column where")


# --- one server that is stopped, killed and started again; its model sleeps when it is asked to


@pytest.fixture(scope="module")
def slow() -> Iterator[Container]:
    require_image()
    with started(*PUBLISHED, *served(model_folder()), "IMAGE", "serve") as container:
        yield container


def test_serve_answers_on_port_8080_from_outside_whatever_the_host_header_H01_H02_H11(slow: Container) -> None:
    slow.wait_for_ping()
    for host in ("model.aws.local:8080", "169.254.255.131:8080", "x"):
        ping = requests.get(f"{slow.url()}/ping", headers={"Host": host}, timeout=2)
        assert (ping.status_code, ping.content) == (200, b"")
        answer = requests.post(f"{slow.url()}/invocations", data="a", headers={"Host": host}, timeout=60)
        assert answer.status_code == 200


def test_docker_stop_lets_a_request_in_flight_have_its_answer_H27_X13_X14(slow: Container) -> None:
    slow.wait_for_ping()
    url = f"{slow.url()}/invocations"
    answers: list[requests.Response] = []
    client = threading.Thread(target=lambda: answers.append(requests.post(url, data="sleep 5", timeout=60)))
    client.start()
    client.join(1.5)
    assert client.is_alive()
    seconds = slow.stop(30)
    client.join(60)
    assert [answer.status_code for answer in answers] == [200]
    assert slow.wait().code == 0
    assert seconds < 30


def test_it_starts_again_after_a_stop_and_after_a_kill_X07(slow: Container) -> None:
    docker("stop", slow.name)
    docker("start", slow.name)
    slow.wait_for_ping()
    docker("kill", "--signal", "KILL", slow.name)
    assert slow.wait().code == 137
    docker("restart", slow.name)
    slow.wait_for_ping()
    assert requests.post(f"{slow.url()}/invocations", data="a", timeout=60).status_code == 200


@pytest.mark.parametrize("name", ["nginx", "gunicorn"])
def test_a_dead_child_ends_the_container_with_an_error_H28_X14(slow: Container, name: str) -> None:
    docker("restart", slow.name)
    wait_until(lambda: slow.ask("/ping")[0] in (200, 503), "nginx")
    slow.kill_child(name)
    ended = slow.wait()
    assert ended.code == 1
    assert f'"event": "process_ended", "program": "{name}", "status": -9' in ended.log
