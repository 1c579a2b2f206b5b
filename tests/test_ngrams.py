"""N-grams of token ids: the sparse features of training and the layer of the exported model are the same."""

import itertools

import numpy as np
import openvino
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from classifier import hashing
from classifier.backends.packing import Packing
from classifier.encoders import ngrams
from classifier.encoders.ngrams import NgramLayer, Vocabulary
from classifier.encoders.packed import SIGNATURE as PACK_SIGNATURE
from classifier.encoders.packed import Pack
from classifier.hashing import BUCKETS

VOCABULARY_SIZE = 1000
TEXTS = ((5, 7, 5, 7, 9), (5,), (9, 8, 7), (5, 7, 11, 12, 13, 5, 7), (5, 0, 7))  # a token 0 is a spelled-out [PAD]
SIGNATURE = tf.TensorSpec([None, None], tf.int32)


def rows_of(texts: tuple[tuple[int, ...], ...]) -> list[NDArray[np.int32]]:
    return [np.array(text, np.int32) for text in texts]


def padded(texts: tuple[tuple[int, ...], ...], length: int) -> NDArray[np.int32]:
    return np.array([[*text, *[0] * (length - len(text))] for text in texts], np.int32)


def layer_of(texts: tuple[tuple[int, ...], ...], labels: int = 3) -> tuple[NgramLayer, Vocabulary, NDArray[np.float32]]:
    vocabulary = Vocabulary.of(ngrams.bags(rows_of(texts), hashing.codes(VOCABULARY_SIZE)), 100)
    kernel = np.random.default_rng(0).normal(size=(len(vocabulary.buckets), labels)).astype(np.float32)
    return NgramLayer(vocabulary, kernel, VOCABULARY_SIZE), vocabulary, kernel


def expected(
    vocabulary: Vocabulary, kernel: NDArray[np.float32], texts: tuple[tuple[int, ...], ...]
) -> NDArray[np.float32]:
    bags = ngrams.bags(rows_of(texts), hashing.codes(VOCABULARY_SIZE))
    return np.asarray(vocabulary.features(bags) @ kernel)


def test_codes_are_the_same_on_every_machine() -> None:
    assert hashing.codes(3).tolist() == [[118191, 235441, 139432], [91636, 174619, 161950], [83279, 100352, 181341]]


def test_tokens_and_pairs_have_buckets_of_their_own() -> None:
    bags = ngrams.bags(rows_of(((1, 2), (2, 1), (1,), (2,))), hashing.codes(VOCABULARY_SIZE))
    first, second, one, two = (set(bags[row].indices) for row in range(4))
    assert len(one) == len(two) == 1
    assert first & second == one | two
    assert len(first) == len(second) == 3


def test_a_bag_counts_a_repeated_n_gram_once() -> None:
    bags = ngrams.bags(rows_of(((5, 5, 5, 5),)), hashing.codes(VOCABULARY_SIZE))
    assert bags.nnz == 2
    assert set(bags.data) == {1.0}


def test_no_texts_have_no_features() -> None:
    assert ngrams.bags([], hashing.codes(VOCABULARY_SIZE)).shape == (0, BUCKETS)


def test_features_have_norm_1_and_rare_ones_weigh_more() -> None:
    bags = ngrams.bags(rows_of(TEXTS), hashing.codes(VOCABULARY_SIZE))
    vocabulary = Vocabulary.of(bags, 100)
    features = vocabulary.features(bags)
    assert np.linalg.norm(features.toarray(), axis=1) == pytest.approx(np.ones(len(TEXTS)))
    common, rare = (
        vocabulary.weights[list(vocabulary.buckets).index(hashing.codes(VOCABULARY_SIZE)[token, 0])]
        for token in (5, 11)
    )
    assert common == pytest.approx(np.log(6 / 5) + 1)
    assert rare == pytest.approx(np.log(6 / 2) + 1)


def test_the_features_in_most_texts_are_kept_where_there_are_too_many() -> None:
    bags = ngrams.bags(rows_of(TEXTS), hashing.codes(VOCABULARY_SIZE))
    code_of = hashing.codes(VOCABULARY_SIZE)
    assert set(Vocabulary.of(bags, 2).buckets) <= {code_of[5, 0], code_of[7, 0]}


