import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from classifier.artifact import Label
from classifier.errors import RequestError
from classifier.serving import answers, media_types
from classifier.serving.answers import Layout
from classifier.serving.media_types import ANSWER_NAMES, INFERENCE_OUTPUTS

Row = list[float] | RequestError

WRONG = RequestError(400, "invalid_record", 'record 1 must be a "string", and nothing else')
WRONG_JSON = '{"error": {"code": "invalid_record", "message": "record 1 must be a \\"string\\", and nothing else"}}'
TWO: list[Label] = ["no", "yes"]
THREE: list[Label] = ["no", 'so, "so"', 7]


def answer(
    accept: str,
    rows: Sequence[Row],
    labels: Sequence[Label] = TWO,
    *,
    columns: tuple[str, ...] = (),
    single: bool = False,
    chunk: int = 2,
) -> str:
    """Return the answer to records of which a list of numbers is a good one."""
    chunks: list[answers.Chunk] = []
    for start in range(0, len(rows), chunk):
        some = rows[start : start + chunk]
        records: list[str | RequestError] = [row if isinstance(row, RequestError) else "text" for row in some]
        good = [row for row in some if not isinstance(row, RequestError)]
        chunks.append((records, np.array(good, np.float32).reshape(-1, len(labels)), []))
    layout = Layout(media_types.choose_answer(accept, "", ""), labels, columns)
    pieces = list(answers.pieces(layout, chunks, single=single))
    assert len(pieces) in (len(rows), len(rows) + 2)
    return b"".join(pieces).decode()


def test_one_record_is_answered_as_the_built_in_algorithm_answers_it_H20() -> None:
    assert answer("application/json", [[0.25, 0.75]], single=True) == '{"probabilities": [0.25, 0.75]}'
    assert answer("application/json;verbose", [[0.25, 0.75]], single=True) == (
        '{"probabilities": [0.25, 0.75], "labels": ["no", "yes"], "predicted_label": "yes"}'
    )


def test_a_list_is_answered_as_a_list_even_of_one_or_none_H20() -> None:
    assert json.loads(answer("application/json", [[0.25, 0.75]])) == [{"probabilities": [0.25, 0.75]}]
    assert [answer(name, []) for name in ANSWER_NAMES] == ["[]", "[]", "", "", ""]


@pytest.mark.parametrize("chunk", [1, 2, 3, 7])
@pytest.mark.parametrize("name", ANSWER_NAMES)
def test_chunks_make_no_difference_to_an_answer_H20_D04(name: str, chunk: int) -> None:
    rows: list[Row] = [[0.25, 0.75], WRONG, WRONG, [0.75, 0.25], [0.5, 0.5], WRONG]
    assert answer(name, rows, chunk=chunk) == answer(name, rows, chunk=len(rows))


def test_json_lines_are_the_label_and_the_probabilities_in_the_labels_order_D04() -> None:
    assert answer("application/jsonlines", [[0.75, 0.25], [0.25, 0.75], [0.5, 0.5]]) == (
        '{"predicted_label": "no", "probabilities": [0.75, 0.25]}\n'
        '{"predicted_label": "yes", "probabilities": [0.25, 0.75]}\n'
        '{"predicted_label": "no", "probabilities": [0.5, 0.5]}'
    )


def test_labels_keep_the_type_they_had_in_training() -> None:
    assert answer("application/jsonlines;verbose", [[0.75, 0.25], [0.25, 0.75]], [0, 1]) == (
        '{"predicted_label": 0, "probabilities": [0.75, 0.25], "labels": [0, 1]}\n'
        '{"predicted_label": 1, "probabilities": [0.25, 0.75], "labels": [0, 1]}'
    )
    assert answer("application/jsonlines", [[0.25, 0.75]], ["no", "1"]) == (
        '{"predicted_label": "1", "probabilities": [0.25, 0.75]}'
    )


def test_numbers_are_those_of_the_model_exactly() -> None:
    probabilities = [0.1, 1e-7]
    (found,) = json.loads(answer("application/json", [probabilities]))
    assert found["probabilities"] == np.array(probabilities, np.float32).tolist()


