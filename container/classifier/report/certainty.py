"""The sections of a report on what the model's probabilities are worth."""

from collections.abc import Mapping, Sequence
from typing import Any

from classifier.report.charts import Axis, Line, Mark, lines
from classifier.report.elements import Chart, Section, Table, count, percent, rounded, shown, whole_percent
from classifier.report.results import Results

BIN_COLUMNS = ("probability", "mean probability", "accuracy", "rows")
MOST_THRESHOLDS = 11  # of a table


def calibration(results: Results) -> Section | None:
    """Return the section on what probabilities mean, with the reliability diagram; None where it was not measured."""
    found = results.evaluation.get("calibration")
    if not found:
        return None
    words = [
        "Probabilities are reliable if answers are right as often as they say: then the line lies on the ideal one.",
        "ECE, the expected calibration error, is the mean distance from it, weighted by rows.",
    ]
    changed = found["temperature"] != 1
    words.append(
        f"Logits are divided by a temperature of {found['temperature']:.3f}, fitted on "
        f"{count(found['rows'], 'validation row')}; the predicted labels stay the same."
        if changed
        else "The probabilities are as the model computed them: the log says why they were not calibrated."
    )
    measured = {
        split: {f"{when} calibration": found[split][when] for when in ("before", "after") if when in found[split]}
        for split in ("validation", "test")
        if found.get(split)
    }
    if not changed:
        measured = {split: {"not calibrated": next(iter(by_time.values()))} for split, by_time in measured.items()}
    errors = [
        [f"{split}, {when}", percent(each["ece"], 2)]
        for split, by_time in measured.items()
        for when, each in by_time.items()
    ]
    tables = [Table("Expected calibration error", ("rows", "ECE"), errors)]
    tables += [
        Table(f"Reliability on the {split} rows, {when}", BIN_COLUMNS, _bins(each["bins"]), folded=True)
        for split, by_time in measured.items()
        for when, each in by_time.items()
    ]
    charts = [_reliability(split, by_time) for split, by_time in measured.items()]
    return Section("calibration", "Calibration", words, charts=charts, tables=tables)


def _reliability(split: str, by_time: Mapping[str, Any]) -> Chart:
    """Return the reliability diagram of a split, before and after calibration."""
    drawn = [
        Line(
            f"{when.removesuffix(' calibration')}, ECE {percent(each['ece'])}",
            [(single["confidence"], single["accuracy"]) for single in each["bins"] if single["rows"]],
        )
        for when, each in by_time.items()
    ]
    low = int(10 * min([x for line in drawn for x, _ in line.points], default=0.0)) / 10
    across = Axis("mean probability", min(0.9, low), 1, whole_percent)
    ideal = Line("ideal", [(across.low, across.low), (1, 1)], dots=False)
    alt = f"Reliability diagram of the {split} rows: {'; '.join(line.name for line in drawn)}."
    element = lines(alt, [*drawn, ideal], across, Axis("accuracy", 0, 1, whole_percent))
    return Chart(f"reliability-{split}", f"Accuracy by probability, {split} rows", element)


def _bins(bins: Sequence[Mapping[str, Any]]) -> list[list[str | int]]:
    return [
        [
            f"{percent(each['from'], 0)} to {percent(each['to'], 0)}",
            *(percent(each[name]) for name in ("confidence", "accuracy")),
            each["rows"],
        ]
        for each in bins
        if each["rows"]
    ]


def coverage(results: Results) -> Section | None:
    """Return the section on leaving the less certain answers out; None where it was not measured."""
    found = results.evaluation.get("abstention", {})
    curve = [each for each in found.get("curve", ()) if each["coverage"] > 0]
    if not curve:
        return None
    words = ["If answers with a probability below a threshold are left out, more of the others are right."]
    words += ["This was measured on the validation rows."]
    marks = []
    if found.get("threshold") is not None:
        words += _chosen(found)
        marks = [Mark(found["coverage"], "chosen")]
    points = sorted({(each["coverage"], each["precision"]) for each in curve})
    (_, surest), (_, all_of_them) = points[0], points[-1]
    alt = f"Precision by the share of rows answered: {percent(all_of_them)} of all, {percent(surest)} of the surest."
    low = max(0.0, min(precision for _, precision in points) - 0.05)
    axes = Axis("share of rows answered", 0, 1, whole_percent), Axis("precision", low, 1, whole_percent)
    line = Line("precision", points, dots=len(points) == 1)
    chart = Chart("coverage", "Precision of what is answered", lines(alt, [line], *axes, marks))
    rows = [
        [rounded(each["threshold"], 3), percent(each["coverage"]), percent(each["precision"])]
        for each in curve[:: max(1, len(curve) // (MOST_THRESHOLDS - 1))]
    ]
    tables = [Table("Thresholds", ("threshold", "answered", "precision"), rows, folded=True)]
    if found.get("thresholds"):
        single = [[shown(label), rounded(value, 3)] for label, value in found["thresholds"].items()]
        tables.append(Table("Thresholds of single labels", ("label", "threshold"), single, folded=True))
    return Section("coverage", "Abstaining", words, charts=[chart], tables=tables)


def _chosen(found: Mapping[str, Any]) -> list[str]:
    """Say which threshold was chosen, and what becomes of the rows."""
    target = percent(found["target_precision"])
    if found["precision"] is None:
        return [f"No threshold surely reaches the precision of {target} that was asked for: no label is answered."]
    words = [f"For a precision of {target}, the threshold {found['threshold']:.3f} was chosen."]
    words += [_answered(found, "validation")]
    test = found.get("test")
    never = sum(threshold >= 1 for threshold in found.get("thresholds", {}).values())
    if never:
        words.append(f"{count(never, 'label')} with a threshold of 1, which no probability exceeds: never answered.")
    if not test:
        return words
    return [*words, _answered(test, "test") if test["precision"] is not None else "None of the test rows is answered."]


def _answered(found: Mapping[str, Any], split: str) -> str:
    return (
        f"{percent(found['coverage'])} of {count(found['rows'], f'{split} row')} are answered"
        f"{_between(found.get('coverage_interval'))}, and {percent(found['precision'])} of these answers are right"
        f"{_between(found.get('precision_interval'))}."
    )


def _between(found: Sequence[float] | None) -> str:
    return f" (95 % interval: {percent(found[0])} to {percent(found[1])})" if found else ""
