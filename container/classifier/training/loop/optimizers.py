"""Learning rates, their schedules, and optimizers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
import tf_keras

from classifier.hyperparameters import Hyperparameters
from classifier.hyperparameters.schema import TOP_LAYER_LEARNING_RATE, WHOLE_NETWORK_LEARNING_RATE
from classifier.training.loop import adam

WEIGHT_DECAY = 0.01
STEP_DECAY_FACTOR = 0.1


class WarmUpThenLinear(tf_keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """A learning rate that rises linearly over the first steps, then falls linearly to 0 (Devlin et al., 2018)."""

    def __init__(self, peak: float, steps: int, warm_up_share: float) -> None:
        self.peak = peak
        self.steps = steps
        self.warm_up_share = warm_up_share
        self.warm_up = min(max(1, round(steps * warm_up_share)), steps)

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Return the learning rate, float32[], of a step, counted from 0."""
        done = tf.cast(step, tf.float32)
        rising = (done + 1.0) / self.warm_up
        falling = (self.steps - done) / max(1, self.steps - self.warm_up)
        return self.peak * tf.maximum(tf.minimum(rising, falling), 0.0)

    def get_config(self) -> dict[str, float]:
        """Return the constructor's arguments."""
        return {"peak": self.peak, "steps": self.steps, "warm_up_share": self.warm_up_share}


