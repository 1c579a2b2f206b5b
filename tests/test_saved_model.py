"""A SavedModel tokenizes and computes in two steps; one without such steps still answers."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from classifier.engines import Engine, saved_model
from classifier.engines.foreign import LOGITS, PROBABILITIES, Output
from classifier.engines.saved_model import ForeignEngine, TextsEngine, TokensEngine
from classifier.errors import UserError
from serving_helpers import LONGEST_IN_FULL, UNKNOWN_CHARACTER, model_folder, probabilities, write_model

TEXTS = ["three", "", "x" * (LONGEST_IN_FULL + 1), "Gro\u00dfes Caf\u00e9", "\U0001f600"]


@pytest.fixture(scope="module")
def two_steps() -> TokensEngine:
    engine = saved_model.load(model_folder() / "1")
    assert isinstance(engine, TokensEngine)
    return engine


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model as training wrote it before there were two steps."""
    folder = tmp_path_factory.mktemp("older")
    write_model(folder, two_steps=False)
    return folder / "1"


@pytest.fixture(scope="module")
def whole(older: Path) -> TextsEngine:
    engine = saved_model.load(older)
    assert isinstance(engine, TextsEngine)
    return engine


@pytest.fixture(scope="module")
def foreign(older: Path) -> ForeignEngine:
    engine = saved_model.load_foreign(older)
    assert engine.output == Output("probabilities", PROBABILITIES, 3)
    return engine


@pytest.fixture(params=["two_steps", "whole", "foreign"])
def engine(request: pytest.FixtureRequest) -> Engine:
    chosen: Engine = request.getfixturevalue(request.param)
    return chosen


def assert_answers(engine: Engine, texts: Sequence[str]) -> None:
    answers = engine.predict(engine.prepare(texts))
    assert answers.dtype == np.float32
    np.testing.assert_allclose(answers, [probabilities(text) for text in texts], atol=1e-6)


def test_texts_of_all_lengths_are_answered_together_as_alone(engine: Engine) -> None:
    assert_answers(engine, TEXTS)
    for text in TEXTS:
        assert_answers(engine, [text])


def test_nothing_to_prepare_is_nothing_and_only_empty_texts_are_answered(engine: Engine) -> None:
    assert engine.prepare([]) == []
    assert_answers(engine, ["", ""])


def test_half_a_surrogate_pair_is_answered_as_a_question_mark(engine: Engine) -> None:
    assert_answers(engine, ["one \ud800 half"])
    half, mark = engine.prepare(["\udfff", "?"])
    np.testing.assert_array_equal(half.content, mark.content)


def test_texts_prepared_apart_are_computed_together(engine: Engine) -> None:
    batch = [prepared for text in TEXTS for prepared in engine.prepare([text])]
    np.testing.assert_allclose(engine.predict(batch), [probabilities(text) for text in TEXTS], atol=1e-6)


def test_tokens_are_counted_and_so_are_the_unknown_ones(two_steps: TokensEngine) -> None:
    prepared = two_steps.prepare(["three", "", f"a{UNKNOWN_CHARACTER}b{UNKNOWN_CHARACTER}"])
    assert [(text.tokens, text.unknown, text.counted) for text in prepared] == [
        (5, 0, True), (1, 0, True), (4, 2, True),
    ]  # fmt: skip
    assert [len(text.content) for text in prepared] == [5, 0, 4]


def test_a_prepared_text_keeps_no_other_texts_padding_in_memory(two_steps: TokensEngine) -> None:
    short, _ = two_steps.prepare(["a", "b" * 4000])
    assert short.content.base is None
    assert short.content.nbytes == 4


def test_zeros_inside_a_text_do_not_end_it() -> None:
    token_ids = np.array([[5, 0, 5, 0], [0, 0, 0, 0], [1, 2, 3, 4], [0, 0, 0, 9]], np.int32)
    assert saved_model._lengths(token_ids) == [3, 0, 4, 4]
    assert saved_model._lengths(np.zeros((2, 0), np.int32)) == [0, 0]


@pytest.mark.parametrize(
    ("text", "tokens"), [("", 2), ("a", 3), ("abc", 3), ("abcd", 4), ("\u6f22", 3), ("x" * 30, 12), ("x" * 10**6, 512)]
)
def test_where_texts_are_taken_whole_their_tokens_are_estimated(whole: TextsEngine, text: str, tokens: int) -> None:
    (prepared,) = whole.prepare([text])
    assert (prepared.tokens, prepared.unknown, prepared.counted) == (tokens, 0, False)
    assert prepared.content == text.encode()


class Logits(tf.Module):  # type: ignore[misc]
    """A model of another program, that leaves the softmax to who asks."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="sentences")])  # type: ignore[untyped-decorator]
    def serve(self, texts: tf.Tensor) -> dict[str, tf.Tensor]:
        lengths = tf.cast(tf.strings.length(texts), tf.float32)
        return {"scores": tf.stack([lengths, -lengths], axis=1)}


@pytest.fixture
def logits(tmp_path: Path) -> Path:
    module = Logits()
    tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": module.serve})
    return tmp_path


def test_logits_of_another_program_become_probabilities(logits: Path) -> None:
    engine = saved_model.load_foreign(logits)
    assert engine.output == Output("scores", LOGITS, 2)
    answers = engine.predict(engine.prepare(["", "a"]))
    np.testing.assert_allclose(answers, [[0.5, 0.5], [1 / (1 + np.exp(-2)), 1 / (1 + np.exp(2))]], atol=1e-6)


@pytest.mark.parametrize("load", [saved_model.load, saved_model.load_foreign])
def test_a_savedmodel_that_answers_no_texts_is_refused_H08(load: Callable[[Path], object], tmp_path: Path) -> None:
    tf.saved_model.save(tf.Module(), str(tmp_path))
    with pytest.raises(UserError, match="serving_default"):
        load(tmp_path)


def test_a_savedmodel_of_another_kind_is_not_taken_for_one_of_training(logits: Path) -> None:
    with pytest.raises(UserError, match="with an output 'probabilities'"):
        saved_model.load(logits)
