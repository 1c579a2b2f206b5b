"""The page: every section as one HTML file that loads nothing, and the charts as SVG files."""

import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import jinja2
from markupsafe import Markup

from classifier.report import background, certainty, quality, summary
from classifier.report.elements import Chart, Section, is_text, shown
from classifier.report.results import Results

FOLDER = Path(__file__).parent
SECTIONS: tuple[Callable[[Results], Section | None], ...] = (
    summary.section,
    quality.candidates,
    quality.learning,
    quality.by_label,
    quality.confusions,
    background.mistakes,
    background.suspects,
    certainty.calibration,
    certainty.coverage,
    background.lengths,
    background.label_mix,
    background.cost,
    background.settings,
)


def sections(results: Results) -> list[Section]:
    """Return the sections of what is known of a job."""
    return [section for make in SECTIONS if (section := make(results)) is not None]


def html(results: Results, made: list[Section]) -> str:
    """Return the page with these sections."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"svg": _inline, "cell": _cell}
    environment.tests["text"] = is_text
    name = results.manifest.get("encoder", {}).get("name")
    labels = len(results.manifest.get("labels", ()))
    return environment.get_template("page.html").render(
        title=f"{shown(name)}, {labels} labels" if name else "Training report",
        style=Markup(_style("charts.css") + _style("page.css")),  # noqa: S704  files of this package
        sections=made,
        footer="Made from the files of the job. Nothing in this page is loaded from elsewhere.",
    )


def svg(chart: Chart) -> str:
    """Return a chart as the content of an SVG file, with its style."""
    style = ET.Element("style")
    style.text = _style("charts.css")
    whole = ET.Element(chart.element.tag, chart.element.attrib)
    whole.extend([style, *chart.element])
    return ET.tostring(whole, "unicode") + "\n"


def _style(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _inline(chart: Chart) -> Markup:
    return Markup(ET.tostring(chart.element, "unicode"))  # noqa: S704  the library escapes what it writes


def _cell(cell: str | int) -> str:
    return cell if isinstance(cell, str) else f"{cell:,}"
