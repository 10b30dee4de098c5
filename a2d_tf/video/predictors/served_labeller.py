"""Label boxes by the network of a run or of an export."""

from __future__ import annotations

from typing import ClassVar

from a2d_tf.annotations.tracks.video_tracks import GivenInstances
from a2d_tf.data.instance_fields import FIELDS
from a2d_tf.serving.signatures import BOX_SIGNATURES, FrameSignatures
from a2d_tf.video.frames.clips import Clip
from a2d_tf.video.frames.instances import LabelledBoxes
from a2d_tf.video.predictors.labelled_boxes import (
    complete_masks,
    label_boxes,
    no_instances,
)
from a2d_tf.video.predictors.served_feature_network import ServedFeatureNetwork


class ServedLabeller(ServedFeatureNetwork):
    """A labeller of boxes that is the network of a run or an export.

    `load` makes one from a folder.
    """

    SIGNATURES: ClassVar[FrameSignatures] = BOX_SIGNATURES
    """The names of the signatures for features, labels of boxes and motion maps."""

    def label(self, instances: GivenInstances, clip: Clip) -> LabelledBoxes:
        """Label the given instances of a frame by the network's heads.

        Args:
          instances: the N instances, with boxes in pixels of the video.
          clip: the clip around the frame, with its features.

        Returns:
          the N instances in the same order. The network draws a mask for an instance
          without one; if it has no mask head, that mask is the filled box.
        """
        import tensorflow as tf

        count = len(instances.boxes)
        if not count:
            return no_instances(self.labels, clip.size)
        outputs = self._answer_key_frame(
            clip.features,
            clip.size,
            clip.motion,
            boxes=tf.constant(instances.boxes[None]),
            num_boxes=tf.constant([count], tf.int32),
        )
        fields = {}
        for field in FIELDS:
            if field.name in outputs:
                fields[field.name] = outputs[field.name]
        masks = complete_masks(instances, outputs["masks"], clip.size)
        return label_boxes(
            instances,
            masks,
            self.labels,
            actor_scores=outputs["actor_scores"],
            action_scores=outputs["action_scores"],
            draws_masks=not self.info.get("boxes_only"),
            fields=fields,
        )
