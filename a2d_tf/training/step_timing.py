"""Measure how long the steps of a training take."""

from __future__ import annotations

import time
from typing import NamedTuple

from a2d_tf.core.settings.config import Config
from a2d_tf.data import clip_records
from a2d_tf.data.record_folder.manifest import Manifest
from a2d_tf.model.network import Network
from a2d_tf.training.step import replicas
from a2d_tf.training.step.phases import set_phase
from a2d_tf.training.step.train_step import TrainState, make_train_step

_MEASURED = 10.0  # seconds of steps that are timed


class StepTimes(NamedTuple):
    """How long a training takes on a machine.

    Attributes:
      start: seconds until the first step is done, which includes compiling.
      step: seconds of each later step.
    """

    start: float
    step: float


def time_steps(network: Network, manifest: Manifest, config: Config) -> StepTimes:
    """Do some training steps, and measure the first one and the later ones.

    The first step includes compiling; the second step is not measured. Later steps are
    done for about ten seconds. The network's weights are trained by these steps.

    Args:
      network: the network.
      manifest: the manifest of the training records.
      config: the settings of the run.

    Raises:
      InputError: the records are unusable.
    """
    training = config.training
    set_phase(network, training.train_phase, training.backbone_rate > 0)
    train_step = make_train_step(TrainState.create(network, training), training)
    batches = replicas.batches(manifest, config, start_step=0)

    def end_of(step: int) -> float:
        """Do a step, from 0; return the time at its end."""
        values = train_step(next(batches), step)
        next(iter(values.values())).numpy()  # waits for the device
        return time.monotonic()

    with clip_records.reporting_damage(manifest.directory):
        start = time.monotonic()
        first_end = end_of(0)
        second_end = end_of(1)
        steps = 2
        last_end = second_end
        while steps < 3 or last_end - second_end < _MEASURED:
            last_end = end_of(steps)
            steps += 1
    return StepTimes(
        start=first_end - start, step=(last_end - second_end) / (steps - 2)
    )
