"""The hyperparameters a job may give, and what is said of those it may not."""

from typing import Any

import pytest

from classifier.errors import UserError
from classifier.hyperparameters import SCHEMA, Hyperparameters, unquote


def test_none_given_means_every_default_T20() -> None:
    assert Hyperparameters.parse({}) == Hyperparameters(**{name: line.default for name, line in SCHEMA.items()})


@pytest.mark.parametrize(
    ("name", "raw", "value"),
    [
        ("optimizer", "adamw", "adamw"),
        ("optimizer", '"adamw"', "adamw"),
        ("epochs", "5", 5),
        ("epochs", '"5"', 5),
        ("epochs", 5, 5),
        ("batch_size", "64.0", 64),
        ("learning_rate", "0.001", 0.001),
        ("learning_rate", "1e-05", 1e-5),
        ("learning_rate", "0.0012345678901234567", 0.0012345678901234567),
        ("train_only_top_layer", "true", True),
        ("train_only_top_layer", "True", True),
        ("train_only_top_layer", '"False"', False),
        ("train_only_top_layer", "0", False),
        ("train_only_top_layer", True, True),
        ("train_only_on_top_layer", "True", True),
        ("model_id", '"my \\"model\\""', 'my "model"'),
        ("seed", " 7 ", 7),
    ],
)
def test_values_come_as_text_quoted_or_not_T21(name: str, raw: Any, value: Any) -> None:
    parsed = Hyperparameters.parse({name: raw})
    field = "train_only_top_layer" if name.startswith("train_only") else name
    assert getattr(parsed, field) == value
    assert type(getattr(parsed, field)) is type(value)


def test_what_the_platform_adds_is_ignored_T22() -> None:
    names = (
        "sagemaker_program sagemaker_submit_directory sagemaker_container_log_level sagemaker_job_name "
        "sagemaker_region sagemaker_s3_output sagemaker_enable_cloudwatch_metrics sagemaker_mpi_enabled "
        "sagemaker_instance_type sagemaker_parameter_server_enabled sagemaker_estimator_class_name "
        "_tuning_objective_metric model_dir"
    )
    added = dict.fromkeys(names.split(), '"x"')
    assert Hyperparameters.parse(added) == Hyperparameters.parse({})


def test_a_value_as_long_as_the_platform_allows_is_read_and_shown_shortened_T23() -> None:
    assert Hyperparameters.parse({"model_id": "x" * 2500}).model_id == "x" * 2500
    with pytest.raises(UserError) as error:
        Hyperparameters.parse({"epochs": "x" * 2500})
    assert len(str(error.value)) < 200


@pytest.mark.parametrize(
    ("name", "raw", "words"),
    [
        ("epochs", "0", "a whole number from 1 to 1,000"),
        ("epochs", "2.5", "a whole number"),
        ("epochs", "1_0", "a whole number"),
        ("epochs", "abc", "epochs='abc'"),
        ("epochs", "1e400", "a whole number"),
        ("epochs", "null", "epochs='null'"),
        ("epochs", None, "epochs='null'"),
        ("epochs", [1, 2], "epochs='[1, 2]'"),
        ("batch_size", "-1", "from 1 to 1,024"),
        ("learning_rate", "nan", "a number from 0 to 1"),
        ("learning_rate", "inf", "a number from 0 to 1"),
        ("learning_rate", "2", "a number from 0 to 1"),
        ("dropout_rate", "1", "from 0 to below 1"),
        ("validation_split_ratio", "1.0", "from 0 to below 1"),
        ("optimizer", "lion", "one of adam, adamw, sgd"),
        ("train_only_top_layer", "yes", "True or False"),
        ("train_only_top_layer", "", "True or False"),
        ("model_id", "", "the name of an encoder"),
    ],
)
def test_a_wrong_value_is_named_with_what_it_must_be_T21(name: str, raw: Any, words: str) -> None:
    with pytest.raises(UserError) as error:
        Hyperparameters.parse({name: raw})
    assert words in str(error.value)
    assert name in str(error.value)


@pytest.mark.parametrize(
    ("name", "nearest"), [("epoch", "epochs"), ("batch-size", "batch_size"), ("Learning_Rate", "learning_rate")]
)
def test_an_unknown_name_is_refused_with_the_nearest_one(name: str, nearest: str) -> None:
    with pytest.raises(UserError, match=f"did you mean '{nearest}'"):
        Hyperparameters.parse({name: "1"})


def test_a_name_like_no_other_is_refused_with_all_that_are_known() -> None:
    with pytest.raises(UserError, match="the known ones are epochs, batch_size"):
        Hyperparameters.parse({"zzz": "1"})


def test_all_problems_come_in_one_message() -> None:
    with pytest.raises(UserError) as error:
        Hyperparameters.parse({"epochs": "no", "zzz": "1", "optimizer": "lion"})
    assert len(error.value.problems) == 3


def test_two_names_of_one_thing_must_agree() -> None:
    assert Hyperparameters.parse({"train_only_top_layer": "True", "train_only_on_top_layer": "1"}).train_only_top_layer
    with pytest.raises(UserError, match="mean the same and differ"):
        Hyperparameters.parse({"train_only_top_layer": "True", "train_only_on_top_layer": "False"})


@pytest.mark.parametrize(
    ("raw", "text"), [('"', '"'), ('"a', '"a'), ('"a\\q"', "a\\q"), ("", ""), ({"a": 1}, '{"a": 1}')]
)
def test_odd_quotes_are_kept_as_they_are(raw: Any, text: str) -> None:
    assert unquote(raw) == text
