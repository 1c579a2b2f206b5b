"""Kinds of records: one :class:`Modality` each, and which of them a job has."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from classifier import IMAGE, MODALITY_NAMES, TEXT
from classifier.environment import ROLES, shown
from classifier.errors import UserError
from classifier.modalities.modality import Channel, Modality

__all__ = ["AUTO", "MODALITIES", "TRAINING", "Channel", "Modality", "choose", "of_manifest"]

AUTO = "auto"
# By any of these names a job has its channel to train on.
TRAINING = ROLES["training"]

MODALITIES: Mapping[str, Modality] = {
    name: importlib.import_module(f"{__name__}.{name}").MODALITY for name in MODALITY_NAMES
}


def of_manifest(manifest: Mapping[str, Any]) -> Modality:
    """Return what a model answers; one that another program made, without a manifest, answers texts."""
    return MODALITIES[manifest.get("modality", TEXT)]


def choose(wanted: str, channels: Mapping[str, Path]) -> tuple[Modality, str]:
    """Return what kind of records a job has, and why.

    Args:
        wanted: The kind's name, or ``auto``: that of the channel to train on.
        channels: The folder of each channel by its name.

    Raises:
        UserError: That channel holds both a table and folders of images.
    """
    if wanted != AUTO:
        return MODALITIES[wanted], "modality was given"
    from classifier.modalities import image_channel  # noqa: PLC0415
    from classifier.tabular import files  # noqa: PLC0415

    channel = next((name for name in channels if name.lower() in TRAINING), None)
    inside = image_channel.files_of(channels[channel]) if channel else []
    tables = [path for path in inside if files.is_table(path)]
    images = [path for path in inside if image_channel.is_image(path)]
    labelled = [path for path in images if len(path.relative_to(channels[channel or ""]).parts) > 1]
    if channel and (images or not tables) and image_channel.is_foreign(channels[channel], inside, images):
        return MODALITIES[IMAGE], f"channel {channel} holds images as another program lays them out"
    if tables and labelled:
        raise UserError(
            f"channel {channel} holds tables of text and folders of images, as {shown(tables[0].name)} and "
            f"{shown(labelled[0].name)}; set modality to {TEXT} or {IMAGE}, or take one kind out"
        )
    perhaps_tables = not labelled and any(files.may_be_table(path) for path in inside)
    # A stray image in a folder of texts makes no job of images.
    texts = [path for path in inside if path.suffix.lower() == ".txt" and path.parent != channels[channel or ""]]
    annotated = {path.with_suffix("") for path in images}
    texts = [path for path in texts if path.with_suffix("") not in annotated]
    perhaps_tables |= len(texts) > len(images)
    if images and not tables and not perhaps_tables:
        return MODALITIES[IMAGE], f"channel {channel} holds images and no table"
    if tables or images:
        return MODALITIES[TEXT], "there is a table to train on"
    if channel and any(files.may_be_table(path) and path.parent != channels[channel] for path in inside):
        return MODALITIES[TEXT], "there are texts in folders to train on"
    return MODALITIES[TEXT], "there are neither tables nor images to train on"
