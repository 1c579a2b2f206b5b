"""What it takes to add a modality, an encoder family, a backend or a content type: each shown with a toy one.

Each test registers its toy as the files that it lists would, and changes nothing else. docs/architecture.md has the
same lists.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from flask.testing import FlaskClient
from numpy.typing import NDArray

import toy_letter_network
import toy_number_network
import toy_numbers
from classifier import MODALITY_NAMES, TEXT, encoders, predictor
from classifier.backends import Backend, Computing, Encoded, choice
from classifier.backends.choice import TENSORFLOW, Registration, Stored
from classifier.encoders import Family, FromScratchFamily
from classifier.hyperparameters import SCHEMA
from classifier.kinds import choice as choice_of
from classifier.modalities import MODALITIES, Channel
from classifier.modalities.modality import Modality
from classifier.predictor import Predictor
from classifier.serving import requests
from classifier.serving.app import create_app
from classifier.serving.settings import ServingSettings
from jobs import ROOT, Job
from serving_helpers import wait_until

pytestmark = pytest.mark.usefixtures("own_logging")

# The files of container/classifier that a real one touches: those it adds have the toy's name.
MODALITY_FILES = (
    "__init__.py",  # its name, in MODALITY_NAMES
    "modalities/number.py",
    "modalities/number_channel.py",
    "encoders/number_network.py",
    "serving/requests.py",  # how requests are read, in OF
)
FAMILY_FILES = ("modalities/text.py", "encoders/letter_network.py")
BACKEND_FILES = ("backends/choice.py", "backends/toy.py")
CONTENT_TYPE_FILES = ("serving/requests.py",)

# The toys are what the contracts ask for; the type checker compares them.
CHANNEL: Channel = toy_numbers
FAMILIES: tuple[FromScratchFamily, ...] = (toy_number_network, toy_letter_network)


@pytest.mark.parametrize(
    ("title", "files", "most"),
    [
        ("a modality", MODALITY_FILES, 5),
        ("an encoder family", FAMILY_FILES, 2),
        ("a backend", BACKEND_FILES, 2),
        ("a content type", CONTENT_TYPE_FILES, 1),
    ],
)
def test_what_is_added_touches_few_files_and_the_documentation_lists_them(
    title: str, files: Sequence[str], most: int
) -> None:
    assert len(files) <= most
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    (row,) = [line for line in page.splitlines() if line.startswith(f"| {title} |")]
    existing = [name for name in files if (ROOT / "container" / "classifier" / name).is_file()]
    assert existing
    for name in existing:
        assert f"`{name}`" in row
    assert row.count(".py`") == len(files)


def client_of(loaded: Predictor) -> FlaskClient:
    client = create_app(ServingSettings.from_environ({}), lambda _: loaded).test_client()
    wait_until(lambda: client.get("/ping").status_code == 200)
    return client


@pytest.fixture
def number(monkeypatch: pytest.MonkeyPatch) -> Modality:
    names = ("auto", *MODALITY_NAMES, toy_numbers.NAME)
    monkeypatch.setitem(cast("Any", SCHEMA), "modality", replace(SCHEMA["modality"], kind=choice_of(*names)))
    monkeypatch.setitem(cast("Any", MODALITIES), toy_numbers.NAME, toy_numbers.MODALITY)
    monkeypatch.setitem(sys.modules, "classifier.encoders.number_network", toy_number_network)
    monkeypatch.setitem(cast("Any", requests.OF), toy_numbers.NAME, lambda _: toy_numbers.REQUESTS)
    return toy_numbers.MODALITY


def pairs(count: int) -> list[tuple[str, float, float]]:
    """Rows whose label is the greater of their two numbers."""
    numbers = np.random.default_rng(0).normal(size=(count, 2)).round(3).tolist()
    return [("first" if first > second else "second", first, second) for first, second in numbers]


def test_a_toy_modality_is_trained_and_served(number: Modality, tmp_path: Path) -> None:
    job = Job(tmp_path)
    job.channel("training", "".join(f"{label},{first},{second}\n" for label, first, second in pairs(200)))
    job.configure(hyperparameters={"modality": number.name, "epochs": "20", "learning_rate": "0.05"})
    job.train()
    assert job.manifest["modality"] == number.name
    assert job.manifest["encoder"] == {
        "family": "number_network", "name": "perceptron", "pooling": "own", "numbers": 2,
    }  # fmt: skip
    assert job.manifest["metrics"]["val_accuracy"] > 0.9
    assert job.manifest["engines"][choice.FLOAT32]["accepted"]
    asked = [[2.0, 0.5], [-1.0, 1.0]]
    by_tensorflow = predictor.load(job.model, Computing(TENSORFLOW)).predict(asked)
    loaded = predictor.load(job.model)
    np.testing.assert_allclose(loaded.predict(asked), by_tensorflow, atol=1e-3)
    assert by_tensorflow.argmax(axis=1).tolist() == [0, 1]

    client = client_of(loaded)
    answer = client.post("/invocations", json={"instances": asked}, headers={"Accept": "application/json;verbose"})
    assert [each["predicted_label"] for each in json.loads(answer.data)] == ["first", "second"]
    refused = client.post("/invocations", json=[[1.0, 2.0, 3.0]])
    assert (refused.status_code, json.loads(refused.data)["error"]["code"]) == (400, "invalid_record")
    unread = client.post("/invocations", data="1,2", content_type="text/csv")
    assert (unread.status_code, "pairs of numbers" in unread.text) == (415, True)


@pytest.fixture
def letters(monkeypatch: pytest.MonkeyPatch) -> None:
    text = MODALITIES[TEXT]
    known = replace(
        text,
        families=("letter_network", *text.families),
        from_scratch={**text.from_scratch, "letters": "letter_network"},
    )
    monkeypatch.setitem(cast("Any", MODALITIES), TEXT, known)
    monkeypatch.setitem(sys.modules, "classifier.encoders.letter_network", toy_letter_network)


@pytest.mark.usefixtures("letters")
def test_a_toy_encoder_family_is_trained_from_scratch_and_further_from_its_own_files(tmp_path: Path) -> None:
    first, further = Job.create(tmp_path / "first"), Job.create(tmp_path / "further")
    first.configure(hyperparameters={"model_id": "letters", "epochs": "1", "batch_size": "4"})
    first.train()
    assert first.manifest["encoder"]["family"] == "letter_network"
    assert predictor.load(first.model).predict(["a good film", ""]).shape == (2, 2)

    (first.model / "encoder").rename(further.base / "input" / "data" / "model")
    further.train()
    assert further.manifest["encoder"]["family"] == "letter_network"


@dataclass(frozen=True)
class ToyBackend:
    """Runs a model by another backend, one record at a time."""

    backend: Backend

    def encode(self, texts: Sequence[Any]) -> list[Encoded]:
        return self.backend.encode(texts)

    def run_batch(self, batch: Sequence[Encoded]) -> NDArray[np.float32]:
        return np.concatenate([self.backend.run_batch([record]) for record in batch])


def test_a_toy_backend_is_judged_by_training_and_chosen_by_serving(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def load(stored: Stored, computing: Computing) -> Backend:
        return ToyBackend(choice.BACKENDS[TENSORFLOW].load(stored, computing))

    monkeypatch.setitem(cast("Any", choice.BACKENDS), "toy", Registration(load, lambda: "it suits every processor"))
    job = Job.create(tmp_path)
    job.configure(
        hyperparameters={"model_id": "cnn", "epochs": "1", "batch_size": "4", "validation_split_ratio": "0.34"}
    )
    job.train()
    assert job.manifest["engines"]["toy"]["accepted"]
    loaded = predictor.load(job.model)
    assert (loaded.backend_name, loaded.backend_reason) == ("toy", "it suits every processor")
    assert isinstance(loaded.backend, ToyBackend)
    by_name = predictor.load(job.model, Computing("toy"))
    np.testing.assert_allclose(by_name.predict(["a good film"]), loaded.predict(["a good film"]), atol=1e-6)


def test_a_toy_content_type_is_read(monkeypatch: pytest.MonkeyPatch, tiny_model: Path) -> None:
    client = client_of(predictor.load(tiny_model))
    body = '["a good film", "smoke"]'
    assert client.post("/invocations", data=body, content_type="application/vnd.toy").status_code == 415
    monkeypatch.setitem(cast("Any", requests.TEXTS.types), "application/vnd.toy", requests.JSON)
    answer = client.post("/invocations", data=body, content_type="application/vnd.toy")
    assert (answer.status_code, len(json.loads(answer.data))) == (200, 2)


@pytest.mark.parametrize("name", sorted({name for each in MODALITIES.values() for name in each.families}))
def test_every_family_of_the_registry_offers_what_the_contract_asks_for(name: str) -> None:
    module: Family = encoders.family(name)
    from_scratch = name in {family for each in MODALITIES.values() for family in each.from_scratch.values()}
    for function in ("recognise", "load", *(["build"] if from_scratch else [])):
        assert callable(getattr(module, function))