class StepDecay(tf_keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """A learning rate that is divided by ten every ``steps_between`` steps."""

    def __init__(self, peak: float, steps_between: int) -> None:
        self.peak = peak
        self.steps_between = steps_between

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Return the learning rate, float32[], of a step, counted from 0."""
        decays = tf.cast(step // self.steps_between, tf.float32)
        return self.peak * tf.pow(STEP_DECAY_FACTOR, decays)

    def get_config(self) -> dict[str, float]:
        """Return the constructor's arguments."""
        return {"peak": self.peak, "steps_between": self.steps_between}


@dataclass(frozen=True)
class LearningRate:
    """A learning rate and its schedule.

    Attributes:
        peak: The highest learning rate of the schedule.
        schedule: ``constant``, ``warm-up-then-linear`` or ``divided-by-ten``.
        reason: Why it was chosen, for the log.
    """

    peak: float
    schedule: str
    reason: str


def choose_learning_rate(
    hyperparameters: Hyperparameters, *, transformer: bool, usual_peak: float = WHOLE_NETWORK_LEARNING_RATE
) -> LearningRate:
    """Choose the learning rate and its schedule: the given ones, or defaults for what is trained.

    >>> rate = choose_learning_rate(Hyperparameters.parse({"optimizer": "adam"}), transformer=True)
    >>> rate.peak, rate.schedule
    (3e-05, 'warm-up-then-linear')
    >>> choose_learning_rate(Hyperparameters.parse({"learning_rate": "0.001"}), transformer=True).schedule
    'constant'

    Args:
        hyperparameters: The job's hyperparameters.
        transformer: Whether a transformer's weights are trained, for which large learning rates are harmful.
        usual_peak: The default of a whole transformer, see :mod:`classifier.training.recipe`.
    """
    step_decay = bool(hyperparameters.epoch_factor and hyperparameters.power_decay)
    usual = "divided-by-ten" if step_decay else "constant"
    if hyperparameters.optimizer == "adamw":
        usual = "warm-up-then-linear"
    if hyperparameters.learning_rate is not None:
        is_given = "learning_rate" in hyperparameters.given
        reason = "given" if is_given else "default for pre-trained encoders of this kind"
        return LearningRate(hyperparameters.learning_rate, usual, reason)
    if transformer:
        schedule = usual if step_decay else "warm-up-then-linear"
        reason = "default for a whole transformer, where the built-in's 0.001 would undo its pre-training"
        return LearningRate(usual_peak, schedule, reason)
    return LearningRate(TOP_LAYER_LEARNING_RATE, usual, "default where no transformer is trained")


def build_optimizer(
    hyperparameters: Hyperparameters,
    rate: LearningRate,
    steps_per_epoch: int,
    multipliers: Sequence[tuple[tf.Variable, float]] = (),
) -> Any:
    """Build the optimizer of a run.

    >>> hyperparameters = Hyperparameters.parse({"optimizer": "sgd", "learning_rate": "0.1", "momentum": "0.5"})
    >>> rate = choose_learning_rate(hyperparameters, transformer=False)
    >>> optimizer = build_optimizer(hyperparameters, rate, steps_per_epoch=100)
    >>> optimizer.momentum
    0.5

    Args:
        hyperparameters: The job's hyperparameters; those of other optimizers than the chosen one are not used.
        rate: The learning rate and its schedule.
        steps_per_epoch: The number of training steps in an epoch.
        multipliers: Variables and their learning-rate multipliers; for all other variables it is 1.

    Returns:
        A tf_keras optimizer.
    """
    schedules: Mapping[str, Callable[[], Any]] = {
        "constant": lambda: rate.peak,
        "warm-up-then-linear": lambda: WarmUpThenLinear(
            rate.peak, steps_per_epoch * hyperparameters.epochs, hyperparameters.warmup_steps_fraction
        ),
        "divided-by-ten": lambda: StepDecay(rate.peak, steps_per_epoch * hyperparameters.epoch_factor),
    }
    kind, arguments = _OPTIMIZERS[hyperparameters.optimizer](hyperparameters)
    clip = hyperparameters.gradient_clip_norm or None
    kind = _with_multipliers(kind, multipliers) if multipliers else kind
    optimizer = kind(schedules[rate.schedule](), global_clipnorm=clip, jit_compile=False, **arguments)
    if hyperparameters.optimizer == "adamw":
        optimizer.exclude_from_weight_decay(var_names=["bias", "norm"])
    return optimizer


def _with_multipliers(kind: Any, multipliers: Sequence[tuple[tf.Variable, float]]) -> Any:
    """Return a subclass of an optimizer that applies learning-rate multipliers."""

    class WithMultipliers(kind):  # type: ignore[misc]
        """Scales the change that the optimizer made to a variable, which works for every optimizer."""

        def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
            # A variable's key is the same on every replica.
            by_key = {self._var_key(other): multiplier for other, multiplier in multipliers}
            multiplier = by_key.get(self._var_key(variable), 1.0)
            before = tf.identity(variable) if multiplier != 1.0 else None
            super().update_step(gradient, variable)
            if before is not None:
                variable.assign(before + multiplier * (variable - before))

    return WithMultipliers


OptimizerSpec = tuple[Any, dict[str, Any]]  # its class, and the arguments of the constructor

_OPTIMIZERS: Mapping[str, Callable[[Hyperparameters], OptimizerSpec]] = {
    "adam": lambda given: (
        adam.Adam,
        {"beta_1": given.beta_1, "beta_2": given.beta_2, "epsilon": given.epsilon},
    ),
    "adamw": lambda given: (
        adam.AdamW,
        {
            "beta_1": given.beta_1,
            "beta_2": given.beta_2,
            "epsilon": given.epsilon,
            "weight_decay": WEIGHT_DECAY,
        },
    ),
    "sgd": lambda given: (tf_keras.optimizers.SGD, {"momentum": given.momentum}),
    "nesterov": lambda given: (tf_keras.optimizers.SGD, {"momentum": given.momentum, "nesterov": True}),
    "rmsprop": lambda given: (tf_keras.optimizers.RMSprop, {"rho": given.rho, "epsilon": given.epsilon}),
    "adagrad": lambda given: (
        tf_keras.optimizers.Adagrad,
        {"initial_accumulator_value": given.initial_accumulator_value, "epsilon": given.epsilon},
    ),
    "adadelta": lambda given: (tf_keras.optimizers.Adadelta, {"rho": given.rho, "epsilon": given.epsilon}),
}
