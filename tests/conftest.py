"""Fixtures that several test modules share."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tiny_bert
from jobs import SHARED, Job


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bert.write(tmp_path_factory.mktemp("tiny-bert"))


@pytest.fixture
def job(tmp_path: Path, tiny_encoder: Path) -> Job:
    """A job on the tiny encoder: twelve rows, two labels, one epoch."""
    return Job.create(tmp_path / "ml", encoder=tiny_encoder)


@pytest.fixture
def shared() -> Callable[[str], Path]:
    """Find real data and encoders, which lie beside the repository where they are at hand."""

    def find(path: str) -> Path:
        if not (SHARED / path).exists():
            pytest.skip(f"needs {path} in the folder 'shared' beside the repository")
        return SHARED / path

    return find
