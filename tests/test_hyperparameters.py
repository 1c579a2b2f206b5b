"""The hyperparameters a job may give, and what is said of those it may not."""

import re
from typing import Any

import boto3
import pytest
from botocore.validate import ParamValidator

from classifier.errors import UserError
from classifier.hyperparameters import SCHEMA, Hyperparameters, parsed_values, remarks, unquote
from classifier.hyperparameters.hints import HINTS
from classifier.hyperparameters.schema import BUILT_IN
from classifier.hyperparameters.specification import supported_hyperparameters
from jobs import ROOT

BUILT_IN_DEFAULTS = {
    "batch_size": 32, "beta_1": 0.9, "beta_2": 0.999, "dropout_rate": 0.2, "early_stopping": False,
    "early_stopping_min_delta": 0.0, "early_stopping_patience": 5, "epochs": 10, "epsilon": 1e-7,
    "initial_accumulator_value": 1e-4, "momentum": 0.9, "optimizer": "adam", "regularizers_l2": 1e-4,
    "reinitialize_top_layer": "Auto", "rho": 0.95, "train_only_top_layer": False, "validation_split_ratio": 0.2,
    "warmup_steps_fraction": 0.1,
}  # fmt: skip


def test_the_nineteen_of_the_built_in_algorithm_have_its_defaults_but_for_the_learning_rate_T85() -> None:
    defaults = Hyperparameters.parse({})
    assert {name: getattr(defaults, name) for name in BUILT_IN_DEFAULTS} == BUILT_IN_DEFAULTS
    assert list(BUILT_IN) == sorted(BUILT_IN, key=list(SCHEMA).index)
    assert set(BUILT_IN) == {*BUILT_IN_DEFAULTS, "learning_rate"}


@pytest.mark.parametrize(
    ("given", "name", "value"),
    [
        ({"batch-size": "64"}, "batch_size", 64),
        ({"adam-learning-rate": "1e-6"}, "learning_rate", 1e-6),
        ({"lr": "0.01"}, "learning_rate", 0.01),
        ({"train-only-top-layer": '"True"'}, "train_only_top_layer", True),
        ({"reinitialize-top-layer": '"auto"'}, "reinitialize_top_layer", "Auto"),
        ({"eps": "1e-08"}, "epsilon", 1e-8),
        ({"random_seed": "4"}, "seed", 4),
        ({"num_epoch": "5"}, "epochs", 5),
        ({"seq_len": "500"}, "max_sequence_length", 500),
        ({"dropout": "0.5"}, "dropout_rate", 0.5),
        ({"wd": "0.0002"}, "regularizers_l2", 0.0002),
        ({"cnn": "true"}, "model_id", "cnn"),
        ({"cnn": "False"}, "model_id", "lstm"),
        ({"max-sequence-length": "64"}, "max_sequence_length", 64),
    ],
)
def test_other_names_of_the_same_thing_are_read_T86(given: dict[str, str], name: str, value: Any) -> None:
    assert getattr(Hyperparameters.parse(given), name) == value


@pytest.mark.parametrize(
    ("name", "raw", "value"),
    [
        ("learning_rate", "0.0012345678901234567", 0.0012345678901234567),
        ("learning_rate", '"1e-05"', 1e-5),
        ("batch_size", "64", 64),
        ("batch_size", "64.0", 64),
        ("optimizer", '"adam"', "adam"),
        ("optimizer", "Adam", "adam"),
        ("delimiter", "\t", "tab"),
        ("delimiter", r'"\t"', "tab"),
    ],
)
def test_values_come_as_a_tuning_job_writes_them_U04(name: str, raw: str, value: Any) -> None:
    assert getattr(Hyperparameters.parse({name: raw}), name) == value


def test_an_encoders_own_defaults_give_way_to_what_is_given() -> None:
    def of_model(model_id: str) -> dict[str, Any]:
        return {"large": {"batch_size": 8, "train_only_top_layer": True}}.get(model_id, {})

    settings = Hyperparameters.from_values(parsed_values({"model_id": "large", "batch-size": "16"}), of_model)
    assert (settings.batch_size, settings.train_only_top_layer) == (16, True)
    assert Hyperparameters.from_values({}, of_model) == Hyperparameters.parse({})


def test_what_does_nothing_in_a_job_is_said() -> None:
    given = {
        "momentum": "0.5", "n-layers": "2", "log-interval": "10", "beta_1": "0.8", "epochs": "3", "power_decay": "true",
        "learning_rate": "0.1", "warmup_steps_fraction": "0.2",
    }  # fmt: skip
    said = remarks(given, Hyperparameters.parse(given))
    assert said == [
        "momentum has no effect: it is for optimizer=sgd or nesterov",
        "n-layers has no effect: it is for model_id=lstm",
        "log-interval has no effect: progress is logged by time",
        "power_decay has no effect: epoch_factor is 0",
        "warmup_steps_fraction has no effect: the learning rate is not warmed up",
    ]


def test_the_specification_for_sagemaker_has_every_name_within_the_platforms_limits() -> None:
    specification = supported_hyperparameters()
    assert [entry["Name"] for entry in specification] == list(SCHEMA)
    assert len(specification) <= 100
    shapes = boto3.client("sagemaker", region_name="eu-west-1").meta.service_model.shape_for(
        "HyperParameterSpecification"
    )
    for entry in specification:
        report = ParamValidator().validate(entry, shapes)
        assert not report.has_errors(), report.generate_report()
        if "DefaultValue" in entry:
            assert getattr(Hyperparameters.parse({entry["Name"]: entry["DefaultValue"]}), entry["Name"]) == getattr(
                Hyperparameters.parse({}), entry["Name"]
            )


