"""Write the pages and tables that restate code: `python tools/make_docs.py`, or `--check` to compare only."""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "container"))

import cases  # noqa: E402
import template  # noqa: E402
from classifier.batch import options, program  # noqa: E402  the package is not installed
from classifier.encoders import catalog  # noqa: E402
from classifier.hyperparameters.schema import SCHEMA, WITHOUT_EFFECT, Hyperparameter  # noqa: E402
from classifier.hyperparameters.specification import supported_hyperparameters  # noqa: E402
from classifier.serving import metrics, settings  # noqa: E402

CONTRACT_ID = re.compile(r"(?<![A-Z0-9])([TCUHABSMPDRL]\d\d)(?![0-9])")


def main() -> int:
    """Write the pages, or say which differ from what would be written."""
    wrong = []
    for path, content in pages().items():
        current = path.read_text(encoding="utf-8") if path.exists() else ""
        if current == content:
            continue
        if "--check" in sys.argv[1:]:
            wrong.append(path.relative_to(ROOT))
        else:
            path.write_text(content, encoding="utf-8")
    for path in wrong:
        sys.stderr.write(f"{path}: differs from the code it restates; run make docs\n")
    return 1 if wrong else 0


def pages() -> dict[Path, str]:
    """Return every page that is generated, whole or in part."""
    docs = ROOT / "docs"
    return {
        docs / "batch.md": replaced(
            docs / "batch.md",
            {"options": options.table(), "exit codes": exit_code_table(), "cases": cases.table(cases.BATCH)},
        ),
        docs / "data.md": replaced(docs / "data.md", {"cases": cases.table(cases.DATA)}),
        docs / "image-classification.md": replaced(
            docs / "image-classification.md", {"cases": cases.table(cases.IMAGES)}
        ),
        docs / "hyperparameters.md": replaced(
            docs / "hyperparameters.md",
            {"hyperparameters": hyperparameter_table(), "without effect": without_effect_table()},
        ),
        docs / "supported_hyperparameters.json": json.dumps(supported_hyperparameters(), indent=1) + "\n",
        docs / "encoders.md": replaced(docs / "encoders.md", {"encoders": catalog.table()}),
        docs / "http.md": replaced(
            docs / "http.md",
            {
                "settings": settings.table(),
                "cases": cases.table(cases.REQUESTS),
                "models": cases.table(cases.MODELS),
            },
        ),
        docs / "operations.md": replaced(docs / "operations.md", {"metrics": metrics.metric_table()}),
        docs / "contract.md": replaced(docs / "contract.md", {"tests": contract_table()}),
        ROOT / "deploy" / "README.md": replaced(
            ROOT / "deploy" / "README.md", {"parameters": template.parameter_table()}
        ),
    }


def replaced(path: Path, tables: Mapping[str, str]) -> str:
    """Return a page with what stands between two markers of a name replaced by the table of that name."""
    page = path.read_text(encoding="utf-8")
    for name, table in tables.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        if not pattern.search(page):
            raise SystemExit(f"{path.relative_to(ROOT)}: lacks the markers <!-- {name} --> and <!-- /{name} -->")
        start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        page = pattern.sub((start + table + "\n" + end).replace("\\", r"\\"), page)
    return page


def hyperparameter_table() -> str:
    """Return the hyperparameters as a Markdown table."""
    lines = ["| name | value | default | used | meaning |", "|---|---|---|---|---|"]
    for name, line in SCHEMA.items():
        others = [f"`{alias}`, {kind.words}" for alias, kind in line.alias_kinds.items()]
        names = "<br>".join([*(f"`{each}`" for each in (name, *line.aliases)), *others])
        default = line.default_in_words or f"`{line.default}`"
        lines.append(f"| {names} | {line.kind.words} | {default} | {used(line)} | {line.meaning} |")
    return "\n".join(lines)


def used(line: Hyperparameter) -> str:
    """Return when a hyperparameter matters, in words."""
    parts = [f"{line.modality}s"] if line.modality else []
    if line.used_with is not None:
        name, values = line.used_with
        parts.append(f"`{name}` " + ", ".join(f"`{value}`" for value in values))
    elif line.when:
        parts.append(line.when)
    return "; ".join(parts) or "always"


def without_effect_table() -> str:
    """Return the names that are accepted and do nothing as a Markdown table."""
    return "\n".join(
        ["| name | why |", "|---|---|", *(f"| `{name}` | {why} |" for name, why in WITHOUT_EFFECT.items())]
    )


def exit_code_table() -> str:
    """Return the exit codes of ``batch`` as a Markdown table."""
    return "\n".join(
        ["| exit code | |", "|---|---|", *(f"| {code} | {words} |" for code, words in program.EXIT_CODES.items())]
    )


def contract_table() -> str:
    """Return which tests cite which requirement."""
    citing = cited()
    lines = ["| requirement | tests |", "|---|---|"]
    for name in sorted(citing):
        shown = "<br>".join(f"`{test}`" for test in citing[name][:3])
        more = len(citing[name]) - 3
        lines.append(f"| {name} | {shown}{f'<br>and {more} more' if more > 0 else ''} |")
    return "\n".join(lines)


def cited() -> Mapping[str, list[str]]:
    """Return, for each requirement's id, the tests whose names end in it."""
    result: dict[str, list[str]] = {}
    for file, test in _tests():
        for name in CONTRACT_ID.findall(test.replace("_", " ")):
            result.setdefault(name, []).append(f"{file}::{test}")
    return result


def _tests() -> Iterator[tuple[str, str]]:
    for path in sorted((ROOT / "tests").glob("test_*.py")):
        for test in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE):
            yield path.name, test


if __name__ == "__main__":
    sys.exit(main())
