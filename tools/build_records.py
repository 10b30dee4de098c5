"""Turn an A2D release into TFRecords of clips.

  python tools/build_records.py --release A2D/Release --output records

Interrupted and run again, it goes on from there. Records hold frames, flow and truth; their form
is in a2d_tf/data/records.py.
"""

import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # inherited by the workers

from absl import flags

from a2d_tf import errors
from a2d_tf.data import convert
from a2d_tf.data.flow import METHODS
from a2d_tf.labels import A2D, LabelSpace

_RELEASE = flags.DEFINE_string(
    "release", None, "Folder with videoset.csv, clips320H and Annotations."
)
_OUTPUT = flags.DEFINE_string("output", None, "Folder for the records.")
_FLOW = flags.DEFINE_enum("flow_method", "dis", METHODS, "Optical flow; the paper's is tvl1.")
_WORKERS = flags.DEFINE_integer("workers", 2, "Processes that build shards.")
_ON_ERROR = flags.DEFINE_enum(
    "on_error", "fail", convert.ON_ERROR, "End at a broken item, or skip and report it."
)
_HEIGHT = flags.DEFINE_integer("image_height", 256, "Frames are fitted into this height ...")
_WIDTH = flags.DEFINE_integer("image_width", 256, "... and this width, up or down, aspect kept.")
_FRAMES = flags.DEFINE_integer("clip_frames", 5, "Frames per clip, odd: the middle is the key.")
_STRIDE = flags.DEFINE_integer("clip_stride", 1, "Source frames from one clip frame to the next.")
_LABELS = flags.DEFINE_string("labels", None, "JSON of the label space, if it is not A2D's.")
_SHARD = flags.DEFINE_integer("shard_videos", 32, "Videos per shard.")


def main(argv):
    errors.require(argv, release=_RELEASE.value, output=_OUTPUT.value)
    settings = convert.Settings(
        flow_method=_FLOW.value,
        image_height=_HEIGHT.value,
        image_width=_WIDTH.value,
        clip_frames=_FRAMES.value,
        clip_stride=_STRIDE.value,
        shard_videos=_SHARD.value,
        label_space=LabelSpace.from_json(_LABELS.value) if _LABELS.value else A2D,
    )
    manifest, built = convert.convert(
        _RELEASE.value, _OUTPUT.value, settings, _WORKERS.value, _ON_ERROR.value
    )
    for item in manifest.skipped:
        print(f"skipped {item['item']}: {item['reason']}")
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
    state = "complete" if built else "already complete, nothing to do"
    print(f"{_OUTPUT.value}: {state}, {len(manifest.skipped)} items skipped")


if __name__ == "__main__":
    errors.run(main)
