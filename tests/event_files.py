"""Read the values in TensorBoard's event files."""

import tensorflow as tf

from tools.benchmarks import setups


def values(folder):
    """Yield the step, the tag and the tensor (proto) of every value in event files.

    Args:
      folder: path of the folder of the files.
    """
    for _, tag, step, tensor in setups.points(folder):
        yield step, tag, tensor


def points(folder):
    """Return the values that a run has written for TensorBoard, {(step, tag): value}.

    Values that depend on a clock are left out. The test fails if a point is there
    twice.

    Args:
      folder: path of the folder of one writer's event files.
    """
    found = {}
    for step, tag, tensor in values(folder):
        if not tag.endswith(("second", "_ms")):
            assert (step, tag) not in found, f"{tag} at step {step} is there twice"
            found[step, tag] = float(tf.make_ndarray(tensor))
    return found
