"""The model's ``README.md``: a model card in the layout of Hugging Face.

Source: huggingface_hub, ``templates/modelcard_template.md`` and the metadata of model cards ("model-index").
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from classifier.encoders import catalog
from classifier.training.standard_files.facts import Facts, figures_of, rows_of

MOST_LABELS = 100
# The types of metrics on Hugging Face, and the names that they are shown by.
TYPES: Mapping[str, tuple[str, str]] = {"accuracy": ("accuracy", "Accuracy"), "macro_f1": ("f1", "Macro F1")}
_MARKUP = re.compile(r"[\\`*\[\]<>|]|(?<!\w)_|_(?!\w)")  # an underscore within a word means nothing
_START = """\
The folder `1` is a TensorFlow SavedModel, `manifest.json` describes it, and `labels_info.json` has the labels in the
order of its probabilities. The image that trained the model serves it (`serve`), and TensorFlow Serving reads the
SavedModel.
"""


def readme(facts: Facts) -> str:
    """Return the model card, as Markdown with metadata in YAML."""
    sections = {
        "Model Details": _table(("", ""), _details(facts)),
        "Uses": f"{facts.purpose}\n",
        "Bias, Risks, and Limitations": f"{facts.limitations}\n",
        "How to Get Started with the Model": _START,
        "Training Details": "\n".join(_training(facts)),
        "Evaluation": "\n".join(_evaluation(facts)),
    }
    body = "\n".join(f"## {heading}\n\n{text}" for heading, text in sections.items())
    return f"---\n{_metadata(facts)}---\n\n# {facts.job_name}\n\n{body}"


def _metadata(facts: Facts) -> str:
    """Return the metadata as YAML, whose values are written as JSON, which YAML includes."""
    entry = catalog.find(facts.encoder)
    known = {
        "library_name": "tf-keras",
        "pipeline_tag": f"{facts.modality}-classification",
        **({"base_model": entry.handle} if entry is not None and entry.family == "bert" else {}),
        "tags": [f"{facts.modality}-classification", "tensorflow"],
        "metrics": [kind for kind, _ in TYPES.values()],
        "model-index": [{"name": facts.job_name, "results": [_result(*each, facts) for each in facts.reports.items()]}],
    }
    return "".join(f"{name}: {json.dumps(value)}\n" for name, value in known.items())


def _result(split: str, report: Mapping[str, Any], facts: Facts) -> dict[str, Any]:
    return {
        "task": {"type": f"{facts.modality}-classification"},
        "dataset": {"name": f"{split} rows of {facts.job_name}", "type": "private", "split": split},
        "metrics": [
            {"type": TYPES[name][0], "name": TYPES[name][1], "value": value}
            for name, value in figures_of(report).items()
        ],
    }


def _details(facts: Facts) -> Iterator[Sequence[object]]:
    yield "trained by", f"text-classification image, version {facts.image_version}"
    yield "job", facts.job_arn or facts.job_name
    yield "encoder", f"{facts.encoder} ({facts.encoder_family})"
    yield "labels", len(facts.labels)


def _training(facts: Facts) -> Iterator[str]:
    rows = "" if facts.training_rows is None else f"{facts.training_rows} rows. "
    yield f"### Training Data\n\n{rows}The SHA-256 of the job's data is `{facts.data_sha256}`.\n"
    yield "### Training Hyperparameters\n"
    yield _table(("hyperparameter", "value"), facts.shown_hyperparameters.items())


def _evaluation(facts: Facts) -> Iterator[str]:
    if not facts.reports:
        yield "The job had no rows to evaluate the model on.\n"
    for split, report in facts.reports.items():
        yield f"### {split.capitalize()} Rows\n"
        if facts.note(split):
            yield f"{facts.note(split)}\n"
        shown = [("rows", rows_of(report)), *((TYPES[name][1], value) for name, value in figures_of(report).items())]
        yield _table(("metric", "value"), shown)
        if len(facts.labels) <= MOST_LABELS:
            columns = ("label", "precision", "recall", "f1", "rows")
            yield _table(columns, (_of_label(line, columns) for line in report["by_label"]))


def _of_label(line: Mapping[str, Any], columns: Sequence[str]) -> list[Any]:
    """Return the cells of a label; dashes for what isn't known of one without a row."""
    return [line[name] if line["rows"] or name in ("label", "rows") else "–" for name in columns]


def _table(columns: Sequence[str], rows: Any) -> str:
    """Return a Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def _cell(value: object) -> str:
    """Return a value as a cell: on one line, with the characters escaped that mean something in Markdown."""
    text = f"{value:.4f}" if isinstance(value, float) else str(value)
    return _MARKUP.sub(r"\\\g<0>", " ".join(text.split()))
