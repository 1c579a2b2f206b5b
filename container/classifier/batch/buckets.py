"""Files in S3: fetched whole to this machine's disk, put back whole, what is remembered of them as metadata."""

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from classifier.errors import UserError

SCHEME = "s3://"
ADDRESS = re.compile(rf"{SCHEME}(?P<bucket>[^/]+)(?:/(?P<key>.*))?", re.DOTALL)
# Without the right to list a bucket, S3 says that it is forbidden to ask for what is not there.
NOT_THERE = frozenset({"404", "403", "NoSuchKey", "NotFound"})
ATTEMPTS = 10
INPUT_FOLDER, OUTPUT_FOLDER = "input", "output"
# The copy that is read, and the result that is written, which may be somewhat larger.
ROOM = 2.5


class Bucket:
    """Objects of a bucket whose keys begin alike, or one of them.

    Args:
        client: What talks to S3.
        bucket: The bucket's name.
        prefix: How the keys begin: nothing, or something that ends with a slash.
        only: The rest of the one key, where it is no more than that.
    """

    def __init__(self, client: Any, bucket: str, prefix: str, only: str = "") -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix
        self._only = only

    def files(self) -> Sequence[tuple[str, int]]:
        """Return the names and the bytes of all objects, by name; for a single one no right to list is needed."""
        with _talking(self.address(self._only)):
            if self._only:
                return [(self._only, self._client.head_object(**self._object(self._only))["ContentLength"])]
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix)
            found = [(entry["Key"], entry["Size"]) for page in pages for entry in page.get("Contents", ())]
        return [(key.removeprefix(self._prefix), size) for key, size in found if not key.endswith("/")]

    def version(self, name: str) -> str:
        """Return the object's entity tag."""
        with _talking(self.address(name)):
            return str(self._client.head_object(**self._object(name))["ETag"])

    def fetch(self, name: str, scratch: Path) -> Path:
        """Copy an object to a disk that has room for it and for its result."""
        path = scratch / INPUT_FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with _talking(self.address(name)):
            size = self._client.head_object(**self._object(name))["ContentLength"]
        free = shutil.disk_usage(scratch).free
        if free < ROOM * size:
            raise UserError(
                f"{self.address(name)}: has {size / 1e9:.1f} GB, and {scratch} room for {free / 1e9:.1f}; give it "
                f"{ROOM} times the file's size (the variable TMPDIR names another folder)"
            )
        with _talking(self.address(name)):
            self._client.download_file(self._bucket, self._prefix + name, str(path))
        return path

    def unfinished(self, name: str, scratch: Path) -> Path:
        """Return a path on this machine's disk."""
        path = scratch / OUTPUT_FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def publish(self, path: Path, name: str, facts: Mapping[str, str]) -> None:
        """Upload a file; S3 shows it when all of it is there."""
        with _talking(self.address(name)):
            self._client.upload_file(str(path), self._bucket, self._prefix + name, ExtraArgs={"Metadata": dict(facts)})
        path.unlink()

    def facts(self, name: str) -> Mapping[str, str] | None:
        """Return the metadata of an object."""
        with _talking(self.address(name)):
            head = _head(self._client, self._object(name))
        return None if head is None else head["Metadata"]

    def remove(self, name: str) -> None:
        """Delete an object, where there is one that this program may see."""
        if self.facts(name) is not None:
            with _talking(self.address(name)):
                self._client.delete_object(**self._object(name))

    def address(self, name: str) -> str:
        """Return an object's address."""
        return f"{SCHEME}{self._bucket}/{self._prefix}{name}"

    def _object(self, name: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + name}


def to_read(address: str) -> Bucket:
    """Return an object, or all below a "folder" of keys.

    Raises:
        UserError: There is neither, or S3 does not let us see it.
    """
    bucket, key = _parts(address)
    client = _client()
    if key and not key.endswith("/"):
        with _talking(address):
            head = _head(client, {"Bucket": bucket, "Key": key})
        if head is not None:
            folder, slash, name = key.rpartition("/")
            return Bucket(client, bucket, folder + slash, name)
    found = Bucket(client, bucket, _folder(key))
    if not found.files():
        raise UserError(f"{address}: no such object, and none below it; or the right s3:GetObject is missing")
    return found


def to_write(address: str) -> Bucket:
    """Return a "folder" of keys for results.

    Raises:
        UserError: The address is none.
    """
    bucket, key = _parts(address)
    return Bucket(_client(), bucket, _folder(key))


def _parts(address: str) -> tuple[str, str]:
    match = ADDRESS.fullmatch(address)
    if match is None:
        raise UserError(f"{address}: no address in S3; write {SCHEME}bucket/folder/")
    return match["bucket"], match["key"] or ""


def _folder(key: str) -> str:
    return key if not key or key.endswith("/") else f"{key}/"


def _client() -> Any:
    import boto3  # noqa: PLC0415  it takes a third of a second, for which files on this machine need not wait
    from botocore.config import Config  # noqa: PLC0415

    return boto3.client("s3", config=Config(retries={"mode": "standard", "max_attempts": ATTEMPTS}))


def _head(client: Any, place: Mapping[str, str]) -> Mapping[str, Any] | None:
    """Return what S3 says of an object; None where there is none, or none that may be seen."""
    from botocore.exceptions import ClientError  # noqa: PLC0415

    try:
        head: Mapping[str, Any] = client.head_object(**place)
    except ClientError as error:
        if error.response["Error"]["Code"] in NOT_THERE:
            return None
        raise
    return head


@contextmanager
def _talking(address: str) -> Iterator[None]:
    """Turn what may happen between here and S3 into an error that names the address."""
    from boto3.exceptions import Boto3Error  # noqa: PLC0415
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    try:
        yield
    except (Boto3Error, BotoCoreError, ClientError) as error:
        raise UserError(f"{address}: {error}") from None
