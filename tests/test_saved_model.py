"""A SavedModel tokenizes and computes in two steps; one without such steps still answers."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from classifier import predictor
from classifier.backends import Backend, saved_model
from classifier.backends.foreign import LOGITS, PROBABILITIES, Output
from classifier.backends.saved_model import ForeignBackend, TextsBackend, TokensBackend
from classifier.errors import UserError
from serving_helpers import LONGEST_IN_FULL, UNKNOWN_CHARACTER, model_folder, probabilities, write_model

TEXTS = ["three", "", "x" * (LONGEST_IN_FULL + 1), "Gro\u00dfes Caf\u00e9", "\U0001f600"]


@pytest.fixture(scope="module")
def two_steps() -> TokensBackend:
    backend = saved_model.load(model_folder() / "1")
    assert isinstance(backend, TokensBackend)
    return backend


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model as training wrote it before there were two steps."""
    folder = tmp_path_factory.mktemp("older")
    write_model(folder, two_steps=False)
    return folder / "1"


@pytest.fixture(scope="module")
def whole(older: Path) -> TextsBackend:
    backend = saved_model.load(older)
    assert isinstance(backend, TextsBackend)
    return backend


@pytest.fixture(scope="module")
def foreign(older: Path) -> ForeignBackend:
    backend = saved_model.load_foreign(older)
    assert backend.output == Output("probabilities", PROBABILITIES, 3)
    return backend


@pytest.fixture(params=["two_steps", "whole", "foreign"])
def backend(request: pytest.FixtureRequest) -> Backend:
    chosen: Backend = request.getfixturevalue(request.param)
    return chosen


def assert_answers(backend: Backend, texts: Sequence[str]) -> None:
    answers = backend.run_batch(backend.encode(texts))
    assert answers.dtype == np.float32
    np.testing.assert_allclose(answers, [probabilities(text) for text in texts], atol=1e-6)


def test_texts_of_all_lengths_are_answered_together_as_alone(backend: Backend) -> None:
    assert_answers(backend, TEXTS)
    for text in TEXTS:
        assert_answers(backend, [text])


def test_nothing_to_prepare_is_nothing_and_only_empty_texts_are_answered(backend: Backend) -> None:
    assert backend.encode([]) == []
    assert_answers(backend, ["", ""])


def test_half_a_surrogate_pair_is_answered_as_a_question_mark(backend: Backend) -> None:
    assert_answers(backend, ["one \ud800 half"])
    half, mark = backend.encode(["\udfff", "?"])
    np.testing.assert_array_equal(half.content, mark.content)


def test_texts_prepared_apart_are_computed_together(backend: Backend) -> None:
    batch = [encoded for text in TEXTS for encoded in backend.encode([text])]
    np.testing.assert_allclose(backend.run_batch(batch), [probabilities(text) for text in TEXTS], atol=1e-6)


def test_tokens_are_counted_and_so_are_the_unknown_ones(two_steps: TokensBackend) -> None:
    encoded = two_steps.encode(["three", "", f"a{UNKNOWN_CHARACTER}b{UNKNOWN_CHARACTER}"])
    assert [(text.tokens, text.unknown, text.counted) for text in encoded] == [
        (5, 0, True), (1, 0, True), (4, 2, True),
    ]  # fmt: skip
    assert [len(text.content) for text in encoded] == [5, 0, 4]


def test_a_prepared_text_keeps_no_other_texts_padding_in_memory(two_steps: TokensBackend) -> None:
    short, _ = two_steps.encode(["a", "b" * 4000])
    assert short.content.base is None
    assert short.content.nbytes == 4


def test_zeros_inside_a_text_do_not_end_it() -> None:
    token_ids = np.array([[5, 0, 5, 0], [0, 0, 0, 0], [1, 2, 3, 4], [0, 0, 0, 9]], np.int32)
    assert saved_model._lengths(token_ids) == [3, 0, 4, 4]
    assert saved_model._lengths(np.zeros((2, 0), np.int32)) == [0, 0]


