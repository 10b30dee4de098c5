"""The schedule at literal steps; each optimizer against numpy; averaged weights."""

import numpy as np
import pytest
import tensorflow as tf

from a2d_tf.core.settings.config import TrainingConfig
from a2d_tf.training.step import optimizer
from a2d_tf.training.step.averages import Averages
from a2d_tf.training.step.schedule import Schedule


def test_schedule():
    """Warm-up of 5 steps; the half cosine ends at 105."""
    for kind, rates in (
        ("constant", {0: 0.02, 4: 0.1, 5: 0.1, 999: 0.1}),
        ("cosine", {0: 0.02, 5: 0.1, 30: 0.0853553, 55: 0.05, 105: 0.0, 200: 0.0}),
    ):
        training = TrainingConfig(
            learning_rate=0.1, steps=105, warmup_steps=5, schedule=kind
        )
        whole, half = Schedule(training), Schedule(training, 0.5)
        for step, rate in rates.items():
            assert float(whole(step)) == pytest.approx(rate, abs=1e-6), (kind, step)
            assert float(half(step)) == pytest.approx(rate / 2, abs=1e-6)
    at_once = TrainingConfig(learning_rate=0.1, warmup_steps=0)
    assert float(Schedule(at_once)(0)) == pytest.approx(0.1)


def variables():
    """Two kernels that share a name, and two biases that share another."""
    return [
        tf.Variable([[1.0, -2.0]], name="kernel"),
        tf.Variable([[3.0, 4.0]], name="kernel"),
        tf.Variable([5.0], name="bias"),
        tf.Variable([-6.0], name="bias"),
    ]


GRADIENTS = [[[0.5, 1.0]], [[-1.0, 2.0]], [3.0], [4.0]]


@pytest.mark.parametrize(
    "clip_norm, factor", [(0.0, 1.0), (1.0, 0.1788854), (100.0, 1.0)]
)
def test_clipping_is_of_all_together(clip_norm, factor):
    clipped, norm = optimizer.clip(list(map(tf.constant, GRADIENTS)), clip_norm)
    assert float(norm) == pytest.approx(5.590170, rel=1e-6)  # before it
    for made, gradient in zip(clipped, GRADIENTS):
        np.testing.assert_allclose(made, np.multiply(factor, gradient), rtol=1e-6)


@pytest.mark.parametrize("kind", ["sgd", "adam"])
@pytest.mark.parametrize("slow", [1.0, 0.25])
def test_three_steps_with_decoupled_decay(kind, slow):
    """Only kernels decay, two of which share a name; gradients grow with the step.

    The first and the last variable are of a backbone, whose rate and decay have a
    factor.
    """
    rates = dict(
        learning_rate=0.1, warmup_steps=4, weight_decay=0.01, backbone_rate=slow
    )
    training = TrainingConfig(optimizer=kind, steps=100, **rates)
    held, opt = variables(), optimizer.make(training)
    opt._create_all_weights(held)

    @tf.function
    def apply(factor):
        gradients = [tf.constant(g) * factor for g in GRADIENTS]
        optimizer.apply(opt, gradients, held, [held[0], held[3]], slow)

    for step in range(3):
        apply(tf.constant(float(step + 1)))
    factors = slow, 1.0, 1.0, slow
    for made, start, gradient, factor in zip(held, variables(), GRADIENTS, factors):
        w, m, v = start.numpy().astype(np.float64), 0.0, 0.0
        for step, rate in enumerate((0.025, 0.05, 0.075)):
            g = np.array(gradient) * (step + 1)
            decay = rate * (0.01 if w.ndim > 1 else 0.0)
            if kind == "sgd":
                m = 0.9 * m - rate * g
                w += factor * (m - decay * w)
            else:
                m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
                unbiased = m / (1 - 0.9 ** (step + 1)), v / (1 - 0.999 ** (step + 1))
                w *= 1 - factor * decay
                w -= factor * rate * unbiased[0] / (np.sqrt(unbiased[1]) + 1e-7)
        np.testing.assert_allclose(made.numpy(), w, rtol=1e-5)


def test_small_variables_at_once_are_updated_as_one_by_one():
    """To the bit, as by the optimizer of tensorflow-addons or its equivalent."""
    training = TrainingConfig(learning_rate=0.1, warmup_steps=3, weight_decay=0.02)
    rng = np.random.default_rng(0)
    shapes = [(3, 3, 8, 16), (16,), (70, 70), (1, 1, 16, 4), ()]
    starts = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
    held, others = ([tf.Variable(start) for start in starts] for _ in range(2))
    joined, plain = optimizer.make(training), optimizer.make(training)
    joined._create_all_weights(held)
    kernels = [variable for variable in others if variable.shape.rank > 1]
    for _ in range(4):
        gradients = [
            tf.constant(rng.normal(size=shape), tf.float32) for shape in shapes
        ]
        optimizer.apply(joined, gradients, held, [], backbone_rate=1.0)
        plain.apply_gradients(zip(gradients, others), decay_var_list=kernels)
    assert int(joined.iterations) == 4
    for variable, other in zip(held, others):
        np.testing.assert_array_equal(variable, other)
        slots = joined.get_slot(variable, "momentum"), plain.get_slot(other, "momentum")
        np.testing.assert_array_equal(*slots)


def test_averages_in_figures():
    variable, still = (
        tf.Variable([1.0, -2.0]),
        tf.random.stateless_normal([100], [0, 1]),
    )
    averages = Averages([variable, tf.Variable(still)], 0.25)
    expected = np.array([1.0, -2.0])
    # The decay is (1 + n) / (10 + n) until that is .25, at n = 2.
    for step, decay in enumerate([0.1, 2 / 11, 0.25, 0.25]):
        variable.assign_add([1.0, 3.0])
        averages.update(tf.constant(step, tf.int64))
        expected = decay * expected + (1 - decay) * variable.numpy()
        np.testing.assert_allclose(averages.values[0], expected, rtol=1e-6)
    assert variable.numpy().tolist() == [5.0, 10.0]
    # What never changes stays to the bit.
    np.testing.assert_array_equal(averages.values[1], still)


def test_weights_and_averages_change_places_and_back_even_after_an_error():
    variable = tf.Variable(1.0)
    averages = Averages([variable], 0.5)
    variable.assign(3.0)
    with averages.exchanged():
        assert (float(variable), float(averages.values[0])) == (1.0, 3.0)
    with pytest.raises(KeyError), averages.exchanged():
        raise KeyError
    assert (float(variable), float(averages.values[0])) == (3.0, 1.0)
