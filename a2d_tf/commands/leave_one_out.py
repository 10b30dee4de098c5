"""Train on all videos but one and score that one, in turn: what a handful of videos can show.

  python tools/leave_one_out.py --release=Release --base=configs/real_clips.flags --workdir=runs/loo

Videos are those of `videoset.csv`, whatever its last column says; held out in turn is each whose
actor another video shows too, or those of --videos. Flags after `--` go to every training:
-- --seed=1. Run again, it continues where it stopped. Scores of the videos and of all of them
together are printed, and written to WORKDIR/leave_one_out.json.
"""

from __future__ import annotations

import collections
import copy
import dataclasses
import os
import pathlib
import signal
import statistics

from absl import flags

from a2d_tf.commands import processes
from a2d_tf.core import command_line
from a2d_tf.core.config import Config
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import read_json, write_json
from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.data import convert
from a2d_tf.data.release import Release, Video
from a2d_tf.training import experiments

_RELEASE = flags.DEFINE_string("release", None, "Folder of videos in A2D's layout.")
_BASE = flags.DEFINE_string("base", "configs/real_clips.flags", "Flagfile of the network.")
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Folder to write; each video held out gets a folder."
)
_VIDEOS = flags.DEFINE_list(
    "videos", None, "Videos to hold out, of those that can be; all if not given."
)
_STRIDE = flags.DEFINE_integer("clip_stride", 1, "Video frames from one clip frame to the next.", 1)
_THRESHOLD = flags.DEFINE_float(
    "score_threshold", 0.3, "Least p(actor) of an instance: no video is left to choose it by.", 0, 1
)
_WORKERS = flags.DEFINE_integer("workers", os.cpu_count(), "Processes that make records.", 1)
_LABELS = flags.DEFINE_string("labels", None, "JSON file of other actors and actions than A2D's.")
_DEVICE = Config.define_device()

_KINDS = ("actor", "action", "joint")


def main(argv: list[str]) -> None:
    """Run the command."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a training then saves its step
    command_line.require(argv[:1], release=_RELEASE.value, workdir=_WORKDIR.value)
    extra = processes.flags_of_trainings(argv[1:])
    labels = LabelSpace.from_json(_LABELS.value) if _LABELS.value else A2D
    release = Release(_RELEASE.value, labels)
    workdir, base = pathlib.Path(_WORKDIR.value).absolute(), command_line.find(_BASE.value)
    lines = [f"--flagfile={os.path.abspath(base)}", "--val_fraction=0", *extra, ""]
    settings = workdir / "settings.flags"
    processes.keep_settings(settings, "\n".join(lines))
    model = Config.read(settings).model  # a mistake shows before the first training
    folds = {}
    for video in held_out(release, _VIDEOS.value):
        folds[video.vid] = _fold(release, video, workdir / video.vid, settings, model)
    report = _report(folds, labels)
    write_json(workdir / "leave_one_out.json", report)
    print(table(report))


def held_out(release: Release, names: list[str] | None = None) -> list[Video]:
    """Return the videos whose actor, by the list of videos, is that of another one too.

    Args:
      release: the release; names: of the videos to return, or None for all.

    Raises:
      InputError: there are none, or one that is named is not among them.
    """
    actors = {video.vid: release.label_space.split(video.label)[0] for video in release.videos}
    counts = collections.Counter(actors.values())
    videos = [video for video in release.videos if counts[actors[video.vid]] > 1]
    if not videos:
        raise InputError(
            f"{release.root}/videoset.csv: no actor of two videos or more, so none can be held out"
        )
    unknown = set(names or ()) - {video.vid for video in videos}
    if unknown:
        known = ", ".join(video.vid for video in videos)
        raise InputError(f"--videos={min(unknown)}: those that can be held out are {known}")
    return [video for video in videos if not names or video.vid in names]


def _fold(release, video, folder, settings, model):
    """Make the records, train and score; returns the run's folder of scores."""
    from a2d_tf.core import devices

    devices.hide_gpus()  # which the trainings use
    fold = copy.copy(release)
    fold.videos = tuple(dataclasses.replace(v, usage=int(v is video)) for v in release.videos)
    size = convert.ConversionSettings(
        image_height=model.image_height,
        image_width=model.image_width,
        clip_frames=model.frames,
        clip_stride=_STRIDE.value,
    )
    run, records = folder / "run", folder / "records"
    convert.convert(fold, records, size, _WORKERS.value)
    metrics, threshold = run / "evaluation" / experiments.SPLIT / "metrics.json", _THRESHOLD.value
    if metrics.exists() and read_json(metrics)["score_threshold"] != threshold:
        metrics.unlink()
    if not (run / "finished.json").exists():
        words = [f"--flagfile={settings}", "--pictures=0"]
        processes.train(run, records, _DEVICE.value, words)
    processes.score(run, records, _DEVICE.value, f"--score_threshold={threshold}")
    return metrics.parent


def _report(folds, labels):
    """Return {"videos": {VID: {kind: mIoU}}, "mean", "deviation", "together": {kind: mIoU}}."""
    from a2d_tf.evaluation import label_maps
    from a2d_tf.evaluation.metrics import segmentation

    together, videos = segmentation.Confusion(labels), {}
    for vid, folder in folds.items():
        scores = read_json(folder / "metrics.json").get("segmentation")
        if not scores:
            raise InputError(f"{folder}: no frame all of whose instances have masks, to be scored")
        videos[vid] = {kind: scores[kind]["miou"] for kind in _KINDS}
        for frame in label_maps.frames_of(folder):
            together.update(*label_maps.read_maps(folder, frame, labels))
    whole = together.metrics()
    by_kind = {kind: [scores[kind] for scores in videos.values()] for kind in _KINDS}
    return {
        "videos": videos,
        "mean": {kind: statistics.fmean(values) for kind, values in by_kind.items()},
        "deviation": {
            kind: statistics.stdev(values) if len(values) > 1 else 0.0
            for kind, values in by_kind.items()
        },
        "together": {kind: whole[kind]["miou"] for kind in _KINDS},
    }


def table(report: dict) -> str:
    """Format a report: mIoU in percent, background among the classes."""
    from a2d_tf.evaluation.metrics import Table

    rows = {
        **report["videos"],
        "mean": report["mean"],
        "standard deviation": report["deviation"],
        "all frames together": report["together"],
    }
    return Table("mIoU of the video held out", {k: k for k in _KINDS}, rows).text()


run = command_line.command(main)
