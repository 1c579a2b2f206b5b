"""The hyperparameters: one table that is the parser, the documentation and SageMaker's specification.

Names, ranges and defaults are those of AWS's built-in algorithm "Text Classification - TensorFlow" wherever both have
the same one (SageMaker developer guide, "Text Classification - TensorFlow Hyperparameters").
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from classifier import DEFAULT_ENCODER, IMAGE, MODALITY_NAMES, TEXT
from classifier.kinds import Kind, boolean, choice, integer, number, text

WHOLE_NETWORK_LEARNING_RATE = 3e-5
TOP_LAYER_LEARNING_RATE = 1e-3
FROM_SCRATCH = ("cnn", "lstm")  # the values of model_id that train a network of their own
ADAMS = ("adam", "adamw")


@dataclass(frozen=True)
class Hyperparameter:
    """One line of the table.

    Attributes:
        kind: What a value must be.
        default: The value when none is given; None means that another value decides, as ``default_in_words`` says.
        meaning: A sentence for the documentation.
        default_in_words: How the documentation shows a default of None.
        aliases: Other names of the same thing. Of every name, dashes may stand for underscores.
        alias_kinds: Other names that have other values, and what those are.
        modality: The one it is for; empty where it is for all.
        used_with: Another hyperparameter and the values of it with which this one matters; empty where it always does.
        when: In words, when it matters, where ``used_with`` can't say it.
        idle: Of all values, whether it does nothing, and why; where ``used_with`` can't say it.
        tunable: Whether a tuning job may search it.
    """

    kind: Kind
    default: Any
    meaning: str
    default_in_words: str = ""
    aliases: tuple[str, ...] = ()
    alias_kinds: Mapping[str, Kind] = field(default_factory=dict)
    modality: str = ""
    used_with: tuple[str, tuple[Any, ...]] | None = None
    when: str = ""
    idle: tuple[Callable[[Mapping[str, Any]], bool], str] | None = None
    tunable: bool = False


def hyperparameter(kind: Kind, default: Any, meaning: str, default_in_words: str = "", **more: Any) -> Any:
    """Return a dataclass's field that a job sets; ``more`` are the further attributes of :class:`Hyperparameter`."""
    return field(metadata={"hyperparameter": Hyperparameter(kind, default, meaning, default_in_words, **more)})


@dataclass(frozen=True)
class BuiltIn:
    """The hyperparameters that the built-in algorithm has, too."""

    epochs: int = hyperparameter(
        integer(1, 1000), 10, "Passes over the training rows.", aliases=("num_epoch",), tunable=True
    )
    batch_size: int = hyperparameter(
        integer(1, 1024),
        32,
        "Rows in one training step, over all GPUs and hosts together.",
        aliases=("batch-size",),
        tunable=True,
    )
    learning_rate: float | None = hyperparameter(
        number(0, 1),
        None,
        "Step size. Given, it stays the same throughout (but see `adamw` and `epoch_factor`).",
        f"{WHOLE_NETWORK_LEARNING_RATE:.0e} for a whole transformer, warmed up over `warmup_steps_fraction` of the "
        f"steps and then lowered to 0; {TOP_LAYER_LEARNING_RATE:g} for the top layer only, for word vectors, `cnn` and "
        "`lstm`; 0.01 for the top layer of images, with `encoder_learning_rate_decay=0.003`",
        aliases=("adam-learning-rate", "lr"),
        tunable=True,
    )
    optimizer: str = hyperparameter(
        choice("adam", "adamw", "sgd", "nesterov", "rmsprop", "adagrad", "adadelta"),
        "adam",
        "`adamw` decays weights by 0.01 and always warms up and lowers the learning rate; `nesterov` is `sgd` with "
        "Nesterov's momentum.",
        tunable=True,
    )
    beta_1: float = hyperparameter(
        number(0, 1, below_high=True),
        0.9,
        "Decay of the mean of gradients.",
        used_with=("optimizer", ADAMS),
        tunable=True,
    )
    beta_2: float = hyperparameter(
        number(0, 1, below_high=True),
        0.999,
        "Decay of the mean of squared gradients.",
        used_with=("optimizer", ADAMS),
        tunable=True,
    )
    epsilon: float = hyperparameter(
        number(0, 1),
        1e-7,
        "Keeps divisions by small numbers finite.",
        aliases=("eps",),
        used_with=("optimizer", (*ADAMS, "rmsprop", "adagrad", "adadelta")),
        tunable=True,
    )
    momentum: float = hyperparameter(
        number(0, 1),
        0.9,
        "Share of the last step in the next.",
        used_with=("optimizer", ("sgd", "nesterov")),
        tunable=True,
    )
    rho: float = hyperparameter(
        number(0, 1),
        0.95,
        "Decay of the mean of squared gradients.",
        used_with=("optimizer", ("rmsprop", "adadelta")),
        tunable=True,
    )
    initial_accumulator_value: float = hyperparameter(
        number(0, 1),
        1e-4,
        "First value of the sums of squared gradients.",
        used_with=("optimizer", ("adagrad",)),
        tunable=True,
    )
    warmup_steps_fraction: float = hyperparameter(
        number(0, 1),
        0.1,
        "Share of all steps over which the learning rate rises.",
        when="`adamw`; and where `learning_rate` is left to its default for a whole transformer",
        idle=(
            lambda chosen: (
                chosen["optimizer"] != "adamw"
                and (chosen["learning_rate"] is not None or chosen["train_only_top_layer"])
            ),
            "the learning rate is not warmed up",
        ),
        tunable=True,
    )
    early_stopping: bool = hyperparameter(
        boolean(), False, "End when `eval_metric` has stopped rising. The best epoch is kept in any case."
    )
    early_stopping_patience: int = hyperparameter(
        integer(1, 1000), 5, "Epochs in a row without a rise before the end.", used_with=("early_stopping", (True,))
    )
    early_stopping_min_delta: float = hyperparameter(
        number(0, 1), 0.0, "How much counts as a rise.", used_with=("early_stopping", (True,))
    )
    dropout_rate: float = hyperparameter(
        number(0, 1),
        0.2,
        "Share of the encoder's outputs dropped before the top layer (and of the word vectors, in `cnn` and `lstm`).",
        aliases=("dropout",),
        tunable=True,
    )
    regularizers_l2: float = hyperparameter(
        number(0, 1), 1e-4, "L2 penalty on the top layer's weights.", aliases=("wd",), tunable=True
    )
    train_only_top_layer: bool = hyperparameter(
        boolean(),
        False,
        "Leave the encoder as it is: far faster, often a little less accurate.",
        aliases=("train_only_on_top_layer", "train-only-top-layer"),
        tunable=True,
    )
    reinitialize_top_layer: str = hyperparameter(
        choice("Auto", "True", "False"),
        "Auto",
        "`Auto` keeps the top layer of a model that this image trained (and adds rows for new labels); `True` begins a "
        "new one; `False` demands one to keep.",
        aliases=("reinitialize-top-layer",),
    )
    validation_split_ratio: float = hyperparameter(
        number(0, 1),
        0.2,
        "Share of the training rows, of each label alike, held out; 0 holds out none. A label keeps a row to learn "
        "from in any case.",
        when="no `validation` channel",
    )


