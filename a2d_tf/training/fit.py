"""Fit a network: the loop over steps, with checkpoints, TensorBoard and validation."""

from __future__ import annotations

import logging
import time
from typing import Any, Callable, NamedTuple

from a2d_tf.core.machine.signals import stop_at_once, stop_on_signal
from a2d_tf.core.settings.config import Config
from a2d_tf.data import clip_records
from a2d_tf.data.record_folder.manifest import Manifest
from a2d_tf.model.network import Network
from a2d_tf.runs.run_folder import is_finished
from a2d_tf.training import divergence
from a2d_tf.training.checkpointer import Checkpointer
from a2d_tf.training.events import Events
from a2d_tf.training.step import replicas
from a2d_tf.training.step.phases import set_phase
from a2d_tf.training.step.train_step import TrainState, make_train_step
from a2d_tf.training.step_log import StepLog, is_due

logger = logging.getLogger(__name__)


class ValidationOutcome(NamedTuple):
    """The results of a validation that the training loop writes and compares.

    Attributes:
      scalars: {tag: value} for TensorBoard.
      images: {tag: RGB uint8 [1, H, W, 3]} for TensorBoard.
      score: the score of the network, percent; the weights with the best score are
        kept.
      threshold: least p(actor) of an instance, with which the score was reached.
    """

    scalars: dict[str, float]
    images: dict[str, Any]
    score: float
    threshold: float


def fit(
    network: Network,
    manifest: Manifest,
    config: Config,
    workdir: str,
    *,
    validate: Callable[[], ValidationOutcome | None],
) -> None:
    """Train the network; an interrupted run resumes from its last checkpoint.

    Call it in the scope of the network's `tf.distribute` strategy. A finished run is
    left as it is. Validation, checkpoints and TensorBoard's points follow the settings
    `validate_every`, `checkpoint_every` and `log_every`, in steps.

    Args:
      network: the network with its initial weights; its weights are trained.
      manifest: the manifest of the training records.
      config: the settings of the run.
      workdir: path of the run folder, which gets `checkpoints/`, `best/`,
        `tensorboard/` and, at the end, `finished.json`.
      validate: a function that validates the network; it is called while the network
        has the averaged weights. It returns None if no video is held out for
        validation.

    Raises:
      InputError: records or checkpoint are unusable, or a loss is not finite.
      KeyboardInterrupt: SIGTERM or Ctrl-C ended the run after a step; it is saved.
    """
    training = config.training
    set_phase(network, training.train_phase, training.backbone_rate > 0)
    state = TrainState.create(network, training)
    checkpointer = Checkpointer(workdir, state)
    events = Events(workdir)

    resumes = checkpointer.resume()
    step = checkpointer.step
    if resumes and step >= training.steps and is_finished(workdir, step):
        logger.info(
            "%s: finished at step %d; raise --steps to continue, or use another"
            " --workdir",
            workdir,
            step,
        )
        return
    if resumes:
        logger.info("resuming at step %d of %d", step, training.steps)
    # The validation of this step may have been cut off; it is then repeated.
    validates = is_due(step, training.validate_every, training.steps)
    # Points that the run wrote after its last checkpoint will be written again.
    events.trim("train", step)
    events.trim("validation", step - 1 if validates else step)
    if resumes and validates:
        _validate(validate, state, checkpointer, events)

    train_step = make_train_step(state, training)
    batches = replicas.batches(manifest, config, start_step=step)
    log = StepLog(checkpointer, events, training)
    with log.bar, stop_on_signal() as signals:
        while step < training.steps:
            start = time.monotonic()
            with clip_records.reporting_damage(manifest.directory):
                batch = next(batches)
            log.add_wait(time.monotonic() - start)
            log.add(train_step(batch, step))
            step += 1
            state.step.assign(step)

            validates = is_due(step, training.validate_every, training.steps)
            saves = validates or signals or step % training.checkpoint_every == 0
            if saves or is_due(step, training.log_every, training.steps):
                for number, values in log.read(step):
                    if not divergence.is_finite(values):
                        divergence.stop(
                            values, number, network, manifest, config, workdir
                        )
                log.show(step)
            if saves:
                manifest.check_kept()  # weights learn from one state of the records
                checkpointer.save()
                if signals:
                    log.bar.close()
                    logger.info(
                        "stopped at step %d; the same command resumes there", step
                    )
                    raise KeyboardInterrupt
            if validates:
                _validate(validate, state, checkpointer, events)
                log.restart_clock()
    checkpointer.mark_finished()


def _validate(
    validate: Callable[[], ValidationOutcome | None],
    state: TrainState,
    checkpointer: Checkpointer,
    events: Events,
) -> None:
    """Validate the averaged weights, write the results and keep the best weights.

    The step has been saved, so that a signal may end it at once.
    """
    with stop_at_once():
        with state.averaged_weights():
            outcome = validate()
        if outcome:
            events.write(
                "validation", checkpointer.step, outcome.scalars, outcome.images
            )
            checkpointer.save_best(outcome.score, outcome.threshold)
