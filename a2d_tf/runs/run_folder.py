"""The run folder: settings, weights and results of a training.

flags.txt             the resolved settings, reusable as --flagfile
labels.json           the label space
records.json          how its records were made: flow method, sizes and clip stride; a
                      digest of their source, the training videos, and how long their
                      coded bouts last
checkpoints/          the newest weights with the optimizer's state
best/                 the weights of the best validation, by joint mIoU or box F1, and
                      its threshold
weights.txt           how each variable was initialised, by name
NOTICE                authors and licence of an action backbone's weights, if it has one
score_threshold.json  p(actor) from which a RoI is an instance, chosen on validation
tensorboard/          events
finished.json         the last step, once the last validation is done
evaluation/<split>/   metrics, what they were computed from, detections and label maps
held_out.json         how good the network is in videos held out, after a2d start
learning_curve.csv    F1 of each behaviour, round by round; also as learning_curve.png
annotations/          sheets of the annotated frames, before a training of a2d start

A packed model is a run's network in a small folder: flags.txt, labels.json,
records.json and score_threshold.json as above, and

weights.npz           {layer/weight: float16}, without the optimizer's state
metrics.json          the scores of the test split, if the run was evaluated
held_out.json         as above
card.md               what the packer was given as notes
NOTICE                as above

This module reads them without TensorFlow: the commands that start trainings leave that
to their processes.
"""

from __future__ import annotations

import os
import pathlib
from typing import TypedDict, cast

import a2d_tf
from a2d_tf.core.checked_json import load_json
from a2d_tf.core.errors import InputError
from a2d_tf.core.file_format import load_current
from a2d_tf.core.files import Path
from a2d_tf.core.labels import LabelSpace
from a2d_tf.core.settings.config import Config
from a2d_tf.data.record_folder.manifest import BOUT_SECONDS_KIND, INPUT_SETTINGS
from a2d_tf.data.record_folder.motion_facts import MOTION_KIND, MotionFields

FLAGS = "flags.txt"
"""The file with the settings."""
LABELS = "labels.json"
"""The file with the label space."""
RECORDS = "records.json"
"""The file with the `RecordFacts`."""
SHEETS = "annotations"
"""A folder with sheets of annotated frames, 1.png and so on, which a2d start makes."""
FINISHED = "finished.json"
"""The file that marks a training as finished: {"steps": its last step}."""
WEIGHTS = "weights.txt"
"""A text, for people, that says how each variable was initialised."""
EVENTS = "events.out.tfevents.*"
"""A pattern of TensorBoard's files, in `tensorboard/` and its folders."""
CHECKPOINTS = {"last": "checkpoints", "best": "best"}
"""{kind of a checkpoint: its folder in a run folder}."""
BEST = "validation.json"
"""The file in `best/` on the best validation: {"step", "score", "score_threshold"}.

The score is in percent.
"""


class RecordFacts(TypedDict, total=False):
    """The contents of `records.json`: how the records of a run were made.

    Attributes:
      schema: the version of the format of records, runs and exports.
      written_by: the version of a2d_tf that wrote the file.
      flow_method: the method of optical flow, a value of --flow_method.
      image_height: the largest height of stored frames in pixels.
      image_width: the largest width of stored frames in pixels.
      clip_stride: the number of source frames from one frame of a clip to the next.
      source: the digest of the videos and annotations that the records were made of.
      videos: the names of the videos that this run, or a run before it, was trained on.
      motion: the facts of the motion maps; absent without motion maps.
      bout_seconds: {action: mean length in seconds of its coded bouts in the training
        videos}; absent without coded bouts.
    """

    schema: int
    written_by: str
    flow_method: str
    image_height: int
    image_width: int
    clip_stride: int
    source: str
    videos: list[str]
    motion: MotionFields
    bout_seconds: dict[str, float]


def flags_path(run: Path) -> str:
    """Return the path of `flags.txt`, the settings, in a run folder."""
    return os.path.join(run, FLAGS)


