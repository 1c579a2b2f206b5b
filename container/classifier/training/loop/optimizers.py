"""How large the steps are: learning rates, their schedules, and the optimizers that take them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
import tf_keras

from classifier.hyperparameters import Hyperparameters
from classifier.hyperparameters.schema import TOP_LAYER_LEARNING_RATE, WHOLE_NETWORK_LEARNING_RATE
from classifier.training.loop import adam

WEIGHT_DECAY = 0.01
DECAY_OF_A_STEP = 0.1


class WarmUpThenLinear(tf_keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """A learning rate that rises linearly over the first steps, then falls linearly to 0 (Devlin et al., 2018)."""

    def __init__(self, peak: float, steps: int, warm_up_share: float) -> None:
        self.peak = peak
        self.steps = steps
        self.warm_up_share = warm_up_share
        self.warm_up = min(max(1, round(steps * warm_up_share)), steps)

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Return the learning rate, float32[], of a step counted from 0."""
        done = tf.cast(step, tf.float32)
        rising = (done + 1.0) / self.warm_up
        falling = (self.steps - done) / max(1, self.steps - self.warm_up)
        return self.peak * tf.maximum(tf.minimum(rising, falling), 0.0)

    def get_config(self) -> dict[str, float]:
        """Return the arguments that make the same schedule."""
        return {"peak": self.peak, "steps": self.steps, "warm_up_share": self.warm_up_share}


class StepDecay(tf_keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """A learning rate that is divided by ten after every so many steps."""

    def __init__(self, peak: float, steps_between: int) -> None:
        self.peak = peak
        self.steps_between = steps_between

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Return the learning rate, float32[], of a step counted from 0."""
        step_decay = tf.cast(step // self.steps_between, tf.float32)
        return self.peak * tf.pow(DECAY_OF_A_STEP, step_decay)

    def get_config(self) -> dict[str, float]:
        """Return the arguments that make the same schedule."""
        return {"peak": self.peak, "steps_between": self.steps_between}


@dataclass(frozen=True)
class LearningRate:
    """How large the steps are.

    Attributes:
        peak: The learning rate, at its highest.
        schedule: ``constant``, ``warm-up-then-linear`` or ``divided-by-ten``.
        reason: Where it comes from, for the log.
    """

    peak: float
    schedule: str
    reason: str


def choose_learning_rate(settings: Hyperparameters, *, transformer: bool) -> LearningRate:
    """Take the learning rate given, or else the one for what is trained.

    Args:
        settings: The job's hyperparameters.
        transformer: Whether a transformer's weights are among what is trained; they bear small steps only.
    """
    step_decay = bool(settings.epoch_factor and settings.power_decay)
    usual = "divided-by-ten" if step_decay else "constant"
    if settings.optimizer == "adamw":
        usual = "warm-up-then-linear"
    if settings.learning_rate is not None:
        return LearningRate(settings.learning_rate, usual, "given")
    if transformer:
        schedule = usual if step_decay else "warm-up-then-linear"
        reason = "default for a whole transformer, where the built-in's 0.001 would undo its pre-training"
        return LearningRate(WHOLE_NETWORK_LEARNING_RATE, schedule, reason)
    return LearningRate(TOP_LAYER_LEARNING_RATE, usual, "default where no transformer is trained")


def build_optimizer(
    settings: Hyperparameters,
    rate: LearningRate,
    steps_per_epoch: int,
    multipliers: Sequence[tuple[tf.Variable, float]] = (),
) -> Any:
    """Make the optimizer of a run.

    Args:
        settings: The job's hyperparameters; of an optimizer's own ones only those of the chosen optimizer are used.
        rate: The learning rate.
        steps_per_epoch: Training steps in an epoch.
        multipliers: Variables that learn at a multiplier of the learning rate, and the multiplier.
    """
    schedules: Mapping[str, Callable[[], Any]] = {
        "constant": lambda: rate.peak,
        "warm-up-then-linear": lambda: WarmUpThenLinear(
            rate.peak, steps_per_epoch * settings.epochs, settings.warmup_steps_fraction
        ),
        "divided-by-ten": lambda: StepDecay(rate.peak, steps_per_epoch * settings.epoch_factor),
    }
    kind, arguments = _OPTIMIZERS[settings.optimizer](settings)
    clip = settings.gradient_clip_norm or None
    kind = _with_multipliers(kind, multipliers) if multipliers else kind
    optimizer = kind(schedules[rate.schedule](), global_clipnorm=clip, jit_compile=False, **arguments)
    if settings.optimizer == "adamw":
        optimizer.exclude_from_weight_decay(var_names=["bias", "norm"])
    return optimizer


def _with_multipliers(kind: Any, multipliers: Sequence[tuple[tf.Variable, float]]) -> Any:
    """Return a kind of optimizer whose steps on some variables are only a multiplier as long."""

    class WithMultipliers(kind):  # type: ignore[misc]
        """Shortens a step after the optimizer took it, whichever optimizer it is."""

        def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
            by_key = {
                self._var_key(other): multiplier for other, multiplier in multipliers
            }  # the same for every replica's copy
            multiplier = by_key.get(self._var_key(variable), 1.0)
            before = tf.identity(variable) if multiplier != 1.0 else None
            super().update_step(gradient, variable)
            if before is not None:
                variable.assign(before + multiplier * (variable - before))

    return WithMultipliers


Recipe = tuple[Any, dict[str, Any]]

_OPTIMIZERS: Mapping[str, Callable[[Hyperparameters], Recipe]] = {
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
