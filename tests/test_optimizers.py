"""How the network learns: learning rates, schedules, and the seven optimizers."""

import pytest
import tensorflow as tf

from classifier import IMAGE
from classifier.encoders import catalog
from classifier.hyperparameters import SCHEMA, Hyperparameters
from classifier.modalities import MODALITIES
from classifier.training.loop import optimizers
from classifier.training.loop.optimizers import LearningRate

OPTIMIZERS = SCHEMA["optimizer"].kind.range["CategoricalParameterRangeSpecification"]["Values"]


@pytest.mark.parametrize(
    ("given", "transformer", "peak", "schedule"),
    [
        ({}, True, 3e-5, "warm-up-then-linear"),
        ({}, False, 1e-3, "constant"),
        ({"learning_rate": "0.01"}, True, 0.01, "constant"),
        ({"learning_rate": "0.01", "optimizer": "adamw"}, True, 0.01, "warm-up-then-linear"),
        ({"optimizer": "adamw"}, False, 1e-3, "warm-up-then-linear"),
        ({"epoch_factor": "4"}, False, 1e-3, "divided-by-ten"),
        ({"epoch_factor": "4", "power_decay": "false"}, False, 1e-3, "constant"),
    ],
)
def test_the_default_learning_rate_depends_on_what_is_trained(
    given: dict[str, str], transformer: bool, peak: float, schedule: str
) -> None:
    rate = optimizers.choose_learning_rate(Hyperparameters.parse(given), transformer=transformer)
    assert (rate.peak, rate.schedule) == (peak, schedule)


@pytest.mark.parametrize(
    ("given", "reason"),
    [({}, "default for pre-trained encoders of this kind"), ({"learning_rate": 0.01}, "given")],
)
def test_a_learning_rate_is_given_only_if_the_job_gives_it(given: dict[str, float], reason: str) -> None:
    settings = Hyperparameters.from_values(given, catalog.defaults_of(MODALITIES[IMAGE], brought=True))
    rate = optimizers.choose_learning_rate(settings, transformer=False)
    assert (rate.peak, rate.reason) == (0.01, reason)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_the_schedule_rises_over_its_share_of_the_steps_and_falls_to_nothing(share: float) -> None:
    schedule = optimizers.WarmUpThenLinear(1.0, 100, share)
    rates = [float(schedule(tf.constant(step))) for step in range(100)]
    top = rates.index(max(rates))
    assert max(rates) == pytest.approx(1.0)
    assert abs(top - 100 * share) <= 1
    assert rates == sorted(rates[:top]) + sorted(rates[top:], reverse=True)
    assert min(rates) >= 0.0
    assert float(schedule(tf.constant(100))) == pytest.approx(0.0, abs=1e-6) or share == 1.0


def test_the_learning_rate_goes_down_a_stair_every_so_many_epochs() -> None:
    schedule = optimizers.StepDecay(1.0, 20)
    assert [round(float(schedule(tf.constant(step))), 6) for step in (0, 19, 20, 39, 40)] == [1.0, 1.0, 0.1, 0.1, 0.01]


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("schedule", ["constant", "warm-up-then-linear", "divided-by-ten"])
def test_every_optimizer_lowers_a_loss(name: str, schedule: str) -> None:
    settings = Hyperparameters.parse({"optimizer": name, "epochs": "1", "epoch_factor": "1"})
    rate = 1.0 if name == "adadelta" else 0.05
    optimizer = optimizers.build_optimizer(settings, LearningRate(rate, schedule, ""), 200)
    weight = tf.Variable([3.0], name="kernel")
    for _ in range(200):
        optimizer.apply_gradients([(2 * weight, weight)])
    assert abs(float(weight[0])) < 2.9


@pytest.mark.parametrize(
    ("name", "parameter", "value"),
    [
        ("adam", "beta_1", "0.5"), ("adam", "beta_2", "0.5"), ("adam", "epsilon", "0.5"), ("adamw", "beta_1", "0.5"),
        ("adamw", "beta_2", "0.5"), ("adamw", "epsilon", "0.5"), ("sgd", "momentum", "0.5"),
        ("nesterov", "momentum", "0.5"), ("rmsprop", "rho", "0.5"), ("rmsprop", "epsilon", "0.5"),
        ("adagrad", "initial_accumulator_value", "0.5"), ("adagrad", "epsilon", "0.5"), ("adadelta", "rho", "0.5"),
        ("adadelta", "epsilon", "0.5"),
    ],
)  # fmt: skip
def test_an_optimizers_own_parameters_reach_it(name: str, parameter: str, value: str) -> None:
    def trained(given: dict[str, str]) -> float:
        settings = Hyperparameters.parse({"optimizer": name, **given})
        optimizer = optimizers.build_optimizer(settings, LearningRate(0.1, "constant", ""), 10)
        weight = tf.Variable([3.0], name="kernel")
        for _ in range(4):
            optimizer.apply_gradients([(2 * weight, weight)])
        return float(weight[0])

    assert trained({}) != trained({parameter: value})


def test_a_long_gradient_is_cut_to_the_norm_given() -> None:
    settings = Hyperparameters.parse({"optimizer": "sgd", "momentum": "0", "gradient_clip_norm": "1"})
    optimizer = optimizers.build_optimizer(settings, LearningRate(1.0, "constant", ""), 1)
    first, second = tf.Variable([0.0]), tf.Variable([0.0])
    optimizer.apply_gradients([(tf.constant([30.0]), first), (tf.constant([40.0]), second)])
    assert [float(first[0]), float(second[0])] == pytest.approx([-0.6, -0.8])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_variable_with_a_share_of_the_rate_moves_by_that_share(name: str) -> None:
    settings = Hyperparameters.parse({"optimizer": name})
    moved = []
    for share in (1.0, 0.5):
        weight = tf.Variable([3.0], name="bias")  # which adamw does not decay
        optimizer = optimizers.build_optimizer(settings, LearningRate(0.1, "constant", ""), 1, [(weight, share)])
        optimizer.build([weight])
        optimizer.apply_gradients([(2 * weight, weight)])
        moved.append(3.0 - float(weight[0]))
    assert moved[1] == pytest.approx(0.5 * moved[0], rel=1e-3, abs=1e-6)
