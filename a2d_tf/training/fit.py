"""Fit a network: the loop over training steps, with checkpoints, TensorBoard and
validation.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import time
from collections.abc import Iterator
from typing import Any, Callable

import tensorflow as tf

from a2d_tf.core.config import Config, TrainingConfig
from a2d_tf.core.progress import progress_bar
from a2d_tf.core.signals import stop_at_once, stop_on_signal
from a2d_tf.data import clip_records
from a2d_tf.data.manifest import Manifest
from a2d_tf.model.heads import LOSS_TERMS
from a2d_tf.model.network import Network
from a2d_tf.runs.checkpoints import is_finished
from a2d_tf.training import divergence, optimizer, replicas
from a2d_tf.training.checkpointer import Checkpointer
from a2d_tf.training.events import Events, tagged
from a2d_tf.training.phases import set_phase
from a2d_tf.training.train_step import TrainState, make_train_step

_MEASURED = 10.0  # seconds of steps, after the second one
logger = logging.getLogger(__name__)

Validated = tuple[dict[str, float], dict[str, Any], float, float]
"""Of a validation: {tag: value} and {tag: uint8 [1, H, W, 3]} for TensorBoard; the
score, percent, whose best weights are kept; the threshold on p(actor) that reached it.
"""


def fit(
    network: Network,
    manifest: Manifest,
    config: Config,
    workdir: str,
    *,
    validate: Callable[[], Validated | None],
) -> None:
    """Train the network and keep its checkpoints; an interrupted run resumes from its
    last one.

    Call it in the scope of the network's strategy. A finished run is left as it is.

    Args:
      workdir: gets `checkpoints/`, `best/`, `tensorboard/` and, at the end,
        `finished.json`.
      validate: called with the averaged weights in place; returns None if no video is
        held out.

    Raises:
      InputError: unusable records or checkpoint, or a loss that is not finite.
      KeyboardInterrupt: SIGTERM or Ctrl-C ended the run after a step, which is saved.
    """
    training = config.training
    set_phase(network, training.train_phase, training.backbone_rate > 0)
    state = TrainState.create(network, training)
    checkpointer = Checkpointer(workdir, state)
    events = Events(workdir)
    validation = functools.partial(_validate, validate, state, checkpointer, events)
    if not _resume(checkpointer, events, validation, training):
        return
    step = checkpointer.step
    train_step = make_train_step(state, training)
    stream = replicas.batches(manifest, config, start_step=step)
    progress = _Progress(checkpointer, events, training)
    with progress.bar, stop_on_signal() as signals:
        while step < training.steps:
            progress.advance(
                train_step(progress.fetch(stream, manifest.directory), step)
            )
            step += 1
            state.step.assign(step)
            due = _due(step, training.validate_every, training.steps)
            save = bool(signals) or due or step % training.checkpoint_every == 0
            if save or _due(step, training.log_every, training.steps):
                for number, values in progress.read(step):
                    if not divergence.is_finite(values):
                        divergence.stop(
                            values, number, network, manifest, config, workdir
                        )
                progress.show(step)
            if save:
                manifest.check_kept()  # before weights that learned from others
                checkpointer.save()
                if signals:
                    progress.bar.close()
                    logger.info(
                        "stopped at step %d; the same command resumes there", step
                    )
                    raise KeyboardInterrupt
            if due:
                validation(step)
                progress.restart()
    checkpointer.mark_finished()


def time_steps(
    network: Network, manifest: Manifest, config: Config
) -> tuple[float, float]:
    """Measure the first step, which compiles, and a later one, in seconds; both change
    the weights.

    Raises:
      InputError: unusable records.
    """
    training = config.training
    set_phase(network, training.train_phase, training.backbone_rate > 0)
    train_step = make_train_step(TrainState.create(network, training), training)
    stream, times = replicas.batches(manifest, config, start_step=0), [time.monotonic()]
    with clip_records.naming(manifest.directory):
        while len(times) < 4 or times[-1] - times[2] < _MEASURED:
            values = train_step(next(stream), len(times) - 1)
            next(iter(values.values())).numpy()  # waits for the device
            times.append(time.monotonic())
    return times[1] - times[0], (times[-1] - times[2]) / (len(times) - 3)


def _due(step, every, last):
    """Return whether an action is due: it recurs, and is always due after the last
    step.
    """
    return step % every == 0 or step >= last


def _resume(checkpointer, events, validation, training):
    """Restore the newest checkpoint, validate where that is due; return whether
    steps are left.
    """
    resumed, step = checkpointer.resume(), checkpointer.step
    if resumed:
        if step >= training.steps and is_finished(checkpointer.workdir, step):
            logger.info(
                "%s: finished at step %d; raise --steps to continue, or use another"
                " --workdir",
                *(checkpointer.workdir, step),
            )
            return False
        logger.info("resuming at step %d of %d", step, training.steps)
    # The validation of this step may have been cut off; it is then repeated.
    due = _due(step, training.validate_every, training.steps)
    # Points that the run wrote after its last checkpoint will be written again.
    events.trim("train", step)
    events.trim("validation", step - 1 if due else step)
    if resumed and due:
        validation(step)
    return True


def _validate(validate, state, checkpointer, events, step):
    """Validate the averaged weights of a step, write the results and keep the best
    weights.

    The step is saved, so that a signal may end it at once.
    """
    with stop_at_once():
        with state.averages.in_place() if state.averages else contextlib.nullcontext():
            outcome = validate()
        if outcome:
            scalars, images, score, threshold = outcome
            events.write("validation", step, scalars, images)
            checkpointer.save_best(score, threshold)


class _Progress:
    """The progress bar, and the TensorBoard points of the training steps with their
    times.
    """

    def __init__(
        self, checkpointer: Checkpointer, events: Events, training: TrainingConfig
    ) -> None:
        self._window, self._events, self._settings = (
            checkpointer.window,
            events,
            training,
        )
        self._schedule = optimizer.Schedule(training)
        self._unread: list[dict[str, tf.Tensor]] = []
        counts = {"total": training.steps, "initial": checkpointer.step}
        self.bar = progress_bar(
            **counts, unit="step", dynamic_ncols=True, smoothing=0.1
        )
        self.restart()

    def restart(self) -> None:
        """Restart the clock, so that the time until now does not count as steps."""
        self._steps, self._start, self._waited = 0, time.monotonic(), 0.0

    def fetch(self, stream: Iterator[dict], directory: str) -> dict:
        """Return the next batch of the records in a folder."""
        began = time.monotonic()
        with clip_records.naming(directory):
            batch = next(stream)
        self._waited += time.monotonic() - began
        return batch

    def advance(self, values: dict[str, tf.Tensor]) -> None:
        """Take the outcome of a step, {name: scalar}, which stays on the device
        until `read`.
        """
        self._unread.append(values)
        self._steps += 1
        self.bar.update()
        if self.bar.n == self.bar.initial + 1:  # which has compiled the step
            self.bar.unpause()

    def read(self, step: int) -> list[tuple[int, dict[str, float]]]:
        """Fetch all unread values in one transfer: [(step, {name: float})] before
        this step.
        """
        table = tf.stack([tf.stack(list(values.values())) for values in self._unread])
        rows = [dict(zip(self._unread[0], row)) for row in table.numpy().tolist()]
        self._unread.clear()
        self._window.values += rows
        return list(enumerate(rows, step - len(rows)))

    def show(self, step: int) -> None:
        """Show the last step that was read, and write a point when it is due."""
        values = self._window.values[-1]
        terms = {name: f"{values[name]:.3f}" for name in LOSS_TERMS if name in values}
        self.bar.set_postfix(terms, refresh=False)
        if _due(step, self._settings.log_every, self._settings.steps):
            elapsed = time.monotonic() - self._start
            times = {
                "run/learning_rate": self._schedule(step),
                "run/clips_per_second": (
                    self._steps * self._settings.batch_size / elapsed
                ),
                "run/step_ms": 1e3 * elapsed / self._steps,
                "run/wait_ms": 1e3 * self._waited / self._steps,
            }
            self._events.write("train", step, {**tagged(self._window.means()), **times})
            self._window.values.clear()
            self.restart()
