"""How faithful explanations are, and what they cost: `python tools/explanations.py SET=JOB ...`.

JOB is the folder of a finished job on texts of SET, whose test rows are read from SET/test/data.csv below the folder
DATA, by default `../shared/data/text`. Words are removed from each text, the most important first, and the probability
of the text's label is followed: the lower it is on average (the area under this curve), the better the words were
chosen. Prints a table for `docs/evaluation.md`.
"""

import csv
import random
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from local_run import ROOT
from results import DATA

sys.path.insert(0, str(ROOT / "container"))

from classifier import artifact, explanation, predictor
from classifier.backends import Computing
from classifier.backends.choice import FLOAT32
from classifier.explanation import Span
from classifier.predictor import Predictor

ROWS = 200
LEAST_WORDS = 3
SUBSETS = 64
STEPS = 16
FRACTIONS = np.linspace(0, 1, 11)
SEED = 123
WARM_UP = 5  # texts; the first calls prepare what is kept


@dataclass(frozen=True)
class Subject:
    """A text whose words are weighed.

    Attributes:
        text: The text.
        words: Its words.
        probabilities: Its probabilities, float32[labels].
    """

    text: str
    words: Sequence[Span]
    probabilities: NDArray[np.float32]

    @property
    def label(self) -> int:
        """The index of its label."""
        return int(self.probabilities.argmax())

    def without(self, left_out: Collection[int]) -> str:
        """Return the text without the words of these indices."""
        text = self.text
        for index in sorted(left_out, reverse=True):
            start, end = self.words[index]
            text = text[:start] + text[end:]
        return text


Weigh = Callable[[Subject], NDArray[Any]]
"""Returns the weight of each word, float[words]."""


def occlusion(model: Predictor, subject: Subject) -> NDArray[Any]:
    """Leave out each word in turn, as `;explain` does."""
    found = explanation.explain(subject.text, subject.words, subject.probabilities, model.predict)
    return np.array([word.weight for word in found])


def windows(model: Predictor, subject: Subject) -> NDArray[Any]:
    """Leave out each two neighbours; a word has the mean of its windows."""
    count = len(subject.words)
    pairs = [[index for index in (first - 1, first) if 0 <= index < count] for first in range(count + 1)]
    drops = _drops(model, subject, [subject.without(pair) for pair in pairs])
    weights: NDArray[Any] = (drops[:-1] + drops[1:]) / 2
    return weights


def subsets(model: Predictor, subject: Subject) -> NDArray[Any]:
    """Leave out random halves of the words, and fit a linear model to the probabilities, as LIME does."""
    masks = np.random.default_rng(SEED).integers(0, 2, (SUBSETS, len(subject.words)))
    drops = _drops(model, subject, [subject.without(np.flatnonzero(mask)) for mask in masks])
    design = np.column_stack([masks, np.ones(SUBSETS)])
    weights: NDArray[Any] = np.linalg.solve(design.T @ design + np.eye(design.shape[1]), design.T @ drops)
    return weights[:-1]


def _drops(model: Predictor, subject: Subject, texts: Sequence[str]) -> NDArray[Any]:
    drops: NDArray[Any] = subject.probabilities[subject.label] - model.predict(texts)[:, subject.label]
    return drops


