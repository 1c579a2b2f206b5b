"""Texts: rows of label and text."""

from collections.abc import Mapping, Sequence
from typing import Any

from classifier import DEFAULT_ENCODER, TEXT
from classifier.modalities.modality import Modality

# Characters. A network reads some hundreds of tokens, and to cut a text of millions into tokens takes a hundred times
# the text's memory.
LONGEST = 1 << 17
SMOKE_TEXTS = (
    "",
    "It works.",
    "The delivery came two days late, but the staff were kind and gave me my money back.",
    "Großes Café, naïve façade: 100 % über-cool… 価格は",
    "one two three four five six seven eight nine ten " * 60,
)


def _smoke_texts() -> Sequence[str]:
    return SMOKE_TEXTS


def _decode(record: Any, _: Mapping[str, Any]) -> Any:
    """Return a text's first :data:`LONGEST` characters."""
    return record[:LONGEST] if isinstance(record, str) else record


MODALITY = Modality(
    name=TEXT,
    channel_module="classifier.modalities.text_channel",
    decode=_decode,
    smoke_inputs=_smoke_texts,
    families=("convolutional", "recurrent", "linear", "bert", "hub"),
    from_scratch={"cnn": "convolutional", "lstm": "recurrent", "linear": "linear"},
    from_scratch_defaults={"linear": {"max_sequence_length": 4096}},
    model_channel=(
        "a checkpoint of BERT, DistilBERT or ELECTRA (config.json, vocab.txt, model.safetensors) or a TensorFlow Hub "
        "SavedModel"
    ),
    default_model_id=DEFAULT_ENCODER,
    default_with_channel=DEFAULT_ENCODER,
    has_embedded_encoder=True,
    word_vectors=True,
    in_tables=True,
)
