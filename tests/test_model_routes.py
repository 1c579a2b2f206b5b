"""SageMaker loads, lists, asks and unloads models over HTTP."""

import io
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from flask import Flask, Response, jsonify, request
from flask.testing import FlaskClient
from numpy.typing import NDArray

from classifier import predictor
from classifier.backends import Encoded
from classifier.errors import RequestError
from classifier.predictor import Predictor
from classifier.serving import model_routes
from classifier.serving.memory import ModelMemory
from classifier.serving.models import Models
from serving_helpers import LABELS, model_folder, probabilities, wait_until

CUSTOM = "X-Amzn-SageMaker-Custom-Attributes"


@dataclass
class Backend:
    """Answers how long a text is; waits at the text "wait"."""

    may_answer: threading.Event = field(default_factory=threading.Event)
    asked: list[str] = field(default_factory=list)

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        return [Encoded(text, len(text)) for text in texts]

    def run_batch(self, batch: Sequence[Encoded]) -> NDArray[np.float32]:
        self.asked += [text.content for text in batch]
        if any(text.content == "wait" for text in batch):
            assert self.may_answer.wait(20)
        return np.array([[text.tokens, 0] for text in batch], np.float32)


@dataclass
class Endpoint:
    """The routes in an application of their own."""

    folder: Path
    load: Callable[[Path], Predictor]
    memory: ModelMemory = field(default_factory=lambda: ModelMemory(1 << 50, estimate=lambda _: 0))

    def __post_init__(self) -> None:
        self.app = Flask(__name__, static_folder=None)
        self.app.register_error_handler(RequestError, _refuse)
        model_routes.register(self.app, Models(self.folder, self.load, self.memory), _invoke)

    @property
    def client(self) -> FlaskClient:
        return self.app.test_client()

    def url(self, name: str = "one") -> str:
        folder = self.folder / name / "model"
        folder.mkdir(parents=True, exist_ok=True)
        return str(folder)

    def add(self, name: str, url: str | None = None) -> tuple[int, object]:
        body = json.dumps({"model_name": name, "url": url or self.url()})
        answer = self.client.post("/models", data=body)
        return answer.status_code, answer.json

    def ask(self, name: str, text: str) -> tuple[int, object]:
        answer = self.client.post(f"/models/{quote(name, safe='')}/invoke", data=text)
        return answer.status_code, answer.json

    def get(self, path: str) -> tuple[int, object]:
        answer = self.client.get(path)
        return answer.status_code, answer.json

    def delete(self, name: str) -> tuple[int, object]:
        answer = self.client.delete(f"/models/{quote(name, safe='')}")
        return answer.status_code, answer.json


def _refuse(error: RequestError) -> tuple[Response, int]:
    return jsonify(error.code), error.status


def _invoke(model: Predictor) -> Response:
    response = jsonify(model.predict([request.get_data(as_text=True)])[0].tolist())
    response.headers[CUSTOM] = request.headers.get(CUSTOM, "")
    return response


@pytest.fixture
def backend() -> Iterator[Backend]:
    backend = Backend()
    yield backend
    backend.may_answer.set()


@pytest.fixture
def endpoint(tmp_path: Path, backend: Backend) -> Endpoint:
    return Endpoint(tmp_path / "models", lambda _: Predictor(backend, ("a", "b")))


def test_an_endpoint_begins_with_an_empty_list_M02_M04(endpoint: Endpoint) -> None:
    assert endpoint.get("/models") == (200, {"models": []})


def test_a_model_is_loaded_shown_asked_and_unloaded_M03_M04_M05_M06_M07(endpoint: Endpoint) -> None:
    shown = {"modelName": "one", "modelUrl": endpoint.url()}
    assert endpoint.add("one") == (200, shown)
    assert endpoint.get("/models") == (200, {"models": [shown]})
    assert endpoint.get("/models/one") == (200, shown)
    assert endpoint.ask("one", "abc") == (200, [3, 0])
    assert endpoint.delete("one") == (200, {})
    assert endpoint.get("/models") == (200, {"models": []})


def test_a_model_that_is_not_loaded_is_404_M05_M06_M07(endpoint: Endpoint) -> None:
    endpoint.add("two")
    for answer in (endpoint.get("/models/one"), endpoint.delete("one"), endpoint.ask("one", "abc")):
        assert answer == (404, "model_not_found")
    endpoint.delete("two")
    assert endpoint.delete("two") == (404, "model_not_found")


