"""How a whole transformer is fine-tuned where the job does not say."""

import json
import shutil
from pathlib import Path

import pytest

from classifier.encoders.resolve import EncoderFiles
from classifier.hyperparameters import Hyperparameters
from classifier.hyperparameters.schema import NARROW_LEARNING_RATE, WHOLE_NETWORK_LEARNING_RATE, WIDEST_NARROW
from classifier.training import recipe


def files_of(folder: Path, family: str = recipe.FAMILY) -> EncoderFiles:
    return EncoderFiles("tiny", family, folder)


def chosen(folder: Path, given: dict[str, str], *, training_rows: int = 50_000, labels: int = 2) -> recipe.Recipe:
    return recipe.choose(files_of(folder), training_rows, labels, Hyperparameters.parse(given), further=False)


@pytest.mark.parametrize(("training_rows", "epochs"), [(1, 10), (1_200, 10), (2_001, 6), (4_000, 3), (1_000_000, 3)])
@pytest.mark.parametrize("labels", [2, recipe.MANY_LABELS])
def test_the_more_rows_the_fewer_epochs(tiny_encoder: Path, training_rows: int, epochs: int, labels: int) -> None:
    found = chosen(tiny_encoder, {}, training_rows=training_rows, labels=labels)
    assert (found.hyperparameters.epochs, found.learning_rate) == (epochs, NARROW_LEARNING_RATE)


@pytest.mark.parametrize(
    "given",
    [
        {"learning_rate": "0.001"}, {"optimizer": "sgd"}, {"epoch_factor": "2"}, {"train_only_top_layer": "True"},
        {"learning_rate": "3e-5", "epochs": "7"},
    ],
)  # fmt: skip
def test_a_job_with_a_learning_rate_or_optimizer_of_its_own_is_left_as_it_is(
    tiny_encoder: Path, given: dict[str, str]
) -> None:
    assert chosen(tiny_encoder, given) == recipe.Recipe(Hyperparameters.parse(given))


@pytest.mark.parametrize("given", [{"epochs": "10"}, {"epochs": "1"}, {"early_stopping": "True"}])
def test_epochs_that_are_given_are_kept_and_so_are_those_of_early_stopping(
    tiny_encoder: Path, given: dict[str, str]
) -> None:
    found = chosen(tiny_encoder, given)
    assert found.hyperparameters == Hyperparameters.parse(given)
    assert found.learning_rate == NARROW_LEARNING_RATE


def test_encoders_that_were_not_measured_keep_the_general_defaults(tiny_encoder: Path, tmp_path: Path) -> None:
    defaults = Hyperparameters.parse({})
    unchanged = recipe.Recipe(defaults, WHOLE_NETWORK_LEARNING_RATE)
    wide = tmp_path / "wide"
    shutil.copytree(tiny_encoder, wide)
    config = json.loads((wide / "config.json").read_text())
    (wide / "config.json").write_text(json.dumps({**config, "hidden_size": WIDEST_NARROW * 2}))
    for files, further in (
        (files_of(wide), False),
        (files_of(tiny_encoder), True),  # a model of this image that is trained further
        (files_of(tiny_encoder, "hub"), False),
        (None, False),
    ):
        assert recipe.choose(files, 50_000, 2, defaults, further=further) == unchanged


@pytest.mark.parametrize(("labels", "epochs", "share"), [(19, "3", 0.0), (20, "3", 0.75), (77, "1", 0.25)])
def test_with_many_labels_the_top_layer_starts_from_the_solved_one(
    tiny_encoder: Path, labels: int, epochs: str, share: float
) -> None:
    assert chosen(tiny_encoder, {"epochs": epochs}, labels=labels).share_encoded == share


@pytest.mark.parametrize(
    ("labels", "given", "interpolated"),
    [
        (77, {}, True),
        (6, {}, False),
        (77, {"epochs": "3"}, True),
        (77, {"dropout_rate": "0.3"}, False),
        (77, {"label_smoothing": "0.1"}, False),
    ],
)
def test_with_many_labels_an_encoder_before_the_fine_tuned_one_is_tried_unless_the_top_layer_is_the_users(
    tiny_encoder: Path, labels: int, given: dict[str, str], *, interpolated: bool
) -> None:
    assert chosen(tiny_encoder, given, labels=labels).interpolated is interpolated


def test_a_checkpoint_of_the_general_defaults_is_still_that_of_the_same_run(tiny_encoder: Path) -> None:
    assert chosen(tiny_encoder, {"learning_rate": "0.001"}).decisive == ()
    few, many = (chosen(tiny_encoder, {}, labels=labels).decisive for labels in (2, 77))
    assert len({(), few, many}) == 3
