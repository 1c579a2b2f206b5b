"""``.tar.gz`` archives of encoders: unpacked safely, and packed reproducibly."""

import gzip
import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO

from classifier import resources
from classifier.errors import UserError

PIECE_BYTES = 1 << 20
SUFFIXES = (".tar.gz", ".tgz")
# Weights hardly compress, whatever the level.
COMPRESSION = 1


def unpack(path: Path, folder: Path, where: str) -> None:
    """Unpack an archive, and read it to its end to verify its checksum.

    Args:
        path: The archive.
        folder: The folder to unpack it in.
        where: The prefix of error messages: where the archive comes from.

    Raises:
        UserError: The archive is damaged, or has members other than files and folders below it.
    """
    with resources.room_for(f"what is in {path.name}", folder):
        _unpack(path, folder, where)


def _unpack(path: Path, folder: Path, where: str) -> None:
    try:
        with gzip.open(path) as content:
            with tarfile.open(fileobj=content, mode="r|") as archive:
                for member in archive:
                    _unpack_member(archive, member, folder, where)
            while content.read(PIECE_BYTES):
                pass
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        if resources.full_disk(error):
            raise
        raise UserError(f"{where}: {path.name} can't be unpacked ({error}); pack it again") from error


def _unpack_member(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path, where: str) -> None:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or not (member.isreg() or member.isdir()):
        raise UserError(
            f"{where}: the archive's {member.name!r} is a link, a device or leads outside of it; "
            "pack only files and folders, with relative names"
        )
    content: IO[bytes] | None = archive.extractfile(member)
    if content is None or path.name.startswith("._"):
        return
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    with content, target.open("wb") as file:
        shutil.copyfileobj(content, file)


def pack(folder: Path, path: Path) -> None:
    """Write the files below a folder as an archive that depends on their names and contents only."""
    with (
        path.open("wb") as file,
        gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=COMPRESSION, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for source in sorted(each for each in folder.rglob("*") if each.is_file()):
            member = tarfile.TarInfo(source.relative_to(folder).as_posix())
            member.size = source.stat().st_size
            with source.open("rb") as content:
                archive.addfile(member, content)
