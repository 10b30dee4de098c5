"""Examine how this machine trains: kernels, determinism, time of a step, hours of a run.

train     a few steps: kernels, determinism, seconds and memory of a step
feed      clips per second of the input pipeline
estimate  hours of a whole run
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import statistics
import time

import tensorflow as tf

from a2d_tf.core import devices, machine
from a2d_tf.core.config import Config
from a2d_tf.core.errors import InputError
from a2d_tf.data import pipeline
from a2d_tf.data.manifest import Manifest
from a2d_tf.model.network import Network
from a2d_tf.ops import roi_align
from a2d_tf.training import batches
from a2d_tf.training.doctor import kernels
from a2d_tf.training.train_step import TrainState, make_train_step

A2D_CLIPS = 9561
"""Training clips of A2D, one per annotated frame of its training videos."""

_REPEATED = 2  # steps to run twice from the same state
_PATIENCE = 60.0  # seconds that a larger batch may take on a CPU


@dataclasses.dataclass(frozen=True)
class Steps:
    """Measurements of a few training steps.

    Attributes:
      batch: batch size of these steps; wanted: that of the settings on each device.
      out_of_memory: batch sizes that did not fit the device's memory, largest first.
      first: seconds of the first step, in which TensorFlow traces and a GPU may compile kernels.
      seconds: median of the later steps, without waiting for data.
      memory: peak bytes, see `devices.peak_memory`; None if unknown.
      ops: number of different operations in the step.
      unknown: names of operations without a kernel on the device, except `kernels.ON_HOST`.
      on_host: names of operations that run on the host of a GPU.
      racy: names of operations that may not be deterministic on a GPU.
      roi_align: implementations of RoIAlign and of its gradient; None for the operation's own.
      variables: number of variables of the network and its optimizer.
      differing: how many of them differ after the same steps from the same state.
    """

    batch: int
    wanted: int
    out_of_memory: list[int]
    first: float
    seconds: float
    memory: int | None
    ops: int
    unknown: list[str]
    on_host: list[str]
    racy: list[str]
    roi_align: tuple[str, str | None]
    variables: int
    differing: int


def train(config: Config, manifest: Manifest, sharing: int = 1) -> tuple[Steps, Network]:
    """Run a few training steps of a new network, on one device.

    On a GPU the batch is halved until it fits. A CPU starts with one clip, and tries the whole
    batch if that is expected to fit its memory and to take less than a minute.

    Args:
      config: a Config; manifest: of records that suit it.
      sharing: number of devices that share a batch, see `replicas.count`.

    Raises:
      InputError: a batch of one clip does not fit the memory.
    """
    wanted = math.ceil(config.learning.batch_size / sharing)
    learning = dataclasses.replace(config.learning, batch_size=wanted)
    config = dataclasses.replace(config, learning=learning)
    on_gpu = devices.on_gpu()
    tf.keras.utils.set_random_seed(learning.seed)
    before = machine.process_memory() or 0
    network = Network(
        config.model, manifest.label_space, config.compute, learning.recompute, learning.jit
    )
    network.set_phase(learning.train_phase)
    batch = wanted if on_gpu else 1
    out_of_memory: list[int] = []
    while True:
        try:
            steps = _try(network, config, manifest, batch, out_of_memory=out_of_memory)
            break
        except tf.errors.ResourceExhaustedError as error:
            out_of_memory.append(batch)
            batch //= 2
            if not batch:
                raise InputError(
                    "the memory does not hold a training step of one clip: --recompute and "
                    "--precision=mixed_bfloat16 need less"
                ) from error
    if not on_gpu and batch < wanted and _can_try(steps, wanted, before):
        steps = _try(network, config, manifest, wanted, out_of_memory=[])
    return steps, network


def _can_try(steps, wanted, before):
    """Return whether a CPU can try a batch of so many clips, judged by the `Steps` of one."""
    seconds = steps.first + 2 * _REPEATED * steps.seconds * wanted
    fits = steps.memory is None or before + (steps.memory - before) * wanted < machine.memory()
    return fits and seconds < _PATIENCE


def _try(network, config, manifest, batch, *, out_of_memory):
    """Run steps of a batch size, some of them twice, and look up their kernels."""
    learning = dataclasses.replace(config.learning, batch_size=batch)
    state = TrainState.create(network, learning)
    train_step = make_train_step(state, learning)
    dataset = pipeline.training(manifest, dataclasses.replace(config, learning=learning))
    inputs = list(dataset.map(batches.without_names).take(1 + _REPEATED))

    def timed_step(number):
        start = time.perf_counter()
        float(train_step(inputs[number], tf.constant(number, tf.int64))["total"])
        return time.perf_counter() - start

    devices.forget_peak()
    first = timed_step(0)
    peak = devices.peak_memory()  # before the copies below
    variables = [*network.variables, *state.optimizer.variables()]
    for part in (state.loss_scale, state.averages):
        variables += part.variables if part else ()
    before, seconds, digests = [variable.numpy() for variable in variables], [], []
    for _ in range(2):
        for variable, value in zip(variables, before):
            variable.assign(value)
        seconds += [timed_step(number) for number in range(1, 1 + _REPEATED)]
        digests.append([_digest(variable) for variable in variables])
    function = train_step.get_concrete_function(inputs[0], tf.constant(0, tf.int64))
    on_gpu = devices.on_gpu()
    ops = set(kernels.ops(function))
    absent = {op for op, _ in kernels.missing(function, "GPU" if on_gpu else "CPU")}
    return Steps(
        batch=batch,
        wanted=config.learning.batch_size,
        out_of_memory=out_of_memory,
        first=first,
        seconds=statistics.median(seconds),
        memory=peak,
        ops=len(ops),
        unknown=sorted(absent - kernels.ON_HOST),
        on_host=sorted(absent & kernels.ON_HOST),
        racy=sorted(ops & kernels.NOT_DETERMINISTIC) if on_gpu else [],
        roi_align=roi_align.choose(
            config.compute.roi_align_impl, on_gpu, config.learning.deterministic
        ),
        variables=len(variables),
        differing=sum(a != b for a, b in zip(*digests)),
    )


def _digest(variable):
    return hashlib.sha256(variable.numpy().tobytes()).digest()


def feed(config: Config, manifest: Manifest, seconds: float = 5.0) -> float:
    """Measure the clips per second of the input pipeline while nothing else computes.

    Args:
      config: a Config; manifest: of records that suit it.
      seconds: duration of the measurement.
    """
    stream = iter(pipeline.training(manifest, config))
    next(stream)  # fills the buffers
    start, clips = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        next(stream)
        clips += config.learning.batch_size
    return clips / (time.perf_counter() - start)


@dataclasses.dataclass(frozen=True)
class Estimate:
    """Hours of a whole run.

    Attributes:
      step: seconds of a step with the batch size of the settings, input included.
      training, validation: hours of all steps and of all validations.
      validations: their number; clips: those of a validation.
    """

    step: float
    training: float
    validation: float
    validations: int
    clips: int

    @property
    def hours(self) -> float:
        return self.training + self.validation


def estimate(
    config: Config, steps: Steps, rate: float, clips: int, *, seconds: float, sharing: int = 1
) -> Estimate:
    """Estimate the hours of a run.

    Args:
      config: a Config; steps: a Steps; rate: clips per second of the input.
      clips: of the validation split; seconds: of the validation of a clip, on one device.
      sharing: number of devices that share a batch.
    """
    learning = config.learning
    batch = learning.batch_size
    step = max(steps.seconds * batch / (sharing * steps.batch), batch / rate)
    count = math.ceil(learning.steps / learning.validate_every) if clips else 0
    return Estimate(
        step, learning.steps * step / 3600, count * clips * seconds / 3600, count, clips
    )
