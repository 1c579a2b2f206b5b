"""The networks that begin from nothing: they learn, are saved and exported, and padding changes no answer."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, cast

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

import tiny_bert
from classifier.encoders import convolutional, recurrent
from classifier.encoders.texts import TokenPreprocessor
from classifier.encoders.word_network import WordEncoder
from classifier.errors import UserError
from classifier.hyperparameters import Hyperparameters
from classifier.training.export import ServingModule

FAMILIES: Mapping[str, Any] = {"cnn": convolutional, "lstm": recurrent}
TINY = {"embed_size": "8", "hidden_size": "6", "kernel_size": "3", "max_sequence_length": "16", "seed": "5"}
TEXTS = ("the film was good", "the film was bad", "a very good film !", "it is not good , it is bad") * 4
TARGETS = (1, 0, 1, 0) * 4
ASKED = ["the film was good", "", "so bad", "it is a very , very , very , very , very , very good film", "漢字 \0\t é"]
VARIANTS: Mapping[str, tuple[str, dict[str, str]]] = {
    "cnn": ("cnn", {}),
    "cnn with an even window wider than the texts": ("cnn", {"kernel_size": "8"}),
    "cnn with a window of one word": ("cnn", {"kernel_size": "1"}),
    "lstm": ("lstm", {}),
    "lstm of two layers in one direction": ("lstm", {"n_layers": "2", "bidirectional": "False"}),
}
every_family = pytest.mark.parametrize("model_id", FAMILIES)


def built(model_id: str, given: Mapping[str, str] = MappingProxyType({}), vectors: Path | None = None) -> WordEncoder:
    encoder: WordEncoder = FAMILIES[model_id].build(TEXTS, Hyperparameters.parse({**TINY, **given}), vectors)
    return encoder


def load(encoder: WordEncoder, folder: Path, length: int = 16) -> WordEncoder:
    loaded: WordEncoder = FAMILIES[encoder.config["model_type"]].load(folder, "again", length)
    return loaded


def answers(encoder: WordEncoder, texts: list[str], padding: int = 0) -> NDArray[np.float32]:
    ids = tf.pad(encoder.preprocessor.tokenize(tf.constant(texts)), [[0, 0], [0, padding]])
    vectors = encoder.layer(ids)
    assert vectors.dtype == tf.float32
    result: NDArray[np.float32] = vectors.numpy()
    return result


def classifier(encoder: WordEncoder) -> Any:
    head = tf_keras.layers.Dense(2, kernel_initializer=tf_keras.initializers.GlorotUniform(seed=1), dtype="float32")
    return tf_keras.Sequential([encoder.layer, head])


def trained(encoder: WordEncoder, epochs: int, rate: float = 0.01) -> tuple[Any, list[float]]:
    model = classifier(encoder)
    loss = tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(tf_keras.optimizers.Adam(rate), loss)
    ids = encoder.preprocessor.tokenize(tf.constant(TEXTS))
    history = model.fit(ids, np.array(TARGETS), batch_size=8, epochs=epochs, shuffle=False, verbose=0)
    return model, history.history["loss"]


class Learned(NamedTuple):
    """A network as it was made and as it has learned; the two share what they are made of."""

    encoder: WordEncoder
    model: Any
    losses: list[float]
    first: list[NDArray[np.float32]]


@pytest.fixture(scope="module", params=VARIANTS)
def learned(request: pytest.FixtureRequest) -> Learned:
    encoder = built(*VARIANTS[request.param])
    first = [weight.numpy() for weight in encoder.layer.named().values()]
    return Learned(encoder, *trained(encoder, 60), first)


@pytest.fixture
def policy() -> Iterator[Any]:
    yield tf_keras.mixed_precision.set_global_policy
    tf_keras.mixed_precision.set_global_policy("float32")


def test_an_answer_does_not_depend_on_the_texts_beside_it_or_on_padding(learned: Learned) -> None:
    encoder = learned.encoder
    together = answers(encoder, ASKED)
    assert np.isfinite(together).all()
    np.testing.assert_allclose(together, answers(encoder, ASKED, padding=40), atol=1e-6)
    np.testing.assert_allclose(together, np.concatenate([answers(encoder, [text]) for text in ASKED]), atol=1e-6)


def test_a_network_that_was_saved_answers_as_before(learned: Learned, tmp_path: Path) -> None:
    encoder = learned.encoder
    encoder.save(tmp_path)
    again = load(encoder, tmp_path)
    np.testing.assert_array_equal(answers(encoder, ASKED), answers(again, ASKED))
    assert (again.family, again.name, again.pooling) == (encoder.family, "again", "max")
    assert isinstance(again.preprocessor, TokenPreprocessor)
    again.save(tmp_path)
    np.testing.assert_array_equal(answers(encoder, ASKED), answers(load(encoder, tmp_path), ASKED))


def test_an_exported_network_answers_texts_as_the_trained_one(learned: Learned, tmp_path: Path) -> None:
    encoder = learned.encoder
    expected = tf.nn.softmax(learned.model(encoder.preprocessor.tokenize(tf.constant(ASKED)))).numpy()
    module = ServingModule(cast("Any", encoder), learned.model.layers[-1])
    tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": module.serve})
    serve = tf.saved_model.load(str(tmp_path)).signatures["serving_default"]
    np.testing.assert_allclose(serve(texts=tf.constant(ASKED))["probabilities"], expected, atol=1e-6)


def test_a_network_learns_to_tell_two_labels(learned: Learned) -> None:
    encoder = learned.encoder
    assert learned.losses[-1] < 0.1 < learned.losses[0]
    assert learned.model(encoder.preprocessor.tokenize(tf.constant(TEXTS))).numpy().argmax(axis=1).tolist() == list(
        TARGETS
    )


@every_family
@pytest.mark.parametrize("numbers", ["mixed_bfloat16", "mixed_float16"])
def test_a_network_trains_with_shorter_numbers_and_is_kept_with_whole_ones(
    model_id: str, numbers: str, policy: Any, tmp_path: Path
) -> None:
    policy(numbers)
    encoder = built(model_id)
    _, losses = trained(encoder, 30)
    assert losses[-1] < losses[0]
    short = answers(encoder, ASKED)
    encoder.save(tmp_path)
    assert {value.dtype for value in load_file(tmp_path / "model.safetensors").values()} == {np.dtype(np.float32)}
    policy("float32")
    np.testing.assert_allclose(answers(load(encoder, tmp_path), ASKED), short, atol=0.05)


@every_family
def test_the_seed_decides_the_first_weights_and_dropout(model_id: str) -> None:
    first, again, other = (built(model_id, {"seed": seed, "dropout_rate": "0.5"}) for seed in ("1", "1", "2"))
    np.testing.assert_array_equal(answers(first, ASKED), answers(again, ASKED))
    assert not np.array_equal(answers(first, ASKED), answers(other, ASKED))
    assert trained(first, 3)[1] == trained(again, 3)[1]


def test_no_two_weights_begin_alike(learned: Learned) -> None:
    weights = [weight for weight in learned.first if weight.ndim > 1]
    assert all(
        one.shape != other.shape or not np.array_equal(one, other)
        for index, one in enumerate(weights)
        for other in weights[:index]
    )


@every_family
def test_dropout_is_for_training_only(model_id: str) -> None:
    layer = built(model_id, {"dropout_rate": "0.5"}).layer
    ids = tf.constant([[2, 3, 4, 5]])
    np.testing.assert_array_equal(layer(ids), layer(ids, training=False))
    assert not np.array_equal(layer(ids), layer(ids, training=True))
    assert not np.array_equal(layer(ids, training=True), layer(ids, training=True))


@every_family
def test_a_file_of_vectors_decides_their_width_and_their_first_values(
    model_id: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "vectors.txt").write_text("good 1 2 3\nbad 4 5 6\n")
    caplog.set_level("INFO")
    encoder = built(model_id, vectors=tmp_path / "vectors.txt")
    good = encoder.preprocessor.tokenize(tf.constant(["good"])).numpy()[0, 0]
    assert encoder.layer.words.table.numpy()[good].tolist() == [1, 2, 3]
    assert f"found=2 of={len(encoder.preprocessor.vocabulary)} embed_size=3" in caplog.text
    encoder.save(tmp_path)
    np.testing.assert_array_equal(answers(encoder, ASKED), answers(load(encoder, tmp_path), ASKED))


@every_family
def test_another_length_can_be_read_when_training_goes_on(model_id: str, tmp_path: Path) -> None:
    encoder = built(model_id)
    encoder.save(tmp_path)
    longer = load(encoder, tmp_path, 40)
    assert longer.preprocessor.tokenize(tf.constant(["good " * 100])).shape == (1, 40)
    assert longer.preprocessor.max_sequence_length == longer.config["max_sequence_length"] == 40


def test_each_family_knows_its_own_files_only(tmp_path: Path) -> None:
    folders = [tiny_bert.write(tmp_path / "bert"), tmp_path / "cnn", tmp_path / "lstm", tmp_path / "nothing"]
    for folder in folders[1:]:
        folder.mkdir()
    for folder in folders[1:3]:
        built(folder.name).save(folder)
    recognised = [[family.recognise(folder) for family in FAMILIES.values()] for folder in folders]
    assert recognised == [[False, False], [True, False], [False, True], [False, False]]


@every_family
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_size": 0}, "hidden_size must be a whole number from 1 to 4,096"),
        ({"hidden_size": "wide"}, "hidden_size must be a whole number from 1 to 4,096"),
        ({"embed_size": None}, "embed_size must be a whole number from 1 to 4,096"),
        ({"dropout_rate": 2}, "dropout_rate must be a number"),
        ({"dropout_rate": []}, "dropout_rate must be a number"),
        ({"embed_size": 9}, r"words.weight has shape \(\d+, 8\), where config.json and vocabulary.txt say \(\d+, 9\)"),
    ],
)
def test_a_broken_config_is_refused_by_name(
    model_id: str, change: dict[str, object], message: str, tmp_path: Path
) -> None:
    encoder = built(model_id)
    encoder.save(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({**encoder.config, **change}))
    with pytest.raises(UserError, match=message):
        load(encoder, tmp_path)


@every_family
def test_broken_and_missing_weights_are_refused_by_name(model_id: str, tmp_path: Path) -> None:
    encoder = built(model_id)
    encoder.save(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    save_file(
        {name: value for name, value in weights.items() if name != "words.weight"}, tmp_path / "model.safetensors"
    )
    with pytest.raises(UserError, match=r"weight words\.weight is missing"):
        load(encoder, tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"junk")
    with pytest.raises(UserError, match="not a safetensors file"):
        load(encoder, tmp_path)
