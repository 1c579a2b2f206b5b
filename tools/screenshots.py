"""Screenshots to look at: `python tools/screenshots.py [--text TEXT] JOB...`, in `build/screenshots`.

Of each job, the report, and the page on which to try its model with an answer on it: a text with the words that made
its label, or an image of the job. All on a screen and on a phone, in the light and in the dark.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import chromium
from local_run import ROOT, serving

FOLDER = ROOT / "build" / "screenshots"
WIDTHS = (1280, 390)
TEXT = "The brake pedal goes soft and the car takes longer to stop."
IMAGES = ("*.png", "*.jpg", "*.jpeg")
DONE = "document.body.ariaBusy === 'false'"


def main() -> int:
    """Write the screenshots; return 1 if a page reports an error, or asks for what it should not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("jobs", metavar="JOB", type=Path, nargs="+", help="a job's folder, or one with a report alone")
    parser.add_argument("--text", default=TEXT, help="what a model of texts is asked (default: %(default)s)")
    given = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    with chromium.browsing() as tab:
        problems = [problem for job in given.jobs for problem in _of_job(tab, job.resolve(), given.text)]
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    return 1 if problems else 0


def _of_job(tab: chromium.Tab, job: Path, text: str) -> Iterator[str]:
    """Take the screenshots of a job; yield what its pages complain of."""
    found = [path for path in (job / "output" / "data" / "report.html", job / "report.html") if path.exists()]
    model = (job / "model").is_dir()
    if not found and not model:
        yield f"{job}: has neither a report nor a model"
    for report in found[:1]:
        tab.open(report.as_uri())
        _take(tab, f"{job.name}-report")
        yield from _complaints(tab, report.as_uri(), allowed=())
    if model:
        with serving(job) as address:
            tab.open(f"{address}/")
            _ask(tab, job, text)
            _take(tab, f"{job.name}-page")
            yield from _complaints(tab, f"{address}/", allowed=(f"{address}/invocations", "blob:"))


def _ask(tab: chromium.Tab, job: Path, text: str) -> None:
    """Ask the model by its page, as a person would."""
    if tab.value("document.documentElement.dataset.modality") == "text":
        tab.write("#text", text)
        tab.click("#send")
    else:
        tab.drop("#drop", min(path for pattern in IMAGES for path in (job / "input").rglob(pattern)))
    tab.wait_for(DONE)


def _take(tab: chromium.Tab, name: str) -> None:
    """Write the screenshots of the page that is open."""
    for width in WIDTHS:
        for scheme in ("light", "dark"):
            tab.look(width, dark=scheme == "dark")
            path = FOLDER / f"{name}-{width}-{scheme}.png"
            tab.screenshot(path)
            sys.stdout.write(f"{path.relative_to(ROOT)}\n")


def _complaints(tab: chromium.Tab, page: str, allowed: tuple[str, ...]) -> list[str]:
    """Return the errors that a page reported, and what it asked for beside itself and what it may; forget them."""
    others = [f"asks for {address}" for address in tab.others(page) if not address.startswith(allowed)]
    found = [f"{page}: {words}" for words in (*tab.problems, *others)]
    tab.problems.clear()
    tab.requests.clear()
    return found


if __name__ == "__main__":
    sys.exit(main())
