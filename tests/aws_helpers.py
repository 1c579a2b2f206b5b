"""AWS as moto's server plays it: the AWS CLI and boto3 talk to it as they come; jobs and functions do not run."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import requests
from moto.server import ThreadedMotoServer

ACCOUNT = "123456789012"  # moto's
REGION = "us-east-1"


@dataclass(frozen=True)
class Aws:
    """An account with nothing in it, at an address of its own."""

    url: str

    @property
    def settings(self) -> dict[str, str]:
        """What a program needs to talk to it, and to nobody else."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    @property
    def environment(self) -> dict[str, str]:
        """The whole environment of a program on this machine, with nothing else about AWS in it."""
        return elsewhere() | self.settings | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def client(self, service: str) -> Any:
        """Return boto3's client of a service."""
        create: Any = boto3.client  # its stubs know no service unless told which
        return create(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )

    def empty(self) -> None:
        """Take everything out of the account."""
        requests.post(f"{self.url}/moto-api/reset", timeout=10)

    def objects(self, bucket: str) -> dict[str, str]:
        """Return the content of every object of a bucket, by key."""
        s3 = self.client("s3")
        keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
        return {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode() for key in keys}


def elsewhere() -> dict[str, str]:
    """Return this process's environment with nothing about AWS in it."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}


def run_script(script: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a script from an unrelated folder with no AWS settings but those given."""
    nowhere = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    environment = elsewhere() | nowhere | {"AWS_EC2_METADATA_DISABLED": "true"} | settings
    command = [str(script), *arguments]
    return subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, timeout=300, check=False)


@contextmanager
def running_aws() -> Iterator[Aws]:
    """Run an account until the end of the block."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    aws = Aws(f"http://{host}:{port}")
    try:
        aws.empty()
        simple = {"batch": {"use_docker": False}, "lambda": {"use_docker": False}}
        requests.post(f"{aws.url}/moto-api/config", json=simple, timeout=10)
        yield aws
    finally:
        server.stop()
