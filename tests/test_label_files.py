"""A label file is read in any form that names each index from 0 once, and every other form is refused with its cure."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from classifier import label_files
from classifier.errors import UserError
from classifier.label_files import Label

AB = ("no", "yes")

READ: Mapping[str, tuple[str, str, tuple[Label, ...]]] = {
    "a list below the key labels": ("labels_info.json", '{"labels": ["no", "yes"]}', AB),
    "a list below the key labels, with other keys beside it": (
        "labels_info.json",
        '{"version": 2, "labels": ["no", "yes"]}',
        AB,
    ),
    "integers stay integers": ("labels_info.json", '{"labels": [0, 3]}', (0, 3)),
    "a bare list": ("labels.json", '["no", "yes"]', AB),
    "label to index, in any order": ("class_label_to_prediction_index.json", '{"yes": 1, "no": 0}', AB),
    "label to index under the other file's name": ("labels_info.json", '{"yes": 1, "no": 0}', AB),
    "index to label, the indices as text": ("labels_info.json", '{"1": "yes", "0": "no"}', AB),
    "ten labels and more are sorted as numbers": (
        "id2label.json",
        json.dumps({str(index): f"l{index}" for index in range(12)}),
        tuple(f"l{index}" for index in range(12)),
    ),
    "label to index, the indices as text": ("labels.json", '{"yes": "1", "no": "0"}', AB),
    "labels that are numbers, to their index": ("class_label_to_prediction_index.json", '{"1": 0, "5": 1}', ("1", "5")),
    "numbers to numbers, where the file's name says which is the label": (
        "class_label_to_prediction_index.json",
        '{"1": 0, "0": 1}',
        ("1", "0"),
    ),
    "numbers to numbers, where the file's name says which is the index": ("id2label.json", '{"1": 0, "0": 1}', (1, 0)),
    "numbers to numbers that come to the same both ways": ("labels.json", '{"0": 0, "1": 1}', (0, 1)),
    "id2label of Hugging Face": ("config.json", '{"model_type": "bert", "id2label": {"0": "no", "1": "yes"}}', AB),
    "label2id of Hugging Face": ("config.json", '{"label2id": {"yes": 1, "no": 0}}', AB),
    "class_indices of Keras": ("class_indices.json", '{"no": 0, "yes": 1}', AB),
    "index_to_name of TorchServe": ("index_to_name.json", '{"0": "no", "1": "yes"}', AB),
    "one label per line": ("labels.txt", "no\nyes\n", AB),
    "one label per line, from Windows": ("labels.txt", "\ufeffno\r\nyes\r\n\r\n", AB),
    "an index and a label per line, as Teachable Machine writes them": ("labels.txt", "0 no\n1 yes\n", AB),
    "a label and an index per line": ("classes.txt", "yes,1\nno,0\n", AB),
    "a label with a space and a comma in it": ("labels.txt", "no, thanks\nyes please\n", ("no, thanks", "yes please")),
    "labels that begin with a number": ("labels.txt", "1 star\n2 stars\n3 stars\n", ("1 star", "2 stars", "3 stars")),
    "labels that begin with each index": ("labels.txt", "0 star\n1 star\n", ("0 star", "1 star")),
    "labels that end in a number": ("labels.txt", "Class 1\nClass 2\n", ("Class 1", "Class 2")),
    "numbers alone": ("labels.txt", "3\n4\n", ("3", "4")),
    "a label called labels": ("labels_info.json", '{"labels": 0, "other": 1}', ("labels", "other")),
}
NO_LABELS: Mapping[str, tuple[str, str]] = {
    "a config.json that names none": ("config.json", '{"model_type": "bert"}'),
    "a file of another name": ("class_weights.json", '{"0": 0.3, "1": 0.7}'),
    "a vocabulary": ("vocab.txt", "a\nb\na\n"),
}
REFUSED: Mapping[str, tuple[str, str, str]] = {
    "an index that is there twice": (
        "class_label_to_prediction_index.json",
        '{"a": 0, "b": 0}',
        "index 0 occurs more",
    ),
    "a gap": ("class_label_to_prediction_index.json", '{"a": 0, "b": 2}', "none of 2 labels has index 1"),
    "indices from 1": ("labels.json", '{"a": 1, "b": 2}', "none of 2 labels has index 0; the first index is 0"),
    "keys from 1": ("labels.json", '{"1": "a", "2": "b"}', "none of 2 labels has index 0; the first index is 0"),
    "a negative index": ("labels.json", '{"a": -1, "b": 0}', "none of 2 labels has index 1"),
    "a label that is there twice": (
        "labels_info.json",
        '{"labels": ["a", "a"]}',
        "the label 'a' has more than one index",
    ),
    "a label that is there twice but for spaces": (
        "labels_info.json",
        '["a", "a "]',
        "the label 'a' has more than one index",
    ),
    "a number and the same as text": ("labels_info.json", '[1, "1"]', "the label '1' has more than one index"),
    "a key that is there twice": ("labels.json", '{"0": "a", "1": "b", "1": "c"}', "'1' occurs twice"),
    "numbers to numbers that can be read in two ways": (
        "labels.json",
        '{"0": 1, "1": 2, "2": 0}',
        "it is ambiguous",
    ),
    "numbers from 1 where the file's name says which is the index": (
        "class_label_to_prediction_index.json",
        '{"0": 1, "1": 2}',
        "the first index is 0",
    ),
    "fractions as indices": ("labels.json", '{"a": 0.0, "b": 1.0}', "some labels have no index"),
    "names to names": ("labels.json", '{"a": "x", "b": "y"}', "some labels have no index"),
    "a label that is null": ("labels.json", '["a", null]', "the value at index 1 is not a label"),
    "a label that is empty": ("labels.json", '["a", " "]', "the value at index 1 is not a label"),
    "labels that are true and false": ("labels.json", "[true, false]", "the value at index 0, 1 is not a label"),
    "labels with their scores": ("labels.json", '[{"name": "a"}, {"name": "b"}]', "at index 0, 1 is not a label"),
    "pairs": ("labels.json", '[["a", 0], ["b", 1]]', "at index 0, 1 is not a label"),
    "nothing": ("labels_info.json", "{}", "has no labels"),
    "an empty list": ("labels_info.json", "[]", "has no labels"),
    "a number": ("labels_info.json", "2", "neither a JSON object nor a list"),
    "no JSON": ("labels_info.json", "no\nyes\n", "not JSON"),
    "no UTF-8": ("labels.txt", "\udcff", "not UTF-8"),
    "two mappings that differ": (
        "config.json",
        '{"id2label": {"0": "a", "1": "b"}, "label2id": {"a": 1, "b": 0}}',
        "'id2label' and 'label2id' in it name different labels",
    ),
    "an empty line between labels": ("labels.txt", "a\n\nb\n", "line 2 is empty"),
    "a line that is there twice": ("labels.txt", "a\nb\na\n", "the label 'a' has more than one index"),
    "numbered lines from 1": ("labels.txt", "1,a\n2,b\n", "do not name each index from 0 once"),
    "an empty file": ("labels.txt", "", "has no labels"),
    "a table": ("labels.csv", "a,0\nb,1\n", "labels in an unsupported format"),
    "a pickle of scikit-learn": ("label_encoder.pkl", "x", "labels in an unsupported format"),
    "an array of NumPy": ("classes.npy", "x", "labels in an unsupported format"),
}


def agreed(folder: Path, *files: tuple[str, str]) -> tuple[Label, ...]:
    for name, content in files:
        (folder / name).write_bytes(content.encode("utf-8", "surrogateescape"))
    return label_files.agreed(label_files.files(folder))


@pytest.mark.parametrize("case", READ)
def test_a_file_that_names_each_index_once_is_read_in_any_form(tmp_path: Path, case: str) -> None:
    name, content, labels = READ[case]
    assert agreed(tmp_path, (name, content)) == labels


@pytest.mark.parametrize("case", NO_LABELS)
def test_a_file_that_names_no_labels_is_none(tmp_path: Path, case: str) -> None:
    assert agreed(tmp_path, NO_LABELS[case]) == ()


@pytest.mark.parametrize("case", REFUSED)
def test_every_other_form_is_refused_with_the_form_that_is_read(tmp_path: Path, case: str) -> None:
    name, content, words = REFUSED[case]
    with pytest.raises(UserError) as error:
        agreed(tmp_path, (name, content))
    (problem,) = error.value.problems
    assert problem.startswith(f"{tmp_path / name}: ")
    assert words in problem
    assert 'write labels_info.json instead: {"labels": ["...", "..."]}, the label of index 0 first' in problem


def test_files_that_name_the_same_labels_agree(tmp_path: Path) -> None:
    files = (
        ("labels_info.json", '{"labels": [0, 3]}'),
        ("class_label_to_prediction_index.json", '{"0": 0, "3": 1}'),
        ("labels.txt", "0\n3\n"),
        ("config.json", '{"id2label": {"0": "LABEL_0", "1": "LABEL_1"}}'),
        ("label_encoder.pkl", "x"),
    )
    assert agreed(tmp_path, *files) == (0, 3)


def test_files_that_name_other_labels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"labels\.txt: has other labels than .*labels_info\.json, or in another order"):
        agreed(tmp_path, ("labels_info.json", '["a", "b"]'), ("labels.txt", "b\na\n"))


def test_the_cure_that_a_refusal_names_is_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r'write labels_info\.json instead: \{"labels": \["\.\.\.", "\.\.\."\]\}'):
        agreed(tmp_path, ("labels.csv", "a,0\nb,1\n"))
    assert agreed(tmp_path, ("labels_info.json", '{"labels": ["a", "b"]}')) == ("a", "b")