def test_a_model_that_is_there_is_409_M03(endpoint: Endpoint) -> None:
    endpoint.add("one")
    assert endpoint.add("one", endpoint.url("other")) == (409, "model_already_loaded")


def test_a_model_that_does_not_fit_is_507_and_may_come_when_another_is_gone_M03(
    backend: Backend, tmp_path: Path
) -> None:
    held = 0
    memory = ModelMemory(100, lambda: 60 * held, lambda _: 60)
    endpoint = Endpoint(tmp_path, lambda _: Predictor(backend, ("a", "b")), memory)
    assert endpoint.add("one")[0] == 200
    held = 1
    assert endpoint.add("two") == (507, "not_enough_memory")
    assert endpoint.delete("one")[0] == 200
    held = 0
    assert endpoint.add("two")[0] == 200


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"\xff", b"null", b"[]", b'"one"', b"[" * 60000, b"1" * 9000, b"{}", b'{"model_name": "one"}',
        b'{"url": "URL"}', b'{"model_name": 1, "url": "URL"}', b'{"model_name": "one", "url": null}',
        b'{"model_name": ["one"], "url": "URL"}', b'{"model_name": "", "url": "URL"}',
        b'{"modelName": "one", "url": "URL"}',
        b'{"model_name": "\\ud800", "url": "URL"}', b'{"model_name": "one", "url": "/etc"}',
        b'{"model_name": "one", "url": "URL/../../.."}', b'{"model_name": "../one", "url": "URL"}',
    ],
)  # fmt: skip
def test_a_load_that_does_not_say_what_and_where_is_400_M03_M09(endpoint: Endpoint, body: bytes) -> None:
    answer = endpoint.client.post("/models", data=body.replace(b"URL", endpoint.url().encode()))
    assert (answer.status_code, answer.json) == (400, "invalid_request")
    assert endpoint.get("/models") == (200, {"models": []})


@pytest.mark.parametrize("content_type", [None, "application/json", "text/plain", "multipart/form-data; boundary=x"])
def test_a_load_may_say_more_than_is_asked_in_any_content_type_M03(
    endpoint: Endpoint, content_type: str | None
) -> None:
    body = json.dumps({"model_name": "one", "url": endpoint.url(), "more": [1]})
    assert endpoint.client.post("/models", data=body, content_type=content_type).status_code == 200


@pytest.mark.parametrize("chunked", [False, True])
def test_a_load_of_more_than_64_kilobytes_is_413_M03(endpoint: Endpoint, chunked: bool) -> None:
    def post(size: int) -> tuple[int, object]:
        body = json.dumps({"model_name": "one", "url": endpoint.url()}).encode().ljust(size)
        stream = {"input_stream": io.BytesIO(body), "environ_overrides": {"wsgi.input_terminated": True}}
        answer = endpoint.client.post("/models", **(stream if chunked else {"data": body}))
        return answer.status_code, answer.json

    assert post((64 << 10) + 1) == (413, "payload_too_large")
    assert post(1 << 20) == (413, "payload_too_large")
    assert post(64 << 10)[0] == 200


@pytest.mark.parametrize(
    "name",
    [
        "a/b.tar.gz", "a//b", "a/", "größe 価格", "a b", "a%2Fb", "a?b=c#d", "a;b", "invoke", "a/invoke", "a+b", "~",
        "...", "'\"<>&", "x" * 1024,
    ],
)  # fmt: skip
def test_a_name_in_a_path_may_be_any_text_M09(endpoint: Endpoint, name: str) -> None:
    assert endpoint.add(name)[0] == 200
    shown = {"modelName": name, "modelUrl": endpoint.url()}
    for safe in ("", "/"):
        assert endpoint.get(f"/models/{quote(name, safe=safe)}") == (200, shown)
    assert endpoint.ask(name, "abc") == (200, [3, 0])
    assert endpoint.delete(name) == (200, {})


