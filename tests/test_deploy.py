"""deploy.sh and undeploy.sh as they are, and the stack they make: from a file put in a bucket to what comes of it.

AWS is moto's server. Events go through its EventBridge and its queues, and the function is the one in the uploaded zip,
run by another Python with the variables that the stack gives it.
"""

import csv
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from aws_helpers import ACCOUNT, REGION, Aws, run_script, running_aws
from image_helpers import IMAGE as IMAGE_HERE
from image_helpers import require_image
from jobs import ROOT, Job

sys.path.insert(0, str(ROOT / "tools"))
import template as template_file

PREFIX = "acme-claims"
INPUT = f"{PREFIX}-predict-bucket"
RESULTS = f"{PREFIX}-batch-results"
IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/claims/text-classification:0.1.0"
MODEL = "s3://models/claims/output/model.tar.gz"
NEW = (f"s3uniqueprefix={PREFIX}", f"IMAGE={IMAGE}", f"ModelDataUrl={MODEL}")
CALL = "import json, sys; from starter.handler import handle; print(json.dumps(handle(json.load(sys.stdin), None)))"
BATCH = ROOT / "container" / "batch"

# moto's CloudFormation says so of bucket policies, alarms and the like, which it knows only without CloudFormation.
pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse AWS:UserWarning")


