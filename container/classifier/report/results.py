"""The files of a job that a report is made of."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pandas as pd

from classifier.errors import UserError

EVALUATION = "evaluation.json"
EXAMPLES = "report_examples.json"
LEADERBOARD = "leaderboard.csv"
MISCLASSIFIED = "misclassified.csv"
SUSPECTS = "suspect_labels.csv"
MANIFEST = "manifest.json"
MOST_ROWS = 40  # of a list of rows; the file has all

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Results:
    """What is known of a job.

    Attributes:
        evaluation: The content of ``evaluation.json``; of a model alone, what its manifest says of it.
        manifest: The content of the model's ``manifest.json``; empty without it.
        candidates: The rows of ``leaderboard.csv``.
        mistakes: The first rows of ``misclassified.csv``.
        suspects: The first rows of ``suspect_labels.csv``.
        examples: The mistakes with their texts or images, of a job that asked for them.
    """

    evaluation: Mapping[str, Any]
    manifest: Mapping[str, Any] = field(default_factory=dict)
    candidates: Sequence[Row] = ()
    mistakes: Sequence[Row] = ()
    suspects: Sequence[Row] = ()
    examples: Sequence[Row] = ()

    @property
    def split(self) -> str:
        """The split that the figures by label are of: ``test`` if there are test rows; empty without a split."""
        return next((name for name in ("test", "validation") if name in self.evaluation), "")

    @property
    def noun(self) -> str:
        """What is classified, in the singular: text or image."""
        return str(self.evaluation.get("data", {}).get("modality") or self.manifest.get("modality") or "row")


def read(folder: Path | None, model_folder: Path | None) -> Results:
    """Read the files of a job.

    Args:
        folder: The folder with ``evaluation.json``; None without one.
        model_folder: The folder with the model's ``manifest.json``; None without one.

    Raises:
        UserError: A file is not what training writes.
    """
    manifest = _json(model_folder / MANIFEST) if model_folder is not None else {}
    if folder is None:
        top_layer = manifest.get("top_layer", {})
        known = {"best": manifest.get("metrics", {}), "baseline": top_layer.get("baseline")}
        return Results({name: value for name, value in known.items() if value}, manifest)
    evaluation = _json(folder / EVALUATION)
    return Results(
        evaluation,
        manifest,
        _rows(folder / LEADERBOARD),
        # A file of an earlier run may be there.
        _rows(folder / MISCLASSIFIED) if "validation" in evaluation else (),
        _rows(folder / SUSPECTS) if "suspect_labels" in evaluation else (),
        _json(folder / EXAMPLES).get("validation", ()) if (folder / EXAMPLES).is_file() else (),
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error}); use the file that training wrote") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: not a JSON object; use the file that training wrote")
    return content


def _rows(path: Path) -> list[Row]:
    """Return the first rows of a table, every value as text; none where there is no file."""
    if not path.is_file():
        return []
    table = pd.read_csv(path, dtype=str, keep_default_na=False, nrows=MOST_ROWS)
    return cast("list[Row]", table.to_dict("records"))
