"""Check this machine in five minutes, estimate a training run, and suggest changes.

  python tools/doctor.py --records=records --init_rgb=coco --init_flow=imagenet

Prints devices, memory and precision; whether two steps, run twice, are equal to the bit; the time
and memory of a step; the clips per second of the input pipeline; the hours of a whole run; and
what to change. Takes the flags of a2d_tf.train,
by default those of configs/a2d.flags. Give the weights to start from, since they decide how RoIs
are cropped and so the time of a step. Without --records it draws clips. With --strategy it
measures what one of the GPUs computes, without the exchange of gradients. Only --json is written.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import platform
import sys
import tempfile
import time

from absl import flags

from a2d_tf.core import command_line, machine
from a2d_tf.core.config import Config
from a2d_tf.core.files import write_json

_RECORDS = flags.DEFINE_string("records", None, "Folder written by tools/build_records.py.")
_JSON = flags.DEFINE_string("json", None, "File for the results as JSON.")
_DEVICE = Config.define_device()
Config.define_flags()

_VIDEOS = 6  # drawn videos, for at least 12 training clips
_VALIDATED = 4  # least number of clips to time validation


@contextlib.contextmanager
def _records(config):
    """Yield the manifest of --records, or of clips drawn at A2D's size."""
    from a2d_tf.data import convert
    from a2d_tf.data import mini as synthetic
    from a2d_tf.data.manifest import Manifest
    from a2d_tf.data.release import Release

    model = config.model
    with tempfile.TemporaryDirectory() as folder:
        place = _RECORDS.value
        if not place:
            place, workers = f"{folder}/records", machine.cores()
            release = synthetic.make_release(folder, _VIDEOS, seed=0, workers=workers)
            settings = convert.ConversionSettings(
                image_height=model.image_height,
                image_width=model.image_width,
                clip_frames=model.frames,
            )
            convert.convert(Release(release), place, settings, workers)
        manifest = Manifest.load(place)
        manifest.check_frames(model.frames)
        yield manifest


def _validation(network, config, manifest, batch):
    """Measure the seconds per clip of validation."""
    from a2d_tf.evaluation.evaluator import Evaluator
    from a2d_tf.training.forward import make_measure

    learning = dataclasses.replace(config.learning, val_fraction=1.0, batch_size=batch)
    config = dataclasses.replace(config, learning=learning)
    evaluator = Evaluator(network, config, manifest, make_measure(network, learning))
    most = max(learning.evaluation_batch, _VALIDATED)

    def once():
        began = time.perf_counter()
        count = sum(1 for _ in evaluator.scored(itertools.islice(evaluator.clips("val"), most)))
        return (time.perf_counter() - began) / count

    once()  # traces
    return once()


def main(argv: list[str]) -> None:
    """Run the command."""
    config = Config.from_flags()
    command_line.require(argv)
    # Imported here because TensorFlow takes seconds to load; a mistyped flag is reported at once.
    import tensorflow as tf

    from a2d_tf.core import devices
    from a2d_tf.data import pipeline
    from a2d_tf.training import doctor, replicas, run_start

    config = run_start.resolve_config(config, Config.given("model"))
    learning = config.learning
    used = devices.prepare(_DEVICE.value, learning.deterministic)
    hosts, devices_each = replicas.count(learning.strategy, learning.replicas)
    sharing = hosts * devices_each
    pipeline.check_batch(learning.batch_size, sharing)
    used.announce(config.compute.precision)
    versions = f"TensorFlow {tf.__version__}, Python {platform.python_version()}"
    cores, memory = machine.cores(), machine.memory()
    print(f"host: {cores} cores, {memory / 2**30:.0f} GB, {versions}", flush=True)
    with _records(config) as manifest:
        print(f"clips: {manifest.directory if _RECORDS.value else 'drawn at the size of A2D'}")
        if sharing > 1:
            print(f"devices: {sharing} share a batch; one of them is measured, without exchange")
        steps, network = doctor.train(config, manifest, sharing)
        rate = hosts * doctor.feed(config, manifest)
        seconds = 0.0
        if learning.val_fraction:
            seconds = _validation(network, config, manifest, steps.batch)
    clips = manifest.counts["train"]["records"] if _RECORDS.value else doctor.A2D_CLIPS
    clips = round(learning.val_fraction * clips)
    whole = doctor.estimate(config, steps, rate, clips, seconds=seconds, sharing=sharing)
    print("\n".join(doctor.report(config, steps, whole)))
    advice = doctor.advise(config, used, steps, whole, sharing)
    lines = ["what to change:", *(f"- {line}" for line in advice)]
    print("\n".join(lines if advice else ["nothing to change"]))
    if _JSON.value:
        write_json(
            _JSON.value,
            {
                "device": used.line(config.compute.precision),
                "versions": versions,
                "cores": cores,
                "memory": memory,
                "records": _RECORDS.value,
                "steps": dataclasses.asdict(steps),
                "validation_seconds_per_clip": seconds,
                "run": {**dataclasses.asdict(whole), "hours": whole.hours},
                "advice": advice,
            },
        )


def run() -> None:
    """Parse the command line and run."""
    if not any(word.lstrip("-").startswith("flagfile") for word in sys.argv[1:]):
        sys.argv.insert(1, f"--flagfile={command_line.CONFIGS}/a2d.flags")
    command_line.run(main)


if __name__ == "__main__":
    run()
