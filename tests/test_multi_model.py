"""A multi-model endpoint as the platform drives it: nginx, gunicorn and models that come and go."""

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import pytest
import requests

from serving_helpers import PATIENCE_SECONDS, Server, code_of, model_folder, probabilities, serving

pytestmark = pytest.mark.skipif(shutil.which("nginx") is None, reason="needs nginx")

CUSTOM = "X-Amzn-SageMaker-Custom-Attributes"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A miniature /opt/ml whose models folder the platform has not made yet."""
    return tmp_path_factory.mktemp("multi-model")


@pytest.fixture(scope="module")
def server(base: Path) -> Iterator[Server]:
    environ = {"SAGEMAKER_MULTI_MODEL": "true", "SAGEMAKER_MODEL_SERVER_WORKERS": "4"}
    with serving(base / "model", environ) as running:
        yield running


def place(base: Path, name: str) -> str:
    """Put a model where the platform would, and return its address there."""
    folder = base / "models" / name / "model"
    shutil.copytree(model_folder(), folder)
    return str(folder)


def load(server: Server, name: str, url: str) -> requests.Response:
    return requests.post(f"{server.url}/models", json={"model_name": name, "url": url}, timeout=60)


def invoke(server: Server, name: str, text: str) -> requests.Response:
    return requests.post(f"{server.url}/models/{quote(name, safe='')}/invoke", data=text, timeout=60)


def delete(server: Server, name: str) -> requests.Response:
    return requests.delete(f"{server.url}/models/{quote(name, safe='')}", timeout=60)


def listed(server: Server) -> list[str]:
    return [model["modelName"] for model in requests.get(f"{server.url}/models", timeout=10).json()["models"]]


def test_with_nothing_loaded_and_no_folder_it_is_ready_and_lists_nothing_M02_M04_X28(server: Server) -> None:
    assert server.ping() == 200
    answer = requests.get(f"{server.url}/models", timeout=10)
    assert (answer.status_code, answer.json()) == (200, {"models": []})
    assert (server.ask("x").status_code, code_of(server.ask("x"))) == (404, "not_found")


def test_one_process_knows_all_models_whatever_workers_are_asked_for_M08(server: Server, base: Path) -> None:
    assert len(server.workers()) == 1
    assert load(server, "shared", place(base, "shared")).status_code == 200
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: invoke(server, "shared", "x" * number), range(1, 51)))
    assert [answer.status_code for answer in answers] == [200] * 50
    assert answers[9].json()["probabilities"] == pytest.approx(probabilities("x" * 10))


def test_a_model_is_loaded_asked_shown_and_unloaded_once_M03_M05_M06_M07(server: Server, base: Path) -> None:
    url = place(base, "one")
    assert (invoke(server, "one", "abc").status_code, load(server, "one", url).status_code) == (404, 200)
    again = load(server, "one", url)
    assert (again.status_code, code_of(again)) == (409, "model_already_loaded")
    shown = requests.get(f"{server.url}/models/one", timeout=10)
    assert shown.json() == {"modelName": "one", "modelUrl": url}
    headers = {"X-Amzn-SageMaker-Target-Model": "other.tar.gz", CUSTOM: "trace=1", "Accept": "text/csv"}
    answer = requests.post(f"{server.url}/models/one/invoke", data="abc", headers=headers, timeout=10)
    assert (answer.status_code, answer.headers["Content-Type"], answer.headers[CUSTOM]) == (200, "text/csv", "trace=1")
    assert "one" in listed(server)
    assert delete(server, "one").status_code == 200
    assert "one" not in listed(server)
    for gone in (delete(server, "one"), invoke(server, "one", "abc")):
        assert (gone.status_code, code_of(gone)) == (404, "model_not_found")


@pytest.mark.parametrize("name", ["a/b.tar.gz", "a//b", "größe 価格", "a%2Fb", "a?b#c", "..."])
def test_names_are_taken_as_they_are_through_every_layer_M09(server: Server, base: Path, name: str) -> None:
    url = place(base, f"name-{abs(hash(name))}")
    assert load(server, name, url).status_code == 200
    assert listed(server)[-1] == name
    assert invoke(server, name, "abc").json()["probabilities"] == pytest.approx(probabilities("abc"))
    assert delete(server, name).status_code == 200


@pytest.mark.parametrize("path", ["/models/..%2f..", "/models/%2e%2e/%2e%2e/invoke", "/models/../ping", "/modelsx"])
def test_addresses_that_lead_elsewhere_find_nothing_M09(server: Server, path: str) -> None:
    session = requests.Session()
    request = session.prepare_request(requests.Request("POST", server.url))
    request.url = f"{server.url}{path}"
    answer = session.send(request, timeout=10)
    assert 400 <= answer.status_code < 500
    code_of(answer)


@pytest.mark.parametrize("url", ["/etc", "{base}/models/../model", "{base}/models-of-others/x", "models/x", ""])
def test_folders_outside_are_refused_M09(server: Server, base: Path, url: str) -> None:
    answer = load(server, "outside", url.format(base=base))
    assert (answer.status_code, code_of(answer)) == (400, "invalid_request")
    assert "outside" not in listed(server)


def test_a_broken_model_is_refused_in_words_and_leaves_nothing_M03(server: Server, base: Path) -> None:
    url = place(base, "broken")
    broken = Path(url) / "1" / "saved_model.pb"
    broken.chmod(0o644)
    broken.write_bytes(b"not a model")
    answer = load(server, "broken", url)
    assert (answer.status_code, code_of(answer)) == (400, "invalid_model")
    assert "does not load" in answer.json()["error"]["message"]
    assert "broken" not in listed(server)
    assert server.ping() == 200


def test_others_answer_while_one_is_loaded_and_unloaded_M10_M06(server: Server, base: Path) -> None:
    assert load(server, "steady", place(base, "steady")).status_code == 200
    url = place(base, "busy")
    over = threading.Event()
    statuses: set[int] = set()

    def ask_on() -> None:
        while not over.is_set():
            statuses.update({invoke(server, "steady", "abc").status_code, server.ping()})

    with ThreadPoolExecutor(3) as pool:
        asking = [pool.submit(ask_on) for _ in range(2)]
        for _ in range(3):
            assert load(server, "busy", url).status_code == 200
            slow = pool.submit(invoke, server, "busy", "sleep 1")
            time.sleep(0.3)
            assert delete(server, "busy").status_code == 200, "after the request that runs"
            assert slow.result().status_code == 200
        over.set()
        for future in asking:
            future.result()
    assert statuses == {200}
    assert not [event for event in server.events() if event["event"] == "model_kept"]


def test_the_log_and_the_metrics_tell_of_models_H34_H41(server: Server) -> None:
    events = server.events()
    loaded = [event for event in events if event["event"] == "model_loaded"]
    assert {"model", "seconds", "megabytes"} <= set(loaded[0])
    count = len(listed(server))
    metrics = requests.get(f"{server.url}/metrics", timeout=10).text
    assert f"classifier_models_loaded {count}.0" in metrics
    assert "classifier_predicted_labels_total{" not in metrics


def test_without_the_worker_that_held_the_models_it_ends_with_an_error_H28(base: Path) -> None:
    url = place(base, "lost")
    with serving(base / "model", {"SAGEMAKER_MULTI_MODEL": "true"}) as server:
        assert load(server, "lost", url).status_code == 200
        (worker,) = server.workers()
        os.kill(worker, signal.SIGKILL)
        assert server.process.wait(PATIENCE_SECONDS) == 1
        (event,) = (event for event in server.events() if event["event"] == "workers_ended")
        assert "held the models" in event["reason"]


def test_a_model_that_does_not_fit_is_507_until_there_is_room_M03_M06(base: Path) -> None:
    url = place(base, "too-large")
    with serving(base / "model", {"SAGEMAKER_MULTI_MODEL": "true", "SERVING_MODELS_MEMORY_MB": "50"}) as server:
        answer = load(server, "too-large", url)
        assert (answer.status_code, code_of(answer)) == (507, "not_enough_memory")
        assert "MB" in json.loads(answer.text)["error"]["message"]
        assert server.ping() == 200
        assert listed(server) == []
