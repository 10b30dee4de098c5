"""Fit a network: the loop over training steps, with checkpoints, TensorBoard and validation."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import gc
import logging
import time
from typing import Any, Callable

import tensorflow as tf
from tqdm import tqdm

from a2d_tf.core.config import Config
from a2d_tf.core.errors import InputError
from a2d_tf.core.workers import stop_at_once, stop_on_signal
from a2d_tf.data.manifest import Manifest
from a2d_tf.model.network import Network
from a2d_tf.training import batches, divergence, losses, optimizer, replicas
from a2d_tf.training.events import Events, tagged
from a2d_tf.training.keeper import Keeper
from a2d_tf.training.train_step import TrainState, make_train_steps

logger = logging.getLogger(__name__)

_STOPPED = "stopped at step %d, which is kept; the same command goes on from there"


@dataclasses.dataclass(frozen=True)
class Validated:
    """The outcome of a validation, for the training loop.

    Attributes:
      scalars: {tag: value} for TensorBoard; empty where no video is held out.
      images: {tag: uint8 [1, H, W, 3]} for TensorBoard.
      joint_miou: percent, by which the best weights are kept; None where no video is held out.
      threshold: p(actor) at which it was reached.
    """

    scalars: dict[str, float]
    images: dict[str, Any]
    joint_miou: float | None = None
    threshold: float | None = None


def fit(
    network: Network,
    manifest: Manifest,
    config: Config,
    workdir: str,
    *,
    validate: Callable[[], Validated],
) -> None:
    """Train the network and keep its checkpoints; an interrupted run resumes from its last one.

    Call it in the scope of the network's strategy. A finished run is left as it is. SIGTERM or
    Ctrl-C ends the run after the current call (with several workers, after the next) and saves it.
    Metrics stay on the device until they are logged or a checkpoint is due.

    Args:
      workdir: gets `checkpoints/`, `best/`, `tensorboard/` and, at the end, `finished.json`.
      validate: the validation, called with the averaged weights in place.

    Raises:
      InputError: unusable records or checkpoint, or a loss that is not finite.
      KeyboardInterrupt: a signal ended the run.
    """
    learning = config.learning
    network.set_phase(learning.train_phase)
    state = TrainState.create(network, learning)
    keeper = Keeper(workdir, state, learning.keep_checkpoints, replicas.is_chief())
    events = Events(workdir, replicas.is_chief())
    validation = _Validation(state.averages, keeper, events, validate)
    step = _resume(keeper, events, validation, learning)
    if step is None:
        return
    train_steps = batches.naming(manifest.directory)(make_train_steps(state, learning))
    stream = batches.distributed(manifest, config, start_step=step)
    any_stopped, alone = replicas.make_delayed_any(), replicas.is_alone()
    check = functools.partial(
        divergence.check, network=network, manifest=manifest, config=config, workdir=workdir
    )
    progress = _Progress(keeper, events, learning)
    with progress.bar, stop_on_signal() as signals:
        while step < learning.steps:
            count = _until_due(step, learning)
            values, waited = train_steps(stream, step, count)
            step += count
            state.step.assign(step)
            progress.advance(count, values, waited)
            stop = any_stopped(bool(signals))
            due = _due(step, learning.validate_every, learning.steps)
            save = stop or due or step % learning.checkpoint_every == 0
            if save or _due(step, learning.log_every, learning.steps):
                progress.report(step, check)
            if save:
                keeper.save()
                stop = stop or (alone and bool(signals))  # the others would not know of it
            if stop:
                raise progress.stopped(step)
            if due and step < learning.steps:
                validation.run(step)
                progress.restart()
    validation.run(step)
    keeper.mark_finished()


def _until_due(step, learning):
    """Return how many steps the next call takes: none goes past a point, a save or the end."""
    every = (learning.log_every, learning.checkpoint_every, learning.validate_every)
    rest = [interval - step % interval for interval in every]
    return min(learning.steps_per_call, learning.steps - step, *rest)


def _due(step, every, last):
    """Return whether an action that recurs, and happens after the last step, is due."""
    return step % every == 0 or step >= last


def _resume(keeper, events, validation, learning):
    """Restore the newest checkpoint, validate where that is due; its step, None if finished."""
    resumed, step = keeper.resume(), keeper.step
    if not replicas.agree(step):
        raise InputError(
            f"{keeper.workdir}: the workers find different checkpoints there (this one step "
            f"{step}); all of them must see the same folder"
        )
    if resumed:
        if step >= learning.steps and keeper.is_finished():
            logger.info(
                "%s: trained to step %d already; more --steps go on, another --workdir begins anew",
                *(keeper.workdir, step),
            )
            return None
        logger.info("resuming at step %d of %d", step, learning.steps)
    # The validation of this step may have been cut off; it is then repeated.
    due = _due(step, learning.validate_every, learning.steps)
    # Points that the run wrote after its last checkpoint will be written again.
    events.trim("train", step)
    for name in ("validation", "training_clips"):
        events.trim(name, step - due)
    if resumed and due and step < learning.steps:
        validation.run(step)
    return step


class _Validation:
    """Runs `validate` with the averaged weights, writes its results and keeps the best weights."""

    def __init__(self, averages, keeper, events, validate):
        self._averages, self._keeper, self._events = averages, keeper, events
        self._validate = validate

    def run(self, step: int) -> None:
        """Validate the weights of a step that is saved, so that a signal may end it at once."""
        gc.enable()  # where it comes before the first step
        averages = self._averages
        with stop_at_once():
            with averages.in_place() if averages else contextlib.nullcontext():
                outcome = self._validate()
            # Without a validation split there are only pictures, of training clips.
            name = "validation" if outcome.scalars else "training_clips"
            self._events.write(name, step, outcome.scalars, outcome.images)
            if outcome.joint_miou is not None:
                self._keeper.save_best(outcome.joint_miou, outcome.threshold)


class _Progress:
    """The progress bar, and the TensorBoard points of the training steps with their times."""

    def __init__(self, keeper, events, learning):
        self._window, self._events, self._learning = keeper.window, events, learning
        self._schedule = optimizer.schedule_of(learning)
        self._unread = []
        self.bar = tqdm(
            total=learning.steps,
            initial=keeper.step,
            unit="step",
            dynamic_ncols=True,
            smoothing=0.1,
            disable=not replicas.is_chief(),
        )
        self.restart()

    def restart(self) -> None:
        """Restart the clock: the time until now is not that of steps."""
        self._steps, self._start, self._waited = 0, time.monotonic(), 0.0

    def advance(self, count: int, values: dict[str, tf.Tensor], waited: float) -> None:
        """Take the outcome of a call, {name: tensor [count]} and seconds, which stays unread."""
        gc.enable()  # a2d_tf.train pauses it for the start
        self._unread.append((values, waited))
        self._steps += count
        self.bar.update(count)

    def report(self, step: int, check: Callable[[dict[str, float], int], None]) -> None:
        """Read and check all steps up to this one, show it, and write a point when it is due."""
        for number, values in self._read(step):
            check(values, number)
        self._show(step)

    def stopped(self, step: int) -> KeyboardInterrupt:
        """Take the bar away and say where the run stopped; the exception that ends it."""
        self.bar.close()
        logger.info(_STOPPED, step)
        return KeyboardInterrupt()

    def _read(self, step):
        """Fetch what is unread, all in one transfer, into the window; [(step, {name: float})]."""
        calls = [values for values, _ in self._unread]
        table = tf.stack([tf.concat([values[n] for values in calls], 0) for n in calls[0]], axis=1)
        rows = [dict(zip(calls[0], row)) for row in table.numpy().tolist()]
        self._waited += sum(float(waited) for _, waited in self._unread)
        self._unread.clear()
        self._window.values += rows
        return list(enumerate(rows, step - len(rows)))

    def _show(self, step):
        values = self._window.values[-1]
        terms = {name: f"{values[name]:.3f}" for name in losses.TERMS if name in values}
        self.bar.set_postfix(terms, refresh=False)
        if _due(step, self._learning.log_every, self._learning.steps):
            self._events.write("train", step, {**tagged(self._window.means()), **self._run(step)})
            self._window.values.clear()
            self.restart()

    def _run(self, step):
        """Return {tag: value} of the learning rate and the times."""
        elapsed = time.monotonic() - self._start
        return {
            "run/learning_rate": self._schedule(step),
            "run/clips_per_second": self._steps * self._learning.batch_size / elapsed,
            "run/step_ms": 1e3 * elapsed / self._steps,
            "run/wait_ms": 1e3 * self._waited / self._steps,
        }
