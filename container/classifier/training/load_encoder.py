"""What a job begins with: the encoder it trains, loaded or made."""

import logging
from pathlib import Path
from typing import cast

import tf_keras

from classifier.encoders import ConfigurableEncoder, Encoder, FromScratchFamily, family
from classifier.encoders.resolve import EncoderFiles, in_image, recognised
from classifier.environment import PRETRAINED_FOLDER
from classifier.errors import UserError
from classifier.hyperparameters import FROM_SCRATCH, Hyperparameters
from classifier.modalities import MODALITIES, Modality
from classifier.training.data import Data
from classifier.training.hardware import Precision, computing_with
from classifier.training.model import Network, assemble, build_head
from classifier.training.warm_start import Previous

log = logging.getLogger(__name__)

FROM_SCRATCH_FAMILIES = frozenset(family for each in MODALITIES.values() for family in each.from_scratch.values())


def find(
    channel: Path | None, previous: Previous | None, settings: Hyperparameters, scratch: Path, modality: Modality
) -> EncoderFiles | None:
    """Find the encoder's files, in the form that is computed fastest; None where it begins from nothing.

    Args:
        channel: The folder with the ``model`` channel's files, unpacked; None without that channel.
        previous: The model of this image that the channel holds, if it does.
        settings: The job's hyperparameters.
        scratch: A folder for files of that form; it must last as long as the encoder.
        modality: What kind of records it is for.

    Raises:
        UserError: There is none.
    """
    files = _found(channel, previous, settings, modality)
    if files is None or files.family != "hub":
        return files
    from classifier.encoders import hub_bert  # noqa: PLC0415  it takes a second to import, and needs TensorFlow Hub

    return hub_bert.carried_over(files, settings.max_sequence_length, scratch)


def _found(
    channel: Path | None, previous: Previous | None, settings: Hyperparameters, modality: Modality
) -> EncoderFiles | None:
    made_by = modality.from_scratch
    if previous is not None:
        if made_by.get(settings.model_id, previous.family) != previous.family:
            raise UserError(
                f"hyperparameter model_id={settings.model_id}: the model channel holds a model made of a "
                f"{previous.family} encoder; leave model_id out to train that further, or the channel to begin anew"
            )
        return EncoderFiles(previous.name, previous.family, previous.encoder)
    if settings.model_id in FROM_SCRATCH and settings.model_id not in made_by:
        raise UserError(
            f"hyperparameter model_id={settings.model_id}: is not for {modality.name}s; use {' or '.join(made_by)}"
        )
    if settings.model_id in made_by:
        if channel is not None and not modality.word_vectors:
            raise UserError(
                f"hyperparameter model_id={settings.model_id}: begins from nothing, and there is a model channel; "
                "leave one of them out"
            )
        return None
    if channel is not None:
        return recognised(channel, "model channel", modality)
    return in_image(settings.model_id, PRETRAINED_FOLDER, modality)


def load(files: EncoderFiles | None, channel: Path | None, settings: Hyperparameters, data: Data) -> Encoder:
    """Load the encoder, or make one of the families that begin from nothing.

    Args:
        files: Its files; None where it begins from nothing.
        channel: The folder with the ``model`` channel's files, unpacked, where a file of word vectors may be.
        settings: The job's hyperparameters.
        data: The rows to train on, of which a new vocabulary is made.

    Raises:
        UserError: The files are broken.
    """
    tf_keras.utils.set_random_seed(settings.seed)
    encoder = _made(channel, settings, data) if files is None else _loaded(files, settings)
    log.info("event=encoder name=%r family=%s pooling=%s", encoder.name, encoder.family, encoder.pooling)
    if isinstance(encoder, ConfigurableEncoder):
        encoder.configure(settings)
    return encoder


def _loaded(files: EncoderFiles, settings: Hyperparameters) -> Encoder:
    return family(files.family).load(files.folder, files.name, settings.max_sequence_length, settings.seed)


def _made(channel: Path | None, settings: Hyperparameters, data: Data) -> Encoder:
    from classifier.encoders import word_vectors  # noqa: PLC0415

    vectors = word_vectors.find(channel) if channel is not None else None
    if channel is not None and vectors is None:
        raise UserError(
            f"hyperparameter model_id={settings.model_id}: begins from nothing, and the model channel holds no file of "
            "word vectors; leave the channel out, or put a file in GloVe's or word2vec's text format there"
        )
    module = cast("FromScratchFamily", family(data.modality.from_scratch[settings.model_id]))
    return module.build(data.training.texts, settings, vectors)


def plain(network: Network, settings: Hyperparameters, scratch: Path) -> Network:
    """Make the same network anew, computing in float32 on one device, as it will serve."""
    folder = scratch / "plain"
    folder.mkdir()
    network.encoder.save(folder)
    weights = network.head.get_weights()
    with computing_with(Precision("float32", "exported")):
        files = EncoderFiles(network.encoder.name, network.encoder.family, folder)
        made = assemble(_loaded(files, settings), build_head(weights[-1].shape[0], settings))
    made.head.set_weights(weights)
    return made
