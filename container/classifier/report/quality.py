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
NOT_HERE = "The job's evaluation.json, which is not here, has the figures of each label."
NO_ROWS = "There are no validation rows and no test rows, so that there is nothing to show: set validation_split_ratio."
CURVES = (
    ("loss", "Loss", (("training", "loss"), ("validation", "val_loss"))),
    (
        "accuracy",
        "Accuracy",
        (("training", "accuracy"), ("validation", "val_accuracy"), ("validation, macro F1", "val_macro_f1")),
    ),
)


def candidates(results: Results) -> Section | None:
    """Return the section on the candidates of ``model_id=auto``; None without any."""
    if not results.candidates:
        return None
    figures = [
        name for name in ("val_accuracy", "val_macro_f1", "val_auc", "val_loss") if name in results.candidates[0]
    ]
    rows = [
        [
            shown(row["model"]),
            shown(row["hyperparameters"]) if row["hyperparameters"] else "–",
            *(rounded(row[name]) for name in figures),
            rounded(row["seconds"], 1),
            "yes" if row["chosen"] == "True" else "no",
            shown(row["note"]) if row["note"] else "–",
        ]
        for row in results.candidates
    ]
    columns = ("model", "hyperparameters", *figures, "seconds", "chosen", "note")
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
    caption = "The metrics of every epoch"
    if best not in epochs:
        caption += ", and of the model that is kept"
        rows.append(["kept", *(rounded(best.get(name)) for name in names)])
    table = Table(caption, ["epoch", *names], rows)
    if len(epochs) == 1:
        one = (
            "There was one epoch"
            if "examples_per_second" in epochs[0]
            else "The model was solved, not trained in epochs"
        )
        return Section("learning", "Learning", [f"{one}, so that there is no curve."], tables=[table])
    words = [f"Epoch {kept} of {len(epochs)} was kept."]
    chosen = results.evaluation.get("top_layer", {})
    if share := chosen.get("fine_tuned_share"):
        between = f"an encoder between the pre-trained and the fine-tuned one ({percent(share, 0)} of the latter)"
        words += [f"Better than that was {between}, its top layer solved, and it was exported."]
    elif chosen.get("ngram_features"):
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


def _no_rows(results: Results) -> str:
    """Say why there are no figures by label."""
    return NOT_HERE if "val_accuracy" in results.evaluation.get("best", {}) else NO_ROWS


def by_label(results: Results) -> Section:
    """Return the section on precision, recall and F1 of each label."""
    if not results.split:
        return Section("labels", "Labels", [_no_rows(results)])
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
        return Section("confusions", "Confusions", [_no_rows(results)])
    found = confusion.read(results.evaluation[results.split])
    largest = found.largest()
    wrong = sum(rows for *_, rows in largest)
    words = [f"{count(wrong, 'mistake')} on {count(sum(found.totals), f'{results.split} row')}."]
    indices = found.drawn()
    if len(indices) < len(found.labels) and indices:
        words.append(f"The chart has the {len(indices)} labels with the largest confusions of {len(found.labels)}.")
    if len(indices) > confusion.FEW:
        words.append("Labels that are confused with each other stand side by side.")
    charts, tables = [], []
    if indices:
        names, matrix = [found.labels[index] for index in indices], found.matrix(indices)
        totals = [found.totals[index] for index in indices]
        alt = f"Confusion matrix of {len(names)} labels; the list of the largest confusions says the same in words."
        caption = (
            "Each row is a true label: green is right, orange is wrong; the stronger, the greater the share of the row"
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
