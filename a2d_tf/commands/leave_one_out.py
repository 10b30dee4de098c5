"""Train on all videos but one and score that one, in turn: what a handful of videos can show.

  python tools/leave_one_out.py --release=Release --base=configs/real_clips.flags --workdir=runs/loo

Videos are those of `videoset.csv`, whatever its last column says; held out in turn is each whose
actor another video shows too, or those of --videos. Flags after `--` go to every training:
-- --seed=1. Run again, it continues where it stopped. Scores of the videos and of all of them
together are printed, and written to WORKDIR/leave_one_out.json.
"""

from __future__ import annotations

import collections
import os
import pathlib
import signal
import statistics
from typing import TYPE_CHECKING

from absl import flags

from a2d_tf.commands import processes
from a2d_tf.core import command_line
from a2d_tf.core.config import Config
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import read_json, write_json, write_text
from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.training import experiments

if TYPE_CHECKING:
    from a2d_tf.data.release import Release, Video

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
_LINKED = ("Annotations", "clips320H", "pngs320H", "a2d_annotation_with_instances")


def main(argv: list[str]) -> None:
    """Run the command."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a training then saves its step
    command_line.require(argv[:1], release=_RELEASE.value, workdir=_WORKDIR.value)
    stray = [word for word in argv[1:] if not word.startswith("--")]
    if stray:
        raise InputError(f"unexpected word '{stray[0]}'; flags of trainings follow `--`")
    from a2d_tf.data.release import Release

    labels = LabelSpace.from_json(_LABELS.value) if _LABELS.value else A2D
    release = Release(_RELEASE.value, labels)
    workdir = pathlib.Path(_WORKDIR.value).absolute()
    settings = _settings(workdir, argv[1:])
    folds = {}
    for video in held_out(release, _VIDEOS.value):
        folds[video.vid] = _fold(release, video, workdir / video.vid, settings)
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


def _settings(workdir, extra):
    """Write the settings of all trainings: the base, no video for validation, further flags.

    Raises:
      InputError: a mistake in them, or trainings with others are there.
    """
    base = os.path.abspath(command_line.find(_BASE.value))
    path = workdir / "settings.flags"
    text = "\n".join([f"--flagfile={base}", "--val_fraction=0", *extra]) + "\n"
    trained = path.exists() and any(workdir.glob("*/run/flags.txt"))
    if trained and path.read_text() != text:
        raise InputError(f"{path}: the trainings there have these flags; give another --workdir")
    write_text(path, text)
    Config.read(path)  # a mistake shows before the first training
    return path


def _fold(release, video, folder, settings):
    """Make the records, train and score; returns the run's folder of scores."""
    from a2d_tf.core import devices
    from a2d_tf.data import convert
    from a2d_tf.data.release import Release

    devices.hide_gpus()  # which the trainings use
    split_release(release, video.vid, folder / "Release")
    model = Config.read(settings).model
    convert.convert(
        Release(folder / "Release", release.label_space, follow_links=True),
        folder / "records",
        convert.ConversionSettings(
            image_height=model.image_height,
            image_width=model.image_width,
            clip_frames=model.frames,
            clip_stride=_STRIDE.value,
        ),
        _WORKERS.value,
    )
    run = folder / "run"
    common = [f"--records={folder / 'records'}", f"--workdir={run}"]
    common += [f"--device={_DEVICE.value}"] if _DEVICE.value != "auto" else []
    if not (run / "finished.json").exists():
        processes.call_main(["train", f"--flagfile={settings}", *common, "--pictures=0"])
    scores, threshold = run / "evaluation" / experiments.SPLIT, _THRESHOLD.value
    scored = experiments.is_scored(run, since_trained=True)
    if not scored or read_json(scores / "metrics.json")["score_threshold"] != threshold:
        options = [f"--split={experiments.SPLIT}", f"--score_threshold={threshold}"]
        processes.call_main(["evaluate", *common, *options])
    return scores


def split_release(release: Release, vid: str, folder: pathlib.Path) -> None:
    """Write a folder in A2D's layout that links to a release, one of whose videos is the test.

    Args:
      release: the release; vid: of the test video; folder: gets `videoset.csv` and links.

    Raises:
      InputError: the folder links to another release.
    """
    for name in _LINKED:
        target, link = release.root.absolute() / name, folder / name
        if link.is_symlink() and link.resolve() != target.resolve():
            raise InputError(f"{link}: leads to another release; give another --workdir")
        if target.is_dir() and not link.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            link.symlink_to(target)
    rows = []
    for video in release.videos:
        row = [video.vid, video.label, video.start, video.end, video.height, video.width]
        rows.append([*row, video.frames, video.annotated, int(video.vid == vid)])
    text = "\n".join(",".join(map(str, row)) for row in rows) + "\n"
    write_text(folder / "videoset.csv", text)


def _report(folds, labels):
    """{"videos": {VID: {kind: mIoU}}, "mean", "deviation", "together": {kind: mIoU}}."""
    from a2d_tf.evaluation import segmentation

    together, videos = segmentation.Confusion(labels), {}
    for vid, folder in folds.items():
        scores = read_json(folder / "metrics.json")["segmentation"]
        videos[vid] = {kind: scores[kind]["miou"] for kind in _KINDS}
        for frame in segmentation.frames_of(folder):
            together.update(*segmentation.read_maps(folder, frame, labels))
    columns = {kind: [scores[kind] for scores in videos.values()] for kind in _KINDS}
    whole = together.metrics()
    return {
        "videos": videos,
        "mean": {kind: statistics.fmean(values) for kind, values in columns.items()},
        "deviation": {kind: _deviation(values) for kind, values in columns.items()},
        "together": {kind: whole[kind]["miou"] for kind in _KINDS},
    }


def _deviation(values):
    return statistics.stdev(values) if len(values) > 1 else 0.0


def table(report: dict) -> str:
    """Format a report as Markdown: mIoU in percent, background among the classes."""
    rows = {
        **report["videos"],
        "mean": report["mean"],
        "standard deviation": report["deviation"],
        "all frames together": report["together"],
    }
    lines = ["| held out | actor | action | joint |", "|---|---|---|---|"]
    for name, scores in rows.items():
        lines.append(f"| {name} | " + " | ".join(f"{scores[kind]:.1f}" for kind in _KINDS) + " |")
    return "\n".join(lines)


run = command_line.command(main)


if __name__ == "__main__":
    run()
