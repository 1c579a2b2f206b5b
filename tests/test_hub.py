"""Encoders of TensorFlow Hub's text API: real files where they are at hand, tiny ones made here everywhere."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
import tensorflow as tf

import tiny_hub
from classifier.encoders import hub
from classifier.encoders.texts import TextPreprocessor
from classifier.errors import UserError

TEXTS = tf.constant(["the film was good", "smoke"])


def tokenizer_of(encoder: hub.HubEncoder) -> hub.HubTokenizer:
    assert isinstance(encoder.preprocessor, hub.HubTokenizer)
    return encoder.preprocessor


class Scaled(tf.Module):  # type: ignore[misc]
    """No text encoder: float32[batch] in."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])  # type: ignore[untyped-decorator]
    def __call__(self, values: tf.Tensor) -> tf.Tensor:
        return values * 2


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_hub.write_letters(tmp_path_factory.mktemp("letters"))


def test_a_text_encoder_is_found_loaded_and_trainable(letters: Path) -> None:
    assert hub.recognise(letters)
    encoder = hub.load(letters, "model channel", 128)
    assert encoder.name == "letters"
    assert isinstance(encoder.preprocessor, TextPreprocessor)
    assert encoder.layer(TEXTS).shape == (2, 4)
    assert len(encoder.layer.trainable_variables) == 1


def test_a_saved_encoder_loads_and_answers_the_same(letters: Path, tmp_path: Path) -> None:
    encoder = hub.load(letters, "x", 128)
    encoder.layer.trainable_variables[0].assign_add(tf.ones([2, 4]))
    encoder.save(tmp_path)
    again = hub.load(tmp_path, "x", 128)
    np.testing.assert_allclose(again.layer(TEXTS), encoder.layer(TEXTS))
    assert len(again.layer.trainable_variables) == 1


def test_two_encoders_are_one_too_many(letters: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        copytree(letters / "letters", tmp_path / name)
    with pytest.raises(UserError, match="2 encoders and 0 preprocessors"):
        hub.load(tmp_path, "x", 128)


def test_a_saved_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    tf.saved_model.save(Scaled(), str(tmp_path))
    with pytest.raises(UserError, match="takes neither texts nor BERT's input_word_ids"):
        hub.load(tmp_path, "x", 128)


def test_a_saved_model_without_a_call_is_refused(tmp_path: Path) -> None:
    tf.saved_model.save(tf.Module(), str(tmp_path))
    with pytest.raises(UserError, match="without a call of its own"):
        hub.load(tmp_path, "x", 128)


def test_a_broken_saved_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"junk")
    with pytest.raises(UserError, match="not a SavedModel that loads"):
        hub.load(tmp_path, "x", 128)


def test_the_real_bert_and_preprocessor_work_at_a_dynamic_length(shared: Callable[[str], Path], tmp_path: Path) -> None:
    for name in ("bert_en_uncased_preprocess_3", "small_bert_L-2_H-128_A-2_2_RANDOM_WEIGHTS"):
        copytree(shared(f"encoders/{name}"), tmp_path / name)
    encoder = hub.load(tmp_path, "model channel", 7)
    short = tokenizer_of(encoder).tokenize(tf.constant(["smoke"])).numpy()
    assert short.tolist() == [[101, 5610, 102]]
    long = tokenizer_of(encoder).tokenize(tf.constant(["one two three four five six seven eight", "smoke"])).numpy()
    assert long.shape == (2, 7)
    assert long[0, -1] == 102
    assert encoder.layer(tf.constant(long)).shape == (2, 128)
    assert encoder.layer(tf.constant(short)).shape == (1, 128)


def test_a_tiny_bert_and_its_preprocessor_are_cut_and_padded_as_the_real_ones_are(tmp_path: Path) -> None:
    encoder = hub.load(tiny_hub.write_bert(tmp_path), "model channel", 5)
    assert tokenizer_of(encoder).tokenize(tf.constant(["the film", "good good good good", ""])).numpy().tolist() == [
        [2, 4, 5, 3, 0],
        [2, 6, 6, 6, 3],
        [2, 3, 0, 0, 0],
    ]
    assert tokenizer_of(encoder).unknown_id == tiny_hub.UNKNOWN


def test_a_preprocessor_that_pads_with_another_token_than_0_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="preprocessor: pads texts with another token than 0"):
        hub.load(tiny_hub.write_bert(tmp_path, padding=1), "model channel", 5)


def test_the_unknown_token_of_the_real_preprocessor_is_found(shared: Callable[[str], Path], tmp_path: Path) -> None:
    for name in ("bert_en_uncased_preprocess_3", "small_bert_L-2_H-128_A-2_2_RANDOM_WEIGHTS"):
        copytree(shared(f"encoders/{name}"), tmp_path / name)
    assert tokenizer_of(hub.load(tmp_path, "x", 7)).unknown_id == 100


def test_where_bytes_are_tokens_none_is_unknown(tmp_path: Path) -> None:
    encoder = hub.load(tiny_hub.write_bert(tmp_path), "x", 5)

    class Bytes:
        def tokenize(self, texts: tf.Tensor) -> tf.RaggedTensor:
            return tf.ragged.map_flat_values(tf.strings.to_hash_bucket_fast, tf.strings.bytes_split(texts), 10**9)

    assert replace(tokenizer_of(encoder), tokenizer=Bytes()).unknown_id is None


def test_a_real_bert_reads_no_more_tokens_than_it_has_positions(shared: Callable[[str], Path], tmp_path: Path) -> None:
    for name in ("bert_en_uncased_preprocess_3", "small_bert_L-2_H-128_A-2_2_RANDOM_WEIGHTS"):
        copytree(shared(f"encoders/{name}"), tmp_path / name)
    encoder = hub.load(tmp_path, "model channel", 4096)
    tokens = tokenizer_of(encoder).tokenize(tf.constant(["word " * 2000]))
    assert tokens.shape == (1, 512)
    assert encoder.layer(tokens).shape == (1, 128)


def test_a_real_bert_without_its_preprocessor_says_what_is_missing(shared: Callable[[str], Path]) -> None:
    folder = shared("encoders/small_bert_L-2_H-128_A-2_2_RANDOM_WEIGHTS")
    with pytest.raises(UserError, match="put its preprocessor on the model channel too"):
        hub.load(folder, "x", 128)


def test_real_word_vectors_answer(shared: Callable[[str], Path]) -> None:
    encoder = hub.load(shared("encoders/gnews_word2vec_top1000_dim300"), "x", 128)
    assert encoder.layer(TEXTS).shape == (2, 300)
