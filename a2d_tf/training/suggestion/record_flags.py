"""Flags of a2d records that suggestions depend on: sides of frames, and motion maps.

No TensorFlow here, since `a2d start` leaves it to the commands it runs.
"""

from __future__ import annotations

from typing import Any

from a2d_tf.data.record_folder.manifest import Manifest

MOST_SIDE = 448
"""Most pixels of a side of stored frames, where the videos are few."""


def motion_flags(manifest: Manifest) -> dict[str, Any]:
    """Return the flags of a2d records with which records got their motion maps.

    Motion maps are features of the motion in the frames around each key frame. The same
    flags of a2d train make a network read them.

    Args:
      manifest: the manifest of the records.

    Returns:
      {flag: value} of `action_backbone` and `flow_histograms`; {} if the records have
      no motion maps.
    """
    flags: dict[str, Any] = {}
    motion = manifest.motion
    if motion is None:
        return flags
    if motion.action_backbone:
        flags["action_backbone"] = motion.action_backbone
    if motion.flow_histograms:
        flags["flow_histograms"] = True
    return flags
