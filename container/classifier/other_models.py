"""Messages on folders without a model: the files of other programs in them, and what to do with these."""

import fnmatch
from collections.abc import Mapping

from classifier import model_folders
from classifier.errors import UserError
from classifier.label_files import LABELS_FILE
from classifier.model_folders import SAVED_MODEL, Searched

_SHOWN = 10
_TEXTS_IN = (
    f"a TensorFlow SavedModel that takes texts (string[batch]) and returns one number per label, with {LABELS_FILE} "
    "beside it"
)
_OR_TRAIN = f"export it as {_TEXTS_IN}, or train a model here on the same rows"

HUGGING_FACE = ("*.safetensors", "pytorch_model*.bin", "tf_model*.h5")
CONFIG_FILE = "config.json"
_HUGGING_FACE_WORDS = (
    "a Hugging Face checkpoint, which can't be served as it is; train with its folder on the `model` channel "
    "(config.json, vocab.txt and model.safetensors of a BERT, DistilBERT or ELECTRA), and deploy the model.tar.gz of "
    "that job"
)
_KERAS_WORDS = (
    "a Keras model; export it with the version of Keras that wrote it, keras.models.load_model(FILE).export('1'), and "
    f"deploy the folder 1 in its place, if it is {_TEXTS_IN}"
)
# Patterns of file names, and what such a file is and what to do with it; the first match counts.
OTHERS: Mapping[str, str] = {
    "adapter_config.json": (
        "part of an adapter without its model; merge it into the checkpoint (merge_and_unload in PEFT), and train with "
        "that on the `model` channel"
    ),
    "*.weights.h5": (
        "a file of Keras weights without their network; build the model as its program does, then call "
        f"model.load_weights(FILE) and model.export('1'), and deploy the folder 1 in its place, if it is {_TEXTS_IN}"
    ),
    "*.keras": _KERAS_WORDS,
    "*.h5": _KERAS_WORDS,
    "*.hdf5": _KERAS_WORDS,
    "saved_model.pbtxt": f"a SavedModel written as text; save it again as {SAVED_MODEL}",
    "variables": f"part of a SavedModel without its {SAVED_MODEL}; copy the complete SavedModel",
    "*.tflite": f"a TensorFlow Lite model; {_OR_TRAIN}",
    "*.ckpt*": f"a TensorFlow checkpoint, weights without their network; {_OR_TRAIN}",
    "*.pb": f"a TensorFlow graph that is not a SavedModel; {_OR_TRAIN}",
    "*.onnx": f"an ONNX model; {_OR_TRAIN}",
    "*.gguf": f"a llama.cpp model; {_OR_TRAIN}",
    "*.pt": f"a PyTorch model; {_OR_TRAIN}",
    "*.pth": f"a PyTorch model; {_OR_TRAIN}",
    "*.mar": f"a TorchServe archive; {_OR_TRAIN}",
    "*.safetensors": f"a file of weights without their network; {_OR_TRAIN}",
    "*.bin": f"a fastText model, or weights without their network; {_OR_TRAIN}",
    "*.ftz": f"a fastText model; {_OR_TRAIN}",
    "*.pkl": f"a pickled model, for example of scikit-learn; {_OR_TRAIN}",
    "*.pickle": f"a pickled model, for example of scikit-learn; {_OR_TRAIN}",
    "*.joblib": f"a pickled model, for example of scikit-learn; {_OR_TRAIN}",
    "xgboost-model*": f"an XGBoost model; {_OR_TRAIN}",
    **dict.fromkeys(
        ("*.tar.gz", "*.tgz", "*.tar", "*.zip"),
        "an archive inside the model folder; unpack it there, or archive its contents instead",
    ),
}


def refusal(searched: Searched, manifest: str) -> UserError:
    """Return the error for a folder without a model.

    Args:
        searched: The contents of the folder.
        manifest: The name of the manifest of this image's models.
    """
    folder = searched.folder
    if searched.unreadable:
        return UserError(model_folders.may_not_read(searched.unreadable, folder))
    name, words = _recognised(searched)
    if name:
        return UserError(f"{folder}: no model; {name} is {words}")
    names = ", ".join(sorted(searched.contents[folder])[:_SHOWN]) or "nothing"
    nothing = (
        f"{folder}: no model (it holds {names}); deploy the files of the model.tar.gz that training wrote, which "
        f"include {manifest}, or {_TEXTS_IN}"
    )
    return UserError([nothing, *model_folders.code_notes(searched)])


def _recognised(searched: Searched) -> tuple[str, str]:
    """Return the name of the first known file, and the message on it; "" and "" without one."""
    checkpoints = {folder: names for folder, names in searched.contents.items() if CONFIG_FILE in names}
    for contents, patterns in (
        (checkpoints, dict.fromkeys(HUGGING_FACE, _HUGGING_FACE_WORDS)),
        (searched.contents, OTHERS),
    ):
        for pattern, words in patterns.items():
            for folder, names in contents.items():
                for name in fnmatch.filter(sorted(names), pattern):
                    return model_folders.name_in(folder / name, searched.folder), words
    return "", ""
