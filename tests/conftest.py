"""Fixtures that several test modules share."""

import csv
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tiny_bert
from jobs import SHARED, Job

# Whole jobs by the dozen, several hosts, real encoders, minutes of load: not what one waits for before every commit.
SLOW_FILES = frozenset(
    {
        "test_bench", "test_candidates", "test_cluster", "test_concurrency", "test_deploy_template",
        "test_fetch_encoder",
        "test_from_scratch", "test_full_disk", "test_hosting_modes", "test_hub_bert", "test_hub_image",
        "test_image_abuse", "test_image_hosts", "test_image_jobs", "test_image_network", "test_image_shades",
        "test_incremental", "test_keras_image", "test_linear", "test_long_text_jobs", "test_multi_model",
        "test_no_false_alarm", "test_openapi", "test_own_script", "test_page", "test_precision", "test_resume",
        "test_serve_processes", "test_soak", "test_solved_jobs", "test_suspect_label_jobs", "test_tokenization",
        "test_toy_extensions",
        "test_train_to_serve", "test_training_step", "test_tuning",
    }
)  # fmt: skip


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the slow files, and begin with the end of the alphabet, where the long files are.

    Two workers then end at about the same time.
    """
    items.sort(key=lambda item: item.path.name, reverse=True)
    for item in items:
        if item.path.stem in SLOW_FILES:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bert.write(tmp_path_factory.mktemp("tiny-bert"))


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path) -> Path:
    """A model of two labels that any engine runs; nobody writes in it."""
    job = Job.create(tmp_path_factory.mktemp("tiny-model") / "ml", encoder=tiny_encoder)
    job.train()
    return job.model


@pytest.fixture
def job(tmp_path: Path, tiny_encoder: Path) -> Job:
    """A job on the tiny encoder: twelve rows, two labels, one epoch."""
    return Job.create(tmp_path / "ml", encoder=tiny_encoder)


@pytest.fixture
def own_logging() -> Iterator[None]:
    """Put the root logger back as it was, which a program sets up anew."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def shared() -> Callable[[str], Path]:
    """Find real data and encoders, which lie beside the repository where they are at hand."""

    def find(path: str) -> Path:
        if not (SHARED / path).exists():
            pytest.skip(f"needs {path} in the folder 'shared' beside the repository")
        return SHARED / path

    return find


@pytest.fixture
def real_texts(shared: Callable[[str], Path]) -> list[str]:
    """Every text of the real data sets."""
    csv.field_size_limit(10**9)
    texts = []
    for path in sorted(shared("data/text").glob("*/*/data.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            texts += [row[1] for row in csv.reader(file)]
    return texts
