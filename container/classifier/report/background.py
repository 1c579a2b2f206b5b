"""The sections of a report on the data, the rows to look at, and the job."""

from collections.abc import Mapping, Sequence
from typing import Any

from classifier.report.charts import Axis, Line, Mark, bars, lines
from classifier.report.elements import (
    Chart,
    Example,
    Number,
    Section,
    Table,
    count,
    percent,
    quoted,
    rounded,
    shown,
    whole_percent,
)
from classifier.report.quality import MOST_BARS, opened
from classifier.report.results import MISCLASSIFIED, MOST_ROWS, SUSPECTS, Results, Row
from classifier.report.summary import label_shares

SPLITS = ("training", "validation", "test")
FAR_BEYOND = 1.05  # of the limit; lengths are drawn up to there
READ = {
    "truncate": "What is beyond that is not read (long_texts=truncate).",
    "head_tail": "Of longer texts, the first and the last tokens are read (long_texts=head_tail).",
    "windows": "Texts are read in parts up to that length; what is beyond it is not read (long_texts=windows).",
}
PHASES = {
    "preparation": "reading and checking the data, starting TensorFlow",
    "training": "encoding, training and scoring",
    "export": "writing the model, and comparing it with the trained one",
}


def mistakes(results: Results) -> Section | None:
    """Return the section on the most confident mistakes; None without any."""
    if not results.mistakes:
        return None
    several = results.evaluation.get("cost", {}).get("hosts", 1) > 1
    has = f"{MISCLASSIFIED} has all{' of the first host' if several else ''}"
    words = [f"The mistakes on validation rows with the highest probability; {has}. Some may be wrong labels."]
    columns = ("place", "label", "predicted label", "probability")
    rows = [[shown(each["place"]), shown(each["label"]), *_predicted(each)] for each in results.mistakes]
    tables = opened(MISCLASSIFIED, columns, rows, more=len(rows) == MOST_ROWS)
    return Section("mistakes", "Confident mistakes", words, tables=tables, examples=[*map(_example, results.examples)])


def _predicted(row: Row) -> list[str]:
    return [shown(row["predicted_label"]), percent(float(row["probability"]))]


def _example(row: Row) -> Example:
    predicted, probability = _predicted(row)
    caption = f"{shown(row['place'])}: {quoted(row['label'])} predicted as {quoted(predicted)} ({probability})"
    return Example(caption, row.get("text", "") or ("" if row.get("image") else "–"), row.get("image", ""))


def suspects(results: Results) -> Section | None:
    """Return the section on labels that may be wrong; None where they were not looked for."""
    found = results.evaluation.get("suspect_labels")
    if not found:
        return None
    if not found["rows"]:
        return Section("suspects", "Suspect labels", [f"None of {count(found['checked'], 'row')} was suspected."])
    words = [
        f"{count(found['rows'], 'row')} of {found['checked']:,} may have a wrong label. Correct those that do.",
        "Each row was judged by a model that had learnt from all others.",
    ]
    columns = ("place", "label", "suggested label", "score")
    rows = [
        [*(shown(row[name]) for name in ("place", "label", "suggested_label")), rounded(row["score"], 3)]
        for row in results.suspects
    ]
    tables = opened(SUSPECTS, columns, rows, more=len(rows) == MOST_ROWS)
    return Section("suspects", "Suspect labels", words, tables=tables)


def lengths(results: Results) -> Section | None:
    """Return the section on the lengths of texts; None where they are not known."""
    found = results.evaluation.get("data", {}).get("lengths")
    if not found:
        return None
    limit, splits = found["limit"], [name for name in SPLITS if name in found]
    training = found.get("training", found[splits[0]])
    at_limit = training["at_limit"]
    share = percent(at_limit / training["rows"]) if at_limit else "None"
    words = [
        f"{share} of the training texts {'have' if at_limit else 'has'} {limit:,} tokens or more.",
        READ.get(found["long_texts"], READ["truncate"]),
    ]
    edges = found["edges"]
    drawn = [Line(name, _steps(edges, found[name]), dots=False) for name in splits]
    highest = max(y for line in drawn for _, y in line.points)
    axes = Axis("tokens", 0, edges[-1], "{:g}".format), Axis("share of texts", 0, 1.05 * highest, whole_percent)
    alt = f"Lengths of texts in tokens: half of the training texts have {training['median']:g} or fewer."
    marks = [Mark(limit, "limit")] if limit <= FAR_BEYOND * edges[-1] else []
    chart = Chart("lengths", "Lengths of texts", lines(alt, drawn, *axes, marks))
    names = ("rows", "mean", "median", "95th_percentile", "longest")
    rows = [
        [
            name,
            *(Number(f"{round(found[name][each], 1):,g}") for each in names),
            Number(f"{found[name]['at_limit']:,} ({percent(found[name]['at_limit'] / found[name]['rows'])})"),
        ]
        for name in splits
    ]
    columns = ("split", "rows", "mean", "median", "95th percentile", "longest", f"{limit:,} or more")
    caption = "Tokens of a text, as far as they are read"
    return Section("lengths", "Lengths of texts", words, charts=[chart], tables=[Table(caption, columns, rows)])


