"""The types of settings' values: how a value is parsed, named in messages, and described to SageMaker.

Hyperparameters, the environment variables of ``serve`` and the options of ``batch`` are declared with them.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

SMALLEST_STEP = 1e-6  # below an exclusive limit, as the limits of SageMaker's ranges are inclusive


@dataclass(frozen=True)
class Kind:
    """A type of values.

    Attributes:
        words: Its description in messages and the documentation.
        parse: Maps text to a value; raises ValueError or KeyError.
        type: SageMaker's name of the type, as in CreateAlgorithm's ``SupportedHyperParameters``.
        range: SageMaker's description of the range; empty without one.
    """

    words: str
    parse: Callable[[str], Any]
    type: str = "FreeText"
    range: Mapping[str, Any] = field(default_factory=dict)


def integer(low: int, high: int) -> Kind:
    """Return the kind of integers from ``low`` to ``high``; "64.0" is accepted, as tuning jobs write that."""

    def parse(text: str) -> int:
        number = float(text)
        if "_" in text or not (number.is_integer() and low <= number <= high):
            raise ValueError
        return int(number)

    limits = {"MinValue": str(low), "MaxValue": str(high)}
    return Kind(
        f"a whole number from {low:,} to {high:,}", parse, "Integer", {"IntegerParameterRangeSpecification": limits}
    )


def number(low: float, high: float, *, above_low: bool = False, below_high: bool = False) -> Kind:
    """Return the kind of finite numbers from ``low`` to ``high``, inclusive unless ``above_low``, ``below_high``."""

    def parse(text: str) -> float:
        value = float(text)
        excluded = (above_low and value == low) or (below_high and value == high)
        if "_" in text or not (math.isfinite(value) and low <= value <= high) or excluded:
            raise ValueError
        return value

    words = f"a number from {'above ' if above_low else ''}{low:g} to {'below ' if below_high else ''}{high:g}"
    limits = {
        "MinValue": f"{low + SMALLEST_STEP if above_low else low:g}",
        "MaxValue": f"{high - SMALLEST_STEP if below_high else high:g}",
    }
    return Kind(words, parse, "Continuous", {"ContinuousParameterRangeSpecification": limits})


def choice(*names: str, also: Mapping[str, str] | None = None) -> Kind:
    """Return the kind of these names, in any case; ``also`` maps further spellings, in lower case, to them."""
    by_name = {name.lower(): name for name in names} | dict(also or {})

    def parse(text: str) -> str:
        return by_name[text.lower()]

    return Kind("one of " + ", ".join(names), parse, "Categorical", _values(names))


def boolean(yes: object = True, no: object = False) -> Kind:
    """Return the kind of True and False, written so or as 1 and 0, which stand for the values ``yes`` and ``no``."""
    known = {"true": yes, "1": yes, "false": no, "0": no}
    return Kind("True or False", lambda text: known[text.lower()], "Categorical", _values(("True", "False")))


def text(words: str) -> Kind:
    """Return the kind of non-empty text."""

    def parse(value: str) -> str:
        if not value:
            raise ValueError
        return value

    return Kind(words, parse)


def _values(names: tuple[str, ...]) -> Mapping[str, Any]:
    return {"CategoricalParameterRangeSpecification": {"Values": list(names)}}
