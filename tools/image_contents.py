"""Say what fills an image, as JSON: `docker run --rm --interactive IMAGE python3 - < image_contents.py`.

Runs in the image, with its Python's standard library only.
"""

import json
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

REMOVED = Path("/opt/venv/removed.json")
# Of what Debian installed, and of what is in no package's list: the first that a path or a package begins with.
FOLDERS = {
    "/opt/program/pretrained": "default encoders",
    "/opt/program": "this project",
    "/usr/lib/python3": "Debian's Python",
    "/opt/venv": "other files of /opt/venv",
}
DEBIAN_PACKAGES = {"nginx": "nginx", "libnginx": "nginx", "python3": "Debian's Python", "libpython3": "Debian's Python"}


def main() -> int:
    """Print the sizes in bytes by component, who requires whom, and what was taken out."""
    removed = json.loads(REMOVED.read_text(encoding="utf-8")) if REMOVED.exists() else []
    json.dump({"sizes": sizes(Path("/")), "requires": requires(), "removed": removed}, sys.stdout)
    return 0


def sizes(root: Path) -> dict[str, int]:
    """Return the bytes of every component; a distribution has its name with `==` and the version."""
    owners = {**_debian_owners(root), **_distribution_owners()}
    found: Counter[str] = Counter()
    for path, size in _files(root):
        found[owners.get(path) or _first(FOLDERS, path) or "Debian"] += size
    return dict(found)


def requires() -> dict[str, list[str]]:
    """Return the names that each distribution requires here, as far as they are installed."""
    lines = {_normal(each.metadata["Name"]): each.requires or [] for each in metadata.distributions()}
    return {name: sorted({_required(line) for line in each} & lines.keys()) for name, each in lines.items()}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _required(line: str) -> str:
    """The name in a line of metadata; none where only an extra asks for it."""
    name = re.match(r"[\w.-]+", line)
    return _normal(name[0]) if name and "extra ==" not in line else ""


def _distribution_owners() -> dict[str, str]:
    owners = {}
    for each in metadata.distributions():
        owner = f"{_normal(each.metadata['Name'])}=={each.version}"
        owners.update({_real(str(each.locate_file(file))): owner for file in each.files or ()})
    return owners


def _debian_owners(root: Path) -> dict[str, str]:
    owners = {}
    for listing in (root / "var/lib/dpkg/info").glob("*.list"):
        owner = _first(DEBIAN_PACKAGES, listing.name) or "Debian"
        for line in listing.read_text(encoding="utf-8").splitlines():
            owners[_real(line)] = owner
    return owners


def _real(path: str) -> str:
    """The path of a file without links on the way to it; a link itself stays one."""
    folder, _, name = path.rpartition("/")
    return f"{_real_folder(folder or '/').rstrip('/')}/{name}"


@cache
def _real_folder(folder: str) -> str:
    return os.path.realpath(folder)


def _first(beginnings: dict[str, str], name: str) -> str | None:
    return next((value for beginning, value in beginnings.items() if name.startswith(beginning)), None)


def _files(root: Path) -> Iterator[tuple[str, int]]:
    """Every file of the image once, however many names it has; nothing of what is mounted."""
    device, seen = root.lstat().st_dev, set()
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if os.lstat(os.path.join(folder, name)).st_dev == device]  # noqa: PTH118
        for name in names:
            path = os.path.join(folder, name)  # noqa: PTH118  a hundred thousand of them
            status = os.lstat(path)
            if status.st_dev == device and status.st_ino not in seen:
                seen.add(status.st_ino)
                yield path, status.st_size


if __name__ == "__main__":
    sys.exit(main())
