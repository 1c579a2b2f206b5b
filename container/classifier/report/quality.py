"""The sections of a report on how good the model is."""

from collections.abc import Mapping, Sequence
from typing import Any

from classifier.report import confusion
from classifier.report.charts import Axis, Line, Mark, bars, heat_map, lines
from classifier.report.elements import Chart, Number, Section, Table, count, percent, quoted, rounded, shown
from classifier.report.results import Results
from classifier.report.summary import best_epoch

MOST_BARS = 25
MOST_CONFUSIONS = 40
MOST_IN_A_TABLE = 30  # labels of a whole confusion matrix
MOST_OPEN, OPEN = 25, 15  # rows of a table that is shown whole; those that are shown of a longer one
NO_ROWS = "There are no validation rows and no test rows, so that there is nothing to show: set validation_split_ratio."
CURVES = (
    ("loss", "Loss", (("training", "loss"), ("validation", "val_loss"))),
    (
        "accuracy",
        "Accuracy",
        (("training", "accuracy"), ("validation", "val_accuracy"), ("validation, macro F1", "val_macro_f1")),
    ),
)
BIN_COLUMNS = ("probability", "mean probability", "accuracy", "rows")
COVERAGES_SHOWN = 11


def candidates(results: Results) -> Section | None:
    """Return the section on the candidates of ``model_id=auto``; None without any."""
    if not results.candidates:
        return None
    rows = [
        [
            shown(row["model"]),
            shown(row["hyperparameters"]) if row["hyperparameters"] else "–",
            *(rounded(row[name]) for name in ("val_accuracy", "val_macro_f1", "val_loss")),
            rounded(row["seconds"], 1),
            "yes" if row["chosen"] == "True" else "no",
            shown(row["note"]) if row["note"] else "–",
        ]
        for row in results.candidates
    ]
    columns = ("model", "hyperparameters", "val_accuracy", "val_macro_f1", "val_loss", "seconds", "chosen", "note")
    words = ["The candidates on the validation rows; the best was exported."]
    return Section("candidates", "Candidates", words, tables=[Table("leaderboard.csv", columns, rows)])


def learning(results: Results) -> Section | None:
    """Return the section on the epochs; None without any."""
    epochs = results.evaluation.get("epochs", ())
    if not epochs:
        return None
    kept = best_epoch(results)
    found = dict.fromkeys(name for epoch in epochs for name in epoch)
    names = sorted(found, key=lambda name: name == "examples_per_second")
    rows: list[list[str | int]] = [
        [str(number), *(rounded(epoch.get(name)) for name in names)] for number, epoch in enumerate(epochs, 1)
    ]
    best = results.evaluation.get("best", {})
    if best != epochs[-1]:
        rows.append(["kept", *(rounded(best.get(name)) for name in names)])
    table = Table("The metrics of every epoch, and of the model that is kept", ["epoch", *names], rows)
    if len(epochs) == 1:
        one = (
            "There was one epoch"
            if "examples_per_second" in epochs[0]
            else "The model was solved, not trained in epochs"
        )
        return Section("learning", "Learning", [f"{one}, so that there is no curve."], tables=[table])
    words = [f"Epoch {kept} of {len(epochs)} was kept."]
    if results.evaluation.get("top_layer", {}).get("ngram_features"):
        words = [f"Epoch {kept} of {len(epochs)} was kept; n-grams were then added to it."]
    charts = [
        _curves(name, title, [(of, key) for of, key in drawn if key in names], epochs, kept)
        for name, title, drawn in CURVES
    ]
    return Section("learning", "Learning curves", words, charts=charts, tables=[table])


def _curves(
    name: str, title: str, drawn: Sequence[tuple[str, str]], epochs: Sequence[Mapping[str, float]], kept: int
) -> Chart:
    values = [epoch[key] for epoch in epochs for _, key in drawn if key in epoch]
    room = 0.05 * (max(values) - min(values)) or 0.05
    low = 0.0 if name == "loss" else max(0.0, min(values) - room)
    up = Axis(title, low, max(values) + room if name == "loss" else min(1.0, max(values) + room), "{:g}".format)
    found = [
        Line(of, [(number, epoch[key]) for number, epoch in enumerate(epochs, 1) if key in epoch], len(epochs) <= 20)
        for of, key in drawn
    ]
    across = Axis("epoch", 1, len(epochs), whole=True)
    ends = ", ".join(f"{line.name} from {line.points[0][1]:.3f} to {line.points[-1][1]:.3f}" for line in found)
    alt = f"{title} over {len(epochs)} epochs: {ends}. Epoch {kept} was kept."
    return Chart(f"learning-{name}", f"{title} over the epochs", lines(alt, found, across, up, [Mark(kept, "kept")]))


