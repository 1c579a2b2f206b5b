"""What the numbers of another program's model mean is found from what it answers, or the model is refused."""

from collections.abc import Mapping

import numpy as np
import pytest

from classifier.backends import foreign
from classifier.backends.foreign import LOGITS, PROBABILITIES, SIGMOID, SIGMOID_LOGIT, TEXTS, Answers
from classifier.errors import UserError

COUNT = len(TEXTS)


def rows(*row: float) -> Answers:
    """As many rows as there are texts, each turned a little, so that no two outputs are alike."""
    return np.array([np.roll(row, shift) for shift in range(COUNT)], np.float32)


def column(low: float, high: float) -> Answers:
    return np.linspace(low, high, COUNT, dtype=np.float32)[:, np.newaxis]


SURE = rows(0.7, 0.2, 0.1)
LOGS = rows(3.0, -2.0, 0.5)
NAN = float("nan")

# The outputs, how many labels are named, and the output that is served with what it is.
READ: Mapping[str, tuple[dict[str, Answers], int, tuple[str, str]]] = {
    "probabilities are served as they are": ({"dense": SURE}, 3, ("dense", PROBABILITIES)),
    "probabilities are served without labels, which are then numbers": ({"x": SURE}, 0, ("x", PROBABILITIES)),
    "probabilities of 16 bits, whose sum is a little off": ({"x": SURE + 0.002}, 3, ("x", PROBABILITIES)),
    "numbers below 0 and above 1 of as many labels as are named are logits": ({"dense": LOGS}, 3, ("dense", LOGITS)),
    "logits by their name": ({"logits": LOGS}, 0, ("logits", LOGITS)),
    "logits by their name, none of them negative": ({"logits": rows(3.0, 2.0, 0.5)}, 3, ("logits", LOGITS)),
    "logits by their name, all of them near 0": ({"output_logits": rows(0.3, -0.2, 0.1)}, 3, ("output_logits", LOGITS)),
    "scores by their name": ({"scores": LOGS}, 0, ("scores", LOGITS)),
    "logarithms of probabilities become probabilities again": ({"dense": np.log(SURE)}, 3, ("dense", LOGITS)),
    "an output called logits that holds probabilities": ({"logits": SURE}, 3, ("logits", PROBABILITIES)),
    "one number from 0 to 1 with two labels is that of the second": ({"d": column(0.1, 0.9)}, 2, ("d", SIGMOID)),
    "one number without a dimension of its own": ({"d": column(0.1, 0.9)[:, 0]}, 2, ("d", SIGMOID)),
    "one logit by its name": ({"logits": column(-4, 4)}, 2, ("logits", SIGMOID_LOGIT)),
    "of two outputs the one with as many numbers as labels": (
        {"embedding": rows(*range(8)), "dense": SURE},
        3,
        ("dense", PROBABILITIES),
    ),
    "of two outputs the one called probabilities": (
        {"a_logits": LOGS, "probabilities": SURE},
        3,
        ("probabilities", PROBABILITIES),
    ),
    "of two outputs the one called softmax, in a name of several words": (
        {"dense_1": rows(0.1, 0.2, 0.7), "headSoftmax_2": SURE},
        3,
        ("headSoftmax_2", PROBABILITIES),
    ),
    "of logits and a hidden layer the logits": ({"hidden": rows(1, 2, 3), "logits": LOGS}, 0, ("logits", LOGITS)),
    "of outputs with one word in their names the one that is called just so": (
        {"aux_scores": rows(2.0, -1.0, 0.0), "scores": LOGS},
        3,
        ("scores", LOGITS),
    ),
    "of two numbers per label and one for both the first": (
        {"a": column(0.1, 0.9), "b": rows(0.4, 0.6)},
        2,
        ("b", PROBABILITIES),
    ),
    "a loss is left out": ({"loss": np.ones((), np.float32), "y": SURE}, 3, ("y", PROBABILITIES)),
}  # fmt: skip
REFUSED: Mapping[str, tuple[dict[str, Answers], int, str]] = {
    "one number per text without labels": ({"d": column(0.1, 0.9)}, 0, "name both in labels_info.json"),
    "one number per text that is always 1": ({"d": column(1, 1)}, 0, "name both in labels_info.json"),
    "one number per text and three labels": ({"d": column(0.1, 0.9)}, 3, "3 labels are named, and it answers 'd'"),
    "one number per text and one label": ({"d": column(0.1, 0.9)}, 1, "name both in labels_info.json"),
    "one number beyond 1": ({"d": column(0, 5)}, 2, "from 0 to 5, which is no probability; end the model in a sigmoid"),
    "one number below 0": ({"d": column(-1, 1)}, 2, "which is no probability"),
    "another number of labels": ({"d": SURE}, 4, "4 labels are named, and it answers 'd' float[batch, 3]; put"),
    "two outputs that may be meant": (
        {"b": rows(0.1, 0.2, 0.7), "a": SURE},
        3,
        "'a' float[batch, 3], 'b' float[batch, 3]: more than one output may be meant",
    ),
    "two outputs with the same word in their names": (
        {"topic_scores": LOGS, "tone_scores": rows(2.0, -1.0, 0.0)},
        3,
        "name the right one 'probabilities' or 'logits'",
    ),
    "two outputs of other sizes, and no labels": ({"a": SURE, "b": rows(0.5, 0.5)}, 0, "more than one output"),
    "several labels per text": ({"d": rows(0.9, 0.8, 0.1)}, 3, "do not sum to 1 over the labels, as those of a model"),
    "a vector of an encoder": ({"default": rows(0.3, -1.4, 0.5)}, 0, "a vector of an encoder (which `train` takes"),
    "cosines": ({"d": rows(0.3, -0.2, 0.9)}, 3, "neither probabilities nor surely logits; end the model in a softmax"),
    "numbers of a hidden layer, none of them negative": ({"d": rows(0, 2.0, 9.0)}, 3, "neither probabilities nor"),
    "percentages": ({"d": 100 * SURE}, 3, "from 10 to 70 that are neither probabilities nor surely logits"),
    "so-called probabilities that are none": ({"probabilities": LOGS}, 3, "neither probabilities nor surely logits"),
    "a softmax over the batch in place of the labels": (
        {"d": np.full((COUNT, 3), 1 / COUNT, np.float32)},
        3,
        "do not sum to 1 over the labels",
    ),
    "NaN for every text": ({"d": rows(NAN, 0.5, 0.5)}, 3, f"(NaN or infinite) for {COUNT} of {COUNT} texts"),
    "NaN for an empty text": ({"d": np.where(np.arange(COUNT)[:, np.newaxis] == 0, NAN, SURE)}, 3, "for an empty text"),
    "infinity": ({"logits": rows(float("inf"), 0.0, 1.0)}, 3, "(NaN or infinite)"),
    "no output for each text": ({"d": np.ones((1, 3), np.float32)}, 3, f"'d' float[1, 3] for {COUNT} texts, none"),
    "an output of each token": ({"d": np.ones((COUNT, 4, 3), np.float32)}, 3, "'d' float[batch, 4, 3], none of them"),
    "no output of fractions at all": ({}, 3, "none of its outputs is float[batch, labels]; export"),
}  # fmt: skip


