"""The image on images: both programs in Docker, and under both generations of the SageMaker Python SDK.

One model serves all tests but that of SDK 2, which trains its own. What images may hold, and how they are refused, is
tested without Docker.
"""

import base64
import json
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

import drawn_images
import test_sagemaker_sdk as sdk
from classifier import predictor
from image_helpers import IMAGE, Container, Ended, require_image, run, started
from jobs import Job
from serving_helpers import free_port

pytestmark = pytest.mark.image

LABELS = list(drawn_images.LABELS)
HYPERPARAMETERS = {"epochs": "2", "batch_size": "8"}
LOCKED = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL")
NEW = 1000  # a number of images that no job has seen
VERBOSE = {"Accept": "application/json;verbose"}
ROUNDING = 1e-3  # of a probability, where the engine computes in bfloat16


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for jobs; what the container's root writes there is removed by a container's root."""
    require_image()
    folder = tmp_path_factory.mktemp("image-images")
    yield folder
    run("--volume", f"{folder}:/work", "IMAGE", "find", "/work", "-mindepth", "1", "-delete")


def job_on_images(base: Path) -> Job:
    """Write a job of eight images a label, in all kinds of files."""
    job = Job(base)
    drawn_images.write(base / "input" / "data" / "training", range(8))
    job.configure(hyperparameters=HYPERPARAMETERS)
    return job


def train(job: Job) -> Ended:
    """Train where nothing can be reached, and only the outcome be written."""
    mounts = ("--volume", f"{job.base}:/opt/ml", "--volume", f"{job.base / 'input'}:/opt/ml/input:ro")
    return run("--network", "none", *LOCKED, *mounts, "IMAGE", "train")


@pytest.fixture(scope="module")
def trained(work: Path) -> tuple[Job, Ended]:
    job = job_on_images(work / "job")
    return job, train(job)


@pytest.fixture(scope="module")
def server(trained: tuple[Job, Ended]) -> Iterator[Container]:
    """A server as batch transform starts it."""
    model = ("--volume", f"{trained[0].model}:/opt/ml/model:ro")
    options = ("--publish", "127.0.0.1::8080", "--env", "SAGEMAKER_BATCH=true", *LOCKED)
    with started(*options, *model, "IMAGE", "serve") as container:
        container.wait_for_ping()
        yield container


def ask(server: Container, body: bytes, content_type: str, **headers: str) -> requests.Response:
    headers = {"Content-Type": content_type, **VERBOSE, **headers}
    return requests.post(f"{server.url()}/invocations", data=body, headers=headers, timeout=60)


def instances(*images: bytes) -> dict[str, list[dict[str, str]]]:
    """Return the JSON that holds these files."""
    return {"instances": [{"b64": base64.b64encode(image).decode()} for image in images]}


def assert_verbose(answer: dict[str, Any]) -> None:
    assert answer["labels"] == LABELS
    assert sum(answer["probabilities"]) == pytest.approx(1, abs=ROUNDING)
    assert answer["predicted_label"] == LABELS[answer["probabilities"].index(max(answer["probabilities"]))]


# --- docker run


def test_train_trains_on_a_folder_a_label_without_network_or_a_place_to_write_T28_T58_T84(
    trained: tuple[Job, Ended],
) -> None:
    job, ended = trained
    assert ended.code == 0, ended.log[-3000:]
    assert job.failure == ""
    assert "event=modality name=image" in ended.log
    assert predictor.load(job.model).labels == drawn_images.LABELS
    wrong = (job.base / "output" / "data" / "misclassified.csv").read_text()
    assert wrong.startswith("place,label,predicted_label,probability\n")


def test_a_broken_image_is_code_1_and_a_failure_file_that_names_it_T04_T05_T06(work: Path) -> None:
    job = job_on_images(work / "broken")
    job.channel("training", drawn_images.encoded("dots", 0, ".jpg")[:600], "dots/broken.jpg")
    job.channel("training", b"<html>404</html>", "dots/page.png")
    ended = train(job)
    assert ended.code == 1
    for place in ("training/dots/broken.jpg", "training/dots/page.png"):
        assert place in job.failure
        assert place in ended.log
    assert "Traceback" not in ended.log


@pytest.mark.parametrize("suffix", drawn_images.KINDS)
def test_serve_answers_an_image_of_every_kind_H19_H20(server: Container, suffix: str) -> None:
    answer = ask(server, drawn_images.encoded("disc", NEW, suffix), "application/x-image")
    assert answer.status_code == 200, answer.text
    assert_verbose(answer.json())


@pytest.mark.parametrize(("suffix", "content_type"), [(".png", "image/png"), (".jpg", "image/jpeg")])
def test_the_name_of_its_kind_makes_no_difference_H19(server: Container, suffix: str, content_type: str) -> None:
    image = drawn_images.encoded("dots", NEW, suffix)
    named, plain = (ask(server, image, name).json() for name in (content_type, "application/x-image"))
    assert named["probabilities"] == pytest.approx(plain["probabilities"], abs=ROUNDING)


def test_images_in_json_are_answered_as_they_are_alone_H18_H19(server: Container) -> None:
    images = [drawn_images.encoded(label, NEW) for label in LABELS]
    alone = [ask(server, image, "application/x-image").json()["probabilities"] for image in images]
    together = ask(server, json.dumps(instances(*images)).encode(), "application/json").json()
    assert [answer["probabilities"] for answer in together] == [pytest.approx(each, abs=ROUNDING) for each in alone]
    assert len({tuple(each) for each in alone}) == len(LABELS)


def test_batch_transform_of_files_gets_a_line_for_each_and_the_same_again_B05_B07_B09(server: Container) -> None:
    images = [drawn_images.encoded(label, NEW + number) for label in LABELS for number in range(4)]
    first, again = (
        [ask(server, image, "application/x-image", Accept="application/jsonlines") for image in images]
        for _ in range(2)
    )
    assert {answer.status_code for answer in [*first, *again]} == {200}
    assert not [answer for answer in first if "\n" in answer.text]
    assert [set(answer.json()) for answer in first] == [{"predicted_label", "probabilities"}] * len(images)
    for answer, other in zip(first, again, strict=True):
        assert answer.json()["probabilities"] == pytest.approx(other.json()["probabilities"], abs=ROUNDING)


def test_a_cut_off_image_is_400_and_the_next_request_is_answered_H26(server: Container) -> None:
    image = drawn_images.encoded("dots", NEW, ".jpg")
    answer = ask(server, image[: len(image) // 2], "application/x-image")
    assert answer.status_code == 400
    assert set(answer.json()["error"]) == {"code", "message"}
    assert ask(server, image, "application/x-image").status_code == 200


def test_an_address_is_not_fetched_and_the_answer_says_what_would_allow_it_H25(server: Container) -> None:
    answer = ask(server, b"http://127.0.0.1:8080/ping", "text/plain")
    assert answer.status_code == 415
    assert "ALLOW_IMAGE_URLS" in answer.json()["error"]["message"]


# --- the SageMaker Python SDKs in local mode


def drive(generation: int, work: Path) -> sdk.Run:
    """Run the driver of an SDK, with images to train on and to classify in its folder."""
    subprocess.run([sdk.DRIVERS / "setup.sh", str(generation)], check=True, timeout=400)
    drawn_images.write(work / "training", range(8))
    (work / "transform").mkdir()
    for label in LABELS:
        (work / "transform" / f"{label}.png").write_bytes(drawn_images.encoded(label, NEW))
    python = sdk.ROOT / f".venv-sdk{generation}" / "bin" / "python"
    with (work / "log").open("w+") as log, sdk.cleaned(work):
        command = [str(python), str(sdk.DRIVERS / f"images_v{generation}.py"), IMAGE, str(work), str(free_port())]
        done = subprocess.run(
            command, env=sdk.environment(work), cwd=work, stdout=subprocess.PIPE, stderr=log, timeout=300, check=False
        )
        log.seek(0)
        seen = log.read()
    # SDK 2 prints a few words of its own on standard output.
    reports = [json.loads(line) for line in done.stdout.decode().splitlines() if line.startswith("{")]
    return sdk.Run({report["step"]: report for report in reports}, seen)


@pytest.fixture(scope="module")
def v2(tmp_path_factory: pytest.TempPathFactory) -> sdk.Run:
    sdk.require_docker()
    return drive(2, tmp_path_factory.mktemp("images-sdk2"))


@pytest.fixture(scope="module")
def v3(tmp_path_factory: pytest.TempPathFactory, trained: tuple[Job, Ended]) -> sdk.Run:
    sdk.require_docker()
    work = tmp_path_factory.mktemp("images-sdk3")
    with tarfile.open(work / "model.tar.gz", "w:gz") as archive:
        archive.add(trained[0].model, arcname=".")
    return drive(3, work)


@pytest.mark.sdk
def test_sdk_2_estimator_fits_on_images_L01_L06_T84(v2: sdk.Run) -> None:
    assert {"1/saved_model.pb", "labels_info.json", "manifest.json"} <= set(v2["fit"]["files"])


@pytest.mark.sdk
def test_sdk_2_endpoint_answers_an_image_with_its_labels_L09_L10_H20(v2: sdk.Run) -> None:
    assert_verbose(v2["predict image"]["answer"])


@pytest.mark.sdk
def test_sdk_2_endpoint_answers_images_in_json_with_a_record_each_L10_H19(v2: sdk.Run) -> None:
    one = v2["predict image"]["answer"]["probabilities"]
    answers = v2["predict json"]["answer"]
    assert [answer["probabilities"] for answer in answers] == [pytest.approx(one, abs=ROUNDING)] * 2


@pytest.mark.sdk
def test_sdk_2_batch_transform_gives_a_line_for_an_image_L11_B07_B09(v2: sdk.Run) -> None:
    lines = {name: json.loads(content) for name, content in v2["transform"]["files"].items()}
    assert set(lines) == {f"{label}.png.out" for label in LABELS}
    one = v2["predict image"]["answer"]["probabilities"]
    assert lines["disc.png.out"]["probabilities"] == pytest.approx(one, abs=ROUNDING)


@pytest.mark.sdk
def test_sdk_3_endpoint_answers_an_image_with_its_labels_L20_H20_H22(v3: sdk.Run) -> None:
    assert v3["predict image"]["type"] == "application/json"
    assert_verbose(json.loads(v3["predict image"]["answer"]))