def by_label(results: Results) -> Section:
    """Return the section on precision, recall and F1 of each label."""
    if not results.split:
        return Section("labels", "Labels", [NO_ROWS])
    report = results.evaluation[results.split]
    with_rows = [each for each in report["by_label"] if each["rows"]]
    weakest = sorted(with_rows, key=lambda each: (each["f1"], -each["rows"]))[:MOST_BARS]
    title = (
        "F1 of each label" if len(weakest) == len(report["by_label"]) else f"F1 of the {len(weakest)} weakest labels"
    )
    alt = f"{title}, from {quoted(weakest[0]['label'])} with {percent(weakest[0]['f1'])} upwards."
    chart = Chart(
        "f1",
        f"{title}, {results.split} rows",
        bars(alt, [each["label"] for each in weakest], [("F1", [each["f1"] for each in weakest])], high=1.0),
    )
    others = [name for name in ("validation", "test") if name in results.evaluation and name != results.split]
    tables = [
        *_tables_of_labels(report, results.split, folded=False),
        *(table for name in others for table in _tables_of_labels(results.evaluation[name], name, folded=True)),
    ]
    words = ["Precision is the share of the predictions of a label that are right, recall the share of its rows found."]
    return Section("labels", "Labels", words, charts=[chart], tables=tables)


def opened(
    caption: str, columns: Sequence[str], rows: Sequence[Sequence[str | int]], *, more: bool = False
) -> list[Table]:
    """Return a table; if it is long, its beginning and the whole of it, folded.

    Args:
        caption: What it shows.
        columns: The names of the columns.
        rows: The rows.
        more: Whether there are more rows than these.
    """
    whole = f"{caption}: the first {len(rows)}" if more else caption
    if len(rows) <= MOST_OPEN:
        return [Table(whole, columns, rows)]
    folded = whole if more else f"{caption}: all {len(rows)}"
    return [Table(f"{caption}: the first {OPEN}", columns, rows[:OPEN]), Table(folded, columns, rows, folded=True)]


def _tables_of_labels(report: Mapping[str, Any], split: str, *, folded: bool) -> list[Table]:
    ordered = sorted(report["by_label"], key=lambda each: (not each["rows"], each["f1"], -each["rows"]))
    rows = [
        [
            shown(each["label"]),
            *(percent(each[name]) if each["rows"] else Number("–") for name in ("precision", "recall", "f1")),
            each["rows"],
        ]
        for each in ordered
    ]
    columns = ("label", "precision", "recall", "F1", "rows")
    caption = f"Labels on the {split} rows, the weakest first"
    if folded:
        return [Table(caption, columns, rows, folded)]
    return opened(caption, columns, rows)


def confusions(results: Results) -> Section:
    """Return the section on the confusion matrix."""
    if not results.split:
        return Section("confusions", "Confusions", [NO_ROWS])
    found = confusion.read(results.evaluation[results.split])
    largest = found.largest()
    wrong = sum(rows for *_, rows in largest)
    words = [f"{count(wrong, 'mistake')} on {count(sum(found.totals), f'{results.split} row')}."]
    indices = found.drawn()
    if len(indices) < len(found.labels) and indices:
        words.append(f"The picture has the {len(indices)} labels with the largest confusions of {len(found.labels)}.")
    if len(indices) > confusion.FEW:
        words.append("Labels that are confused with each other stand side by side.")
    charts, tables = [], []
    if indices:
        names, matrix = [found.labels[index] for index in indices], found.matrix(indices)
        totals = [found.totals[index] for index in indices]
        alt = f"Confusion matrix of {len(names)} labels; the list of the largest confusions says the same in words."
        caption = (
            "Each row is a true label: green is right, orange is wrong, and the darker, the greater the row's share"
        )
        charts = [Chart("confusion", caption, heat_map(alt, names, matrix.tolist(), totals), wide=True)]
        if len(found.labels) <= MOST_IN_A_TABLE:
            short = [shown(name) for name in names]
            rows = [[name, *row] for name, row in zip(short, matrix.tolist(), strict=True)]
            tables.append(Table("The whole matrix; rows are true labels", ["", *short], rows, folded=True))
    if largest:
        rows = [
            [shown(found.labels[true]), shown(found.labels[given]), each, percent(each / max(found.totals[true], 1))]
            for true, given, each in largest[:MOST_CONFUSIONS]
        ]
        caption = "The largest confusions" if len(largest) > MOST_OPEN else "All confusions"
        columns = ("label", "predicted label", "rows", "share of the label")
        tables = [*opened(caption, columns, rows, more=len(largest) > len(rows)), *tables]
    return Section("confusions", "Confusions", words, charts=charts, tables=tables)


