"""What `doctor` found, in words: a line for each measurement, and what to change."""

from a2d_tf.core import machine

_SPARE = 0.5  # share of a GPU's memory below which a larger batch is worth a trial
_LONG = 48.0  # hours of a run that call for a GPU
_MOST_VALIDATION = 0.1  # share of a run's hours
_TRY = "run this again with it to see"


def of_steps(steps, deterministic):
    """The lines of a `doctor.Steps`.

    Args:
      deterministic: whether the steps were to repeat themselves.
    """
    forward, backward = steps.roi_align
    known = f"all but {', '.join(steps.unknown)}" if steps.unknown else "all"
    host = f"; on the host, as ever: {', '.join(steps.on_host)}" if steps.on_host else ""
    twice = "two steps, twice from the same state: "
    if steps.differing:
        twice += f"{steps.differing} of {steps.variables} variables differ"
        twice += "" if deterministic else ", as --nodeterministic allows"
    else:
        twice += f"all {steps.variables} variables equal to the bit"
    lines = [
        f"kernels: {steps.ops} kinds of operations in a step, {known} with a kernel{host}",
        f"RoIAlign: {forward}, its gradient {backward or 'that of the operation'}",
        f"determinism: {twice}",
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


def of_run(config, rate, seconds, whole):
    """The lines of input, validation and a whole run.

    Args:
      config: a Config.
      rate: clips a second of the input.
      seconds: of the validation of a clip, 0 without one.
      whole: a `doctor.Estimate`.
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


def advice(config, found, steps, rate, whole):
    """What to change before a run, one string each.

    Args:
      config: a Config; found: the `devices.Devices`.
      steps: a `doctor.Steps`; rate: clips a second of the input; whole: a `doctor.Estimate`.
    """
    learning, said = config.learning, []
    report = "please report it with this output"
    if steps.unknown:
        said.append(f"{', '.join(steps.unknown)}: no kernel here; {report}")
    if steps.differing and learning.deterministic:
        said.append(
            "steps differ though --deterministic asks for their repetition: an interrupted run "
            f"will not end as it would have undisturbed; {report}"
        )
    if steps.out_of_memory:
        said.append(
            f"--batch_size={learning.batch_size} does not fit, {steps.batch} does: --recompute or "
            "--precision=mixed_bfloat16 need less; several GPUs share a batch with "
            "--strategy=mirrored"
        )
    elif learning.recompute:
        said.append(f"--norecompute is faster, if the memory suffices; {_TRY}")
    if found.gpus:
        said += _of_gpu(config, found.gpus[0], steps)
    elif whole.hours > _LONG:
        said.append(
            "this wants a GPU; for a CPU there is configs/mini.flags, a small network for a drawn "
            "A2D"
        )
    needed = steps.batch / steps.seconds
    if rate < needed:
        said.append(
            f"the input is slower than the steps, which take {needed:.0f} clips/s: it wants more "
            f"cores than {machine.cores()}, or records on a faster disk"
        )
    if whole.hours and whole.validation > _MOST_VALIDATION * whole.hours:
        said.append(
            f"validation is {100 * whole.validation / whole.hours:.0f} % of the run: raise "
            f"--validate_every={learning.validate_every} or lower "
            f"--val_fraction={learning.val_fraction:g}"
        )
    return said


def _of_gpu(config, gpu, steps):
    learning, said = config.learning, []
    if config.compute.precision == "float32" and gpu.capability and gpu.capability[0] >= 8:
        said.append(f"--precision=mixed_bfloat16 may be faster; {_TRY}")
    if learning.deterministic:
        said.append(f"--nodeterministic may be faster, and no two runs are then alike; {_TRY}")
    if gpu.memory and steps.memory and steps.memory < _SPARE * gpu.memory:
        said.append(
            "more than half of the GPU's memory is free: a larger --batch_size fits, with --steps "
            "and --learning_rate to suit"
        )
    return said
