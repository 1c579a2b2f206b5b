"""build_and_push.sh, whole and unmodified: AWS is moto's server, ECR a TLS registry on loopback under ECR's name."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import bcrypt
import boto3
import pytest
import requests
from moto.server import ThreadedMotoServer

from aws_helpers import run_script
from classifier import __version__

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "build_and_push.sh"
REGION = "us-east-1"
REGISTRY = f"123456789012.dkr.ecr.{REGION}.amazonaws.com"  # moto's account
PASSWORD = "123456789012-auth-token"  # what moto's get-login-password answers
HOSTS = Path("/etc/hosts")
CERTIFICATES = Path("/etc/docker/certs.d") / REGISTRY
DOCKERFILE = """\
FROM debian:bookworm-slim
ARG VERSION
LABEL version=$VERSION flavour={flavour}
COPY container/classifier/__init__.py /
"""
REGISTRY_SETTINGS = """\
version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}/storage}}}}
http: {{addr: "127.0.0.1:443", tls: {{certificate: {folder}/ca.crt, key: {folder}/ca.key}}}}
auth: {{htpasswd: {{realm: test, path: {folder}/htpasswd}}}}
"""


@dataclass(frozen=True)
class Ecr:
    """What a user of ECR has: settings for the AWS CLI and Docker, and the registry's certificate."""

    settings: dict[str, str]
    certificate: Path

    def tags(self, repository: str) -> list[str]:
        """Ask the registry itself, not Docker, which tags it holds."""
        url = f"https://{REGISTRY}/v2/{repository}/tags/list"
        answer = requests.get(url, auth=("AWS", PASSWORD), verify=str(self.certificate), timeout=10)
        return sorted(answer.json()["tags"])


def docker(*arguments: str, **settings: str) -> str:
    environment = {**os.environ, **settings}
    command = ["docker", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True).stdout


def hosts_without_registry() -> str:
    return "".join(line for line in HOSTS.read_text().splitlines(keepends=True) if REGISTRY not in line)


def why_not_here() -> str | None:
    if os.geteuid() != 0:
        return "needs root, to name a registry in /etc/hosts"
    if not shutil.which("docker") or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        return "needs a Docker engine"
    return None


def wait_for_registry(certificate: Path) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            requests.get(f"https://{REGISTRY}/v2/", verify=str(certificate), timeout=5)
        except requests.ConnectionError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("docker-registry did not come up on 127.0.0.1:443")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Run Debian's docker-registry under ECR's name, behind ECR's password; hand out its certificate."""
    if reason := why_not_here():
        pytest.skip(reason)
    if not shutil.which("docker-registry"):
        pytest.fail("docker-registry is not installed: apt-get install docker-registry")
    folder = tmp_path_factory.mktemp("registry")
    certificate, key = folder / "ca.crt", folder / "ca.key"
    subject = ["-subj", f"/CN={REGISTRY}", "-addext", f"subjectAltName=DNS:{REGISTRY}"]
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*make, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    (folder / "htpasswd").write_text(f"AWS:{bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(5)).decode()}\n")
    (folder / "config.yml").write_text(REGISTRY_SETTINGS.format(folder=folder))
    command = ["docker-registry", "serve", str(folder / "config.yml")]
    with (folder / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            CERTIFICATES.mkdir(parents=True, exist_ok=True)
            shutil.copy(certificate, CERTIFICATES / "ca.crt")
            HOSTS.write_text(f"{hosts_without_registry()}127.0.0.1 {REGISTRY}\n")
            wait_for_registry(certificate)
            yield certificate
        finally:
            process.terminate()
            HOSTS.write_text(hosts_without_registry())
            shutil.rmtree(CERTIFICATES)


@pytest.fixture(scope="module")
def ecr(registry: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ecr]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    settings = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "DOCKER_CONFIG": str(tmp_path_factory.mktemp("docker")),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    yield Ecr(settings, registry)
    server.stop()
    for image in docker("images", "--quiet", f"{REGISTRY}/*").split():
        subprocess.run(["docker", "rmi", "--force", image], capture_output=True, check=False)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a checkout whose Dockerfiles are quick to build; the script is the real one, byte for byte."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copy(SCRIPT, folder)
    package = Path("container/classifier/__init__.py")
    (folder / package).parent.mkdir(parents=True)
    shutil.copy(ROOT / package, folder / package)
    for flavour in ("cpu", "gpu"):
        (folder / f"Dockerfile.{flavour}").write_text(DOCKERFILE.format(flavour=flavour))
    return folder / SCRIPT.name


@pytest.fixture
def recorder(tmp_path: Path) -> Callable[[], str]:
    """Put an `aws` and a `docker` in tmp_path that do nothing but leave a line; return a way to read the lines."""
    log = tmp_path / "log"
    for name in ("aws", "docker"):
        (tmp_path / name).write_text(f'#!/bin/sh\necho {name} "$@" >>{log}\nexit 1\n')
        (tmp_path / name).chmod(0o755)
    return lambda: log.read_text() if log.exists() else ""


@pytest.mark.image
def test_both_tags_are_pushed_and_can_be_pulled_back(ecr: Ecr, checkout: Path) -> None:
    done = run_script(checkout, "claims/text-classification", **ecr.settings)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ecr.tags("claims/text-classification") == sorted([__version__, "latest"])
    for tag in (__version__, "latest"):
        name = f"{REGISTRY}/claims/text-classification:{tag}"
        docker("rmi", name)
        docker("pull", "--quiet", name, **ecr.settings)
        labels = docker("inspect", "--format", "{{.Config.Labels.version}} {{.Config.Labels.flavour}}", name)
        assert labels.split() == [__version__, "cpu"]
    assert docker("inspect", "--format", "{{.Os}}/{{.Architecture}}", name).strip() == "linux/amd64"


@pytest.mark.image
def test_a_second_push_finds_the_repository_there(ecr: Ecr, checkout: Path) -> None:
    first = run_script(checkout, "twice", **ecr.settings)
    second = run_script(checkout, "twice", **ecr.settings)
    assert (first.returncode, second.returncode) == (0, 0), second.stdout + second.stderr
    assert "Made the ECR repository twice" in first.stdout
    assert "Made the ECR repository" not in second.stdout


@pytest.mark.image
def test_the_gpu_image_is_built_from_its_own_dockerfile(ecr: Ecr, checkout: Path) -> None:
    done = run_script(checkout, "graphics", "gpu", **ecr.settings)
    assert done.returncode == 0, done.stdout + done.stderr
    flavour = docker("inspect", "--format", "{{.Config.Labels.flavour}}", f"{REGISTRY}/graphics:latest")
    assert flavour.strip() == "gpu"


@pytest.mark.image
def test_a_build_that_fails_pushes_nothing(ecr: Ecr, checkout: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(checkout.parent, broken)
    (broken / "Dockerfile.cpu").write_text("FROM debian:bookworm-slim\nCOPY absent /\n")
    done = run_script(broken / SCRIPT.name, "broken", **ecr.settings)
    assert done.returncode != 0
    assert "Pushed" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the image name is missing"),
        (["--dry-run"], "the image name is missing"),
        (["text-classification", "tpu"], '"tpu" is neither cpu nor gpu'),
        (["text-classification", "cpu", "now"], "too many arguments: now"),
        (["text-classification", "--force"], "unknown option --force"),
        (["Text-Classification"], '"Text-Classification" is no ECR repository name'),
        (["text-classification:latest"], '"text-classification:latest" is no ECR repository name'),
    ],
)
def test_wrong_arguments_are_refused_with_the_usage(
    arguments: list[str], message: str, recorder: Callable[[], str], tmp_path: Path
) -> None:
    done = run_script(SCRIPT, *arguments, PATH=f"{tmp_path}:{os.environ['PATH']}", AWS_REGION=REGION)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Usage: ./build_and_push.sh <image> [cpu|gpu] [--dry-run]" in done.stderr
    assert recorder() == ""