def calibration(results: Results) -> Section | None:
    """Return the section on what probabilities mean, with the reliability diagram; None where it was not measured."""
    found = results.evaluation.get("calibration")
    if not found:
        return None
    words = [
        "Probabilities are reliable if answers are right as often as they say: then the line lies on the ideal one.",
        "ECE, the expected calibration error, is the mean distance from it, weighted by rows.",
    ]
    if found.get("method") == "temperature":
        words.append(
            f"Logits are divided by a temperature of {found['temperature']:.3f}, fitted on "
            f"{count(found['rows'], 'validation row')}; the predicted labels stay the same."
        )
    measured = {
        split: {when: found[split][when] for when in ("before", "after") if when in found[split]}
        for split in ("validation", "test")
        if found.get(split)
    }
    errors = [
        [f"{split}, {when} calibration", percent(each["ece"], 2)]
        for split, by_time in measured.items()
        for when, each in by_time.items()
    ]
    tables = [Table("Expected calibration error", ("rows", "ECE"), errors)]
    tables += [
        Table(f"Reliability on the {split} rows, {when} calibration", BIN_COLUMNS, _bins(each["bins"]), folded=True)
        for split, by_time in measured.items()
        for when, each in by_time.items()
    ]
    charts = [_reliability(split, by_time) for split, by_time in measured.items()]
    return Section("calibration", "Probabilities", words, charts=charts, tables=tables)


def _reliability(split: str, by_time: Mapping[str, Any]) -> Chart:
    """Return the reliability diagram of a split, before and after calibration."""
    drawn = [
        Line(
            f"{when}, ECE {percent(each['ece'])}",
            [(single["confidence"], single["accuracy"]) for single in each["bins"] if single["rows"]],
        )
        for when, each in by_time.items()
    ]
    low = int(10 * min([x for line in drawn for x, _ in line.points], default=0.0)) / 10
    across = Axis("mean probability", min(0.9, low), 1, _percent)
    ideal = Line("ideal", [(across.low, across.low), (1, 1)], dots=False)
    alt = f"Reliability diagram of the {split} rows: {'; '.join(line.name for line in drawn)}."
    picture = lines(alt, [*drawn, ideal], across, Axis("accuracy", 0, 1, _percent))
    return Chart(f"reliability-{split}", f"Accuracy by probability, {split} rows", picture)


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
    curve = sorted(found.get("curve", ()), key=lambda each: each["coverage"])
    curve = [each for each in curve if each["coverage"] > 0 and each["precision"] is not None]
    if not curve:
        return None
    words = [
        "If answers with a probability below a threshold are left out, more of the others are right.",
    ]
    marks = []
    if found.get("threshold") is not None:
        words.append(
            f"For a precision of {percent(found['target_precision'])}, the threshold {found['threshold']:.3f} was "
            f"chosen: {percent(found['coverage'])} of the rows are answered{_between(found.get('coverage_interval'))}, "
            f"and {percent(found['precision'])} of these answers are right{_between(found.get('precision_interval'))}."
        )
        marks = [Mark(found["coverage"], "chosen")]
    points = [(each["coverage"], each["precision"]) for each in curve]
    low = min(precision for _, precision in points)
    alt = f"Precision falls from {percent(points[0][1])} to {percent(points[-1][1])} as all rows are answered."
    axes = Axis("share of rows answered", 0, 1, _percent), Axis("precision", max(0.0, low - 0.05), 1, _percent)
    picture = lines(alt, [Line("precision", points, dots=False)], *axes, marks)
    step = max(1, len(curve) // COVERAGES_SHOWN)
    rows = [
        [rounded(each["threshold"], 3), percent(each["coverage"]), percent(each["precision"])] for each in curve[::step]
    ]
    tables = [Table("Thresholds", ("threshold", "answered", "precision"), rows, folded=True)]
    if found.get("thresholds"):
        single = [[shown(label), rounded(value, 3)] for label, value in found["thresholds"].items()]
        tables.append(Table("Thresholds of single labels", ("label", "threshold"), single, folded=True))
    chart = Chart("coverage", "Precision of what is answered", picture)
    return Section("coverage", "Answering less", words, charts=[chart], tables=tables)


def _between(found: Sequence[float] | None) -> str:
    return f" (95 % interval: {percent(found[0])} to {percent(found[1])})" if found else ""


def _percent(value: float) -> str:
    return percent(value, 0)
