"""Encoders worth knowing by name: where their files are, how large they are, and what suits them.

Sources. The ids that begin with ``tensorflow-tc-`` are those of AWS's built-in algorithm "Text Classification -
TensorFlow". Handles, versions, preprocessors, widths and languages of TensorFlow Hub are those of its documentation
(github.com/tensorflow/tfhub.dev), whose models are under Apache-2.0 where their page says nothing else; that each id of
AWS's is this handle follows from the names, AWS does not say. Licences of Hugging Face repositories are those of their
model cards, SciBERT's that of its repository. Parameters of transformers are computed from their shape
(:func:`_parameters`); those of NNLM and the Universal Sentence Encoder are what Keras counts; MobileBERT's is its
paper's.

A default learning rate is nobody's: one that is given stays the same throughout, and what a job chooses by itself is
warmed up and lowered.
"""

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from classifier import IMAGE, TEXT
from classifier.hyperparameters import DEFAULT_ENCODER, FROM_SCRATCH

HUB = "https://tfhub.dev/"
UNCASED = "tensorflow/bert_en_uncased_preprocess/3"
CASED = "tensorflow/bert_en_cased_preprocess/3"
MULTILINGUAL = 119547  # words of the vocabulary of 104 languages
LARGE = 24 * 1024  # layers times width from which a network is trained whole only by who asks for it
LARGE_DEFAULTS: Mapping[str, Any] = {"train_only_top_layer": True, "batch_size": 8}
# Of encoders of images. A new top layer must learn fast, for there are often few images; what an encoder learned before
# bears small steps only. Measured with MobileNet on 200 photographs of flowers (docs/image-classification.md).
IMAGE_DEFAULTS: Mapping[str, Any] = {"learning_rate": 0.01, "encoder_learning_rate_decay": 0.003}
IMAGE_FROM_SCRATCH = "cnn"
BROUGHT = "model channel"  # stands for the encoder of images whose files are there, whatever that is called


@dataclass(frozen=True)
class Entry:
    """One encoder.

    Attributes:
        family: The module of this package that loads it: ``hub`` or ``bert``.
        handle: Its place below tfhub.dev, or the name of its Hugging Face repository.
        width: Values of a text's vector.
        preprocessor: The handle of what turns texts into its tokens; empty where it takes texts or brings its own.
        layers: Transformer blocks; 0 where it is another kind of network.
        heads: Attention heads; 0 likewise.
        parameters: Millions; None where nobody counted them.
        languages: Which, or how many.
        note: What one should know before taking it.
    """

    family: str
    handle: str
    width: int
    preprocessor: str = ""
    layers: int = 0
    heads: int = 0
    parameters: float | None = None
    languages: str = "English"
    licence: str = "Apache-2.0"
    note: str = ""
    defaults: Mapping[str, Any] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """The page that describes it."""
        return (HUB if self.family == "hub" else "https://huggingface.co/") + self.handle


def _parameters(layers: int, width: int, vocabulary: int, *, words: int = 0, pooler: bool = True) -> float:
    """Return the millions of weights of a BERT with 512 positions, 2 segments and inner layers four times as wide."""
    words = words or width
    embeddings = (vocabulary + 512 + 2 + 2) * words + (words * width + width if words != width else 0)
    block = 4 * (width * width + width) + 8 * width * width + 5 * width + 4 * width
    return round((embeddings + layers * block + (width * width + width) * pooler) / 1e6, 1)


def _defaults(layers: int, width: int) -> Mapping[str, Any]:
    return LARGE_DEFAULTS if layers * width >= LARGE else {}


