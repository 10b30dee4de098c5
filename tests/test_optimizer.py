"""The schedule at literal steps; one step of each optimizer against numpy."""

import numpy as np
import pytest
import tensorflow as tf

from a2d_tf.training import optimizer


@pytest.mark.parametrize(
    "kind, step, rate",
    [
        ("constant", 0, 0.02),
        ("constant", 4, 0.1),
        ("constant", 5, 0.1),
        ("constant", 999, 0.1),
        ("cosine", 0, 0.02),
        ("cosine", 5, 0.1),
        ("cosine", 55, 0.05),
        ("cosine", 105, 0.0),
        ("cosine", 30, 0.0853553),
        ("cosine", 200, 0.0),
    ],
)
def test_schedule(kind, step, rate):
    schedule = optimizer.Schedule(0.1, 105, 5, kind)
    assert float(schedule(step)) == pytest.approx(rate, abs=1e-6)
    again = optimizer.Schedule(**schedule.get_config())
    assert float(again(step)) == float(schedule(step))
    assert float(optimizer.Schedule(0.1, 105)(0)) == pytest.approx(0.1)  # no warm-up


def variables():
    """Two kernels that share a name, and two biases that share another."""
    return [
        tf.Variable([[1.0, -2.0]], name="kernel"),
        tf.Variable([[3.0, 4.0]], name="kernel"),
        tf.Variable([5.0], name="bias"),
        tf.Variable([-6.0], name="bias"),
    ]


GRADIENTS = [[[0.5, 1.0]], [[-1.0, 2.0]], [3.0], [4.0]]


@pytest.mark.parametrize("scale", [1.0, 8.0])
@pytest.mark.parametrize("clip_norm, factor", [(0.0, 1.0), (1.0, 0.1788854), (100.0, 1.0)])
def test_clipping_is_of_all_together_and_undoes_the_scale(clip_norm, factor, scale):
    scaled = [scale * tf.constant(gradient) for gradient in GRADIENTS]
    clipped, norm = optimizer.clipped(scaled, clip_norm, scale)
    assert float(norm) == pytest.approx(5.590170, rel=1e-6)  # before it
    for made, gradient in zip(clipped, GRADIENTS):
        np.testing.assert_allclose(made, np.multiply(factor, gradient), rtol=1e-6)


def test_gradients_that_are_no_numbers_have_no_norm():
    for value in (np.inf, np.nan):
        assert not np.isfinite(optimizer.clipped([tf.constant([1.0, value])], 1.0, 2.0)[1])


def run(kind, steps, graph, schedule, momentum=0.9, weight_decay=0.01):
    """Values of `variables` after steps with GRADIENTS times the step's number."""
    held = variables()
    opt = optimizer.make_optimizer(kind, schedule, momentum, weight_decay)

    def apply(factor):
        gradients = [tf.constant(g) * factor for g in GRADIENTS]
        opt.apply_gradients(zip(gradients, held), decay_var_list=optimizer.decaying(held))

    apply = tf.function(apply) if graph else apply
    for step in range(steps):
        apply(tf.constant(float(step + 1)))
    return [variable.numpy() for variable in held]


def rates(schedule, steps):
    return [float(schedule(step)) for step in range(steps)]


@pytest.mark.parametrize("graph", [False, True])
def test_sgd_with_momentum_and_decoupled_decay(graph):
    schedule = optimizer.Schedule(0.1, 100, 4)  # .025, .05, .075
    made = run("sgd", 3, graph, schedule)
    for value, start, gradient in zip(made, variables(), GRADIENTS):
        w, v = start.numpy().astype(np.float64), 0.0
        decay = 0.01 if w.ndim > 1 else 0.0
        for step, rate in enumerate(rates(schedule, 3)):
            v = 0.9 * v - rate * np.array(gradient) * (step + 1)
            w = w * (1 - rate * decay) + v
        np.testing.assert_allclose(value, w, rtol=1e-6)


@pytest.mark.parametrize("graph", [False, True])
def test_adam_with_decoupled_decay(graph):
    schedule = optimizer.Schedule(0.1, 100, 4)
    made = run("adam", 3, graph, schedule)
    for value, start, gradient in zip(made, variables(), GRADIENTS):
        w, m, v = start.numpy().astype(np.float64), 0.0, 0.0
        decay = 0.01 if w.ndim > 1 else 0.0
        for step, rate in enumerate(rates(schedule, 3)):
            g = np.array(gradient) * (step + 1)
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            unbiased = m / (1 - 0.9 ** (step + 1)), v / (1 - 0.999 ** (step + 1))
            w = w * (1 - rate * decay) - rate * unbiased[0] / (np.sqrt(unbiased[1]) + 1e-7)
        np.testing.assert_allclose(value, w, rtol=1e-5)


def test_only_kernels_decay():
    held = [tf.Variable(tf.ones(shape)) for shape in ([3, 3, 2, 4], [4], [2, 5], [])]
    assert [v.shape.rank for v in optimizer.decaying(held)] == [4, 2]


def test_the_loss_scale_falls_at_once_and_rises_by_patience():
    scale, seen = optimizer.LossScale(start=4.0, patience=3), []
    for finite in (True, True, False, True, True, True, True, False, False, False, False):
        scale.update(tf.constant(finite))
        seen.append((float(scale.value), int(scale.steps)))
    assert seen == [
        (4, 1),
        (4, 2),
        (2, 0),
        (2, 1),
        (2, 2),
        (4, 0),
        (4, 1),
        (2, 0),
        (1, 0),
        (1, 0),
        (1, 0),
    ]
    scale.value.assign(2.0**24)
    for _ in range(3):
        scale.update(tf.constant(True))
    assert float(scale.value) == 2.0**24
