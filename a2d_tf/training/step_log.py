"""The log of training steps: the progress bar, and TensorBoard's points with times."""

from __future__ import annotations

import time

import tensorflow as tf

from a2d_tf.core.command.progress import progress_bar
from a2d_tf.core.settings.config import TrainingConfig
from a2d_tf.model.heads import LOSS_TERMS
from a2d_tf.training.checkpointer import Checkpointer
from a2d_tf.training.events import Events, to_tags
from a2d_tf.training.step.schedule import Schedule


def is_due(step: int, every: int, last: int) -> bool:
    """Return whether something that recurs during a training is due now.

    Args:
      step: the number of steps done.
      every: the number of steps after which it recurs.
      last: the number of steps of the whole training; it is due at the end, too.
    """
    return step % every == 0 or step >= last


class StepLog:
    """Shows the steps of a training in a progress bar, and in TensorBoard.

    A TensorBoard point has the means over the steps since the point before, which a
    checkpoint keeps. The training loop calls `add_wait` and `add` at every step, `read`
    before something is written or saved, and then `show`. So values stay on the device
    until they are needed.

    Args:
      checkpointer: the checkpoints of the run, which hold the values between points.
      events: the TensorBoard writers of the run.
      training: the settings of the training.

    Attributes:
      bar: the progress bar, a context manager that the loop enters and leaves.
    """

    def __init__(
        self, checkpointer: Checkpointer, events: Events, training: TrainingConfig
    ) -> None:
        self._step_values = checkpointer.step_values
        self._events = events
        self._training = training
        self._schedule = Schedule(training)
        self._unread: list[dict[str, tf.Tensor]] = []
        self.bar = progress_bar(
            total=training.steps,
            initial=checkpointer.step,
            unit="step",
            dynamic_ncols=True,
            smoothing=0.1,
        )
        self.restart_clock()

    def restart_clock(self) -> None:
        """Measure times from now on, such as after a validation."""
        self._steps = 0
        self._start = time.monotonic()
        self._waited = 0.0

    def add_wait(self, seconds: float) -> None:
        """Add the seconds that the loop has waited for a batch."""
        self._waited += seconds

    def add(self, values: dict[str, tf.Tensor]) -> None:
        """Add the values of a finished step, without waiting for the device.

        Args:
          values: {name: scalar tensor}, losses and health figures; `read` fetches them.
        """
        self._unread.append(values)
        self._steps += 1
        self.bar.update()
        if self.bar.n == self.bar.initial + 1:  # this step was compiled, too
            self.bar.unpause()

    def read(self, step: int) -> list[tuple[int, dict[str, float]]]:
        """Fetch the values of all steps since the last call, in one transfer.

        They also become part of the next checkpoint and the next TensorBoard point.

        Args:
          step: the number of steps done.

        Returns:
          for each of these steps (its number from 0, {name: value}).
        """
        table = tf.stack([tf.stack(list(values.values())) for values in self._unread])
        names = list(self._unread[0])
        rows = [dict(zip(names, row)) for row in table.numpy().tolist()]
        self._unread.clear()
        self._step_values.values += rows
        return list(enumerate(rows, step - len(rows)))

    def show(self, step: int) -> None:
        """Show the losses of the newest step; write a TensorBoard point if it is due.

        Call it after `read`. The point has the means of all values, the learning rate,
        clips per second, and the milliseconds of a step and of waiting for its batch.

        Args:
          step: the number of steps done.
        """
        values = self._step_values.values[-1]
        terms = {name: f"{values[name]:.3f}" for name in LOSS_TERMS if name in values}
        self.bar.set_postfix(terms, refresh=False)
        training = self._training
        if not is_due(step, training.log_every, training.steps):
            return
        elapsed = time.monotonic() - self._start
        point = to_tags(self._step_values.means())
        point["run/learning_rate"] = self._schedule(step)
        point["run/clips_per_second"] = self._steps * training.batch_size / elapsed
        point["run/step_ms"] = 1e3 * elapsed / self._steps
        point["run/wait_ms"] = 1e3 * self._waited / self._steps
        self._events.write("train", step, point)
        self._step_values.values.clear()
        self.restart_clock()
