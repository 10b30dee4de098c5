"""The instances of a video's frame, and what finds them."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.annotations.tracks.video_tracks import GivenInstances
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data.preparation.motion_stream import MotionStream
from a2d_tf.serving.model_info import ModelInfo
from a2d_tf.video.reading.span import Span

if TYPE_CHECKING:
    import tensorflow as tf

FrameFeatures = dict[str, "tf.Tensor"]
"""The backbones' features of a frame: {name: [1, ...]}; those of the flow are named
`flow_*`.
"""


class RunnerUp(NamedTuple):
    """A label that the network nearly gave an instance.

    Attributes:
      margin: by how much p(actor), or p(action), is below that of the given label.
      code: of the label.
    """

    margin: float
    code: int


@dataclasses.dataclass(frozen=True)
class Instances:
    """The instances of a frame, as the network found them, in pixels of the video.

    Attributes:
      boxes: float32 [N, 4], y1, x1, y2, x2.
      codes: int32 [N], the pair of actor and action; see `LabelSpace`.
      scores: float32 [N], of the pair.
      masks: N RLEs, see `segmentations.encode_mask`; they fill the boxes of instances
        that have none.
      label_map: codes [H, W], in the label space's dtype; 0 is background.
      actor_scores: float32 [N, |X|], p(actor).
      action_scores: float32 [N, |Y|], p(action).
      fields: those of `instance_fields.FIELDS` that the network finds, [N, ...].
      has_mask: bool [N]; None if all have one.
    """

    boxes: np.ndarray
    codes: np.ndarray
    scores: np.ndarray
    masks: list[dict]
    label_map: np.ndarray
    actor_scores: np.ndarray
    action_scores: np.ndarray
    fields: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    has_mask: np.ndarray | None = None

    def runner_up(self, index: int, labels: LabelSpace) -> RunnerUp:
        """Return the label that the network nearly gave an instance.

        It differs from the instance's label in the actor or in the action. If there is
        no other label, it is the instance's own, with a margin of 1.
        """
        code = int(self.codes[index])
        actor, action = labels.indices(code)
        actor_scores = self.actor_scores[index]
        action_scores = self.action_scores[index]
        rivals = []
        for other_action in np.flatnonzero(labels.valid[actor]):
            if other_action != action:
                margin = float(action_scores[action] - action_scores[other_action])
                rivals.append(RunnerUp(margin, int(labels.encode(actor, other_action))))
        for other_actor in range(len(labels.actors)):
            if other_actor != actor:
                valid_scores = np.where(labels.valid[other_actor], action_scores, -1)
                likely_action = np.argmax(valid_scores)
                margin = float(actor_scores[actor] - actor_scores[other_actor])
                other_code = int(labels.encode(other_actor, likely_action))
                rivals.append(RunnerUp(margin, other_code))
        nearest = min(rivals, default=RunnerUp(1.0, code))
        return nearest._replace(margin=max(0.0, nearest.margin))

    def decoded_masks(self) -> np.ndarray:
        """Return the masks as bool [N, H, W]."""
        masks = [rle_tools.decode(mask) for mask in self.masks]
        return np.array(masks, bool).reshape(-1, *self.label_map.shape)


@dataclasses.dataclass(frozen=True)
class GivenAnswer(Instances):
    """The instances of a frame whose boxes are given.

    Attributes:
      tracks: int64 [N], the numbers of their tracks.
    """

    tracks: np.ndarray = dataclasses.field(
        default_factory=lambda: np.zeros(0, np.int64)
    )


class Answer(NamedTuple):
    """A frame of a video, RGB uint8 [H, W, 3], and its instances."""

    image: np.ndarray
    instances: Instances


class GivenFrames(Protocol):
    """The given instances of a video, as of `given_tracks.VideoTracks`."""

    def instances(self, number: int, size: tuple[int, int]) -> GivenInstances:
        """Return those of a frame: its 1-based number, and its (height, width)."""


class Labeller(Protocol):
    """What labels given instances frame by frame, as `box_labeller.BoxLabeller` does.

    Attributes:
      info: what is known of the network.
    """

    info: ModelInfo
    labels: LabelSpace

    def answers(
        self, frames: Iterable[np.ndarray | None], span: Span, given: GivenFrames
    ) -> Generator[Answer, None, None]:
        """Label the instances in the frames of a span, one frame after the other.

        Args:
          frames: as of `streaming.find_instances`.

        Yields:
          answers with a `GivenAnswer`.
        """


class FrameNetwork(Protocol):
    """What computes the features of frames, as `served_frames.ServedFrames` does.

    Attributes:
      info: what is known of the network.
    """

    info: ModelInfo
    labels: LabelSpace

    def features(self, rgb: np.ndarray, flow: np.ndarray) -> FrameFeatures:
        """Compute the features of a frame."""

    def motion_stream(self) -> MotionStream:
        """Return what makes the motion maps of a video, if `info` has 'motion'."""


class Finder(FrameNetwork, Protocol):
    """What finds instances frame by frame, as `predictor.Predictor` does."""

    def instances(
        self,
        clip: Sequence[FrameFeatures],
        size: tuple[int, int],
        motion: Mapping[str, np.ndarray] | None,
    ) -> Instances:
        """Find the instances of a key frame by the features of the frames around it.

        Args:
          motion: its motion maps, if there are any.
        """
