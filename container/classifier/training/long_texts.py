"""How a job's texts of more than ``max_sequence_length`` tokens are read."""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, cast

import numpy as np
import tensorflow as tf

from classifier.encoders import Encoder
from classifier.encoders.long_texts import longest
from classifier.encoders.texts import TextPreprocessor, TokenPreprocessor, encoded
from classifier.errors import UserError
from classifier.hyperparameters import AUTO, TRUNCATE, Hyperparameters
from classifier.training.cluster import Cluster
from classifier.training.reading import resolved

log = logging.getLogger(__name__)

MOST_LOOKED_AT = 5_000  # texts of a host
TOKENIZED_AT_ONCE = 256


@dataclass(frozen=True)
class Lengths:
    """The lengths of texts.

    Attributes:
        texts: The number of texts.
        longer: The number of texts of more than ``max_sequence_length`` tokens.
        beyond: The number of texts of more tokens than windows read.
        tokens: The number of all texts' tokens, up to those that windows read.
        truncated: The number of those of them that are beyond ``max_sequence_length``.
    """

    texts: int
    longer: int
    beyond: int
    tokens: int
    truncated: int


def choose(encoder: Encoder, texts: Sequence[Any], hyperparameters: Hyperparameters, cluster: Cluster) -> str:
    """Return how long texts are read: ``truncate``, ``head_tail`` or ``windows``, the same on all hosts.

    Args:
        encoder: The encoder, before it reads long texts.
        texts: This host's training records.
        hyperparameters: The job's hyperparameters.
        cluster: The hosts.

    Raises:
        UserError: The hyperparameter asks for what the encoder can't do.
    """
    preprocessor, asked = encoder.preprocessor, hyperparameters.long_texts
    if not isinstance(preprocessor, TokenPreprocessor):
        if isinstance(preprocessor, TextPreprocessor):
            _check_possible(asked)
        return TRUNCATE
    limit = longest(preprocessor.max_sequence_length, preprocessor.special_tokens)
    here = json.dumps(asdict(_lengths(preprocessor, limit, texts))).encode()
    everyones = [json.loads(content) for content in cluster.all_gather(here)]
    found = Lengths(**{each.name: sum(theirs[each.name] for theirs in everyones) for each in fields(Lengths)})
    share = found.longer / max(found.texts, 1)
    chosen = resolved(asked, share)
    reason = "given" if "long_texts" in hyperparameters.given else "the model that is trained further"
    log.info(
        "event=long_texts long_texts=%s long_texts_from=%r texts_looked_at=%d max_sequence_length=%d share_longer=%.4f "
        "tokens=%d tokens_beyond_max_sequence_length=%d longest_text=%d share_beyond_longest_text=%.4f",
        chosen, "the lengths" if asked == AUTO else reason, found.texts, preprocessor.max_sequence_length, share,
        found.tokens, found.truncated, limit, found.beyond / max(found.texts, 1),
    )  # fmt: skip
    return chosen


def _check_possible(asked: str) -> None:
    """Log that a SavedModel that reads strings decides by itself, or refuse what it can't do."""
    if asked not in (AUTO, TRUNCATE):
        raise UserError(
            f"hyperparameter long_texts={asked}: this encoder reads texts as they are and divides them into tokens by "
            "itself, so that it can't be given parts of them; leave long_texts out, or use an encoder that reads token "
            "ids, such as the default one"
        )
    log.info("event=long_texts note='this encoder reads texts as they are, and decides by itself how much of them'")


def _lengths(preprocessor: TokenPreprocessor, limit: int, texts: Sequence[Any]) -> Lengths:
    """Return the lengths of texts, or of a sample, always the same, of many texts."""
    # One more token than is read shows which texts have more.
    higher = replace(cast("Any", preprocessor), max_sequence_length=limit + 1)
    count = tf.function(
        lambda some: tf.math.count_nonzero(higher.tokenize(some), axis=1),
        input_signature=[tf.TensorSpec([None], tf.string)],
        autograph=False,
    )
    looked_at = [texts[index] for index in _sample(len(texts))]
    pieces = (looked_at[start : start + TOKENIZED_AT_ONCE] for start in range(0, len(looked_at), TOKENIZED_AT_ONCE))
    lengths = np.concatenate([[0], *(count(tf.constant(encoded(piece))).numpy() for piece in pieces)])[1:]
    read, short = np.minimum(lengths, limit), np.minimum(lengths, preprocessor.max_sequence_length)
    longer, beyond = lengths > preprocessor.max_sequence_length, lengths > limit
    return Lengths(len(lengths), *(int(each.sum()) for each in (longer, beyond, read, read - short)))


def _sample(count: int) -> list[int]:
    indices: list[int] = np.linspace(0, count - 1, min(count, MOST_LOOKED_AT)).astype(np.int64).tolist()
    return indices
