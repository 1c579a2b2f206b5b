"""The report on a job: one page, ``report.html``, and its charts, made from the files that the job wrote."""

import shutil
from pathlib import Path

from classifier import artifact
from classifier.report import page, results
from classifier.report.results import EVALUATION, EXAMPLES, LEADERBOARD, MISCLASSIFIED

__all__ = ["CHARTS", "EVALUATION", "EXAMPLES", "LEADERBOARD", "MISCLASSIFIED", "PAGE", "remove", "write"]

PAGE = "report.html"
CHARTS = "report"  # the folder of the charts


def write(folder: Path | None, model_folder: Path | None, output: Path | None = None) -> Path:
    """Write the report.

    Args:
        folder: The folder with ``evaluation.json`` and the other files on the job; None without one.
        model_folder: The model folder; None without one.
        output: Where the report goes; None for the folder of ``evaluation.json``.

    Returns:
        The page.

    Raises:
        UserError: A file is not what training writes.
    """
    target = output or folder
    if target is None:
        raise ValueError("a model alone needs a folder for its report")
    known = results.read(folder, model_folder)
    made = page.sections(known)
    charts = target / CHARTS
    charts.mkdir(parents=True, exist_ok=True)
    for chart in (chart for section in made for chart in section.charts):
        artifact.write_whole(charts / f"{chart.name}.svg", page.svg(chart))
    artifact.write_whole(target / PAGE, page.html(known, made))
    return target / PAGE


def remove(folder: Path) -> None:
    """Remove the report of an earlier run, and its examples."""
    shutil.rmtree(folder / CHARTS, ignore_errors=True)
    for name in (PAGE, EXAMPLES):
        (folder / name).unlink(missing_ok=True)
