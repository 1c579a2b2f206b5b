"""Texts that share a row are answered as if each were alone, whatever the row."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

import tiny_bert
from classifier import predictor
from classifier.backends import PACK_TOKENS, Computing
from classifier.backends.choice import FLOAT32, TENSORFLOW
from classifier.backends.openvino_model import OpenVinoBackend, PackedTexts
from classifier.backends.packing import DIVISIONS, Packing
from classifier.encoders import bert, long_texts
from classifier.encoders.packed import Pack
from classifier.hyperparameters import Hyperparameters
from tiny_bert import VOCABULARY

WINDOW = 16
FIRST, LAST = 2, 3
PAD = 0

Ids = NDArray[np.int32]


def texts_of(lengths: Sequence[int]) -> list[Ids]:
    """Return texts of these lengths, special tokens included."""
    generator = np.random.default_rng(1)
    return [np.array([FIRST, *generator.integers(4, 60, length - 2), LAST], np.int32) for length in lengths]


def padded(texts: Sequence[Ids]) -> Ids:
    rows = np.zeros((len(texts), max(map(len, texts))), np.int32)
    for row, text in zip(rows, texts, strict=True):
        row[: len(text)] = text
    return rows


def packed_vectors(layer: object, packing: Packing, texts: Sequence[Ids]) -> NDArray[np.float32]:
    arrays = packing.pack(texts)
    pack = Pack(*(tf.constant(arrays[name]) for name in Pack._fields))
    vectors: NDArray[np.float32] = layer.packed(pack).numpy()[: len(texts)]  # type: ignore[attr-defined]
    return vectors


@pytest.mark.parametrize(
    ("kind", "pooling"),
    [("bert", "mean"), ("bert", "cls"), ("bert", "pooler"), ("distilbert", "cls"), ("electra", "mean")],
)
def test_a_packed_text_has_the_vector_that_it_has_padded(tmp_path: Path, kind: str, pooling: str) -> None:
    encoder = bert.load(tiny_bert.write(tmp_path / "encoder", kind=kind, pooling=pooling), "tiny", 64)
    texts = texts_of((2, 3, 64, 17, 40, 5, 64, 30, 33))
    texts[4][7] = PAD  # spelled out
    assert encoder.pooling == pooling
    expected = encoder.layer(tf.constant(padded(texts))).numpy()
    np.testing.assert_allclose(packed_vectors(encoder.layer, Packing(64), texts), expected, atol=2e-6)


@pytest.mark.parametrize("long_texts_are", ["windows", "head_tail"])
def test_a_long_text_has_the_vector_that_the_network_gives_it_padded(tiny_encoder: Path, long_texts_are: str) -> None:
    settings = Hyperparameters.parse({"seed": "5"})
    encoder = long_texts.reading(bert.load(tiny_encoder, "tiny", WINDOW), long_texts_are, WINDOW, settings)
    texts = texts_of((2, 15, 16, 17, 30, 31, 50, 100, 450))
    expected = encoder.layer(tf.constant(padded(texts))).numpy()
    found = packed_vectors(encoder.layer, Packing(WINDOW, long_texts_are), texts)
    np.testing.assert_allclose(found, expected, atol=2e-6)


@pytest.mark.parametrize("length", [2, 3, 8, 9, 10, 14, 15, 20, 21, 33, 64, 100, 255, 400])
def test_a_text_is_divided_as_the_network_divides_it(length: int) -> None:
    settings = Hyperparameters.parse({"seed": "5"})
    (text,) = texts_of([length])
    layer = long_texts.Windows(None, 8, 1, settings)
    divided = layer.divide(tf.constant(text[np.newaxis]))
    expected = [
        row[row != 0].tolist()
        for row, there in zip(divided.token_ids[0].numpy(), divided.present[0].numpy(), strict=True)
        if there
    ]
    assert long_texts.windows(layer, np.array([length])).tolist() == [len(expected)]
    assert [window.tolist() for window in DIVISIONS["windows"](text, Packing(8, "windows"))] == expected


def test_texts_share_rows_of_few_shapes_that_are_nearly_full() -> None:
    packing = Packing(256)
    generator = np.random.default_rng(0)
    shapes: dict[tuple[int, ...], int] = {}
    tokens = places = 0
    for _ in range(400):
        lengths = generator.geometric(1 / 22, generator.integers(1, 24)) + 2
        lengths = np.minimum(lengths, 256)
        lengths = lengths[np.cumsum(lengths) <= PACK_TOKENS]
        if len(lengths):
            (rows, length) = packing.pack(texts_of(lengths.tolist()))["token_ids"].shape
            shapes[rows, length] = shapes.get((rows, length), 0) + 1
            tokens, places = tokens + int(lengths.sum()), places + rows * length
    assert len(shapes) <= 30
    assert tokens / places > 0.85


def test_a_long_text_alone_takes_no_more_slots_than_a_pack_of_short_ones() -> None:
    (text,) = texts_of([8130])
    arrays = Packing(256, "windows").pack([text])
    assert arrays["token_ids"].size >= 8130
    assert len(arrays["starts"]) == PACK_TOKENS // 4


def test_a_text_beyond_what_the_network_reads_is_an_error() -> None:
    with pytest.raises(ValueError, match="a sequence of 300 tokens; the network reads 64"):
        Packing(64).pack(texts_of([300]))


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> predictor.Predictor:
    return predictor.load(tiny_model, Computing(FLOAT32, threads=2, batches_at_once=2))


def test_the_faster_form_of_a_transformer_is_packed(model: predictor.Predictor) -> None:
    assert isinstance(model.backend, OpenVinoBackend)
    assert isinstance(model.backend.record_encoder, PackedTexts)
    assert model.backend.record_encoder.packing.ngrams_of == (len(VOCABULARY) if has_ngrams(model) else 0)


def has_ngrams(model: predictor.Predictor) -> bool:
    return bool(model.manifest["top_layer"]["ngram_features"])


def test_an_answer_does_not_depend_on_the_texts_beside_it_nor_on_the_row(
    model: predictor.Predictor, tiny_model: Path
) -> None:
    text = "the film was not good , and the car brake door light is broken"
    expected = predictor.load(tiny_model, Computing(TENSORFLOW)).predict([text])[0]
    (asked,) = model.encode([text])
    shapes = set()
    for count in (0, 1, 2, 3, 5, 9, 12, 20, 30):
        others = model.encode([f"it was a bad film {number} " * (1 + number % 2) for number in range(count)])
        for place in {0, count // 2, count}:
            batch = [*others[:place], asked, *others[place:]]
            np.testing.assert_allclose(model.run_batch(batch)[place], expected, atol=1e-5)
        assert isinstance(model.backend, OpenVinoBackend)
        arrays = model.backend.record_encoder.collate([*others, asked])
        assert not isinstance(arrays, np.ndarray)
        shapes.add(arrays["token_ids"].shape)
    assert len(shapes) >= 6
    assert max(rows for rows, _ in shapes) > 1
