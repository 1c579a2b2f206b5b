"""deploy/template.yaml as plain values, its functions in their long form: ``!Ref A`` is ``{"Ref": "A"}``."""

from pathlib import Path
from typing import Any

import yaml

PATH = Path(__file__).resolve().parents[1] / "deploy" / "template.yaml"


class _Loader(yaml.SafeLoader):
    pass


def _function(loader: yaml.SafeLoader, name: str, node: yaml.Node) -> dict[str, Any]:
    match node:
        case yaml.ScalarNode():
            value: Any = loader.construct_scalar(node)
        case yaml.SequenceNode():
            value = loader.construct_sequence(node, deep=True)
        case _:
            value = loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]
    return {name if name in {"Ref", "Condition"} else f"Fn::{name}": value}


_Loader.add_multi_constructor("!", _function)


def read() -> dict[str, Any]:
    """Return the template."""
    content: dict[str, Any] = yaml.load(PATH.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506  a SafeLoader
    return content


def parameter_table() -> str:
    """Return the template's parameters as a Markdown table, in the order of their groups."""
    template = read()
    lines = ["| parameter | default | value | meaning |", "|---|---|---|---|"]
    for group in template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]:
        lines.append(f"| **{group['Label']['default']}** | | | |")
        for name in group["Parameters"]:
            parameter = template["Parameters"][name]
            lines.append(f"| `{name}` | {_default(parameter)} | {_values(parameter)} | {parameter['Description']} |")
    return "\n".join(lines)


def _default(parameter: dict[str, Any]) -> str:
    if "Default" not in parameter:
        return "must be given"
    return f"`{parameter['Default']}`" if parameter["Default"] != "" else "empty"


def _values(parameter: dict[str, Any]) -> str:
    if "AllowedValues" in parameter:
        return ", ".join(f"`{value}`" for value in parameter["AllowedValues"])
    if "MinValue" in parameter:
        return f"{parameter['MinValue']} to {parameter['MaxValue']}"
    return str(parameter.get("ConstraintDescription", ""))
