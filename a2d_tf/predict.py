"""Segment a video: python -m a2d_tf.predict --saved_model=DIR --video=FILE --output=DIR.

`--workdir=RUN` instead of `--saved_model` takes a run that is not exported. `--init_rgb=FILE`
takes a detector's weights as tools/import_weights.py made them, before any training: it finds
actors, and says "untrained" for what they do.
"""

import os
import sys

from absl import flags

from a2d_tf import errors, streaming, video
from a2d_tf.config import Config
from a2d_tf.errors import InputError

_SAVED_MODEL = flags.DEFINE_string("saved_model", None, "folder of a2d_tf.export")
_WORKDIR = flags.DEFINE_string("workdir", None, "run folder of a2d_tf.train")
_INIT_RGB = flags.DEFINE_string("init_rgb", None, "file of imported COCO weights")
_VIDEO = flags.DEFINE_string("video", None, "video file, or folder of images")
_OUTPUT = flags.DEFINE_string(
    "output", None, "folder of overlay.mp4, label_maps/ and detections.json"
)
Config.define_flags(["inference", "compute"])


def _load():
    """The predictor that the command line asks for."""
    # Here, because TensorFlow takes seconds to load: a mistyped flag should not wait for it.
    from a2d_tf import runs, serving

    runs.prepare_devices()
    if _WORKDIR.value:
        return serving.Predictor.from_run(
            runs.load(os.path.normpath(_WORKDIR.value), Config.given_inference())
        )
    if _INIT_RGB.value:
        return serving.Predictor.from_run(
            runs.untrained(os.path.normpath(_INIT_RGB.value), Config.given_inference())
        )
    return serving.Predictor.from_saved_model(os.path.normpath(_SAVED_MODEL.value))


def _check_flags(argv):
    errors.require(argv, video=_VIDEO.value, output=_OUTPUT.value)
    sources = {
        name: value
        for name, value in (("saved_model", _SAVED_MODEL.value), ("workdir", _WORKDIR.value),
                            ("init_rgb", _INIT_RGB.value))
        if value
    }  # fmt: skip
    if len(sources) != 1:
        raise InputError("give one of --saved_model, --workdir and --init_rgb")
    given = list(Config.given_inference())
    if _SAVED_MODEL.value and given:
        raise InputError(
            f"--{given[0]} is fixed in a SavedModel; give it to a2d_tf.export, or use --workdir"
        )
    source, output = os.path.realpath(_VIDEO.value), os.path.realpath(_OUTPUT.value)
    if source in [os.path.join(output, name) for name in streaming.RESULTS]:
        raise InputError(f"{_VIDEO.value}: would be overwritten; give another --output")
    for name, place in sources.items():
        if name != "init_rgb" and not os.path.isdir(place):
            raise InputError(f"--{name}={place}: no such folder")


def main(argv):
    _check_flags(argv)
    reader = video.Reader(_VIDEO.value)
    output = os.path.normpath(_OUTPUT.value)
    predictor, count, stopped = streaming.predict(_load, reader, output)
    facts = predictor.facts
    print(f"{facts['checkpoint']}, p(actor) >= {facts['score_threshold']:g}: {count} frames -> "
          f"{output}/{{{','.join(streaming.RESULTS)}}}")  # fmt: skip
    if stopped:
        raise KeyboardInterrupt
    if reader.count and count < reader.count:
        print(
            f"note: {_VIDEO.value} claims {reader.count} frames, {count} could be decoded",
            file=sys.stderr,
        )


if __name__ == "__main__":
    errors.run(main)
