"""Label boxes that are given in the frames of a video, by a run or its SavedModel."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import ClassVar

import numpy as np

from a2d_tf.annotations.tracks.video_tracks import GivenInstances
from a2d_tf.data.instance_fields import FIELDS
from a2d_tf.serving.signatures import BOX_SIGNATURES, FrameSignatures
from a2d_tf.video.frames import streaming
from a2d_tf.video.frames.instances import Answer, GivenAnswer, GivenFrames
from a2d_tf.video.frames.stream_clips import Clip
from a2d_tf.video.predictors.given_answer import complete_masks, labelled, no_instances
from a2d_tf.video.predictors.served_frames import ServedFrames
from a2d_tf.video.reading.span import Span


class BoxLabeller(ServedFrames):
    """A network that says what given instances are and do.

    Its `answer` is the signature `boxes`.
    """

    SIGNATURES: ClassVar[FrameSignatures] = BOX_SIGNATURES

    def answers(
        self, frames: Iterable[np.ndarray | None], span: Span, given: GivenFrames
    ) -> Generator[Answer, None, None]:
        """Label the instances in the frames of a span; see `Labeller.answers`."""

        def answer(clip: Clip) -> GivenAnswer:
            instances = given.instances(clip.key + 1, clip.size)
            return self.label(instances, clip)

        return streaming.answer_clips(self, answer, frames, span)

    def label(self, given: GivenInstances, clip: Clip) -> GivenAnswer:
        """Label the N given instances of a clip's key frame.

        Returns:
          the N instances in the same order.
        """
        import tensorflow as tf

        count = len(given.boxes)
        if not count:
            return no_instances(self.labels, clip.size)
        outputs = self._answer_key_frame(
            clip.features,
            clip.size,
            clip.motion,
            boxes=tf.constant(given.boxes[None]),
            num_boxes=tf.constant([count], tf.int32),
        )
        fields = {}
        for field in FIELDS:
            if field.name in outputs:
                fields[field.name] = outputs[field.name]
        masks = complete_masks(given, outputs["masks"], clip.size)
        return labelled(
            given,
            masks,
            self.labels,
            actor_scores=outputs["actor_scores"],
            action_scores=outputs["action_scores"],
            draws_masks=not self.info.get("boxes_only"),
            fields=fields,
        )