def test_the_documentation_has_every_name_with_its_range_default_aliases_and_use() -> None:
    page = (ROOT / "docs" / "hyperparameters.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)`(.*)$", page.partition("<!-- /hyperparameters -->")[0], re.MULTILINE))
    assert list(rows) == list(SCHEMA)
    for name, line in SCHEMA.items():
        assert line.kind.words in rows[name]
        assert all(f"`{alias}`" in rows[name] for alias in (*line.aliases, *line.alias_kinds))
        assert (f"`{line.default}`" if line.default is not None else line.default_in_words) in rows[name]
        assert line.used_with is None or all(f"`{value}`" in rows[name] for value in line.used_with[1])


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
        ("beta_1", "1", "from 0 to below 1"),
        ("target_precision", "0.5", "a number from above 0.5 to below 1"),
        ("target_precision", "95", "a number from above 0.5 to below 1"),
        ("calibrate", "True", "one of auto, false"),
        ("validation_split_ratio", "1.1", "from 0 to 1"),
        ("optimizer", "lion", "one of adam, adamw, sgd, nesterov, rmsprop, adagrad, adadelta"),
        ("reinitialize_top_layer", "maybe", "one of Auto, True, False"),
        ("cnn", "maybe", "cnn='maybe': must be True or False"),
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
    ("name", "nearest"), [("epoch", "epochs"), ("batch-sizes", "batch_size"), ("Learning_Rate", "learning_rate")]
)
def test_an_unknown_name_is_refused_with_the_nearest_one(name: str, nearest: str) -> None:
    with pytest.raises(UserError, match=f"did you mean '{nearest}'"):
        Hyperparameters.parse({name: "1"})


MEANT = {
    "weight decay is no kind of decay of the learning rate": ("weight_decay", "regularizers_l2 is the L2 penalty"),
    "the number of classes is counted": ("num_classes", "the labels are counted in the data: leave it out"),
    "Hugging Face's epochs": ("num_train_epochs", "did you mean 'epochs'?"),
    "Hugging Face's batch": ("per_device_train_batch_size", "did you mean 'batch_size'?"),
    "Hugging Face's length": ("max_seq_length", "did you mean 'max_sequence_length'?"),
    "a tokenizer's length": ("max_length", "did you mean 'max_sequence_length'?"),
    "Hugging Face's warm-up": ("warmup_ratio", "did you mean 'warmup_steps_fraction'?"),
    "a warm-up in steps": ("warmup_steps", "warmup_steps_fraction is the share of all steps, from 0 to 1"),
    "scikit-learn's seed": ("random_state", "did you mean 'seed'?"),
    "Hugging Face's encoder": ("model_name_or_path", "did you mean 'model_id'?"),
    "Hugging Face's half precision": ("fp16", "set mixed_precision to float16"),
    "Hugging Face's smoothing": ("label_smoothing_factor", "did you mean 'label_smoothing'?"),
    "the longest gradient": ("max-grad-norm", "did you mean 'gradient_clip_norm'?"),
    "accumulated gradients": ("gradient_accumulation_steps", "batch_size counts the rows of a step"),
    "BlazingText's width": ("vector_dim", "did you mean 'embed_size'?"),
    "BlazingText's least count": ("min_count", "up to vocab_size"),
    "Keras's share": ("validation_split", "did you mean 'validation_split_ratio'?"),
    "Keras's patience": ("patience", "did you mean 'early_stopping_patience'?"),
    "AutoGluon's column": ("label", "name them label and text"),
    "AutoGluon's share": ("holdout_frac", "did you mean 'validation_split_ratio'?"),
    "JumpStart's column": ("text_column", "name them label and text"),
    "a frozen encoder": ("freeze_backbone", "did you mean 'train_only_top_layer'?"),
    "camel case": ("numTrainEpochs", "did you mean 'epochs'?"),
    "capital letters": ("MAX_LEN", "did you mean 'max_sequence_length'?"),
}


@pytest.mark.parametrize("kind", MEANT)
def test_what_people_mean_by_other_programs_names_goes_before_the_likeness_of_letters(kind: str) -> None:
    given, words = MEANT[kind]
    with pytest.raises(UserError, match=f"^hyperparameter '{given}' is unknown") as error:
        Hyperparameters.parse({given: "1"})
    assert words in str(error.value)


def test_no_hint_is_for_a_name_that_is_taken_and_none_leads_to_a_name_that_is_not() -> None:
    for given, words in HINTS.items():
        with pytest.raises(UserError, match=f"^hyperparameter '{given}' is unknown; "):
            Hyperparameters.parse({given: "1"})
        assert all(name in SCHEMA for name in re.findall(r"did you mean '(\w+)'", words))


def test_a_name_like_no_other_is_refused_with_all_that_are_known() -> None:
    with pytest.raises(UserError, match="the known ones are epochs, batch_size"):
        Hyperparameters.parse({"zzz": "1"})


def test_names_like_no_other_are_refused_with_one_list_of_those_that_are_known() -> None:
    with pytest.raises(UserError) as error:
        Hyperparameters.parse({"zzz": "1", "epoch": "1", "xxx": "1"})
    nearest, first, last = error.value.problems
    assert "did you mean" in nearest
    assert first == "hyperparameter 'zzz' is unknown"
    assert last.startswith("hyperparameter 'xxx' is unknown; the known ones are epochs, ")


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
