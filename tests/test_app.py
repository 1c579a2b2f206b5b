import errno
import io
import json
import logging
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from numpy.typing import NDArray
from werkzeug.test import TestResponse

import serving_helpers
from classifier.backends import Encoded
from classifier.errors import RequestError
from classifier.predictor import Predictor
from classifier.serving.app import create_app
from classifier.serving.invocation import Answer, Invocation, Service, Usage, invoke
from classifier.serving.settings import ServingSettings
from serving_helpers import SERVE, error_of, wait_until

# The application sets up the root logger.
pytestmark = pytest.mark.usefixtures("own_logging")

LABELS = ("no", "yes")
CUSTOM = "X-Amzn-SageMaker-Custom-Attributes"
MANIFEST = {"baseline": {"rows": 4, "labels": {"no": 0.25, "yes": 0.75}, "top_probability": 0.9, "tokens": 7.5}}


@dataclass
class FakeBackend:
    """Says "yes" the surer the longer the text; breaks or waits where a text says so."""

    may_answer: threading.Event = field(default_factory=threading.Event)
    asked: list[str] = field(default_factory=list)

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        return [Encoded(text, len(text) + 2, text.count("?")) for text in texts]

    def run_batch(self, batch: Sequence[Encoded]) -> NDArray[np.float32]:
        texts = [text.content for text in batch]
        self.asked += texts
        if "break" in texts:
            raise ZeroDivisionError(f"could not compute {texts[0]!r}")
        if "wait" in texts:
            assert self.may_answer.wait(20)
        yes = np.array([1 - 1 / (len(text) + 1) for text in texts], np.float32)
        return np.stack([1 - yes, yes], axis=1)


def client_of(backend: FakeBackend, **environ: str) -> FlaskClient:
    return serving_helpers.client_of(backend, LABELS, MANIFEST, environ)


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


@pytest.fixture
def client(backend: FakeBackend) -> FlaskClient:
    return client_of(backend)


def code_of(answer: TestResponse) -> str:
    """The short name of an error, after a look at the answer's form."""
    return error_of(answer)[0]


@contextmanager
def asking(client: FlaskClient, body: str, times: int) -> Iterator[list[TestResponse]]:
    """Post a body from several threads; the answers are there when the block is over."""
    answers: list[TestResponse] = []
    threads = [
        threading.Thread(
            target=lambda: answers.append(client.application.test_client().post("/invocations", data=body))
        )
        for _ in range(times)
    ]
    for thread in threads:
        thread.start()
    yield answers
    for thread in threads:
        thread.join(20)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_ping_is_200_with_an_empty_body_H05(client: FlaskClient, method: str) -> None:
    answer = client.open("/ping", method=method, data=b"not read")
    assert (answer.status_code, answer.data) == (200, b"")


def test_everything_is_503_with_a_time_to_retry_until_the_model_is_there_H06() -> None:
    may_load = threading.Event()

    def load(_: ServingSettings) -> Predictor:
        assert may_load.wait(20)
        return Predictor(FakeBackend(), LABELS, {})

    client = create_app(ServingSettings.from_environ({}), load).test_client()
    for answer in (client.get("/ping"), client.post("/invocations", data="text")):
        assert (answer.status_code, code_of(answer)) == (503, "model_loading")
        assert int(answer.headers["Retry-After"]) > 0
    may_load.set()
    wait_until(lambda: client.get("/ping").status_code == 200)


