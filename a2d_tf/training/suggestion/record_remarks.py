"""Remarks beside suggested settings: advice about the records that no flag can give."""

from __future__ import annotations

import numpy as np

from a2d_tf.core.errors import join_names
from a2d_tf.data.record_folder.inspection import Contents
from a2d_tf.data.record_folder.manifest import Manifest
from a2d_tf.training.suggestion.canvas_size import largest_size
from a2d_tf.training.suggestion.presets import SINGLE_FRAME, Preset

_SMALL_SIDE = 8  # pixels below which the smallest anchors hardly meet a box
_SMALL_SHARE = 0.1  # of the boxes, from which on small boxes are remarked
_LARGER = 1.2  # native sides over stored ones, from which on frames are larger
# Annotated frames per pair with which the mini A2D learned most (docs/experiments.md).
_ENOUGH = 12


def most_individuals(contents: Contents) -> int:
    """Return the largest number of individuals in an annotated frame of any split.

    Args:
      contents: statistics of the records.
    """
    numbers: list[int] = []
    for summary in contents.summaries.values():
        numbers += summary.per_clip
    return max(numbers)


def remarks(manifest: Manifest, contents: Contents, preset: Preset) -> list[str]:
    """Return remarks for the user on the records and the annotations.

    They say whether larger frames would help, whether there is a test split, how many
    individuals a frame has at most, and whether the annotated frames are likely to be
    enough.

    Args:
      manifest: the manifest of the records.
      contents: statistics of the records.
      preset: the preset that the training starts from.

    Returns:
      a sentence or clause for each remark.
    """
    lines = []
    size = _remark_on_size(manifest, contents, preset)
    if size:
        lines.append(size)
    if "test" not in contents.summaries:
        lines.append("no test split: the results cannot be evaluated")
    most = most_individuals(contents)
    lines.append(
        f"most individuals in a frame: {most}, so a2d start predicts"
        f" --max_tracks={most}"
    )
    lines.append(_remark_on_number(manifest, contents))
    return lines


def _remark_on_size(
    manifest: Manifest, contents: Contents, preset: Preset
) -> str | None:
    """Return what larger frames would improve, or None."""
    height = manifest.image_height
    width = manifest.image_width
    ratios = largest_size(manifest.native_sizes) / (height, width)
    if not any(ratios > _LARGER):
        return None
    again = (
        "build the records again with --image_height and --image_width above"
        f" {height}x{width}"
    )
    small_share = np.mean(contents.boxes.sides() < _SMALL_SIDE)
    if small_share >= _SMALL_SHARE:
        return (
            f"{100 * small_share:.0f} % of the boxes have sides below {_SMALL_SIDE}"
            f" pixels: {again}"
        )
    if preset.single_frame_reason and height * width <= SINGLE_FRAME.most_pixels / 2:
        return f"larger frames show more to ImageNet's features: {again}"
    return None


def _remark_on_number(manifest: Manifest, contents: Contents) -> str:
    """Return whether the annotated frames are likely to be enough."""
    train = contents.summaries["train"]
    pairs = len(manifest.label_space.codes)
    enough = _ENOUGH * pairs
    in_one_video = []
    for code, videos in sorted(train.pair_videos.items()):
        if len(videos) < 2:
            in_one_video.append(manifest.label_space.name(code))
    remedies = []
    if train.clips < enough:
        remedies.append(f"about {enough} frames")
    if in_one_video:
        remedies.append(f"further videos of {join_names(in_one_video, 5)}")
    expectation = "enough for a first result on videos like these"
    if remedies:
        expectation = (
            "likely to overfit these videos, and find less in others; annotate"
            f" {' and '.join(remedies)}"
        )
    return f"{train.clips} annotated frames to train {pairs} pairs: {expectation}"
