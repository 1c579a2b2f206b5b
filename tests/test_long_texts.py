"""Texts that are longer than an encoder reads at once: their windows, or their heads and tails, as one vector."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray

import tiny_hub
from classifier.encoders import Encoder, bert, convolutional, hub, long_texts, recurrent
from classifier.encoders.long_texts import MOST_IN_TRAINING, MOST_WINDOWS, LongTextEncoder
from classifier.errors import UserError
from classifier.hyperparameters import Hyperparameters
from classifier.training.cluster import local
from classifier.training.long_texts import choose

WINDOW = 16
FIRST, LAST = 2, 3
LENGTHS = (2, 3, 15, 16, 17, 30, 31, 50, 100)
SETTINGS = Hyperparameters.parse({"seed": "5", "embed_size": "8", "hidden_size": "6", "max_sequence_length": "16"})
TEXTS = ["the film was good", "a bad film , and not a good film"] * 4

Ids = NDArray[np.int32]


def token_ids(lengths: Sequence[int] = LENGTHS) -> Ids:
    """Return texts of these lengths, special tokens included."""
    generator = np.random.default_rng(1)
    rows = np.zeros((len(lengths), max(lengths)), np.int32)
    for row, length in zip(rows, lengths, strict=True):
        row[:length] = [FIRST, *generator.integers(4, 60, length - 2), LAST]
    return rows


def vectors(encoder: Encoder, rows: Ids, *, training: bool = False) -> NDArray[np.float32]:
    result: NDArray[np.float32] = encoder.layer(tf.constant(rows), training=training).numpy()
    return result


@pytest.fixture(scope="module")
def plain(tiny_encoder: Path) -> Encoder:
    return bert.load(tiny_encoder, "tiny", WINDOW)


def reading(encoder: Encoder, mode: str, **settings: str) -> LongTextEncoder:
    return long_texts.reading(encoder, mode, WINDOW, Hyperparameters.parse({"seed": "5", **settings}))


@pytest.mark.parametrize("mode", ["windows", "head_tail"])
def test_a_text_that_is_read_at_once_has_the_very_vector_that_it_had(plain: Encoder, mode: str) -> None:
    for length in (2, 3, 15, 16):
        rows = token_ids([length])
        np.testing.assert_array_equal(vectors(reading(plain, mode), rows), vectors(plain, rows))


@pytest.mark.parametrize("mode", ["windows", "head_tail"])
def test_a_text_has_the_same_vector_whatever_is_in_its_batch(plain: Encoder, mode: str) -> None:
    encoder = reading(plain, mode)
    together = vectors(encoder, token_ids())
    alone = [vectors(encoder, row[np.newaxis, :length])[0] for row, length in zip(token_ids(), LENGTHS, strict=True)]
    np.testing.assert_allclose(together, np.stack(alone), atol=1e-5)


def test_the_vectors_of_windows_are_averaged_by_their_tokens(plain: Encoder) -> None:
    rows = token_ids([31])  # 29 tokens and two special ones: windows of 10, 10 and 9 tokens
    parts = [rows[0, 1:11], rows[0, 11:21], rows[0, 21:30]]
    each = [vectors(plain, np.array([[FIRST, *part, LAST]], np.int32))[0] for part in parts]
    expected = np.average(each, axis=0, weights=[10, 10, 9])
    np.testing.assert_allclose(vectors(reading(plain, "windows"), rows)[0], expected, atol=1e-5)


def test_of_head_and_tail_as_many_tokens_are_read(plain: Encoder) -> None:
    rows = token_ids([100])
    read = np.concatenate([rows[:, :8], rows[:, -8:]], axis=1)
    np.testing.assert_array_equal(vectors(reading(plain, "head_tail"), rows), vectors(plain, read))


class Recorder(tf_keras.layers.Layer):  # type: ignore[misc]
    """Keeps what it is asked to encode."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Ids] = []

    def call(self, rows: tf.Tensor, training: bool | None = None) -> tf.Tensor:  # noqa: ARG002
        self.asked.append(rows.numpy())
        return tf.cast(tf.reduce_sum(rows, axis=1, keepdims=True), tf.float32)


