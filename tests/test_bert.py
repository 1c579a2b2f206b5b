"""The networks answer as the reference implementation does; `tests/data/make_*reference.py` wrote what it answered."""

import ast
import json
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from shutil import copyfile
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from tokenizers import BertWordPieceTokenizer

import tiny_bert
from classifier.encoders import architectures, bert, transformer, weights
from classifier.errors import UserError
from jobs import ROOT

DATA = Path(__file__).parent / "data"
REFERENCE: dict[str, Any] = json.loads((DATA / "bert_reference.json").read_text("utf-8"))
FAMILY: dict[str, Any] = json.loads((DATA / "family_reference.json").read_text("utf-8"))
KINDS = tuple(tiny_bert.CONFIGS)
ENCODER = ROOT / "container" / "pretrained" / "all-minilm-l6-v2"


def test_the_default_encoder_answers_as_the_reference_to_one_in_ten_thousand() -> None:
    encoder = bert.load(ENCODER, "x", REFERENCE["max_sequence_length"])
    ids = encoder.preprocessor.tokenize(tf.constant([text.encode() for text in REFERENCE["texts"]]))
    assert [[token for token in row if token] for row in ids.numpy().tolist()] == REFERENCE["token_ids"]
    np.testing.assert_allclose(encoder.layer(ids).numpy(), REFERENCE["mean"], atol=1e-4)
    assert encoder.pooling == "mean"


@pytest.mark.parametrize("pooling", ["mean", "cls", "pooler"])
def test_every_way_of_pooling_answers_as_the_reference(tmp_path: Path, pooling: str) -> None:
    encoder = bert.load(tiny_bert.write(tmp_path, pooling=pooling), "tiny", 64)
    assert encoder.pooling == pooling
    vectors = encoder.layer(tf.constant(REFERENCE["tiny_token_ids"])).numpy()
    np.testing.assert_allclose(vectors, REFERENCE["tiny"][pooling], atol=1e-4)


@pytest.mark.parametrize("kind", ["distilbert", "electra"])
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_the_other_networks_of_the_family_answer_as_the_reference(tmp_path: Path, kind: str, pooling: str) -> None:
    encoder = bert.load(tiny_bert.write(tmp_path, pooling=pooling, kind=kind), "tiny", 64)
    assert encoder.pooling == pooling
    vectors = encoder.layer(tf.constant(FAMILY["token_ids"])).numpy()
    np.testing.assert_allclose(vectors, FAMILY[kind][pooling], atol=1e-5)


@pytest.mark.parametrize(("given", "pooling"), [('"mean"', "mean"), ('["cls"]', "cls")])
def test_the_pooling_of_newer_sentence_transformers_is_read(tmp_path: Path, given: str, pooling: str) -> None:
    tiny_bert.write(tmp_path)
    config = f'{{"embedding_dimension": 32, "pooling_mode": {given}, "include_prompt": true}}'
    (tmp_path / "1_Pooling" / "config.json").write_text(config)
    assert bert.load(tmp_path, "tiny", 64).pooling == pooling


def test_the_pooling_beside_a_folder_of_older_sentence_transformers_is_read_and_saved(tmp_path: Path) -> None:
    folder = tiny_bert.write(tmp_path / "0_Transformer", pooling="pooler")
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    encoder = bert.load(folder, "tiny", 64)
    assert encoder.pooling == "cls"
    (tmp_path / "saved").mkdir()
    encoder.save(tmp_path / "saved")
    assert bert.load(tmp_path / "saved", "tiny", 64).pooling == "cls"