@dataclass(frozen=True)
class Stack:
    """What deploy.sh made of an empty account."""

    aws: Aws
    folder: Path
    prefix: str = PREFIX

    def deploy(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run_script(self.folder / "deploy.sh", *arguments, **self.aws.environment)

    def undeploy(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run_script(self.folder / "undeploy.sh", *arguments, **self.aws.environment)

    def resource(self, name: str) -> str:
        """Return the name that AWS gave a resource of the template."""
        pages = self.aws.client("cloudformation").list_stack_resources(StackName=self.prefix)["StackResourceSummaries"]
        found = {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in pages if "LogicalResourceId" in each}
        return str(found[name])

    def parameters(self) -> dict[str, str]:
        (stack,) = self.aws.client("cloudformation").describe_stacks(StackName=self.prefix)["Stacks"]
        return {each["ParameterKey"]: each["ParameterValue"] for each in stack["Parameters"]}

    def listen(self) -> None:
        """Do what moto's CloudFormation does not, and keep its Lambda from emptying the queue."""
        bucket = template_file.read()["Resources"]["InputBucket"]["Properties"]
        assert bucket["NotificationConfiguration"] == {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}
        self.aws.client("s3").put_bucket_notification_configuration(
            Bucket=f"{self.prefix}-predict-bucket", NotificationConfiguration={"EventBridgeConfiguration": {}}
        )
        trigger = self.resource("StarterTrigger")
        self.aws.client("lambda").update_event_source_mapping(UUID=trigger, Enabled=False)

    def put(self, key: str, content: bytes) -> None:
        self.aws.client("s3").put_object(Bucket=f"{self.prefix}-predict-bucket", Key=key, Body=content)

    def waiting(self) -> list[dict[str, str]]:
        """Take every message from the queue of files that came in."""
        found = self.aws.client("sqs").receive_message(QueueUrl=self.resource("Arrivals"), MaxNumberOfMessages=10)
        return [{"messageId": each["MessageId"], "body": each["Body"]} for each in found.get("Messages", [])]

    def call_function(self, messages: list[dict[str, str]], place: Path) -> dict[str, Any]:
        """Run what was uploaded as the function, as Lambda would: its code alone, its variables, one call."""
        function = self.aws.client("lambda").get_function(FunctionName=self.resource("Starter"))["Configuration"]
        assert function["Handler"] == "starter.handler.handle"
        with zipfile.ZipFile(io.BytesIO(self.code())) as archive:
            archive.extractall(place)
        variables = {name: str(value) for name, value in function["Environment"]["Variables"].items()}
        environment = self.aws.environment | variables | {"PYTHONPATH": str(place)}
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", CALL],
            cwd=place,
            env=environment,
            input=json.dumps({"Records": messages}),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def code(self) -> bytes:
        """Return the zip that was uploaded last."""
        s3 = self.aws.client("s3")
        entries = s3.list_objects_v2(Bucket=f"{PREFIX}-lambda-code")["Contents"]
        newest = max(entries, key=lambda entry: entry["LastModified"])
        content: bytes = s3.get_object(Bucket=f"{PREFIX}-lambda-code", Key=newest["Key"])["Body"].read()
        return content

    def jobs(self) -> list[dict[str, Any]]:
        batch = self.aws.client("batch")
        every = [{"name": "JOB_NAME", "values": ["*"]}]
        found = batch.list_jobs(jobQueue=self.resource("JobQueue"), filters=every)["jobSummaryList"]
        return [batch.describe_jobs(jobs=[job["jobId"]])["jobs"][0] for job in found]

    def fail(self, source: str, kind: str, detail: dict[str, Any]) -> None:
        """Send the event that AWS sends of a job that ended."""
        entry = {"Source": source, "DetailType": kind, "Detail": json.dumps(detail)}
        self.aws.client("events").put_events(Entries=[entry])

    def failures(self) -> list[dict[str, Any]]:
        """Return what stands in the log of failed jobs."""
        events = self.aws.client("logs").filter_log_events(logGroupName=self.resource("FailureLogs"))["events"]
        return [json.loads(event["message"]) for event in events]


def adapted(folder: Path) -> Path:
    """Copy deploy/, and give AWS Batch a role in the template: AWS makes one by itself, and moto does not."""
    shutil.copytree(ROOT / "deploy", folder, ignore=shutil.ignore_patterns("__pycache__"))
    template = folder / "template.yaml"
    text = template.read_text(encoding="utf-8")
    assert text.count("      Type: MANAGED\n") == 1
    role = "      Type: MANAGED\n      ServiceRole: !GetAtt ExecutionRole.Arn\n"
    template.write_text(text.replace("      Type: MANAGED\n", role), encoding="utf-8")
    (folder / "lambda" / "starter" / "notes.txt").write_text("not code")
    return folder


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_aws() as aws:
        made = Stack(aws, adapted(tmp_path_factory.mktemp("deploy") / "deploy"))
        done = made.deploy(*NEW)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"aws s3 cp claims.csv s3://{INPUT}/" in done.stdout
        s3 = aws.client("s3")
        # moto reads no conditions, and would refuse whoever comes, not only who comes without TLS.
        (refusal,) = json.loads(s3.get_bucket_policy(Bucket=f"{PREFIX}-lambda-code")["Policy"])["Statement"]
        assert refusal["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        s3.delete_bucket_policy(Bucket=f"{PREFIX}-lambda-code")
        s3.create_bucket(Bucket="other")
        made.listen()
        yield made


@pytest.fixture
def recorder(tmp_path: Path) -> Callable[[], str]:
    """Put an `aws` in tmp_path that does nothing but leave a line; return a way to read the lines."""
    log = tmp_path / "log"
    (tmp_path / "aws").write_text(f'#!/bin/sh\necho aws "$@" >>{log}\nexit 1\n')
    (tmp_path / "aws").chmod(0o755)
    return lambda: log.read_text() if log.exists() else ""


def test_the_function_is_uploaded_with_its_code_and_nothing_that_lies_beside_it(stack: Stack) -> None:
    with zipfile.ZipFile(io.BytesIO(stack.code())) as archive:
        files = {name for name in archive.namelist() if not name.endswith("/")}
        code = sorted((ROOT / "deploy" / "lambda" / "starter").glob("*.py"))
        assert files == {f"starter/{path.name}" for path in code}
        for path in code:
            assert archive.read(f"starter/{path.name}") == path.read_bytes()


def test_the_default_network_is_taken_where_none_is_named(stack: Stack) -> None:
    ec2 = stack.aws.client("ec2")
    (network,) = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    subnets = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [network["VpcId"]]}])["Subnets"]
    assert stack.parameters()["VpcId"] == network["VpcId"]
    named = re.findall("subnet-[0-9a-f]+", stack.parameters()["SubnetIds"])
    assert sorted(named) == sorted(subnet["SubnetId"] for subnet in subnets)