def _steps(edges: Sequence[int], found: Mapping[str, Any]) -> list[tuple[float, float]]:
    """Return the outline of a histogram."""
    shares = [number / found["rows"] for number in found["counts"]]
    return [
        point
        for index, share in enumerate(shares)
        for point in ((float(edges[index]), share), (float(edges[index + 1]), share))
    ]


def label_mix(results: Results) -> Section | None:
    """Return the section on the share of each label in each split; None where it is not known."""
    data = results.evaluation.get("data")
    if not data:
        return None
    by_label = data["labels"]
    shares = label_shares(data)
    order = sorted(range(len(by_label)), key=lambda index: -by_label[index]["training"])
    numbers = [each["training"] for each in by_label]
    words = [
        f"The commonest label has {count(max(numbers), 'training row')}, the rarest {min(numbers):,}. "
        + (
            "The validation rows were held out from the training rows."
            if data["held_out"] and "validation" in shares
            else ""
        )
    ]
    if "validation" not in shares:
        words.append("There are no validation rows.")
    drawn = order[:MOST_BARS]
    title = "Share of each label" if len(drawn) == len(order) else f"Share of the {len(drawn)} commonest labels"
    names = [by_label[index]["label"] for index in drawn]
    commonest = percent(next(iter(shares.values()))[drawn[0]])
    alt = f"{title} in each split; {quoted(names[0])} is the commonest, with {commonest}."
    element = bars(alt, names, [(split, [values[index] for index in drawn]) for split, values in shares.items()])
    rows = [
        [
            shown(by_label[index]["label"]),
            *(Number(f"{by_label[index][split]:,} ({percent(shares[split][index])})") for split in shares),
        ]
        for index in order
    ]
    tables = opened("Rows of each label", ("label", *shares), rows)
    chart = Chart("label-mix", title, element)
    return Section("label-mix", "Label mix", words, charts=[chart], tables=tables)


def cost(results: Results) -> Section | None:
    """Return the section on what the job took; None where it is not known."""
    found = results.evaluation.get("cost")
    if not found:
        return None
    seconds = found["seconds"]
    machine = [
        count(found["hosts"], "host"),
        f"instance type {shown(found['instance_type'])}" if found.get("instance_type") else "instance type not known",
        count(found["processors"], "processor"),
        *([count(found["gpus"], "GPU")] if found.get("gpus") else []),
    ]
    words = [f"{sum(seconds.values()):,.0f} seconds; {', '.join(machine)}."]
    rows = [
        [f"{name}: {PHASES.get(name, '')}".removesuffix(": "), rounded(value, 1)] for name, value in seconds.items()
    ]
    tables = [Table("Seconds of this run", ("phase", "seconds"), rows)]
    rates = found.get("answers_per_second")
    if rates:
        rows = [[name, rounded(rate, 0)] for name, rate in rates.items()]
        caption = "Answers per second on this machine, 64 rows at a time, measured at export"
        tables.append(Table(caption, ("engine", "answers per second"), rows))
    return Section("cost", "Cost", words, tables=tables)


def settings(results: Results) -> Section | None:
    """Return the section on the settings and versions; None without a manifest."""
    manifest = results.manifest
    if not manifest:
        return None
    values = [[name, shown(value)] for name, value in manifest.get("hyperparameters", {}).items()]
    versions = [[name, shown(value)] for name, value in manifest.get("library_versions", {}).items()]
    tables = [
        Table("Hyperparameters", ("name", "value"), values, folded=True),
        Table("Versions of libraries", ("library", "version"), versions, folded=True),
    ]
    words = [
        f"Version of the image: {shown(manifest.get('image_version', 'unknown'))}.",
        f"SHA-256 of the training and validation rows: {shown(manifest.get('data', {}).get('sha256', 'unknown'))}.",
    ]
    return Section("settings", "Settings", words, tables=tables)
