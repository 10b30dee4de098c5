"""The checkpoints of a training, so that a killed run resumes exactly."""

from __future__ import annotations

import json
import os
import statistics
from typing import Any

import tensorflow as tf

from a2d_tf.core.checked_json import load_json
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import write_json
from a2d_tf.runs import checkpoints, run_folder
from a2d_tf.training.step.train_step import TrainState

_KEPT = 3  # number of checkpoints, as the last ones may be damaged


class StepValues(tf.train.experimental.PythonState):
    """The losses and health figures of the steps since the last TensorBoard point.

    They are a part of each checkpoint, so that a resumed run writes the same points.

    Attributes:
      values: for each step in order {name: value}: the weighted loss terms, 'total',
        health figures and 'gradient_norm'.
    """

    def __init__(self) -> None:
        super().__init__()
        self.values: list[dict[str, float]] = []

    def means(self) -> dict[str, float]:
        """Return {name: mean over the steps}; there must be at least one step."""
        means = {}
        for name in self.values[-1]:
            means[name] = statistics.fmean([values[name] for values in self.values])
        return means

    def serialize(self) -> str:
        """Return the values as the JSON text that a checkpoint stores.

        TensorFlow calls it when it writes a checkpoint.
        """
        return json.dumps(self.values)

    def deserialize(self, text: str) -> None:
        """Replace the values by those that a checkpoint stores.

        TensorFlow calls it when it restores a checkpoint.

        Args:
          text: the result of `serialize`.
        """
        self.values = json.loads(text)


class Checkpointer:
    """Saves and restores the training state in a run folder.

    A checkpoint holds the network, the optimizer's slots, the moving averages of the
    weights if the run has them, the step, and the values gathered for the next
    TensorBoard point. The averages are stored as the network's weights, so that every
    reader gets them. `checkpoints/` has the newest checkpoints, to resume from, and
    `best/` the weights that scored best in validation.

    Args:
      workdir: the run folder; the folder of checkpoints is made in it.
      state: the network, the optimizer and the other objects that training changes.

    Attributes:
      workdir: the argument.
      step_values: the values of the steps since the last TensorBoard point.
    """

    def __init__(self, workdir: str, state: TrainState) -> None:
        self.workdir = workdir
        self.step_values = StepValues()
        self._state = state
        os.makedirs(self._folder("last"), exist_ok=True)
        self._stat = os.stat(self._folder("last"))
        self._parts: dict[str, Any] = {
            "network": state.network,
            "optimizer": state.optimizer,
            "step": state.step,
            "window": self.step_values,
        }
        if state.averages is not None:
            self._parts["averages"] = state.averages

    @property
    def step(self) -> int:
        """The number of training steps done."""
        return int(self._state.step.numpy())

    def resume(self) -> bool:
        """Restore the newest undamaged checkpoint, if the run folder has one.

        Call it once, before the first step. Partly written checkpoints are removed.

        Returns:
          whether a checkpoint was restored; if not, the run starts from step 0.

        Raises:
          InputError: the checkpoint is of another network, or all are damaged.
        """
        path = checkpoints.newest(self._folder("last"))
        for kind in ("last", "best"):
            checkpoints.sweep(self._folder(kind))
        if path is None:
            return False
        checkpoints.load(path, self._parts)
        if self._state.averages is not None:
            self._state.averages.exchange()
        return True

    def save(self) -> None:
        """Save the whole training state of the current step to `checkpoints/`.

        Only the newest few checkpoints are kept.

        Raises:
          InputError: the checkpoint cannot be written, and the older ones stay; or the
            run folder was deleted.
        """
        self._save("last", self._parts, _KEPT)

    def save_best(self, score: float, threshold: float) -> bool:
        """Save the network to `best/` if its validation score is the run's best so far.

        A JSON file beside it gets the step, the score and the threshold.

        Args:
          score: the validation score of the current step, percent.
          threshold: least p(actor) of an instance, with which the score was reached.

        Returns:
          whether the network was saved.

        Raises:
          InputError: the checkpoint cannot be written, or the run folder was deleted.
        """
        step = self.step
        path = os.path.join(self._folder("best"), run_folder.BEST)
        if os.path.isfile(path):
            kind = {"step": int, "score": float}
            best = load_json(path, kind, "delete it and run again")
            # A best of this step or a later one was written before the run was killed;
            # the run repeats it.
            if best["step"] < step and best["score"] >= score:
                return False
        self._save("best", {"network": self._state.network}, keep=1)
        write_json(path, {"step": step, "score": score, "score_threshold": threshold})
        return True

    def mark_finished(self) -> None:
        """Write `finished.json` into the run folder, with the number of steps.

        Call it after the validation of the last step.
        """
        write_json(
            os.path.join(self.workdir, run_folder.FINISHED), {"steps": self.step}
        )

    def _save(self, kind: str, parts: dict[str, Any], keep: int) -> None:
        """Save parts with the averages in place of the weights, and keep the last ones.

        Args:
          kind: which folder of checkpoints to save to, 'last' or 'best'.
          parts: {name: object} that the checkpoint holds.
          keep: number of checkpoints that stay in the folder.
        """
        # A deleted folder would be made again, without the settings of the run.
        last = self._folder("last")
        if not os.path.isdir(last) or not os.path.samestat(os.stat(last), self._stat):
            raise InputError(
                f"{last}: deleted or replaced during the training; start it again"
            )
        with self._state.averaged_weights():
            checkpoints.save(self._folder(kind), parts, self.step, keep)

    def _folder(self, kind: str) -> str:
        return run_folder.checkpoint_folder(self.workdir, kind)
