"""The network that is trained: an encoder, dropout, and a dense layer with an L2 penalty."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray

from classifier.encoders import Encoder
from classifier.encoders.dropout import Dropout
from classifier.hyperparameters import Hyperparameters
from classifier.training import evaluate
from classifier.training.warm_start import TopLayer


def build_head(labels: int, settings: Hyperparameters, kept: TopLayer | None = None) -> Any:
    """Make the top layer: float32[batch, width] to logits float32[batch, labels].

    Args:
        labels: How many labels there are.
        settings: The job's hyperparameters.
        kept: Weights for the first labels; the others' are new.
    """
    dense = tf_keras.layers.Dense(
        labels,
        kernel_initializer=tf_keras.initializers.GlorotUniform(seed=settings.seed),
        kernel_regularizer=tf_keras.regularizers.L2(settings.regularizers_l2),
        dtype="float32",
        name="dense",
    )
    head = tf_keras.Sequential([Dropout(settings.dropout_rate, settings.seed, dtype="float32"), dense], name="head")
    if kept is not None:
        head.build([None, len(kept.kernel)])
        known = kept.kernel.shape[1]
        kernel, bias = dense.get_weights()
        kernel[:, :known], bias[:known] = kept.kernel, kept.bias
        dense.set_weights([kernel, bias])
    return head


class Classifier(tf_keras.Model):  # type: ignore[misc]
    """What an encoder's layer reads, to logits float32[batch, labels]."""

    def __init__(self, encoder: Encoder, head: Any) -> None:
        super().__init__(name="classifier")
        self.encoder = encoder.layer
        self.head = head

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Encode and classify."""
        return self.head(self.encoder(inputs, training=training), training=training)


@dataclass(frozen=True)
class Network:
    """A classifier and its two parts.

    Attributes:
        encoder: The encoder.
        head: The top layer.
        whole: Both, from what the encoder's layer reads to logits; its variables are built.
    """

    encoder: Encoder
    head: Any
    whole: Classifier

    @cached_property
    def answers(self) -> evaluate.Answers:
        """The network as it answers outside of training; made once, for to make it takes a second."""
        vectors = tf.TensorSpec([None, self.head.layers[-1].kernel.shape[0]], tf.float32)
        encode = evaluate.compiled(self.encoder.layer, self.encoder.preprocessor.signature)
        return evaluate.Answers(encode, evaluate.compiled(self.head, vectors))


def assemble(encoder: Encoder, head: Any) -> Network:
    """Put a classifier together."""
    whole = Classifier(encoder, head)
    signature = encoder.preprocessor.signature
    whole(tf.zeros([size or 1 for size in signature.shape], signature.dtype))
    return Network(encoder, head, whole)


def learning_rate_multipliers(layer: Any, decay: float) -> list[tuple[tf.Variable, float]]:
    """Give each of an encoder's variables its share of the learning rate: less, the deeper its layer lies.

    After Howard and Ruder, "Universal Language Model Fine-tuning for Text Classification" (2018).

    Args:
        layer: The encoder's layer; its ``stages``, if it has them, are its parts from the texts upwards.
        decay: The share that each part has of the one above it; the topmost has it of the top layer's.
    """
    stages = list(getattr(layer, "stages", [layer]))
    return [
        (variable, decay ** (len(stages) - number))
        for number, stage in enumerate(stages)
        for variable in stage.trainable_variables
    ]


def parameters(model: Any) -> int:
    """Count a model's trainable numbers."""
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn logits [rows, labels] into probabilities of the same shape."""
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: NDArray[np.float32] = exponents / exponents.sum(axis=1, keepdims=True)
    return probabilities
