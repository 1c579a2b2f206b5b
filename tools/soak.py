"""Load and abuse a running server over HTTP, and say in a table what became of it: `python tools/soak.py --help`."""

import argparse
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import soak_clients
import soak_load
from local_run import ROOT, train
from soak_report import Row, Sizes, say
from soak_requests import read_images, read_texts, texts
from soak_server import Start, container, program

PAGE = ROOT / "docs" / "operations.md"
MARKS = ("<!-- soak -->\n", "<!-- /soak -->")
DEMO = ROOT / "build" / "soak"
TEXTS_DEMO = ROOT / "local_test" / "test_dir"
IMAGES_DEMO = ROOT / "local_test" / "test_dir_images"
MOST_TEXTS = 256

PHASES: Mapping[str, Callable[[Start, Sizes], Row]] = {
    "fuzz": soak_clients.fuzz,
    "slow": soak_clients.slow,
    "resets": soak_clients.resets,
    "kills": soak_load.kills,
    "load": soak_load.load,
    "busy": soak_load.busy,
    "images": soak_load.images,
}
OF_IMAGES = ("images",)
"""The phases of a server with a model of images; the others have one with a model of texts."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the phases; return 1 where one failed."""
    options = _options(arguments)
    sizes = Sizes(
        read_texts(options.texts)[:MOST_TEXTS] if options.texts else texts(MOST_TEXTS),
        read_images(IMAGES_DEMO / "input" / "data" / "test"),
        fuzz_requests=options.fuzz,
        load_minutes=options.minutes,
        busy_records=options.records,
        image_minutes=options.image_minutes,
    )
    rows = [run(name, _start(name, options), sizes) for name in options.only]
    written = table(rows)
    sys.stdout.write(written)
    if options.write:
        write(PAGE, written)
    return 1 if any(row.problems for row in rows) else 0


def _start(name: str, options: argparse.Namespace) -> Start:
    """Return what starts the server of a phase."""
    if name in OF_IMAGES:
        model = options.image_model or _demo_model(IMAGES_DEMO)
    else:
        model = options.model or _demo_model(TEXTS_DEMO)
    return partial(container, options.image, model) if options.image else partial(program, model)


def run(name: str, start: Start, sizes: Sizes) -> Row:
    """Run a phase, and tell who watches."""
    say(f"{name}: begins")
    began = time.monotonic()
    row = PHASES[name](start, sizes)
    say(f"{name}: {'; '.join(row.problems) or 'passed'} ({time.monotonic() - began:.0f} s)")
    return row


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = [f"| {row.what} | {row.amount} | {row.result} | {_verdict(row)} |" for row in rows]
    return "\n".join(["| what | how much | seen | |", "|---|---|---|---|", *lines, ""])


def _verdict(row: Row) -> str:
    return "**failed**: " + "; ".join(row.problems) if row.problems else "passed"


def write(page: Path, written: str) -> None:
    """Put a table between the marks of a page.

    Raises:
        SystemExit: The page has no such marks.
    """
    content = page.read_text(encoding="utf-8") if page.exists() else ""
    start, end = MARKS
    if start not in content or end not in content:
        raise SystemExit(f"{page}: lacks {start.strip()} and {end}")
    before, _, rest = content.partition(start)
    page.write_text(before + start + written + end + rest.partition(end)[2], encoding="utf-8")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Load and abuse a server; exit 1 where it does not bear it.")
    parser.add_argument(
        "--model", type=Path, help="folder with a finished model; without it one is trained on the demo"
    )
    parser.add_argument("--image-model", type=Path, help="the same for images")
    parser.add_argument("--image", help="run this Docker image, as root, instead of container/serve")
    parser.add_argument("--only", type=_names, default=list(PHASES), help=f"some of {','.join(PHASES)}")
    parser.add_argument("--fuzz", type=int, default=5_000, help="odd requests (5000)")
    parser.add_argument("--minutes", type=float, default=10, help="of load (10)")
    parser.add_argument("--image-minutes", type=float, default=4, help="of load with images (4)")
    parser.add_argument("--records", type=int, default=30, help="texts of each long request (30)")
    parser.add_argument("--texts", type=Path, help="CSV file whose last column is asked, instead of made-up texts")
    parser.add_argument("--write", action="store_true", help="write the table in docs/operations.md")
    return parser.parse_args(arguments)


def _names(text: str) -> list[str]:
    names = text.split(",")
    unknown = sorted({*names} - {*PHASES})
    if unknown:
        raise argparse.ArgumentTypeError(f"no such phase: {', '.join(unknown)}")
    return names


def _demo_model(demo: Path) -> Path:
    base = DEMO / demo.name
    if not (base / "model" / "manifest.json").exists():
        say(f"no model is given: training one on {demo.relative_to(ROOT)}")
        shutil.rmtree(base, ignore_errors=True)
        shutil.copytree(demo / "input", base / "input")
        train(base)
    return base / "model"


if __name__ == "__main__":
    sys.exit(main())