@pytest.mark.parametrize("lower_case", [True, False])
def test_a_vocabulary_in_tokenizer_json_is_that_of_vocab_txt(tmp_path: Path, lower_case: bool) -> None:
    expected = bert.load(tiny_bert.write(tmp_path / "a"), "tiny", 64).preprocessor
    folder = tiny_bert.write(tmp_path / "b")
    tokenizer = BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=lower_case, strip_accents=None)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "vocab.txt").unlink()
    (tmp_path / "saved").mkdir()
    encoder = bert.load(folder, "tiny", 64)
    encoder.save(tmp_path / "saved")
    for found in (encoder, bert.load(tmp_path / "saved", "tiny", 64)):
        assert found.preprocessor.vocabulary == expected.vocabulary
        assert found.preprocessor.lower_case == lower_case


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"normalizer": {"type": "Sequence"}}, "in another way than BERT"),
        ({"model": {"type": "WordPiece", "continuing_subword_prefix": "_", "vocab": {}}}, "in another way than BERT"),
        ({"model": {"type": "WordPiece", "continuing_subword_prefix": "##", "vocab": {"[PAD]": 7}}}, "have gaps"),
        ({"model": {"type": "BPE", "vocab": {"a": 0}}}, "there is no tokenizer.json of word pieces"),
    ],
)
def test_a_tokenizer_json_of_another_kind_is_refused(tmp_path: Path, change: dict[str, object], words: str) -> None:
    tiny_bert.write(tmp_path)
    tokenizer = BertWordPieceTokenizer(str(tmp_path / "vocab.txt"))
    (tmp_path / "vocab.txt").unlink()
    (tmp_path / "tokenizer.json").write_text(json.dumps(json.loads(tokenizer.to_str()) | change))
    with pytest.raises(UserError, match=words):
        bert.load(tmp_path, "tiny", 64)


