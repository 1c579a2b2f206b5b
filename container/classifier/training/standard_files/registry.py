"""The files for SageMaker Model Registry."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from classifier import artifact, resources
from classifier.training.standard_files import model_card, statistics
from classifier.training.standard_files.facts import JUDGED_BY, Facts
from classifier.training.standard_files.statistics import Predictions


def write(folder: Path, facts: Facts, predictions: Mapping[str, Predictions]) -> list[Path]:
    """Write the statistics and the model card.

    Args:
        folder: The folder that they are written to.
        facts: What is known of the model.
        predictions: Its predictions by split. The statistics are those of the test rows, or else of the validation
            rows; without either, there are none.

    Returns:
        The files.
    """
    contents = {model_card.FILE: model_card.model_card(facts)}
    split = next((split for split in JUDGED_BY if split in predictions), None)
    if split is not None:
        seed, now = facts.hyperparameters["seed"], datetime.now(UTC)
        contents[statistics.FILE] = statistics.statistics(predictions[split], facts.labels, seed, now)
    with resources.room_for("the files for the model registry", folder):
        (folder / statistics.FILE).unlink(missing_ok=True)  # of an earlier job in this folder
        for name, content in contents.items():
            artifact.write_json(folder / name, content)
    return [folder / name for name in contents]
