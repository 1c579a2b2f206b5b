"""Write the pages and tables that restate code: `python tools/make_docs.py`, or `--check` to compare only."""

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "container"))

from classifier import hyperparameters  # noqa: E402  the package is not installed
from classifier.serving import settings  # noqa: E402

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
        docs / "hyperparameters.md": replaced(docs / "hyperparameters.md", "hyperparameters", hyperparameter_table()),
        docs / "http.md": replaced(docs / "http.md", "settings", settings.table()),
        docs / "contract.md": replaced(docs / "contract.md", "tests", contract_table()),
    }


def replaced(path: Path, name: str, table: str) -> str:
    """Return a page with what stands between its two markers of this name replaced."""
    page = path.read_text(encoding="utf-8")
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    if not pattern.search(page):
        raise SystemExit(f"{path.relative_to(ROOT)}: lacks the markers <!-- {name} --> and <!-- /{name} -->")
    return pattern.sub(lambda found: f"{found[1]}{table}\n{found[2]}", page)


def hyperparameter_table() -> str:
    """Return the hyperparameters as a Markdown table."""
    lines = ["| name | value | default | meaning |", "|---|---|---|---|"]
    for name, line in hyperparameters.SCHEMA.items():
        names = "<br>".join(f"`{each}`" for each in (name, *line.aliases))
        default = line.default_in_words or f"`{line.default}`"
        lines.append(f"| {names} | {line.kind.words} | {default} | {line.meaning} |")
    return "\n".join(lines)


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
