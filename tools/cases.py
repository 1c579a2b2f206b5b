"""What is read, refused and warned of, as the tests have it: the pages list the cases that tests go through."""

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

TESTS = Path(__file__).resolve().parents[1] / "tests"


class Cases(NamedTuple):
    """Cases that a test goes through.

    Attributes:
        subject: What they are about.
        outcome: What becomes of them.
        module: The test's module.
        table: The name of the mapping in it whose keys are the cases.
    """

    subject: str
    outcome: str
    module: str
    table: str


READ, WARNED, REFUSED = "read", "**warning**", "**refused**"

DATA: Sequence[Cases] = (
    Cases("delimiter", f"{READ} with commas", "test_no_wrong_tables", "COMMA"),
    Cases("delimiter", f"{READ} as the file or the job says", "test_no_wrong_tables", "SAID"),
    Cases("delimiter", f"{READ} by a guess, {WARNED}", "test_no_wrong_tables", "GUESSED"),
    Cases("header", REFUSED, "test_no_wrong_tables", "HEADERS"),
    Cases("columns and keys that are not read", REFUSED, "test_no_wrong_tables", "UNREAD"),
    Cases("columns and keys that are not read", WARNED, "test_no_wrong_tables", "DOUBTED"),
    Cases("labels in another form", REFUSED, "test_no_wrong_tables", "LABELS"),
    Cases("labels of validation and test", REFUSED, "test_broken_data", "WRITTEN"),
    Cases("rows and files", REFUSED, "test_broken_data", "TABLE"),
    Cases("a folder for each label", READ, "test_text_folders", "READ"),
    Cases("a folder for each label", WARNED, "test_text_folders", "WARNED"),
    Cases("a folder for each label", REFUSED, "test_text_folders", "REFUSED"),
    Cases("files of a channel that are not read", WARNED, "test_channel_files", "WARNED"),
    Cases("files of a channel that are not read", REFUSED, "test_channel_files", "REFUSED"),
    Cases("files of a channel that are not read", "not mentioned", "test_channel_files", "NOT_MISSED"),
    Cases("other programs' files", REFUSED, "test_other_formats", "FILES"),
    Cases("other programs' folders", REFUSED, "test_other_formats", "FOLDERS"),
    Cases("channels", READ, "test_channel_names", "READ"),
    Cases("channels", REFUSED, "test_channel_names", "REFUSED"),
    Cases("good tables", READ, "test_no_wrong_tables", "GOOD"),
)
IMAGES: Sequence[Cases] = (
    Cases("a folder for each label", READ, "test_image_layouts", "READ"),
    Cases("a list of labels beside the images", READ, "test_image_layouts", "LISTED"),
    Cases("files that are left out", WARNED, "test_image_layouts", "WARNED"),
    Cases("other layouts", REFUSED, "test_image_layouts", "REFUSED"),
)
BATCH: Sequence[Cases] = (
    Cases("tables", READ, "test_no_wrong_batch", "READ"),
    Cases("tables", WARNED, "test_no_wrong_batch", "DOUBTED"),
    Cases("tables", REFUSED, "test_no_wrong_batch", "REFUSED"),
)
REQUESTS: Sequence[Cases] = (
    Cases("JSON taken for a text", REFUSED, "test_request_bodies", "JSON_AS_A_TEXT"),
    Cases("forms", REFUSED, "test_request_bodies", "FORMS"),
    Cases("JSON that is encoded twice", REFUSED, "test_request_bodies", "ENCODED_TWICE"),
    Cases("other formats", REFUSED, "test_request_bodies", "OTHER_FORMATS"),
    Cases("headers of several columns in CSV", REFUSED, "test_request_bodies", "HEADERS_OF_CSV"),
    Cases("lines", "an error in its place", "test_request_bodies", "ERRORS_IN_PLACE"),
    Cases("batch transform", REFUSED, "test_request_bodies", "TRANSFORM_REFUSES"),
    Cases("what looks like these, and is a text", READ, "test_request_bodies", "STILL_TEXTS"),
)
MODELS: Sequence[Cases] = (
    Cases("folders", READ, "test_model_folders", "TAKEN"),
    Cases("folders", REFUSED, "test_model_folders", "REFUSED"),
    Cases("files of labels", READ, "test_label_files", "READ"),
    Cases("files of labels", REFUSED, "test_label_files", "REFUSED"),
    Cases("answers", READ, "test_foreign_answers", "READ"),
    Cases("answers", REFUSED, "test_foreign_answers", "REFUSED"),
)


def table(groups: Sequence[Cases]) -> str:
    """Return cases as a Markdown table, a row for each table of a test.

    Raises:
        LookupError: A test has no such table.
    """
    lines = ["| what | outcome | cases |", "|---|---|---|"]
    for subject, outcome, module, name in groups:
        phrases = "; ".join(_phrases(module, name)).replace("|", r"\|")
        lines.append(f"| {subject} | {outcome} | {phrases} |")
    return "\n".join(lines)


def _phrases(module: str, name: str) -> list[str]:
    """Return the keys of a mapping at the top of a test's module, without running it."""
    found = dict(_mappings(ast.parse((TESTS / f"{module}.py").read_text(encoding="utf-8"))))
    if not found.get(name):
        raise LookupError(f"tests/{module}.py has no cases {name}")
    return found[name]


def _mappings(module: ast.Module) -> Iterator[tuple[str, list[str]]]:
    for node in module.body:
        match node:
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.Dict(keys=keys)):
                yield name, _texts(keys)
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Dict(keys=keys)):
                yield name, _texts(keys)


def _texts(keys: Sequence[ast.expr | None]) -> list[str]:
    return [key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str)]
