"""Encoders worth knowing by name: where their files are, how large they are, and what suits them.

The entries, and where their facts are from, are in ``catalog.toml``.

A default learning rate is nobody's: one that is given stays the same throughout, and what a job chooses by itself is
warmed up and lowered.
"""

import difflib
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from classifier import DEFAULT_ENCODER
from classifier.modalities import Modality

HUB = "https://tfhub.dev/"
# The groups of the file, and the family of each.
FAMILIES: Mapping[str, str] = {"checkpoints": "bert", "tensorflow-hub": "hub", "built-in": "hub"}


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


def _read() -> Mapping[str, Mapping[str, Entry]]:
    """Return the entries by group, in the order of :data:`FAMILIES`, and by id."""
    groups = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    return {
        group: {model_id: Entry(family, **fields) for model_id, fields in groups[group].items()}
        for group, family in FAMILIES.items()
    }


CHECKPOINTS, OTHERS_OF_HUB, BUILT_IN = _read().values()
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


def defaults_of(modality: Modality, *, brought: bool) -> Callable[[str], Mapping[str, Any]]:
    """Return what gives the hyperparameters that suit an encoder of a modality, by its ``model_id``.

    Args:
        modality: What it encodes.
        brought: Whether the job has a ``model`` channel.
    """

    def defaults_of_encoder(model_id: str) -> Mapping[str, Any]:
        usual = modality.default_with_channel if brought else modality.default_model_id
        chosen = usual if model_id == DEFAULT_ENCODER else model_id
        pre_trained = {} if chosen in modality.from_scratch else modality.encoder_defaults
        return {"model_id": chosen, **pre_trained, **defaults(chosen)}

    return defaults_of_encoder


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