def test_csv_answers_quote_labels_that_need_it_and_write_plain_decimals_D02() -> None:
    rows = np.eye(4).tolist()
    assert answer("text/csv", rows, ["plain", "with, comma", 'with "quotes"', 7]) == (
        'plain,1.00000000\n"with, comma",1.00000000\n"with ""quotes""",1.00000000\n7,1.00000000'
    )
    wide = answer("text/csv", [[1e-7] * 3], [1, 2, 3])
    assert wide == "1,0.00000010"


@pytest.mark.parametrize("name", ANSWER_NAMES)
def test_answers_are_of_one_line_a_record_whatever_the_labels_hold_B08(name: str) -> None:
    labels: list[Label] = ["naïve", "line\u2028separator"]
    written = answer(name, [[0.0, 1.0], [1.0, 0.0]], labels)
    assert len(written.split("\n")) == (1 if name.startswith("application/json;") or name == "application/json" else 2)
    assert not written.endswith("\n")
    if name.startswith("application/jsonlines"):
        first, second = (json.loads(line) for line in written.splitlines())
        assert (first["predicted_label"], second["predicted_label"]) == (labels[1], labels[0])


@pytest.mark.parametrize("name", ["application/jsonlines", "application/jsonlines;verbose", "text/csv"])
def test_lines_are_as_many_as_records_and_none_is_added_at_the_end_B06_B07_B08_B12(name: str) -> None:
    good = [0.25, 0.75]
    requests: list[list[Row]] = [[good], [good] * 5, [WRONG, good], [good, WRONG], [WRONG], [good, WRONG, good]]
    for rows in requests:
        assert answer(name, rows).count("\n") == len(rows) - 1
        assert answer(name, rows, columns=("labels",)).count("\n") == len(rows) - 1


def test_a_wrong_record_is_answered_in_its_place_B11_B12() -> None:
    rows: list[Row] = [[0.25, 0.75], WRONG, [0.75, 0.25]]
    no, yes = '{"probabilities": [0.75, 0.25]}', '{"probabilities": [0.25, 0.75]}'
    assert answer("application/json", rows) == f"[{yes}, {WRONG_JSON}, {no}]"
    lines = answer("application/jsonlines", rows).split("\n")
    assert [json.loads(line).get("predicted_label") for line in lines] == ["yes", None, "no"]
    assert lines[1] == WRONG_JSON
    assert answer("text/csv", rows) == "yes,0.75000000\n,\nno,0.75000000"
    assert answer("application/json", [WRONG], single=True) == WRONG_JSON


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_a_wrong_record_has_as_many_csv_columns_as_a_good_one_B11_B12(count: int) -> None:
    written = answer("text/csv", [WRONG, [0.25, 0.75]], columns=INFERENCE_OUTPUTS[:count])
    wrong, good = written.split("\n")
    assert wrong == "," * (count - 1)
    assert [len(row) for row in csv.reader([good])] == [count]


def test_columns_replace_those_of_csv_in_the_order_given_D02() -> None:
    rows = [[0.25, 0.75], [0.75, 0.25]]
    assert answer("text/csv", rows, columns=INFERENCE_OUTPUTS) == (
        'yes,0.75000000,"[0.25, 0.75]","[""no"", ""yes""]"\nno,0.75000000,"[0.75, 0.25]","[""no"", ""yes""]"'
    )
    assert answer("text/csv", rows, columns=("probability", "predicted_label")) == "0.75000000,yes\n0.75000000,no"
    assert answer("text/csv", rows, columns=("probabilities",)) == '"[0.25, 0.75]"\n"[0.75, 0.25]"'
    assert answer("text/csv", [[1.0]], ["only"], columns=("probabilities", "labels")) == '"[1.0]","[""only""]"'


def test_a_csv_reader_gets_the_columns_back_whatever_the_labels_hold_D02() -> None:
    ((label, _, probabilities, labels),) = csv.reader(
        io.StringIO(answer("text/csv", [[0.25, 0.5, 0.25]], THREE, columns=INFERENCE_OUTPUTS))
    )
    assert (label, json.loads(probabilities), json.loads(labels)) == (THREE[1], [0.25, 0.5, 0.25], THREE)


