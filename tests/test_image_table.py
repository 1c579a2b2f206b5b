"""The table of what fills the image, made of what an image says of itself."""

import os
import sys
from pathlib import Path

from jobs import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import image_contents
import image_table

MEGABYTE = 10**6


def test_a_file_with_two_names_is_counted_once(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(bytes(7))
    os.link(tmp_path / "one", tmp_path / "other")
    assert image_contents.sizes(tmp_path) == {"Debian": 7}


def test_what_a_package_installed_is_the_packages() -> None:
    import safetensors

    folder = Path(safetensors.__file__).parent
    (owner,) = {name for name, size in image_contents.sizes(folder).items() if size > 100_000}
    assert owner == f"safetensors=={safetensors.__version__}"


def test_requirements_are_those_that_are_installed_and_no_extras() -> None:
    requires = image_contents.requires()
    assert "numpy" in requires["openvino"]
    assert "openvino-telemetry" not in requires["openvino"]
    assert "pytest" not in requires["pandas"]


def test_the_way_to_a_package_is_the_shortest_from_what_the_project_asks_for() -> None:
    requires = {"a": ["b", "c"], "b": ["c", "d"], "c": [], "d": [], "stray": []}
    assert image_table.chains(requires, {"a", "absent"}) == {
        "a": ["a"], "b": ["a", "b"], "c": ["a", "c"], "d": ["a", "b", "d"]
    }  # fmt: skip


def test_the_project_asks_for_what_pyproject_names() -> None:
    assert {"tensorflow-cpu", "tensorflow", "openvino", "sagemaker-training"} <= image_table.direct()


def test_large_parts_have_a_row_each_and_small_ones_share_one() -> None:
    sizes = {"d==2": 5 * MEGABYTE, "pandas==1": 40 * MEGABYTE, "e==3": MEGABYTE, "f==1": 2 * MEGABYTE}
    table = image_table.filled_table(sizes, {"d": ["a", "b", "d"]})
    assert table.splitlines()[2:] == [
        "| pandas 1 | 40 | training: reads the data |",
        "| d 2 | 5 | a → b |",
        "| 2 others, each below 5 MB | 3 | |",
        "| **together** | **48** | |",
    ]


def test_what_was_taken_out_for_one_reason_is_one_row() -> None:
    removed = [
        {"what": "a/tests", "why": "tests", "size": 2 * MEGABYTE},
        {"what": "c/include", "why": "headers", "size": 9 * MEGABYTE},
        {"what": "b/tests", "why": "tests", "size": 3 * MEGABYTE},
    ]
    assert image_table.removed_table(removed).splitlines()[2:] == [
        "| `c/include` | 9 | headers |",
        "| `a/tests`, `b/tests` | 5 | tests |",
        "| **together** | **14** | |",
    ]


def test_the_page_says_why_every_part_is_there() -> None:
    page = (ROOT / "docs" / "docker-image.md").read_text(encoding="utf-8")
    rows = page.partition("<!-- image -->")[2].partition("<!-- /image -->")[0]
    assert "GB** as `docker images` counts it" in rows
    assert image_table.who("nobody's==1", {}) not in rows
