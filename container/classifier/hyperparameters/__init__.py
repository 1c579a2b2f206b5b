"""A job's hyperparameters, parsed and checked against the table in :mod:`classifier.hyperparameters.schema`."""

import difflib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from classifier import DEFAULT_ENCODER
from classifier.errors import UserError
from classifier.hyperparameters.hints import HINTS
from classifier.hyperparameters.schema import (
    AUTO,
    AUTO_MODEL,
    FROM_SCRATCH,
    HEAD_TAIL,
    LINEAR,
    SCHEMA,
    STEPWISE,
    TRUNCATE,
    WINDOWS,
    WITHOUT_EFFECT,
    Schema,
)
from classifier.kinds import Kind

__all__ = [
    "AUTO",
    "AUTO_MODEL",
    "DEFAULT_ENCODER",
    "FROM_SCRATCH",
    "HEAD_TAIL",
    "LINEAR",
    "SCHEMA",
    "STEPWISE",
    "TRUNCATE",
    "WINDOWS",
    "Hyperparameters",
    "parsed_values",
    "remarks",
    "unquote",
]

# Names that the platform and its SDKs add to the user's own (contract T22).
PLATFORM_NAMES = frozenset({"_tuning_objective_metric", "model_dir", "default_user_module_name"})
PLATFORM_PREFIX = "sagemaker_"
# Below this similarity, a suggestion is a guess: weight_decay and power_decay have 0.75.
LEAST_SIMILARITY = 0.8
# Hyperparameters of networks, which model_id=linear has no use for.
OF_NETWORKS = STEPWISE | {
    "batch_size",
    "long_texts",
    "train_only_top_layer",
    "encoder_learning_rate_decay",
    "mixed_precision",
}


@dataclass(frozen=True)
class Hyperparameters(Schema):
    """One job's hyperparameters.

    >>> Hyperparameters.parse({"epochs": "3", "learning-rate": '"0.001"'}).learning_rate
    0.001

    Attributes:
        given: The names of those that the job gives itself; the others have their defaults.
    """

    given: frozenset[str] = frozenset()

    @property
    def values(self) -> dict[str, Any]:
        """The values by the names of :data:`SCHEMA`."""
        return {name: getattr(self, name) for name in SCHEMA}

    @property
    def solves_top_layer(self) -> bool:
        """Whether the top layer of a frozen encoder is solved; a job that says how to train it in steps is obeyed."""
        return self.model_id == LINEAR or (self.train_only_top_layer and not self.given & STEPWISE)

    @classmethod
    def parse(cls, given: Mapping[str, object]) -> "Hyperparameters":
        """Return the hyperparameters of a job, with the general defaults for those that it doesn't give.

        Args:
            given: The job's names and values, as for :func:`parsed_values`.

        Raises:
            UserError: Names are unknown, or values are out of range; the message has every problem.
        """
        return cls.from_values(parsed_values(given))

    @classmethod
    def from_values(
        cls, values: Mapping[str, Any], defaults_of: Callable[[str], Mapping[str, Any]] = lambda _: {}
    ) -> "Hyperparameters":
        """Return the hyperparameters of a job whose values are parsed already.

        Args:
            values: What :func:`parsed_values` returned.
            defaults_of: Maps a ``model_id`` to the encoder's own defaults, which take precedence over the general ones.

        Raises:
            UserError: Two values contradict each other.
        """
        defaults = {name: line.default for name, line in SCHEMA.items()}
        chosen = {**defaults, **defaults_of(values.get("model_id", DEFAULT_ENCODER)), **values}
        if chosen["model_id"] == LINEAR and chosen["ngram_features"] == "false":
            raise UserError(
                f"hyperparameter ngram_features=False: model_id={LINEAR} is a model of n-grams alone; leave "
                "ngram_features out, or choose another model_id"
            )
        return cls(**chosen, given=frozenset(values))


def parsed_values(given: Mapping[str, object]) -> dict[str, Any]:
    """Return the values that a job gives, parsed, by the names of :data:`SCHEMA`.

    Args:
        given: The job's names and values, as SageMaker passes them: text, quoted or not.

    Raises:
        UserError: Names are unknown, or values are out of range; the message has every problem, and the known name
            that is most similar to an unknown one.
    """
    values: dict[str, Any] = {}
    origin: dict[str, str] = {}
    problems: list[str] = []
    for given_name, raw in given.items():
        if _is_for_others(given_name):
            continue
        name = _NAMES.get(_plain(given_name))
        if name is None:
            problems.append(f"hyperparameter {given_name!r} is unknown; {_suggestion(given_name)}")
            continue
        kind, text = _kind(name, given_name), unquote(raw)
        try:
            value = kind.parse(text)
        except (ValueError, KeyError, OverflowError):
            problems.append(f"hyperparameter {given_name}={_shown(text)}: must be {kind.words}")
            continue
        if name in origin and values[name] != value:
            problems.append(f"hyperparameters {origin[name]} and {given_name} mean the same and differ; give one")
        origin[name] = given_name
        values[name] = value
    if problems:
        raise UserError(_with_one_list(problems))
    return values


