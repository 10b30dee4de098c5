"""Convert A2D, or your own videos, to TFRecords of clips.

  a2d records --release A2D/Release --check
  a2d records --release A2D/Release --output records
  a2d records --annotations task_17.zip --videos videos --output records

An interrupted conversion resumes when it is run again, and several processes may share
one by `--task=1/16` to `--task=16/16`. docs/data_format.md describes the records.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Sequence
from typing import Any

from a2d_tf.annotations import given_tracks
from a2d_tf.annotations.matching import Export
from a2d_tf.annotations.reading_flags import ReadingFlags
from a2d_tf.core import command_line, devices, tasks
from a2d_tf.core.config import ModelConfig
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import write_text
from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.data import convert, inspection
from a2d_tf.data.clips import ConversionSettings
from a2d_tf.data.conversion import MotionSettings
from a2d_tf.data.flow import METHODS
from a2d_tf.data.manifest import NAME, Manifest, MotionFacts
from a2d_tf.data.release import Release
from a2d_tf.data.source_check import check
from a2d_tf.data.sources import Source
from a2d_tf.ops import motion_maps
from a2d_tf.training.host import Host
from a2d_tf.training.suggestion import motion_flags

FLAGS = command_line.Register()
_RELEASE = FLAGS.define_string(
    "release", None, "Folder of A2D: videoset.csv, clips, annotations."
)
_ANNOTATIONS = FLAGS.define_multi_string(
    "annotations",
    [],
    "Export of an annotation tool: a file, a folder or the downloaded zip; may be"
    " repeated; VIDEO=PATH names its video. With --release: another folder of its"
    " annotations.",
)
_COCO = FLAGS.define_string(
    "coco", None, "The same as --annotations with --format=a2d_tf."
)
_VIDEOS = FLAGS.define_string(
    "videos",
    None,
    "Folder of the videos; with --release: text file of VIDs to use, one per line.",
)
_READING = ReadingFlags(FLAGS, "annotations")
_INTERPOLATED = FLAGS.define_bool(
    "interpolated", False, "Also use frames that contain only interpolated shapes."
)
_EMPTY = FLAGS.define_bool(
    "empty_frames", False, "Use listed frames without shapes as background."
)
_FRAME_STEP = FLAGS.define_integer(
    "frame_step", 1, "Sampling interval of Roboflow's frames.", 1
)
_TEST = FLAGS.define_list(
    "test_videos",
    [],
    "Names of the test videos; by default as the export says, else about a fifth.",
)
_SPLIT_OF = FLAGS.define_string(
    "split_of", None, "Earlier records, whose videos keep their split."
)
_BOUTS = FLAGS.define_multi_string(
    "bouts",
    [],
    "Coded times that give annotated instances their actions: tabular or aggregated"
    " events, or the project, of BORIS, or a summary.csv; may be repeated.",
)
_BOUTS_WIN = FLAGS.define_bool(
    "bouts_win", False, "Coded actions replace annotated ones."
)
_OUTSIDE = FLAGS.define_string(
    "outside", None, "Action between coded times; by default left out."
)
_SUBJECTS = FLAGS.define_string(
    "subjects",
    None,
    'JSON, or a file of it: {"subject": "track id or name"}, or {"subject": {"video":'
    " ...}}; null leaves out a subject or a behaviour.",
)
_FPS = FLAGS.define_float(
    "fps",
    None,
    "Images a second of --videos that are folders, for --bouts; by default as BORIS"
    " says.",
    1e-3,
    1e6,
)
_MAX_FRAMES = FLAGS.define_integer(
    "max_frames", None, "Most annotated frames for training.", 1
)
_CHECK = FLAGS.define_bool("check", False, "Only read the input and report problems.")
_OUTPUT = FLAGS.define_string("output", None, "Folder for the records.")
_FLOW = FLAGS.define_enum(
    "flow_method", "dis", METHODS, "Optical flow method; the authors used tvl1."
)
_WORKERS = FLAGS.define_integer("workers", 2, "Number of processes.", lower_bound=1)
_ON_ERROR = FLAGS.define_enum(
    "on_error",
    "fail",
    convert.ON_ERROR,
    "On a broken item: fail, or skip and report it.",
)
# Their defaults are those of ConversionSettings.
_SIZES = {
    "image_height": (
        "Maximum height of the stored frames, which keep their aspect ratio."
    ),
    "image_width": "Maximum width of the stored frames, which keep their aspect ratio.",
    "clip_frames": "Frames per clip, odd, centred on the key frame.",
    "clip_stride": "Video frames from one clip frame to the next.",
    "shard_videos": "Videos per shard.",
}
for _name, _help in _SIZES.items():
    FLAGS.define_integer(
        _name, getattr(ConversionSettings, _name), _help, lower_bound=1
    )
_ACTION_BACKBONE = FLAGS.define_enum(
    "action_backbone",
    "",
    ("", *motion_maps.BACKBONE_MAPS),
    "Also store features of this network over the frames around each annotated one, for"
    " a run with the same flag; empty: none.",
)
_FLOW_HISTOGRAMS = FLAGS.define_bool(
    "flow_histograms",
    False,
    "Also store histograms of optical flow over the frames around each annotated one.",
)
_SUGGESTED_MOTION = FLAGS.define_bool(
    "suggested_motion",
    False,
    "Store the motion maps that a2d suggest-config reads with few training videos;"
    " those of --action_backbone where its weights are at hand.",
)
_LABELS = FLAGS.define_string(
    "labels",
    None,
    "JSON file of the label space; by default A2D's, or that of --annotations.",
)
_TASK = FLAGS.define_string("task", None, f"{tasks.HELP} Shares consist of shards.")


def open_source(has_split: bool = True) -> Source:
    """Return the source of annotated videos that the flags name.

    Args:
      has_split: as of `Selection`.

    Raises:
      InputError: the flags contradict each other, or the source cannot be read.
    """
    label_space = None
    if _LABELS.value:
        label_space = LabelSpace.from_json(_LABELS.value)
    release = _RELEASE.value
    exports = _ANNOTATIONS.value
    if not release and len(exports) == 1 and _is_release(exports[0]):
        release = exports[0]
        exports = []
    if _SPLIT_OF.value and (release or _TEST.value):
        raise InputError(
            "--split_of, as of a round --after another, goes without --test_videos and"
            " --release"
        )
    needs_bouts = _BOUTS_WIN.value or _OUTSIDE.value or _SUBJECTS.value
    if _BOUTS.value and release:
        raise InputError(
            "--bouts gives actions to --annotations; leave it out with --release"
        )
    if needs_bouts and not _BOUTS.value:
        raise InputError(
            "--bouts_win, --outside and --subjects need --bouts, for --annotations"
        )
    if _COCO.value:
        exports = [*exports, _COCO.value]
    if release:
        return _open_release(release, exports, label_space or A2D)
    if not exports:
        raise InputError(
            "--annotations (or --release) is missing; --help shows the flags"
        )
    command_line.require([], videos=_VIDEOS.value)
    source = _open_annotated_videos(exports, label_space, has_split)
    for line in source.summary():
        print(line)
    return source


def _is_release(path):
    """Return whether a path is A2D's Release folder."""
    return (pathlib.Path(path) / "videoset.csv").is_file()


