"""The encoders that are known by name."""

import re
import subprocess
import sys

import pytest

from classifier import DEFAULT_IMAGE_ENCODER
from classifier.encoders import catalog
from classifier.hyperparameters import SCHEMA, Hyperparameters
from jobs import ROOT

# What AWS's page of the built-in algorithm lists, less the 24 small BERTs.
NAMES = """
tensorflow-tc-bert-en-uncased-L-12-H-768-A-12-2 tensorflow-tc-bert-en-cased-L-12-H-768-A-12-2
tensorflow-tc-bert-multi-cased-L-12-H-768-A-12-2 tensorflow-tc-bert-en-uncased-L-24-H-1024-A-16-2
tensorflow-tc-bert-en-cased-L-24-H-1024-A-16-2 tensorflow-tc-bert-en-wwm-uncased-L-24-H-1024-A-16-2
tensorflow-tc-bert-en-wwm-cased-L-24-H-1024-A-16-2 tensorflow-tc-albert-en-base tensorflow-tc-electra-small-1
tensorflow-tc-electra-base-1 tensorflow-tc-experts-bert-wiki-books-1 tensorflow-tc-experts-bert-pubmed-1
tensorflow-tc-talking-heads-base tensorflow-tc-talking-heads-large
"""
LARGE = {"train_only_top_layer": True, "batch_size": 8}


def test_every_id_of_the_built_in_algorithm_is_known() -> None:
    assert len(catalog.BUILT_IN) == 38
    small = [name for name in catalog.BUILT_IN if name.startswith("tensorflow-tc-small-bert-")]
    assert len(small) == 24
    assert "tensorflow-tc-small-bert-bert-en-uncased-L-10-H-512-A-8" in small
    assert sorted([*NAMES.split(), *small]) == sorted(catalog.BUILT_IN)


@pytest.mark.parametrize(
    ("model_id", "millions"),
    [
        ("tensorflow-tc-bert-en-uncased-L-12-H-768-A-12-2", 109.482241),  # as a log of the built-in algorithm says
        ("tensorflow-tc-small-bert-bert-en-uncased-L-2-H-128-A-2", 4.4),
        ("tensorflow-tc-small-bert-bert-en-uncased-L-4-H-256-A-4", 11.2),
        ("tensorflow-tc-small-bert-bert-en-uncased-L-8-H-512-A-8", 41.4),
        ("bert-base-multilingual-cased", 177.9),
        ("bert-large-uncased", 335.1),
        ("all-minilm-l6-v2", 22.7),
        ("labse", 470.9),
    ],
)
def test_computed_parameters_are_those_that_are_published(model_id: str, millions: float) -> None:
    entry = catalog.find(model_id)
    assert entry is not None
    assert entry.parameters == pytest.approx(millions, abs=0.06)


@pytest.mark.parametrize("model_id", catalog.ENTRIES)
def test_every_entry_is_whole(model_id: str) -> None:
    entry = catalog.ENTRIES[model_id]
    assert entry.family in set(catalog.FAMILIES.values())
    assert entry.width > 0
    assert entry.licence
    assert entry.languages
    if entry.layers and entry.family == "bert":
        assert entry.width % entry.heads == 0
    if entry.family == "hub":
        assert re.fullmatch(r"(tensorflow|google)/\S+/\d", entry.handle)
        assert bool(entry.preprocessor) == bool(entry.layers), "a BERT needs a preprocessor, and nothing else does"
    elif entry.family == "bert":
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", entry.handle)
    else:
        assert model_id == DEFAULT_IMAGE_ENCODER
    for name, value in entry.defaults.items():
        assert SCHEMA[name].kind.parse(str(value)) == value


def test_an_encoder_is_found_by_its_id_its_handle_and_its_address_in_any_case() -> None:
    entry = catalog.ENTRIES["tensorflow-tc-electra-small-1"]
    for name in (
        "TENSORFLOW-tc-electra-small-1",
        "google/electra_small/2",
        "https://tfhub.dev/google/electra_small/2/",
    ):
        assert catalog.find(name) is entry
        assert catalog.identify(name) == "tensorflow-tc-electra-small-1"
    assert catalog.find("sentence-transformers/all-MiniLM-L6-v2") is catalog.ENTRIES["all-minilm-l6-v2"]
    assert catalog.find("bert-huge") is None
    assert catalog.nearest("bert-large-uncasd") == "bert-large-uncased"
    assert catalog.nearest("mine", ["mine2"]) == "mine2"
    assert catalog.nearest("") is None


@pytest.mark.parametrize(
    ("model_id", "expected"),
    [
        ("tensorflow-tc-bert-en-wwm-cased-L-24-H-1024-A-16-2", LARGE),
        ("tensorflow-tc-talking-heads-large", LARGE),
        ("google/electra-large-discriminator", LARGE),
        ("tensorflow-tc-bert-en-uncased-L-12-H-768-A-12-2", {}),
        ("nobody-knows-it", {}),
        ("cnn", {}),
    ],
)
def test_large_encoders_train_the_top_layer_only_unless_one_says_otherwise(
    model_id: str, expected: dict[str, object]
) -> None:
    assert catalog.defaults(model_id) == expected
    by_default = Hyperparameters.from_values({"model_id": model_id}, catalog.defaults)
    assert by_default.train_only_top_layer is bool(expected)
    assert by_default.batch_size == (8 if expected else 32)
    given = Hyperparameters.from_values({"model_id": model_id, "train_only_top_layer": False}, catalog.defaults)
    assert given.train_only_top_layer is False


def test_the_table_has_a_row_for_every_encoder() -> None:
    rows = [line for line in catalog.table().splitlines() if line.startswith("| [`")]
    assert len(rows) == len(catalog.ENTRIES)
    assert {row.count(" | ") for row in rows} == {5}


def test_the_page_on_encoders_names_only_what_is_known_and_has_the_table() -> None:
    page = (ROOT / "docs" / "encoders.md").read_text(encoding="utf-8")
    assert f"<!-- encoders -->\n{catalog.table()}\n<!-- /encoders -->" in page
    advice = page.partition("## Which one")[2].partition("\n## ")[0]
    named = re.findall(r"`([\w.-]*[\w.]-[\w.-]*\w)`", advice)
    assert len(named) > 15
    assert [name for name in named if not catalog.find(name)] == []


def test_the_catalogue_is_read_without_tensorflow() -> None:
    program = "import sys; from classifier.encoders import catalog; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT / "container", check=False).returncode == 0