@pytest.mark.parametrize(
    ("text", "tokens"), [("", 2), ("a", 3), ("abc", 3), ("abcd", 4), ("\u6f22", 3), ("x" * 30, 12), ("x" * 10**6, 512)]
)
def test_where_texts_are_taken_whole_their_tokens_are_estimated(whole: TextsBackend, text: str, tokens: int) -> None:
    (encoded,) = whole.encode([text])
    assert (encoded.tokens, encoded.unknown, encoded.counted) == (tokens, 0, False)
    assert encoded.content == text.encode()


STRINGS = tf.TensorSpec([None], tf.string, name="sentences")


def lengths(texts: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.strings.length(tf.reshape(texts, [-1])), tf.float32)


def shares(texts: tf.Tensor) -> tf.Tensor:
    """1 ÷ (characters + 1), float32[batch]."""
    return 1 / (lengths(texts) + 1)


def save(
    folder: Path, function: Callable[[tf.Tensor], dict[str, tf.Tensor]], spec: tf.TensorSpec = STRINGS, **more: Any
) -> Path:
    """Write a SavedModel with a function as its default signature, and with more signatures."""
    module = tf.Module()
    module.functions = {"serving_default": tf.function(function, input_signature=[spec], autograph=False), **more}
    tf.saved_model.save(module, str(folder), signatures=module.functions)
    return folder


def two(texts: tf.Tensor) -> tf.Tensor:
    return tf.stack([lengths(texts), -lengths(texts)], axis=1)


@pytest.fixture
def logits(tmp_path: Path) -> Path:
    """A model of another program, that leaves the softmax to who asks."""
    return save(tmp_path, lambda texts: {"scores": two(texts)})


def answers(backend: ForeignBackend, *texts: str) -> list[list[float]]:
    return [[round(float(number), 4) for number in row] for row in backend.run_batch(backend.encode(texts))]


def test_logits_of_another_program_become_probabilities(logits: Path) -> None:
    backend = saved_model.load_foreign(logits)
    assert backend.output == Output("scores", LOGITS, 2)
    assert answers(backend, "", "a") == [[0.5, 0.5], [0.8808, 0.1192]]
    assert backend.reason == (
        "another program's model; its output 'scores' is taken as logits, of which softmax makes probabilities"
    )


def test_one_number_per_text_is_that_of_the_second_of_two_labels_and_never_1(tmp_path: Path) -> None:
    save(tmp_path, lambda texts: {"dense": shares(texts)[:, tf.newaxis]})
    backend = saved_model.load_foreign(tmp_path, 2)
    assert backend.width == 2
    assert answers(backend, "", "abc") == [[0, 1], [0.75, 0.25]]
    with pytest.raises(UserError, match=r"one number per text.*name both in labels_info\.json"):
        saved_model.load_foreign(tmp_path)


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_of_two_outputs_the_same_is_served_at_every_start(tmp_path: Path, names: tuple[str, str]) -> None:
    first, second = names

    def function(texts: tf.Tensor) -> dict[str, tf.Tensor]:
        share = shares(texts)
        pair = tf.stack([1 - share, share], axis=1)
        return {first: pair, second: pair[:, ::-1], "probs_of_all": pair / 2 + 0.25}

    save(tmp_path, function)
    assert saved_model.load_foreign(tmp_path, 2).output.name == "probs_of_all"
    save(tmp_path / "unnamed", lambda texts: {name: function(texts)[name] for name in names})
    with pytest.raises(UserError, match=r"'a' .*, 'b' .*: more than one output may be meant"):
        saved_model.load_foreign(tmp_path / "unnamed", 2)


@pytest.mark.parametrize(
    "spec",
    [STRINGS, *(tf.TensorSpec(shape, tf.string, name="x") for shape in ([None, 1], None, [1]))],
    ids=["string[batch]", "string[batch, 1]", "string", "string[1]"],
)
def test_texts_are_given_in_the_shape_that_the_model_takes(tmp_path: Path, spec: tf.TensorSpec) -> None:
    save(tmp_path, lambda texts: {"logits": two(texts)}, spec)
    backend = saved_model.load_foreign(tmp_path)
    assert answers(backend, "", "a") == [[0.5, 0.5], [0.8808, 0.1192]]


