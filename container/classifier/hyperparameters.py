"""The hyperparameters: one table that is the parser and the documentation.

Names, ranges and defaults are those of AWS's built-in algorithm "Text Classification - TensorFlow" wherever both have
the same one (SageMaker developer guide, "Text Classification - TensorFlow Hyperparameters").
"""

import difflib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from classifier.errors import UserError

# Names the platform and its SDKs put beside the user's own (contract T22).
PLATFORM_NAMES = frozenset({"_tuning_objective_metric", "model_dir", "default_user_module_name"})
PLATFORM_PREFIX = "sagemaker_"

WHOLE_NETWORK_LEARNING_RATE = 3e-5
TOP_LAYER_LEARNING_RATE = 1e-3


@dataclass(frozen=True)
class Kind:
    """A type a value can have.

    Attributes:
        words: How messages and the documentation name it.
        parse: Text to value; raises ValueError or KeyError.
    """

    words: str
    parse: Callable[[str], Any]


def _integer(low: int, high: int) -> Kind:
    def parse(text: str) -> int:
        number = float(text)  # a tuning job may write 64 as "64.0"
        if "_" in text or not (number.is_integer() and low <= number <= high):
            raise ValueError
        return int(number)

    return Kind(f"a whole number from {low:,} to {high:,}", parse)


def _number(low: float, high: float, *, below_high: bool = False) -> Kind:
    def parse(text: str) -> float:
        number = float(text)
        if "_" in text or not (math.isfinite(number) and low <= number <= high) or (below_high and number == high):
            raise ValueError
        return number

    return Kind(f"a number from {low:g} to {'below ' if below_high else ''}{high:g}", parse)


def _boolean(text: str) -> bool:
    return {"true": True, "1": True, "false": False, "0": False}[text.lower()]


def _choice(*names: str) -> Kind:
    return Kind("one of " + ", ".join(names), {name: name for name in names}.__getitem__)


def _name(text: str) -> str:
    if not text:
        raise ValueError
    return text


@dataclass(frozen=True)
class Hyperparameter:
    """One line of the table.

    Attributes:
        kind: What a value must be.
        default: The value when none is given; None means that another value decides, as ``default_in_words`` says.
        meaning: A sentence for the documentation.
        default_in_words: How the documentation shows a default of None.
        aliases: Other names of the same thing.
    """

    kind: Kind
    default: Any
    meaning: str
    default_in_words: str = ""
    aliases: tuple[str, ...] = ()


SCHEMA: Mapping[str, Hyperparameter] = {
    "epochs": Hyperparameter(_integer(1, 1000), 10, "Passes over the training rows."),
    "batch_size": Hyperparameter(_integer(1, 1024), 32, "Rows in one training step."),
    "learning_rate": Hyperparameter(
        _number(0, 1),
        None,
        "Step size. Given, it stays the same throughout (but see `adamw`).",
        f"{WHOLE_NETWORK_LEARNING_RATE:.0e} for a whole transformer, warmed up over the first tenth of the steps and "
        f"then lowered to 0; {TOP_LAYER_LEARNING_RATE:g} for the top layer only, and for word vectors",
    ),
    "optimizer": Hyperparameter(
        _choice("adam", "adamw", "sgd"),
        "adam",
        "`adamw` decays weights by 0.01 and always warms up and lowers the learning rate.",
    ),
    "dropout_rate": Hyperparameter(
        _number(0, 1, below_high=True), 0.2, "Share of the encoder's outputs dropped before the top layer."
    ),
    "regularizers_l2": Hyperparameter(_number(0, 1), 1e-4, "L2 penalty on the top layer's weights."),
    "train_only_top_layer": Hyperparameter(
        Kind("True or False", _boolean),
        False,
        "Leave the encoder as it is: far faster, often a little less accurate.",
        aliases=("train_only_on_top_layer",),
    ),
    "validation_split_ratio": Hyperparameter(
        _number(0, 1, below_high=True),
        0.2,
        "Share of the training rows, of each label alike, held out where there is no `validation` channel; "
        "0 holds out none.",
    ),
    "model_id": Hyperparameter(
        Kind("the name of an encoder", _name),
        "all-minilm-l6-v2",
        "The pre-trained encoder in the image. Files on the `model` channel go before it.",
    ),
    "max_sequence_length": Hyperparameter(
        _integer(3, 4096), 256, "Tokens of a text that are read; the rest is cut off."
    ),
    "seed": Hyperparameter(_integer(0, 2**31 - 1), 123, "Makes splits, shuffles, dropout and new weights repeatable."),
}


@dataclass(frozen=True)
class Hyperparameters:
    """One job's hyperparameters; :data:`SCHEMA` says what each means."""

    epochs: int
    batch_size: int
    learning_rate: float | None
    optimizer: str
    dropout_rate: float
    regularizers_l2: float
    train_only_top_layer: bool
    validation_split_ratio: float
    model_id: str
    max_sequence_length: int
    seed: int

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> "Hyperparameters":
        """Convert what SageMaker hands over, which is text, quoted or not.

        Raises:
            UserError: With every problem: unknown names and their nearest known one, values out of range.
        """
        values = {name: line.default for name, line in SCHEMA.items()}
        origin: dict[str, str] = {}
        problems: list[str] = []
        for given_name, raw in given.items():
            if given_name in PLATFORM_NAMES or given_name.startswith(PLATFORM_PREFIX):
                continue
            name = _NAMES.get(given_name)
            if name is None:
                problems.append(f"hyperparameter {given_name!r} is unknown; {_suggestion(given_name)}")
                continue
            text = unquote(raw)
            try:
                value = SCHEMA[name].kind.parse(text)
            except (ValueError, KeyError, OverflowError):
                problems.append(f"hyperparameter {given_name}={_shown(text)}: must be {SCHEMA[name].kind.words}")
                continue
            if name in origin and values[name] != value:
                problems.append(f"hyperparameters {origin[name]} and {given_name} mean the same and differ; give one")
            origin[name] = given_name
            values[name] = value
        if problems:
            raise UserError(problems)
        return cls(**values)


_NAMES = {alias: name for name, line in SCHEMA.items() for alias in (name, *line.aliases)}


def unquote(raw: Any) -> str:
    """Return the text of a value, which may be JSON (5, true) or JSON inside text ("5", in quotes of its own)."""
    if not isinstance(raw, str):
        return json.dumps(raw)
    text = raw.strip()
    if len(text) >= 2 and text[0] == text[-1] == '"':
        try:
            inner = json.loads(text)
        except ValueError:
            inner = text[1:-1]
        return str(inner).strip()
    return text


def _suggestion(name: str) -> str:
    nearest = difflib.get_close_matches(name.lower().replace("-", "_"), _NAMES, n=1)
    if nearest:
        return f"did you mean {nearest[0]!r}?"
    return "the known ones are " + ", ".join(SCHEMA)


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")
