"""deploy/lambda: from an event to a job, against moto's server, and one of ours for refusals that moto never gives."""

import csv
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from aws_helpers import Aws, running_aws
from classifier.tabular import files
from starter import batch_job, handler
from starter.arrival import LONGEST_JOB_NAME, LONGEST_KEY, Arrival

PREFIX = "acme-claims"
INPUT = "acme-claims-predict-bucket"
RESULTS = "acme-claims-batch-results"
VARIABLES = {
    "RUN_ON": "batch",
    "NAME_PREFIX": PREFIX,
    "RESULTS_BUCKET": RESULTS,
    "JOB_QUEUE": "jobs",
    "JOB_DEFINITION": "predict",
    "MODEL_NAME": "claims",
    "INSTANCE_TYPE": "ml.m5.xlarge",
    "MOST_JOBS": "2",
    "AWS_MAX_ATTEMPTS": "1",  # boto3 would try again for some seconds what is answered with "too much"
}
UNKNOWN_JOB = {"error": "ValidationException"}
SUMMARY = {"TransformJobName": "a", "TransformJobArn": "arn", "CreationTime": 0, "TransformJobStatus": "InProgress"}
ODD_KEYS = (
    "2026/Q1 claims (final).csv",
    "a+b/c+d.csv",
    "a%20b/%2B.csv",
    "Ä/日本語/🚗 claims.csv",
    'it\'s "quoted" & $HOME `x`.csv',
    "a//b.csv",
    "-rf.csv",
    "?query#part=1.csv",
    "Ref::name/$(NAME).csv",
    "line\nbreak.csv",
    "UPPER.CSV.GZ",
)


def event_of(key: str, *, size: int = 10, bucket: str = INPUT, **versions: Any) -> dict[str, Any]:
    """Make an event as the S3 user guide shows them, "Amazon S3 event notifications: using EventBridge"."""
    return {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "account": "123456789012",
        "time": "2026-11-12T00:00:00Z",
        "region": "us-east-1",
        "resources": [f"arn:aws:s3:::{bucket}"],
        "detail": {
            "version": "0",
            "bucket": {"name": bucket},
            "object": {
                "key": key,
                "size": size,
                "etag": "b1946ac92492d2347c6235b4d2611184",
                "version-id": "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e",
                "sequencer": "00617F08299329D189",
                **{name.replace("_", "-"): value for name, value in versions.items()},
            },
            "request-id": "N4N7GDK58NMKJ12R",
            "requester": "123456789012",
            "source-ip-address": "1.2.3.4",
            "reason": "PutObject",
        },
    }


def messages(*events: Mapping[str, Any]) -> dict[str, Any]:
    """What Lambda hands over of a queue that such events went into."""
    return {"Records": [{"messageId": f"m{index}", "body": json.dumps(event)} for index, event in enumerate(events)]}


def handle(*events: Mapping[str, Any]) -> list[str]:
    """Handle events as Lambda would, and return those that are to come again."""
    return [failure["itemIdentifier"] for failure in handler.handle(messages(*events), None)["batchItemFailures"]]


@pytest.fixture(scope="module")
def account() -> Iterator[Aws]:
    with running_aws() as aws:
        yield aws


