"""The examples in docstrings run as they are written."""

import doctest
import importlib
from pathlib import Path

import pytest

from serving_helpers import write_model

MODULES = (
    "classifier.backends.padding",
    "classifier.explanation",
    "classifier.hyperparameters",
    "classifier.predictor",
    "classifier.report.elements",
    "classifier.training.data",
    "classifier.training.loop.optimizers",
)


@pytest.fixture(scope="module")
def with_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model folder, ``model``, as examples call it."""
    folder = tmp_path_factory.mktemp("examples")
    write_model(folder / "model")
    return folder


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(name: str, with_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(with_model)
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted
    assert not found.failed