def labels_path(run: Path) -> str:
    """Return the path of `labels.json`, the label space, in a run folder."""
    return os.path.join(run, LABELS)


def sheets(run: Path) -> list[pathlib.Path]:
    """Return the paths of the sheets of annotated frames in a run folder, in order.

    They are PNGs that `a2d start` makes; there may be none.
    """
    paths = pathlib.Path(run, SHEETS).glob("*.png")
    return sorted(paths, key=lambda path: int(path.stem))


def read_config(run: Path) -> Config:
    """Read the settings of a run or packed model from its `flags.txt`.

    Raises:
      InputError: the file is missing or damaged.
    """
    return Config.read(flags_path(run))


def read_loadable_config(workdir: str) -> Config:
    """Read the settings of a run or packed model, and check that it can be loaded.

    Raises:
      InputError: the folder is neither, or its network is of an earlier version.
    """
    path = flags_path(workdir)
    if not os.path.isfile(path):
        raise InputError(
            f"{workdir}: not a run folder (no flags.txt); use one of a2d train"
        )
    facts = record_facts(workdir)
    config = Config.read(path)
    if config.model.readout and facts.get("written_by") == "0.1.0":
        raise InputError(
            f"{path}: a readout of a2d_tf 0.1.0; version {a2d_tf.__version__} reads"
            " halves of boxes; train again with a2d train, or use that version"
        )
    return config


def read_labels(run: Path) -> LabelSpace:
    """Read the label space of a run or packed model from its `labels.json`.

    Raises:
      InputError: the file is missing or damaged.
    """
    return LabelSpace.from_json(labels_path(run))


def record_facts(workdir: str) -> RecordFacts:
    """Read `records.json` of a run or packed model: how its records were made.

    Raises:
      InputError: the file is missing or damaged, or of another version of the format.
    """
    fields = load_current(
        os.path.join(workdir, RECORDS),
        kind={
            **INPUT_SETTINGS,
            "source": str,
            "videos": [str],
            "motion?": MOTION_KIND,
            "bout_seconds?": BOUT_SECONDS_KIND,
        },
        missing="is this a run folder?",
        remake="build the records again with a2d records, and train on them",
    )
    return cast(RecordFacts, fields)


def checkpoint_folder(workdir: str | os.PathLike, kind: str = "last") -> str:
    """Return the folder of a run's checkpoints.

    Args:
      workdir: the run folder.
      kind: "last" for the newest weights, "best" for those of the best validation.
    """
    return os.path.join(workdir, CHECKPOINTS[kind])


def checkpoint_steps(folder: str | os.PathLike) -> list[int]:
    """Return the training steps of the checkpoints in a folder, in ascending order.

    Damaged checkpoints count, too. A user's copy with a name of its own, such as
    ckpt-best, does not.
    """
    steps = []
    for path in pathlib.Path(folder).glob("ckpt-*.index"):
        step = path.stem.removeprefix("ckpt-")
        if step.isdecimal():
            steps.append(int(step))
    return sorted(steps)


def check_weights_path(path: str | os.PathLike[str]) -> None:
    """Check that TensorFlow can read weights at a path.

    It would write there, but it reads [ and \\ as parts of a pattern.

    Raises:
      InputError: the path has one of these characters.
    """
    if "[" in str(path) or "\\" in str(path):
        raise InputError(
            f"{path}: TensorFlow cannot read weights from a path with [ or \\; rename"
            " the folder"
        )


def is_new(workdir: str) -> bool:
    """Return whether a run folder has no checkpoint, so that a training begins anew."""
    return not checkpoint_steps(checkpoint_folder(workdir))


def is_finished(workdir: str, step: int) -> bool:
    """Return whether a training was marked as finished after a number of steps.

    Args:
      workdir: the run folder.
      step: the number of training steps.

    Raises:
      InputError: the mark, finished.json, is damaged.
    """
    path = os.path.join(workdir, FINISHED)
    if not os.path.isfile(path):
        return False
    return load_json(path, {"steps": int}, "delete it")["steps"] == step
