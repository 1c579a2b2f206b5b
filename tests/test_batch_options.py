"""What ``batch`` is told: by its command line, by the environment, by SageMaker and by AWS Batch."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from classifier.batch import options
from classifier.batch.options import OPTIONS, Options
from classifier.batch.shards import WHOLE, Shard
from classifier.errors import UserError

PLACES = ("--model", "m", "--input", "i", "--output", "o")
ARRAY = {"AWS_BATCH_JOB_ARRAY_INDEX": "3", "AWS_BATCH_JOB_ARRAY_SIZE": "16"}


def parse(*arguments: str, **environ: str) -> Options:
    return Options.parse(arguments, {"CLASSIFIER_BASE_DIR": "/nowhere", **environ})


def parse_in(base: Path, *arguments: str) -> Options:
    """Parse where SageMaker mounts things in this folder."""
    return parse(*arguments, CLASSIFIER_BASE_DIR=str(base))


def refused(*arguments: str, **environ: str) -> str:
    with pytest.raises(UserError) as refusal:
        parse(*arguments, **environ)
    return str(refusal.value)


def processing_job(base: Path, kind: str = "FullyReplicated") -> Path:
    """Lay out what SageMaker mounts for the second of three hosts."""
    for name in ("model", "input"):
        (base / "processing" / name).mkdir(parents=True)
    config = base / "config"
    config.mkdir()
    hosts = {"current_host": "algo-2", "hosts": ["algo-1", "algo-2", "algo-3"]}
    entry = {"InputName": "rows", "S3Input": {"LocalPath": str(base / "processing" / "input")}}
    entry["S3Input"]["S3DataDistributionType"] = kind  # type: ignore[index]  # it is the inner one
    (config / "resourceconfig.json").write_text(json.dumps(hosts))
    (config / "processingjobconfig.json").write_text(json.dumps({"ProcessingInputs": [entry]}))
    return base


def test_places_are_needed_and_the_rest_has_a_default() -> None:
    told = parse(*PLACES)
    assert (told.model, told.input, told.output, told.rejects) == ("m", "i", "o", "o")
    assert (told.format, told.text_column, told.header, told.engine) == ("", "", "auto", "auto")
    assert (told.probabilities, told.fail_on_rejects, told.shard) == (False, False, WHOLE)


def test_everything_that_is_missing_or_wrong_is_in_one_message() -> None:
    message = refused("--model", "m", "--format", "xml", "--shard", "4/4", BATCH_HEADER="perhaps")
    assert message.splitlines() == [
        "--format (or BATCH_FORMAT): must be one of csv, jsonl",
        "--header (or BATCH_HEADER): must be one of auto, true, false",
        "--shard (or BATCH_SHARD): must be K/N, with K from 0 to N - 1",
        "--input (or BATCH_INPUT) is missing; give DIR|FILE|s3://...",
        "--output (or BATCH_OUTPUT) is missing; give DIR|s3://...",
    ]


def test_an_option_that_does_not_exist_is_a_mistake_of_the_users() -> None:
    assert "unrecognized arguments: --inputs" in refused(*PLACES, "--inputs")


def test_the_environment_says_what_the_command_line_does_not() -> None:
    environ = {option.variable: "" for option in OPTIONS.values()}
    told = parse(
        "--model",
        "m",
        **{
            **environ,
            "BATCH_MODEL": "x",
            "BATCH_INPUT": "s3://b/k",
            "BATCH_OUTPUT": "s3://r/",
            "BATCH_PROBABILITIES": "TRUE",
        },
    )
    assert (told.model, told.input, told.output, told.probabilities) == ("m", "s3://b/k", "s3://r/", True)


def test_help_names_every_option_and_variable(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse("--help")
    assert end.value.code == 0
    text = capsys.readouterr().out
    for name, option in OPTIONS.items():
        assert f"--{name.replace('_', '-')}" in text
        assert option.variable in text


def test_in_a_processing_job_nothing_needs_to_be_said(tmp_path: Path) -> None:
    base = processing_job(tmp_path, "ShardedByS3Key")
    told = parse_in(base)
    assert [Path(place).name for place in (told.model, told.input, told.output)] == ["model", "input", "output"]
    assert told.rejects == told.output
    (base / "processing" / "rejects").mkdir()
    assert parse_in(base).rejects == str(base / "processing" / "rejects")


def test_hosts_that_got_the_same_files_share_the_rows_and_others_do_not(tmp_path: Path) -> None:
    assert parse_in(processing_job(tmp_path / "same")).shard == Shard(1, 3)
    assert parse_in(processing_job(tmp_path / "parts", "ShardedByS3Key")).shard == WHOLE
    assert parse_in(tmp_path / "same", "--input", "elsewhere").shard == WHOLE


@pytest.mark.parametrize(
    ("written", "shard"),
    [
        ("{}/processing/input", Shard(1, 3)),
        ("{}/processing/input/", Shard(1, 3)),
        ("{}/processing//input/./", Shard(1, 3)),
        ("{}/processing/input/claims.csv", Shard(1, 3)),
        ("{}/processing", Shard(1, 3)),
        ("{}/processing/input2", WHOLE),
        ("{}/processing/model", WHOLE),
        ("s3://bucket/claims", WHOLE),
    ],
)
def test_in_a_processing_job_hosts_share_what_all_of_them_got_however_its_path_is_written(
    tmp_path: Path, written: str, shard: Shard
) -> None:
    base = processing_job(tmp_path)
    assert parse_in(base, "--input", written.format(base)).shard == shard


def test_a_model_where_training_leaves_it_is_found(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    assert parse_in(tmp_path, "--input", "i", "--output", "o").model == str(tmp_path / "model")


@pytest.mark.parametrize(
    ("arguments", "environ", "shard"),
    [
        (("--shard", "2/5"), {}, Shard(2, 5)),
        (("--shard", "2/5"), ARRAY, Shard(2, 5)),
        (("--shards", "16"), {"AWS_BATCH_JOB_ARRAY_INDEX": "3"}, Shard(3, 16)),
        ((), ARRAY, Shard(3, 16)),
        (("--shards", "1"), {}, WHOLE),
    ],
)
def test_the_part_is_told_or_that_of_an_array_jobs_child(
    arguments: tuple[str, ...], environ: Mapping[str, str], shard: Shard
) -> None:
    assert parse(*PLACES, *arguments, **environ).shard == shard


@pytest.mark.parametrize(
    ("arguments", "environ", "words"),
    [
        (("--shards", "4"), {}, "AWS_BATCH_JOB_ARRAY_INDEX is not set"),
        (("--shards", "8"), ARRAY, "child 3 of an array job of 16"),
        ((), {"AWS_BATCH_JOB_ARRAY_INDEX": "3"}, "--shards"),
        (("--shard", "0/2", "--shards", "2"), {}, "give one"),
    ],
)
def test_parts_that_nobody_would_do_are_refused(
    arguments: tuple[str, ...], environ: Mapping[str, str], words: str
) -> None:
    assert words in refused(*PLACES, *arguments, **environ)


@pytest.mark.parametrize("total", [0, 1, 7, 100])
@pytest.mark.parametrize("count", [1, 3, 16])
def test_parts_are_every_row_once_and_nearly_equal(total: int, count: int) -> None:
    parts = [Shard(number, count).rows(total) for number in range(count)]
    assert [row for part in parts for row in part] == list(range(total))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("claims.csv", "claims_output.csv"),
        ("a/b/claims.2024.csv.gz", "a/b/claims.2024_output.csv.gz"),
        ("x.jsonl", "x_output.jsonl"),
        ("claims", "claims_output"),
        ("été 1+1.CSV", "été 1+1_output.CSV"),
    ],
)
def test_a_result_is_called_as_its_file_with_a_word_more(name: str, result: str) -> None:
    assert WHOLE.name(name, "output") == result


def test_a_parts_name_says_which_it_is_and_sorts_by_that() -> None:
    assert Shard(3, 16).name("claims.csv.gz", "output") == "claims_output.00003-of-00016.csv.gz"


def test_the_documentation_lists_every_option() -> None:
    lines = options.table().splitlines()
    assert len(lines) == 2 + len(OPTIONS)
    assert all(line.count(" | ") == 3 for line in lines[2:])
