"""Label boxes that are given in the frames of a video, by a run or its SavedModel."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.annotations.video_tracks import GivenInstances
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data.instance_fields import FIELDS
from a2d_tf.serving.model_info import ModelInfo
from a2d_tf.serving.signatures import BOX_SIGNATURES
from a2d_tf.video import streaming
from a2d_tf.video.instances import (
    Answer,
    FrameFeatures,
    GivenAnswer,
    GivenFrames,
)
from a2d_tf.video.served_frames import (
    ServedFrames,
    key_frame_inputs,
    load_functions,
)
from a2d_tf.video.span import Span
from a2d_tf.video.stream_clips import Clip

_MASK_SIDE = 28  # of a mask that fills its box


class BoxLabeller(ServedFrames):
    """A network that says what given instances are and do.

    Args:
      boxes: the network's function, which is called by keyword; see
        `serving.signatures`. Others as of `ServedFrames`.
    """

    def __init__(
        self,
        frame: Callable,
        boxes: Callable,
        info: ModelInfo,
        block: Callable | None = None,
    ) -> None:
        super().__init__(frame, info, block)
        self._boxes = boxes

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], *, checkpoint: str = "last", **settings: Any
    ) -> BoxLabeller:
        """Load an exported SavedModel or a run folder; see `Predictor.load`.

        Raises:
          InputError: as there, or an export of an older version.
        """
        return cls(*load_functions(path, checkpoint, settings, BOX_SIGNATURES))

    def answers(
        self, frames: Iterable[np.ndarray | None], span: Span, given: GivenFrames
    ) -> Generator[Answer, None, None]:
        """Label the instances in the frames of a span; see `Labeller.answers`."""

        def answer(clip: Clip) -> GivenAnswer:
            instances = given.instances(clip.key + 1, clip.size)
            return self.label(instances, clip.features, clip.size, clip.motion)

        return streaming.answer_clips(self, answer, frames, span)

    def label(
        self,
        given: GivenInstances,
        clip: Sequence[FrameFeatures],
        size: tuple[int, int],
        motion: Mapping[str, np.ndarray] | None = None,
    ) -> GivenAnswer:
        """Label the given instances of a key frame.

        Args:
          given: N instances.
          clip: the features of the 2L + 1 frames around it, as `features` returns them.
          size: (height, width) of the native frame.
          motion: its motion maps, as `motion_stream` makes them; None without them.

        Returns:
          the N instances in the same order.
        """
        import tensorflow as tf

        count = len(given.boxes)
        if not count:
            return no_instances(self.labels, size)
        outputs = self._boxes(
            boxes=tf.constant(given.boxes[None]),
            num_boxes=tf.constant([count], tf.int32),
            **key_frame_inputs(clip, size, motion),
        )
        answer = {name: values.numpy()[0] for name, values in outputs.items()}
        fields = {}
        for field in FIELDS:
            if field.name in answer:
                fields[field.name] = answer[field.name]
        masks = complete_masks(given, answer["masks"], size)
        return labelled(
            given,
            masks,
            self.labels,
            actor_scores=answer["actor_scores"],
            action_scores=answer["action_scores"],
            draws_masks=not self.info.get("boxes_only"),
            fields=fields,
        )


def no_instances(labels: LabelSpace, size: tuple[int, int]) -> GivenAnswer:
    """Return the answer to a frame (height, width) without instances."""
    return GivenAnswer(
        boxes=np.zeros((0, 4), np.float32),
        codes=np.zeros(0, np.int32),
        scores=np.zeros(0, np.float32),
        masks=[],
        label_map=np.zeros(size, labels.code_dtype),
        actor_scores=np.zeros((0, len(labels.actors)), np.float32),
        action_scores=np.zeros((0, len(labels.actions)), np.float32),
        tracks=np.zeros(0, np.int64),
    )


def complete_masks(
    given: GivenInstances, probabilities: np.ndarray, size: tuple[int, int]
) -> list[dict]:
    """Return the given masks, and where there is none what lies in the box: N RLEs.

    Args:
      probabilities: float32 [N, m, m], of the pixels inside the boxes.
      size: (height, width) of the frame.
    """
    from a2d_tf.ops.label_painter import mask_patches

    masks = []
    patches = mask_patches(probabilities, given.boxes, *size)
    for given_mask, patch in zip(given.masks, patches):
        masks.append(given_mask or patch.rle(*size))
    return masks


def fill_boxes(given: GivenInstances, size: tuple[int, int]) -> list[dict]:
    """Return the given masks, and where there is none the whole box: N RLEs.

    Args:
      size: (height, width) of the frame.
    """
    filled = np.ones((len(given.boxes), _MASK_SIDE, _MASK_SIDE), np.float32)
    return complete_masks(given, filled, size)


def labelled(
    given: GivenInstances,
    masks: Sequence[dict],
    labels: LabelSpace,
    *,
    actor_scores: np.ndarray,
    action_scores: np.ndarray,
    draws_masks: bool,
    fields: dict[str, np.ndarray] | None = None,
) -> GivenAnswer:
    """Return the answer to a frame whose instances have scores of labels.

    The actor is the given one, else the likeliest; the action is the likeliest valid
    one. The score is that of this pair, whoever named the actor. A detector's score of
    a box goes into p(actor) by its root, which ranks instances as well as the score
    itself, or better (docs/real_video.md).

    Args:
      given: N instances, at least one.
      masks: N RLEs.
      actor_scores: [N, |X|], p(actor).
      action_scores: [N, |Y|], p(action).
      draws_masks: whether the network has drawn the masks that are not given; else they
        fill boxes.
      fields: as of `Instances`.
    """
    rows = np.arange(len(given.boxes))
    has_mask = None
    if not draws_masks:
        has_mask = np.array([mask is not None for mask in given.masks])
    if given.scores is not None:
        actor_scores = actor_scores * np.sqrt(given.scores)[:, None]
    likeliest = actor_scores.argmax(axis=1)
    actors = np.where(given.actors >= 0, given.actors, likeliest)
    actions = np.where(labels.valid[actors], action_scores, -1.0).argmax(axis=1)
    codes = labels.encode(actors, actions).astype(np.int32)
    scores = actor_scores[rows, actors] * action_scores[rows, actions]
    label_map: np.ndarray = np.zeros(masks[0]["size"], labels.code_dtype)
    for i in np.argsort(scores, kind="stable"):  # the best one is on top
        label_map[rle_tools.decode(masks[i]).astype(bool)] = codes[i]
    return GivenAnswer(
        boxes=given.boxes,
        codes=codes,
        scores=scores,
        masks=list(masks),
        label_map=label_map,
        actor_scores=actor_scores,
        action_scores=action_scores,
        fields=fields or {},
        has_mask=has_mask,
        tracks=given.tracks,
    )