def test_padding_does_not_change_an_answer(tiny_encoder: Path) -> None:
    layer = bert.load(tiny_encoder, "tiny", 64).layer
    alone = layer(tf.constant([[2, 5, 6, 3]])).numpy()
    padded = layer(tf.constant([[2, 5, 6, 3] + [0] * 20, [2] + [7] * 22 + [3]])).numpy()[:1]
    np.testing.assert_allclose(alone, padded, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_checkpoint_loads_to_the_same_weights_and_answers(tmp_path: Path, kind: str) -> None:
    encoder = bert.load(tiny_bert.write(tmp_path / "given", kind=kind), "tiny", 64)
    for variable in encoder.layer.trainable_variables:
        variable.assign_add(tf.ones_like(variable) / 8)
    (tmp_path / "saved").mkdir()
    encoder.save(tmp_path / "saved")
    again = bert.load(tmp_path / "saved", "again", 64)
    assert again.pooling == encoder.pooling
    for ours, theirs in zip(encoder.layer.get_weights(), again.layer.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    ids = tf.constant(FAMILY["token_ids"])
    np.testing.assert_array_equal(encoder.layer(ids), again.layer(ids))


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_checkpoint_has_the_names_and_the_mark_that_other_programs_look_for(tmp_path: Path, kind: str) -> None:
    given = tiny_bert.write(tmp_path / "given", pooling="pooler", kind=kind)
    (tmp_path / "saved").mkdir()
    bert.load(given, "tiny", 64).save(tmp_path / "saved")
    expected, saved = (load_file(folder / "model.safetensors") for folder in (given, tmp_path / "saved"))
    assert {name: value.shape for name, value in saved.items()} == {name: each.shape for name, each in expected.items()}
    with safe_open(tmp_path / "saved" / "model.safetensors", framework="np") as file:
        assert file.metadata() == {"format": "pt"}
    assert (tmp_path / "saved" / "config.json").read_bytes() == (given / "config.json").read_bytes()


@pytest.mark.parametrize(
    ("kind", "prefix"), [("bert", "bert."), ("distilbert", "distilbert."), ("electra", "electra.")]
)
def test_a_checkpoint_of_a_whole_task_gives_its_encoder(tmp_path: Path, kind: str, prefix: str) -> None:
    alone = bert.load(tiny_bert.write(tmp_path, pooling="cls", kind=kind), "tiny", 64)
    inside = {prefix + name: value for name, value in load_file(tmp_path / "model.safetensors").items()}
    others = ("pre_classifier.weight", "vocab_projector.bias", "discriminator_predictions.dense.weight", "cls.bias")
    extra = {name: np.ones([4], np.float32) for name in others}
    save_file({**inside, **extra}, tmp_path / "model.safetensors")
    ids = tf.constant(FAMILY["token_ids"])
    np.testing.assert_array_equal(bert.load(tmp_path, "tiny", 64).layer(ids), alone.layer(ids))


def test_older_names_of_weights_are_read(tiny_encoder: Path, tmp_path: Path) -> None:
    tiny_bert.write(tmp_path)
    older = {
        "bert." + name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
        for name, value in load_file(tiny_encoder / "model.safetensors").items()
    }
    save_file(older, tmp_path / "model.safetensors")
    ids = tf.constant([[2, 5, 3]])
    old, new = (bert.load(folder, "tiny", 64).layer(ids) for folder in (tmp_path, tiny_encoder))
    np.testing.assert_array_equal(old, new)


def test_weights_divided_among_files_are_read(tiny_encoder: Path, tmp_path: Path) -> None:
    tiny_bert.write(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    tensors = load_file(tiny_encoder / "model.safetensors")
    places = {name: f"model-0000{1 + index % 2}-of-00002.safetensors" for index, name in enumerate(tensors)}
    for file in set(places.values()):
        save_file({name: value for name, value in tensors.items() if places[name] == file}, tmp_path / file)
    (tmp_path / weights.INDEX).write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": places}))
    ids = tf.constant([[2, 5, 3]])
    divided, whole = (bert.load(folder, "tiny", 64).layer(ids) for folder in (tmp_path, tiny_encoder))
    np.testing.assert_array_equal(divided, whole)

    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(UserError, match=r"model-00002-of-00002.safetensors: is missing"):
        bert.load(tmp_path, "tiny", 64)


@pytest.mark.parametrize("places", [{"a": "../../etc/passwd"}, {}, [], None])
def test_an_index_that_leads_elsewhere_or_nowhere_is_refused(tmp_path: Path, places: object) -> None:
    tiny_bert.write(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / weights.INDEX).write_text(json.dumps({"weight_map": places}))
    with pytest.raises(UserError, match="must name the files that hold the weights, all beside it"):
        bert.load(tmp_path, "tiny", 64)


@pytest.mark.parametrize("number", ["float16", "bfloat16", "float64"])
def test_weights_in_other_numbers_are_read_as_float32(tmp_path: Path, number: str) -> None:
    tiny_bert.write(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    kind = tf.as_dtype(number).as_numpy_dtype
    save_file({name: value.astype(kind) for name, value in tensors.items()}, tmp_path / "model.safetensors")
    encoder = bert.load(tmp_path, "tiny", 64)
    read = weights.named(encoder.layer, encoder.architecture)
    assert all(value.dtype == np.float32 for value in read.values())
    for name, value in read.items():
        np.testing.assert_array_equal(value, tensors[name].astype(kind).astype(np.float32))


def test_whole_numbers_for_weights_are_refused(tmp_path: Path) -> None:
    tiny_bert.write(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    tensors["pooler.dense.bias"] = tensors["pooler.dense.bias"].astype(np.int8)
    save_file(tensors, tmp_path / "model.safetensors")
    (tmp_path / "1_Pooling" / "config.json").unlink()
    with pytest.raises(UserError, match=r"pooler\.dense\.bias is int8 \(quantised\?\); it must be float16, bfloat16"):
        bert.load(tmp_path, "tiny", 64)


@pytest.fixture(params=["mixed_bfloat16", "mixed_float16"])
def mixed_precision(request: pytest.FixtureRequest) -> Iterator[str]:
    tf_keras.mixed_precision.set_global_policy(request.param)
    yield request.param
    tf_keras.mixed_precision.set_global_policy("float32")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pooling", ["mean", "cls", "pooler"])
def test_in_mixed_precision_answers_are_close_and_weights_float32(
    tmp_path: Path, mixed_precision: str, kind: str, pooling: str
) -> None:
    tiny_bert.write(tmp_path, pooling=pooling, kind=kind)
    short = bert.load(tmp_path, "tiny", 64).layer
    tf_keras.mixed_precision.set_global_policy("float32")
    exact = bert.load(tmp_path, "tiny", 64).layer
    assert {variable.dtype for variable in short.trainable_variables} == {tf.float32}
    assert short.blocks[0].compute_dtype == mixed_precision.removeprefix("mixed_")
    ids = tf.constant(FAMILY["token_ids"])
    answer = short(ids)
    assert answer.dtype == tf.float32
    assert np.any(answer != exact(ids))
    np.testing.assert_allclose(answer, exact(ids), atol=0.1 if mixed_precision == "mixed_bfloat16" else 0.02)


def test_in_mixed_precision_a_step_of_training_changes_every_weight(tmp_path: Path, mixed_precision: str) -> None:
    layer = bert.load(tiny_bert.write(tmp_path, kind="electra"), "tiny", 64).layer
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(tf.constant(FAMILY["token_ids"]), training=True) ** 2)
    gradients = tape.gradient(loss, layer.trainable_variables)
    assert {gradient.dtype for gradient in gradients} == {tf.float32}, mixed_precision
    # Of the large table, only the rows that were read: all of them would be far slower.
    assert isinstance(gradients[0], tf.IndexedSlices)
    assert all(np.any(tf.convert_to_tensor(gradient) != 0) for gradient in gradients[:3])


def test_every_activation_that_a_config_may_name_is_there() -> None:
    assert set(architectures.ACTIVATIONS) == set(transformer._ACTIVATIONS)


def test_the_sequence_is_never_longer_than_the_networks_positions(tiny_encoder: Path) -> None:
    encoder = bert.load(tiny_encoder, "tiny", 4096)
    assert encoder.preprocessor.tokenize(tf.constant(["a " * 500])).shape == (
        1,
        tiny_bert.CONFIG["max_position_embeddings"],
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        *(
            ({"model_type": kind}, f"model_type '{kind}' is not supported; a checkpoint must be of bert, distilbert, e")
            for kind in ("roberta", "xlm-roberta", "albert", "deberta-v2", "mpnet", "modernbert", "t5", "gpt2", "new")
        ),
        ({"model_type": ["bert"]}, "is not supported"),
        ({"hidden_act": "swish"}, "hidden_act must be one of gelu"),
        ({"position_embedding_type": "relative_key"}, "only absolute position embeddings"),
        ({"hidden_size": 64}, "config.json says"),
        ({"num_hidden_layers": 3}, "encoder.layer.2.attention.self.query.weight is missing"),
        ({"vocab_size": 7}, "not of the same checkpoint"),
        ({"hidden_size": "32"}, "hidden_size must be a number"),
        ({"num_attention_heads": 5}, "must be a multiple of num_attention_heads"),
        ({"num_attention_heads": 0}, "must be a multiple of num_attention_heads"),
        ({"hidden_act": []}, "hidden_act must be a string"),
    ],
)
def test_another_network_is_refused_by_name(tmp_path: Path, change: dict[str, object], words: str) -> None:
    tiny_bert.write(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(tiny_bert.CONFIG | change))
    with pytest.raises(UserError, match=words):
        bert.load(tmp_path, "tiny", 64)


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("config.json", b"junk", "config.json: not a JSON object"),
        ("config.json", b"[]", "config.json: not a JSON object"),
        ("tokenizer_config.json", b"{", "tokenizer_config.json: not a JSON object"),
        ("tokenizer_config.json", b'{"strip_accents": false}', "strip_accents must be as do_lower_case"),
        ("tokenizer_config.json", b'{"tokenize_chinese_chars": false}', "tokenize_chinese_chars must be true"),
        ("1_Pooling/config.json", b"{", "not a JSON object"),
        ("1_Pooling/config.json", b'{"pooling_mode_max_tokens": true}', "must choose one of pooling_mode_mean_tokens"),
        ("1_Pooling/config.json", b'{"pooling_mode": "lasttoken"}', "must choose one of pooling_mode_mean_tokens"),
        ("1_Pooling/config.json", b'{"pooling_mode": ["mean", "cls"]}', "must choose one of pooling_mode_mean_tokens"),
        ("tokenizer_config.json", b'{"word_tokenizer_type": "mecab"}', "word_tokenizer_type mecab: texts are split"),
        ("tokenizer_config.json", b'{"subword_tokenizer_type": "character"}', "subword_tokenizer_type character"),
        ("tokenizer_config.json", b'{"tokenizer_class": "BertJapaneseTokenizer"}', "BertJapaneseTokenizer"),
        ("tokenizer_config.json", b'{"do_basic_tokenize": false}', "do_basic_tokenize False"),
        ("vocab.txt", b"[PAD]\n\xff\xfe", "vocab.txt: not UTF-8"),
        ("model.safetensors", b"junk", "not a safetensors file"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, file: str, content: bytes, words: str) -> None:
    tiny_bert.write(tmp_path)
    (tmp_path / file).write_bytes(content)
    with pytest.raises(UserError, match=words):
        bert.load(tmp_path, "tiny", 64)


@pytest.mark.parametrize(
    ("kind", "change", "words"),
    [
        ("distilbert", {"activation": "swish"}, "activation must be one of gelu"),
        ("distilbert", {"dim": 30}, "dim must be a multiple of n_heads"),
        ("distilbert", {"dropout": "0.1"}, "dropout must be a number"),
        ("distilbert", {"n_layers": 3}, "transformer.layer.2.attention.q_lin.weight is missing"),
        ("electra", {"embedding_size": 32}, "embeddings.word_embeddings.weight has shape"),
        ("electra", {"position_embedding_type": "relative_key"}, "only absolute position embeddings"),
    ],
)
def test_a_config_is_judged_by_the_names_of_its_own_kind(
    tmp_path: Path, kind: str, change: dict[str, object], words: str
) -> None:
    tiny_bert.write(tmp_path, kind=kind)
    (tmp_path / "config.json").write_text(json.dumps(tiny_bert.CONFIGS[kind] | change))
    with pytest.raises(UserError, match=words):
        bert.load(tmp_path, "tiny", 64)


def test_a_generator_of_electra_is_refused(tmp_path: Path) -> None:
    tiny_bert.write(tmp_path, kind="electra")
    tensors = load_file(tmp_path / "model.safetensors")
    tensors["generator_predictions.dense.weight"] = np.zeros([16, 32], np.float32)
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match="is ELECTRA's generator"):
        bert.load(tmp_path, "tiny", 64)


class Surprise:
    """What a pickle can hold: here, an order to write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.path, "ran")


def test_a_pickle_is_refused_unopened_with_the_way_to_convert_it(tmp_path: Path) -> None:
    tiny_bert.write(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps(Surprise(tmp_path / "ran")))
    assert bert.recognise(tmp_path)
    with pytest.raises(UserError, match=r"pytorch_model\.bin: is a pickle(.|\n)*import torch(.|\n)*weights_only=True"):
        bert.load(tmp_path, "tiny", 64)
    assert not (tmp_path / "ran").exists()


def test_the_page_on_encoders_shows_the_same_conversion() -> None:
    page = (ROOT / "docs" / "encoders.md").read_text(encoding="utf-8")
    shown = [ast.dump(ast.parse(block)) for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL)]
    assert ast.dump(ast.parse(weights.CONVERSION)) in shown


def test_a_pickle_beside_the_weights_is_left_alone(tiny_encoder: Path, tmp_path: Path) -> None:
    tiny_bert.write(tmp_path)
    copyfile(tiny_encoder / "model.safetensors", tmp_path / "pytorch_model.bin")
    assert bert.load(tmp_path, "tiny", 64).name == "tiny"


@pytest.mark.parametrize("name", ["tf_model.h5", "bert_model.ckpt.index", "flax_model.msgpack"])
def test_weights_in_another_form_are_refused_by_name(tmp_path: Path, name: str) -> None:
    tiny_bert.write(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / name)
    assert bert.recognise(tmp_path)
    with pytest.raises(UserError, match=f"{name}: only weights in model.safetensors are read"):
        bert.load(tmp_path, "tiny", 64)


@pytest.mark.parametrize("name", ["config.json", "vocab.txt"])
def test_a_checkpoint_without_one_of_its_files_says_which(tmp_path: Path, name: str) -> None:
    tiny_bert.write(tmp_path)
    (tmp_path / name).unlink()
    assert bert.recognise(tmp_path)
    with pytest.raises(UserError, match=f"{name}: is missing"):
        bert.load(tmp_path, "tiny", 64)
