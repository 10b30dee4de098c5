"""What stands in for tensorflow-addons, against it."""

import numpy as np
import pytest
import tensorflow as tf

from a2d_tf.core import addons
from a2d_tf.core.config import LearningConfig
from a2d_tf.training import optimizer

needs_tfa = pytest.mark.skipif(addons.tfa is None, reason="tensorflow-addons is not installed")
SHAPES = [(3, 3, 2, 4), (4,), (5, 7), ()]


def make(kind, own, plain):
    rate, decay = 0.1, 0.003
    if not plain:
        learning = LearningConfig(learning_rate=0.1, steps=6, warmup_steps=2, schedule="cosine")
        rate, decay = (optimizer.Schedule(learning, factor) for factor in (1.0, 0.03))
    name, options = ("AdamW", {}) if kind == "adam" else ("SGDW", {"momentum": 0.9})
    maker = getattr(addons, f"Own{name}") if own else getattr(addons.tfa.optimizers, name)
    return maker(weight_decay=decay, learning_rate=rate, **options)


class Training(tf.Module):
    """Variables and an optimizer, with gradients from (seed, step).

    If plain: rates that are numbers, decay of all variables, no graph.
    """

    def __init__(self, kind, own, plain=False):
        super().__init__()
        rng = np.random.default_rng(0)
        self.held = [tf.Variable(rng.normal(size=shape).astype(np.float32)) for shape in SHAPES]
        self.opt = make(kind, own, plain)
        self.decaying = None if plain else optimizer.decaying(self.held)
        self._step = self._step if plain else tf.function(self._step)
        self.checkpoint = tf.train.Checkpoint(held=self.held, opt=self.opt)

    def _step(self, gradients):
        self.opt.apply_gradients(zip(gradients, self.held), decay_var_list=self.decaying)

    def steps(self, first, last):
        for step in range(first, last):
            rng = np.random.default_rng([1, step])
            self._step([tf.constant(rng.normal(size=shape), tf.float32) for shape in SHAPES])
        return self

    def state(self):
        """Values of the variables, the step and the slots."""
        slots = [self.opt.get_slot(v, n) for n in self.opt.get_slot_names() for v in self.held]
        return [value.numpy() for value in (*self.held, self.opt.iterations, *slots)]


def assert_same(a, b):
    a, b = a.state(), b.state()
    assert len(a) == len(b) >= 1 + 2 * len(SHAPES)
    for x, y in zip(a, b):
        np.testing.assert_array_equal(x, y)


@needs_tfa
@pytest.mark.parametrize("kind", ["sgd", "adam"])
@pytest.mark.parametrize("plain", [False, True])
def test_the_same_steps_to_the_last_bit(kind, plain):
    ours = Training(kind, True, plain).steps(0, 5)
    assert_same(Training(kind, False, plain).steps(0, 5), ours)
    undecayed = Training(kind, True, plain)
    undecayed.opt._set_hyper("weight_decay", 0.0)
    assert np.abs(undecayed.steps(0, 5).held[0] - ours.held[0].numpy()).max() > 1e-3


@needs_tfa
@pytest.mark.parametrize("kind", ["sgd", "adam"])
@pytest.mark.parametrize("own", [True, False])
def test_each_goes_on_from_a_checkpoint_of_the_other(kind, own, tmp_path):
    first = Training(kind, own).steps(0, 3)
    path = first.checkpoint.save(str(tmp_path / "ckpt"))
    other = Training(kind, not own)
    status = other.checkpoint.restore(path)
    other.steps(3, 5)
    status.assert_consumed()
    assert_same(first.steps(3, 5), other)


def test_decay_alone_in_figures():
    """Without a gradient what is left is the decay, and only that of the list."""
    for make_one in (addons.OwnAdamW, addons.OwnSGDW):
        held = [tf.Variable([8.0]), tf.Variable([8.0])]
        opt = make_one(0.25, learning_rate=1.0)
        for _ in range(2):
            opt.apply_gradients([(tf.zeros([1]), v) for v in held], decay_var_list=held[:1])
        assert [float(v[0]) for v in held] == [4.5, 8.0]


@needs_tfa
@pytest.mark.parametrize("size", [(2, 2), (9, 14)])
def test_the_same_warp_to_the_last_bit(size):
    rng = np.random.default_rng(0)
    image = rng.uniform(0, 255, (2, *size, 3)).astype(np.float32)
    flow = rng.normal(0, 4, (2, *size, 2)).astype(np.float32)
    flow[0, 0] = flow[0, 0].round()
    np.testing.assert_array_equal(
        addons.own_dense_image_warp(image, flow), addons.tfa.image.dense_image_warp(image, flow)
    )


def test_a_warp_in_figures():
    image = np.float32([[0, 10, 20], [100, 110, 120]])[None, ..., None]
    flow = np.zeros((1, 2, 3, 2), np.float32)
    flow[0, 0, 0] = -0.5, -1.25  # reads row 0.5, column 1.25
    flow[0, 1, 2] = 9, -9  # beyond the upper right corner
    flow[0, 1, 0] = 0.25, 0
    made = addons.own_dense_image_warp(image, flow)[0, ..., 0]
    np.testing.assert_array_equal(made, [[62.5, 10, 20], [75, 110, 20]])
