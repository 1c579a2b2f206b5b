"""Make the report of a job, or of a model, again: ``python -m classifier.report JOB_OR_MODEL``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from classifier import report
from classifier.errors import UserError
from classifier.report.results import EVALUATION, MANIFEST


def main(arguments: Sequence[str] | None = None) -> int:
    """Make a report, and print where it is.

    Returns:
        0; wrong usage, or files that training did not write, end the program with 2.
    """
    parser = argparse.ArgumentParser(prog="python -m classifier.report", description=__doc__)
    parser.add_argument(
        "folder",
        metavar="JOB_OR_MODEL",
        type=Path,
        help="a job's folder, as /opt/ml; an output.tar.gz, unpacked; or a model folder",
    )
    parser.add_argument(
        "--output", type=Path, help=f"where it goes (default: beside {EVALUATION}; of a model alone, here)"
    )
    given = parser.parse_args(arguments)
    folder, model = found(given.folder)
    if folder is None and model is None:
        parser.error(
            f"{given.folder}: holds neither {EVALUATION} nor a model's {MANIFEST}; give a job's folder, the unpacked "
            "output.tar.gz, or the unpacked model.tar.gz"
        )
    try:
        path = report.write(folder, model, given.output or (Path() if folder is None else None))
    except UserError as error:
        parser.error(str(error))
    print(path)  # noqa: T201  the program's output
    return 0


def found(given: Path) -> tuple[Path | None, Path | None]:
    """Return the folder with ``evaluation.json`` and the model folder, each None where there is none.

    Args:
        given: A job's folder, one of these two folders, or one with both files in it.
    """
    base = given.resolve()
    jobs = (base, base.parent, base.parent.parent)  # of a job's folder, its model/, and its output/data/
    results = (base, *(job / "output" / "data" for job in jobs))
    models = (base, *(job / "model" for job in jobs))
    return (
        next((folder for folder in results if (folder / EVALUATION).is_file()), None),
        next((folder for folder in models if (folder / MANIFEST).is_file()), None),
    )


if __name__ == "__main__":
    sys.exit(main())
