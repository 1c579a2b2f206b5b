"""Good data are read without a new warning: the bundled claims, and every real set that is at hand."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from jobs import ROOT, check_data

CLAIMS = ROOT / "local_test" / "test_dir" / "input" / "data" / "training"
# What is true of a set and was reported before there were any of these checks; of the others nothing is.
KNOWN: Mapping[str, frozenset[str]] = {
    "text/20news4/train": frozenset(
        {"texts with a line that looks like a row: 2; is a quote missing?", "texts that are in training too: 1"}
    ),
    "text/20news4/test": frozenset({"texts with a line that looks like a row: 2; is a quote missing?"}),
    "text/sst2/train": frozenset({"texts that are in training too: 1"}),
    "text/trec6/train": frozenset({"texts that are in training too: 24"}),
    "text/clinc150_imbalanced/test": frozenset(
        {
            (
                "the rarest label has 24 rows to train on, the commonest 800; class_weights=balanced gives each label "
                "the same weight, and more rows of the rare ones help most"
            )
        }
    ),
}
SETS = (
    "text/20news4/train", "text/20news4/test", "text/banking77/train", "text/banking77/test",
    "text/clinc150_imbalanced/train", "text/clinc150_imbalanced/dev", "text/clinc150_imbalanced/test",
    "text/imdb_polarity2k/train", "text/imdb_polarity2k/test", "text/sst2/train", "text/sst2/dev", "text/sst2/test",
    "text/trec6/train", "text/trec6/test", "images/flowers5/train", "images/flowers5/test",
)  # fmt: skip


def warnings(folder: Path) -> set[str]:
    """Return what the check command warns of in a channel that has no problems."""
    ended = check_data("check", folder)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    lines = [line for line in ended.stdout.splitlines() if line.startswith("warning: ")]
    return {match[2] for line in lines if (match := re.search(r"note=(['\"])(.*?)\1(?: examples=|$)", line))}


def test_the_bundled_claims_are_read_without_a_warning() -> None:
    assert warnings(CLAIMS) == set()


@pytest.mark.parametrize("name", SETS)
def test_a_real_set_is_read_without_a_new_warning(shared: Callable[[str], Path], name: str) -> None:
    assert warnings(shared(f"data/{name}")) == KNOWN.get(name, frozenset())
