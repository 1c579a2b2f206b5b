"""A job that brings its own script, and lacks something to run it: the failure file's first line says what and why."""

import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from jobs import Job

ARCHIVE = "/input/data/code/sourcedir.tar.gz"  # below the job's folder
OFFLINE = {
    "S3_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_REGION": "eu-west-1", "AWS_MAX_ATTEMPTS": "1",
    "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x",
}  # fmt: skip


def archive(**files: str) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as packed:
        for name, text in files.items():
            member = tarfile.TarInfo(name.replace("_", "."))
            member.size = len(text)
            packed.addfile(member, io.BytesIO(text.encode()))
    return content.getvalue()


@dataclass(frozen=True)
class Script:
    """A job with a script of its own, or without.

    Attributes:
        submitted: Where its code is said to be.
        words: What the failure file's first line says.
        code: The archive on the channel ``code``; nothing without one.
        variables: What the platform sets.
    """

    submitted: str
    words: tuple[str, ...]
    code: bytes = b""
    variables: Mapping[str, str] = field(default_factory=dict)


TABLE: Mapping[str, Script] = {
    "code in S3, which can't be reached": Script(
        "s3://bucket/job/sourcedir.tar.gz",
        (
            "the script mine.py could not be fetched from s3://bucket/job/sourcedir.tar.gz",
            "needs the channel `code`",
            "set sagemaker_submit_directory to /opt/ml/input/data/code/sourcedir.tar.gz",
        ),
        variables=OFFLINE,
    ),
    "code on a channel that the job lacks": Script(
        ARCHIVE, ("the script mine.py could not be unpacked from /", "on the channel `code`")
    ),
    "code that is no archive": Script(
        ARCHIVE, ("the script mine.py could not be unpacked from /",), archive(mine_py="")[:40]
    ),
    "code without the script": Script(
        ARCHIVE,
        ("the script mine.py is not in the job's code (yours.py)", "set sagemaker_program to its path"),
        archive(yours_py=""),
    ),
    "packages that can't be reached": Script(
        ARCHIVE,
        ("the packages of requirements.txt could not be installed", "reaches no package index", "--no-index"),
        archive(mine_py="", requirements_txt="no-such-package-of-ours==1\n"),
        {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", TABLE)
def test_a_script_that_can_not_be_run_fails_the_job_with_what_it_lacks_first(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = TABLE[kind]
    job = Job.create(tmp_path / "ml")
    if script.code:
        job.channel("code", script.code, "sourcedir.tar.gz")
    where = script.submitted if script.submitted.startswith("s3:") else f"{job.base}{script.submitted}"
    job.configure(hyperparameters={"sagemaker_program": '"mine.py"', "sagemaker_submit_directory": f'"{where}"'})
    monkeypatch.setattr(Job, "environ", {**job.environ, **script.variables})
    ended = job.run()
    assert ended.returncode != 0
    first, *_ = job.failure.splitlines()
    assert [words for words in script.words if words not in first] == [], job.failure
    assert len(job.failure) < 1024
    assert "Traceback" not in job.failure


def test_a_script_that_fails_by_itself_keeps_the_toolkits_words(tmp_path: Path) -> None:
    job = Job.create(tmp_path / "ml")
    job.channel("code", archive(mine_py="raise SystemExit(3)"), "sourcedir.tar.gz")
    where = f"{job.base}{ARCHIVE}"
    job.configure(hyperparameters={"sagemaker_program": "mine.py", "sagemaker_submit_directory": where})
    assert job.run().returncode != 0
    assert job.failure.startswith("ExecuteUserScriptError")