def remarks(given: Mapping[str, object], hyperparameters: Hyperparameters) -> list[str]:
    """Return a sentence for each hyperparameter that the job gives and that has no effect in it, with the reason.

    Args:
        given: The job's names and values, as SageMaker passes them.
        hyperparameters: The job's hyperparameters.
    """
    lines = []
    for given_name in given:
        if _plain(given_name) in WITHOUT_EFFECT:
            lines.append(f"{given_name} has no effect: {WITHOUT_EFFECT[_plain(given_name)]}")
            continue
        name = _NAMES.get(_plain(given_name), "")
        if name in SCHEMA:
            lines += [f"{given_name} has no effect: {reason}" for reason in _reasons(name, hyperparameters)]
    return lines


def _reasons(name: str, hyperparameters: Hyperparameters) -> Iterator[str]:
    """Yield why a hyperparameter has no effect in a job; nothing if it has one."""
    line, chosen = SCHEMA[name], hyperparameters.values
    if line.modality and hyperparameters.modality not in ("auto", line.modality):
        yield f"it is for {line.modality}s"
    elif hyperparameters.model_id == AUTO_MODEL and name == "train_only_top_layer":
        yield f"model_id={AUTO_MODEL} tries both"
    elif hyperparameters.model_id == LINEAR and name in OF_NETWORKS:
        yield f"it is for networks, and model_id={LINEAR} has none"
    else:
        if line.idle is not None and line.idle[0](chosen):
            yield line.idle[1]
        if line.used_with is not None and chosen[line.used_with[0]] not in line.used_with[1]:
            other, values = line.used_with
            yield f"it is for {other}={' or '.join(map(str, values))}"


def unquote(raw: object) -> str:
    """Return the text of a value, which may be JSON (``5``, ``true``) or text in quotes of its own (``'"5"'``)."""
    if not isinstance(raw, str):
        return json.dumps(raw)
    text = raw.strip()
    if len(text) >= 2 and text[0] == text[-1] == '"':
        try:
            raw = str(json.loads(text))
        except ValueError:
            raw = text[1:-1]
    return r"\t" if raw == "\t" else raw.strip()


def _plain(name: str) -> str:
    return name.replace("-", "_")


_SECOND_WORD = re.compile("(?<=[a-z0-9])(?=[A-Z])")  # of a name in camel case
_THE_KNOWN = "the known ones are " + ", ".join(SCHEMA)
_NAMES = {_plain(alias): name for name, line in SCHEMA.items() for alias in (name, *line.aliases, *line.alias_kinds)}


def _is_for_others(given_name: str) -> bool:
    return (
        given_name in PLATFORM_NAMES or given_name.startswith(PLATFORM_PREFIX) or _plain(given_name) in WITHOUT_EFFECT
    )


def _kind(name: str, given_name: str) -> Kind:
    """Return the kind of a hyperparameter's value; an alias may have a kind of its own."""
    return SCHEMA[name].alias_kinds.get(_plain(given_name), SCHEMA[name].kind)


def _suggestion(name: str) -> str:
    plain = _plain(_SECOND_WORD.sub("_", name).lower()).lstrip("_")
    if plain in HINTS:
        return HINTS[plain]
    nearest = difflib.get_close_matches(plain, _NAMES, n=1, cutoff=LEAST_SIMILARITY)
    if nearest:
        return f"did you mean {nearest[0]!r}?"
    return _THE_KNOWN


def _with_one_list(problems: Sequence[str]) -> list[str]:
    """Return problems with the list of known names in the last one only, as a failure reason's length is limited."""
    short = [problem.removesuffix(f"; {_THE_KNOWN}") for problem in problems]
    unlike = [problem for problem, whole in zip(short, problems, strict=True) if problem != whole]
    others = [problem for problem in short if problem not in unlike]
    return [*others, *unlike[:-1], *(f"{problem}; {_THE_KNOWN}" for problem in unlike[-1:])]


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")
