"""``batch`` from S3 and to S3, which is moto's server."""

import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

from batch_helpers import run, start
from classifier.batch import buckets, storage
from classifier.errors import UserError

CLAIMS = "id,text\n1,the film was good\n2,she works\n"
RESULTS = "s3://results/results/team a/"
REJECTS = ("--rejects", "s3://results/rejects/team a/")

pytestmark = pytest.mark.usefixtures("own_logging")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line a request otherwise
    server = ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host.replace('0.0.0.0', '127.0.0.1')}:{port}"
    server.stop()


@pytest.fixture
def environ(address: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@pytest.fixture
def s3(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Two empty buckets."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3", region_name="us-east-1")
    for bucket in ("claims", "results"):
        client.create_bucket(Bucket=bucket)
    yield client
    for bucket in ("claims", "results"):
        for key in keys(client, bucket):
            client.delete_object(Bucket=bucket, Key=key)


def keys(client: Any, bucket: str) -> list[str]:
    return [entry["Key"] for entry in client.list_objects_v2(Bucket=bucket).get("Contents", ())]


def put(client: Any, key: str, content: str = CLAIMS, bucket: str = "claims") -> None:
    client.put_object(Bucket=bucket, Key=key, Body=content.encode())


def got(client: Any, key: str) -> list[str]:
    content: bytes = client.get_object(Bucket="results", Key=key)["Body"].read()
    return content.decode().splitlines()


def test_an_object_with_an_odd_key_becomes_one_of_predictions(s3: Any, tiny_model: Path) -> None:
    put(s3, "team a/été 1+1.csv")
    assert run(tiny_model, "s3://claims/team a/été 1+1.csv", RESULTS, *REJECTS) == 0
    assert keys(s3, "results") == ["results/team a/été 1+1_output.csv"]
    header, first, second = got(s3, "results/team a/été 1+1_output.csv")
    assert header == "id,text,predicted_label,probability"
    assert first.startswith("1,the film was good,")
    assert second.startswith("2,she works,")


def test_all_objects_of_a_folder_are_predicted_and_what_is_finished_is_skipped(
    s3: Any, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for key in ("in/a.csv", "in/sub/b.csv", "in/sub/", "in/_SUCCESS", "inn/c.csv"):
        put(s3, key)
    put(s3, "in/bad.csv", CLAIMS + "3\n")
    for _ in range(2):
        assert run(tiny_model, "s3://claims/in", "s3://results", "--rejects", "s3://results/rejects") == 3
    assert keys(s3, "results") == ["a_output.csv", "bad_output.csv", "rejects/bad_rejects.csv", "sub/b_output.csv"]
    log = capsys.readouterr().out
    assert log.count("event=predicted") == 3
    assert "event=skipped file='bad.csv' rows=2 rejected=1" in log
    put(s3, "in/bad.csv")
    assert run(tiny_model, "s3://claims/in/", "s3://results", "--rejects", "s3://results/rejects") == 0
    assert keys(s3, "results") == ["a_output.csv", "bad_output.csv", "sub/b_output.csv"]
    assert "event=predicted file='bad.csv' rows=2 rejected=0" in capsys.readouterr().out


@pytest.mark.parametrize("key", ["in/a//b.csv", "in//b.csv", "in/../b.csv"])
def test_keys_that_are_no_paths_are_refused(
    s3: Any, tiny_model: Path, capsys: pytest.CaptureFixture[str], key: str
) -> None:
    for each in ("in/a/b.csv", key):
        put(s3, each)
    assert run(tiny_model, "s3://claims/in/", RESULTS, *REJECTS) == 1
    assert f"s3://claims/{key}: a key with //, /./ or /../ is no path of a file" in capsys.readouterr().out
    assert keys(s3, "results") == []


def test_a_broken_object_is_a_reject_and_no_result(s3: Any, tiny_model: Path) -> None:
    put(s3, "x.csv", "PK\x03\x04")
    assert run(tiny_model, "s3://claims/x.csv", RESULTS, *REJECTS) == 1
    assert keys(s3, "results") == ["rejects/team a/x_rejects.csv"]
    assert "an Excel workbook or a ZIP archive" in got(s3, "rejects/team a/x_rejects.csv")[1]


def test_the_model_may_be_an_object_or_a_folder_of_objects(
    s3: Any, tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(s3, "x.csv")
    archive = shutil.make_archive(str(tmp_path / "model"), "gztar", tiny_model)
    s3.upload_file(archive, "claims", "jobs/1/model.tar.gz")
    for path in tiny_model.rglob("*"):
        if path.is_file():
            s3.upload_file(str(path), "claims", f"loose/{path.relative_to(tiny_model)}")
    for model in ("s3://claims/jobs/1/model.tar.gz", "s3://claims/jobs/1", "s3://claims/loose/"):
        assert run(model, "s3://claims/x.csv", RESULTS) == 0
    assert capsys.readouterr().out.count("event=skipped") == 2


def test_the_program_itself_goes_from_bucket_to_bucket(s3: Any, environ: dict[str, str], tiny_model: Path) -> None:
    put(s3, "x.csv")
    places_told = {"BATCH_INPUT": "s3://claims/x.csv", "BATCH_OUTPUT": RESULTS, "BATCH_MODEL": str(tiny_model)}
    process = start(environ=environ | places_told)
    log, _ = process.communicate(timeout=60)
    assert process.returncode == 0, log
    assert keys(s3, "results") == ["results/team a/x_output.csv"]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("s3://claims/nothing.csv", "no such object"),
        ("s3://claims/nothing/", "no such object"),
        ("s3://no-such-bucket/x.csv", "NoSuchBucket"),
        ("s3:///x.csv", "not an S3 address"),
    ],
)
@pytest.mark.usefixtures("s3")
def test_what_is_not_there_is_said_by_its_address(
    tiny_model: Path, source: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tiny_model, source, RESULTS) == 1
    log = capsys.readouterr().out
    assert words in log
    assert source in log
    assert "Traceback" not in log


def test_results_may_not_lie_below_what_is_read(s3: Any, tiny_model: Path) -> None:
    put(s3, "in/x.csv")
    assert run(tiny_model, "s3://claims/in", "s3://claims/in/results/") == 1
    assert run(tiny_model, "s3://claims/in", "s3://claims/in-results/") == 0


def test_a_result_that_may_not_be_written_is_an_error_that_names_it(
    s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: object, **__: object) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "PutObject")

    (tmp_path / "x").write_text("x")
    place = buckets.Bucket(s3, "results", "r/")
    monkeypatch.setattr(s3, "upload_file", refuses)
    with pytest.raises(UserError, match=r"s3://results/r/x: .*AccessDenied.* PutObject"):
        place.publish(tmp_path / "x", "x", {})


def test_a_disk_without_room_is_said_before_anything_is_fetched(
    s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(s3, "x.csv")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10))
    with pytest.raises(UserError, match="TMPDIR selects another folder"):
        storage.to_read("s3://claims/x.csv").fetch("x.csv", tmp_path)
