"""Averaged weights: a mean in figures, and its place in a checkpoint."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from a2d_tf.training.averaging import Averages


def test_the_mean_in_figures():
    variable = tf.Variable([1.0, -2.0])
    averages = Averages([variable], 0.25)
    expected = np.array([1.0, -2.0])
    # The decay is (1 + n) / (10 + n) until that is .25, at n = 2.
    for step, decay in enumerate([0.1, 2 / 11, 0.25, 0.25]):
        variable.assign_add([1.0, 3.0])
        averages.update(tf.constant(step, tf.int64))
        expected = decay * expected + (1 - decay) * variable.numpy()
        np.testing.assert_allclose(averages.values[0], expected, rtol=1e-6)
    assert variable.numpy().tolist() == [5.0, 10.0]


def test_what_never_changes_stays_to_the_bit():
    values = np.random.default_rng(0).normal(size=100).astype(np.float32)
    variable = tf.Variable(values)
    averages = Averages([variable], 0.999)
    for step in range(5):
        averages.update(tf.constant(step, tf.int64))
    np.testing.assert_array_equal(averages.values[0], values)


def test_they_change_places_and_back_even_after_an_error():
    variable = tf.Variable(1.0)
    averages = Averages([variable], 0.5)
    variable.assign(3.0)
    with averages.in_place():
        assert (float(variable), float(averages.values[0])) == (1.0, 3.0)
    with pytest.raises(KeyError), averages.in_place():
        raise KeyError
    assert (float(variable), float(averages.values[0])) == (3.0, 1.0)


ON_TWO_REPLICAS = """
import tensorflow as tf
from a2d_tf.training.averaging import Averages

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    statistics = tf.Variable(
        1.0,
        trainable=False,
        synchronization=tf.VariableSynchronization.ON_READ,
        aggregation=tf.VariableAggregation.MEAN,
    )
    averages = Averages([statistics], 0.5)
    replica = lambda: tf.distribute.get_replica_context().replica_id_in_sync_group
    strategy.run(lambda: statistics.assign(4.0 * tf.cast(replica(), tf.float32)))
    averages.update(tf.constant(100, tf.int64))
    print(float(averages.values[0].read_value()))
    averages.exchange()
    print(float(statistics.read_value()), float(averages.values[0].read_value()))
"""


def test_statistics_of_batches_are_the_mean_over_the_replicas():
    """They are 0 and 4, and were 1: half of that and half of their mean."""
    command = [sys.executable, "-c", ON_TWO_REPLICAS]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1.5", "1.5", "2.0"]
