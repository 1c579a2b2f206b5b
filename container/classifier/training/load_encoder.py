"""The encoder that a job trains: loaded from files, or built from scratch."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import cast

import tf_keras

from classifier.encoders import NO_VECTORS, ConfigurableEncoder, Encoder, FromScratchFamily, family
from classifier.encoders.long_texts import LongTextEncoder, longest, reading
from classifier.encoders.resolve import EncoderFiles, in_image, recognised
from classifier.encoders.texts import TokenPreprocessor
from classifier.environment import PRETRAINED_FOLDER
from classifier.errors import UserError
from classifier.hyperparameters import FROM_SCRATCH, LINEAR, TRUNCATE, Hyperparameters
from classifier.modalities import MODALITIES, Modality
from classifier.training import long_texts
from classifier.training.cluster import Cluster
from classifier.training.data import Data
from classifier.training.hardware import Precision, computing_with
from classifier.training.model import Network, assemble, build_head
from classifier.training.warm_start import Previous

log = logging.getLogger(__name__)

MODEL_CHANNEL = "model channel"  # the name of an encoder there whose files have none
FROM_SCRATCH_FAMILIES = frozenset(family for each in MODALITIES.values() for family in each.from_scratch.values())


def find(
    channel: Path | None, previous: Previous | None, hyperparameters: Hyperparameters, scratch: Path, modality: Modality
) -> EncoderFiles | None:
    """Find the encoder's files, converted to the form that runs fastest.

    Args:
        channel: The folder with the ``model`` channel's files, unpacked; None without that channel.
        previous: The model of this image that the channel holds; None without one.
        hyperparameters: The job's hyperparameters.
        scratch: A folder for converted files, which the encoder needs as long as it is used.
        modality: The modality of the records.

    Returns:
        The encoder's files; None for a network that is trained from scratch.

    Raises:
        UserError: There is no such encoder, or it contradicts the model channel.
    """
    files = _found(channel, previous, hyperparameters.model_id, modality)
    if files is None or files.family != "hub":
        return files
    from classifier.encoders import hub_bert  # noqa: PLC0415  it takes a second to import, and needs TensorFlow Hub

    return hub_bert.carried_over(files, hyperparameters.max_sequence_length, scratch)


def _found(channel: Path | None, previous: Previous | None, model_id: str, modality: Modality) -> EncoderFiles | None:
    from_scratch = modality.from_scratch
    if previous is not None:
        if from_scratch.get(model_id, previous.family) != previous.family:
            raise UserError(
                f"hyperparameter model_id={model_id}: the model channel holds a model with a {previous.family} "
                "encoder; leave model_id out to train that model further, or the channel out to train from scratch"
            )
        return EncoderFiles(previous.name, previous.family, previous.encoder)
    if model_id in FROM_SCRATCH and model_id not in from_scratch:
        raise UserError(
            f"hyperparameter model_id={model_id}: is not for {modality.name}s; use {' or '.join(from_scratch)}"
        )
    if model_id in from_scratch:
        if channel is not None and (model_id == LINEAR or not modality.word_vectors):
            raise UserError(
                f"hyperparameter model_id={model_id}: is trained from scratch, and there is a model channel; leave one "
                "of them out"
            )
        return None
    if channel is not None:
        return recognised(channel, MODEL_CHANNEL, modality)
    return in_image(model_id, PRETRAINED_FOLDER, modality)


def load(
    files: EncoderFiles | None, channel: Path | None, hyperparameters: Hyperparameters, data: Data, cluster: Cluster
) -> Encoder:
    """Load the encoder, or build one that is trained from scratch, so that it reads long texts as the job wants.

    Args:
        files: Its files; None for a network that is trained from scratch.
        channel: The folder with the ``model`` channel's files, unpacked, where a file of word vectors may be.
        hyperparameters: The job's hyperparameters.
        data: The job's rows; a new vocabulary is built from the training rows.
        cluster: The hosts, which read long texts in the same way.

    Raises:
        UserError: The files are broken, or the encoder can't read long texts as the job wants.
    """
    tf_keras.utils.set_random_seed(hyperparameters.seed)
    encoder = _built(channel, hyperparameters, data) if files is None else _loaded(files, hyperparameters)
    log.info("event=encoder name=%r family=%s pooling=%s", encoder.name, encoder.family, encoder.pooling)
    if isinstance(encoder, ConfigurableEncoder):
        encoder.configure(hyperparameters)
    if encoder.pooling == NO_VECTORS:  # there is nothing to average over windows
        return encoder
    chosen = long_texts.choose(encoder, data.training.records, hyperparameters, cluster)
    preprocessor = encoder.preprocessor
    if chosen == TRUNCATE or not isinstance(preprocessor, TokenPreprocessor):
        return encoder
    window = preprocessor.max_sequence_length
    if files is None:  # its vocabulary is built from all that it reads
        whole = replace(hyperparameters, max_sequence_length=longest(window, preprocessor.special_tokens))
        encoder = _built(channel, whole, data)
    return reading(encoder, chosen, window, hyperparameters)


def _loaded(files: EncoderFiles, hyperparameters: Hyperparameters) -> Encoder:
    return family(files.family).load(
        files.folder, files.name, hyperparameters.max_sequence_length, hyperparameters.seed
    )


def _built(channel: Path | None, hyperparameters: Hyperparameters, data: Data) -> Encoder:
    from classifier.encoders import word_vectors  # noqa: PLC0415

    vectors = word_vectors.find(channel) if channel is not None else None
    if channel is not None and vectors is None:
        raise UserError(
            f"hyperparameter model_id={hyperparameters.model_id}: is trained from scratch, and the model channel holds "
            "no file of word vectors; leave the channel out, or put a file in GloVe's or word2vec's text format there"
        )
    module = cast("FromScratchFamily", family(data.modality.from_scratch[hyperparameters.model_id]))
    return module.build(data.training.records, hyperparameters, vectors)


def plain(network: Network, hyperparameters: Hyperparameters, scratch: Path) -> Network:
    """Return a copy of the network that computes in float32 on one device, as it will when it serves."""
    folder = scratch / "plain"
    folder.mkdir()
    network.encoder.save(folder)
    weights = network.head.get_weights()
    with computing_with(Precision("float32", "exported")):
        files = EncoderFiles(network.encoder.name, network.encoder.family, folder)
        encoder = _alike(_loaded(files, hyperparameters), network.encoder, hyperparameters)
        made = assemble(encoder, build_head(weights[-1].shape[0], hyperparameters))
    made.head.set_weights(weights)
    return made.with_ngrams(network.ngrams)


def _alike(loaded: Encoder, like: Encoder, hyperparameters: Hyperparameters) -> Encoder:
    """Return an encoder that reads long texts as another one does."""
    if not isinstance(like, LongTextEncoder):
        return loaded
    preprocessor = like.preprocessor
    return reading(loaded, preprocessor.long_texts, preprocessor.window, hyperparameters)