def _open_release(release, exports, label_space):
    """Return A2D as the source; `exports` may name another folder of annotations."""
    if len(exports) > 1:
        raise InputError("--release takes at most one --annotations")
    annotations = None
    if exports:
        annotations = exports[0]
    list_of_videos = _VIDEOS.value
    if list_of_videos and os.path.isdir(list_of_videos):
        list_of_videos = None  # a folder of videos, which only --annotations uses
    on_error = _ON_ERROR.value
    if _CHECK.value:
        on_error = "skip"
    return Release(
        release,
        label_space,
        videos=list_of_videos,
        annotations=annotations,
        test_videos=frozenset(_TEST.value),
        on_error=on_error,
    )


def reading_of_tracks() -> given_tracks.Reading:
    """Return how the flags say that --annotations are read if they are given tracks."""
    return _READING.reading_of_tracks(_ANNOTATIONS.value, "annotations")


def _open_annotated_videos(exports, label_space, has_split):
    """Return a user's own annotated videos as the source.

    Args:
      label_space: None to derive it from the annotations.
    """
    from a2d_tf.annotations.annotated_videos import AnnotatedVideos, Selection

    actors: Sequence[str] = ()
    if label_space is not None:
        actors = label_space.actors
    options = _READING.options(
        actors,
        format_name="a2d_tf" if _COCO.value else None,
        # Coded times are known for all frames.
        interpolated=_INTERPOLATED.value or bool(_BOUTS.value),
        empty_frames=_EMPTY.value,
        frame_step=_FRAME_STEP.value,
    )
    coding = None
    if _BOUTS.value:
        coding = _read_coding()
    earlier_splits = {}
    if _SPLIT_OF.value:
        earlier_splits = Manifest.load(_SPLIT_OF.value).split_of
    return AnnotatedVideos.read(
        [Export.parse(export) for export in exports],
        pathlib.Path(_VIDEOS.value),
        label_space,
        names=_READING.names(),
        options=options,
        coding=coding,
        selection=Selection(
            test_videos=_TEST.value,
            earlier=earlier_splits,
            max_frames=_MAX_FRAMES.value,
            has_split=has_split,
        ),
    )


