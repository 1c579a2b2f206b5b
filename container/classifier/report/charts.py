"""Charts as SVG: lines, grouped bars, and a heat map. Their style is in ``charts.css``."""

import math
import sys
import unicodedata
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from classifier.report.elements import percent, shortened, shown

WIDTH, HEIGHT = 440, 270
LEFT, RIGHT, TOP, BOTTOM = 52, 22, 40, 44  # the margins of a chart of lines
CHARACTER = 6.7  # the mean width of a character at the size of :file:`charts.css`, in pixels
LONGEST_NAME = 22  # characters of a label beside a chart
MOST_TICKS = 6
BAR, BETWEEN = 9, 9  # the height of a bar, and between groups of bars
# Of a heat map: the most labels with numbers in the cells, and the sides of cells by the number of labels.
MOST_NUMBERED, SIDES = 12, {12: 40, 30: 22, sys.maxsize: 17}
PALEST = 0.12  # the opacity of a cell that is not empty
DARK = 0.55  # the opacity of a cell from which on its number is written in the colour of the page


@dataclass(frozen=True)
class Axis:
    """An axis.

    Attributes:
        title: What it measures.
        low: Its first value.
        high: Its last value.
        form: Writes a value.
        whole: Whether there are only whole numbers.
    """

    title: str
    low: float
    high: float
    form: Callable[[float], str] = "{:g}".format
    whole: bool = False

    @property
    def ticks(self) -> list[float]:
        """Round values along the axis."""
        raw = max(self.high - self.low, 1e-9) / (MOST_TICKS - 1)
        scale = 10.0 ** math.floor(math.log10(raw))
        step = next(scale * nice for nice in (1, 2, 2.5, 5, 10) if scale * nice >= raw * (1 - 1e-9))
        step = max(1.0, math.ceil(step)) if self.whole else step
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(step * index, 10) for index in range(first, last + 1)]


@dataclass(frozen=True)
class Line:
    """A line of a chart.

    Attributes:
        name: Its name, for the legend.
        points: Its points.
        dots: Whether the points are marked, too.
    """

    name: str
    points: Sequence[tuple[float, float]]
    dots: bool = True


@dataclass(frozen=True)
class Mark:
    """A vertical line at a value of the horizontal axis, with words beside it."""

    at: float
    words: str


def element(tag: str, text: str = "", **attributes: object) -> ET.Element:
    """Return an element; of an attribute's name, underscores stand for dashes, and one at the end is dropped."""
    values = {name.rstrip("_").replace("_", "-"): _written(value) for name, value in attributes.items()}
    made = ET.Element(tag, values)
    made.text = text or None
    return made


def lines(alt: str, drawn: Sequence[Line], across: Axis, up: Axis, marks: Sequence[Mark] = ()) -> ET.Element:
    """Return a chart of lines.

    Args:
        alt: What a reader who doesn't see it is told.
        drawn: The lines, three at most.
        across: The horizontal axis.
        up: The vertical axis.
        marks: Values that are pointed out.
    """
    svg = _svg(alt, WIDTH, HEIGHT)
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM

    def x(value: float) -> float:
        return LEFT + (value - across.low) / max(across.high - across.low, 1e-9) * (right - LEFT)

    def y(value: float) -> float:
        return bottom - (value - up.low) / max(up.high - up.low, 1e-9) * (bottom - TOP)

    for tick in up.ticks:
        svg.append(element("line", class_="grid", x1=LEFT, x2=right, y1=y(tick), y2=y(tick)))
        svg.append(element("text", up.form(tick), class_="end", x=LEFT - 6, y=y(tick) + 4))
    for tick in across.ticks:
        svg.append(element("line", class_="axis", x1=x(tick), x2=x(tick), y1=bottom, y2=bottom + 4))
        svg.append(element("text", across.form(tick), class_="middle", x=x(tick), y=bottom + 17))
    svg.append(element("line", class_="axis", x1=LEFT, x2=right, y1=bottom, y2=bottom))
    svg.append(element("text", across.title, class_="middle muted", x=(LEFT + right) / 2, y=HEIGHT - 8))
    for mark in marks:
        svg.append(element("line", class_="mark", x1=x(mark.at), x2=x(mark.at), y1=TOP, y2=bottom))
        beyond = x(mark.at) + _width(mark.words) / 2 > WIDTH
        svg.append(
            element("text", mark.words, class_="end muted" if beyond else "middle muted", x=x(mark.at), y=TOP - 3)
        )
    for index, line in enumerate(drawn):
        points = [(x(first), y(second)) for first, second in line.points]
        written = " ".join(f"{first:.1f},{second:.1f}" for first, second in points)
        svg.append(element("polyline", class_=f"line s{index}", points=written))
        if line.dots:
            svg.extend(element("circle", class_=f"dot s{index}", cx=first, cy=second, r=3) for first, second in points)
    svg.extend(_legend([line.name for line in drawn], "line"))
    return svg


