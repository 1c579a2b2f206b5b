"""What the standard files say of a model, collected once, so that a number is the same in all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from classifier import TEXT, __version__
from classifier.artifact import Label
from classifier.environment import Environment
from classifier.hyperparameters import Hyperparameters
from classifier.training.data import Data
from classifier.training.export import Trained

# The splits by which a model is judged, the one that counts more first.
JUDGED_BY = ("test", "validation")
FIGURES = ("accuracy", "macro_f1")

ALWAYS_ANSWERS = "Every input gets one of the labels, also one that has nothing to do with any of them."
ABSTAINS = (
    "Inputs whose highest probability is not above a threshold get no label; above it, one that has nothing to do with "
    "any of the labels may still get one."
)
LIMITATIONS = (
    "The metrics describe rows like those of the job: compare them with what the model is used on, and train again "
    "when that changes. Probabilities near each other mean that the model can't tell the labels apart."
)


@dataclass(frozen=True)
class Facts:
    """What is known of a model at the end of its job.

    Attributes:
        job_name: The training job's name.
        job_arn: Its ARN; empty outside of SageMaker.
        image_version: The version of this image.
        modality: The name of the modality.
        encoder: The encoder's name.
        encoder_family: The encoder's family.
        labels: The labels, in the order of the probabilities.
        training_rows: The number of training rows; None if other hosts had more of them.
        data_sha256: The digest of the job's data.
        hyperparameters: The job's hyperparameters by name.
        evaluation: The content of ``evaluation.json``.
    """

    job_name: str
    job_arn: str
    image_version: str
    modality: str
    encoder: str
    encoder_family: str
    labels: Sequence[Label]
    training_rows: int | None
    data_sha256: str
    hyperparameters: Mapping[str, Any]
    evaluation: Mapping[str, Any]

    @property
    def purpose(self) -> str:
        """What the model does, in a sentence."""
        records = "texts" if self.modality == TEXT else f"{self.modality}s"
        return f"Classifies {records} into {len(self.labels)} labels, with a probability for each."

    @property
    def limitations(self) -> str:
        """What the model can't do, and what its metrics don't say."""
        abstention = self.evaluation.get("abstention", {})
        abstains = max([abstention.get("threshold", 0), *abstention.get("thresholds", {}).values()]) > 0
        return f"{ABSTAINS if abstains else ALWAYS_ANSWERS} {LIMITATIONS}"

    @property
    def reports(self) -> dict[str, Mapping[str, Any]]:
        """The reports of :func:`classifier.training.evaluate.report` by split, the one that counts more first."""
        return {split: self.evaluation[split] for split in JUDGED_BY if split in self.evaluation}

    def note(self, split: str) -> str:
        """Return what to know about the metrics of a split; empty if there is nothing."""
        learnt = split == "validation" and self.evaluation.get("top_layer", {}).get("refit", False)
        return "After it was evaluated, the model learnt from these rows, too." if learnt else ""

    @property
    def shown_hyperparameters(self) -> dict[str, str]:
        """The hyperparameters that have a value, as text."""
        return {name: str(value) for name, value in self.hyperparameters.items() if value is not None}


def facts_of(
    environ: Environment,
    trained: Trained,
    rows: Data,
    hyperparameters: Hyperparameters,
    evaluation: Mapping[str, Any],
    *,
    sharded: bool,
) -> Facts:
    """Collect what is known of a model.

    Args:
        environ: The files of the job.
        trained: The model.
        rows: This host's rows.
        hyperparameters: The job's hyperparameters.
        evaluation: The content of ``evaluation.json``.
        sharded: Whether other hosts had training rows of their own.
    """
    return Facts(
        job_name=environ.job_name,
        job_arn=environ.job_arn,
        image_version=__version__,
        modality=rows.modality.name,
        encoder=trained.encoder.name,
        encoder_family=trained.encoder.family,
        labels=rows.labels,
        training_rows=None if sharded else len(rows.training.records),
        data_sha256=rows.digest,
        hyperparameters=hyperparameters.values,
        evaluation=evaluation,
    )


def rows_of(report: Mapping[str, Any]) -> int:
    """Return the number of rows that a report is about."""
    return sum(line["rows"] for line in report["by_label"])


def figures_of(report: Mapping[str, Any]) -> dict[str, float]:
    """Return a report's metrics over all labels."""
    return {name: report[name] for name in FIGURES}