def gradients(folder: Path) -> Weigh:
    """Integrate the gradients of the label's logit from no embedding to each token's (Sundararajan et al., 2017).

    Only the network of an encoder of word pieces is explained: n-grams beside it have no gradient.
    """
    import tensorflow as tf  # noqa: PLC0415  the other methods do without
    from safetensors.numpy import load_file  # noqa: PLC0415
    from tokenizers import Tokenizer  # noqa: PLC0415

    from classifier.encoders import bert  # noqa: PLC0415

    network = bert.load(folder / artifact.ENCODER_FOLDER, "explained", 512).layer
    head = load_file(folder / artifact.HEAD_FILE)
    tokenizer = Tokenizer.from_file(str(folder / "openvino" / "tokenizer.json"))
    embeddings = network.embeddings

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def of_tokens(token_ids: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
        words = tf.gather(embeddings.word, token_ids)
        shares = tf.reshape((tf.range(STEPS, dtype=tf.float32) + 0.5) / STEPS, [-1, 1, 1])
        with tf.GradientTape() as tape:
            steps = shares * words
            tape.watch(steps)
            hidden = embeddings.layer_norm(steps + embeddings.position[: tf.shape(words)[0]] + embeddings.segment[0])
            for block in network.blocks:
                hidden = block(hidden, tf.zeros([STEPS, 1, 1, 1]))
            vectors = network.pool.padded(network, hidden, tf.ones(tf.shape(hidden)[:2]))
            logits = (tf.matmul(vectors, head["kernel"]) + head["bias"])[:, label]
        return tf.reduce_sum(tf.reduce_mean(tape.gradient(logits, steps), axis=0) * words, axis=1)

    def weigh(subject: Subject) -> NDArray[Any]:
        encoded = tokenizer.encode(subject.text)
        weights = of_tokens(tf.constant(encoded.ids, tf.int32), tf.constant(subject.label)).numpy()
        return np.array(
            [
                sum(weight for weight, (first, last) in zip(weights, encoded.offsets, strict=True)
                    if first < last and start <= first < end)
                for start, end in subject.words
            ]
        )  # fmt: skip

    return weigh


def area(model: Predictor, subject: Subject, weights: NDArray[Any]) -> float:
    """Return the mean probability of the label while the words are removed, the heaviest first, from 0 to 1."""
    order = np.argsort(-weights, kind="stable")
    texts = [subject.without(order[:count]) for count in range(len(order) + 1)]
    probabilities = model.predict(texts)[:, subject.label]
    return float(np.interp(FRACTIONS, np.arange(len(texts)) / len(order), probabilities).mean())


def subjects(model: Predictor, name: str) -> list[Subject]:
    """Return test rows of a set, drawn at random among those with some words."""

    def words_of(text: str) -> list[Span]:
        return explanation.spans(text, lambda part: bytes(model.encode([part])[0].content))

    with (DATA / name / "test" / "data.csv").open(encoding="utf-8", newline="") as file:
        texts = [text for _, text in csv.reader(file)]
    texts = [text for text in texts if len(words_of(text)) >= LEAST_WORDS]
    drawn = random.Random(SEED).sample(texts, min(ROWS, len(texts)))  # noqa: S311  not a secret
    return [Subject(text, words_of(text), row) for text, row in zip(drawn, model.predict(drawn), strict=True)]


def measured(name: str, folder: Path) -> list[str]:
    """Return the lines of the table of one job."""
    model = predictor.load(folder, Computing(FLOAT32, threads=2))
    shuffled = np.random.default_rng(SEED)
    methods: Mapping[str, Weigh] = {
        "random order": lambda subject: shuffled.random(len(subject.words)),
        "each word left out": lambda subject: occlusion(model, subject),
        "each two neighbours left out": lambda subject: windows(model, subject),
        f"{SUBSETS} random halves left out": lambda subject: subsets(model, subject),
        f"integrated gradients, {STEPS} steps": gradients(folder),
    }
    asked = subjects(model, name)
    lines = []
    for method, weigh in methods.items():
        for subject in asked[:WARM_UP]:
            weigh(subject)
        areas, seconds = [], 0.0
        for subject in asked:
            start = time.process_time()
            weights = weigh(subject)
            seconds += time.process_time() - start
            areas.append(area(model, subject, weights))
        error = np.std(areas) / np.sqrt(len(areas))
        lines.append(f"| {name} | {method} | {np.mean(areas):.3f} ± {error:.3f} | {1000 * seconds / len(asked):.1f} |")
    return lines


def main() -> int:
    """Print the table."""
    jobs = [argument.partition("=") for argument in sys.argv[1:]]
    sys.stdout.write("| set | words chosen by | area | CPU milliseconds per text |\n|---|---|---|---|\n")
    for name, _, job in jobs:
        sys.stdout.write("\n".join(measured(name, Path(job) / "model")) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
