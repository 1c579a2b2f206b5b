"""The hyperparameters: one table for the parser, the documentation and SageMaker's specification.

Names, ranges and defaults are those of AWS's built-in algorithm "Text Classification - TensorFlow" wherever both have
the same one (SageMaker developer guide, "Text Classification - TensorFlow Hyperparameters").
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from classifier import DEFAULT_ENCODER, DEFAULT_IMAGE_ENCODER, IMAGE, MODALITY_NAMES, TEXT
from classifier.kinds import Kind, boolean, choice, integer, number, text

WHOLE_NETWORK_LEARNING_RATE = 3e-5
NARROW_LEARNING_RATE = 1e-4  # of a whole checkpoint of a width of at most WIDEST_NARROW
WIDEST_NARROW = 512
FEWEST_EPOCHS = 3
TOP_LAYER_LEARNING_RATE = 1e-3
NETWORKS_FROM_SCRATCH = ("cnn", "lstm")  # values of model_id for networks that are trained from scratch
LINEAR = "linear"  # the value for n-grams without a network
FROM_SCRATCH = (*NETWORKS_FROM_SCRATCH, LINEAR)
AUTO_MODEL = "auto"  # the value for several candidates, the best of which is exported
ADAMS = ("adam", "adamw")
AUTO, TRUNCATE, HEAD_TAIL, WINDOWS = "auto", "truncate", "head_tail", "windows"  # values of long_texts
# Hyperparameters of training in steps: where a job gives one, the top layer of a frozen encoder is not solved.
STEPWISE = frozenset(
    {
        *("epochs", "learning_rate", "optimizer", "dropout_rate", "regularizers_l2", "label_smoothing"),
        *("beta_1", "beta_2", "epsilon", "momentum", "rho", "initial_accumulator_value", "warmup_steps_fraction"),
        *("early_stopping", "early_stopping_patience", "early_stopping_min_delta", "gradient_clip_norm"),
        *("epoch_factor", "power_decay", "augmentation", "jit_compile"),
    }
)


@dataclass(frozen=True)
class Hyperparameter:
    """The declaration of a hyperparameter.

    Attributes:
        kind: The type of its values.
        default: The default; None means that it depends on other hyperparameters, as ``default_in_words`` describes.
        meaning: A description for the documentation.
        default_in_words: How the documentation shows a default of None.
        aliases: Other names for it. In every name, dashes may replace underscores.
        alias_kinds: Other names with another type of values, and that type.
        modality: The modality that it applies to; empty if it applies to all.
        used_with: Another hyperparameter and its values for which this one has an effect; None if it always has.
        when: A description of when it has an effect, if ``used_with`` can't express that.
        idle: A function of all values that tells whether this one has no effect, and the reason why; None if
            ``used_with`` suffices.
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
    """Return a dataclass field for a hyperparameter; ``more`` are further attributes of :class:`Hyperparameter`."""
    return field(metadata={"hyperparameter": Hyperparameter(kind, default, meaning, default_in_words, **more)})


