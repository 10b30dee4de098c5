"""Check this machine in five minutes, estimate a training run, and say what to change before it.

  python tools/doctor.py --records=records --init_rgb=coco --init_flow=imagenet

Prints devices, memory and precision; whether every operation of the training step has a kernel
here; whether two steps, run twice, are equal to the bit; the time and memory of a step; the clips
a second of the input; the hours of a whole run; and advice. The flags are those of a2d_tf.train;
without a --flagfile they are configs/a2d.flags. Weights to start from decide how RoIs are cropped,
and so a step's time. Without --records clips are drawn for the purpose.
Nothing is kept, but for --json.
"""

import contextlib
import dataclasses
import itertools
import platform
import sys
import tempfile
import time

from absl import flags

from a2d_tf.core import errors, flagfiles, machine
from a2d_tf.core.config import Config
from a2d_tf.core.files import write_json

_RECORDS = flags.DEFINE_string("records", None, "folder that tools/build_records.py made")
_JSON = flags.DEFINE_string("json", None, "file that gets the same for programs")
_DEVICE = Config.define_device()
Config.define_flags()

_VIDEOS = 6  # drawn, for 12 clips of training or more
_VALIDATED = 4  # clips at least, to time validation


@contextlib.contextmanager
def _records(config):
    """Yields the manifest of --records, or of clips drawn at A2D's size."""
    from a2d_tf.data import convert, pipeline
    from a2d_tf.data.manifest import Manifest
    from a2d_tf.data.mini import synthetic
    from a2d_tf.data.sources.release import Release

    model = config.model
    with tempfile.TemporaryDirectory() as folder:
        place = _RECORDS.value
        if not place:
            place, workers = f"{folder}/records", machine.cores()
            release = synthetic.make_release(folder, _VIDEOS, seed=0, workers=workers)
            settings = convert.Settings(
                image_height=model.image_height,
                image_width=model.image_width,
                clip_frames=model.frames,
            )
            convert.convert(Release(release), place, settings, workers)
        manifest = Manifest.load(place)
        pipeline.check_manifest(manifest, model.frames)
        yield manifest


def _validation(network, config, manifest):
    """Seconds in which a clip of validation is answered, measured and painted."""
    from a2d_tf.evaluation.runner import Evaluator
    from a2d_tf.learning.forward import make_measure

    everything = dataclasses.replace(config.learning, val_fraction=1.0)
    config = dataclasses.replace(config, learning=everything)
    evaluator = Evaluator(network, config, manifest, make_measure(network, everything))
    most = max(everything.evaluation_batch, _VALIDATED)

    def once():
        began, count = time.perf_counter(), 0
        for _ in evaluator.scored(itertools.islice(evaluator.frames("val", measured=[]), most)):
            count += 1
        return (time.perf_counter() - began) / count

    once()  # traces
    return once()


def main(argv):
    config = Config.from_flags()
    errors.require(argv)
    # Below, because TensorFlow takes seconds to load: a mistyped flag should not wait for it.
    import tensorflow as tf

    from a2d_tf.core import devices
    from a2d_tf.learning.doctor import examination, report
    from a2d_tf.learning.runs import run_folder

    config = run_folder.settle(config, Config.given_model())
    learning = config.learning
    found = devices.prepare(_DEVICE.value, learning.deterministic)
    found.announce(config.compute.precision)
    versions = f"TensorFlow {tf.__version__}, Python {platform.python_version()}"
    cores, memory = machine.cores(), machine.memory()
    print(f"host: {cores} cores, {memory / 2**30:.0f} GB, {versions}", flush=True)
    with _records(config) as manifest:
        print(f"clips: {manifest.directory if _RECORDS.value else 'drawn at the size of A2D'}")
        steps, network = examination.train(config, manifest)
        print("\n".join(report.of_steps(steps, learning.deterministic)), flush=True)
        rate = examination.feed(config, manifest)
        tried = dataclasses.replace(learning, batch_size=steps.batch)
        seconds = 0.0
        if learning.val_fraction:
            seconds = _validation(network, dataclasses.replace(config, learning=tried), manifest)
    clips = manifest.counts["train"]["records"] if _RECORDS.value else examination.A2D_CLIPS
    clips = round(learning.val_fraction * clips)
    whole = examination.estimate(config, steps, rate, clips, seconds=seconds)
    print("\n".join(report.of_run(config, rate, seconds, whole)))
    advice = report.advice(config, found, steps, rate, whole=whole)
    print(
        "\n".join(
            ["what to change:", *(f"- {line}" for line in advice)]
            if advice
            else ["nothing to change"]
        )
    )
    if _JSON.value:
        write_json(
            _JSON.value,
            {
                "device": found.line(config.compute.precision),
                "warnings": found.warnings(),
                "versions": versions,
                "cores": cores,
                "memory": memory,
                "records": _RECORDS.value,
                "steps": dataclasses.asdict(steps),
                "clips_per_second": rate,
                "validation_seconds_per_clip": seconds,
                "run": {**dataclasses.asdict(whole), "hours": whole.hours},
                "advice": advice,
            },
        )


def run():
    """Run the command with the words of the command line."""
    if not any(word.lstrip("-").startswith("flagfile") for word in sys.argv[1:]):
        sys.argv.insert(1, f"--flagfile={flagfiles.CONFIGS}/a2d.flags")
    errors.run(main)


if __name__ == "__main__":
    run()
