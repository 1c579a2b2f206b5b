"""deploy/template.yaml, where linters don't look: what it means."""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

import botocore.client
import pytest

from jobs import ROOT
from starter import handler
from starter.arrival import Arrival
from starter.settings import Settings

sys.path.insert(0, str(ROOT / "tools"))
import template as template_file

# What AWS lets nobody grant for less than everything.
FOR_EVERYTHING = {
    "batch:ListJobs",
    "cloudwatch:PutMetricData",
    "ecr:GetAuthorizationToken",
    "sagemaker:ListTransformJobs",
}
DIGEST = f"sha256:{'0a' * 32}"


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    return template_file.read()


def of_type(template: Mapping[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    """Return the properties of every resource of a type, by its name."""
    found = {name: each["Properties"] for name, each in template["Resources"].items() if each["Type"] == kind}
    assert found, kind
    return found


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def statements(template: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return every statement about what a role may do, with the name of the resource it stands in."""
    for name, policy in of_type(template, "AWS::IAM::Policy").items():
        yield from ((name, statement) for statement in policy["PolicyDocument"]["Statement"])
    for name, role in of_type(template, "AWS::IAM::Role").items():
        for policy in role.get("Policies", []):
            yield from ((name, statement) for statement in policy["PolicyDocument"]["Statement"])


def actions(template: Mapping[str, Any], *names: str) -> set[str]:
    return {action for name, each in statements(template) if name in names for action in listed(each["Action"])}


def assert_encrypted_connections_only(policy: Mapping[str, Any], resources: Sequence[Any]) -> None:
    """Assert that a policy keeps everyone from these resources who comes without TLS."""
    (denied,) = (each for each in policy["Statement"] if each["Effect"] == "Deny")
    assert denied["Principal"] == "*"
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    for resource in resources:
        assert resource in listed(denied["Resource"])


def value(expression: Any, **names: str) -> Any:
    """Work out an expression of Sub, Select, Split, Join and Ref."""
    if not isinstance(expression, dict):
        return [value(each, **names) for each in expression] if isinstance(expression, list) else expression
    ((function, argument),) = expression.items()
    if function == "Ref":
        return names[argument]
    if function == "Fn::Sub":
        text, local = argument
        known = names | {name: value(each, **names) for name, each in local.items()}
        return re.sub(r"\$\{([\w:]+)\}", lambda match: known[match[1].replace("::", "")], text)
    first, second = (value(each, **names) for each in argument)
    return {
        "Fn::Select": lambda: second[first],
        "Fn::Split": lambda: second.split(first),
        "Fn::Join": lambda: first.join(second),
    }[function]()


def test_buckets_are_private_encrypted_kept_and_open_to_tls_only(template: dict[str, Any]) -> None:
    policies = {each["Bucket"]["Ref"]: each for each in of_type(template, "AWS::S3::BucketPolicy").values()}
    for name, bucket in of_type(template, "AWS::S3::Bucket").items():
        arn = {"Fn::GetAtt": f"{name}.Arn"}
        everything = [arn, {"Fn::Sub": f"${{{name}.Arn}}/*"}]
        assert_encrypted_connections_only(policies[name]["PolicyDocument"], everything)
        (denied,) = policies[name]["PolicyDocument"]["Statement"]
        assert denied["Action"] == "s3:*"
        assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
        assert len(bucket["PublicAccessBlockConfiguration"]) == 4
        assert bucket["BucketEncryption"]
        assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
        first, *_ = bucket["LifecycleConfiguration"]["Rules"]
        assert {"NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload"} <= set(first)
        assert template["Resources"][name]["DeletionPolicy"] == "RetainExceptOnCreate"
        assert template["Resources"][name]["UpdateReplacePolicy"] == "Retain"


def test_queues_and_the_topic_are_open_to_tls_only(template: dict[str, Any]) -> None:
    (queues,) = of_type(template, "AWS::SQS::QueuePolicy").values()
    names = list(of_type(template, "AWS::SQS::Queue"))
    assert queues["Queues"] == [{"Ref": name} for name in names]
    assert_encrypted_connections_only(queues["PolicyDocument"], [{"Fn::GetAtt": f"{name}.Arn"} for name in names])
    (topic,) = of_type(template, "AWS::SNS::TopicPolicy").values()
    assert_encrypted_connections_only(topic["PolicyDocument"], [{"Ref": "AlarmTopic"}])


def test_only_what_can_not_be_granted_for_less_is_granted_for_everything(template: dict[str, Any]) -> None:
    everything = {
        action
        for _, each in statements(template)
        if "*" in listed(each["Resource"])
        for action in listed(each["Action"])
    }
    assert everything == FOR_EVERYTHING
    for name, each in statements(template):
        assert each["Effect"] == "Allow", name
        assert not any("*" in action for action in listed(each["Action"])), name


def test_aws_own_list_of_rights_is_taken_for_instances_only(template: dict[str, Any]) -> None:
    taken = {
        name: role["ManagedPolicyArns"]
        for name, role in of_type(template, "AWS::IAM::Role").items()
        if "ManagedPolicyArns" in role
    }
    assert list(taken) == ["InstanceRole"]
    assert len(taken["InstanceRole"]) == 1


def test_the_function_may_do_what_it_does_and_nothing_else(
    template: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: set[str] = set()

    def record(client: Any, operation: str, _arguments: Mapping[str, Any]) -> dict[str, Any]:
        calls.add(f"{client.meta.service_model.service_name}:{operation}")
        if operation == "DescribeTransformJob":
            refusal: Any = {"Error": {"Code": "ResourceNotFound"}}
            raise client.exceptions.ClientError(refusal, operation)
        return {"jobSummaryList": [], "TransformJobSummaries": []}

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", record)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for kind, policy in (("batch", "StartBatchJobs"), ("transform", "StartTransformJobs")):
        calls.clear()
        for key in ("claims.csv", "claims.xlsx"):
            settings = Settings(kind, "acme", "results", "queue", "definition", "model", "ml.m5.xlarge", 1)
            assert handler.settle(Arrival("bucket", key, 1, ("1",)), settings)
        of_lambda = {"logs:CreateLogStream", "logs:PutLogEvents"}
        of_trigger = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}
        assert actions(template, "StarterPolicy", policy) == calls | of_lambda | of_trigger


def test_the_function_is_told_all_it_reads(template: dict[str, Any]) -> None:
    variables = of_type(template, "AWS::Lambda::Function")["Starter"]["Environment"]["Variables"]
    assert set(variables) == {field.name.upper() for field in fields(Settings)}


def test_a_file_waits_for_days_and_longer_than_one_attempt_takes(template: dict[str, Any]) -> None:
    arrivals = of_type(template, "AWS::SQS::Queue")["Arrivals"]
    function = of_type(template, "AWS::Lambda::Function")["Starter"]
    assert arrivals["VisibilityTimeout"] >= 6 * function["Timeout"]
    waits = arrivals["VisibilityTimeout"] * arrivals["RedrivePolicy"]["maxReceiveCount"]
    assert 4 * 86400 < waits < arrivals["MessageRetentionPeriod"]
    trigger = of_type(template, "AWS::Lambda::EventSourceMapping")["StarterTrigger"]
    assert trigger["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert trigger["ScalingConfig"] == {"MaximumConcurrency": 2}


def test_what_can_not_be_delivered_goes_to_a_queue_with_an_alarm(template: dict[str, Any]) -> None:
    lost = {"Fn::GetAtt": "Undelivered.Arn"}
    (target,) = of_type(template, "AWS::Events::Rule")["ArrivalRule"]["Targets"]
    assert target["DeadLetterConfig"] == {"Arn": lost}
    assert of_type(template, "AWS::SQS::Queue")["Arrivals"]["RedrivePolicy"]["deadLetterTargetArn"] == lost
    alarm = of_type(template, "AWS::CloudWatch::Alarm")["FilesUndelivered"]
    assert alarm["Dimensions"] == [{"Name": "QueueName", "Value": {"Fn::GetAtt": "Undelivered.QueueName"}}]


def test_alarms_tell_somebody_what_to_look_at_and_are_silent_where_nothing_happens(template: dict[str, Any]) -> None:
    for name, alarm in of_type(template, "AWS::CloudWatch::Alarm").items():
        assert alarm["TreatMissingData"] == "notBreaching", name
        assert alarm["AlarmActions"] == {"Fn::If": ["Tell", [{"Ref": "AlarmTopic"}], {"Ref": "AWS::NoValue"}]}
        assert "${" in alarm["AlarmDescription"]["Fn::Sub"], name


def test_the_alarm_of_failed_jobs_counts_what_the_rule_of_failed_jobs_matches(template: dict[str, Any]) -> None:
    alarm = of_type(template, "AWS::CloudWatch::Alarm")["JobsFailed"]
    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/Events", "TriggeredRules")
    assert alarm["Dimensions"] == [{"Name": "RuleName", "Value": {"Ref": "FailureRule"}}]
    assert "FailureRule" in of_type(template, "AWS::Events::Rule")


def test_a_job_is_tried_again_only_where_its_host_was_taken_away(template: dict[str, Any]) -> None:
    strategy = of_type(template, "AWS::Batch::JobDefinition")["JobDefinition"]["RetryStrategy"]
    *again, last = strategy["EvaluateOnExit"]
    assert last == {"Action": "EXIT", "OnReason": "*"}
    assert [set(each) for each in again] == [{"Action", "OnStatusReason"}] * 2


def test_nothing_runs_where_there_is_nothing_to_do(template: dict[str, Any]) -> None:
    (environment,) = of_type(template, "AWS::Batch::ComputeEnvironment").values()
    assert environment["ComputeResources"]["MinvCpus"]["Fn::If"][1] == 0
    assert "DesiredvCpus" not in environment["ComputeResources"]
    costly = {"AWS::EC2::NatGateway", "AWS::EC2::VPCEndpoint", "AWS::KMS::Key", "AWS::SageMaker::Endpoint"}
    assert costly.isdisjoint(each["Type"] for each in template["Resources"].values())


def test_every_log_is_kept_as_long_as_said_and_no_longer(template: dict[str, Any]) -> None:
    for name, group in of_type(template, "AWS::Logs::LogGroup").items():
        assert group["RetentionInDays"] == {"Ref": "LogRetentionDays"}, name


def test_every_parameter_is_described_grouped_and_used(template: dict[str, Any]) -> None:
    groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    assert [name for group in groups for name in group["Parameters"]] == list(template["Parameters"])
    text = template_file.PATH.read_text(encoding="utf-8").partition("\nConditions:\n")[2]
    for name, parameter in template["Parameters"].items():
        assert re.fullmatch(r"[A-Z].+\.", parameter["Description"]), name
        assert re.search(rf"!Ref {name}\b|\$\{{{name}\}}", text), name


def test_parameters_of_the_old_template_keep_their_names(template: dict[str, Any]) -> None:
    assert list(template["Parameters"])[:2] == ["s3uniqueprefix", "IMAGE"]
    assert "EnvironmentTag" in template["Parameters"]


@pytest.mark.parametrize(
    ("image", "arn"),
    [
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com/claims", "aws:ecr:eu-west-1:123456789012:repository/claims"),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com/a/b:0.1", "aws:ecr:us-east-1:123456789012:repository/a/b"),
        (f"123456789012.dkr.ecr.us-east-1.amazonaws.com/a@{DIGEST}", "aws:ecr:us-east-1:123456789012:repository/a"),
        ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/a/b:1", "aws:ecr:cn-north-1:123456789012:repository/a/b"),
    ],
)
def test_jobs_may_pull_their_image_and_no_other(template: dict[str, Any], image: str, arn: str) -> None:
    assert re.fullmatch(template["Parameters"]["IMAGE"]["AllowedPattern"], image)
    (pull,) = (each for name, each in statements(template) if each["Sid"] == "PullTheImage")
    assert value(pull["Resource"], IMAGE=image, AWSPartition="aws") == f"arn:{arn}"


def test_jobs_may_read_their_model_and_no_other(template: dict[str, Any]) -> None:
    (read,) = (each for name, each in statements(template) if each["Sid"] == "ReadModelAndTexts")
    model, texts = read["Resource"]
    address = "s3://sagemaker-eu/claims 1/output/model.tar.gz"
    assert re.fullmatch(template["Parameters"]["ModelDataUrl"]["AllowedPattern"], address)
    assert (
        value(model, ModelDataUrl=address, AWSPartition="aws")
        == "arn:aws:s3:::sagemaker-eu/claims 1/output/model.tar.gz"
    )
    assert texts == {"Fn::Sub": "${InputBucket.Arn}/*"}


def test_jobs_may_write_results_and_rejects_and_take_back_rejects_only(template: dict[str, Any]) -> None:
    granted = {each["Sid"]: each for name, each in statements(template) if name == "JobPolicy"}
    results, rejects = ({"Fn::Sub": f"${{ResultsBucket.Arn}}/{folder}/*"} for folder in ("results", "rejects"))
    assert set(granted) == {"ReadModelAndTexts", "WriteResultsAndRejects", "TakeBackRejects"}
    assert granted["WriteResultsAndRejects"]["Action"] == ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"]
    assert granted["WriteResultsAndRejects"]["Resource"] == [results, rejects]
    assert granted["TakeBackRejects"]["Action"] == "s3:DeleteObject"
    assert granted["TakeBackRejects"]["Resource"] == rejects


@pytest.mark.parametrize(
    ("parameter", "wrong"),
    [
        ("s3uniqueprefix", "ab"),
        ("s3uniqueprefix", "Acme"),
        ("s3uniqueprefix", "1acme"),
        ("s3uniqueprefix", "acme-"),
        ("s3uniqueprefix", "acme--claims"),
        ("s3uniqueprefix", "acme.claims"),
        ("IMAGE", "text-classification:cpu"),
        ("IMAGE", "docker.io/library/debian"),
        ("ModelDataUrl", "model.tar.gz"),
        ("ModelDataUrl", "s3://bucket/model/"),
        ("VpcId", "default"),
        ("AlarmEmail", "someone"),
        ("TransformInstanceType", "m5.xlarge"),
    ],
)
def test_a_wrong_parameter_is_refused_before_anything_is_made(
    template: dict[str, Any], parameter: str, wrong: str
) -> None:
    assert not re.fullmatch(template["Parameters"][parameter]["AllowedPattern"], wrong)
