"""Find the encoder that a job asks for: on its ``model`` channel, or else in the container image."""

from dataclasses import dataclass
from pathlib import Path

from classifier import TEXT
from classifier.encoders import archives, catalog, family
from classifier.environment import channel_files
from classifier.errors import UserError
from classifier.modalities import MODALITIES, Modality


@dataclass(frozen=True)
class EncoderFiles:
    """An encoder's files, before they are loaded.

    Attributes:
        name: Its name in the log and the manifest.
        family: The family that loads it.
        folder: The folder of its files.
    """

    name: str
    family: str
    folder: Path


def in_image(model_id: str, pretrained: Path, modality: Modality = MODALITIES[TEXT]) -> EncoderFiles:
    """Find an encoder in the container image.

    Args:
        model_id: Its id, handle or URL.
        pretrained: The folder of the encoders in the container image.
        modality: The modality of the job.

    Raises:
        UserError: The image holds no such encoder; the message says how to get it.
    """
    if not modality.has_embedded_encoder:
        from_scratch = " or ".join(modality.from_scratch)
        raise UserError(
            f"hyperparameter model_id={model_id!r}: the image holds no encoder of {modality.name}s; put "
            f"{modality.model_channel}, on the channel `model`, or set model_id to {from_scratch}, a network that is "
            "trained from scratch"
        )
    here = (path.name for path in pretrained.glob("*") if path.is_dir())
    held = sorted(name for name in here if _other_modality(name, modality) is None)
    name = model_id if model_id in held else catalog.identify(model_id)
    if name not in held:
        raise UserError(f"hyperparameter model_id={model_id!r}: {_how_to_get(model_id, held, modality)}")
    return recognised(pretrained / name, name, modality)


def _other_modality(model_id: str, modality: Modality) -> Modality | None:
    """Return the modality of an encoder in the catalog, if it is not this one."""
    entry = catalog.find(model_id)
    if entry is None or entry.family in modality.families:
        return None
    return next(each for each in MODALITIES.values() if entry.family in each.families)


def _how_to_get(model_id: str, held: list[str], modality: Modality) -> str:
    """Return what to do about an encoder that is not in the container image."""
    other = _other_modality(model_id, modality)
    if other is not None:
        return (
            f"is an encoder of {other.name}s, and the training data are {modality.name}s; leave model_id out, or set "
            f"it to an encoder of {modality.name}s"
        )
    known = catalog.identify(model_id)
    if known:
        return (
            "its files are not in the image, and nothing is downloaded in a job; on a connected machine run "
            f"`local_test/fetch_encoder.sh {known}`, upload the model.tar.gz it leaves, and give its S3 address as the "
            "channel `model`"
        )
    nearest = catalog.nearest(model_id, held, modality.families)
    return (
        f"there is no such encoder{f' (did you mean {nearest!r}?)' if nearest else ''}; the image holds "
        f"{', '.join(held) or 'none'}, docs/{modality.encoders_page} lists others, and any other's files go on the "
        "channel `model`"
    )


def recognised(folder: Path, name: str, modality: Modality = MODALITIES[TEXT]) -> EncoderFiles:
    """Recognize the family of an encoder by its files.

    Args:
        folder: The files, unpacked.
        name: The encoder's name where it has no folder of its own.
        modality: The modality of the job.

    Raises:
        UserError: No family recognizes them.
    """
    for family_name in modality.families:
        module = family(family_name)
        candidates = [folder, *(path for path in sorted(folder.glob("*")) if path.is_dir())]
        matching = [candidate for candidate in candidates if module.recognise(candidate)]
        if not matching:
            continue
        if folder in matching or len(matching) > 1:
            return EncoderFiles(name, family_name, folder)
        return EncoderFiles(matching[0].name, family_name, matching[0])
    found = ", ".join(path.relative_to(folder).as_posix() for path in channel_files(folder)[:10]) or "nothing"
    raise UserError(
        f"{name}: no encoder among its files ({found}); it takes {modality.model_channel}, loose or as one .tar.gz"
    )


def opened(channel: Path, scratch: Path) -> Path:
    """Return the folder of the ``model`` channel's files, after unpacking an archive.

    Raises:
        UserError: There are no files, or too many, or the archive is damaged.
    """
    files = channel_files(channel)
    if not files:
        raise UserError("channel model: the job names it, but it has no files; check its S3 address or leave it out")
    packed = [path for path in files if path.name.endswith(archives.SUFFIXES)]
    if not packed:
        return channel
    if len(files) > 1:
        raise UserError("model channel: holds an archive and other files beside it; give one .tar.gz or loose files")
    archives.unpack(packed[0], scratch, "model channel")
    return scratch
