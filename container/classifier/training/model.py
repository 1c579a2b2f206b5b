"""The network that is trained: an encoder, dropout, and a dense layer with L2 regularization."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray

from classifier.encoders import Encoder
from classifier.encoders.dropout import Dropout
from classifier.encoders.ngrams import NgramLayer
from classifier.hyperparameters import Hyperparameters
from classifier.training import evaluate
from classifier.training.warm_start import TopLayerWeights


def build_head(labels: int, hyperparameters: Hyperparameters, kept: TopLayerWeights | None = None) -> Any:
    """Build the top layer, which maps vectors, float32[batch, width], to logits, float32[batch, labels].

    Args:
        labels: The number of labels.
        hyperparameters: The job's hyperparameters.
        kept: Trained weights of the first labels; those of further labels are initialized at random.
    """
    dense = tf_keras.layers.Dense(
        labels,
        kernel_initializer=tf_keras.initializers.GlorotUniform(seed=hyperparameters.seed),
        kernel_regularizer=tf_keras.regularizers.L2(hyperparameters.regularizers_l2),
        dtype="float32",
        name="dense",
    )
    head = tf_keras.Sequential(
        [Dropout(hyperparameters.dropout_rate, hyperparameters.seed, dtype="float32"), dense], name="head"
    )
    if kept is not None:
        head.build([None, len(kept.kernel)])
        known = kept.kernel.shape[1]
        kernel, bias = dense.get_weights()
        kernel[:, :known], bias[:known] = kept.kernel, kept.bias
        dense.set_weights([kernel, bias])
    return head


class Classifier(tf_keras.Model):  # type: ignore[misc]
    """A model that maps the inputs of an encoder's layer to logits, float32[batch, labels]."""

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
        whole: Both as one model, from the inputs of the encoder's layer to logits; its variables are built.
        ngrams: The layer whose logits are added to those of the top layer once that is trained; None without one.
        temperature: What the sum of the logits is divided by once the network is calibrated.
    """

    encoder: Encoder
    head: Any
    whole: Classifier
    ngrams: NgramLayer | None = None
    temperature: float = 1.0

    @cached_property
    def inference(self) -> evaluate.Inference:
        """The network in inference mode; cached, as tracing takes a second."""
        vectors = tf.TensorSpec([None, self.head.layers[-1].kernel.shape[0]], tf.float32)
        signature = self.encoder.preprocessor.signature
        encode, classify = evaluate.compiled(self.encoder.layer, signature), evaluate.compiled(self.head, vectors)
        ngrams = evaluate.compiled(self.ngrams, signature) if self.ngrams else None
        return evaluate.Inference(encode, classify, ngrams, self.temperature)

    def with_ngrams(self, ngrams: NgramLayer | None) -> "Network":
        """Return the network with another layer for n-grams."""
        return replace(self, ngrams=ngrams)


def assemble(encoder: Encoder, head: Any) -> Network:
    """Build a classifier from an encoder and a top layer."""
    whole = Classifier(encoder, head)
    signature = encoder.preprocessor.signature
    whole(tf.zeros([size or 1 for size in signature.shape], signature.dtype))
    return Network(encoder, head, whole)


def learning_rate_multipliers(layer: Any, decay: float) -> list[tuple[tf.Variable, float]]:
    """Return the learning-rate multiplier of each of an encoder's variables: the lower its layer, the smaller.

    Source: Howard and Ruder, "Universal Language Model Fine-tuning for Text Classification" (2018).

    Args:
        layer: The encoder's layer; its ``stages``, if it has them, are its parts from the input upwards.
        decay: The ratio of each stage's multiplier to that of the stage above it; the top layer's is 1.
    """
    stages = list(getattr(layer, "stages", [layer]))
    return [
        (variable, decay ** (len(stages) - number))
        for number, stage in enumerate(stages)
        for variable in stage.trainable_variables
    ]


def parameters(model: Any) -> int:
    """Return the number of a model's trainable parameters."""
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the probabilities of logits, both float32[rows, labels]."""
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: NDArray[np.float32] = exponents / exponents.sum(axis=1, keepdims=True)
    return probabilities
