"""Kernels and copies of small functions, counted by hand."""

import tensorflow as tf

from a2d_tf.training.doctor import launches
from tools.benchmarks import launches as suite


def count(function, *shapes):
    return launches.count(tf.function(function), *(tf.ones(shape) for shape in shapes))


def kinds(counts):
    return {op: number for (_, op), number in counts.launches.items()}


def test_what_only_hands_on_launches_nothing():
    made = count(lambda x: tf.reshape(tf.exp(tf.expand_dims(x, 0)), [-1]), [2, 3])
    assert kinds(made) == {"Exp": 1} and not made.copies


def test_a_loop_counts_as_often_as_it_runs():
    def function(x):
        return tf.while_loop(lambda i, _: i < 3, lambda i, x: (i + 1, tf.sin(x)), (0, x))[1]

    made = count(function, [2])
    assert kinds(made) == {"Sin": 3} and not made.copies  # the host counts


def test_only_the_branch_that_is_taken_counts():
    def function(x):
        return tf.cond(tf.reduce_sum(x) > 0, lambda: tf.sin(x), lambda: tf.cos(tf.cos(x)))

    made = count(function, [2])
    assert kinds(made) == {"Sum": 1, "Greater": 1, "Sin": 1}
    # The host decides.
    assert dict(made.copies) == {(launches.TO_HOST, "Greater", "Switch"): 1}


def test_what_has_no_kernel_there_is_copied_both_ways():
    made = count(
        lambda x: tf.exp(tf.raw_ops.ResizeArea(images=tf.sin(x), size=[2, 2])), [1, 4, 4, 1]
    )
    assert kinds(made) == {"Sin": 1, "Exp": 1}
    assert dict(made.copies) == {
        (launches.TO_HOST, "Sin", "ResizeArea"): 1,
        (launches.TO_DEVICE, "ResizeArea", "Exp"): 1,
    }


def test_shapes_are_computed_on_the_host_and_counted_there():
    """tf.where tells it how many; integers that a shape is made of are the host's anyway."""

    def function(x):
        return tf.zeros([2 * tf.shape(tf.where(x > 0.5))[0]])

    made = count(function, [3])
    assert kinds(made) == {"Greater": 1, "Where": 1, "Fill": 1} and not made.copies


def test_int32_of_the_device_goes_to_the_host_for_arithmetic():
    made = count(lambda x: tf.gather(x, tf.cast(x, tf.int32) + 1), [3])
    assert kinds(made) == {"Cast": 1, "GatherV2": 1}
    assert dict(made.copies) == {
        (launches.TO_HOST, "Cast", "AddV2"): 1,
        (launches.TO_DEVICE, "AddV2", "GatherV2"): 1,
    }


def test_the_bytes_of_the_nms_follow_from_the_flagfile():
    """Boxes and scores of 8 clips go, 2000 boxes and a number of each come back, as float32."""
    clips, made = suite.suppressions()["NMS of a training step"]
    assert (clips, *made) == (8, 8 * 10000 * 5 * 4, 8 * (2000 * 4 + 1) * 4)
