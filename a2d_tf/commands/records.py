"""Convert A2D, or your own videos, to TFRecords of clips.

  a2d records --release A2D/Release --check
  a2d records --release A2D/Release --output records
  a2d records --annotations task_17.zip --videos videos --output records

An interrupted conversion resumes when it is run again, and several processes may share
one by `--task=1/16` to `--task=16/16`. docs/data_format.md describes the records.
"""

from __future__ import annotations

import os
from typing import Any

from a2d_tf.commands.flags.source_flags import SourceFlags
from a2d_tf.core.command import command_line
from a2d_tf.core.files import write_text
from a2d_tf.core.machine import devices, tasks
from a2d_tf.core.settings.config import ModelConfig
from a2d_tf.data.conversion import convert
from a2d_tf.data.conversion.clips import ConversionSettings
from a2d_tf.data.conversion.shard_building import MotionSettings
from a2d_tf.data.preparation.flow import METHODS
from a2d_tf.data.record_folder import deviations
from a2d_tf.data.record_folder.manifest import NAME, Manifest
from a2d_tf.data.record_folder.motion_facts import MotionFacts
from a2d_tf.data.sources.release import Release
from a2d_tf.data.sources.source import Source
from a2d_tf.data.sources.source_check import check
from a2d_tf.ops import motion_maps
from a2d_tf.training.suggestion.host import Host
from a2d_tf.training.suggestion.record_flags import motion_flags

FLAGS = command_line.Register()
_SOURCE = SourceFlags.define(FLAGS)
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
    "Store the motion maps that a2d suggest-config reads for few training videos;"
    " those of I3D only if its weights are at hand.",
)
_TASK = FLAGS.define_string("task", None, f"{tasks.HELP} Shares consist of shards.")


def main(argv: list[str], builder: convert.Builder | None = None) -> int:
    """Check or convert; `builder` as for `convert.convert`.

    Returns:
      the exit status: 1 if --check reports problems under --on_error=fail.
    """
    if _CHECK.value:
        command_line.require(argv)
        # A2D's own problems are skipped here, so that the report has all of them.
        report, problems = check(_SOURCE.open(on_error="skip"), _WORKERS.value)
        print(report)
        return int(bool(problems) and _ON_ERROR.value == "fail")
    command_line.require(argv, output=_OUTPUT.value)
    source = _SOURCE.open(on_error=_ON_ERROR.value)
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
        print(
            f"{path}: label space; next time keep to it with --labels={path}, or add"
            f" labels to it with --labels_of={_OUTPUT.value}"
        )
    state = "complete"
    if not built:
        state = "already complete, nothing to do"
    line = f"{_OUTPUT.value}: {state}, {len(manifest.skipped)} items skipped"
    if manifest.motion:
        line += f", {_kilobytes_a_clip(manifest):.0f} kB a clip with motion maps"
    print(line)
    if built and "train" in manifest.splits:
        sampled = deviations.sample_deviations(manifest)
        scale = ModelConfig.flow_scale
        print(deviations.describe_flow(sampled, scale, rgb_scale=1.0))
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
    from a2d_tf.training.suggestion import presets

    preset = presets.preset_of_machine(Host.here())
    videos = [video for video in source.videos if video.split == "train"]
    return presets.motion_maps_to_store(preset, len(videos))


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
    for repair in manifest.repaired:
        print(f"repaired {repair['item']}: {repair['note']}")
    for split, counts in manifest.counts.items():
        line = (
            f"{split}: {counts['videos']} videos, {counts['records']} clips,"
            f" {counts['instances']} instances"
        )
        if "boxes_only" in counts:
            line += f", {counts['boxes_only']} of them boxes only"
        print(line)


run = command_line.command(main, FLAGS)
