"""What is taken out of the image's packages, and that no more is; the packages here are those of the image's lock."""

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from jobs import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import slim_image

SITE = Path(sysconfig.get_path("purelib"))


def write(path: Path, size: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    return path


def test_every_line_of_the_list_finds_something_in_the_locked_versions() -> None:
    assert [pattern for pattern in slim_image.UNUSED if not list(SITE.glob(pattern))] == []


def test_what_is_found_goes_and_is_counted_once_and_the_rest_stays(tmp_path: Path) -> None:
    write(tmp_path / "package" / "tests" / "more" / "tests" / "one.py", 100)
    write(tmp_path / "package" / "tests" / "two.py", 20)
    write(tmp_path / "package" / "part" / "tests" / "three.py", 3)
    write(tmp_path / "package" / "data.bin", 4000)
    kept = write(tmp_path / "package" / "testing.py", 1)
    saved = slim_image.slim(tmp_path, {"package/**/tests": "tests", "package/*.bin": "data"}, ())
    assert saved == [
        slim_image.Saved("package/**/tests", "tests", 123),
        slim_image.Saved("package/*.bin", "data", 4000),
    ]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [kept]


def test_a_line_that_finds_nothing_ends_the_build_and_nothing_is_touched(tmp_path: Path) -> None:
    kept = write(tmp_path / "package" / "include" / "a.h", 1)
    with pytest.raises(SystemExit, match=r"^package/gone, other/\*\.so: not in "):
        slim_image.slim(tmp_path, {"package/include": "a", "package/gone": "b", "other/*.so": "c"}, ())
    assert kept.exists()


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A package with a shared library that has names for a debugger."""
    if not shutil.which("strip"):
        pytest.skip("needs binutils")
    package = tmp_path / "tokenizers"
    shutil.copytree(SITE / "tokenizers", package)
    (found,) = package.glob("*.so")
    return found


def test_a_stripped_library_is_smaller_and_still_loads_and_a_second_strip_is_refused(library: Path) -> None:
    site, before = library.parents[1], library.stat().st_size
    (saved,) = slim_image.slim(site, {}, ["tokenizers"])
    assert saved.size == before - library.stat().st_size > 1_000_000
    # In a process of its own: this one would end with a library in its memory whose file has changed.
    subprocess.run([sys.executable, "-c", "import ctypes, sys; ctypes.CDLL(sys.argv[1])", library], check=True)
    with pytest.raises(SystemExit, match="tokenizers: nothing to strip"):
        slim_image.slim(site, {}, ["tokenizers"])


def test_the_program_works_on_the_packages_of_the_python_that_runs_it(tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    program = [environment / "bin" / "python", ROOT / "tools" / "slim_image.py", tmp_path / "removed.json"]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("tensorflow/include, ")
    assert f"not in {environment}" in done.stderr
    assert not (tmp_path / "removed.json").exists()
