"""SavedModels of TensorFlow Hub: how they are loaded, trained as a layer, and what their call takes."""

import warnings
from pathlib import Path
from typing import Any

import tensorflow as tf

from classifier.errors import UserError

with warnings.catch_warnings():  # it imports pkg_resources, which says that it will go; setuptools is pinned for it
    warnings.simplefilter("ignore", UserWarning)
    import tensorflow_hub


def load(path: Path, where: str) -> Any:
    """Load a SavedModel.

    Args:
        path: Its folder.
        where: What messages call it.

    Raises:
        UserError: It doesn't load.
    """
    try:
        return tensorflow_hub.load(str(path))
    except (OSError, ValueError, tf.errors.OpError) as error:
        reason = type(error).__name__
        raise UserError(f"{where}: not a SavedModel that loads ({reason}); copy it again") from error


def layer_of(loaded: Any) -> Any:
    """Return the tf_keras layer, trainable, of a loaded SavedModel."""
    return tensorflow_hub.KerasLayer(loaded, trainable=True)


def inputs_of(loaded: Any, where: str) -> Any:
    """Return the first argument of a SavedModel's call: a ``tf.TensorSpec``, or a dict of them.

    Raises:
        UserError: It can't be called.
    """
    functions = loaded.__call__.concrete_functions if callable(loaded) else None
    if not functions:
        raise UserError(f"{where}: a SavedModel without a call of its own (TF1 Hub format?); use a TF2 one")
    (inputs, *_), _ = functions[0].structured_input_signature
    return inputs
