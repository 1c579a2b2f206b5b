"""Runs a TensorFlow SavedModel that takes strings and answers probabilities."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  registers the operations that tokenize
from numpy.typing import NDArray

from classifier.errors import UserError

SIGNATURE = "serving_default"
OUTPUT = "probabilities"


@dataclass(frozen=True)
class SavedModelEngine:
    """A loaded SavedModel.

    Attributes:
        model: The loaded object; it owns the variables the function uses.
        function: Its serving signature.
        input_name: The name of the signature's one argument.
    """

    model: Any
    function: Callable[..., dict[str, tf.Tensor]]
    input_name: str

    def predict(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the probabilities, float32[len(texts), labels], of one batch of texts."""
        batch = tf.constant([text.encode("utf-8", "replace") for text in texts], dtype=tf.string)
        probabilities: NDArray[np.float32] = self.function(**{self.input_name: batch})[OUTPUT].numpy()
        return probabilities


def set_threads(count: int) -> None:
    """Let TensorFlow compute with this many threads; must come before its first operation."""
    tf.config.threading.set_intra_op_parallelism_threads(count)
    tf.config.threading.set_inter_op_parallelism_threads(count)
    for device in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(device, True)


def load(folder: Path) -> SavedModelEngine:
    """Load a SavedModel.

    Raises:
        UserError: Its files are broken, or it has no signature from strings to probabilities.
    """
    try:
        model = tf.saved_model.load(str(folder))
    except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
        raise UserError(f"{folder}: the SavedModel does not load ({type(error).__name__}); copy it again") from error
    function = model.signatures.get(SIGNATURE) if hasattr(model, "signatures") else None
    if function is None or OUTPUT not in function.structured_outputs:
        raise UserError(f"{folder}: the SavedModel has no signature {SIGNATURE!r} with an output {OUTPUT!r}")
    (input_name,) = function.structured_input_signature[1]
    return SavedModelEngine(model, function, input_name)