@pytest.mark.parametrize(
    "path",
    [
        "/models/", "/models/..%2f..", "/models/%2e%2e/%2e%2e/etc/passwd", "/models//one", "/models/%2fone",
        "/models/%00", "/models/%ff", "/models/one/", "/models/one%2f", "/models/one/more",
    ],
)  # fmt: skip
def test_a_path_that_names_no_model_finds_none_M05_M09(endpoint: Endpoint, path: str) -> None:
    endpoint.add("one")
    assert endpoint.client.get(path).status_code == 404
    assert endpoint.client.delete(path).status_code in (404, 405)
    assert endpoint.client.post(f"{path}/invoke", data="abc").status_code in (404, 405)
    assert endpoint.get("/models/one")[0] == 200


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/models", {"GET", "HEAD", "POST"}),
        ("/models/one", {"GET", "HEAD", "DELETE"}),
        ("/models/one/invoke", {"GET", "HEAD", "DELETE", "POST"}),
    ],
)
def test_other_methods_are_405_and_the_right_ones_are_named_M03_M07(
    endpoint: Endpoint, path: str, allowed: set[str]
) -> None:
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} - allowed:
        answer = endpoint.client.open(path, method=method)
        assert answer.status_code == 405
        assert set(answer.headers["Allow"].split(", ")) == allowed


def test_pages_lead_from_one_to_the_next_M04(endpoint: Endpoint) -> None:
    names = [f"model {number}" for number in range(230)]
    for name in names:
        assert endpoint.add(name)[0] == 200
    listed: list[str] = []
    query: dict[str, str] = {}
    for size in (100, 100, 30):
        answer: dict[str, Any] = endpoint.client.get("/models", query_string=query).get_json()
        listed += [model["modelName"] for model in answer["models"]]
        assert len(answer["models"]) == size
        query = {"next_page_token": answer.get("nextPageToken", "")}
    assert listed == names
    assert set(answer) == {"models"}
    assert endpoint.get("/models?next_page_token=x") == (400, "invalid_request")


def test_headers_of_the_platform_come_through_and_change_nothing_M07(endpoint: Endpoint) -> None:
    endpoint.add("one")
    headers = {"X-Amzn-SageMaker-Target-Model": "two.tar.gz", CUSTOM: "trace=1"}
    answer = endpoint.client.post("/models/one/invoke", data="abc", headers=headers)
    assert (answer.status_code, answer.json, answer.headers[CUSTOM]) == (200, [3, 0], "trace=1")


def test_a_request_is_answered_though_its_model_is_being_unloaded_M06(endpoint: Endpoint, backend: Backend) -> None:
    endpoint.add("one")
    with ThreadPoolExecutor(2) as pool:
        asked = pool.submit(endpoint.ask, "one", "wait")
        wait_until(lambda: backend.asked == ["wait"])
        unloaded = pool.submit(endpoint.delete, "one")
        wait_until(lambda: endpoint.get("/models/one")[0] == 404)
        assert endpoint.ask("one", "abc") == (404, "model_not_found")
        assert not unloaded.done()
        backend.may_answer.set()
        assert asked.result(20) == (200, [4, 0])
        assert unloaded.result(20) == (200, {})


def test_models_answer_while_another_is_being_loaded_M10(tmp_path: Path, backend: Backend) -> None:
    loading, may_load = threading.Event(), threading.Event()

    def load(folder: Path) -> Predictor:
        if folder.parent.name == "slow":
            loading.set()
            assert may_load.wait(20)
        return Predictor(backend, ("a", "b"))

    endpoint = Endpoint(tmp_path, load)
    endpoint.add("one")
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(endpoint.add, "slow", endpoint.url("slow"))
        assert loading.wait(20)
        assert endpoint.ask("one", "abc") == (200, [3, 0])
        assert endpoint.ask("slow", "abc") == (404, "model_not_found")
        may_load.set()
        assert slow.result(20)[0] == 200
    assert endpoint.ask("slow", "abc") == (200, [3, 0])


def test_real_models_are_asked_each_by_its_name_M03_M07() -> None:
    endpoint = Endpoint(model_folder().parent, predictor.load, ModelMemory(1 << 50))
    for name in ("one", "two/b.tar.gz"):
        assert endpoint.add(name, str(model_folder()))[0] == 200
        status, answer = endpoint.ask(name, "abc")
        assert status == 200
        np.testing.assert_allclose(np.array(answer), probabilities("abc"), rtol=1e-6)
        assert len(probabilities("abc")) == len(LABELS)
        assert endpoint.delete(name) == (200, {})
