"""What is said of a folder without a model: which other program's files there are, and what to do with them."""

import fnmatch
from collections.abc import Mapping

from classifier import model_folders
from classifier.errors import UserError
from classifier.label_files import LABELS_FILE
from classifier.model_folders import SAVED_MODEL, Searched

_SHOWN = 10
_TEXTS_IN = (
    f"a SavedModel of TensorFlow that takes texts itself (string[batch]) and answers a number per label, with "
    f"{LABELS_FILE} beside it"
)
_OR_TRAIN = f"what is served is {_TEXTS_IN}; export it as one, or train here on the same rows"

HUGGING_FACE = ("*.safetensors", "pytorch_model*.bin", "tf_model*.h5")
CONFIG_FILE = "config.json"
_HUGGING_FACE_WORDS = (
    "a Hugging Face checkpoint, which is not served as it is; give its folder to `train` on the `model` channel "
    "(config.json, vocab.txt and model.safetensors of a BERT, DistilBERT or ELECTRA), and deploy the model.tar.gz of "
    "that job"
)
_KERAS_WORDS = (
    "a file of Keras; with the Keras that wrote it, keras.models.load_model(FILE).export('1'), and deploy the folder 1 "
    f"in its place, if it is {_TEXTS_IN}"
)
# The first of these patterns that a file's name matches says what it is, and what to do.
OTHERS: Mapping[str, str] = {
    "adapter_config.json": (
        "of an adapter without its model; merge it into the checkpoint (in PEFT merge_and_unload), and give that to "
        "`train` on the `model` channel"
    ),
    "*.weights.h5": (
        "weights of Keras without their network; make the model as its program does, then model.load_weights(FILE) and "
        f"model.export('1'), and deploy the folder 1 in its place, if it is {_TEXTS_IN}"
    ),
    "*.keras": _KERAS_WORDS,
    "*.h5": _KERAS_WORDS,
    "*.hdf5": _KERAS_WORDS,
    "saved_model.pbtxt": f"a SavedModel written as text; save it again as {SAVED_MODEL}",
    "variables": f"of a SavedModel without its {SAVED_MODEL}; copy it again, whole",
    "*.tflite": f"a model of TensorFlow Lite; {_OR_TRAIN}",
    "*.ckpt*": f"a checkpoint of TensorFlow, weights without their network; {_OR_TRAIN}",
    "*.pb": f"a graph of TensorFlow that is no SavedModel; {_OR_TRAIN}",
    "*.onnx": f"a model of ONNX; {_OR_TRAIN}",
    "*.gguf": f"a model of llama.cpp; {_OR_TRAIN}",
    "*.pt": f"a model of PyTorch; {_OR_TRAIN}",
    "*.pth": f"a model of PyTorch; {_OR_TRAIN}",
    "*.mar": f"an archive of TorchServe; {_OR_TRAIN}",
    "*.safetensors": f"weights without their network; {_OR_TRAIN}",
    "*.bin": f"a model of fastText, or weights without their network; {_OR_TRAIN}",
    "*.ftz": f"a model of fastText; {_OR_TRAIN}",
    "*.pkl": f"a pickled model, as of scikit-learn; {_OR_TRAIN}",
    "*.pickle": f"a pickled model, as of scikit-learn; {_OR_TRAIN}",
    "*.joblib": f"a pickled model, as of scikit-learn; {_OR_TRAIN}",
    "xgboost-model*": f"a model of XGBoost; {_OR_TRAIN}",
    **dict.fromkeys(
        ("*.tar.gz", "*.tgz", "*.tar", "*.zip"),
        "an archive within the model folder; unpack it there, or, in an archive of its own, pack its content instead",
    ),
}


def refusal(searched: Searched, manifest: str) -> UserError:
    """Return the refusal of a folder without a model.

    Args:
        searched: What there is.
        manifest: The name of the file that a model of this image has.
    """
    folder = searched.folder
    if searched.unreadable:
        return UserError(model_folders.may_not_read(searched.unreadable, folder))
    name, words = _recognised(searched)
    if name:
        return UserError(f"{folder}: no model; {name} is {words}")
    names = ", ".join(sorted(searched.contents[folder])[:_SHOWN]) or "nothing"
    nothing = (
        f"{folder}: no model ({names} in it); it takes the files of the model.tar.gz that training wrote, {manifest} "
        f"among them, or {_TEXTS_IN}"
    )
    return UserError([nothing, *model_folders.code_notes(searched)])


def _recognised(searched: Searched) -> tuple[str, str]:
    """Return the first file that is known, and what is said of it; nothing of either, where there is none."""
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
