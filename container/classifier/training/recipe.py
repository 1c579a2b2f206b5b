"""How a whole transformer is fine-tuned where the job does not say: by its width, and the numbers of rows and labels.

The values were chosen on validation rows; "What was tried" in ``docs/results.md`` has the measurements. A value that a
job gives is used, and a model of this image that is trained further keeps the general defaults.
"""

import logging
import math
from dataclasses import dataclass, replace

from classifier.encoders import architectures
from classifier.encoders.resolve import EncoderFiles
from classifier.hyperparameters import SCHEMA, Hyperparameters
from classifier.hyperparameters.schema import (
    ADAMS,
    FEWEST_EPOCHS,
    NARROW_LEARNING_RATE,
    WHOLE_NETWORK_LEARNING_RATE,
    WIDEST_NARROW,
)

log = logging.getLogger(__name__)

FAMILY = "bert"  # of the encoders that were measured
# From so many on, a solved top layer is a better start than random numbers, and an encoder between the pre-trained and
# the fine-tuned one is tried.
MANY_LABELS = 20
# Of the training rows, for each epoch: the encoder runs over them for 8 % of the time that training takes.
SHARE_ENCODED = 0.25
ROWS_OF_A_RUN = 12_000  # seen in all epochs together, as far as the fewest and the most epochs allow
# Whoever gives one of these has a recipe of their own, whose other values are left as they are.
OF_THE_LEARNING_RATE = frozenset({"learning_rate", "epoch_factor", "power_decay"})
OF_THE_TOP_LAYER = frozenset({"dropout_rate", "regularizers_l2", "label_smoothing"})
OF_THE_EPOCHS = frozenset({"epochs", "early_stopping", "early_stopping_patience", "early_stopping_min_delta"})


@dataclass(frozen=True)
class Recipe:
    """How a job's network is fine-tuned.

    Attributes:
        hyperparameters: The job's hyperparameters, with the number of epochs chosen.
        learning_rate: The peak of the default learning rate of a whole transformer.
        share_encoded: The share of the training rows on whose vectors the top layer is solved, from which it starts; 0
            if it starts from random numbers.
        interpolated: Whether an encoder between the pre-trained and the fine-tuned one is tried.
    """

    hyperparameters: Hyperparameters
    learning_rate: float = WHOLE_NETWORK_LEARNING_RATE
    share_encoded: float = 0.0
    interpolated: bool = False

    @property
    def decisive(self) -> tuple[object, ...]:
        """What affects a run's outcome beside the hyperparameters; nothing where the general defaults hold."""
        usual = Recipe(self.hyperparameters)
        return () if self == usual else (self.learning_rate, self.share_encoded)


def choose(
    files: EncoderFiles | None, rows: int, labels: int, hyperparameters: Hyperparameters, *, further: bool
) -> Recipe:
    """Choose how the job's network is fine-tuned.

    Args:
        files: The encoder's files; None for a network that is trained from scratch.
        rows: The number of training rows of all hosts.
        labels: The number of labels.
        hyperparameters: The job's hyperparameters.
        further: Whether a model of this image is trained further.
    """
    unchanged = Recipe(hyperparameters)
    if files is None or files.family != FAMILY or further or hyperparameters.train_only_top_layer:
        return unchanged
    width = architectures.read(files.folder)[1].width
    given = hyperparameters.given
    if width > WIDEST_NARROW or hyperparameters.optimizer not in ADAMS or given & OF_THE_LEARNING_RATE:
        return unchanged
    chosen = hyperparameters if given & OF_THE_EPOCHS else replace(hyperparameters, epochs=epochs_for(rows))
    many = labels >= MANY_LABELS
    share = SHARE_ENCODED * chosen.epochs if many else 0.0
    recipe = Recipe(chosen, NARROW_LEARNING_RATE, share, interpolated=many and not given & OF_THE_TOP_LAYER)
    log.info(
        "event=recipe epochs=%d learning_rate=%.8f top_layer=%s reason=%r",
        chosen.epochs, recipe.learning_rate, "solved" if recipe.share_encoded else "random",
        f"defaults for an encoder of width {width}, {rows} training rows and {labels} labels",
    )  # fmt: skip
    return recipe


def epochs_for(rows: int) -> int:
    """Return the number of epochs for a number of training rows.

    >>> [epochs_for(rows) for rows in (500, 2_000, 50_000)]
    [10, 6, 3]
    """
    most: int = SCHEMA["epochs"].default
    return min(most, max(FEWEST_EPOCHS, math.ceil(ROWS_OF_A_RUN / rows)))
