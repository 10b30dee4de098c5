"""Several steps in one call do what the same steps do one by one, and stop changing at the same."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
import tiny_network
from processes import run_python

from a2d_tf.core import devices
from a2d_tf.core.config import LearningConfig
from a2d_tf.core.errors import InputError
from a2d_tf.training import batches, optimizer, train_step

pytestmark = pytest.mark.slow

LEARNING = LearningConfig(
    batch_size=1,
    optimizer="adam",
    learning_rate=0.01,
    warmup_steps=0,
    average_decay=0.9,
    roi_samples=16,
    train_proposals=20,
    rpn_samples=32,
)
BAD = 4


@pytest.fixture(autouse=True, scope="module")
def deterministic():
    devices.prepare()


def clips():
    """An endless stream of clips."""
    made = [tiny_network.labelled(1, frames=1, seed=seed) for seed in range(6)]
    parts = {name: tf.stack([clip[name] for clip in made]) for name in made[0]}
    return iter(tf.data.Dataset.from_tensor_slices(parts).repeat())


def spoil(monkeypatch):
    """Make the objectness of step BAD no number."""
    forward = train_step.forward

    def spoilt(network, batch, seed, *arguments, **options):
        terms, health = forward(network, batch, seed, *arguments, **options)
        ((total, count),) = terms["roi_cls"]
        bad = tf.where(seed[1] == BAD, np.nan, 1.0)
        return {**terms, "roi_cls": [(total * bad, count)]}, health

    monkeypatch.setattr(train_step, "forward", spoilt)


def run(calls):
    """Take calls of so many steps; returns {name: every step's value} and all that they change."""
    network = tiny_network.make(
        precision="mixed_float16", norm="bn", use_flow=False, temporal_layers=0, use_mask=False
    )
    learning = dataclasses.replace(LEARNING, steps_per_call=max(calls))
    state = train_step.TrainState.create(network, learning)
    steps, stream = train_step.make_train_steps(state, learning), clips()
    done, values = 0, []
    for count in calls:
        made, waited = steps(stream, done, count)
        assert float(waited) >= 0
        values.append(made)
        done += count
    variables = [*network.variables, *state.optimizer.variables(), *state.averages.values]
    variables += state.loss_scale.variables
    log = {name: np.concatenate([made[name] for made in values]) for name in values[0]}
    return log, [variable.numpy() for variable in variables]


def same(one, other):
    return len(one) == len(other) and all(np.array_equal(a, b) for a, b in zip(one, other))


def test_in_float16_with_overflows_and_up_to_what_is_no_number(monkeypatch):
    """The scale, too large at first, falls and rises; the running means of batch norm move.

    Step BAD reports no number, and neither it nor those after it change anything.
    """
    monkeypatch.setattr(optimizer.LossScale.__init__, "__defaults__", (2.0**60, 1))
    spoil(monkeypatch)
    one_by_one, before = run([1] * BAD)
    assert one_by_one["gradient_norm"][0] == 0 and one_by_one["loss_scale"][0] == 2.0**60
    assert np.isfinite(list(one_by_one.values())).all()
    together, after = run([3, 3, 1])
    assert same(before, after) and together.keys() == one_by_one.keys()
    for name, values in one_by_one.items():
        assert np.array_equal(together[name][:BAD], values), name
    assert not np.isfinite(together["total"][BAD]) and np.isfinite(together["total"][BAD + 1])


def test_an_error_of_reading_is_told_from_one_of_the_step():
    """In a graph that reads batches and computes."""

    def parse(x):
        with tf.control_dependencies([tf.debugging.Assert(x < 2, ["no valid pair"])]):
            return tf.identity(x)

    @tf.function
    def steps(stream, least):
        x = next(stream)
        with tf.control_dependencies([tf.debugging.Assert(x >= least, ["too small"])]):
            return tf.identity(x)

    stream = iter(tf.data.Dataset.range(4).map(parse))
    with batches.naming("some"):
        assert int(steps(stream, tf.constant(0, tf.int64))) == 0
    with pytest.raises(tf.errors.InvalidArgumentError, match="too small"), batches.naming("some"):
        steps(stream, tf.constant(5, tf.int64))
    message = r"^some: damaged records \(assertion failed: \[no valid pair\]\); build them again$"
    with pytest.raises(InputError, match=message), batches.naming("some"):
        steps(stream, tf.constant(0, tf.int64))
    with pytest.raises(InputError, match=message), batches.naming("some"):
        next(iter(tf.data.Dataset.range(2, 4).map(parse)))


def test_batches_are_copied_to_the_device_ahead():
    """To the second of two devices, made of one CPU in a process of its own."""
    done = run_python(
        "-c",
        "import tensorflow as tf\n"
        "from a2d_tf.training import batches\n"
        "cpu = tf.config.list_physical_devices('CPU')[0]\n"
        "two = [tf.config.LogicalDeviceConfiguration()] * 2\n"
        "tf.config.set_logical_device_configuration(cpu, two)\n"
        "data = tf.data.Dataset.range(3).map(lambda x: {'x': tf.cast(x, tf.float32)})\n"
        "for batch in batches.on_device(data, '/device:CPU:1'):\n"
        "    print(batch['x'].device, float(batch['x']))\n",
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.split("\n")
    assert [line.split("/")[-1] for line in lines[:3]] == [f"device:CPU:1 {i}.0" for i in range(3)]
