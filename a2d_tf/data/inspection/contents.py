"""What the settings of a run depend on in its records, gathered in one pass."""

from __future__ import annotations

import dataclasses

from a2d_tf.core.errors import InputError
from a2d_tf.data.inspection import motion, reading
from a2d_tf.data.inspection.anchor_recall import Boxes
from a2d_tf.data.inspection.input_scale import InputScale
from a2d_tf.data.inspection.summary import Summary
from a2d_tf.data.manifest import Manifest


@dataclasses.dataclass
class Contents:
    """Boxes, motion and counts of records.

    Attributes:
      boxes: those of the training split, on the canvas.
      inputs: RGB and flow of the training split's key frames, flow in pixels of the canvas.
      speeds: of the training split's instances, pixels of the canvas a frame; without those on the
        first frame of a video, which has no flow.
      summaries: {split: Summary} of the splits that there are.
    """

    boxes: Boxes
    inputs: InputScale
    speeds: list[float]
    summaries: dict[str, Summary]

    @property
    def clips(self) -> int:
        """Number of training clips."""
        return sum(self.summaries["train"].per_clip.values())


def gather(manifest: Manifest, canvas: tuple[int, int]) -> Contents:
    """Read the records; `canvas` is the network's (height, width).

    Raises:
      InputError: no training split, or none with an instance; or a damaged shard.
    """
    contents = Contents(
        Boxes(canvas), InputScale(), [], {split: Summary() for split in manifest.splits}
    )
    shards = [("train", shard) for shard in manifest.shards("train")]
    for _, fields, truth in reading.read(shards, decode=True, frames=1):
        contents.summaries["train"].add(truth)
        contents.boxes.add(truth)
        scale = min(canvas[0] / truth.size[0], canvas[1] / truth.size[1])
        flow = fields["flow"][0] * scale
        contents.inputs.add(fields["rgb"][0], flow)
        if truth.frame > 1:
            contents.speeds += motion.speeds(flow, fields["masks"])
    if not contents.summaries["train"].areas:
        raise InputError(
            f"{manifest.directory}: no instance in the training split, so there is nothing to "
            "learn; annotate some, and build the records again"
        )
    if "test" in manifest.splits:
        shards = [("test", shard) for shard in manifest.shards("test")]
        for _, _, truth in reading.read(shards):
            contents.summaries["test"].add(truth)
    return contents