def test_columns_replace_the_keys_of_json_lines_and_not_those_of_json_D04() -> None:
    columns = ("probability", "labels", "predicted_label")
    expected = '{"probability": 0.75, "labels": ["no", "yes"], "predicted_label": "yes"}'
    for accept in ("application/jsonlines", "application/jsonlines;verbose"):
        assert answer(accept, [[0.25, 0.75]], columns=columns) == expected
    for accept in ("application/json", "application/json;verbose"):
        assert answer(accept, [[0.25, 0.75]], columns=columns) == answer(accept, [[0.25, 0.75]])


@pytest.mark.parametrize(
    ("count", "probabilities", "labels"),
    [
        (1, [0.5], [7]),
        (2, [0.5, 0.25], [7, "no"]),
        (3, [0.5, 0.25, 0.25], [7, "no", 'so, "so"']),
        (9, [0.5, 0.25, 0.25], [7, "no", 'so, "so"']),
    ],
)
def test_the_most_probable_labels_come_first_and_equal_ones_in_their_order_H20(
    count: int, probabilities: list[float], labels: list[Label]
) -> None:
    rows: list[Row] = [[0.25, 0.25, 0.5], WRONG, [0.25, 0.25, 0.5]]
    listed = {"probabilities": probabilities, "labels": labels}
    wrong = json.loads(WRONG_JSON)
    told = {**listed, "predicted_label": 7}
    for accept, expected in (("application/json", listed), ("application/json;verbose", told)):
        assert json.loads(answer(f"{accept};n_predictions={count}", rows, THREE)) == [expected, wrong, expected]
    for accept in ("application/jsonlines", "application/jsonlines;verbose"):
        lines = answer(f"{accept};n_predictions={count}", rows, THREE).split("\n")
        assert [json.loads(line) for line in lines] == [told, wrong, told]


def test_the_most_probable_labels_are_those_of_the_columns_too_H20() -> None:
    row = [[0.25, 0.25, 0.5]]
    line = answer("application/jsonlines;n_predictions=2", row, THREE, columns=("probability", "probabilities"))
    assert line == '{"probability": 0.5, "probabilities": [0.5, 0.25], "labels": [7, "no"]}'
    assert answer("application/jsonlines;n_predictions=2", row, THREE, columns=("labels",)) == '{"labels": [7, "no"]}'
    assert answer("text/csv;n_predictions=2", row, THREE, columns=("probabilities", "labels")) == (
        '"[0.5, 0.25]","[7, ""no""]"'
    )
    assert answer("text/csv;n_predictions=2", row, THREE, columns=("probabilities",)) == '"[0.5, 0.25]"'
    assert answer("text/csv;n_predictions=2", row, THREE) == "7,0.50000000"


def test_the_predicted_label_is_the_first_of_the_most_probable_labels_H20() -> None:
    generator = np.random.default_rng(0)
    labels: list[Label] = list(range(20))
    rows = (generator.integers(0, 4, (200, 20)) / 4).tolist()
    for line in answer("application/jsonlines;n_predictions=3", rows, labels).split("\n"):
        found = json.loads(line)
        assert found["predicted_label"] == found["labels"][0]
        assert found["probabilities"] == sorted(found["probabilities"], reverse=True)


def test_an_answer_is_written_while_its_records_are_still_to_come_A05(tmp_path: Path) -> None:
    seen: list[int] = []

    def chunks() -> answers.Chunks:
        for index in range(3):
            seen.append(index)
            yield ["text"] * 2, np.array([[0.25, 0.75]] * 2, np.float32), []

    pieces = answers.pieces(Layout(media_types.AnswerType("application/jsonlines"), TWO), chunks())
    next(pieces)
    assert seen == [0]
    file = tmp_path / "answer"
    with file.open("wb") as opened:
        opened.writelines(pieces)
    assert len(file.read_text().split("\n")) == 6
    assert seen == [0, 1, 2]


def test_probabilities_of_other_records_are_never_given_to_the_wrong_one_B12() -> None:
    layout = Layout(media_types.AnswerType("text/csv"), TWO)
    for rows in (1, 3):
        with pytest.raises(ValueError, match=f"{rows} rows of probabilities for 2 records"):
            list(answers.pieces(layout, [(["a", WRONG, "b"], np.zeros((rows, 2), np.float32), [])]))