@dataclass(frozen=True)
class BuiltIn:
    """The hyperparameters that SageMaker's built-in algorithm has too."""

    epochs: int = hyperparameter(
        integer(1, 1000),
        10,
        "Passes over the training rows. If it is not given, a whole BERT, "
        f"DistilBERT or ELECTRA checkpoint of a width of at most {WIDEST_NARROW} takes {FEWEST_EPOCHS} to 10, "
        "the fewer the more rows there are.",
        aliases=("num_epoch",),
        tunable=True,
    )
    batch_size: int = hyperparameter(
        integer(1, 1024),
        32,
        "Rows in one training step, over all GPUs and hosts together.",
        tunable=True,
    )
    learning_rate: float | None = hyperparameter(
        number(0, 1),
        None,
        "Learning rate. If given, it is constant (except with `adamw` and `epoch_factor`).",
        f"{NARROW_LEARNING_RATE:.0e} for a whole BERT, DistilBERT or ELECTRA checkpoint of a width of at most "
        f"{WIDEST_NARROW}, {WHOLE_NETWORK_LEARNING_RATE:.0e} for other whole transformers, each warmed up over "
        f"`warmup_steps_fraction` of the steps and then lowered to 0; {TOP_LAYER_LEARNING_RATE:g} for the top layer "
        "only, for word vectors, `cnn` and `lstm`; 0.01 for pre-trained image encoders, with "
        "`encoder_learning_rate_decay=0.003`",
        aliases=("adam-learning-rate", "lr"),
        tunable=True,
    )
    optimizer: str = hyperparameter(
        choice("adam", "adamw", "sgd", "nesterov", "rmsprop", "adagrad", "adadelta"),
        "adam",
        "`adamw` has a weight decay of 0.01, and always warms up and lowers the learning rate; `nesterov` is `sgd` "
        "with Nesterov momentum.",
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
        "A small constant for numerical stability.",
        aliases=("eps",),
        used_with=("optimizer", (*ADAMS, "rmsprop", "adagrad", "adadelta")),
        tunable=True,
    )
    momentum: float = hyperparameter(
        number(0, 1),
        0.9,
        "Share of the previous step that is added to the next.",
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
        "Initial value of the sums of squared gradients.",
        used_with=("optimizer", ("adagrad",)),
        tunable=True,
    )
    warmup_steps_fraction: float = hyperparameter(
        number(0, 1),
        0.1,
        "Share of all steps over which the learning rate is warmed up.",
        when="`adamw`; and a whole transformer with the default `learning_rate`",
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
        boolean(), False, "Stop when `eval_metric` no longer improves. The best epoch is always kept."
    )
    early_stopping_patience: int = hyperparameter(
        integer(1, 1000),
        5,
        "Consecutive epochs without improvement before training stops.",
        used_with=("early_stopping", (True,)),
    )
    early_stopping_min_delta: float = hyperparameter(
        number(0, 1), 0.0, "The smallest change that counts as an improvement.", used_with=("early_stopping", (True,))
    )
    dropout_rate: float = hyperparameter(
        number(0, 1),
        0.2,
        "Share of the encoder's outputs dropped before the top layer (and of the word vectors, in `cnn` and `lstm`).",
        aliases=("dropout",),
        tunable=True,
    )
    regularizers_l2: float = hyperparameter(
        number(0, 1), 1e-4, "L2 regularization of the top layer's weights.", aliases=("wd",), tunable=True
    )
    train_only_top_layer: bool = hyperparameter(
        boolean(),
        False,
        "Freeze the encoder: much faster, often slightly less accurate.",
        f"`False`; `True` for `{DEFAULT_IMAGE_ENCODER}` and encoders of 24 layers by 1,024 or more",
        aliases=("train_only_on_top_layer",),
        tunable=True,
    )
    reinitialize_top_layer: str = hyperparameter(
        choice("Auto", "True", "False"),
        "Auto",
        "`Auto` keeps the top layer of a model that this image trained, and extends it for new labels; `True` "
        "initializes a new one; `False` requires one to keep.",
    )
    validation_split_ratio: float = hyperparameter(
        number(0, 1),
        0.2,
        "Share of the training rows to hold out for validation, stratified by label; 0 holds out none. Each label "
        "always keeps at least one training row.",
        when="no `validation` channel",
    )


