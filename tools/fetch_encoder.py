"""Make the `model.tar.gz` of an encoder for the `model` channel; run by `local_test/fetch_encoder.sh`.

Its files are downloaded, or taken from a folder; what was packed is loaded as a job loads it and must answer.
"""

import argparse
import hashlib
import http.client
import os
import re
import shutil
import ssl
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import certifi

# The package is not installed; in the image it is on the path already.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "container"))

from classifier.encoders import architectures, archives, catalog, family
from classifier.encoders.resolve import EncoderFiles, opened, recognised
from classifier.errors import UserError

ARCHIVE = "model.tar.gz"
TEXTS = ("The brakes squeal when it is cold.", "")
LENGTH = 256
TIMEOUT_SECONDS = 60
PIECE_BYTES = 1 << 20
# What a browser shows of a repository, or of a file in it.
ADDRESS = re.compile(r"^https://(?:huggingface\.co|hf\.co)/([^/]+/[^/]+)(?:/(?:tree|blob|resolve)/.*)?$")
# The families of encoders that are downloaded; others are in the image.
FETCHED = ("hub", "bert")
REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+(@[\w.-]+)?")
HUB_HANDLE = re.compile(r"[\w.-]+(/[\w.-]+)+/\d+")


class NotThereError(Exception):
    """The server has no such file, or shows it to nobody who is not logged in."""


@dataclass(frozen=True)
class Source:
    """Where an encoder's files come from.

    Attributes:
        name: How it is called: the folder in the archive, and from there the job's log and the manifest.
        family: ``hub`` or ``bert``; empty for a folder, whose files show it.
        place: An address, the name of a repository with or without ``@revision``, or a folder.
        preprocessor: The address of its preprocessor; empty where it needs none.
        entry: What the catalogue knows of it.
    """

    name: str
    family: str
    place: str
    preprocessor: str = ""
    entry: catalog.Entry | None = None


def main(arguments: Sequence[str]) -> int:
    """Fetch, check, leave the archive; say what was wrong otherwise."""
    parser = argparse.ArgumentParser(prog="fetch_encoder", description=__doc__)
    parser.add_argument("encoder", help="an id of docs/encoders.md, a handle or an address, or a folder")
    parser.add_argument("--output", type=Path, default=Path(), help="the folder that model.tar.gz is left in")
    parser.add_argument("--preprocessor", default="", help="handle of the preprocessor, for a BERT that is not listed")
    given = parser.parse_args(arguments)
    try:
        fetch(identify(given.encoder, given.preprocessor), given.output)
    except UserError as error:
        sys.stderr.write(f"fetch_encoder: {error}\n")
        return 1
    return 0


def identify(text: str, preprocessor: str = "") -> Source:
    """Understand what is asked for.

    Raises:
        UserError: It is none of what can be fetched.
    """
    if Path(text).is_dir():
        return Source(_file_name(Path(text).resolve().name), "", text)
    known, entry = catalog.identify(text), catalog.find(text)
    if known and entry and entry.family not in FETCHED:
        raise UserError(f"{text}: is in the image; a job needs no model channel for it")
    if known and entry:
        place = _hub_address(entry.handle) if entry.family == "hub" else entry.handle
        return Source(known, entry.family, place, _hub_address(entry.preprocessor or preprocessor), entry)
    repository = ADDRESS.sub(r"\1", text).rstrip("/")
    if REPOSITORY.fullmatch(repository):
        return Source(_file_name(repository.partition("@")[0].rpartition("/")[2]), "bert", repository)
    if text.startswith(("http://", "https://")) or HUB_HANDLE.fullmatch(text):
        parts = [part for part in text.partition("?")[0].split("/") if part and not part.isdecimal()]
        return Source(_file_name(parts[-1]), "hub", _hub_address(text), _hub_address(preprocessor))
    nearest = catalog.nearest(text)
    raise UserError(
        f"{text!r}: no folder, and no encoder that is listed in docs/encoders.md"
        f"{f' (did you mean {nearest}?)' if nearest else ''}; give an id, the owner/name of a Hugging Face repository, "
        "or the address of a SavedModel"
    )


def _hub_address(handle: str) -> str:
    """Return a handle's address, at the mirror where one is set."""
    path = handle.removeprefix(catalog.HUB)
    if not path or path.startswith(("http://", "https://")):
        return path
    return f"{os.environ.get('TFHUB_ENDPOINT', catalog.HUB).rstrip('/')}/{path}"


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]", "-", name).lstrip(".") or "encoder"


def fetch(source: Source, output: Path) -> None:
    """Leave the encoder's archive in a folder.

    Raises:
        UserError: It can't be had, or does not work.
    """
    target = output / ARCHIVE
    if target.exists():
        raise UserError(f"{target}: is there already; move it away, or name another folder")
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=output) as folder:
        work = Path(folder)
        files, channel = work / "files", work / "channel"
        files.mkdir()
        channel.mkdir()
        _gather(source, files, work / "source")
        archives.pack(files, channel / ARCHIVE)
        shutil.rmtree(files)
        said = check(channel, work / "unpacked", source)
        (channel / ARCHIVE).chmod(0o644)
        (channel / ARCHIVE).replace(target)
    _say(f"{said}\n{target}: {target.stat().st_size / 1e6:.1f} MB, sha256 {_digest(target)}")
    _say("Next: upload it, and give its S3 address as the channel `model`.")


def _gather(source: Source, files: Path, scratch: Path) -> None:
    if source.family == "bert":
        _download_checkpoint(source.place, files / source.name)
    elif source.family == "hub":
        _download_saved_model(source.place, files / source.name)
        if source.preprocessor:
            _download_saved_model(source.preprocessor, files / "preprocessor")
    else:
        scratch.mkdir()
        _copy(_found(Path(source.place), source.name, scratch), files / source.name)