@pytest.fixture
def aws(account: Aws, monkeypatch: pytest.MonkeyPatch) -> Aws:
    """An account with a bucket for results and a queue for jobs, which the function is told of."""
    account.empty()
    account.client("s3").create_bucket(Bucket=RESULTS)
    role = account.client("iam").create_role(RoleName="batch", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    batch = account.client("batch")
    batch.create_compute_environment(computeEnvironmentName="hosts", type="UNMANAGED", serviceRole=role)
    order = [{"order": 1, "computeEnvironment": "hosts"}]
    batch.create_job_queue(jobQueueName="jobs", state="ENABLED", priority=1, computeEnvironmentOrder=order)
    container = {"image": "image", "command": ["batch"], "vcpus": 1, "memory": 1024}
    batch.register_job_definition(jobDefinitionName="predict", type="container", containerProperties=container)
    for name, value in {**account.environment, **VARIABLES}.items():
        monkeypatch.setenv(name, value)
    return account


@pytest.fixture
def transforming(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> Aws:
    """The same, for transform jobs."""
    monkeypatch.setenv("RUN_ON", "transform")
    return aws


@contextmanager
def answering(**answers: Mapping[str, Any]) -> Iterator[str]:
    """Run a server that gives operations these answers, those with an ``error`` as AWS refuses."""

    class Service(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            operation = self.headers.get("X-Amz-Target", self.path).rpartition(".")[2].rpartition("/")[2]
            answer = answers[operation]
            body = json.dumps({**answer, "__type": answer.get("error", "")}).encode()
            self.send_response(400 if "error" in answer else 200)
            self.send_header("x-amzn-ErrorType", answer.get("error", ""))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def submitted(aws: Aws) -> list[dict[str, Any]]:
    """Return every job of AWS Batch, as it describes them."""
    batch = aws.client("batch")
    found = batch.list_jobs(jobQueue="jobs", filters=[{"name": "JOB_NAME", "values": ["*"]}])["jobSummaryList"]
    return [batch.describe_jobs(jobs=[job["jobId"]])["jobs"][0] for job in found]


def transforms(aws: Aws) -> list[dict[str, Any]]:
    """Return every transform job of SageMaker, as it describes them."""
    sagemaker = aws.client("sagemaker")
    names = [job["TransformJobName"] for job in sagemaker.list_transform_jobs()["TransformJobSummaries"]]
    return [sagemaker.describe_transform_job(TransformJobName=name) for name in names]


def named(event: Mapping[str, Any]) -> str:
    return Arrival.of_event(event).job_name(PREFIX)


@pytest.mark.parametrize("key", ODD_KEYS)
def test_a_job_of_aws_batch_gets_the_very_key_that_came(aws: Aws, key: str) -> None:
    assert handle(event_of(key)) == []
    (job,) = submitted(aws)
    folder = key[: key.rfind("/") + 1]
    assert job["container"]["command"] == [
        "batch",
        *("--input", f"s3://{INPUT}/{key}"),
        *("--output", f"s3://{RESULTS}/results/{folder}"),
        *("--rejects", f"s3://{RESULTS}/rejects/{folder}"),
    ]
    assert job["jobQueue"].endswith("/jobs")
    assert "/predict:" in job["jobDefinition"]


@pytest.mark.parametrize("key", ODD_KEYS)
def test_a_transform_job_reads_that_very_object_and_none_whose_name_begins_alike(transforming: Aws, key: str) -> None:
    assert handle(event_of(key)) == []
    (job,) = transforms(transforming)
    manifest = job["TransformInput"]["DataSource"]["S3DataSource"]
    assert manifest["S3DataType"] == "ManifestFile"
    (content,) = transforming.objects(RESULTS).values()
    assert manifest["S3Uri"] == f"s3://{RESULTS}/{next(iter(transforming.objects(RESULTS)))}"
    prefix, name = json.loads(content)
    assert prefix["prefix"] + name == f"s3://{INPUT}/{key}"
    assert prefix["prefix"].endswith("/")
    assert job["TransformOutput"]["S3OutputPath"] + "/" == f"s3://{RESULTS}/results/{key[: len(key) - len(name)]}"


def test_csv_goes_to_a_transform_job_whole_as_a_line_break_in_a_text_would_tear_it_apart(transforming: Aws) -> None:
    handle(event_of("claims.csv.gz"))
    (job,) = transforms(transforming)
    assert job["ModelName"] == "claims"
    assert job["TransformInput"]["ContentType"] == job["TransformOutput"]["Accept"] == "text/csv"
    assert job["TransformInput"]["CompressionType"] == "Gzip"
    assert job["TransformInput"]["SplitType"] == job["TransformOutput"]["AssembleWith"] == "None"
    assert (job["BatchStrategy"], job["MaxPayloadInMB"]) == ("SingleRecord", 0)
    assert job["DataProcessing"] == {"JoinSource": "None"}


def test_json_lines_are_split_and_come_back_beside_their_answers(transforming: Aws) -> None:
    handle(event_of("claims.jsonl"))
    (job,) = transforms(transforming)
    assert job["TransformInput"]["ContentType"] == job["TransformOutput"]["Accept"] == "application/jsonlines"
    assert job["TransformInput"]["CompressionType"] == "None"
    assert job["TransformInput"]["SplitType"] == job["TransformOutput"]["AssembleWith"] == "Line"
    assert (job["BatchStrategy"], job["MaxPayloadInMB"]) == ("MultiRecord", 6)
    assert job["DataProcessing"] == {"JoinSource": "Input"}
    assert job["TransformResources"] == {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1}


def test_a_second_copy_of_an_event_starts_nothing(aws: Aws) -> None:
    assert handle(event_of("a.csv"), event_of("a.csv")) == []
    assert handle(event_of("a.csv")) == []
    assert [job["jobName"] for job in submitted(aws)] == [named(event_of("a.csv"))]


def test_a_second_copy_of_an_event_starts_no_transform_job(transforming: Aws) -> None:
    assert handle(event_of("a.csv"), event_of("a.csv")) == []
    assert [job["TransformJobName"] for job in transforms(transforming)] == [named(event_of("a.csv"))]


@pytest.mark.parametrize("version", [{"version_id": "other"}, {"sequencer": "00617F08299329D18A"}])
def test_a_file_that_was_replaced_is_computed_again(aws: Aws, version: dict[str, Any]) -> None:
    handle(event_of("a.csv"), event_of("a.csv", **version))
    assert len(submitted(aws)) == 2


def test_files_of_like_names_have_jobs_of_their_own() -> None:
    keys = [*ODD_KEYS, "a b.csv", "a+b.csv", "a%20b.csv", "A B.csv", "a/b.csv", "a-b.csv", "a b.jsonl"]
    assert len({named(event_of(key)) for key in keys}) == len(keys)
    assert named(event_of("a.csv")) != named(event_of("a.csv", bucket="other"))


@given(
    st.text(min_size=1), st.from_regex("[a-z](-?[a-z0-9]){2,31}", fullmatch=True).filter(lambda name: len(name) <= 32)
)
def test_job_names_are_such_as_sagemaker_and_aws_batch_take(key: str, prefix: str) -> None:
    name = Arrival("bucket", key, 1, ("1",)).job_name(prefix)
    assert re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", name)
    assert len(name) <= LONGEST_JOB_NAME
    assert name.startswith(f"{prefix}--")


def test_a_job_can_be_told_by_its_files_name() -> None:
    assert re.fullmatch("acme-claims--2026-Q1-claims-[0-9a-f]{16}", named(event_of("in/2026 Q1 claims.csv")))


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (
            "claims.xlsx",
            "by its name no file of rows; save it as one (.csv, .tsv, .jsonl, .ndjson, each also with .gz)",
        ),
        ("Ä b+c/model.tar.gz", "by its name no file of rows"),
        ("claims", "by its name no file of rows"),
        ("csv", "by its name no file of rows"),
        ("claims.csv.zip", "by its name no file of rows"),
    ],
)
def test_what_can_not_be_computed_is_refused_with_a_note_among_the_rejects(
    aws: Aws, caplog: pytest.LogCaptureFixture, key: str, reason: str
) -> None:
    with caplog.at_level("INFO"):
        assert handle(event_of(key)) == []
    ((where, note),) = aws.objects(RESULTS).items()
    assert where == f"rejects/{key}_rejects.csv"
    header, (line, words) = csv.reader(note.splitlines())
    assert (header, line) == (["line", "reason"], "0")
    assert words.startswith(reason)
    assert f"refused='s3://{INPUT}/{key}'" in caplog.text
    assert submitted(aws) == []


@pytest.mark.parametrize("key", ["a.b/claims.csv", "a.b/claims.csv.gz", "a.b/claims.JSONL"])
def test_an_empty_file_is_refused_where_the_list_of_its_rejects_would_be(aws: Aws, key: str) -> None:
    assert handle(event_of(key, size=0)) == []
    assert aws.objects(RESULTS) == {
        "rejects/a.b/claims_rejects.csv": "line,reason\n0,the file is empty; drop it again with its rows\n"
    }
    assert submitted(aws) == []


@pytest.mark.parametrize("key", ["a.csv", "a.tsv.gz", "a.b.jsonl", "a.NDJSON"])
def test_every_kind_of_file_that_batch_knows_by_its_name_is_taken(aws: Aws, key: str) -> None:
    assert handle(event_of(key)) == []
    assert len(submitted(aws)) == 1
    assert set(batch_job.FORMATS) == set(files.TABLES)


def test_a_transform_job_is_not_given_tabs_which_it_does_not_read(transforming: Aws) -> None:
    assert handle(event_of("a.tsv"), event_of("b.ndjson")) == []
    assert "(.csv, .jsonl, .ndjson, each also with .gz)" in transforming.objects(RESULTS)["rejects/a.tsv_rejects.csv"]
    (job,) = transforms(transforming)
    assert job["TransformInput"]["ContentType"] == "application/jsonlines"


@pytest.mark.parametrize("key", ["folder/", "a/.DS_Store", "_SUCCESS", "a/_temporary/part.csv/", ".claims.csv.swp"])
def test_folders_and_programs_own_files_are_passed_over_without_a_note(
    aws: Aws, caplog: pytest.LogCaptureFixture, key: str
) -> None:
    with caplog.at_level("INFO"):
        assert handle(event_of(key, size=0)) == []
    assert "ignored=" in caplog.text
    assert (aws.objects(RESULTS), submitted(aws)) == ({}, [])


def test_a_name_too_long_for_its_result_is_refused_and_one_as_long_as_may_be_is_not(aws: Aws) -> None:
    longest = "é/" * 200 + "é" * 148 + ".csv"
    assert len(longest.encode()) == LONGEST_KEY
    assert handle(event_of(longest)) == []
    assert len(submitted(aws)) == 1
    too_long = event_of(f"x{longest}")
    assert handle(too_long) == []
    ((where, note),) = aws.objects(RESULTS).items()
    assert where == f"rejects/{named(too_long)}_rejects.csv"
    assert "is longer than 900 bytes" in note
    assert len(submitted(aws)) == 1


def test_a_refused_file_that_comes_twice_leaves_one_note(aws: Aws) -> None:
    handle(event_of("claims.xlsx"), event_of("claims.xlsx"))
    assert list(aws.objects(RESULTS)) == ["rejects/claims.xlsx_rejects.csv"]


def test_a_file_waits_in_the_queue_while_as_many_transform_jobs_run_as_may(
    transforming: Aws, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    running = {"TransformJobSummaries": [SUMMARY, SUMMARY]}
    answers: dict[str, Any] = {"DescribeTransformJob": UNKNOWN_JOB, "ListTransformJobs": running}
    with answering(**answers) as url, caplog.at_level("INFO"):
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", url)
        assert handle(event_of("a.csv"), event_of("b.xlsx"), event_of("c.csv")) == ["m0", "m2"]
    assert list(transforming.objects(RESULTS)) == ["rejects/b.xlsx_rejects.csv"]
    assert caplog.text.count("reason='as many jobs run as may'") == 2


@pytest.mark.parametrize("code", ["ResourceLimitExceeded", "ThrottlingException"])
def test_a_file_waits_in_the_queue_where_sagemaker_has_no_room(
    transforming: Aws, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    answers: dict[str, Any] = {"DescribeTransformJob": UNKNOWN_JOB, "ListTransformJobs": {"TransformJobSummaries": []}}
    with answering(**answers, CreateTransformJob={"error": code}) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", url)
        assert handle(event_of("a.csv")) == ["m0"]
    monkeypatch.delenv("AWS_ENDPOINT_URL_SAGEMAKER")
    assert handle(event_of("a.csv")) == []
    assert len(transforms(transforming)) == 1


def test_a_file_waits_in_the_queue_where_aws_batch_is_busy(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(listjobs={"jobSummaryList": []}, submitjob={"error": "TooManyRequestsException"}) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_BATCH", url)
        assert handle(event_of("a.csv")) == ["m0"]
    monkeypatch.delenv("AWS_ENDPOINT_URL_BATCH")
    assert handle(event_of("a.csv")) == []
    assert len(submitted(aws)) == 1


def test_what_waiting_would_not_cure_fails_the_function_so_that_an_alarm_tells(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(listjobs={"error": "AccessDeniedException"}) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_BATCH", url)
        with pytest.raises(ClientError, match="AccessDenied"):
            handle(event_of("a.csv"))
    assert aws.objects(RESULTS) == {}


def test_a_message_that_is_no_event_of_s3_fails_the_function(aws: Aws) -> None:
    notification = {"Records": [{"s3": {"bucket": {"name": INPUT}, "object": {"key": "a+b.csv"}}}]}
    with pytest.raises(KeyError, match="detail"):
        handle(notification)
    assert submitted(aws) == []


def test_many_files_at_once_become_as_many_jobs(aws: Aws) -> None:
    waiting = handle(*(event_of(f"{index}.csv") for index in range(100)))
    assert waiting == []
    assert len({job["jobName"] for job in submitted(aws)}) == 100
