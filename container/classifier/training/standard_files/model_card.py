"""A model card for SageMaker Model Registry and SageMaker Model Cards.

Source: the schema of model cards in sagemaker-core (``tools/model_card/model_card_schema.json``); SageMaker API
reference, ModelPackageModelCard, by which the card of a model package may say less in ``model_overview``, so that this
part is left out. What only a person knows, such as the risk, is left to that person.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from classifier.training.standard_files.facts import Facts, figures_of, rows_of

FILE = "model_card.json"
# Limits of the schema.
LONGEST_VALUE, LONGEST_DETAIL, LONGEST_AXIS_NAME = 255, 1024, 63
MOST_METRICS, MOST_HYPERPARAMETERS, MOST_OF_A_MATRIX = 50, 100, 20
MOST_BARS = 100  # a card has at most 100,000 characters


def model_card(facts: Facts) -> dict[str, Any]:
    """Return the content of a model card, as a JSON object."""
    return {
        "intended_uses": {"purpose_of_model": facts.purpose, "risk_rating": "Unknown"},
        "training_details": {"training_job_details": _training_job(facts)},
        "evaluation_details": [_evaluation(split, report, facts) for split, report in facts.reports.items()],
        "additional_information": {
            "caveats_and_recommendations": facts.limitations,
            "custom_details": {name: _cut(value, LONGEST_DETAIL) for name, value in _details(facts).items()},
        },
    }


def _training_job(facts: Facts) -> dict[str, Any]:
    metrics = [{"name": name, "value": value} for name, value in facts.evaluation["best"].items()]
    hyperparameters = [
        {"name": name, "value": _cut(value, LONGEST_VALUE)} for name, value in facts.shown_hyperparameters.items()
    ]
    return {
        **({"training_arn": facts.job_arn} if facts.job_arn else {}),
        "user_provided_training_metrics": metrics[:MOST_METRICS],
        "user_provided_hyper_parameters": hyperparameters[:MOST_HYPERPARAMETERS],
    }


def _evaluation(split: str, report: Mapping[str, Any], facts: Facts) -> dict[str, Any]:
    """Return the metrics of a split; of many labels, only those over all labels."""
    overall = [{"name": name, "type": "number", "value": value} for name, value in figures_of(report).items()]
    groups = [{"name": "over all labels", "metric_data": overall}]
    if len(facts.labels) <= MOST_BARS:
        groups.append({"name": "by label", "metric_data": _by_label(report, facts.labels)})
    return {
        "name": f"{split} rows",
        **({"evaluation_observation": facts.note(split)} if facts.note(split) else {}),
        "metadata": {"rows": str(rows_of(report)), "job": facts.job_name},
        "metric_groups": groups,
    }


def _by_label(report: Mapping[str, Any], labels: Sequence[Any]) -> list[dict[str, Any]]:
    names = [_cut(str(label), LONGEST_AXIS_NAME) for label in labels]
    known = [(name, line) for name, line in zip(names, report["by_label"], strict=True) if line["rows"]]
    charts: list[dict[str, Any]] = [
        {
            "name": name,
            "type": "bar_chart",
            "value": [line[name] for _, line in known],
            "x_axis_name": [label for label, _ in known],
            "y_axis_name": name,
            **({"notes": "Labels without a row are left out."} if len(known) < len(names) else {}),
        }
        for name in ("precision", "recall", "f1")
    ]
    if len(labels) <= MOST_OF_A_MATRIX:
        matrix = {
            "name": "confusion_matrix",
            "type": "matrix",
            "value": report["confusion_matrix_rows_are_true"],
            "x_axis_name": names,
            "y_axis_name": names,
            "notes": "Rows are labels, columns are predicted labels.",
        }
        charts.append(matrix)
    return charts


def _details(facts: Facts) -> dict[str, str]:
    return {
        "problem_type": f"{facts.modality} classification",
        "encoder": facts.encoder,
        "encoder_family": facts.encoder_family,
        "labels": ", ".join(map(str, facts.labels)),
        **({} if facts.training_rows is None else {"training_rows": str(facts.training_rows)}),
        "data_sha256": facts.data_sha256,
        "image_version": facts.image_version,
    }


def _cut(text: str, longest: int) -> str:
    """Return a text, shortened to what the schema allows."""
    return text if len(text) <= longest else text[: longest - 1] + "…"
