import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from classifier.errors import UserError
from classifier.serving import processors, settings
from classifier.serving.settings import SETTINGS, ServingSettings

PAGE = Path(__file__).resolve().parents[1] / "docs" / "http.md"


def test_everything_has_a_default_and_foreign_variables_are_ignored_H29() -> None:
    plain = ServingSettings.from_environ({})
    foreign = {"SAGEMAKER_REGION": "us-east-1", "SAGEMAKER_PROGRAM": "inference.py", "ENDPOINT": "x", "PORT": "80"}
    assert ServingSettings.from_environ(foreign) == plain
    assert (plain.port, plain.workers, plain.timeout_seconds, plain.proxy_timeout_seconds) == (8080, 1, 3600, 3605)
    assert (plain.max_payload_megabytes, plain.batch, plain.default_accept) == (100, False, "")
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
        ({"OMP_NUM_THREADS": "3"}, "tensorflow_threads", 3),
        ({"SAGEMAKER_MODEL_SERVER_TIMEOUT": "70"}, "timeout_seconds", 70),
        ({"SAGEMAKER_MODEL_SERVER_TIMEOUT": "70"}, "proxy_timeout_seconds", 75),
        ({"MODEL_SERVER_TIMEOUT": "70"}, "timeout_seconds", 70),
        ({"SAGEMAKER_GUNICORN_TIMEOUT_SECONDS": "70"}, "timeout_seconds", 70),
        ({"SAGEMAKER_NGINX_PROXY_READ_TIMEOUT_SECONDS": "80"}, "proxy_timeout_seconds", 80),
        ({"SAGEMAKER_MAX_PAYLOAD_IN_MB": "0"}, "max_payload_megabytes", 0),
        ({"SAGEMAKER_MAX_PAYLOAD_IN_MB": ""}, "max_payload_megabytes", 100),
        ({"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "application/json;verbose"}, "default_accept", None),
        ({"SAGEMAKER_BATCH": "true"}, "batch", True),
        ({"SAGEMAKER_BATCH": "True"}, "batch", True),
        ({"SAGEMAKER_CONTAINER_LOG_LEVEL": "10"}, "log_level", 10),
    ],
)
def test_the_variables_users_know_are_read_H30_B03(environ: Mapping[str, str], field: str, value: object) -> None:
    read = getattr(ServingSettings.from_environ(environ), field)
    assert read == (next(iter(environ.values())) if value is None else value)


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
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    assert processors.available(tmp_path) == count


def test_the_page_shows_exactly_the_settings_there_are() -> None:
    _, _, rest = PAGE.read_text(encoding="utf-8").partition("<!-- settings -->\n")
    shown, _, _ = rest.partition("<!-- /settings -->")
    assert shown.strip() == settings.table()
    assert all(name in shown for setting in SETTINGS.values() for name in setting.names)
