"""What a training run keeps, so that it can be killed at any step and go on to the same end.

A checkpoint holds the network, the optimizer's slots, the step, and what of the next TensorBoard
point is gathered already. TensorFlow writes it beside its place and renames it: an older one stays
until the new one is whole.
"""

import contextlib
import json
import os

import tensorflow as tf

from a2d_tf.core.files import read_json, write_json
from a2d_tf.learning import replicas
from a2d_tf.learning.runs import checkpoints


class Window(tf.train.experimental.PythonState):
    """The values of the steps since the last TensorBoard point: a list of {name: float}."""

    def __init__(self):
        super().__init__()
        self.values = []

    def serialize(self):
        return json.dumps(self.values)

    def deserialize(self, text):
        self.values = json.loads(text)


class Keeper:
    """The checkpoints of a run folder.

    Args:
      workdir: the run folder.
      network, optimizer, step: what is kept; step is an int64 variable.
      number: how many of the newest stay.
      averages: an `averaging.Averages` of the network's variables, or None. In a checkpoint they
        take the place of the network's weights, so that all who read one get them.
      loss_scale: an `optimizer.LossScale`, or None.
      chief: whether this process writes the run folder. Of several workers all have to call
        `save`, since some variables are gathered from all.

    Attributes:
      window: a Window.
    """

    def __init__(
        self, workdir, network, optimizer, step, number, averages=None, loss_scale=None, chief=True
    ):
        self._workdir, self._chief, self._averages = workdir, chief, averages
        self._step, self.window = step, Window()
        self._parts = {"network": network, "optimizer": optimizer, "step": step}
        if averages:
            self._parts["averages"] = averages
        # Not in every checkpoint: after steps in another precision, or of an older run.
        self._maybe = {"window": self.window, **({"loss_scale": loss_scale} if loss_scale else {})}
        self._number = number
        self._checkpoints = {
            "last": tf.train.Checkpoint(**self._parts, **self._maybe),
            "best": tf.train.Checkpoint(network=network),
        }

    def resume(self):
        """Take up the newest whole checkpoint.

        Returns:
          whether there is one.

        Raises:
          InputError: a checkpoint of another network, or nothing but damaged ones.
        """
        folder = self._folder("last")
        path = checkpoints.newest(folder)
        if self._chief:
            for kind in ("last", "best"):
                checkpoints.sweep(self._folder(kind))
        if path is None:
            return False
        checkpoints.load(path, self._parts)
        for name, part in self._maybe.items():
            if checkpoints.holds(path, name):
                checkpoints.load(path, {name: part})
        if self._averages:
            self._averages.exchange()
        return True

    def save(self):
        """Keep this step.

        Raises:
          InputError: it cannot be written; the older checkpoints stay.
        """
        self._write("last", self._number)

    def save_best(self, score, threshold):
        """Keep this step apart, if its validation is the run's best.

        Of several workers all call it, and the first one's score decides: unlike devices may score
        unlike, but only together can they save.

        Args:
          score: joint mIoU; threshold: on p(actor), with which it was reached.

        Returns:
          whether it is.
        """
        step, path = int(self._step.numpy()), os.path.join(self._folder("best"), checkpoints.BEST)
        better = True
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            best = read_json(path)
            # Of a step that a killed run is about to repeat, it is no rival.
            before = best["joint_miou"]
            better = best["step"] >= step or before < score or not 0 <= before <= 100
        if not replicas.make_any()(self._chief and better):
            return False
        self._write("best", 1)
        if self._chief:
            best = {"step": step, "joint_miou": score, "score_threshold": threshold}
            write_json(path, best)
        return True

    def _folder(self, kind):
        return os.path.join(self._workdir, checkpoints.KINDS[kind])

    def _write(self, kind, number):
        step, folder = int(self._step.numpy()), self._folder(kind)
        with self._in_place():
            checkpoints.save(self._checkpoints[kind], folder, number, step, chief=self._chief)

    def _in_place(self):
        return self._averages.in_place() if self._averages else contextlib.nullcontext()
