"""The meaning of the outputs of another program's model: inferred from its outputs for a few texts, or refused."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from classifier.errors import UserError

Answers = NDArray[np.float32]

# The texts that a model is tried with.
TEXTS = (
    "",
    "It works.",
    "It does not work at all, and I want my money back.",
    "Großes Café, naïve façade: 100 % über-cool… 価格は",
    "one two three four five six seven eight nine ten " * 30,
    "?",
)
# The sum of 16-bit probabilities over many labels may be off by this.
TOLERANCE = 0.01

LOGIT_WORDS = ("logits", "logit")
PROBABILITY_WORDS = ("probabilities", "probability", "probs", "prob", "proba", "softmax")
SCORE_WORDS = ("predictions", "prediction", "scores", "score", "sigmoid")
# Of several outputs, the one whose name contains the first of these words is served.
WORDS = (*PROBABILITY_WORDS, *SCORE_WORDS, *LOGIT_WORDS)
NAMED = " or ".join((f"{PROBABILITY_WORDS[0]!r}", f"{LOGIT_WORDS[0]!r}"))

_PERHAPS_AN_ENCODER = (
    ", and no labels are named, so that it may be a vector of an encoder (which `train` takes on its `model` channel)"
)

PROBABILITIES, LOGITS = "probabilities", "logits, of which softmax makes probabilities"
SIGMOID, SIGMOID_LOGIT = "the probability of the second label", "the logit of the second label"


@dataclass(frozen=True)
class Output:
    """The output that is served.

    Attributes:
        name: Its name in the signature.
        kind: The meaning of its values, a key of :data:`KINDS`.
        width: The number of labels.
    """

    name: str
    kind: str
    width: int

    def probabilities(self, answers: Answers, count: int) -> Answers:
        """Return the probabilities, float32[count, labels], of the model's output for so many texts.

        Raises:
            ArithmeticError: The values don't have the meaning that those for :data:`TEXTS` had.
        """
        # A model may drop dimensions of 1, also that of a single text.
        probabilities = KINDS[self.kind](np.asarray(answers, np.float32).reshape(count, -1))
        if not _are_probabilities(probabilities):
            raise ArithmeticError(f"the model's output {self.name!r} is not what it was at the start: {self.kind}")
        return probabilities


def output_of(outputs: Mapping[str, Answers], named: int) -> Output:
    """Return the output that is served, and the meaning of its values.

    Args:
        outputs: The values of each floating-point output for :data:`TEXTS`, by name.
        named: The number of labels in the files beside the model; 0 without such files.

    Raises:
        UserError: The meaning is ambiguous, or the values aren't probabilities or logits of labels.
    """
    rows = {name: answers for name, answers in sorted(outputs.items()) if _is_row_each(answers)}
    if not rows:
        seen = f"its outputs of fractions are {_shown(outputs)}, none of them" if outputs else "none of its outputs is"
        raise UserError(f"{seen} float[batch, labels]; {_EXPORT}")
    fitting = {name: answers for name, answers in rows.items() if _fits(answers, named)}
    if not fitting:
        raise UserError(
            f"{named} labels are named, and it answers {_shown(rows)}; put the labels beside it that it was trained "
            'with, as labels_info.json: {"labels": ["...", "..."]}, the label of index 0 first'
        )
    name = _chosen(fitting, named)
    answers = np.asarray(fitting[name], np.float32).reshape(len(TEXTS), -1)
    kind = _kind(name, answers, named)
    return Output(name, kind, max(answers.shape[1], 2))


def _is_row_each(answers: Answers) -> bool:
    return answers.ndim in (1, 2) and len(answers) == len(TEXTS) and answers.size > 0


def _width(answers: Answers) -> int:
    return answers.shape[1] if answers.ndim == 2 else 1


def _fits(answers: Answers, named: int) -> bool:
    return not named or _width(answers) in ((named, 1) if named == 2 else (named,))


def _chosen(fitting: Mapping[str, Answers], named: int) -> str:
    """Return the name of the output that is served: the only one, or the one that its name identifies."""
    names = [name for name, answers in fitting.items() if _width(answers) == named] or list(fitting)
    for word in WORDS:
        found = [name for name in names if word in _words(name)]
        if found:
            names = [name for name in found if name.lower() == word] or found
            break
    if len(names) != 1:
        raise UserError(
            f"{_shown({name: fitting[name] for name in names})}: more than one output may be meant; export the model "
            f"with one of them, or name the right one {NAMED}"
        )
    return names[0]


def _words(name: str) -> list[str]:
    return re.findall("[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())


def _kind(name: str, answers: Answers, named: int) -> str:
    """Return the meaning of an output's values, a key of :data:`KINDS`.

    Raises:
        UserError: It is ambiguous.
    """
    _check_finite(name, answers)
    says = {"logits": bool({*_words(name)} & {*LOGIT_WORDS}), "scores": bool({*_words(name)} & {*SCORE_WORDS})}
    if answers.shape[1] == 1:
        return _kind_of_one(name, answers, named, is_logit=says["logits"])
    if _are_probabilities(answers):
        return PROBABILITIES
    if says["logits"]:
        return LOGITS
    low, high = float(answers.min()), float(answers.max())
    if low >= 0 and high <= 1:
        raise UserError(
            f"its output {name!r} holds numbers from 0 to 1 that do not sum to 1 over the labels, as those of a model "
            "that gives a text several labels; one label per text is served here: end the model in a softmax"
        )
    is_meant = named or says["scores"]
    if {*_words(name)} & {*PROBABILITY_WORDS} or not is_meant or low >= 0 or max(-low, high) <= 1:
        labels = "" if named else _PERHAPS_AN_ENCODER
        raise UserError(
            f"its output {name!r} holds numbers from {low:.3g} to {high:.3g} that are neither probabilities nor surely "
            f"logits{labels}; end the model in a softmax, or, if they are logits, name the output 'logits'"
        )
    return LOGITS


def _kind_of_one(name: str, answers: Answers, named: int, *, is_logit: bool) -> str:
    if named != 2:
        raise UserError(
            f"its output {name!r} is one number per text; if that is the probability of the second of two labels, name "
            'both in labels_info.json beside it: {"labels": ["label of low numbers", "label of high numbers"]}'
        )
    if is_logit:
        return SIGMOID_LOGIT
    if answers.min() < 0 or answers.max() > 1:
        raise UserError(
            f"its output {name!r} is one number per text, from {answers.min():.3g} to {answers.max():.3g}, which is no "
            "probability; end the model in a sigmoid, or, if it is a logit, name the output 'logits'"
        )
    return SIGMOID


def _check_finite(name: str, answers: Answers) -> None:
    bad = [text for text, row in zip(TEXTS, answers, strict=True) if not np.isfinite(row).all()]
    if bad == [""]:
        raise UserError(
            f"its output {name!r} holds no number (NaN or infinite) for an empty text, which requests may hold; let "
            "the model answer it with any probabilities (a mean over no tokens divides by zero)"
        )
    if bad:
        raise UserError(
            f"its output {name!r} holds no number (NaN or infinite) for {len(bad)} of {len(TEXTS)} texts; its weights "
            "are damaged or its training went astray: copy it again, or train it again"
        )


def _are_probabilities(answers: Answers) -> bool:
    in_range = np.all(answers >= -TOLERANCE) and np.all(answers <= 1 + TOLERANCE)
    return bool(in_range and np.allclose(answers.sum(axis=1), 1, atol=TOLERANCE))


def _shown(outputs: Mapping[str, Answers]) -> str:
    def shape(answers: Answers) -> str:
        if not answers.ndim or len(answers) != len(TEXTS):
            return f"float{list(answers.shape)} for {len(TEXTS)} texts"
        return f"float[{', '.join(['batch', *map(str, answers.shape[1:])])}]"

    return ", ".join(f"{name!r} {shape(answers)}" for name, answers in outputs.items())


_EXPORT = "export it with an output of one probability per label"


def _softmax(answers: Answers) -> Answers:
    powers = np.exp(answers - answers.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)


def _two(second: Answers) -> Answers:
    return np.concatenate([1 - second, second], axis=1)


def _sigmoid(answers: Answers) -> Answers:
    return _softmax(np.concatenate([np.zeros_like(answers), answers], axis=1))


KINDS: Mapping[str, Callable[[Answers], Answers]] = {
    PROBABILITIES: lambda answers: answers,
    LOGITS: _softmax,
    SIGMOID: _two,
    SIGMOID_LOGIT: _sigmoid,
}
