"""The network answers as the reference implementation does; `tests/data/make_reference.py` wrote what it answered."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file, save_file

import tiny_bert
from classifier.encoders import bert
from classifier.errors import UserError
from jobs import ROOT

REFERENCE: dict[str, Any] = json.loads((Path(__file__).parent / "data" / "bert_reference.json").read_text("utf-8"))
ENCODER = ROOT / "container" / "pretrained" / "all-minilm-l6-v2"


def test_the_default_encoder_answers_as_the_reference_to_one_in_ten_thousand() -> None:
    encoder = bert.load(ENCODER, "x", REFERENCE["max_sequence_length"])
    ids = encoder.tokenize(tf.constant([text.encode() for text in REFERENCE["texts"]]))
    assert [[token for token in row if token] for row in ids.numpy().tolist()] == REFERENCE["token_ids"]
    np.testing.assert_allclose(encoder.layer(ids).numpy(), REFERENCE["mean"], atol=1e-4)
    assert encoder.pooling == "mean"


@pytest.mark.parametrize("pooling", ["mean", "cls", "pooler"])
def test_every_way_of_pooling_answers_as_the_reference(tmp_path: Path, pooling: str) -> None:
    encoder = bert.load(tiny_bert.write(tmp_path, pooling=pooling), "tiny", 64)
    assert encoder.pooling == pooling
    vectors = encoder.layer(tf.constant(REFERENCE["tiny_token_ids"])).numpy()
    np.testing.assert_allclose(vectors, REFERENCE["tiny"][pooling], atol=1e-4)


def test_padding_does_not_change_an_answer(tiny_encoder: Path) -> None:
    layer = bert.load(tiny_encoder, "tiny", 64).layer
    alone = layer(tf.constant([[2, 5, 6, 3]])).numpy()
    padded = layer(tf.constant([[2, 5, 6, 3] + [0] * 20, [2] + [7] * 22 + [3]])).numpy()[:1]
    np.testing.assert_allclose(alone, padded, atol=1e-6)


def test_a_saved_checkpoint_loads_to_the_same_weights(tiny_encoder: Path, tmp_path: Path) -> None:
    encoder = bert.load(tiny_encoder, "tiny", 64)
    encoder.save(tmp_path)
    again = bert.load(tmp_path, "again", 64)
    assert again.pooling == encoder.pooling
    for name, value in bert.checkpoint(encoder.layer).items():
        np.testing.assert_array_equal(value, bert.checkpoint(again.layer)[name])


def test_older_names_of_weights_are_read(tiny_encoder: Path, tmp_path: Path) -> None:
    tiny_bert.write(tmp_path)
    weights = {
        "bert." + name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
        for name, value in load_file(tiny_encoder / "model.safetensors").items()
    }
    save_file(weights, tmp_path / "model.safetensors")
    ids = tf.constant([[2, 5, 3]])
    old, new = (bert.load(folder, "tiny", 64).layer(ids) for folder in (tmp_path, tiny_encoder))
    np.testing.assert_array_equal(old, new)


def test_the_sequence_is_never_longer_than_the_networks_positions(tiny_encoder: Path) -> None:
    encoder = bert.load(tiny_encoder, "tiny", 4096)
    assert encoder.tokenize(tf.constant(["a " * 500])).shape == (1, tiny_bert.CONFIG["max_position_embeddings"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model_type": "roberta"}, "model_type 'roberta' is not supported"),
        ({"hidden_act": "swish"}, "hidden_act must be one of gelu"),
        ({"position_embedding_type": "relative_key"}, "only absolute position embeddings"),
        ({"hidden_size": 64}, "config.json says"),
        ({"num_hidden_layers": 3}, "encoder.layer.2.attention.self.query.weight is missing"),
        ({"vocab_size": 7}, "not of the same checkpoint"),
        ({"hidden_size": "32"}, "hidden_size must be a number"),
        ({"num_attention_heads": 5}, "must be a multiple of num_attention_heads"),
        ({"num_attention_heads": 0}, "must be a multiple of num_attention_heads"),
        ({"hidden_act": []}, "hidden_act must be text"),
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
        ("vocab.txt", b"[PAD]\n\xff\xfe", "vocab.txt: not UTF-8"),
        ("model.safetensors", b"junk", "not a safetensors file"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, file: str, content: bytes, words: str) -> None:
    tiny_bert.write(tmp_path)
    (tmp_path / file).write_bytes(content)
    with pytest.raises(UserError, match=words):
        bert.load(tmp_path, "tiny", 64)
