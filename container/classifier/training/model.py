"""The network that is trained: an encoder, dropout, and a dense layer with an L2 penalty."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray

from classifier.encoders import Encoder
from classifier.hyperparameters import (
    TOP_LAYER_LEARNING_RATE,
    WHOLE_NETWORK_LEARNING_RATE,
    Hyperparameters,
)

WARM_UP_SHARE = 0.1
WEIGHT_DECAY = 0.01


def build_head(labels: int, settings: Hyperparameters) -> Any:
    """Make the top layer: float32[batch, width] to logits float32[batch, labels]."""
    dense = tf_keras.layers.Dense(
        labels,
        kernel_initializer=tf_keras.initializers.GlorotUniform(seed=settings.seed),
        kernel_regularizer=tf_keras.regularizers.L2(settings.regularizers_l2),
        name="dense",
    )
    return tf_keras.Sequential([tf_keras.layers.Dropout(settings.dropout_rate, seed=settings.seed), dense], name="head")


class Classifier(tf_keras.Model):  # type: ignore[misc]
    """What an encoder's ``tokenize`` gives, to logits float32[batch, labels]."""

    def __init__(self, encoder: Encoder, head: Any) -> None:
        super().__init__(name="classifier")
        self.encoder = encoder.layer
        self.head = head

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Encode and classify."""
        return self.head(self.encoder(inputs, training=training), training=training)


class WarmUpThenLinear(tf_keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """A learning rate that rises linearly over the first steps, then falls linearly to 0 (Devlin et al., 2018)."""

    def __init__(self, peak: float, steps: int) -> None:
        self.peak = peak
        self.steps = steps
        self.warm_up = max(1, round(steps * WARM_UP_SHARE))

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Return the learning rate, float32[], of a step counted from 0."""
        done = tf.cast(step, tf.float32)
        rising = (done + 1.0) / self.warm_up
        falling = (self.steps - done) / max(1, self.steps - self.warm_up)
        return self.peak * tf.maximum(tf.minimum(rising, falling), 0.0)

    def get_config(self) -> dict[str, float]:
        """Return the arguments that make the same schedule."""
        return {"peak": self.peak, "steps": self.steps}


@dataclass(frozen=True)
class LearningRate:
    """How large the steps are.

    Attributes:
        peak: The learning rate, at its highest.
        scheduled: Whether it is warmed up and then lowered to 0.
        reason: Where it comes from, for the log.
    """

    peak: float
    scheduled: bool
    reason: str


def choose_learning_rate(settings: Hyperparameters, *, transformer: bool) -> LearningRate:
    """Take the learning rate given, or else the one for what is trained.

    Args:
        settings: The job's hyperparameters.
        transformer: Whether a transformer's weights are among what is trained; they bear small steps only.
    """
    always = settings.optimizer == "adamw"
    if settings.learning_rate is not None:
        return LearningRate(settings.learning_rate, always, "given")
    if transformer:
        return LearningRate(WHOLE_NETWORK_LEARNING_RATE, True, "default for a whole transformer")
    return LearningRate(TOP_LAYER_LEARNING_RATE, always, "default for a top layer and for word vectors")


def build_optimizer(name: str, rate: LearningRate, steps: int) -> Any:
    """Make the optimizer for a run of so many steps."""
    optimizer = _OPTIMIZERS[name](WarmUpThenLinear(rate.peak, steps) if rate.scheduled else rate.peak)
    if name == "adamw":
        optimizer.exclude_from_weight_decay(var_names=["bias", "norm"])
    return optimizer


_OPTIMIZERS = {
    "adam": tf_keras.optimizers.Adam,
    "adamw": lambda rate: tf_keras.optimizers.AdamW(rate, weight_decay=WEIGHT_DECAY),
    "sgd": lambda rate: tf_keras.optimizers.SGD(rate, momentum=0.9),
}


def parameters(model: Any) -> int:
    """Count a model's trainable numbers."""
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn logits [rows, labels] into probabilities of the same shape."""
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: NDArray[np.float32] = exponents / exponents.sum(axis=1, keepdims=True)
    return probabilities
