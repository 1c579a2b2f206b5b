"""The report in a real browser: Debian's Chromium, without a screen."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs import ROOT
from test_report import HOSTILE, of_split, written

sys.path.insert(0, str(ROOT / "tools"))
import chromium

pytestmark = pytest.mark.skipif(not chromium.is_installed(), reason="needs Chromium (apt-get install chromium)")
TOO_WIDE = "document.scrollingElement.scrollWidth - window.innerWidth"
BACKGROUND = "getComputedStyle(document.body).backgroundColor"


@pytest.fixture(scope="module")
def browser() -> Iterator[chromium.Tab]:
    with chromium.browsing() as started:
        yield started


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A report whose labels are meant to break it."""
    labels = [*HOSTILE, *(f"label {number}" for number in range(20))]
    written(tmp_path, {"validation": of_split(labels), "test": of_split(labels)})
    return tmp_path / "report.html"


def test_a_jobs_page_opens_without_errors_and_asks_for_nothing_else(browser: chromium.Tab, tiny_model: Path) -> None:
    page = tiny_model.parent / "output" / "data" / "report.html"
    browser.look(1280)
    browser.open(page.as_uri())
    assert browser.problems == []
    assert browser.others(page.as_uri()) == []
    assert browser.value("document.querySelector('#summary p').innerText").startswith(
        "The whole network of the encoder"
    )
    empty = "[...document.querySelectorAll('section')].filter(each => !/[0-9]/.test(each.innerText)).length"
    assert browser.value(empty) == 0
    assert browser.value("[...document.querySelectorAll('svg')].every(each => each.getAttribute('aria-label'))")


@pytest.mark.parametrize("width", [1280, 390])
def test_a_page_fits_its_screen_and_runs_no_label(browser: chromium.Tab, hostile: Path, width: int) -> None:
    browser.problems.clear()
    browser.look(width)
    browser.open(hostile.as_uri())
    assert browser.problems == []
    assert browser.value(TOO_WIDE) <= 0
    assert browser.value("document.title") == "Training report"
    assert browser.value("document.scripts.length + document.images.length") == 0


def test_a_page_is_dark_where_the_reader_likes_it_dark(browser: chromium.Tab, hostile: Path) -> None:
    seen = []
    for dark in (False, True):
        browser.look(1280, dark=dark)
        browser.open(hostile.as_uri())
        seen.append(browser.value(BACKGROUND))
    assert seen == ["rgb(255, 255, 255)", "rgb(20, 24, 29)"]


def test_every_chart_opens_by_itself(browser: chromium.Tab, hostile: Path) -> None:
    browser.problems.clear()
    charts = sorted((hostile.parent / "report").glob("*.svg"))
    assert [path.stem for path in charts] == ["confusion", "f1"]
    for path in charts:
        browser.look(1280)
        browser.open(path.as_uri())
        assert browser.value("document.documentElement.tagName") == "svg"
        assert browser.value("document.querySelectorAll('text').length") > 20
    assert browser.problems == []