def test_a_file_put_in_the_bucket_becomes_a_job_on_that_very_file_and_one_only(stack: Stack, tmp_path: Path) -> None:
    key = "2026/Q1 + Q2 (é).csv"
    stack.put(key, b"text\nbrake pedal\n")
    messages = stack.waiting()
    assert len(messages) == 1
    assert stack.call_function(messages * 2, tmp_path) == {"batchItemFailures": []}
    (job,) = (job for job in stack.jobs() if "Q1-Q2" in job["jobName"])
    assert job["jobName"].startswith(f"{PREFIX}--Q1-Q2-")
    assert job["jobDefinition"] == stack.resource("JobDefinition")
    assert job["container"]["command"][:3] == ["batch", "--input", f"s3://{INPUT}/{key}"]
    variables = {each["name"]: each["value"] for each in job["container"]["environment"]}
    assert variables["BATCH_MODEL"] == MODEL


def test_a_file_of_another_kind_is_refused_with_a_note(stack: Stack, tmp_path: Path) -> None:
    stack.put("in/claims.xlsx", b"PK")
    assert stack.call_function(stack.waiting(), tmp_path) == {"batchItemFailures": []}
    note = stack.aws.objects(RESULTS)["rejects/in/claims.xlsx_rejects.csv"]
    assert note.startswith("line,reason\n0,")


def test_files_of_another_bucket_start_nothing(stack: Stack) -> None:
    s3 = stack.aws.client("s3")
    s3.put_bucket_notification_configuration(Bucket="other", NotificationConfiguration={"EventBridgeConfiguration": {}})
    s3.put_object(Bucket="other", Key="claims.csv", Body=b"text\n")
    assert stack.waiting() == []


def test_a_job_that_failed_or_rejected_rows_is_logged_and_counted_and_others_are_not(stack: Stack) -> None:
    queue = stack.resource("JobQueue")
    ended = {"jobName": "a", "jobId": "1", "jobQueue": queue, "status": "FAILED", "container": {"exitCode": 3}}
    others = [{**ended, "jobQueue": f"{queue}-other"}, {**ended, "status": "SUCCEEDED", "container": {"exitCode": 0}}]
    for detail in [*others, ended]:
        stack.fail("aws.batch", "Batch Job State Change", detail)
    assert [event["detail"] for event in stack.failures()] == [ended]


def natively(command: Sequence[str], variables: Mapping[str, str]) -> int:
    """Run a job's command here, and return its exit code."""
    program = BATCH.parent / command[0]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, **variables, "PATH": path}
    return subprocess.run([program, *command[1:]], env=environment, timeout=120, check=False).returncode


def in_docker(command: Sequence[str], variables: Mapping[str, str]) -> int:
    """Run a job's command in the image, and return its exit code."""
    require_image()
    settings = [word for name, value in variables.items() for word in ("--env", f"{name}={value}")]
    docker = ["docker", "run", "--rm", "--network", "host", *settings, IMAGE_HERE]
    return subprocess.run([*docker, *command], timeout=120, check=False).returncode


@pytest.mark.skipif(not BATCH.exists(), reason="the program batch is not there yet")
@pytest.mark.parametrize("run_batch", [natively, pytest.param(in_docker, marks=pytest.mark.image)])
def test_a_file_becomes_a_file_of_predictions_and_a_broken_row_a_reject_and_an_alarm(
    stack: Stack, job: Job, tmp_path: Path, run_batch: Callable[[Sequence[str], Mapping[str, str]], int]
) -> None:
    job.train()
    archive = shutil.make_archive(str(tmp_path / "model"), "gztar", job.model)
    s3 = stack.aws.client("s3")
    s3.create_bucket(Bucket="models")
    s3.upload_file(archive, "models", MODEL.removeprefix("s3://models/"))
    here = run_batch.__name__
    for name, content, code in (
        (f"good-{here}", b'id,text\n1,"the film\nwas good"\n2,a bad film\n', 0),
        (f"bad-{here}", b"id,text\n1,good,3\n2,bad\n", 3),
    ):
        stack.put(f"new/{name}.csv", content)
        assert stack.call_function(stack.waiting(), tmp_path / "function") == {"batchItemFailures": []}
        (started,) = (each for each in stack.jobs() if f"--{name.replace('_', '-')}-" in each["jobName"])
        variables = {each["name"]: each["value"] for each in started["container"]["environment"] if each["value"]}
        assert run_batch(started["container"]["command"], stack.aws.settings | variables) == code
        detail = {"jobName": started["jobName"], "jobQueue": started["jobQueue"], "container": {"exitCode": code}}
        stack.fail("aws.batch", "Batch Job State Change", detail | {"status": "FAILED" if code else "SUCCEEDED"})
    objects = stack.aws.objects(RESULTS)
    header, *rows = csv.reader(io.StringIO(objects[f"results/new/good-{here}_output.csv"]))
    assert header == ["id", "text", "predicted_label", "probability"]
    assert [row[:2] for row in rows] == [["1", "the film\nwas good"], ["2", "a bad film"]]
    assert objects[f"results/new/bad-{here}_output.csv"].splitlines()[1].startswith("2,bad,")
    assert objects[f"rejects/new/bad-{here}_rejects.csv"].startswith("line,reason\n2,")
    assert f"rejects/new/good-{here}_rejects.csv" not in objects
    failed = [event["detail"]["jobName"] for event in stack.failures()]
    assert started["jobName"] in failed
    assert not any("--good-" in name for name in failed)


