"""From data to answers: one program trains, the other serves what it left."""

import csv
import gzip
import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from shutil import copyfile, copytree

import numpy as np
import pytest

from jobs import ROWS, Job, rows
from serving_helpers import Server, serving

VERBOSE = "application/json;verbose"


def ask(server: Server, texts: Sequence[str]) -> list[dict[str, object]]:
    answer = server.ask(json.dumps(list(texts)), Content_Type="application/json", Accept=VERBOSE)
    assert answer.status_code == 200, answer.text
    answers: list[dict[str, object]] = answer.json()
    return answers


def test_what_was_trained_is_served_and_answers_in_every_form_H01_H19_H20(job: Job) -> None:
    job.train()
    with serving(job.model) as server:
        one = server.ask("the film was good", Content_Type="application/x-text", Accept=VERBOSE).json()
        assert one["labels"] == [0, 1]
        assert one["predicted_label"] == one["labels"][int(np.argmax(one["probabilities"]))]
        short = server.ask("the film was good", Content_Type="application/x-text", Accept="application/json").json()
        assert list(short) == ["probabilities"]
        assert short["probabilities"] == pytest.approx(one["probabilities"], abs=1e-6)
        lines = server.ask("the film was good\na bad film", Content_Type="text/csv", Accept="text/csv").text
        assert len(lines.splitlines()) == 2
        assert len(ask(server, [text for _, text in ROWS])) == len(ROWS)
        assert all(text not in server.output() for _, text in ROWS)


@pytest.mark.parametrize(
    ("folders", "family", "pooling"),
    [
        (("bert_en_uncased_preprocess_3", "small_bert_L-2_H-128_A-2_2_RANDOM_WEIGHTS"), "bert", "pooler"),
        (("gnews_word2vec_top1000_dim300",), "hub", "own"),
    ],
)
def test_real_files_of_tensorflow_hub_on_the_model_channel_train_and_serve_T80(
    tmp_path: Path, shared: Callable[[str], Path], folders: tuple[str, ...], family: str, pooling: str
) -> None:
    job = Job.create(tmp_path / "ml")
    for name in folders:
        copytree(shared(f"encoders/{name}"), job.base / "input" / "data" / "model" / name)
    job.train()
    manifest = json.loads((job.model / "manifest.json").read_text())
    assert manifest["encoder"].pop("max_sequence_length") > 0
    expected = {"family": family, "name": folders[-1], "pooling": pooling, "long_texts": "truncate"}
    assert manifest["encoder"] == expected
    with serving(job.model) as server:
        assert len(ask(server, ["a good film", "", "word " * 1000])) == 3


def test_the_top_layer_alone_reaches_nine_tenths_on_trec6_through_the_server_as_training_reported(
    tmp_path: Path, shared: Callable[[str], Path]
) -> None:
    test_file = shared("data/text/trec6/test/data.csv")
    job = Job.create(tmp_path / "ml")
    copyfile(shared("data/text/trec6/train/data.csv"), job.base / "input" / "data" / "training" / "data.csv")
    job.channel("validation", test_file.read_bytes())
    job.configure(hyperparameters={"train_only_top_layer": "True"})
    job.train()
    with test_file.open(encoding="utf-8", newline="") as file:
        pairs = [(int(label), text) for label, text in csv.reader(file)]
    with serving(job.model) as server:
        answers = ask(server, [text for _, text in pairs])
    accuracy = np.mean([answer["predicted_label"] == label for answer, (label, _) in zip(answers, pairs, strict=True)])
    assert accuracy >= 0.90
    reported = json.loads((job.model / "manifest.json").read_text())["metrics"]["val_accuracy"]
    assert accuracy == pytest.approx(reported, abs=0.001)


def test_every_format_of_the_same_rows_gives_the_same_accuracy_T83(
    tmp_path: Path, shared: Callable[[str], Path]
) -> None:
    with shared("data/text/trec6/train/data.csv").open(encoding="utf-8", newline="") as file:
        pairs = [(int(label), text) for label, text in itertools.islice(csv.reader(file), 1500)]
    names = json.loads(shared("data/text/trec6/labels.json").read_text(encoding="utf-8"))
    assert names == sorted(names)  # so that the labels keep their order
    named = [(names[label], text) for label, text in pairs]
    third = len(pairs) // 3 + 1
    forms: dict[str, dict[str, str | bytes]] = {
        "plain": {"data.csv": rows(pairs)},
        "names and a header": {"data.csv": "label,sentence\n" + rows(named)},
        "JSON Lines": {
            "data.jsonl": "".join(json.dumps({"text": text, "label": label}) + "\n" for label, text in named)
        },
        "three compressed files": {
            f"part-{number}.csv.gz": gzip.compress(rows(pairs[number * third : (number + 1) * third]).encode())
            for number in range(3)
        },
    }
    accuracies = {}
    for form, files in forms.items():
        job = Job.create(tmp_path / form)
        (job.base / "input" / "data" / "training" / "data.csv").unlink()
        for name, content in files.items():
            job.channel("training", content, name)
        job.configure(hyperparameters={"model_id": "linear"})
        job.train()
        accuracies[form] = json.loads((job.model / "manifest.json").read_text())["metrics"]["val_accuracy"]
    assert len(set(accuracies.values())) == 1, accuracies
    assert accuracies["plain"] > 0.75
