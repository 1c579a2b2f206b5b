"""Screenshots of reports, to look at: `python tools/report_screenshots.py JOB...`, in `build/report-screenshots`.

Of each job's `output/data/report.html`, on a screen and on a phone, in the light and in the dark.
"""

import sys
from pathlib import Path

import chromium

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "report-screenshots"
WIDTHS = (1280, 390)


def main() -> int:
    """Write the screenshots; return 1 if a page asks for another file, or reports an error."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    problems: list[str] = []
    with chromium.browsing() as tab:
        for job in map(Path, sys.argv[1:]):
            page = next(
                path for path in (job / "output" / "data" / "report.html", job / "report.html") if path.exists()
            )
            for width in WIDTHS:
                for scheme in ("light", "dark"):
                    tab.look(width, dark=scheme == "dark")
                    tab.open(page.resolve().as_uri())
                    path = FOLDER / f"{job.name}-{width}-{scheme}.png"
                    tab.screenshot(path)
                    sys.stdout.write(f"{path.relative_to(ROOT)}\n")
            problems += [f"{page}: {words}" for words in (*tab.problems, *tab.others(page.resolve().as_uri()))]
            tab.problems.clear()
            tab.requests.clear()
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