def test_with_transform_a_file_becomes_a_transform_job_and_no_part_of_aws_batch_is_made(
    stack: Stack, tmp_path: Path
) -> None:
    s3 = stack.aws.client("s3")
    s3.put_object(Bucket="other", Key="code.zip", Body=stack.code())
    text = (ROOT / "deploy" / "template.yaml").read_text(encoding="utf-8")
    given = {"s3uniqueprefix": "acme", "IMAGE": IMAGE, "ModelDataUrl": MODEL, "RunOn": "transform"}
    stack.aws.client("cloudformation").create_stack(
        StackName="acme",
        TemplateBody=text.replace("Code: lambda\n", "Code: {S3Bucket: other, S3Key: code.zip}\n"),
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()],
    )
    other = replace(stack, prefix="acme")
    other.listen()
    other.put("in/claims.jsonl.gz", b"{}")
    assert other.call_function(other.waiting(), tmp_path) == {"batchItemFailures": []}
    sagemaker = stack.aws.client("sagemaker")
    (summary,) = sagemaker.list_transform_jobs()["TransformJobSummaries"]
    job = sagemaker.describe_transform_job(TransformJobName=summary["TransformJobName"])
    assert other.resource("Model").endswith(f"/{job['ModelName']}")
    assert job["TransformOutput"]["S3OutputPath"] == "s3://acme-batch-results/results/in"
    ended = {"TransformJobName": job["TransformJobName"], "TransformJobStatus": "Failed"}
    others = [{**ended, "TransformJobName": f"{PREFIX}--a-1"}, {**ended, "TransformJobStatus": "Completed"}]
    for detail in [*others, ended]:
        stack.fail("aws.sagemaker", "SageMaker Transform Job State Change", detail)
    assert [event["detail"] for event in other.failures()] == [ended]
    with pytest.raises(KeyError):
        other.resource("ComputeEnvironment")


def test_a_second_deployment_hands_over_what_is_given_and_leaves_the_network_alone(tmp_path: Path) -> None:
    log = tmp_path / "log"
    stack = 'case "$*" in *describe-stacks*) printf "UPDATE_COMPLETE\\tbatch\\tvpc-1\\n" ;; esac'
    (tmp_path / "aws").write_text(f'#!/bin/sh\nprintf "%s|" "$@" >>{log}; echo >>{log}\n{stack}\n')
    (tmp_path / "aws").chmod(0o755)
    given = [f"s3uniqueprefix={PREFIX}", "TextColumn=the text, in full"]
    done = run_script(ROOT / "deploy/deploy.sh", *given, PATH=f"{tmp_path}:{os.environ['PATH']}", AWS_REGION=REGION)
    assert done.returncode == 0, done.stderr
    calls = log.read_text().splitlines()
    assert not any(call.startswith(("ec2|", "cloudformation|delete-stack|")) for call in calls)
    (deployed,) = (call for call in calls if call.startswith("cloudformation|deploy|"))
    assert set(deployed.partition("--parameter-overrides|")[2].rstrip("|").split("|")) == set(given)


