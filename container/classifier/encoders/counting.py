"""Counting the words of training texts, of which a vocabulary is made."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import tensorflow as tf

from classifier.encoders.texts import encoded

COUNTED_AT_ONCE = 1024  # texts


def count(texts: Iterable[str], split: Callable[[tf.Tensor], tf.RaggedTensor]) -> Counter[str]:
    """Count the words of texts, in batches of texts.

    Args:
        texts: The texts.
        split: Maps string[batch] to string[batch, (words)], as TensorFlow operations.
    """

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)  # type: ignore[untyped-decorator]
    def count_some(some: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        words, _, times = tf.unique_with_counts(split(some).flat_values)
        return words, times

    counts: Counter[str] = Counter()
    for some in _batches(texts):
        words, times = count_some(tf.constant(encoded(some), tf.string))
        for word, number in zip(words.numpy().tolist(), times.numpy().tolist(), strict=True):
            counts[word.decode("utf-8")] += number
    return counts


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    remaining = iter(texts)
    while some := list(itertools.islice(remaining, COUNTED_AT_ONCE)):
        yield some
