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
# The longest first, about: the workers then end at about the same time.
SLOW_FILES = (
    "test_candidates", "test_cluster", "test_solved_jobs", "test_image_jobs", "test_serve_processes", "test_resume",
    "test_long_text_jobs", "test_tuning", "test_linear", "test_hosting_modes", "test_keras_image", "test_image_hosts",
    "test_tokenization", "test_train_to_serve", "test_incremental", "test_soak", "test_from_scratch", "test_hub_bert",
    "test_fetch_encoder", "test_precision", "test_openapi", "test_image_abuse", "test_hub_image", "test_no_false_alarm",
    "test_image_shades", "test_suspect_label_jobs", "test_toy_extensions", "test_full_disk", "test_page",
    "test_own_script", "test_concurrency", "test_multi_model", "test_image_network", "test_bench",
    "test_deploy_template", "test_training_step",
)  # fmt: skip

# Would wait for test_sagemaker_sdk, as the SDKs' drivers run one at a time.
LAST = "test_docker_images"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the files of which no test would be run: to import all takes half a minute, in each worker."""
    chosen = config.getoption("markexpr")
    if not collection_path.name.startswith("test_"):
        return None
    is_slow = collection_path.stem in SLOW_FILES
    return (chosen == "slow" and not is_slow) or ("not slow" in chosen and is_slow) or None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the slow files, and begin with the longest; of the others, with the end of the alphabet."""
    items.sort(key=lambda item: item.path.name, reverse=True)
    items.sort(key=lambda item: _rank(item.path.stem))
    for item in items:
        if item.path.stem in SLOW_FILES:
            item.add_marker(pytest.mark.slow)


def _rank(name: str) -> int:
    if name == LAST:
        return len(SLOW_FILES) + 1
    return SLOW_FILES.index(name) if name in SLOW_FILES else len(SLOW_FILES)


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bert.write(tmp_path_factory.mktemp("tiny-bert"))


@pytest.fixture(scope="session")
def shallow_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny encoder with one layer: most of a tiny job's time goes into tracing layers and writing their graphs."""
    return tiny_bert.write(tmp_path_factory.mktemp("shallow-bert"), layers=1)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path) -> Path:
    """A model of two labels that any engine runs; nobody writes in it."""
    job = Job.create(tmp_path_factory.mktemp("tiny-model") / "ml", encoder=tiny_encoder)
    job.train()
    return job.model


@pytest.fixture
def job(tmp_path: Path, shallow_encoder: Path) -> Job:
    """A job on the shallow encoder: twelve rows, two labels, one epoch."""
    return Job.create(tmp_path / "ml", encoder=shallow_encoder)


@pytest.fixture
def deeper_job(tmp_path: Path, tiny_encoder: Path) -> Job:
    """The same on the tiny encoder, of two layers."""
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
    texts = []
    for path in sorted(shared("data/text").glob("*/*/data.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            texts += [row[1] for row in csv.reader(file)]
    return texts
