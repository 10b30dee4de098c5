"""The doctor's report: a line for each measurement, and advice on settings."""

from __future__ import annotations

from a2d_tf.core import machine
from a2d_tf.core.config import Config
from a2d_tf.core.devices import Devices
from a2d_tf.training.doctor.examination import Estimate, Steps

_SPARE = 0.5  # share of a GPU's memory in use below which a larger batch is worth a trial
_LONG = 48.0  # hours of a run from which a GPU is recommended
_MOST_VALIDATION = 0.1  # share of a run's hours above which validation is too frequent
_TRY = "run this again with it to see"


def of_steps(steps: Steps, deterministic: bool) -> list[str]:
    """Return the lines on the training steps.

    Args:
      steps: the measured steps; deterministic: whether the settings ask for determinism.
    """
    forward, backward = steps.roi_align
    known = f"all but {', '.join(steps.unknown)}" if steps.unknown else "all"
    host = f"; on the host, as ever: {', '.join(steps.on_host)}" if steps.on_host else ""
    repeated = "two steps, twice from the same state: "
    if steps.differing:
        repeated += f"{steps.differing} of {steps.variables} variables differ"
        repeated += "" if deterministic else ", as --nodeterministic allows"
    else:
        repeated += f"all {steps.variables} variables equal to the bit"
    lines = [
        f"kernels: {steps.ops} kinds of operations in a step, {known} with a kernel{host}",
        f"RoIAlign: {forward}, its gradient {backward or 'that of the operation'}",
        f"determinism: {repeated}",
    ]
    if steps.racy:
        lines.append(f"not repeatable on a GPU: {', '.join(steps.racy)}")
    tried = f"{steps.batch} {'clip' if steps.batch == 1 else 'clips'}"
    if steps.out_of_memory:
        tried += f", for {steps.out_of_memory[0]} do not fit the memory"
    elif steps.batch < steps.wanted:
        tried += f", for {steps.wanted} would take too long here"
    memory = "" if steps.memory is None else f", {steps.memory / 2**30:.1f} GB at most"
    return [
        *lines,
        f"step: {1e3 * steps.seconds:.0f} ms, of {tried}; the first {steps.first:.0f} s{memory}",
    ]


def of_run(config: Config, rate: float, seconds: float, whole: Estimate) -> list[str]:
    """Return the lines on input, validation and the whole run.

    Args:
      config: a Config; rate: clips per second of the input.
      seconds: of the validation of a clip, 0 without validation; whole: the run.
    """
    learning = config.learning
    lines = [f"input: {rate:.0f} clips/s"]
    if whole.clips:
        lines.append(
            f"validation: {1e3 * seconds:.0f} ms a clip, about {whole.clips} clips, "
            f"{whole.validations} times"
        )
    return [
        *lines,
        f"a run: {learning.steps} steps of {learning.batch_size} clips at {1e3 * whole.step:.0f} "
        f"ms take {whole.training:.1f} h, validation {whole.validation:.1f} h: "
        f"{whole.hours:.1f} h",
    ]


def advice(
    config: Config,
    devices: Devices,
    steps: Steps,
    rate: float,
    *,
    whole: Estimate,
    sharing: int = 1,
) -> list[str]:
    """Return what to change before a run, one sentence each.

    Args:
      config: a Config; devices: of this machine.
      steps: the measured steps; rate: clips per second of the input; whole: the run.
      sharing: number of devices that share a batch.
    """
    learning, lines = config.learning, []
    report = "please report it with this output"
    if steps.unknown:
        lines.append(f"{', '.join(steps.unknown)}: no kernel here; {report}")
    if steps.differing and learning.deterministic:
        lines.append(
            "steps differ though --deterministic asks for their repetition: an interrupted run "
            f"will not end as it would have undisturbed; {report}"
        )
    if steps.out_of_memory:
        lines.append(
            f"--batch_size={learning.batch_size} does not fit, {sharing * steps.batch} does: "
            f"{'' if learning.jit else '--recompute or '}--precision=mixed_bfloat16 needs less"
        )
        if sharing == 1 and not learning.jit:
            lines.append("several GPUs share a batch with --strategy=mirrored")
    elif learning.recompute:
        lines.append(f"--norecompute is faster, if the memory suffices; {_TRY}")
    if devices.gpus:
        lines += _of_gpu(config, devices.gpus[0], steps)
    elif whole.hours > _LONG:
        lines.append(
            "this wants a GPU; for a CPU there is configs/mini.flags, a small network for a drawn "
            "A2D"
        )
    needed = sharing * steps.batch / steps.seconds
    if rate < needed:
        lines.append(
            f"the input is slower than the steps, which take {needed:.0f} clips/s: it wants more "
            f"cores than {machine.cores()}, or records on a faster disk"
        )
    if whole.hours and whole.validation > _MOST_VALIDATION * whole.hours:
        lines.append(
            f"validation is {100 * whole.validation / whole.hours:.0f} % of the run: raise "
            f"--validate_every={learning.validate_every} or lower "
            f"--val_fraction={learning.val_fraction:g}"
        )
    return lines


def _of_gpu(config, gpu, steps):
    learning, lines = config.learning, []
    if config.compute.precision == "float32" and gpu.capability and gpu.capability[0] >= 8:
        lines.append(f"--precision=mixed_bfloat16 may be faster; {_TRY}")
    if learning.deterministic:
        lines.append(f"--nodeterministic may be faster, and no two runs are then alike; {_TRY}")
    if gpu.memory and steps.memory and steps.memory < _SPARE * gpu.memory:
        lines.append(
            "more than half of the GPU's memory is free: a larger --batch_size fits, with --steps "
            "and --learning_rate to suit"
        )
    return lines
