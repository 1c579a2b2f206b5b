"""Recognises other programs' folders by the names of their files, and says what to do with each."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from classifier.environment import shown
from classifier.errors import at_most
from classifier.tabular.columns import LABEL_NAMES
from classifier.tabular.splits import WORDS, words_in

# Beside other words these say what rows are about, and not what they are for.
ALONE = frozenset({"training", "testing", "tests", "evaluation", "validate", "development"})
# Words that say nothing of either.
OF_FILES = frozenset({"data", "dataset", "set", "file", "rows", "samples"})
ENDING = re.compile(r"\.(?:csv|tsv|txt|jsonl?|ndjson|gz)(?=\.|$)", re.IGNORECASE)
ANYWHERE = r"(?:.*/)?"
# Each pattern of a layout is the name of some file in it; the first whose files are all there is the one.
LAYOUTS: Mapping[Sequence[str], str] = {
    (ANYWHERE + r"(?:state|dataset_dict|dataset_info)\.json", r".*\.arrow"): (
        "a data set saved by Hugging Face's save_to_disk, in Arrow; write each of its splits as CSV, as "
        "load_from_disk('folder')['train'].to_csv('data.csv') does (of one split: load_from_disk('folder').to_csv), "
        "and give it a channel of its own"
    ),
    (ANYWHERE + r"_delta_log/.*",): "a table of Delta Lake; write its labels and texts as CSV or JSON Lines",
    (ANYWHERE + r"(?:model\.safetensors|pytorch_model\.bin|tf_model\.h5)", ANYWHERE + r"config\.json"): (
        "an encoder's checkpoint and no rows; give it the channel 'model', and this channel labelled texts"
    ),
    (ANYWHERE + r"saved_model\.pb",): (
        "a SavedModel and no rows; give it the channel 'model', and this channel labelled texts"
    ),
    (ANYWHERE + r"manifests/output/output\.manifest", ANYWHERE + r"(?:annotations|manifests/intermediate)/.*"): (
        "what a labelling job of SageMaker Ground Truth leaves; its S3 address must lead to the folder "
        "manifests/output in it"
    ),
}
# As Spark and Hive write a table in parts: what a folder's name says is not in the files below it.
PARTITION = re.compile(rf"{ANYWHERE}({'|'.join(sorted(LABEL_NAMES))})=[^/]*/.*", re.IGNORECASE)


def named(names: Iterable[str]) -> str:
    """Return what a folder without tables of our own is, and what to do; an empty string where that is not known.

    Args:
        names: Its files, with ``/`` between folders.
    """
    joined = "\n".join(names)
    for patterns, words in LAYOUTS.items():
        if all(re.search(f"^{pattern}$", joined, re.MULTILINE) for pattern in patterns):
            return words
    return ""


def in_folders_of_labels(names: Iterable[str]) -> str:
    """Say of tables that are in a folder for each label that their rows have none; else an empty string.

    Args:
        names: The tables, with ``/`` between folders.
    """
    column = next((match[1] for name in names if (match := PARTITION.fullmatch(name))), "")
    return column and (
        f"its folders are called {column}=..., as Spark's partitionBy writes: the rows in them have no column "
        f"{column!r}; write the table without partitionBy({column!r})"
    )


def several_splits(names: Iterable[str]) -> str:
    """Say of files that some are to train on and some are not, by their names; else an empty string.

    Args:
        names: The files, with ``/`` between folders.
    """
    by_role: dict[str, list[str]] = {}
    for name in names:
        roles = {role for part in PurePosixPath(name).parts for role in _roles_in(part)}
        if len(roles) == 1:
            by_role.setdefault(roles.pop(), []).append(shown(name))
    if "training" not in by_role or len(by_role) == 1:
        return ""
    found = "; ".join(f"for {role} {', '.join(at_most(each, 3))}" for role, each in by_role.items())
    return (
        f"by their names its files are for several purposes ({found}); give each a channel of its own, as "
        "'training', 'validation' and 'test', or, if all are rows of this channel, give them other names"
    )


def roles_of_folders(name: str) -> set[str]:
    """Return what a file's rows are for by the names of the folders it is in."""
    return {role for part in PurePosixPath(name).parts[:-1] for role in _roles_in(part)}


def _roles_in(part: str) -> set[str]:
    """Return what rows are for by the name of a file or a folder: a word of it, or, of longer words, the only one."""
    words = [word for word in words_in(ENDING.sub("", part)) if word not in OF_FILES]
    return {WORDS[word] for word in words if word in WORDS and (len(words) == 1 or word not in ALONE)}