def _found(folder: Path, name: str, scratch: Path) -> EncoderFiles:
    """Find the encoder in a folder as a job does on its channel."""
    try:
        return recognised(opened(folder, scratch), name)
    except UserError as error:
        raise UserError(f"{folder}: no encoder that can be taken ({error})") from None


def _copy(found: EncoderFiles, target: Path) -> None:
    """Copy an encoder, and of a checkpoint only what is read: weights in other forms are as large again."""
    if found.family != "bert":
        shutil.copytree(found.folder, target)
        return
    from classifier.encoders import bert, weights  # noqa: PLC0415  TensorFlow only once it is needed

    bert.copy_small_files(found.folder, target)
    for name in weights.files_of(found.folder):
        shutil.copyfile(found.folder / name, target / name)


def _download_checkpoint(repository: str, folder: Path) -> None:
    name, _, revision = repository.partition("@")
    base = f"{os.environ.get('HF_ENDPOINT', 'https://huggingface.co').rstrip('/')}/{name}/resolve/{revision or 'main'}"
    try:
        download(f"{base}/config.json", folder / "config.json")
    except NotThereError as error:
        raise UserError(
            f"{repository}: no config.json ({error}); check the name, or download a repository that asks for a login "
            "yourself and give its folder"
        ) from None
    architectures.read(folder)  # refuses other networks before their weights are downloaded
    from classifier.encoders import bert, pieces, weights  # noqa: PLC0415  TensorFlow only once it is needed

    present = {
        each: _try(f"{base}/{each}", folder / each) for each in (pieces.VOCABULARY, pieces.SETTINGS, bert.POOLING)
    }
    if not present[pieces.VOCABULARY]:
        _try(f"{base}/{pieces.TOKENIZER}", folder / pieces.TOKENIZER)
    if not pieces.has_vocabulary(folder):
        raise UserError(f"{repository}: {pieces.NO_VOCABULARY}")
    if _try(f"{base}/{weights.FILE}", folder / weights.FILE):
        return
    if not _try(f"{base}/{weights.INDEX}", folder / weights.INDEX):
        raise UserError(
            f"{repository}: has no {weights.FILE}; if it has pytorch_model.bin, download the repository and write "
            f"{weights.FILE} into its folder on a machine with PyTorch, in Python:\n{weights.CONVERSION}\n"
            "Then give the folder instead."
        )
    for shard in weights.shards(folder / weights.INDEX):
        download(f"{base}/{shard}", folder / shard)


def _download_saved_model(address: str, folder: Path) -> None:
    packed = folder.parent / f"{folder.name}.tar.gz"
    try:
        download(f"{address}{'&' if '?' in address else '?'}tf-hub-format=compressed", packed)
    except NotThereError as error:
        raise UserError(f"{address}: not there ({error}); check the handle and its version") from None
    archives.unpack(packed, folder, address)
    packed.unlink()


def _try(address: str, target: Path) -> bool:
    try:
        download(address, target)
    except NotThereError:
        return False
    return True


def download(address: str, target: Path) -> None:
    """Write what an address answers to a file.

    Raises:
        NotThereError: The server says so.
        UserError: There is no connection, or it broke.
    """
    if not address.startswith(("http://", "https://")):
        raise UserError(f"{address}: not an address of the web")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with (
            urllib.request.urlopen(address, timeout=TIMEOUT_SECONDS, context=_tls()) as answer,  # noqa: S310
            target.open("wb") as file,
        ):
            expected = answer.headers.get("Content-Length")
            shutil.copyfileobj(answer, file, PIECE_BYTES)
            size = file.tell()
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in {401, 403, 404, 410}:
            raise NotThereError(f"HTTP {error.code}") from None
        raise UserError(f"{address}: the server answered HTTP {error.code}; try again later") from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise UserError(
            f"{address}: no connection ({reason}); run this where the address can be reached, or give a folder"
        ) from None
    if expected is not None and size != int(expected):
        raise UserError(f"{address}: {size} of {expected} bytes came; try again")
    _say(f"downloaded {address} ({size / 1e6:.1f} MB)")


def _tls() -> ssl.SSLContext:
    """Return whom to trust: whom the machine trusts, and the usual authorities where it lists none, as the image."""
    context = ssl.create_default_context()
    if not context.cert_store_stats()["x509_ca"]:
        context.load_verify_locations(certifi.where())
    return context


def check(channel: Path, scratch: Path, source: Source) -> str:
    """Load the archive as a job does, ask it, and return a sentence on it.

    Raises:
        UserError: It does not load, or does not answer with finite vectors of the width that is expected.
    """
    scratch.mkdir()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf  # noqa: PLC0415  takes seconds

    from classifier.encoders.texts import TokenPreprocessor  # noqa: PLC0415  likewise

    found = recognised(opened(channel, scratch / "none"), source.name)
    encoder = family(found.family).load(found.folder, found.name, LENGTH)
    texts, preprocessor = tf.constant(TEXTS), encoder.preprocessor
    vectors = encoder.layer(preprocessor.tokenize(texts) if isinstance(preprocessor, TokenPreprocessor) else texts)
    width = vectors.shape[-1]
    if vectors.shape[0] != len(TEXTS) or not bool(tf.reduce_all(tf.math.is_finite(vectors))):
        raise UserError(f"{source.name}: its answers are no finite vectors; the files are damaged or no text encoder")
    if source.entry is not None and source.entry.width != width:
        raise UserError(f"{source.name}: its vectors have {width} values, not {source.entry.width}: another encoder")
    licence = f", licence {source.entry.licence}" if source.entry else ""
    return f"{found.name}: family {found.family}, pooling {encoder.pooling}, vectors of {width} values{licence}"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
