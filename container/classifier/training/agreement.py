"""What the hosts of a job agree on before they train: labels, modality and the bits of images."""

import json
from dataclasses import replace
from typing import Any

from classifier.artifact import Label
from classifier.errors import UserError
from classifier.training import data
from classifier.training.cluster import Cluster
from classifier.training.data import Tables


def agree(cluster: Cluster, found: Tables | UserError, known: tuple[Label, ...]) -> tuple[Tables, tuple[Label, ...]]:
    """Agree with all hosts on the labels, the modality and the number of bits of 16-bit images.

    Args:
        cluster: The hosts.
        found: This host's rows, or what is wrong with them.
        known: The labels of the model that is trained further.

    Returns:
        This host's rows, and the labels of all hosts' rows in the order of the model's probabilities.

    Raises:
        UserError: The rows of a host are invalid, or don't fit those of the others; it is raised on all hosts.
    """
    everyones = [json.loads(content) for content in cluster.all_gather(json.dumps(_labels_here(found, known)).encode())]
    wrong = [
        f"{theirs['error']} (host {host})"
        for host, theirs in zip(cluster.hosts, everyones, strict=True)
        if "error" in theirs
    ]
    if wrong:
        raise UserError(wrong)
    modalities = {theirs["modality"] for theirs in everyones}
    if len(modalities) > 1:
        kinds = " and ".join(f"{modality}s" for modality in sorted(modalities))
        raise UserError(f"the hosts have both {kinds} to train on; set modality to one of them, or remove the other")
    labels = (*known, *data.new_labels([label for theirs in everyones for label in theirs["labels"]], known))
    bits = max(theirs["bits"] for theirs in everyones)
    if len(labels) < 2:
        raise UserError("every row on every host has the same label; a classifier needs two labels or more")
    return replace(_good(found), bits=bits), labels


def _labels_here(found: Tables | UserError, known: tuple[Label, ...]) -> dict[str, Any]:
    """Return this host's labels, or what is wrong with its rows, as a JSON object."""
    try:
        rows = _good(found)
        return {"labels": data.labels_of(rows, known, fewest=1), "modality": rows.modality.name, "bits": rows.bits}
    except UserError as error:
        return {"error": str(error)}


def _good(found: Tables | UserError) -> Tables:
    if isinstance(found, UserError):
        raise found
    return found
