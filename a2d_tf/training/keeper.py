"""The checkpoints of a training run, which may be killed at any step and resumes exactly.

A checkpoint holds the network, the optimizer's slots, averages and loss scale where there are any,
the step, and the values gathered for the next TensorBoard point. An older checkpoint stays until
the new one is complete.
"""

from __future__ import annotations

import contextlib
import json
import os

import tensorflow as tf

from a2d_tf.core.files import read_json, write_json
from a2d_tf.training import checkpoints, replicas
from a2d_tf.training.train_step import TrainState


class Window(tf.train.experimental.PythonState):
    """The values of the steps since the last TensorBoard point: a list of {name: float}."""

    def __init__(self) -> None:
        super().__init__()
        self.values: list[dict[str, float]] = []

    def means(self) -> dict[str, float]:
        """Return the mean of each value of the last step over the steps that have it.

        Steps in another precision, before a resume, may lack some.
        """
        columns = {
            name: [values[name] for values in self.values if name in values]
            for name in self.values[-1]
        }
        return {name: sum(column) / len(column) for name, column in columns.items()}

    def serialize(self) -> str:
        return json.dumps(self.values)

    def deserialize(self, text: str) -> None:
        self.values = json.loads(text)


class Keeper:
    """Saves and restores the training state in a run folder.

    Args:
      workdir: the run folder, also an attribute.
      state: a `train_step.TrainState`. Its averages take the place of the network's weights in a
        checkpoint, so that every reader gets them.
      number: how many of the newest checkpoints to keep.
      chief: whether this process writes the run folder. All workers have to call `save`, because
        some variables are gathered from all of them.

    Attributes:
      window: a Window.
    """

    def __init__(self, workdir: str, state: TrainState, number: int, chief: bool = True) -> None:
        self.workdir, self.window = workdir, Window()
        self._state, self._number, self._chief = state, number, chief
        names = ["network", "optimizer", "step"] + ["averages"] * bool(state.averages)
        self._parts = {name: getattr(state, name) for name in names}
        # Checkpoints of older runs, and of steps in another precision, may lack these.
        self._optional = {"window": self.window}
        if state.loss_scale:
            self._optional["loss_scale"] = state.loss_scale
        self._checkpoints = {
            "last": tf.train.Checkpoint(**self._parts, **self._optional),
            "best": tf.train.Checkpoint(network=state.network),
        }

    @property
    def step(self) -> int:
        """The number of steps done."""
        return int(self._state.step.numpy())

    def resume(self) -> bool:
        """Restore the newest intact checkpoint, and return whether there is one.

        Raises:
          InputError: the checkpoint is of another network, or all are damaged.
        """
        folder = self._folder("last")
        path = checkpoints.newest(folder)
        if self._chief:
            for kind in ("last", "best"):
                checkpoints.sweep(self._folder(kind))
        if path is None:
            return False
        checkpoints.load(path, self._parts)
        for name, part in self._optional.items():
            if checkpoints.holds(path, name):
                checkpoints.load(path, {name: part})
        if self._state.averages:
            self._state.averages.exchange()
        return True

    def save(self) -> None:
        """Save the current step.

        Raises:
          InputError: it cannot be written; the older checkpoints stay.
        """
        self._write("last", self._number)

    def save_best(self, score: float, threshold: float) -> bool:
        """Save to `best/` if the validation is the run's best; return whether it is.

        All workers call it and the chief's score decides: scores may differ between devices, but
        only together can they save.

        Args:
          score: joint mIoU, percent; threshold: on p(actor), with which it was reached.
        """
        step, path = self.step, os.path.join(self._folder("best"), checkpoints.BEST)
        better = True
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            best = read_json(path)
            # Ignore a best from this step or later: the run was killed and will repeat it.
            before = best["joint_miou"]
            better = best["step"] >= step or before < score or not 0 <= before <= 100
        if not replicas.make_any()(self._chief and better):
            return False
        self._write("best", 1)
        if self._chief:
            best = {"step": step, "joint_miou": score, "score_threshold": threshold}
            write_json(path, best)
        return True

    def mark_finished(self) -> None:
        """Write `finished.json`, after the validation of the last step."""
        if self._chief:
            write_json(self._finished(), {"steps": self.step})

    def is_finished(self) -> bool:
        """Return whether the run was marked as finished at this step."""
        try:
            return read_json(self._finished()) == {"steps": self.step}
        except (OSError, ValueError):
            return False

    def _finished(self):
        return os.path.join(self.workdir, "finished.json")

    def _folder(self, kind):
        return os.path.join(self.workdir, checkpoints.KINDS[kind])

    def _write(self, kind, number):
        averages, folder = self._state.averages, self._folder(kind)
        with averages.in_place() if averages else contextlib.nullcontext():
            checkpoints.save(self._checkpoints[kind], folder, number, self.step, chief=self._chief)
