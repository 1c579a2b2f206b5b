"""The repository keeps its own promises."""

import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from jobs import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import make_docs

PROGRAMS = (
    "container/train", "container/serve", "container/batch", "build_and_push.sh", "deploy/deploy.sh",
    "deploy/undeploy.sh", ".ci/run",
)  # fmt: skip
REQUIRED = """
T01-T08 T13 T15 T16 T20-T39 T50-T57 T70-T72 T80-T83 T85 T86 C01-C13 U01-U09
H01-H15 H17-H32 H34 H35 H37 H39-H41 A01-A05 B02-B13 S01-S06 S09 M01-M11 P01 P02 D01-D06
"""


def tracked() -> list[Path]:
    """Every file of the repository; in a copy without git, every file that is not made by its tools."""
    listing = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    names = listing.stdout.splitlines()
    if not names:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def required() -> list[str]:
    names = []
    for word in REQUIRED.split():
        first, _, last = word.partition("-")
        names += [f"{first[0]}{number:02}" for number in range(int(first[1:]), int((last or first)[1:]) + 1)]
    return names


def test_every_requirement_has_a_test_or_a_reason_why_not() -> None:
    page = (ROOT / "docs" / "contract.md").read_text(encoding="utf-8")
    excused = re.findall(r"^\| ([A-Z]\d\d)", page.partition("## Without a test")[2].partition("\n## ")[0], re.MULTILINE)
    assert [name for name in required() if name not in make_docs.cited() and name not in excused] == []


def test_generated_pages_are_up_to_date() -> None:
    for path, content in make_docs.pages().items():
        assert path.read_text(encoding="utf-8") == content, f"{path.name}: run make docs"


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_can_be_run_X01(name: str) -> None:
    assert (ROOT / name).stat().st_mode & stat.S_IXUSR
    assert (ROOT / name).read_bytes().startswith(b"#!")


def test_every_text_file_has_line_feeds_only_X02() -> None:
    contents = {path: path.read_bytes() for path in tracked()}
    carriage_returns = [path for path, content in contents.items() if b"\r\n" in content and b"\0" not in content]
    assert carriage_returns == []


def test_locks_have_hashes_and_no_address_of_a_registry() -> None:
    for path in (ROOT / "requirements").glob("*.txt"):
        text = path.read_text(encoding="utf-8")
        assert "://" not in text, path.name
        assert "index-url" not in text, path.name
        pinned = re.findall(r"^[a-z0-9][\w.-]*(?:\[[\w,-]+\])?==\S+", text, re.MULTILINE)
        assert pinned, path.name
        assert len(re.findall(r"^[a-z0-9].*==\S+ \\\n    --hash=sha256:", text, re.MULTILINE)) == len(pinned), path.name


def test_the_cpu_lock_has_one_tensorflow() -> None:
    names = re.findall(
        r"^([a-z0-9-]+)==", (ROOT / "requirements" / "cpu.txt").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert "tensorflow-cpu" in names
    assert "tensorflow" not in names


def test_the_two_dockerfiles_differ_only_in_the_lock_and_what_a_gpu_needs() -> None:
    cpu, gpu = ((ROOT / f"Dockerfile.{kind}").read_text(encoding="utf-8").splitlines() for kind in ("cpu", "gpu"))
    only_gpu = [line for line in gpu if line.replace("gpu", "cpu") not in cpu]
    assert [line for line in only_gpu if "NVIDIA" not in line and not line.endswith("GROWTH=true \\")] == []


def test_the_readme_is_short_and_its_links_lead_somewhere() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(readme.splitlines()) <= 250
    for page in [ROOT / "README.md", ROOT / "deploy" / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