@dataclass(frozen=True)
class Schema(BuiltIn):
    """All hyperparameters; the metadata of a field says what sets it and what it means."""

    model_id: str = hyperparameter(
        text("the name of an encoder"),
        DEFAULT_ENCODER,
        "The encoder: the one in the image, one of [encoders.md](encoders.md) with its files on the `model` channel, "
        "or `cnn` or `lstm`, which begin from nothing. Of images: what is on the `model` channel, or else `cnn`.",
        alias_kinds={"cnn": boolean("cnn", "lstm")},
    )
    max_sequence_length: int = hyperparameter(
        integer(3, 4096),
        256,
        "Tokens of a text that are read; the rest is cut off.",
        aliases=("seq_len",),
        modality=TEXT,
    )
    header: str = hyperparameter(
        choice("auto", "true", "false"),
        "auto",
        "Whether the first row of a table names its columns; `auto` looks whether it does.",
        modality=TEXT,
    )
    delimiter: str = hyperparameter(
        choice(
            "auto",
            "comma",
            "semicolon",
            "tab",
            "bar",
            also={",": "comma", ";": "semicolon", "\\t": "tab", "|": "bar", "pipe": "bar"},
        ),
        "auto",
        "What separates the columns of a table; `auto` looks at its first rows.",
        aliases=("sep", "separator"),
        modality=TEXT,
    )
    class_weights: str = hyperparameter(
        choice("none", "balanced"),
        "none",
        "`balanced` lets every label count alike, however few its rows are.",
        aliases=("class_weight",),
        tunable=True,
    )
    label_smoothing: float = hyperparameter(
        number(0, 1, below_high=True), 0.0, "Share of a target's probability spread over all labels.", tunable=True
    )
    gradient_clip_norm: float = hyperparameter(
        number(0, 1000), 0.0, "Longest gradient, of all weights together; 0 sets no limit.", tunable=True
    )
    encoder_learning_rate_decay: float = hyperparameter(
        number(0, 1),
        1.0,
        "Each layer of the encoder learns at so many times the rate of the layer above it; 1 treats all alike. An "
        "encoder of images is one layer, and its default 0.003.",
        when="whole network",
        idle=(lambda chosen: chosen["train_only_top_layer"], "only the top layer is trained"),
        tunable=True,
    )
    eval_metric: str = hyperparameter(
        choice("accuracy", "macro_f1", "auc"),
        "accuracy",
        "The figure of the validation rows that decides which epoch is kept.",
    )
    mixed_precision: str = hyperparameter(
        choice("auto", "float32", "bfloat16", "float16"),
        "auto",
        "Numbers the network computes with; weights and the exported model are float32. `auto` is bfloat16 on a GPU "
        "that has it (compute capability 8), float16 on one with capability 7; on a CPU that multiplies bfloat16 the "
        "faster by trial, where a whole transformer takes 200 steps or more; else float32.",
        when="BERT checkpoints, `cnn`, `lstm`",
    )
    jit_compile: str = hyperparameter(
        choice("auto", "true", "false"),
        "auto",
        "Compile the training step with XLA; `auto` does not, and on CPUs it slows down.",
    )
    epoch_factor: int = hyperparameter(
        integer(0, 1000),
        0,
        "Epochs after which the learning rate is divided by ten, each time; 0 never does.",
        when="any optimizer but `adamw`",
        idle=(lambda chosen: chosen["optimizer"] == "adamw", "adamw has a schedule of its own"),
    )
    power_decay: bool = hyperparameter(
        boolean(),
        True,
        "False turns `epoch_factor` off.",
        when="`epoch_factor` over 0",
        idle=(lambda chosen: chosen["epoch_factor"] == 0, "epoch_factor is 0"),
    )
    vocab_size: int = hyperparameter(
        integer(1, 1_000_000),
        20_000,
        "Commonest words that are kept.",
        modality=TEXT,
        used_with=("model_id", FROM_SCRATCH),
    )
    embed_size: int = hyperparameter(
        integer(1, 4096),
        300,
        "Width of the word vectors; that of the file, where a file of vectors is given.",
        modality=TEXT,
        used_with=("model_id", FROM_SCRATCH),
    )
    hidden_size: int = hyperparameter(
        integer(1, 4096),
        128,
        "Width of an LSTM layer, or filters of the CNN.",
        modality=TEXT,
        used_with=("model_id", FROM_SCRATCH),
        tunable=True,
    )
    n_layers: int = hyperparameter(
        integer(1, 8), 1, "LSTM layers.", modality=TEXT, used_with=("model_id", ("lstm",)), tunable=True
    )
    bidirectional: bool = hyperparameter(
        boolean(),
        True,
        "Read the text in both directions.",
        modality=TEXT,
        used_with=("model_id", ("lstm",)),
        tunable=True,
    )
    kernel_size: int = hyperparameter(
        integer(1, 64), 5, "Words a filter sees at once.", modality=TEXT, used_with=("model_id", ("cnn",)), tunable=True
    )
    modality: str = hyperparameter(
        choice("auto", *MODALITY_NAMES),
        "auto",
        "What is classified: texts or images; `auto` looks which of them the training channel holds.",
    )
    augmentation: bool = hyperparameter(
        boolean(),
        False,
        "Flip, turn and zoom images at random while training, each time otherwise.",
        modality=IMAGE,
    )
    augmentation_random_flip: str = hyperparameter(
        choice("horizontal_and_vertical", "horizontal", "vertical", "None"),
        "horizontal_and_vertical",
        "The directions in which half of the images are mirrored.",
        modality=IMAGE,
        used_with=("augmentation", (True,)),
    )
    augmentation_random_rotation: float = hyperparameter(
        number(-1, 1),
        0.2,
        "The largest angle by which an image is turned, either way, as a share of a full turn.",
        modality=IMAGE,
        used_with=("augmentation", (True,)),
    )
    augmentation_random_zoom: float = hyperparameter(
        number(-1, 1),
        0.1,
        "The largest share by which an image is zoomed, in or out.",
        modality=IMAGE,
        used_with=("augmentation", (True,)),
    )
    image_range: str = hyperparameter(
        choice("auto", "0..1", "-1..1", "0..255"),
        "auto",
        "What the encoder wants the numbers of a pixel to be; `auto` is what is known of a network of Keras, and 0..1, "
        "as TensorFlow Hub has it, of another. The log says which it is; a wrong one costs accuracy.",
        modality=IMAGE,
    )
    seed: int = hyperparameter(
        integer(0, 2**31 - 1),
        123,
        "Makes splits, shuffles, dropout and new weights repeatable.",
        aliases=("random_seed",),
    )


def _declared(schema: type[BuiltIn]) -> Mapping[str, Hyperparameter]:
    return {each.name: each.metadata["hyperparameter"] for each in fields(schema)}


BUILT_IN = _declared(BuiltIn)
SCHEMA = _declared(Schema)

# Names of the systems this image replaces that mean nothing here: accepted, and said in the log.
WITHOUT_EFFECT: Mapping[str, str] = {
    "n_classes": "the labels are counted in the data",
    "num_labels": "the labels are counted in the data",
    "test_batch_size": "scoring chooses its own batches",
    "log_interval": "progress is logged by time",
    "train_log_interval": "progress is logged by time",
    "val_log_interval": "every epoch is scored and logged",
    "backend": "TensorFlow chooses how hosts talk",
    "use_spacy_pretrained": "word vectors are those of a file on the model channel, or random",
    "save_name": "the model goes to /opt/ml/model",
}