@pytest.mark.parametrize(
    ("raises", "logged", "traceback"),
    [
        ("UserError('half a model')", '"event": "model_refused", "reason": "half a model"', False),
        ("OSError('x')", "OSError", True),
    ],
)
def test_a_model_that_does_not_load_ends_the_worker_and_tells_gunicorn_so_H08(
    raises: str,
    logged: str,
    traceback: bool,
) -> None:
    program = f"""
import time
from classifier.errors import UserError
from classifier.serving.app import create_app
from classifier.serving.settings import ServingSettings
def load(settings):
    raise {raises}
create_app(ServingSettings.from_environ({{}}), load)
time.sleep(20)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=False,
        env={"PYTHONPATH": str(SERVE.parent)},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 4
    assert logged in done.stdout
    assert ("Traceback" in done.stdout + done.stderr) == traceback


def test_the_application_starts_without_tensorflow_H32() -> None:
    program = "import sys, classifier.serving.app, classifier.serving.program; sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONPATH": str(SERVE.parent)}, timeout=30)


def test_the_process_that_supervises_imports_little() -> None:
    heavy = {"numpy", "flask", "gunicorn", "email", "pandas", "boto3"}
    program = f"import sys, classifier.serving.program; print(sorted({heavy} & sys.modules.keys()))"
    environ = {"PYTHONPATH": str(SERVE.parent)}
    done = subprocess.run([sys.executable, "-c", program], env=environ, check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"


def test_a_worker_sees_its_gpu_alone_and_uses_openvino_without_its_converter() -> None:
    program = (
        "import os, sys, types; from classifier.serving import hooks; "
        "hooks.post_fork(None, types.SimpleNamespace(gpu='1')); import openvino; "
        "print(os.environ['CUDA_VISIBLE_DEVICES'], 'CPU' in openvino.Core().available_devices, 'absl' in sys.modules)"
    )
    environ = {"PYTHONPATH": str(SERVE.parent)}
    done = subprocess.run([sys.executable, "-c", program], env=environ, check=True, capture_output=True, text=True)
    assert done.stdout == "1 True False\n"


def test_a_text_is_answered_as_the_built_in_algorithm_answers_it_H19_H20(client: FlaskClient) -> None:
    headers = {"Content-Type": "application/x-text", "Accept": "application/json;verbose"}
    answer = client.post("/invocations", data="abc", headers=headers)
    assert (answer.status_code, answer.content_type) == (200, "application/json")
    assert json.loads(answer.data) == {"probabilities": [0.25, 0.75], "labels": ["no", "yes"], "predicted_label": "yes"}


@pytest.mark.parametrize(
    ("content_type", "accept", "body", "answered"),
    [
        ("text/csv", "text/csv", "abc\n", "yes,0.75000000"),
        ("text/csv", "", "abc\n", '{"predicted_label": "yes", "probabilities": [0.25, 0.75]}'),
        ("application/json", "", '["abc"]', '[{"probabilities": [0.25, 0.75]}]'),
        ("application/jsonlines", "application/json", '"abc"', '[{"probabilities": [0.25, 0.75]}]'),
        ("", "", "abc", '{"probabilities": [0.25, 0.75]}'),
    ],
)
def test_the_answer_has_the_type_it_says_and_no_parameters_H22_D01(
    client: FlaskClient, content_type: str, accept: str, body: str, answered: str
) -> None:
    headers = {"Content-Type": content_type, "Accept": accept}
    answer = client.post("/invocations", data=body, headers={name: text for name, text in headers.items() if text})
    assert answer.data.decode() == answered
    expected = accept or {"text/csv": "application/jsonlines"}.get(content_type, "application/json")
    assert answer.content_type == expected


def test_the_environment_decides_the_type_where_accept_does_not_H21(backend: FakeBackend) -> None:
    client = client_of(backend, SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT="text/csv")
    for accept in ("*/*", ""):
        answer = client.post("/invocations", data="abc", headers={"Accept": accept})
        assert (answer.content_type, answer.data) == ("text/csv", b"yes,0.75000000")
    assert client.post("/invocations", data="abc", headers={"Accept": "application/json"}).is_json


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        ({"Accept": "image/png", "Content-Type": "image/png"}, b"\xff", 406, "not_acceptable"),
        ({"Content-Type": "image/png"}, b"\xff", 415, "unsupported_media_type"),
        ({"Content-Type": "application/json"}, b"\xff", 400, "invalid_body"),
        ({"Content-Type": "application/json"}, b'["a", 5]', 400, "invalid_record"),
        ({"Content-Type": "application/json"}, b"[" + b'"a",' * 600 + b"5]", 400, "invalid_record"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"a=b", 415, "unsupported_media_type"),
        ({}, b"", 400, "invalid_body"),
    ],
)
def test_a_request_is_refused_before_the_model_is_asked_H25(
    client: FlaskClient, backend: FakeBackend, headers: dict[str, str], body: bytes, status: int, code: str
) -> None:
    answer = client.post("/invocations", data=body, headers=headers)
    assert (answer.status_code, code_of(answer)) == (status, code)
    assert backend.asked == []


def test_batch_transform_without_a_content_type_is_415_B16(backend: FakeBackend) -> None:
    client = client_of(backend, SAGEMAKER_BATCH="True")
    assert client.post("/invocations", data="text").status_code == 415
    assert client.post("/invocations", data="text", headers={"Content-Type": "text/csv"}).status_code == 200


def test_a_failure_of_ours_is_500_without_details_and_its_traceback_is_logged_H25(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger().addHandler(caplog.handler)
    answer = client.post("/invocations", data="break")
    assert (answer.status_code, code_of(answer)) == (500, "internal_error")
    assert "could not compute 'break'" not in answer.text + caplog.text
    assert "ZeroDivisionError" in caplog.text
    assert client.post("/invocations", data="text").status_code == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_methods_are_405_and_the_right_one_is_named_H39(client: FlaskClient, method: str) -> None:
    answer = client.open("/invocations", method=method)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert method == "HEAD" or code_of(answer) == "method_not_allowed"


@pytest.mark.parametrize(
    "path", ["/", "/invocations/", "/ping/x", "/models", "/models/a", "/static/x", "/%00", "/execution-parameters/"]
)
def test_other_paths_are_404_H39(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, code_of(answer)) == (404, "not_found")


@pytest.mark.parametrize("body", [b"text", b"\xff"])
def test_custom_attributes_come_back_and_other_headers_do_not_matter_H23_H24(client: FlaskClient, body: bytes) -> None:
    headers = {
        CUSTOM: "trace=1; of=2",
        "X-Amzn-SageMaker-Inference-Id": "abc",
        "X-Amzn-SageMaker-Target-Model": "a/b.tar.gz",
        "X-Amzn-SageMaker-Session-Id": "NEW_SESSION",
        "X-Unknown": "x",
    }
    answer = client.post("/invocations", data=body, headers=headers)
    assert answer.headers[CUSTOM] == "trace=1; of=2"
    assert not {name for name in headers if name in answer.headers} - {CUSTOM}


@pytest.mark.parametrize("attributes", ["x" * 1025, "caf\xe9", ""])
def test_custom_attributes_outside_the_contract_are_dropped_H24(client: FlaskClient, attributes: str) -> None:
    answer = client.post("/invocations", data="text", headers={CUSTOM: attributes})
    assert answer.status_code == 200
    assert CUSTOM not in answer.headers


def test_one_more_than_compute_and_wait_is_503_and_ping_still_answers_H07_A04(backend: FakeBackend) -> None:
    client = client_of(backend, SAGEMAKER_GUNICORN_THREADS="2", SERVING_QUEUE_LENGTH="1")
    with asking(client, "wait", times=4) as answers:
        wait_until(lambda: len(answers) == 1 and len(backend.asked) >= 1)
        refused = client.post("/invocations", data="text")
        assert (refused.status_code, code_of(refused)) == (503, "server_busy")
        assert refused.headers["Retry-After"] == "1"
        assert client.get("/ping").status_code == 200
        assert set(backend.asked) == {"wait"}
        backend.may_answer.set()
    assert [answer.status_code for answer in answers] == [503, 200, 200, 200]
    assert client.post("/invocations", data="text").status_code == 200


def test_a_refused_request_gives_its_place_back(backend: FakeBackend) -> None:
    client = client_of(backend, SAGEMAKER_GUNICORN_THREADS="1", SERVING_QUEUE_LENGTH="0")
    for body in ("break", b"\xff", "text", "break"):
        client.post("/invocations", data=body)
    assert client.post("/invocations", data="text").status_code == 200


def test_the_log_has_a_line_an_invocation_and_never_a_text_or_a_ping_H34(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger().addHandler(caplog.handler)
    client.get("/ping")
    client.post("/invocations", data="secret\nsecret\n", headers={"Content-Type": "text/csv"})
    client.post("/invocations", data="secret", headers={"Content-Type": "secret/type", CUSTOM: "secret"})
    assert len(caplog.messages) == 2
    assert caplog.messages == ["invocation", "invocation"]
    first, second = (vars(record) for record in caplog.records)
    assert (first["status"], first["records"], first["tokens"], first["bytes_in"]) == (200, 2, 16, 14)
    assert (second["status"], second["records"]) == (415, 0)
    assert first["milliseconds"] >= first["milliseconds_queued"] + first["milliseconds_computed"] - 0.2
    assert "secret" not in str(first) + str(second)


@pytest.mark.parametrize(("given", "kept"), [("an id of 1-64", True), ("", False), ("caf\xe9", False)])
def test_a_log_line_has_the_callers_inference_id_or_one_of_its_own_H24_D07(
    client: FlaskClient, caplog: pytest.LogCaptureFixture, given: str, kept: bool
) -> None:
    logging.getLogger().addHandler(caplog.handler)
    for _ in range(2):
        client.post("/invocations", data="x", headers={"X-Amzn-SageMaker-Inference-Id": given})
    lines = [vars(record) for record in caplog.records if record.getMessage() == "invocation"]
    first, second = (line["request_id"] for line in lines)
    assert (first == given) == kept
    assert kept or (len(first) == 32 and first != second)


def asked(backend: FakeBackend, invocation: tuple[bytes, str, str], **environ: str) -> tuple[Answer, Usage]:
    """Invoke without HTTP."""
    body, content_type, accept = invocation
    usage = Usage()
    service = Service.of(ServingSettings.from_environ(environ))
    parts = Invocation(io.BytesIO(body), len(body), content_type, accept)
    return invoke(parts, Predictor(backend, LABELS, {}), service, usage), usage


def test_an_invocation_is_a_function_of_its_parts(backend: FakeBackend) -> None:
    answer, usage = asked(backend, (b"abc\nb", "text/csv", "text/csv"))
    with answer.body as body:
        assert (body.read(), answer.size) == (b"yes,0.75000000\nno,0.50000000", 28)
    assert (answer.content_type, usage.records, usage.tokens) == ("text/csv", 2, 8)


def test_a_large_answer_waits_in_a_file_and_not_in_memory_A05() -> None:
    class Forgetful(FakeBackend):
        def run_batch(self, batch: Sequence[Encoded]) -> NDArray[np.float32]:
            return np.tile(np.array([0.25, 0.75], np.float32), (len(batch), 1))

    tracemalloc.start()
    answer, usage = asked(Forgetful(), (b'"abc"\n' * 100_000, "application/jsonlines", "application/jsonlines"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert answer.size == 100_000 * len('{"predicted_label": "yes", "probabilities": [0.25, 0.75]}\n') - 1
    assert usage.records == 100_000
    assert peak < answer.size * 0.8
    answer.body.close()


def test_a_body_that_breaks_off_is_no_request_for_its_first_part_A05_H26(backend: FakeBackend) -> None:
    service = Service.of(ServingSettings.from_environ({}))
    for content_type, body in (("text/csv", b"a\nb\nc"), ("application/json", b'["a"]'), ("", b"abc")):
        invocation = Invocation(io.BytesIO(body), len(body) + 1, content_type)
        with pytest.raises(RequestError) as caught:
            invoke(invocation, Predictor(backend, LABELS, {}), service, Usage())
        assert (caught.value.status, caught.value.code) == (400, "incomplete_body")


def test_nothing_is_computed_for_a_client_that_has_gone(backend: FakeBackend) -> None:
    service = Service.of(ServingSettings.from_environ({}))
    body = b"a\n" * 5000
    invocation = Invocation(io.BytesIO(body), len(body), "text/csv", "", lambda: len(backend.asked) > 1000)
    with pytest.raises(RequestError) as caught:
        invoke(invocation, Predictor(backend, LABELS, {}), service, Usage())
    assert caught.value.code == "client_gone"
    assert 1000 < len(backend.asked) < 2000


def test_a_body_too_large_to_be_read_whole_is_refused_before_it_is_read_H13(backend: FakeBackend) -> None:
    class Unread(io.BytesIO):
        def read(self, *_: Any) -> bytes:
            raise AssertionError("read")

    service = Service.of(ServingSettings.from_environ({}))
    invocation = Invocation(Unread(), 101 << 20, "application/json")
    with pytest.raises(RequestError) as caught:
        invoke(invocation, Predictor(backend, LABELS, {}), service, Usage())
    assert (caught.value.status, caught.value.code) == (413, "payload_too_large")


LINES = b'"abc"\n{"txt": "x"}\n"abc"\n'


@pytest.mark.parametrize(
    ("content_type", "body", "environ", "answered"),
    [
        ("application/jsonlines", LINES, {}, ["yes", None, "yes"]),
        ("application/jsonlines", LINES, {"SERVING_BAD_RECORDS": "answer"}, ["yes", None, "yes"]),
        ("application/jsonlines", LINES, {"SERVING_BAD_RECORDS": "refuse"}, 400),
        ("application/json", b'["abc", 5, "abc"]', {}, 400),
        ("application/json", b'["abc", 5, "abc"]', {"SERVING_BAD_RECORDS": "answer"}, ["yes", None, "yes"]),
        ("text/csv", b'abc\n"abc",5\nabc\n', {}, ["yes", None, "yes"]),
        ("text/csv", b'abc\n"abc",5\nabc\n', {"SERVING_BAD_RECORDS": "refuse"}, 400),
        ("text/csv", b"abc\n\xff\nabc\n", {"SAGEMAKER_BATCH": "true"}, ["yes", None, "yes"]),
    ],
)
def test_a_bad_record_has_an_error_in_its_place_or_fails_the_request_B11(
    backend: FakeBackend, content_type: str, body: bytes, environ: dict[str, str], answered: list[str | None] | int
) -> None:
    client = client_of(backend, **environ)
    headers = {"Content-Type": content_type, "Accept": "application/jsonlines"}
    answer = client.post("/invocations", data=body, headers=headers)
    if answer.status_code == 400:
        assert (answer.status_code, code_of(answer)) == (answered, "invalid_record")
        return
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line.get("predicted_label") for line in lines] == answered
    assert lines[1]["error"]["code"] == "invalid_record"


ONE_TO_MANY = b'fine text\n"Unclosed start of a quotation\nanother text\nTV of 55"\nlast\n"a,\nb"\n"one"'
BATCH = {"SAGEMAKER_BATCH": "true"}


@pytest.mark.parametrize(
    ("environ", "answers", "warned_of"),
    [
        (BATCH, 5, [2]),
        ({**BATCH, "SAGEMAKER_BATCH_STRATEGY": "MULTI_RECORD"}, 5, [2]),
        ({**BATCH, "SAGEMAKER_BATCH_STRATEGY": "SINGLE_RECORD"}, 5, []),
        ({**BATCH, "SERVING_CSV_LINE_BREAKS": "True"}, 5, []),
        ({**BATCH, "SERVING_CSV_LINE_BREAKS": "False"}, 8, []),
        ({}, 5, []),
        ({"SERVING_CSV_LINE_BREAKS": "False"}, 8, []),
    ],
)
def test_lines_that_a_quote_joins_are_a_warning_in_a_transform_job_unless_a_setting_says_what_they_are_B06_B10_B12(
    backend: FakeBackend,
    caplog: pytest.LogCaptureFixture,
    environ: dict[str, str],
    answers: int,
    warned_of: list[int],
) -> None:
    client = client_of(backend, **environ)
    logging.getLogger().addHandler(caplog.handler)
    answer = client.post("/invocations", data=ONE_TO_MANY, headers={"Content-Type": "text/csv"})
    assert len(answer.text.split("\n")) == answers
    client.post("/invocations", data=b'"a\n\nb\n"one line"', headers={"Content-Type": "text/csv"})
    events = [vars(record) for record in caplog.records if record.levelno >= logging.WARNING]
    assert [(event["msg"], event["levelname"], event["records"]) for event in events] == [
        ("lines_joined", "WARNING", count) for count in warned_of
    ]
    for event in events:
        assert "SERVING_CSV_LINE_BREAKS=False" in event["note"]
        assert not any(word in str(event) for word in ("Unclosed", "another", "TV of"))


def test_columns_are_chosen_by_the_environment_and_best_labels_by_accept_D02_D04(backend: FakeBackend) -> None:
    client = client_of(backend, SAGEMAKER_INFERENCE_OUTPUT="predicted_label,probabilities")
    answer = client.post("/invocations", data="abc", headers={"Accept": "text/csv"})
    assert answer.text == 'yes,"[0.25, 0.75]"'
    headers = {"Accept": "application/json;verbose;n_predictions=1"}
    answer = client.post("/invocations", data="abc", headers=headers)
    assert answer.content_type == "application/json"
    assert json.loads(answer.data) == {"probabilities": [0.75], "labels": ["yes"], "predicted_label": "yes"}


def test_batch_transform_is_told_how_to_ask_B02(backend: FakeBackend) -> None:
    answer = client_of(backend, SAGEMAKER_MAX_PAYLOAD_IN_MB="20").get("/execution-parameters")
    assert answer.content_type == "application/json"
    parameters = json.loads(answer.data)
    assert set(parameters) == {"MaxConcurrentTransforms", "BatchStrategy", "MaxPayloadInMB"}
    assert parameters["MaxPayloadInMB"] == 20
    assert 1 <= parameters["MaxConcurrentTransforms"] <= 5


def test_metrics_tell_of_requests_and_of_drift_beside_what_training_saw_H41(client: FlaskClient) -> None:
    client.post("/invocations", data='"abc"\n"why?"\n5', headers={"Content-Type": "application/jsonlines"})
    client.post("/invocations", data="x", headers={"Content-Type": "image/png"})
    answer = client.get("/metrics")
    assert answer.content_type.startswith("text/plain")
    lines = answer.text.splitlines()
    assert 'classifier_requests_total{status="200"} 1.0' in lines
    assert 'classifier_requests_total{status="415"} 1.0' in lines
    assert 'classifier_predicted_labels_total{label="yes"} 2.0' in lines
    assert 'classifier_baseline_label_share{label="yes"} 0.75' in lines
    assert "classifier_bad_records_total 1.0" in lines
    assert "classifier_unknown_tokens_total 1.0" in lines
    assert "classifier_tokens_total 11.0" in lines


def test_a_full_disk_is_507_and_says_where_A05(
    client: FlaskClient, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("classifier.serving.invocation._written", full)
    answer = client.post("/invocations", data="abc")
    assert (answer.status_code, code_of(answer)) == (507, "no_disk_space")
    assert "TMPDIR" in json.loads(answer.data)["error"]["message"]
    assert backend.asked == []


def test_too_many_tokens_are_413_H13(backend: FakeBackend) -> None:
    client = client_of(backend, SERVING_MAX_TOKENS="9")
    assert client.post("/invocations", data="1234567").status_code == 200
    answer = client.post("/invocations", data="12345678")
    assert (answer.status_code, code_of(answer)) == (413, "too_many_tokens")
    assert backend.asked == ["1234567"]


def test_a_body_that_is_read_whole_has_a_limit_of_its_own_H13_A05(backend: FakeBackend) -> None:
    client = client_of(backend, SERVING_MAX_WHOLE_MB="1")
    large = b"x" * (2**20 + 1)
    for content_type in ("application/x-text", "application/json"):
        answer = client.post("/invocations", data=large, headers={"Content-Type": content_type})
        assert (answer.status_code, code_of(answer)) == (413, "payload_too_large")
        assert "application/jsonlines" in json.loads(answer.data)["error"]["message"]
    streamed = client.post("/invocations", data=(b"x" * 1000 + b"\n") * 1100, headers={"Content-Type": "text/csv"})
    assert (streamed.status_code, len(streamed.text.split("\n"))) == (200, 1100)


def test_the_settings_come_from_the_environment_where_gunicorn_gives_none(
    backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "text/csv")
    monkeypatch.setenv("CLASSIFIER_BASE_DIR", "/nowhere")
    folders: list[Path] = []

    def load(settings: ServingSettings) -> Predictor:
        folders.append(settings.model_folder)
        return Predictor(backend, LABELS, {})

    client = create_app(load=load).test_client()
    wait_until(lambda: client.get("/ping").status_code == 200)
    assert client.post("/invocations", data="abc").data == b"yes,0.75000000"
    assert folders == [Path("/nowhere/model")]


def test_memory_is_returned_after_large_requests_whatever_their_answer(
    backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    monkeypatch.setattr("classifier.serving.app.Trimmer", lambda: SimpleNamespace(after=sizes.append))
    client = client_of(backend)
    sizes.clear()
    assert client.post("/invocations", data="abc").status_code == 200
    assert client.post("/invocations", data="break").status_code == 500
    assert client.post("/invocations", data="[", content_type="application/json").status_code == 400
    assert sizes == [3, 5, 1]


@pytest.mark.parametrize(
    ("variable", "content_type", "body"),
    [
        ("SERVING_MAX_RECORDS", "application/json", '["a", "b", "c"{}]'),
        ("SERVING_MAX_LINES", "application/jsonlines", '"a"\n"b"\n"c"\n{}'),
        ("SERVING_MAX_LINES", "text/csv", "a\nb\nc\n{}"),
    ],
)
def test_more_records_than_are_allowed_are_413(
    backend: FakeBackend, variable: str, content_type: str, body: str
) -> None:
    client = client_of(backend, **{variable: "3"})
    headers = {"Content-Type": content_type}
    assert client.post("/invocations", data=body.format(""), headers=headers).status_code == 200
    more = ', "d"' if content_type == "application/json" else '"d"'
    answer = client.post("/invocations", data=body.format(more), headers=headers)
    assert (answer.status_code, code_of(answer)) == (413, "too_many_records")


def test_a_large_answer_does_not_keep_other_threads_from_running_H07() -> None:
    class ManyLabels(FakeBackend):
        def run_batch(self, batch: Sequence[Encoded]) -> NDArray[np.float32]:
            return np.full((len(batch), 1000), 0.001, np.float32)

    predictor = Predictor(ManyLabels(), tuple(range(1000)), {})
    body = b"\n".join([b"x"] * 3000)
    service = Service.of(ServingSettings.from_environ({}))
    invocation = Invocation(io.BytesIO(body), len(body), "text/csv", "application/json;verbose")
    longest, last = 0.0, time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(invoke, invocation, predictor, service, Usage())
        while not future.done():
            time.sleep(0.01)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
    with future.result().body as answer:
        assert len(json.load(answer)) == 3000
    assert longest < 2.0  # the contract's own limit for a ping
