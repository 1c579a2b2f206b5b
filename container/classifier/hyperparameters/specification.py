"""The hyperparameters as SageMaker's ``SupportedHyperParameters``, a parameter of CreateAlgorithm.

Source: Amazon SageMaker API reference, CreateAlgorithm and HyperParameterSpecification.
"""

from typing import Any

from classifier.hyperparameters.schema import SCHEMA, Hyperparameter


def supported_hyperparameters() -> list[dict[str, Any]]:
    """Return the HyperParameterSpecification of each hyperparameter, as JSON objects."""
    return [_specification(name, line) for name, line in SCHEMA.items()]


def _specification(name: str, line: Hyperparameter) -> dict[str, Any]:
    specification: dict[str, Any] = {
        "Name": name,
        "Description": line.meaning.replace("`", ""),
        "Type": line.kind.type,
        "IsTunable": line.tunable,
        "IsRequired": False,
    }
    if line.kind.range:
        specification["Range"] = line.kind.range
    if line.default is not None:
        specification["DefaultValue"] = str(line.default)
    return specification