@pytest.mark.parametrize("case", READ)
def test_what_can_be_known_is_served(case: str) -> None:
    outputs, named, (name, kind) = READ[case]
    for order in (outputs, dict(reversed(outputs.items()))):
        output = foreign.output_of(order, named)
        assert (output.name, output.kind) == (name, kind)
        probabilities = output.probabilities(outputs[name], COUNT)
        assert probabilities.shape == (COUNT, named or output.width)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=0.01)


@pytest.mark.parametrize("case", REFUSED)
def test_what_can_not_be_known_is_refused_with_what_to_do(case: str) -> None:
    outputs, named, words = REFUSED[case]
    for order in (outputs, dict(reversed(outputs.items()))):
        with pytest.raises(UserError) as error:
            foreign.output_of(order, named)
        assert words in str(error.value)


@pytest.mark.parametrize(
    ("kind", "answers", "probabilities"),
    [
        (PROBABILITIES, [[0.25, 0.75]], [0.25, 0.75]),
        (LOGITS, [[0.0, np.log(3)]], [0.25, 0.75]),
        (LOGITS, [[1000.0, -1000.0]], [1.0, 0.0]),
        (LOGITS, [0.0, np.log(3)], [0.25, 0.75]),  # without the dimension of the text
        (SIGMOID, [[0.75]], [0.25, 0.75]),
        (SIGMOID, [0.75], [0.25, 0.75]),
        (SIGMOID, 0.75, [0.25, 0.75]),
        (SIGMOID_LOGIT, [[np.log(3)]], [0.25, 0.75]),
        (SIGMOID_LOGIT, [[-1000.0]], [1.0, 0.0]),
    ],
)
def test_each_kind_becomes_probabilities(kind: str, answers: object, probabilities: list[float]) -> None:
    output = foreign.Output("x", kind, 2)
    np.testing.assert_allclose(output.probabilities(np.array(answers, np.float32), 1), [probabilities], atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "answers"),
    [(PROBABILITIES, [[0.9, 0.9]]), (PROBABILITIES, [[NAN, 1.0]]), (SIGMOID, [[1.5]]), (LOGITS, [[NAN, 1.0]])],
)
def test_an_answer_of_another_kind_than_at_the_start_is_an_error(kind: str, answers: list[list[float]]) -> None:
    with pytest.raises(ArithmeticError, match="is not what it was at the start"):
        foreign.Output("x", kind, 2).probabilities(np.array(answers, np.float32), len(answers))
