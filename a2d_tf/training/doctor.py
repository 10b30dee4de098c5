"""Measure how this machine trains: seconds and memory of a step, repeatability, hours of a run."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import statistics
import time

import tensorflow as tf

from a2d_tf.core import devices
from a2d_tf.core.config import Config
from a2d_tf.core.errors import InputError
from a2d_tf.data import pipeline
from a2d_tf.data.manifest import Manifest
from a2d_tf.model.network import Network
from a2d_tf.training.replicas import for_device
from a2d_tf.training.train_step import TrainState, make_train_step

_REPEATED = 2  # steps to run twice from the same state
_SPARE = 0.5  # share of a GPU's memory in use below which a larger batch is worth a trial
_LONG = 48.0  # hours of a run from which a GPU is recommended
_MOST_VALIDATION = 0.1  # share of a run's hours above which validation is too frequent
_TRY = "run this again with it to see"


@dataclasses.dataclass(frozen=True)
class Steps:
    """Measurements of a few training steps.

    Attributes:
      batch: batch size of these steps.
      out_of_memory: batch sizes that did not fit the device's memory, largest first.
      first: seconds of the first step, in which TensorFlow traces and a GPU may compile kernels.
      seconds: median of the later steps, without waiting for data.
      memory: peak bytes, see `devices.peak_memory`; None if unknown.
      variables: number of variables of the network and its optimizer.
      differing: how many of them differ after the same steps from the same state.
    """

    batch: int
    out_of_memory: list[int]
    first: float
    seconds: float
    memory: int | None
    variables: int
    differing: int


@dataclasses.dataclass(frozen=True)
class Estimate:
    """Hours of a whole run.

    Attributes:
      rate: clips per second of the input.
      step: seconds of a step with the batch size of the settings, input included.
      training, validation: hours of all steps and of all validations; hours: both.
    """

    rate: float
    step: float
    training: float
    validation: float
    hours: float


def train(config: Config, manifest: Manifest, sharing: int = 1) -> tuple[Steps, Network]:
    """Run a few training steps of a new network, on one device.

    A GPU computes its share of the batch, halved until it fits; a CPU a single clip.

    Args:
      config: a Config; manifest: of records that suit it.
      sharing: number of devices that share a batch, see `replicas.count`.

    Raises:
      InputError: a batch of one clip does not fit the memory.
    """
    learning = config.learning
    tf.keras.utils.set_random_seed(learning.seed)
    network = Network(config.model, manifest.label_space, config.compute, learning.jit)
    network.set_phase(learning.train_phase)
    batch = math.ceil(learning.batch_size / sharing) if devices.on_gpu() else 1
    out_of_memory: list[int] = []
    while batch:
        try:
            return Steps(batch, out_of_memory, *_measure(network, config, manifest, batch)), network
        except tf.errors.ResourceExhaustedError:
            out_of_memory.append(batch)
            batch //= 2
    raise InputError(
        "the memory does not hold a training step of one clip; --precision=mixed_bfloat16 needs "
        "less"
    )


def _measure(network, config, manifest, batch):
    """Run steps of a batch size, some of them twice; return what `Steps` holds from `first` on."""
    learning = dataclasses.replace(config.learning, batch_size=batch)
    state = TrainState.create(network, learning)
    train_step = make_train_step(state, learning)
    dataset = pipeline.training(manifest, dataclasses.replace(config, learning=learning))
    inputs = list(dataset.map(for_device).take(1 + _REPEATED))

    def timed_step(number):
        start = time.perf_counter()
        float(train_step(inputs[number], number)["total"])
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
        digests.append([hashlib.sha256(v.numpy().tobytes()).digest() for v in variables])
    differing = sum(a != b for a, b in zip(*digests))
    return first, statistics.median(seconds), peak, len(variables), differing


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
    training = learning.steps * step / 3600
    validations = math.ceil(learning.steps / learning.validate_every)
    validation = validations * clips * seconds / 3600
    return Estimate(rate, step, training, validation, training + validation)


def report(config: Config, steps: Steps, run: Estimate) -> list[str]:
    """Return a line for each measurement."""
    learning = config.learning
    repeated = f"all {steps.variables} variables equal to the bit"
    if steps.differing:
        repeated = f"{steps.differing} of {steps.variables} variables differ"
        repeated += "" if learning.deterministic else ", as --nodeterministic allows"
    tried = f"{steps.batch} {'clip' if steps.batch == 1 else 'clips'}"
    if steps.out_of_memory:
        tried += f", for {steps.out_of_memory[0]} do not fit the memory"
    memory = "" if steps.memory is None else f", {steps.memory / 2**30:.1f} GB at most"
    return [
        f"determinism: two steps, twice from the same state: {repeated}",
        f"step: {1e3 * steps.seconds:.0f} ms, of {tried}; the first {steps.first:.0f} s{memory}",
        f"input: {run.rate:.0f} clips/s",
        f"a run: {learning.steps} steps of {learning.batch_size} clips at {1e3 * run.step:.0f} ms "
        f"take {run.training:.1f} h, validation {run.validation:.1f} h: {run.hours:.1f} h",
    ]


def advise(
    config: Config, found: devices.Devices, steps: Steps, run: Estimate, sharing: int = 1
) -> list[str]:
    """Return what to change before a run, one sentence each.

    Args:
      config: a Config; found: the devices of this machine.
      steps: the measured steps; run: the whole run.
      sharing: number of devices that share a batch.
    """
    learning, lines = config.learning, []
    if steps.differing and learning.deterministic:
        lines.append(
            "steps differ though --deterministic asks for their repetition: an interrupted run "
            "will not end as it would have undisturbed; please report it with this output"
        )
    if steps.out_of_memory:
        lines.append(
            f"--batch_size={learning.batch_size} does not fit, {sharing * steps.batch} does: "
            "--precision=mixed_bfloat16 needs less"
        )
        if sharing == 1 and not learning.jit:
            lines.append("several GPUs share a batch with --strategy=mirrored")
    for gpu in found.gpus[:1]:
        if config.compute.precision == "float32" and gpu.capability and gpu.capability[0] >= 8:
            lines.append(f"--precision=mixed_bfloat16 may be faster; {_TRY}")
        if learning.deterministic:
            lines.append(f"--nodeterministic may be faster, and no two runs are then alike; {_TRY}")
        if gpu.memory and steps.memory and steps.memory < _SPARE * gpu.memory:
            lines.append(
                "more than half of the GPU's memory is free: a larger --batch_size fits, with "
                "--steps and --learning_rate to suit"
            )
    if not found.gpus and run.hours > _LONG:
        lines.append("this wants a GPU; for a CPU there is the small network of configs/mini.flags")
    needed = sharing * steps.batch / steps.seconds
    if run.rate < needed:
        lines.append(
            f"the input is slower than the steps, which take {needed:.0f} clips/s: it wants more "
            f"cores than {devices.cores()}, or records on a faster disk"
        )
    if run.validation > _MOST_VALIDATION * run.hours:
        lines.append(
            f"validation is {100 * run.validation / run.hours:.0f} % of the run: raise "
            f"--validate_every={learning.validate_every} or lower "
            f"--val_fraction={learning.val_fraction:g}"
        )
    return lines
