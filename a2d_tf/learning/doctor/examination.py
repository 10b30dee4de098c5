"""Examine how this machine trains: kernels, repeatability, the pace of a step, the hours of a run.

train     a few steps: kernels, determinism, seconds and memory of a step
feed      clips a second that the input pipeline delivers
estimate  the hours of a whole run
"""

import dataclasses
import hashlib
import math
import statistics
import time

import tensorflow as tf

from a2d_tf.core import devices, machine
from a2d_tf.core.errors import InputError
from a2d_tf.learning import fit
from a2d_tf.learning.doctor import kernels
from a2d_tf.model.network import Network
from a2d_tf.ops import roi_align

A2D_CLIPS = 9561
"""Training clips of A2D: one for each annotated frame of its training videos."""

_REPEATED = 2  # steps that are run twice from the same state
_PATIENCE = 60.0  # seconds that a larger batch may take on a CPU


@dataclasses.dataclass(frozen=True)
class Steps:
    """What a few training steps show.

    Attributes:
      batch: clips a step that were tried; wanted: those of the settings.
      out_of_memory: batches that the device's memory did not hold, the largest first.
      first: seconds of the first step, in which TensorFlow traces, and a GPU may compile kernels.
      seconds: of a later step, its batch at hand.
      memory: bytes at most, see `devices.peak_memory`; None if untold.
      ops: how many kinds of operations the step has.
      unknown: names of those that have no kernel on the device, but for `kernels.ON_HOST`.
      on_host: names of those that stay on the host of a GPU, as they must.
      racy: names of those that may not be repeatable on a GPU.
      roi_align: (implementation of RoIAlign, of its gradient; None where it is the op's own).
      variables: how many variables the network and its optimizer have.
      differing: how many of them differ after the same steps from the same state.
    """

    batch: int
    wanted: int
    out_of_memory: list
    first: float
    seconds: float
    memory: "int | None"
    ops: int
    unknown: list
    on_host: list
    racy: list
    roi_align: tuple
    variables: int
    differing: int


def train(config, manifest):
    """Run a few training steps of a new network.

    On a GPU the batch is halved until it fits. A CPU begins with one clip, and takes the whole
    batch if that promises to fit its memory and a minute.

    Args:
      config: a Config.
      manifest: of records that suit it.

    Returns:
      (Steps, the Network).

    Raises:
      InputError: not one clip fits the memory.
    """
    learning, wanted = config.learning, config.learning.batch_size
    on_gpu = bool(tf.config.get_visible_devices("GPU"))
    tf.keras.utils.set_random_seed(learning.seed)
    before = machine.process_memory() or 0
    network = Network(config.model, manifest.label_space, config.compute, learning.recompute)
    network.set_phase(learning.train_phase)
    batch, out_of_memory = wanted if on_gpu else 1, []
    while True:
        try:
            steps = _try(network, config, manifest, batch, out_of_memory)
            break
        except tf.errors.ResourceExhaustedError as error:
            out_of_memory.append(batch)
            batch //= 2
            if not batch:
                raise InputError(
                    "the memory does not hold a training step of one clip: --recompute and "
                    "--precision=mixed_bfloat16 need less"
                ) from error
    if not on_gpu and batch < wanted and _bears(steps, wanted, before):
        steps = _try(network, config, manifest, wanted, [])
    return steps, network


def _bears(steps, wanted, before):
    """Whether a CPU can try so many clips, judged by the `Steps` of one."""
    seconds = steps.first + 2 * _REPEATED * steps.seconds * wanted
    fits = steps.memory is None or before + (steps.memory - before) * wanted < machine.memory()
    return fits and seconds < _PATIENCE


def _try(network, config, manifest, batch, out_of_memory):
    learning = dataclasses.replace(config.learning, batch_size=batch)
    _, opt = fit.learner(learning)
    scale = fit.make_loss_scale(config)
    train_step = fit.make_train_step(network, opt, learning, scale)
    stream = fit.batches(manifest, network.image_size, config.model.frames, learning)
    batches = list(stream.map(fit.without_names).take(1 + _REPEATED))

    def step(number):
        began = time.perf_counter()
        float(train_step(batches[number], tf.constant(number, tf.int64))["total"])
        return time.perf_counter() - began

    devices.forget_peak()
    first = step(0)
    peak = devices.peak_memory()  # before the copies below
    variables = [*network.variables, *opt.variables(), *(scale.variables if scale else ())]
    start, walls, ends = [variable.numpy() for variable in variables], [], []
    for _ in range(2):
        for variable, value in zip(variables, start):
            variable.assign(value)
        walls += [step(number) for number in range(1, 1 + _REPEATED)]
        ends.append([_digest(variable) for variable in variables])
    function = train_step.get_concrete_function(batches[0], tf.constant(0, tf.int64))
    on_gpu = bool(tf.config.get_visible_devices("GPU"))
    found = set(kernels.ops(function))
    absent = {op for op, _ in kernels.missing(function, "GPU" if on_gpu else "CPU")}
    return Steps(
        batch=batch,
        wanted=config.learning.batch_size,
        out_of_memory=out_of_memory,
        first=first,
        seconds=statistics.median(walls),
        memory=peak,
        ops=len(found),
        unknown=sorted(absent - kernels.ON_HOST),
        on_host=sorted(absent & kernels.ON_HOST),
        racy=sorted(found & kernels.NOT_DETERMINISTIC) if on_gpu else [],
        roi_align=roi_align.choose(
            config.compute.roi_align_impl, on_gpu, config.learning.deterministic
        ),
        variables=len(variables),
        differing=sum(a != b for a, b in zip(*ends)),
    )


def _digest(variable):
    return hashlib.sha256(variable.numpy().tobytes()).digest()


def feed(config, manifest, seconds=5.0):
    """Clips a second that the input pipeline delivers while nothing else computes.

    Args:
      config: a Config; manifest: of records that suit it.
      seconds: how long to look.
    """
    learning = config.learning
    canvas = config.model.image_height, config.model.image_width
    stream = iter(fit.batches(manifest, canvas, config.model.frames, learning))
    next(stream)  # fills what is filled once
    began, clips = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        next(stream)
        clips += learning.batch_size
    return clips / (time.perf_counter() - began)


@dataclasses.dataclass(frozen=True)
class Estimate:
    """The hours of a whole run.

    Attributes:
      step: seconds of a step of the settings' batch, with its input.
      training, validation: hours; the latter of all validations.
      validations: their number; clips: those of each.
    """

    step: float
    training: float
    validation: float
    validations: int
    clips: int

    @property
    def hours(self):
        return self.training + self.validation


def estimate(config, steps, rate, clips, seconds):
    """The `Estimate` of a run.

    Args:
      config: a Config.
      steps: a Steps.
      rate: clips a second of the input.
      clips: clips of the validation split.
      seconds: of the validation of a clip.
    """
    learning = config.learning
    batch = learning.batch_size
    step = max(steps.seconds * batch / steps.batch, batch / rate)
    count = math.ceil(learning.steps / learning.validate_every) if clips else 0
    return Estimate(
        step, learning.steps * step / 3600, count * clips * seconds / 3600, count, clips
    )