def test_the_only_signature_of_texts_is_taken_and_of_several_none(tmp_path: Path) -> None:
    ids = tf.TensorSpec([None, None], tf.int32, name="input_ids")

    def of_ids(token_ids: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"logits": tf.cast(token_ids, tf.float32)}

    def of_texts(texts: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"logits": two(texts)}

    texts = tf.function(of_texts, input_signature=[STRINGS], autograph=False)
    save(tmp_path / "one", of_ids, ids, texts=texts)
    assert saved_model.load_foreign(tmp_path / "one").width == 2
    save(tmp_path / "two", of_ids, ids, texts=texts, others=texts)
    with pytest.raises(UserError, match="the signatures others, texts of the SavedModel all take texts"):
        saved_model.load_foreign(tmp_path / "two")
    save(tmp_path / "none", of_ids, ids)
    with pytest.raises(UserError, match=r"'serving_default' takes 'input_ids' int32\(None, None\)"):
        saved_model.load_foreign(tmp_path / "none")


def test_serialized_examples_are_no_texts(tmp_path: Path) -> None:
    def examples(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        parsed = tf.io.parse_example(serialized, {"text": tf.io.FixedLenFeature([], tf.string, "")})
        return {"scores": two(parsed["text"])}

    save(tmp_path, examples)
    with pytest.raises(UserError, match=r"fails on a batch of 6 texts .*not serialized examples \(tf\.Example\)"):
        saved_model.load_foreign(tmp_path, 2)


def test_a_column_of_texts_of_another_width_than_1_is_none(tmp_path: Path) -> None:
    save(tmp_path, lambda texts: {"logits": two(texts)}, tf.TensorSpec([None, 2], tf.string, name="pair"))
    with pytest.raises(UserError, match=r"takes 'pair' string\(None, 2\)"):
        saved_model.load_foreign(tmp_path)


def test_what_the_model_answers_is_said_where_it_can_not_be_served(tmp_path: Path) -> None:
    save(tmp_path, lambda texts: {"dense": tf.sigmoid(two(texts)) + 0.1})
    with pytest.raises(
        UserError, match=f"{tmp_path}: the SavedModel can't be served as it is: its output 'dense' holds"
    ):
        saved_model.load_foreign(tmp_path, 2)


@pytest.mark.parametrize("load", [saved_model.load, saved_model.load_foreign])
def test_a_savedmodel_that_answers_no_texts_is_refused_H08(load: Callable[[Path], object], tmp_path: Path) -> None:
    tf.saved_model.save(tf.Module(), str(tmp_path))
    with pytest.raises(UserError, match="serving_default"):
        load(tmp_path)


def test_a_savedmodel_of_another_kind_is_not_taken_for_one_of_training(logits: Path) -> None:
    with pytest.raises(UserError, match="with an output 'probabilities'"):
        saved_model.load(logits)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Keras with a NumPy of 2
def test_a_file_of_keras_is_served_once_its_message_is_obeyed(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    vectorize = keras.layers.TextVectorization(output_mode="multi_hot", vocabulary=["good", "bad"])
    inputs = keras.Input(shape=(1,), dtype="string")
    network = keras.Model(inputs, keras.layers.Dense(1, "sigmoid")(vectorize(inputs)))
    network.layers[-1].set_weights([np.array([[0.0], [3.0], [-3.0]], np.float32), np.zeros(1, np.float32)])
    folder = tmp_path / "model"
    folder.mkdir()
    network.save(folder / "model.keras")
    (folder / "labels_info.json").write_text('{"labels": ["negative", "positive"]}')
    with pytest.raises(UserError, match=r"keras\.models\.load_model\(FILE\)\.export\('1'\), and deploy the folder 1"):
        predictor.load(folder)
    keras.models.load_model(folder / "model.keras").export(str(folder / "1"))
    (folder / "model.keras").unlink()
    served = predictor.load(folder)
    assert served.labels == ("negative", "positive")
    np.testing.assert_allclose(
        served.predict(["a good one", "a bad one", ""]), [[0.05, 0.95], [0.95, 0.05], [0.5, 0.5]], atol=0.01
    )