def test_subnets_without_their_network_are_refused(tmp_path: Path) -> None:
    log = tmp_path / "log"
    (tmp_path / "aws").write_text(
        f'#!/bin/sh\nprintf "%s|" "$@" >>{log}; echo >>{log}\ncase "$*" in *head-bucket*) exit 1 ;; esac\n'
    )
    (tmp_path / "aws").chmod(0o755)
    given = [f"s3uniqueprefix={PREFIX}", "SubnetIds=subnet-1"]
    done = run_script(ROOT / "deploy/deploy.sh", *given, PATH=f"{tmp_path}:{os.environ['PATH']}", AWS_REGION=REGION)
    assert done.returncode == 1
    assert "give VpcId=... too" in done.stderr
    assert "cloudformation|deploy" not in log.read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "s3uniqueprefix=... is missing"),
        (["IMAGE=a"], "s3uniqueprefix=... is missing"),
        (["s3uniqueprefix=a", "now"], '"now" is not PARAMETER=VALUE'),
        (["s3uniqueprefix=a", "Image=b"], 'template.yaml has no parameter "Image"'),
        (["s3uniqueprefix=a", "=b"], '"=b" is not PARAMETER=VALUE'),
    ],
)
def test_wrong_arguments_are_refused_with_the_usage_before_aws_is_asked(
    arguments: list[str], message: str, recorder: Callable[[], str], tmp_path: Path
) -> None:
    done = run_script(ROOT / "deploy/deploy.sh", *arguments, PATH=f"{tmp_path}:{os.environ['PATH']}", AWS_REGION=REGION)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Usage: deploy/deploy.sh s3uniqueprefix=PREFIX" in done.stderr
    assert recorder() == ""


@pytest.mark.parametrize("arguments", [[], ["acme-claims"], ["s3uniqueprefix="], ["s3uniqueprefix=a", "data=gone"]])
def test_nothing_is_removed_where_it_is_not_clear_what(
    arguments: list[str], recorder: Callable[[], str], tmp_path: Path
) -> None:
    done = run_script(ROOT / "deploy/undeploy.sh", *arguments, PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert done.returncode == 2
    assert "Usage: deploy/undeploy.sh s3uniqueprefix=PREFIX" in done.stderr
    assert recorder() == ""


def test_a_missing_region_and_missing_credentials_are_named(recorder: Callable[[], str], tmp_path: Path) -> None:
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = run_script(ROOT / "deploy/deploy.sh", *NEW, PATH=path)
    assert (done.returncode, recorder()) == (1, "aws configure get region\n")
    assert "no AWS region: set AWS_REGION" in done.stderr
    done = run_script(ROOT / "deploy/deploy.sh", *NEW, PATH=path, AWS_REGION=REGION)
    assert done.returncode == 1
    assert "AWS does not know you" in done.stderr
    assert recorder().splitlines()[1].startswith("aws sts get-caller-identity")
    assert len(recorder().splitlines()) == 2


def test_make_hands_its_variables_over() -> None:
    make = ["make", "--directory", str(ROOT), "--dry-run"]
    for verb, arguments in (("deploy", [*NEW, "TextColumn=the text, in full"]), ("undeploy", [NEW[0], "data=delete"])):
        done = subprocess.run([*make, verb, *arguments], capture_output=True, text=True, timeout=60, check=True)
        (line,) = (line for line in done.stdout.splitlines() if line.startswith(f"deploy/{verb}.sh"))
        assert set(shlex.split(line)[1:]) == set(arguments)


# These two take the stack away, and come last.


def test_the_files_stay_where_they_are_not_to_go_and_are_not_built_over(stack: Stack) -> None:
    done = stack.undeploy(f"s3uniqueprefix={PREFIX}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Kept the bucket {INPUT}, with all that is in it." in done.stdout
    done = stack.deploy(*NEW)
    assert done.returncode == 1
    assert f"the bucket {INPUT} is there, but the stack {PREFIX} is not" in done.stderr


def test_everything_goes_when_it_is_to_old_versions_and_odd_names_too(stack: Stack) -> None:
    s3 = stack.aws.client("s3")
    for bucket in (INPUT, RESULTS):
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        for key in ("a b/+é%20.csv", "quo\"ted'.csv", "a b/+é%20.csv"):
            s3.put_object(Bucket=bucket, Key=key, Body=b"text")
        s3.delete_object(Bucket=bucket, Key="a b/+é%20.csv")
    done = stack.undeploy(f"s3uniqueprefix={PREFIX}", "data=delete")
    assert done.returncode == 0, done.stdout + done.stderr
    left = {each["Name"] for each in s3.list_buckets()["Buckets"]}
    assert not re.findall(f"{PREFIX}\\S*", " ".join(left))