def recorded(rows: Ids, *, special_tokens: int = 1, training: bool = False) -> Ids:
    """Return the windows that are encoded of texts."""
    recorder = Recorder()
    layer = long_texts.Windows(recorder, WINDOW, special_tokens, SETTINGS)
    layer(tf.constant(rows), training=training)
    return recorder.asked[-1]


def test_windows_that_no_text_has_are_not_encoded() -> None:
    content = np.maximum(np.array(LENGTHS) - 2, 1)
    assert len(recorded(token_ids())) == sum(-(-content // (WINDOW - 2)))


def test_every_token_of_every_text_is_in_one_window_between_special_tokens() -> None:
    for length in range(2, 120):
        rows = token_ids([length])
        read = []
        for window in recorded(rows):
            tokens = window[window != 0]
            assert (tokens[0], tokens[-1]) == (FIRST, LAST)
            assert len(tokens) <= WINDOW
            read += tokens[1:-1].tolist()
        assert read == rows[0, 1:-1].tolist()


def test_without_special_tokens_windows_have_none() -> None:
    for length in range(3, 60):
        rows = token_ids([length])
        assert [token for window in recorded(rows, special_tokens=0) for token in window if token] == rows[0].tolist()


def test_in_training_one_window_of_each_text_is_encoded_and_another_every_time() -> None:
    rows = token_ids([100, 10])
    recorder = Recorder()
    layer = long_texts.Windows(recorder, WINDOW, 1, SETTINGS)
    for _ in range(80):
        layer(tf.constant(rows), training=True)
    everything = {window.tobytes() for window in recorded(rows)}
    assert all(len(asked) == MOST_IN_TRAINING + 1 for asked in recorder.asked)
    assert {window.tobytes() for asked in recorder.asked for window in asked} == everything
    assert len({np.sort(asked, axis=0).tobytes() for asked in recorder.asked}) > 5


def test_the_seed_and_the_count_decide_which_windows_are_trained_on(plain: Encoder) -> None:
    first, second = reading(plain, "windows"), reading(plain, "windows")
    rows = token_ids([150])
    draw = [first.layer.divide(rows, training=True).token_ids.numpy() for _ in range(3)]
    second.layer.calls.assign(2)  # as a resumed run does
    np.testing.assert_array_equal(second.layer.divide(rows, training=True).token_ids.numpy(), draw[2])
    assert not np.array_equal(draw[1], draw[2])


@pytest.mark.parametrize("jit_compile", ["true", "false"])
@pytest.mark.parametrize("mode", ["windows", "head_tail"])
def test_every_weight_is_trained_also_in_a_step_that_xla_compiles(
    tiny_encoder: Path, mode: str, jit_compile: str
) -> None:
    encoder = reading(bert.load(tiny_encoder, "tiny", WINDOW), mode, jit_compile=jit_compile)

    @tf.function(jit_compile=jit_compile == "true")  # type: ignore[untyped-decorator]
    def gradients(rows: tf.Tensor) -> Any:
        with tf.GradientTape() as tape:
            value = tf.reduce_sum(encoder.layer(rows, training=True) ** 2)
        return tape.gradient(value, encoder.layer.trainable_variables)

    assert all(np.isfinite(tf.convert_to_tensor(each)).all() for each in gradients(tf.constant(token_ids())))
    assert encoder.layer.stages == encoder.encoder.layer.stages


def hub_bert(folder: Path) -> Encoder:
    return hub.load(tiny_hub.write_bert(folder), "tiny", WINDOW)


def words(model_id: str) -> Callable[[Path], Encoder]:
    family: Any = {"cnn": convolutional, "lstm": recurrent}[model_id]
    return lambda _: family.build(TEXTS, SETTINGS, None)


OTHERS: Mapping[str, Callable[[Path], Encoder]] = {"hub": hub_bert, "cnn": words("cnn"), "lstm": words("lstm")}


@pytest.mark.parametrize("mode", ["windows", "head_tail"])
@pytest.mark.parametrize("kind", OTHERS)
def test_every_encoder_that_reads_token_ids_reads_long_texts(kind: str, mode: str, tmp_path: Path) -> None:
    encoder = OTHERS[kind](tmp_path)
    long = reading(encoder, mode)
    texts = tf.constant(["the film was good", "the film was bad , bad " * 200])
    rows = long.preprocessor.tokenize(texts).numpy()
    assert rows.shape[1] > WINDOW
    answers = vectors(long, rows)
    assert np.isfinite(answers).all()
    assert np.isfinite(vectors(long, rows, training=True)).all()
    np.testing.assert_allclose(answers[0], vectors(encoder, rows[:1, : np.count_nonzero(rows[0])])[0], atol=1e-5)


def test_the_longest_text_fills_its_windows(plain: Encoder) -> None:
    encoder = reading(plain, "windows")
    rows = encoder.preprocessor.tokenize(tf.constant(["good " * 10_000]))
    assert rows.shape == (1, encoder.preprocessor.max_sequence_length)
    windows = encoder.layer.divide(rows).tokens.numpy()
    assert windows.tolist() == [[WINDOW - 2] * MOST_WINDOWS]


def test_its_tokenizer_without_tensorflow_reads_as_much(plain: Encoder) -> None:
    from tokenizers import Tokenizer

    encoder = reading(plain, "windows")
    portable = encoder.preprocessor.portable()
    assert portable is not None
    for text in ("the film was good " * 40, "good " * 10_000):
        expected = encoder.preprocessor.tokenize(tf.constant([text])).numpy()[0].tolist()
        assert Tokenizer.from_str(portable.definition).encode(text).ids == expected


def chosen(encoder: Encoder, texts: Sequence[str], asked: str) -> str:
    return choose(encoder, texts, Hyperparameters.parse({"long_texts": asked}), local())


CHOICES: Mapping[str, tuple[int, str, str]] = {
    "one text in twenty is longer": (1, "auto", "truncate"),
    "two texts in twenty are longer": (2, "auto", "windows"),
    "many are longer, and truncation was asked for": (10, "truncate", "truncate"),
    "none is longer, and windows were asked for": (0, "windows", "windows"),
}


@pytest.mark.parametrize("kind", CHOICES)
def test_windows_are_chosen_where_more_than_five_percent_of_the_texts_are_longer(
    kind: str, plain: Encoder, caplog: pytest.LogCaptureFixture
) -> None:
    longer, asked, expected = CHOICES[kind]
    texts = ["good " * 34] * longer + ["good"] * (20 - longer)
    with caplog.at_level("INFO"):
        assert chosen(plain, texts, asked) == expected
    assert f"long_texts={expected} " in caplog.text
    assert f"share_longer={longer / 20:.4f} tokens={36 * longer + 3 * (20 - longer)} " in caplog.text
    assert f"tokens_beyond_max_sequence_length={20 * longer} " in caplog.text


@pytest.mark.parametrize(
    ("given", "inherited", "reason"),
    [
        ({}, {}, "the lengths"),
        ({"long_texts": "windows"}, {}, "given"),
        ({}, {"long_texts": "windows"}, "the model that is trained further"),
        ({"long_texts": "auto"}, {"long_texts": "windows"}, "the lengths"),
    ],
)
def test_it_is_said_why_texts_are_read_as_they_are(
    given: dict[str, str], inherited: dict[str, str], reason: str, plain: Encoder, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        choose(plain, ["good"], Hyperparameters.from_values(given, lambda _: inherited), local())
    assert f"long_texts_from='{reason}'" in caplog.text


def test_texts_that_even_windows_do_not_read_whole_are_counted(
    plain: Encoder, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        chosen(plain, ["good " * 5000, "good"], "auto")
    assert f"longest_text={MOST_WINDOWS * 14 + 2} share_beyond_longest_text=0.5000" in caplog.text


@pytest.mark.parametrize("asked", ["windows", "head_tail"])
def test_an_encoder_that_reads_texts_as_they_are_can_not_be_given_parts_of_them(asked: str, tmp_path: Path) -> None:
    encoder = hub.load(tiny_hub.write_letters(tmp_path), "letters", WINDOW)
    assert chosen(encoder, ["good " * 100], "auto") == "truncate"
    with pytest.raises(UserError, match=f"long_texts={asked}: this encoder reads texts as they are"):
        chosen(encoder, ["good"], asked)
