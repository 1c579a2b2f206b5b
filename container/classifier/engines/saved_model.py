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
    output_name: str = OUTPUT

    @property
    def width(self) -> int:
        """How many numbers a text is answered with."""
        return int(self.function.structured_outputs[self.output_name].shape[-1])  # type: ignore[attr-defined]

    def predict(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the probabilities, float32[len(texts), labels], of one batch of texts."""
        batch = tf.constant([text.encode("utf-8", "replace") for text in texts], dtype=tf.string)
        probabilities: NDArray[np.float32] = self.function(**{self.input_name: batch})[self.output_name].numpy()
        return probabilities


@dataclass(frozen=True)
class ForeignEngine:
    """A SavedModel of another program; what it answers may be probabilities or logits.

    Attributes:
        engine: What runs it.
        answers_logits: Whether its numbers must be made probabilities.
    """

    engine: SavedModelEngine
    answers_logits: bool

    @property
    def width(self) -> int:
        """How many numbers a text is answered with."""
        return self.engine.width

    def predict(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the probabilities, float32[len(texts), labels], of one batch of texts."""
        answers = np.asarray(self.engine.predict(texts), np.float32)
        if not self.answers_logits:
            return answers
        probabilities: NDArray[np.float32] = tf.nn.softmax(answers).numpy()
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
    model = _loaded(folder)
    function = model.signatures.get(SIGNATURE) if hasattr(model, "signatures") else None
    if function is None or OUTPUT not in function.structured_outputs:
        raise UserError(f"{folder}: the SavedModel has no signature {SIGNATURE!r} with an output {OUTPUT!r}")
    (input_name,) = function.structured_input_signature[1]
    return SavedModelEngine(model, function, input_name)


def load_foreign(folder: Path) -> ForeignEngine:
    """Load a SavedModel of another program: texts in, a number a label out.

    Raises:
        UserError: Its files are broken, or it is not of this kind.
    """
    model = _loaded(folder)
    signatures = dict(getattr(model, "signatures", {}))
    function: Any = signatures.get(SIGNATURE) or next(iter(signatures.values()), None)
    inputs = function.structured_input_signature[1] if function is not None else {}
    outputs = function.structured_outputs if function is not None else {}
    rows = [name for name, spec in outputs.items() if spec.dtype.is_floating and spec.shape.rank == 2 and spec.shape[1]]
    texts = [name for name, spec in inputs.items() if spec.dtype == tf.string and spec.shape.rank == 1]
    if len(texts) != len(inputs) or len(texts) != 1 or not rows:
        raise UserError(
            f"{folder}: not a text classifier: its signature {SIGNATURE!r} must take string[batch] alone and answer "
            "float[batch, labels]"
        )
    output = OUTPUT if OUTPUT in rows else rows[0]
    engine = SavedModelEngine(model, function, texts[0], output)
    answers = engine.predict(["", "It works."])  # what it gives for any texts tells which of the two it gives
    return ForeignEngine(engine, not (np.all(answers >= 0) and np.allclose(answers.sum(axis=1), 1, atol=1e-3)))


def _loaded(folder: Path) -> Any:
    try:
        return tf.saved_model.load(str(folder))
    except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
        raise UserError(f"{folder}: the SavedModel does not load ({type(error).__name__}); copy it again") from error
