"""The sections of a report on how good the model is."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
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
        one = "The top layer was solved" if "examples_per_second" not in epochs[0] else "There was one epoch"
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
        bars(alt, *_columns(weakest, "label"), [("F1", _column(weakest, "f1"))], high=1.0),
    )
    others = [name for name in ("validation", "test") if name in results.evaluation and name != results.split]
    tables = [
        *_tables_of_labels(report, results.split, folded=False),
        *(table for name in others for table in _tables_of_labels(results.evaluation[name], name, folded=True)),
    ]
    words = ["Precision is the share of the predictions of a label that are right, recall the share of its rows found."]
    return Section("labels", "Labels", words, charts=[chart], tables=tables)


def opened(caption: str, columns: Sequence[str], rows: Sequence[Sequence[str | int]]) -> list[Table]:
    """Return a table; if it is long, its beginning and the whole of it, folded."""
    whole = Table(f"{caption[:1].upper()}{caption[1:]}", columns, rows)
    if len(rows) <= MOST_OPEN:
        return [whole]
    return [
        Table(f"The first {OPEN} of {caption.removeprefix('the first ')}", columns, rows[:OPEN]),
        replace(whole, folded=True),
    ]


def _columns(rows: Sequence[Mapping[str, Any]], *names: str) -> list[list[Any]]:
    return [[row[name] for row in rows] for name in names]


def _column(rows: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    return [row[name] for row in rows]


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
    caption = f"all labels on the {split} rows, the weakest first"
    if folded:
        return [Table(f"{caption[:1].upper()}{caption[1:]}", columns, rows, folded)]
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
        caption = f"the {len(rows)} largest confusions" if len(largest) > len(rows) else "all confusions"
        columns = ("label", "predicted label", "rows", "share of the label")
        tables = [*opened(caption, columns, rows), *tables]
    return Section("confusions", "Confusions", words, charts=charts, tables=tables)


def calibration(results: Results) -> Section | None:
    """Return the section on what probabilities mean, with the reliability diagram; None where it was not measured."""
    found = results.evaluation.get("calibration")
    if not found:
        return None
    measured = {
        f"{split}, {when} calibration": found[split][when]
        for split in ("validation", "test")
        for when in ("before", "after")
        if when in found.get(split, {})
    }
    if not measured:
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
    table = Table(
        "Expected calibration error", ("rows", "ECE"), [[k, percent(v["ece"], 2)] for k, v in measured.items()]
    )
    drawn = [
        Line(name, [(each["confidence"], each["accuracy"]) for each in bins["bins"] if each["rows"]])
        for name, bins in measured.items()
    ]
    low = min([point[0] for line in drawn for point in line.points], default=0.0)
    axes = [Axis(title, min(0.9, int(10 * low) / 10), 1, _percent) for title in ("mean probability", "accuracy")]
    axes[1] = Axis("accuracy", 0, 1, _percent)
    alt = "Reliability diagram: " + "; ".join(
        f"{name}, ECE {percent(each['ece'], 2)}" for name, each in measured.items()
    )
    ideal = Line("ideal", [(axes[0].low, axes[0].low), (1, 1)], dots=False)
    pictures = [
        Chart(f"reliability-{number}", f"Reliability, {line.name}", lines(f"{alt}.", [line, ideal], *axes))
        for number, line in enumerate(drawn, 1)
    ]
    bins = [
        Table(
            f"Reliability, {name}",
            ("probability", "mean probability", "accuracy", "rows"),
            [
                [
                    f"{percent(each['from'], 0)} to {percent(each['to'], 0)}",
                    percent(each["confidence"]),
                    percent(each["accuracy"]),
                    each["rows"],
                ]
                for each in measured[name]["bins"]
                if each["rows"]
            ],
            folded=True,
        )
        for name in measured
    ]
    return Section("calibration", "Probabilities", words, charts=pictures, tables=[table, *bins])


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
        rows = [[shown(label), rounded(value, 3)] for label, value in found["thresholds"].items()]
        tables.append(Table("Thresholds of single labels", ("label", "threshold"), rows, folded=True))
    chart = Chart("coverage", "Precision of what is answered", picture)
    return Section("coverage", "Answering less", words, charts=[chart], tables=tables)


def _between(found: Sequence[float] | None) -> str:
    return f" (95 % interval: {percent(found[0])} to {percent(found[1])})" if found else ""


def _percent(value: float) -> str:
    return percent(value, 0)