def test_a_dry_run_prints_the_commands_and_runs_none(recorder: Callable[[], str], tmp_path: Path) -> None:
    settings = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "AWS_REGION": REGION, "BASE_IMAGE": "mirror/debian"}
    done = run_script(SCRIPT, "text-classification", "gpu", "--dry-run", **settings)
    name = f"ACCOUNT.dkr.ecr.{REGION}.amazonaws.com/text-classification"
    assert done.returncode == 0, done.stderr
    assert "--file Dockerfile.gpu --platform linux/amd64" in done.stdout
    assert "--build-arg BASE_IMAGE=mirror/debian" in done.stdout
    assert f"docker push {name}:{__version__}\ndocker push {name}:latest\n" in done.stdout
    assert recorder() == ""


def test_china_has_registries_of_its_own(recorder: Callable[[], str], tmp_path: Path) -> None:
    settings = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "AWS_DEFAULT_REGION": "cn-north-1"}
    done = run_script(SCRIPT, "text-classification", "--dry-run", **settings)
    assert "docker push ACCOUNT.dkr.ecr.cn-north-1.amazonaws.com.cn/text-classification:latest" in done.stdout
    assert recorder() == ""


def test_a_missing_region_is_named_before_anything_is_made(recorder: Callable[[], str], tmp_path: Path) -> None:
    done = run_script(SCRIPT, "text-classification", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert done.returncode == 1
    assert "no AWS region: set AWS_REGION" in done.stderr
    assert recorder() == "aws configure get region\n"


def test_missing_credentials_are_named_before_anything_is_made(recorder: Callable[[], str], tmp_path: Path) -> None:
    done = run_script(SCRIPT, "text-classification", PATH=f"{tmp_path}:{os.environ['PATH']}", AWS_REGION=REGION)
    assert done.returncode == 1
    assert "AWS did not tell the account" in done.stderr
    assert recorder().startswith("aws sts get-caller-identity")
    assert len(recorder().splitlines()) == 1


@pytest.mark.image
def test_a_manifest_of_the_kind_that_sagemaker_has_refused_is_warned_of_with_the_cure_X03(
    ecr: Ecr, checkout: Path
) -> None:
    assert "Warning" not in run_script(checkout, "modern", **ecr.settings).stderr
    client = boto3.client(
        "ecr",
        endpoint_url=ecr.settings["AWS_ENDPOINT_URL"],
        region_name=REGION,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    media_type = "application/vnd.oci.image.manifest.v1+json"
    manifest = json.dumps({"schemaVersion": 2, "mediaType": media_type, "config": {}, "layers": []})
    client.put_image(
        repositoryName="modern", imageManifest=manifest, imageManifestMediaType=media_type, imageTag=__version__
    )
    done = run_script(checkout, "modern", **ecr.settings)
    assert done.returncode == 0
    assert f"the image's manifest is of type {media_type}" in done.stderr
    assert "docker buildx build --file Dockerfile.cpu --platform linux/amd64" in done.stderr
    assert f"--output type=image,oci-mediatypes=false,push=true --tag {REGISTRY}/modern:{__version__} ." in done.stderr
