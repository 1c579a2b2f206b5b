"""Storage in S3: whole objects are downloaded and uploaded; facts about results are kept as object metadata."""

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from classifier.errors import UserError, at_most

SCHEME = "s3://"
ADDRESS = re.compile(rf"{SCHEME}(?P<bucket>[^/]+)(?:/(?P<key>.*))?", re.DOTALL)
# Without the permission to list a bucket, S3 answers 403 for objects that don't exist.
NOT_THERE = frozenset({"404", "403", "NoSuchKey", "NotFound"})
ATTEMPTS = 10
INPUT_FOLDER, OUTPUT_FOLDER = "input", "output"
_NO_PATH = frozenset({"", ".", ".."})  # parts of keys that a file's path can't have, or that lead elsewhere
MOST_SHOWN = 20
# Free space, as a multiple of the file's size: for the copy, and for the result, which may be somewhat larger.
ROOM = 2.5


class Bucket:
    """The objects of a bucket below a prefix, or one of them.

    Args:
        client: An S3 client.
        bucket: The bucket's name.
        prefix: The prefix of the keys: empty, or ending with a slash.
        only: If it is a single object, the rest of its key.
    """

    def __init__(self, client: Any, bucket: str, prefix: str, only: str = "") -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix
        self._only = only

    def files(self) -> Sequence[tuple[str, int]]:
        """Return the names and the sizes of all objects, by name; a single one needs no permission to list."""
        with _talking(self.address(self._only)):
            if self._only:
                return [(self._only, self._client.head_object(**self._object(self._only))["ContentLength"])]
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix)
            found = [(entry["Key"], entry["Size"]) for page in pages for entry in page.get("Contents", ())]
        files = [(key.removeprefix(self._prefix), size) for key, size in found if not key.endswith("/")]
        if wrong := [name for name, _ in files if not _NO_PATH.isdisjoint(name.split("/"))]:
            shown = ", ".join(at_most([self.address(name) for name in wrong], MOST_SHOWN))
            raise UserError(f"{shown}: a key with //, /./ or /../ is no path of a file; copy it under another key")
        return files

    def version(self, name: str) -> str:
        """Return the object's entity tag."""
        with _talking(self.address(name)):
            return str(self._client.head_object(**self._object(name))["ETag"])

    def fetch(self, name: str, scratch: Path) -> Path:
        """Download an object, if there is enough space for it and for its result."""
        path = scratch / INPUT_FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with _talking(self.address(name)):
            size = self._client.head_object(**self._object(name))["ContentLength"]
        free = shutil.disk_usage(scratch).free
        if free < ROOM * size:
            raise UserError(
                f"{self.address(name)}: the file has {size / 1e9:.1f} GB, and {scratch} has {free / 1e9:.1f} GB free; "
                f"provide {ROOM} times the file's size (the variable TMPDIR selects another folder)"
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
        """Delete an object, if there is one that this program may see."""
        if self.facts(name) is not None:
            with _talking(self.address(name)):
                self._client.delete_object(**self._object(name))

    def address(self, name: str) -> str:
        """Return an object's address."""
        return f"{SCHEME}{self._bucket}/{self._prefix}{name}"

    def _object(self, name: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + name}


def to_read(address: str) -> Bucket:
    """Return the storage of an object, or of all objects below a prefix.

    Raises:
        UserError: There are none, or access is denied.
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
        raise UserError(f"{address}: no such object or prefix, or the permission s3:GetObject is missing")
    return found


def to_write(address: str) -> Bucket:
    """Return the storage of a prefix for results.

    Raises:
        UserError: The address is invalid.
    """
    bucket, key = _parts(address)
    return Bucket(_client(), bucket, _folder(key))


def _parts(address: str) -> tuple[str, str]:
    match = ADDRESS.fullmatch(address)
    if match is None:
        raise UserError(f"{address}: not an S3 address; write {SCHEME}bucket/folder/")
    return match["bucket"], match["key"] or ""


def _folder(key: str) -> str:
    return key if not key or key.endswith("/") else f"{key}/"


def _client() -> Any:
    import boto3  # noqa: PLC0415  it takes a third of a second, which local files don't need
    from botocore.config import Config  # noqa: PLC0415

    return boto3.client("s3", config=Config(retries={"mode": "standard", "max_attempts": ATTEMPTS}))


def _head(client: Any, location: Mapping[str, str]) -> Mapping[str, Any] | None:
    """Return the metadata of an object; None if it does not exist or is not accessible."""
    from botocore.exceptions import ClientError  # noqa: PLC0415

    try:
        head: Mapping[str, Any] = client.head_object(**location)
    except ClientError as error:
        if error.response["Error"]["Code"] in NOT_THERE:
            return None
        raise
    return head


@contextmanager
def _talking(address: str) -> Iterator[None]:
    """Turn errors of S3 and its client into a UserError that names the address."""
    from boto3.exceptions import Boto3Error  # noqa: PLC0415
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    try:
        yield
    except (Boto3Error, BotoCoreError, ClientError) as error:
        raise UserError(f"{address}: {error}") from None
