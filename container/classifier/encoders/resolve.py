"""Find the encoder a job asks for: the files on its ``model`` channel, else one that is in the image."""

import gzip
import importlib
import shutil
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Protocol

from classifier.environment import channel_files
from classifier.errors import UserError

PIECE_BYTES = 1 << 20
FAMILIES = ("bert", "hub")  # in the order they are tried


class Family(Protocol):
    """What a module of this folder offers."""

    def recognise(self, folder: Path) -> bool:
        """Say whether a folder holds something of this family."""
        ...


@dataclass(frozen=True)
class EncoderFiles:
    """Where an encoder's files are, before anything is loaded.

    Attributes:
        name: How the log and the manifest call it.
        family: The module of this package that loads it.
        folder: Its files.
    """

    name: str
    family: str
    folder: Path


def resolve(channel: Path | None, model_id: str, pretrained: Path, scratch: Path) -> EncoderFiles:
    """Find the encoder.

    Args:
        channel: The folder of the ``model`` channel, None where the job has none.
        model_id: Which of the encoders in the image to take without that channel.
        pretrained: The folder of the encoders in the image.
        scratch: An empty folder to unpack an archive in.

    Raises:
        UserError: There is no such encoder, or the channel's files are not one.
    """
    if channel is not None:
        if not channel_files(channel):
            raise UserError(
                "channel model: the job names it, but it has no files; check its S3 address or leave it out"
            )
        folder = _unpacked(channel, scratch)
        if (folder / "manifest.json").is_file():
            raise UserError(
                "the model channel holds a model this image trained; to train it further is not supported yet, "
                "so leave the channel out to start from the pre-trained encoder"
            )
        return _recognised(folder, "model channel")
    folder = pretrained / model_id
    known = sorted(path.name for path in pretrained.glob("*") if path.is_dir())
    if model_id not in known:
        raise UserError(
            f"hyperparameter model_id={model_id!r}: the image holds only {', '.join(known) or 'no encoder'}; "
            "put the encoder's files on the model channel"
        )
    return _recognised(folder, model_id)


def _recognised(folder: Path, name: str) -> EncoderFiles:
    for family in FAMILIES:
        module: Family = importlib.import_module(f"classifier.encoders.{family}")
        candidates = [folder, *(path for path in sorted(folder.glob("*")) if path.is_dir())]
        matching = [candidate for candidate in candidates if module.recognise(candidate)]
        if not matching:
            continue
        if folder in matching or len(matching) > 1:
            return EncoderFiles(name, family, folder)
        return EncoderFiles(matching[0].name, family, matching[0])
    found = ", ".join(path.relative_to(folder).as_posix() for path in channel_files(folder)[:10]) or "nothing"
    raise UserError(
        f"{name}: no encoder among its files ({found}); it takes a BERT checkpoint (config.json, vocab.txt, "
        "model.safetensors) or a TensorFlow Hub SavedModel, loose or as one .tar.gz"
    )


def _unpacked(channel: Path, scratch: Path) -> Path:
    files = channel_files(channel)
    archives = [path for path in files if path.name.endswith((".tar.gz", ".tgz"))]
    if not archives:
        return channel
    if len(files) > 1:
        raise UserError("model channel: holds an archive and other files beside it; give one .tar.gz or loose files")
    try:
        _unpack(archives[0], scratch)
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise UserError(f"model channel: {archives[0].name} can't be unpacked ({error}); pack it again") from error
    return scratch


def _unpack(path: Path, scratch: Path) -> None:
    """Unpack an archive and read it to its very end, where the checksum of all of it is."""
    with gzip.open(path) as content:
        with tarfile.open(fileobj=content, mode="r|") as archive:
            for member in archive:
                _unpack_member(archive, member, scratch)
        while content.read(PIECE_BYTES):
            pass


def _unpack_member(archive: tarfile.TarFile, member: tarfile.TarInfo, scratch: Path) -> None:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or not (member.isreg() or member.isdir()):
        raise UserError(
            f"model channel: the archive's {member.name!r} is a link, a device or leads outside of it; "
            "pack only files and folders, with relative names"
        )
    content: IO[bytes] | None = archive.extractfile(member)
    if content is None or path.name.startswith("._"):
        return
    target = scratch / path
    target.parent.mkdir(parents=True, exist_ok=True)
    with content, target.open("wb") as file:
        shutil.copyfileobj(content, file)