def _hub_bert(handle: str, layers: int, width: int, vocabulary: int = 30522, **others: Any) -> Entry:
    settings = {"preprocessor": UNCASED, "heads": width // 64, "parameters": _parameters(layers, width, vocabulary)}
    return Entry("hub", handle, width, layers=layers, defaults=_defaults(layers, width), **{**settings, **others})


def _checkpoint(repository: str, layers: int, width: int, vocabulary: int = 30522, **others: Any) -> Entry:
    settings = {"heads": width // 64, "parameters": _parameters(layers, width, vocabulary)}
    return Entry("bert", repository, width, layers=layers, defaults=_defaults(layers, width), **{**settings, **others})


BUILT_IN: Mapping[str, Entry] = {
    f"tensorflow-tc-{name}": entry
    for name, entry in {
        "bert-en-uncased-L-12-H-768-A-12-2": _hub_bert("tensorflow/bert_en_uncased_L-12_H-768_A-12/4", 12, 768),
        "bert-en-cased-L-12-H-768-A-12-2": _hub_bert(
            "tensorflow/bert_en_cased_L-12_H-768_A-12/4", 12, 768, 28996, preprocessor=CASED
        ),
        "bert-multi-cased-L-12-H-768-A-12-2": _hub_bert(
            "tensorflow/bert_multi_cased_L-12_H-768_A-12/4",
            12,
            768,
            MULTILINGUAL,
            preprocessor="tensorflow/bert_multi_cased_preprocess/3",
            languages="104",
        ),
        "bert-en-uncased-L-24-H-1024-A-16-2": _hub_bert("tensorflow/bert_en_uncased_L-24_H-1024_A-16/4", 24, 1024),
        "bert-en-cased-L-24-H-1024-A-16-2": _hub_bert(
            "tensorflow/bert_en_cased_L-24_H-1024_A-16/4", 24, 1024, 28996, preprocessor=CASED
        ),
        "bert-en-wwm-uncased-L-24-H-1024-A-16-2": _hub_bert(
            "tensorflow/bert_en_wwm_uncased_L-24_H-1024_A-16/4", 24, 1024
        ),
        "bert-en-wwm-cased-L-24-H-1024-A-16-2": _hub_bert(
            "tensorflow/bert_en_wwm_cased_L-24_H-1024_A-16/4", 24, 1024, 28996, preprocessor=CASED
        ),
        **{
            f"small-bert-bert-en-uncased-L-{layers}-H-{width}-A-{width // 64}": _hub_bert(
                f"tensorflow/small_bert/bert_en_uncased_L-{layers}_H-{width}_A-{width // 64}/2", layers, width
            )
            for width in (128, 256, 512, 768)
            for layers in (2, 4, 6, 8, 10, 12)
        },
        "albert-en-base": _hub_bert(
            "tensorflow/albert_en_base/3",
            12,
            768,
            preprocessor="tensorflow/albert_en_preprocess/3",
            parameters=11.7,
            note="its blocks share their weights",
        ),
        "electra-small-1": _hub_bert(
            "google/electra_small/2", 12, 256, heads=4, parameters=_parameters(12, 256, 30522, words=128)
        ),
        "electra-base-1": _hub_bert("google/electra_base/2", 12, 768),
        "experts-bert-wiki-books-1": _hub_bert("google/experts/bert/wiki_books/2", 12, 768),
        "experts-bert-pubmed-1": _hub_bert("google/experts/bert/pubmed/2", 12, 768, note="biomedical texts"),
        "talking-heads-base": _hub_bert("tensorflow/talkheads_ggelu_bert_en_base/2", 12, 768, parameters=137.8),
        "talking-heads-large": _hub_bert("tensorflow/talkheads_ggelu_bert_en_large/2", 24, 1024, parameters=435.9),
    }.items()
}

_NNLM_NOTE = "word vectors: seconds of training on a CPU, texts of any length"
OTHERS_OF_HUB: Mapping[str, Entry] = {
    "nnlm-en-dim50": Entry("hub", "google/nnlm-en-dim50/2", 50, parameters=48.2, note=_NNLM_NOTE),
    "nnlm-en-dim50-with-normalization": Entry(
        "hub", "google/nnlm-en-dim50-with-normalization/2", 50, parameters=48.2, note=_NNLM_NOTE
    ),
    "nnlm-en-dim128": Entry("hub", "google/nnlm-en-dim128/2", 128, parameters=124.6, note=_NNLM_NOTE),
    "nnlm-en-dim128-with-normalization": Entry(
        "hub", "google/nnlm-en-dim128-with-normalization/2", 128, parameters=124.6, note=_NNLM_NOTE
    ),
    **{
        f"nnlm-{code}-dim{width}-with-normalization": Entry(
            "hub", f"google/nnlm-{code}-dim{width}-with-normalization/2", width, languages=language, note=_NNLM_NOTE
        )
        for code, language in (("de", "German"), ("es", "Spanish"), ("id", "Indonesian"), ("ko", "Korean"))
        for width in (50, 128)
    },
    "universal-sentence-encoder": Entry(
        "hub", "google/universal-sentence-encoder/4", 512, parameters=256.8, note="an averaging network: fast on a CPU"
    ),
    "universal-sentence-encoder-large": Entry(
        "hub", "google/universal-sentence-encoder-large/5", 512, note="a transformer"
    ),
    "universal-sentence-encoder-multilingual": Entry(
        "hub",
        "google/universal-sentence-encoder-multilingual/3",
        512,
        languages="16",
        note="a convolutional network; uses the SentencePiece operations of TensorFlow Text, which the image has",
    ),
    "universal-sentence-encoder-multilingual-large": Entry(
        "hub",
        "google/universal-sentence-encoder-multilingual-large/3",
        512,
        languages="16",
        note="a transformer; uses the SentencePiece operations of TensorFlow Text, which the image has",
    ),
    "mobilebert": Entry(
        "hub",
        "tensorflow/mobilebert_en_uncased_L-24_H-128_B-512_A-4_F-4_OPT/1",
        512,
        preprocessor=UNCASED,
        layers=24,
        heads=4,
        parameters=25.3,
    ),
}

_SENTENCES = "a sentence encoder: good with few rows, or the top layer only"

_CHECKPOINTS = (
    _checkpoint("sentence-transformers/all-MiniLM-L6-v2", 6, 384, heads=12, note=f"in the image; {_SENTENCES}"),
    _checkpoint("sentence-transformers/all-MiniLM-L12-v2", 12, 384, heads=12, note=_SENTENCES),
    _checkpoint("sentence-transformers/paraphrase-MiniLM-L3-v2", 3, 384, heads=12, note=_SENTENCES),
    _checkpoint("BAAI/bge-small-en-v1.5", 12, 384, heads=12, licence="MIT", note=_SENTENCES),
    _checkpoint("BAAI/bge-base-en-v1.5", 12, 768, licence="MIT", note=_SENTENCES),
    _checkpoint("thenlper/gte-small", 12, 384, heads=12, licence="MIT", note=_SENTENCES),
    _checkpoint("thenlper/gte-base", 12, 768, licence="MIT", note=_SENTENCES),
    _checkpoint("intfloat/e5-small-v2", 12, 384, heads=12, licence="MIT", note=_SENTENCES),
    _checkpoint("intfloat/e5-base-v2", 12, 768, licence="MIT", note=_SENTENCES),
    _checkpoint("distilbert/distilbert-base-uncased", 6, 768, parameters=66.4),
    _checkpoint("distilbert/distilbert-base-cased", 6, 768, parameters=65.2),
    _checkpoint("distilbert/distilbert-base-multilingual-cased", 6, 768, parameters=134.7, languages="104"),
    _checkpoint("google/electra-small-discriminator", 12, 256, parameters=13.5),
    _checkpoint("google/electra-base-discriminator", 12, 768, parameters=108.9),
    _checkpoint("google/electra-large-discriminator", 24, 1024, parameters=334.1),
    _checkpoint("google-bert/bert-base-uncased", 12, 768),
    _checkpoint("google-bert/bert-base-cased", 12, 768, 28996),
    _checkpoint("google-bert/bert-base-multilingual-cased", 12, 768, MULTILINGUAL, languages="104"),
    _checkpoint("google-bert/bert-base-chinese", 12, 768, 21128, languages="Chinese"),
    _checkpoint("google-bert/bert-base-german-cased", 12, 768, 30000, languages="German", licence="MIT"),
    _checkpoint("google-bert/bert-large-uncased", 24, 1024),
    _checkpoint("google-bert/bert-large-cased", 24, 1024, 28996),
    _checkpoint("prajjwal1/bert-tiny", 2, 128, licence="MIT"),
    _checkpoint("prajjwal1/bert-mini", 4, 256, licence="MIT"),
    _checkpoint("prajjwal1/bert-small", 4, 512, licence="MIT"),
    _checkpoint("prajjwal1/bert-medium", 8, 512, licence="MIT"),
    _checkpoint(
        "sentence-transformers/distiluse-base-multilingual-cased-v2",
        6,
        768,
        parameters=134.7,
        languages="over 50",
        note=_SENTENCES,
    ),
    _checkpoint("sentence-transformers/LaBSE", 12, 768, 501153, languages="109", note=_SENTENCES),
    _checkpoint(
        "microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract-fulltext",
        12,
        768,
        licence="MIT",
        note="biomedical texts",
    ),
    _checkpoint("allenai/scibert_scivocab_uncased", 12, 768, 31090, note="scientific texts"),
    _checkpoint(
        "nlpaueb/legal-bert-base-uncased",
        12,
        768,
        licence="CC-BY-SA-4.0",
        note="legal texts; what is made of it is shared under the same licence",
    ),
)
CHECKPOINTS: Mapping[str, Entry] = {entry.handle.rpartition("/")[2].lower(): entry for entry in _CHECKPOINTS}

ENTRIES: Mapping[str, Entry] = {**CHECKPOINTS, **OTHERS_OF_HUB, **BUILT_IN}
_BY_NAME = {
    name.lower(): model_id for model_id, entry in ENTRIES.items() for name in (model_id, entry.handle, entry.address)
}


def identify(name: str) -> str | None:
    """Return the id of the encoder that an id, a handle or an address names; None where it is not listed."""
    return _BY_NAME.get(name.strip().rstrip("/").lower())


def nearest(name: str, others: Iterable[str] = ()) -> str | None:
    """Return the id that is written most like a name, of those listed here and of others; None where none is."""
    ids = {model_id.lower(): model_id for model_id in (*ENTRIES, *others)}
    found = difflib.get_close_matches(name.lower(), ids, n=1)
    return ids[found[0]] if found else None


def find(model_id: str) -> Entry | None:
    """Return what is known of an encoder, None where it is not listed."""
    known = identify(model_id)
    return ENTRIES[known] if known else None


def defaults(model_id: str) -> Mapping[str, Any]:
    """Return the hyperparameters that suit an encoder better than everybody's defaults do."""
    entry = find(model_id)
    return entry.defaults if entry else {}


def image_defaults(*, brought: bool) -> Callable[[str], Mapping[str, Any]]:
    """Return what gives the hyperparameters that suit an encoder of images, by its ``model_id``.

    Args:
        brought: Whether the job has a ``model`` channel; without it, and without a ``model_id``, the network that
            begins from nothing is trained.
    """

    def defaults_of(model_id: str) -> Mapping[str, Any]:
        usual = BROUGHT if brought else IMAGE_FROM_SCRATCH
        chosen = usual if model_id == DEFAULT_ENCODER else model_id
        return {"model_id": chosen, **({} if chosen in FROM_SCRATCH else IMAGE_DEFAULTS)}

    return defaults_of


def defaults_of(modality: str, *, brought: bool) -> Callable[[str], Mapping[str, Any]]:
    """Return what gives the hyperparameters that suit an encoder of a modality, by its ``model_id``.

    Args:
        modality: What it encodes.
        brought: Whether the job has a ``model`` channel.
    """
    return {TEXT: defaults, IMAGE: image_defaults(brought=brought)}[modality]


def table() -> str:
    """Return the encoders as Markdown."""
    groups = (
        ("Checkpoints of BERT, DistilBERT and ELECTRA", CHECKPOINTS),
        ("Others of TensorFlow Hub", OTHERS_OF_HUB),
        ("The built-in algorithm's", BUILT_IN),
    )
    return "\n\n".join("\n".join([f"### {heading}", "", *_rows(entries)]) for heading, entries in groups)


def _rows(entries: Mapping[str, Entry]) -> Iterator[str]:
    yield "| `model_id` | layers × width | million parameters | languages | licence | |"
    yield "|---|---|---|---|---|---|"
    for model_id, entry in entries.items():
        size = f"{entry.layers} × {entry.width}" if entry.layers else str(entry.width)
        parameters = "" if entry.parameters is None else f"{entry.parameters:.1f}"
        names = f"[`{model_id}`]({entry.address})"
        yield f"| {names} | {size} | {parameters} | {entry.languages} | {entry.licence} | {_remark(entry)} |"


def _remark(entry: Entry) -> str:
    by_default = ", ".join(f"`{name}={value}`" for name, value in entry.defaults.items())
    return "; ".join(part for part in (entry.note, f"by default {by_default}" if by_default else "") if part)
