import os
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from classifier import resources
from classifier.errors import UserError
from classifier.serving import settings
from classifier.serving.settings import SETTINGS, ServingSettings
from classifier.serving.transform import execution_parameters

PAGE = Path(__file__).resolve().parents[1] / "docs" / "http.md"


def test_everything_has_a_default_and_foreign_variables_are_ignored_H29() -> None:
    plain = ServingSettings.from_environ({})
    foreign = {"SAGEMAKER_REGION": "us-east-1", "SAGEMAKER_PROGRAM": "inference.py", "ENDPOINT": "x", "PORT": "80"}
    assert ServingSettings.from_environ(foreign) == plain
    assert (plain.port, plain.workers, plain.timeout_seconds, plain.proxy_timeout_seconds) == (8080, 1, 3600, 3605)
    assert (plain.max_payload_megabytes, plain.batch, plain.default_accept) == (1024, False, "")
    assert plain.model_folder == Path("/opt/ml/model")


@pytest.mark.parametrize(
    ("environ", "field", "value"),
    [
        ({"SAGEMAKER_BIND_TO_PORT": "8123"}, "port", 8123),
        ({"SAGEMAKER_MODEL_SERVER_WORKERS": "2"}, "workers", 2),
        ({"MODEL_SERVER_WORKERS": "2"}, "workers", 2),
        ({"SAGEMAKER_GUNICORN_WORKERS": "2"}, "workers", 2),
        ({"SAGEMAKER_MODEL_SERVER_WORKERS": "3", "MODEL_SERVER_WORKERS": "2"}, "workers", 3),
        ({"SAGEMAKER_MODEL_SERVER_WORKERS": " ", "MODEL_SERVER_WORKERS": "2"}, "workers", 2),
        ({"SAGEMAKER_GUNICORN_THREADS": "5"}, "predictions_at_once", 5),
        ({"SERVING_QUEUE_LENGTH": "0"}, "queue_length", 0),
        ({"OMP_NUM_THREADS": "3"}, "engine_threads", 3),
        ({"OMP_NUM_THREADS": "3,2"}, "engine_threads", 3),
        ({"SAGEMAKER_MODEL_SERVER_TIMEOUT": "70"}, "timeout_seconds", 70),
        ({"SAGEMAKER_MODEL_SERVER_TIMEOUT": "70"}, "proxy_timeout_seconds", 75),
        ({"MODEL_SERVER_TIMEOUT": "70"}, "timeout_seconds", 70),
        ({"SAGEMAKER_GUNICORN_TIMEOUT_SECONDS": "70"}, "timeout_seconds", 70),
        ({"SAGEMAKER_NGINX_PROXY_READ_TIMEOUT_SECONDS": "80"}, "proxy_timeout_seconds", 80),
        ({"SAGEMAKER_MAX_PAYLOAD_IN_MB": "0"}, "max_payload_megabytes", 0),
        ({"SAGEMAKER_MAX_PAYLOAD_IN_MB": ""}, "max_payload_megabytes", 1024),
        ({"SERVING_MAX_WHOLE_MB": "7"}, "max_whole_megabytes", 7),
        ({"SERVING_MAX_RECORDS": "7"}, "max_records", 7),
        ({"SERVING_MAX_LINES": "7"}, "max_lines", 7),
        ({"SERVING_MAX_TOKENS": "7"}, "max_tokens", 7),
        ({"SERVING_MAX_EXPLAINED_TOKENS": "7"}, "max_explained_tokens", 7),
        ({"SERVING_PAGE": "on"}, "has_page", True),
        ({"SERVING_PAGE": "On", "SAGEMAKER_BASE_DIR": "/opt/ml"}, "has_page", True),
        ({"SERVING_PAGE": "off", "SAGEMAKER_BASE_DIR": "/home/me/job"}, "has_page", False),
        ({"SERVING_BATCH_TOKENS": "7"}, "batch_tokens", 7),
        ({"SERVING_BAD_RECORDS": "Refuse"}, "bad_records", "refuse"),
        ({"SERVING_CSV_LINE_BREAKS": "false"}, "csv_line_breaks", False),
        ({"SERVING_CSV_LINE_BREAKS": ""}, "csv_line_breaks", True),
        ({"SERVING_MODELS_MEMORY_MB": "7"}, "models_memory_megabytes", 7),
        ({"SAGEMAKER_INFERENCE_OUTPUT": "labels, probability"}, "inference_output", ("labels", "probability")),
        ({"SAGEMAKER_MULTI_MODEL": "true"}, "multi_model", True),
        ({"SAGEMAKER_MULTI_MODEL": "true", "SAGEMAKER_MODEL_SERVER_WORKERS": "4"}, "workers", 1),
        ({"SAGEMAKER_BATCH_STRATEGY": "SINGLE_RECORD"}, "batch_strategy", "SINGLE_RECORD"),
        ({"SAGEMAKER_BATCH_STRATEGY": "SingleRecord"}, "batch_strategy", "SINGLE_RECORD"),
        ({"SAGEMAKER_BATCH_STRATEGY": ""}, "batch_strategy", "MULTI_RECORD"),
        ({"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "application/json;verbose"}, "default_accept", None),
        ({"SAGEMAKER_BATCH": "true"}, "batch", True),
        ({"SAGEMAKER_BATCH": "True"}, "batch", True),
        ({"SAGEMAKER_CONTAINER_LOG_LEVEL": "10"}, "log_level", 10),
    ],
)
def test_the_variables_users_know_are_read_H30_B03(environ: Mapping[str, str], field: str, value: object) -> None:
    read = getattr(ServingSettings.from_environ(environ), field)
    assert read == (next(iter(environ.values())) if value is None else value)


@pytest.mark.parametrize(
    ("environ", "there"),
    [
        ({}, False),
        ({"SAGEMAKER_BASE_DIR": "/opt/ml"}, False),
        ({"CLASSIFIER_BASE_DIR": "/opt/ml/processing"}, False),
        ({"SAGEMAKER_BASE_DIR": "/home/me/job"}, True),
        ({"SAGEMAKER_BASE_DIR": "/home/me/job", "SERVING_PAGE": "auto"}, True),
        ({"SAGEMAKER_BASE_DIR": "/home/me/job", "SAGEMAKER_MULTI_MODEL": "true"}, False),
    ],
)
def test_there_is_a_page_where_the_model_is_not_where_sagemaker_mounts_it(
    environ: Mapping[str, str], there: bool
) -> None:
    assert ServingSettings.from_environ(environ).has_page is there


def test_a_page_for_several_models_is_refused() -> None:
    with pytest.raises(UserError, match="SERVING_PAGE: a multi-model endpoint has no page; leave it out"):
        ServingSettings.from_environ({"SERVING_PAGE": "on", "SAGEMAKER_MULTI_MODEL": "true"})


def test_every_wrong_variable_is_named_in_one_message_H30() -> None:
    wrong = {
        "SAGEMAKER_BIND_TO_PORT": "70000",
        "MODEL_SERVER_WORKERS": "many",
        "SAGEMAKER_BATCH": "perhaps",
        "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "text/html",
    }
    with pytest.raises(UserError) as caught:
        ServingSettings.from_environ(wrong)
    assert len(caught.value.problems) == len(wrong)
    for name, problem in zip(wrong, caught.value.problems, strict=False):
        assert any(name in line for line in caught.value.problems)
        assert "must be" in problem
        assert "many" not in problem


def write(folder: Path, files: Mapping[str, str]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)


@pytest.mark.parametrize(
    ("files", "count"),
    [
        ({}, 8),
        ({"cpu.max": "max 100000\n"}, 8),
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "9900000 100000\n"}, 8),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ({"cpu.max": "nonsense"}, 8),
    ],
)
def test_processors_are_those_of_the_container_not_of_the_machine_H31(
    files: Mapping[str, str], count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    write(tmp_path, files)
    assert resources.processors(tmp_path) == count


@pytest.mark.parametrize(
    ("files", "megabytes"),
    [
        ({}, 16384),
        ({"memory.max": "max\n"}, 16384),
        ({"memory.max": "2147483648\n"}, 2048),
        ({"memory/memory.limit_in_bytes": "1073741824\n"}, 1024),
        ({"memory/memory.limit_in_bytes": "9223372036854771712\n"}, 16384),
        ({"memory.max": "nonsense"}, 16384),
    ],
)
def test_memory_is_the_containers_not_the_machines_H31(
    files: Mapping[str, str], megabytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = SimpleNamespace(total=16384 << 20)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: machine)
    write(tmp_path, files)
    assert resources.memory(tmp_path) == megabytes << 20


@pytest.mark.parametrize(
    ("environ", "at_once", "payload"),
    [
        ({}, 4, 6),
        ({"SAGEMAKER_MAX_PAYLOAD_IN_MB": "50"}, 2, 50),
        ({"SAGEMAKER_MAX_PAYLOAD_IN_MB": "100"}, 1, 100),
        ({"SAGEMAKER_MAX_PAYLOAD_IN_MB": "0"}, 4, 0),
        ({"SAGEMAKER_GUNICORN_THREADS": "64"}, 16, 6),
        ({"SAGEMAKER_GUNICORN_THREADS": "2", "SERVING_QUEUE_LENGTH": "1"}, 3, 6),
        ({"SAGEMAKER_MODEL_SERVER_WORKERS": "2"}, 4, 6),
    ],
)
def test_batch_transform_is_told_what_the_container_can_hold_B02_B04(
    environ: Mapping[str, str], at_once: int, payload: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "processors", lambda: 2)
    monkeypatch.setattr(resources, "memory", lambda: 8 << 30)
    parameters = execution_parameters(ServingSettings.from_environ(environ))
    assert parameters == {
        "MaxConcurrentTransforms": at_once,
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": payload,
    }
    assert at_once * payload <= 100


def test_a_multi_model_endpoint_is_one_process_with_all_threads_M08(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "processors", lambda: 8)
    environ = {"SAGEMAKER_MULTI_MODEL": "true", "SAGEMAKER_MODEL_SERVER_WORKERS": "4"}
    read = ServingSettings.from_environ(environ)
    assert (read.workers, read.engine_threads) == (1, 8)
    assert "workers" not in read.set_by


def test_little_memory_means_few_requests_at_once_B02_H31(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "processors", lambda: 16)
    monkeypatch.setattr(resources, "memory", lambda: 1 << 30)
    settings = ServingSettings.from_environ({"SAGEMAKER_BATCH_STRATEGY": "SINGLE_RECORD"})
    parameters = execution_parameters(settings)
    assert (parameters["MaxConcurrentTransforms"], parameters["BatchStrategy"]) == (10, "SINGLE_RECORD")
    assert settings.body_bytes == 128 << 20


def test_the_page_shows_exactly_the_settings_there_are() -> None:
    _, _, rest = PAGE.read_text(encoding="utf-8").partition("<!-- settings -->\n")
    shown, _, _ = rest.partition("<!-- /settings -->")
    assert shown.strip() == settings.table()
    assert all(name in shown for setting in SETTINGS.values() for name in setting.names)
