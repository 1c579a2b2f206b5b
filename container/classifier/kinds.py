"""What a setting's value can be: how it is read from text, named in a message, and described to SageMaker.

Hyperparameters, the variables of ``serve`` and the options of ``batch`` are all declared with these.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

SMALLEST_STEP = 1e-6  # below a limit that is not reached, in SageMaker's ranges, which reach their limits


@dataclass(frozen=True)
class Kind:
    """A type a value can have.

    Attributes:
        words: How messages and the documentation name it.
        parse: Text to value; raises ValueError or KeyError.
        type: SageMaker's name of the type, as in CreateAlgorithm's ``SupportedHyperParameters``.
        range: SageMaker's description of the range; empty where it has none.
    """

    words: str
    parse: Callable[[str], Any]
    type: str = "FreeText"
    range: Mapping[str, Any] = field(default_factory=dict)


def integer(low: int, high: int) -> Kind:
    """Whole numbers; a tuning job may write 64 as "64.0"."""

    def parse(text: str) -> int:
        number = float(text)
        if "_" in text or not (number.is_integer() and low <= number <= high):
            raise ValueError
        return int(number)

    limits = {"MinValue": str(low), "MaxValue": str(high)}
    return Kind(
        f"a whole number from {low:,} to {high:,}", parse, "Integer", {"IntegerParameterRangeSpecification": limits}
    )


def number(low: float, high: float, *, below_high: bool = False) -> Kind:
    """Finite numbers from ``low`` to ``high``, that one included or not."""

    def parse(text: str) -> float:
        value = float(text)
        if "_" in text or not (math.isfinite(value) and low <= value <= high) or (below_high and value == high):
            raise ValueError
        return value

    words = f"a number from {low:g} to {'below ' if below_high else ''}{high:g}"
    limits = {"MinValue": f"{low:g}", "MaxValue": f"{high - SMALLEST_STEP if below_high else high:g}"}
    return Kind(words, parse, "Continuous", {"ContinuousParameterRangeSpecification": limits})


def choice(*names: str, also: Mapping[str, str] | None = None) -> Kind:
    """One of some names, in small or capital letters; ``also`` has other words for them."""
    by_name = {name.lower(): name for name in names} | dict(also or {})

    def parse(text: str) -> str:
        return by_name[text.lower()]

    return Kind("one of " + ", ".join(names), parse, "Categorical", _values(names))


def boolean(yes: Any = True, no: Any = False) -> Kind:
    """True or False, and what is meant by each; never by Python's rule that any text is true."""
    known = {"true": yes, "1": yes, "false": no, "0": no}
    return Kind("True or False", lambda text: known[text.lower()], "Categorical", _values(("True", "False")))


def text(words: str) -> Kind:
    """Text that is not empty."""

    def parse(value: str) -> str:
        if not value:
            raise ValueError
        return value

    return Kind(words, parse)


def _values(names: tuple[str, ...]) -> Mapping[str, Any]:
    return {"CategoricalParameterRangeSpecification": {"Values": list(names)}}