@dataclass(frozen=True)
class Schema(BuiltIn):
    """All hyperparameters; the metadata of a field says what sets it and what it means."""

    model_id: str = hyperparameter(
        text("the name of an encoder"),
        DEFAULT_ENCODER,
        "The encoder: the one in the image, one of [encoders.md](encoders.md) with its files on the `model` channel, "
        "or `cnn` or `lstm`, which are trained from scratch, or `linear`, a linear model of n-grams without a network, "
        "or `auto`, which trains several candidates and keeps the best. For images: that on the `model` channel, or "
        f"else the one in the image, `{DEFAULT_IMAGE_ENCODER}`; or `cnn`.",
        alias_kinds={"cnn": boolean("cnn", "lstm")},
    )
    max_sequence_length: int = hyperparameter(
        integer(3, 4096),
        256,
        "Tokens of a text that are read at once; `long_texts` says what becomes of the rest. For `linear`, which "
        "truncates, the default is 4096.",
        aliases=("seq_len",),
        modality=TEXT,
    )
    long_texts: str = hyperparameter(
        choice(AUTO, TRUNCATE, HEAD_TAIL, WINDOWS),
        AUTO,
        "How texts of more than `max_sequence_length` tokens are read: `truncate` reads their beginning; `head_tail` "
        "their first and last tokens; `windows` reads them whole, in parts whose vectors are averaged. `auto` is "
        "`windows` if more than 5 % of the training texts are longer, else `truncate`.",
        modality=TEXT,
    )
    header: str = hyperparameter(
        choice("auto", "true", "false"),
        "auto",
        "Whether the first row of a table is a header; `auto` detects it.",
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
        "The delimiter of tables; `auto` detects it from the first rows.",
        aliases=("sep", "separator"),
        modality=TEXT,
    )
    ngram_features: str = hyperparameter(
        choice("auto", "true", "false"),
        "auto",
        "Add a linear model of hashed n-grams (tokens and pairs of tokens) to the answer, which encoders of meaning "
        "miss; `auto` does so where it lowers the loss on the validation rows and does not lower `eval_metric`.",
        modality=TEXT,
    )
    refit: str = hyperparameter(
        choice("auto", "true", "false"),
        "auto",
        "Learn from the validation rows too, once everything is chosen; the metrics reported are those from before. "
        "`auto` does so for a solved top layer and for n-grams, with rows that were held out, not with a validation "
        "channel.",
    )
    calibrate: str = hyperparameter(
        choice("auto", "false"),
        "auto",
        "`auto` divides the logits by a temperature that is fitted to the validation rows, so that probabilities are "
        "neither too high nor too low; the predicted labels stay the same.",
    )
    target_precision: float | None = hyperparameter(
        number(0.5, 1, above_low=True, below_high=True),
        None,
        "The share of right labels among those that are answered, for example 0.95: thresholds are chosen on the "
        "validation rows, and a record whose highest probability is not above them is answered without a label.",
        "none: every record is answered",
    )
    suspect_labels: bool = hyperparameter(
        boolean(),
        True,
        "Search the labelled rows for labels that are probably wrong; `output/data/suspect_labels.csv` lists them.",
        when="one host",
    )
    time_budget: int | None = hyperparameter(
        integer(1, 10_000_000),
        None,
        "Seconds within which the job should end: training in steps is stopped in time, and the best epoch so far is "
        "kept; with `model_id=auto`, candidates that would not fit are skipped.",
        "none",
    )
    class_weights: str = hyperparameter(
        choice("none", "balanced"),
        "none",
        "`balanced` weights rows so that all labels count alike, however few rows they have.",
        aliases=("class_weight",),
        tunable=True,
    )
    label_smoothing: float = hyperparameter(
        number(0, 1, below_high=True), 0.0, "Share of a target's probability spread over all labels.", tunable=True
    )
    gradient_clip_norm: float = hyperparameter(
        number(0, 1000), 0.0, "Largest norm of the gradient of all weights together; 0 sets no limit.", tunable=True
    )
    encoder_learning_rate_decay: float = hyperparameter(
        number(0, 1),
        1.0,
        "Ratio of each encoder layer's learning rate to that of the layer above it; 1 treats all alike. An image "
        "encoder counts as one layer, and its default is 0.003.",
        when="whole network",
        idle=(lambda chosen: chosen["train_only_top_layer"], "only the top layer is trained"),
        tunable=True,
    )
    eval_metric: str = hyperparameter(
        choice("accuracy", "macro_f1", "auc"),
        "accuracy",
        "The metric on the validation rows that decides which epoch is kept.",
    )
    mixed_precision: str = hyperparameter(
        choice("auto", "float32", "bfloat16", "float16"),
        "auto",
        "The dtype in which the network computes; weights and the exported model are float32. `auto` is bfloat16 on a "
        "GPU that supports it (compute capability 8) and float16 on one with capability 7; on a CPU with bfloat16 "
        "instructions, the faster dtype in a benchmark, if a whole transformer takes 200 steps or more; else float32.",
        when="all networks but TensorFlow Hub's SavedModels",
    )
    jit_compile: str = hyperparameter(
        choice("auto", "true", "false"),
        "auto",
        "Compile the training step with XLA, which is slower on CPUs; `auto` does not.",
    )
    epoch_factor: int = hyperparameter(
        integer(0, 1000),
        0,
        "The learning rate is divided by ten every so many epochs; 0 never does.",
        when="any optimizer but `adamw`",
        idle=(lambda chosen: chosen["optimizer"] == "adamw", "adamw has a schedule of its own"),
    )
    power_decay: bool = hyperparameter(
        boolean(),
        True,
        "`False` turns `epoch_factor` off.",
        when="`epoch_factor` over 0",
        idle=(lambda chosen: chosen["epoch_factor"] == 0, "epoch_factor is 0"),
    )
    vocab_size: int = hyperparameter(
        integer(1, 1_000_000),
        20_000,
        "The most words in the vocabulary, or word pieces for `linear`: the most frequent ones.",
        modality=TEXT,
        used_with=("model_id", FROM_SCRATCH),
    )
    embed_size: int = hyperparameter(
        integer(1, 4096),
        300,
        "Width of the word vectors; if a file of vectors is given, its width is used.",
        modality=TEXT,
        used_with=("model_id", NETWORKS_FROM_SCRATCH),
    )
    hidden_size: int = hyperparameter(
        integer(1, 4096),
        128,
        "Width of an LSTM layer, or the number of filters of the CNN.",
        modality=TEXT,
        used_with=("model_id", NETWORKS_FROM_SCRATCH),
        tunable=True,
    )
    n_layers: int = hyperparameter(
        integer(1, 8), 1, "The number of LSTM layers.", modality=TEXT, used_with=("model_id", ("lstm",)), tunable=True
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
        integer(1, 64),
        5,
        "The number of words that a filter spans.",
        modality=TEXT,
        used_with=("model_id", ("cnn",)),
        tunable=True,
    )
    modality: str = hyperparameter(
        choice("auto", *MODALITY_NAMES),
        "auto",
        "What is classified: texts or images; `auto` detects it from the training channel.",
    )
    augmentation: bool = hyperparameter(
        boolean(),
        False,
        "Flip, rotate and zoom training images at random, differently in every epoch.",
        modality=IMAGE,
    )
    augmentation_random_flip: str = hyperparameter(
        choice("horizontal_and_vertical", "horizontal", "vertical", "None"),
        "horizontal_and_vertical",
        "The directions in which half of the images are flipped.",
        modality=IMAGE,
        used_with=("augmentation", (True,)),
    )
    augmentation_random_rotation: float = hyperparameter(
        number(-1, 1),
        0.2,
        "The largest angle by which an image is rotated, in either direction, as a share of a full turn.",
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
        "The range of pixel values that the encoder expects; `auto` is the known range for a Keras network, and 0..1, "
        "the convention of TensorFlow Hub, for others. The log shows the range; a wrong one costs accuracy.",
        modality=IMAGE,
    )
    report: bool = hyperparameter(
        boolean(),
        True,
        "Write `output/data/report.html`, a page on the data, the training and the model: [report.md](report.md).",
    )
    report_examples: bool = hyperparameter(
        boolean(),
        False,
        "Show the validation rows that are most confidently misclassified in the report: the beginning of a text, a "
        "thumbnail of an image. Otherwise no text and no image is written.",
        used_with=("report", (True,)),
    )
    seed: int = hyperparameter(
        integer(0, 2**31 - 1),
        123,
        "Makes splits, shuffling, dropout and weight initialization repeatable.",
        aliases=("random_seed",),
    )


def _declared(schema: type[BuiltIn]) -> Mapping[str, Hyperparameter]:
    return {each.name: each.metadata["hyperparameter"] for each in fields(schema)}


BUILT_IN = _declared(BuiltIn)
SCHEMA = _declared(Schema)

# Names of the systems that this image replaces, without effect here: they are accepted, and the log says so.
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
