"""Optimizers with decoupled weight decay, against those of tensorflow-addons."""

import warnings

import numpy as np
import pytest
import tensorflow as tf

from a2d_tf.core.settings.config import TrainingConfig
from a2d_tf.training.step import decoupled_decay
from a2d_tf.training.step.schedule import Schedule

try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is no longer developed
        import tensorflow_addons as tfa
except ImportError:  # it ends at TensorFlow 2.15 and Python 3.11
    tfa = None

SHAPES = [(3, 3, 2, 4), (4,), (5, 7), ()]


class Training(tf.Module):
    """Variables, gradients by step, and an optimizer with scheduled rate and decay."""

    def __init__(self, kind, own):
        super().__init__()
        rng = np.random.default_rng(0)
        self.held = [
            tf.Variable(rng.normal(size=shape).astype(np.float32)) for shape in SHAPES
        ]
        training = TrainingConfig(
            learning_rate=0.1, steps=6, warmup_steps=2, schedule="cosine"
        )
        rate, decay = (Schedule(training, factor) for factor in (1.0, 0.03))
        options = {"momentum": 0.9} if kind == "SGDW" else {}
        maker = getattr(decoupled_decay if own else tfa.optimizers, kind)
        self.opt = maker(weight_decay=decay, learning_rate=rate, **options)
        self.decaying = [variable for variable in self.held if variable.shape.rank > 1]
        self._step = tf.function(self._step)
        self.checkpoint = tf.train.Checkpoint(held=self.held, opt=self.opt)

    def _step(self, gradients):
        self.opt.apply_gradients(
            zip(gradients, self.held), decay_var_list=self.decaying
        )

    def steps(self, first, last):
        for step in range(first, last):
            rng = np.random.default_rng([1, step])
            self._step(
                [tf.constant(rng.normal(size=shape), tf.float32) for shape in SHAPES]
            )
        return self

    def state(self):
        """Values of the variables, the step and the slots."""
        slots = [
            self.opt.get_slot(v, n)
            for n in self.opt.get_slot_names()
            for v in self.held
        ]
        return [value.numpy() for value in (*self.held, self.opt.iterations, *slots)]


@pytest.mark.skipif(tfa is None, reason="tensorflow-addons is not installed")
@pytest.mark.parametrize("kind", ["SGDW", "AdamW"])
def test_the_same_steps_to_the_last_bit_also_from_a_checkpoint_of_the_other(
    kind, tmp_path
):
    ours, theirs = Training(kind, True).steps(0, 3), Training(kind, False).steps(0, 3)
    for trained, own in ((ours, False), (theirs, True)):
        path = trained.checkpoint.save(str(tmp_path / f"ckpt{own}"))
        other = Training(kind, own)
        status = other.checkpoint.restore(path)
        other.steps(3, 5)
        status.assert_consumed()
        states = trained.steps(3, 5).state(), other.state()
        assert len(states[0]) == len(states[1]) >= 1 + 2 * len(SHAPES)
        for x, y in zip(*states):
            np.testing.assert_array_equal(x, y)
    for x, y in zip(ours.state(), theirs.state()):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("kind", ["SGDW", "AdamW"])
def test_an_empty_list_lets_no_variable_decay_and_none_lets_all(kind):
    for decaying, expected in ((None, 0.5), ([], 1.0)):
        variable = tf.Variable(1.0)
        optimizer = getattr(decoupled_decay, kind)(weight_decay=0.5, learning_rate=0.0)
        optimizer.apply_gradients(
            [(tf.constant(0.0), variable)], decay_var_list=decaying
        )
        assert variable.numpy() == expected
