"""Convert A2D, or your own videos, to TFRecords of clips.

  python tools/build_records.py --release A2D/Release --check
  python tools/build_records.py --release A2D/Release --output records
  python tools/build_records.py --coco annotations.json --videos videos --output records

An interrupted conversion resumes when it is run again. docs/data_format.md describes the records.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # inherited by the workers

from absl import flags

from a2d_tf.core import errors
from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.data import convert
from a2d_tf.data.flow import METHODS
from a2d_tf.data.sources import check
from a2d_tf.data.sources.release import Release

if TYPE_CHECKING:
    from a2d_tf.data.sources.coco import CocoVideos

_RELEASE = flags.DEFINE_string(
    "release",
    None,
    "Folder with videoset.csv, the frames (clips320H/VID.mp4, or pngs320H/VID/00001.png) and the "
    "annotations (Annotations/mat/VID/00001.mat, or a2d_annotation_with_instances/VID/00001.h5).",
)
_ANNOTATIONS = flags.DEFINE_string(
    "annotations",
    None,
    "With --release: folder with a folder of .mat or .h5 annotations per video, to replace those "
    "above, or to choose between two.",
)
_COCO = flags.DEFINE_string(
    "coco", None, "COCO-style JSON of annotations, in place of --release; see docs/own_data.md."
)
_VIDEOS = flags.DEFINE_string(
    "videos",
    None,
    "With --release: text file of the VIDs to use, one a line, such as those downloaded. With "
    "--coco: folder of the videos.",
)
_CHECK = flags.DEFINE_bool(
    "check", False, "Only read everything and report what is missing or broken."
)
_OUTPUT = flags.DEFINE_string("output", None, "Folder for the records.")
_FLOW = flags.DEFINE_enum(
    "flow_method", "dis", METHODS, "Method of optical flow; the authors used tvl1."
)
_WORKERS = flags.DEFINE_integer("workers", 2, "Number of processes that build shards or check.")
_ON_ERROR = flags.DEFINE_enum(
    "on_error",
    "fail",
    convert.ON_ERROR,
    "On a broken item: fail, or skip and report it. With --check: exit status 1, or 0.",
)
_HEIGHT = flags.DEFINE_integer(
    "image_height", 256, "Largest height of the stored frames, which keep their aspect."
)
_WIDTH = flags.DEFINE_integer(
    "image_width", 256, "Largest width of the stored frames, which keep their aspect."
)
_FRAMES = flags.DEFINE_integer("clip_frames", 5, "Frames per clip, odd, centred on the key frame.")
_STRIDE = flags.DEFINE_integer("clip_stride", 1, "Video frames from one clip frame to the next.")
_LABELS = flags.DEFINE_string(
    "labels",
    None,
    "JSON of the label space. By default A2D's; with --coco, that of the annotations' names.",
)
_FOLLOW = flags.DEFINE_bool(
    "follow_links",
    False,
    "Read links that lead out of these folders; only for folders that you trust.",
)
_SHARD = flags.DEFINE_integer("shard_videos", 32, "Videos per shard.")


def open_source() -> Release | CocoVideos:
    """Return the source of annotated videos that the flags name."""
    labels = LabelSpace.from_json(_LABELS.value) if _LABELS.value else None
    if not _COCO.value:
        return Release(
            _RELEASE.value,
            labels or A2D,
            videos=_VIDEOS.value,
            annotations=_ANNOTATIONS.value,
            follow_links=_FOLLOW.value,
            skip_rows=_CHECK.value or _ON_ERROR.value == "skip",
        )
    from a2d_tf.data.sources.coco import CocoVideos

    return CocoVideos(_COCO.value, _VIDEOS.value, labels, _FOLLOW.value)


def main(argv):
    if _COCO.value:
        errors.require(argv, videos=_VIDEOS.value)
        if _RELEASE.value or _ANNOTATIONS.value:
            raise errors.InputError("--coco replaces --release and --annotations; leave out either")
    else:
        errors.require(argv, release=_RELEASE.value)
    if _CHECK.value:
        report = check.check(open_source(), _WORKERS.value)
        print(report.text())
        return 1 if report.problems and _ON_ERROR.value == "fail" else 0
    errors.require(argv, output=_OUTPUT.value)
    settings = convert.ConversionSettings(
        flow_method=_FLOW.value,
        image_height=_HEIGHT.value,
        image_width=_WIDTH.value,
        clip_frames=_FRAMES.value,
        clip_stride=_STRIDE.value,
        shard_videos=_SHARD.value,
    )
    manifest, built = convert.convert(
        open_source(), _OUTPUT.value, settings, _WORKERS.value, on_error=_ON_ERROR.value
    )
    for item in manifest.skipped:
        print(f"skipped {item['item']}: {item['reason']}")
    for item in manifest.mended:
        print(f"mended {item['item']}: {item['note']}")
    for split, counts in manifest.counts.items():
        print(
            f"{split}: {counts['videos']} videos, {counts['records']} clips, "
            f"{counts['instances']} instances"
        )
    total = sum(shard["bytes"] for shard in manifest.files)
    clips = sum(shard["records"] for shard in manifest.files)
    print(
        f"{total / 1e6:.1f} MB, {total / clips / 1e3:.1f} kB per clip; stored as {manifest.sizes}"
    )
    print(manifest.flow_report())
    state = "complete" if built else "already complete, nothing to do"
    print(f"{_OUTPUT.value}: {state}, {len(manifest.skipped)} items skipped")
    return 0


def run() -> None:
    """Run the command line."""
    errors.run(main)


if __name__ == "__main__":
    run()