def _read_coding():
    """Return the coded times of --bouts."""
    from a2d_tf.annotations import read_bouts
    from a2d_tf.annotations.coding import Coding
    from a2d_tf.annotations.individuals import Subjects, load_subjects

    observations = []
    for path in _BOUTS.value:
        observations.extend(read_bouts.read(path))
    subjects: Subjects = {}
    if _SUBJECTS.value:
        subjects = load_subjects(_SUBJECTS.value)
    return Coding(
        observations,
        wins=_BOUTS_WIN.value,
        outside=_OUTSIDE.value,
        subjects=subjects,
        fps=_FPS.value,
    )


def main(argv: list[str], builder: convert.Builder | None = None) -> int:
    """Check or convert; `builder` as for `convert.convert`.

    Returns:
      the exit status: 1 if --check reports problems under --on_error=fail.
    """
    if _CHECK.value:
        command_line.require(argv)
        report, problems = check(open_source(), _WORKERS.value)
        print(report)
        return int(bool(problems) and _ON_ERROR.value == "fail")
    command_line.require(argv, output=_OUTPUT.value)
    source = open_source()
    devices.hide_gpus()
    sizes = {name: FLAGS[name].value for name in _SIZES}
    settings = ConversionSettings(flow_method=_FLOW.value, **sizes)
    task = tasks.ALONE
    if _TASK.value:
        task = tasks.Task.parse(_TASK.value)
    manifest, built = convert.convert(
        source,
        _OUTPUT.value,
        settings,
        _WORKERS.value,
        on_error=_ON_ERROR.value,
        task=task,
        builder=builder,
        motion=_motion_settings(source),
    )
    if manifest is None:
        print(
            f"{_OUTPUT.value}: --task={_TASK.value} is done; the last task publishes"
            " the records"
        )
        return 0
    _print_report(manifest)
    if not isinstance(source, Release):
        path = os.path.join(_OUTPUT.value, "labels.json")
        write_text(path, source.label_space.to_json() + "\n")
        print(f"{path}: label space; pass it as --labels next time")
    state = "complete"
    if not built:
        state = "already complete, nothing to do"
    line = f"{_OUTPUT.value}: {state}, {len(manifest.skipped)} items skipped"
    if manifest.motion:
        line += f", {_kilobytes_a_clip(manifest):.0f} kB a clip with motion maps"
    print(line)
    if built and "train" in manifest.splits:
        deviations = inspection.sample_deviations(manifest)
        scale = ModelConfig.flow_scale
        print(inspection.describe_flow(deviations, scale, rgb_scale=1.0))
    return 0


def _motion_settings(source: Source) -> MotionSettings | None:
    """Return which motion maps the flags ask for; None without any."""
    name = _ACTION_BACKBONE.value
    flow_histograms = _FLOW_HISTOGRAMS.value
    if _SUGGESTED_MOTION.value:
        suggested = _suggested_motion(source)
        if not FLAGS["action_backbone"].present:
            name = suggested.get("action_backbone", "")
        if not FLAGS["flow_histograms"].present:
            flow_histograms = suggested.get("flow_histograms", False)
    if not name and not flow_histograms:
        return None
    block_function = None
    digest = ""
    if name:
        from a2d_tf.pretrained.action_features import ActionFeatures

        block_function = ActionFeatures.get(name)
        digest = block_function.sha256
    return MotionSettings(MotionFacts(name, digest, flow_histograms), block_function)


def _suggested_motion(source: Source) -> dict[str, Any]:
    """Return the flags of motion maps that are suggested for a source.

    Records that are complete keep theirs: weights may have come since.
    """
    if os.path.exists(os.path.join(_OUTPUT.value, NAME)):
        return motion_flags(Manifest.load(_OUTPUT.value))
    from a2d_tf.training import presets

    videos = [video for video in source.videos if video.split == "train"]
    return presets.stored_motion(presets.preset_for(Host.here()), len(videos))


def _kilobytes_a_clip(manifest: Manifest) -> float:
    """Return the mean size of a record."""
    size = 0
    clips = 0
    for shard in manifest.files:
        size += shard["bytes"]
        clips += shard["records"]
    return size / clips / 1000


def _print_report(manifest: Manifest) -> None:
    """Print what published records hold, and what was skipped or repaired."""
    for item in manifest.skipped:
        print(f"skipped {item['item']}: {item['reason']}")
    for item in manifest.repaired:
        print(f"repaired {item['item']}: {item['note']}")
    for split, counts in manifest.counts.items():
        line = (
            f"{split}: {counts['videos']} videos, {counts['records']} clips,"
            f" {counts['instances']} instances"
        )
        if "boxes_only" in counts:
            line += f", {counts['boxes_only']} of them boxes only"
        print(line)


run = command_line.command(main, FLAGS)