def bars(
    alt: str, names: Sequence[object], series: Sequence[tuple[str, Sequence[float]]], high: float = 0.0
) -> ET.Element:
    """Return a chart of horizontal bars, a group of them for each name.

    Args:
        alt: What a reader who doesn't see it is told.
        names: The names of the groups.
        series: The name of each series and its values, which are shares, one for each name.
        high: The end of the axis; 0 for the highest value.
    """
    short = [_short(name) for name in names]
    left = max(40.0, 12 + max(map(_width, short)))
    group = BAR * len(series) + BETWEEN
    top = TOP if len(series) > 1 else 8
    height = top + group * len(names) + 22
    across = Axis("", 0, high or max(value for _, values in series for value in values) or 1.0, _tick_percent)
    end = WIDTH - 60.0
    svg = _svg(alt, WIDTH, height)

    def x(value: float) -> float:
        return left + value / across.high * (end - left)

    for tick in across.ticks:
        svg.append(element("line", class_="grid", x1=x(tick), x2=x(tick), y1=top, y2=height - 20))
        svg.append(element("text", across.form(tick), class_="middle", x=x(tick), y=height - 5))
    for row, (name, written) in enumerate(zip(names, short, strict=True)):
        above = top + row * group + BETWEEN / 2
        svg.append(_named(written, name, class_="end", x=left - 6, y=above + (group - BETWEEN) / 2 + 4))
        for index, (of, values) in enumerate(series):
            bar = element("rect", class_=f"bar s{index}", x=left, y=above + BAR * index, height=BAR - 1)
            bar.set("width", _written(max(x(values[row]) - left, 0.0)))
            bar.append(element("title", f"{shown(name)}, {of}: {percent(values[row])}"))
            svg.append(bar)
        if len(series) == 1:
            svg.append(element("text", percent(series[0][1][row]), x=x(series[0][1][row]) + 4, y=above + BAR))
    if len(series) > 1:
        svg.extend(_legend([of for of, _ in series], "bar"))
    return svg


def heat_map(alt: str, names: Sequence[object], rows: Sequence[Sequence[int]], totals: Sequence[int]) -> ET.Element:
    """Return a confusion matrix as a chart, each cell the stronger the greater its share of its row.

    Args:
        alt: What a reader who doesn't see it is told.
        names: The labels in order.
        rows: How many rows of each label were given each of these labels.
        totals: The number of rows of each label, which may have been given other labels.
    """
    numbered = len(names) <= MOST_NUMBERED
    side = next(side for most, side in SIDES.items() if len(names) <= most)
    short = [_short(name) for name in names]
    margin = max(map(_width, short)) + 10
    left, top, size = margin + 18, margin * 0.8 + 26, side * len(names)
    slant = margin * 0.6  # by which the last column's name leans over the right edge
    svg = _svg(alt, left + size + slant, top + size + 6)
    svg.append(element("text", "predicted label", class_="muted middle", x=left + size / 2, y=14))
    middle = top + size / 2
    turned = f"rotate(-90 12 {middle:.1f})"
    svg.append(element("text", "true label", class_="muted middle", x=12, y=middle, transform=turned))
    for index, (name, written) in enumerate(zip(names, short, strict=True)):
        centre = (index + 0.5) * side
        svg.append(_named(written, name, class_="end", x=left - 6, y=top + centre + 4))
        x, y = left + centre + 3, top - 5
        svg.append(_named(written, name, x=x, y=y, transform=f"rotate(-53 {x:.1f} {y:.1f})"))
        for other, given in enumerate(rows[index]):
            if not (given or numbered or other == index):
                continue
            share = given / max(totals[index], 1)
            words = f"{shown(name)} predicted as {shown(names[other])}: {given} ({percent(share)})"
            kind = "right" if other == index else "wrong" if given else "none"
            corner = left + other * side, top + index * side
            svg.extend(_cell(corner, side - 1, kind, share, words, str(given) if numbered and given else ""))
    svg.append(element("rect", class_="frame", x=left - 1, y=top - 1, width=size + 1, height=size + 1))
    return svg


def _cell(corner: tuple[float, float], side: int, kind: str, share: float, words: str, number: str) -> list[ET.Element]:
    """Return a cell of a heat map, and the number in it, if there is one."""
    x, y = corner
    opacity = 1.0 if kind == "none" else PALEST + (1 - PALEST) * min(1.0, share if kind == "right" else 2 * share)
    drawn = element("rect", class_=f"cell {kind}", fill_opacity=opacity, x=x, y=y, width=side, height=side)
    drawn.append(element("title", words))
    written = "middle on" if opacity > DARK else "middle"
    return [drawn, *([element("text", number, class_=written, x=x + side / 2, y=y + side / 2 + 4)] if number else [])]


def _svg(alt: str, width: float, height: float) -> ET.Element:
    wide, high = math.ceil(width), math.ceil(height)
    svg = element("svg", xmlns="http://www.w3.org/2000/svg", class_="chart", role="img", aria_label=alt)
    svg.attrib |= {"viewBox": f"0 0 {wide} {high}", "width": str(wide), "height": str(high)}
    return svg


def _legend(names: Sequence[str], kind: str) -> list[ET.Element]:
    made, x = [], float(LEFT)
    for index, name in enumerate(names):
        if kind == "line":
            made.append(element("line", class_=f"line s{index}", x1=x, x2=x + 22, y1=14, y2=14))
        else:
            made.append(element("rect", class_=f"bar s{index}", x=x + 8, y=9, width=12, height=10))
        made.append(element("text", name, x=x + 27, y=18))
        x += 44 + _width(name)
    return made


def _named(written: str, whole: object, **attributes: object) -> ET.Element:
    """Return a label beside a chart; its whole name is shown when it is pointed at."""
    made = element("text", written, **attributes)
    if written != shown(whole):
        made.append(element("title", shown(whole)))
    return made


def _short(name: object) -> str:
    return shortened(shown(name), LONGEST_NAME)


def _width(text: str) -> float:
    """Return the approximate width of a text; letters of East Asia are twice as wide."""
    return CHARACTER * sum(1 + (unicodedata.east_asian_width(character) in "WF") for character in text)


def _tick_percent(value: float) -> str:
    return f"{100 * value:g}\N{NO-BREAK SPACE}%"


def _written(value: object) -> str:
    return (
        f"{value:.4g}"
        if isinstance(value, float) and abs(value) < 1
        else (f"{value:.1f}" if isinstance(value, float) else str(value))
    )