def test_a_table_of_many_labels_has_fewer_features() -> None:
    assert ngrams.most_features(2) > ngrams.most_features(150) > 1000
    assert ngrams.most_features(150) * 151 * 2 <= ngrams.LARGEST_TABLE


@pytest.mark.parametrize("length", [7, 8, 20, ngrams.LONGEST_SORTED, ngrams.LONGEST_SORTED + 1, 200])
def test_the_layer_scores_what_training_computed_whatever_the_padding(length: int) -> None:
    layer, vocabulary, kernel = layer_of(TEXTS)
    answers = layer(padded(TEXTS, length)).numpy()
    np.testing.assert_allclose(answers, expected(vocabulary, kernel, TEXTS), atol=2e-3)  # the layer rounds to float16


def test_unknown_n_grams_and_empty_texts_score_nothing() -> None:
    layer, vocabulary, kernel = layer_of(TEXTS)
    texts = ((), (500, 501), (500, 5, 501))
    answers = layer(padded(texts, 4)).numpy()
    assert (answers[:2] == 0).all()
    np.testing.assert_allclose(answers, expected(vocabulary, kernel, texts), atol=2e-3)


def test_a_text_of_one_token_in_a_batch_of_one_is_scored() -> None:
    layer, vocabulary, kernel = layer_of(TEXTS)
    np.testing.assert_allclose(layer(np.array([[5]])).numpy(), expected(vocabulary, kernel, ((5,),)), atol=2e-3)


@pytest.mark.parametrize("length", [7, 100])
def test_an_answer_does_not_depend_on_the_other_texts(length: int) -> None:
    layer, _, _ = layer_of(TEXTS)
    together = layer(padded(TEXTS, length)).numpy()
    alone = [layer(np.array([text], np.int32)).numpy()[0] for text in TEXTS]
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_packed_texts_have_the_logits_that_they_have_padded() -> None:
    texts = (*TEXTS, (5,), (500, 501), (5, 0, 5, 6, 0), tuple(range(1, 90)) * 2)
    layer, _, _ = layer_of(texts)
    packing = Packing(256, ngrams_of=VOCABULARY_SIZE)
    arrays = packing.pack([np.array(text, np.int32) for text in texts])
    function = tf.function(lambda *given: {"logits": layer.packed(Pack(*given))}, input_signature=PACK_SIGNATURE)
    model = openvino.convert_model(function.get_concrete_function())
    compiled = openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = compiled(arrays)["logits"]
    np.testing.assert_allclose(found[: len(texts)], layer(padded(texts, 200)).numpy(), atol=1e-5)
    assert not found[len(texts) :].any()


@pytest.mark.parametrize("length", [64, 65, 1000])
def test_openvino_computes_the_same_buckets_of_every_token_and_pair(length: int) -> None:
    """OpenVINO computes integers in float32 in places, which large ones would not survive."""
    generator = np.random.default_rng(1)
    texts = tuple(tuple(generator.integers(1, VOCABULARY_SIZE, 60).tolist()) for _ in range(20))
    layer, vocabulary, kernel = layer_of(texts)
    function = tf.function(layer, input_signature=[SIGNATURE]).get_concrete_function()
    compiled = openvino.compile_model(openvino.convert_model(function), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    (answers,) = compiled([padded(texts, length)]).values()
    np.testing.assert_allclose(answers, expected(vocabulary, kernel, texts), atol=2e-3)


def test_no_token_can_be_read_from_the_weights() -> None:
    """The arrays of two texts of other tokens differ in numbers only: there are buckets, and no text."""
    _, vocabulary, kernel = layer_of(TEXTS)
    arrays = (vocabulary.buckets, vocabulary.weights, kernel)
    assert all(np.issubdtype(array.dtype, np.number) for array in arrays)
    assert not (set(itertools.chain(*TEXTS)) - {0}) & set(vocabulary.buckets.tolist())


def test_openvino_scores_a_first_text_of_one_token() -> None:
    layer, _, _ = layer_of(TEXTS)
    function = tf.function(layer, input_signature=[SIGNATURE]).get_concrete_function()
    for length in (1, 2):
        model = openvino.convert_model(function)
        compiled = openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        text = np.full((1, length), 5, np.int32)
        (answers,) = compiled([text]).values()
        np.testing.assert_allclose(answers, layer(text).numpy(), atol=1e-6)
