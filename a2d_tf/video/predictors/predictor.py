"""Find the instances in frames by the network of a run or of its SavedModel.

TensorFlow takes seconds to load, so it is imported where it is used: the error for a
mistyped flag does not wait for it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from a2d_tf.core.machine import devices
from a2d_tf.data.instance_fields import FIELDS
from a2d_tf.ops.label_painter import mask_patches
from a2d_tf.serving.signatures import VIDEO_SIGNATURES, FrameSignatures
from a2d_tf.video.frames.feature_network import FrameFeatures
from a2d_tf.video.frames.instances import Instances
from a2d_tf.video.frames.track_settings import TrackSettings
from a2d_tf.video.frames.video_frame import VideoFrame
from a2d_tf.video.predictors.network_predictor import NetworkPredictor
from a2d_tf.video.predictors.served_feature_network import ServedFeatureNetwork
from a2d_tf.video.reading.span import Span
from a2d_tf.video.reading.video_reader import open_video

if TYPE_CHECKING:
    from a2d_tf.runs.loading import Run


class Predictor(ServedFeatureNetwork):
    """An `InstanceFinder` that is a served network.

    Its `answer` is the signature `key_frame`.
    """

    SIGNATURES: ClassVar[FrameSignatures] = VIDEO_SIGNATURES

    @classmethod
    def from_run(cls, run: Run) -> Predictor:
        """Return the predictor of a loaded run."""
        from a2d_tf.serving import exporter

        return cls(*exporter.serve(run))

    def video(
        self,
        path: str | os.PathLike[str],
        *,
        start: float = 0.0,
        end: float | None = None,
        every: int = 1,
        **track_settings: Any,
    ) -> Iterator[VideoFrame]:
        """Predict the frames of a video, one after the other, with tracks.

        Memory does not grow with the video: end the loop when you have seen enough.

        Args:
          path: a video file, a folder of images, or the index of a camera, such as "0".
          start, end: seconds; frames that begin in [start, end) are answered.
          every: N to answer each Nth frame; flow still comes from neighbouring frames.
          **track_settings: `window`, `patience`, `max_tracks`, `min_bout` and
            `merge_gap` of `TrackSettings`.

        Yields:
          a VideoFrame for each answered frame, in order, once the next one is answered.

        Raises:
          InputError: a video or a frame that cannot be read, or a `max_tracks` that
            does not fit the labels.
        """
        reader = open_video(path)
        span = Span.of_seconds(reader, start, end, every)
        settings = TrackSettings(**track_settings)
        yield from NetworkPredictor(self).frames(reader, span, settings)

    def instances(
        self,
        clip: Sequence[FrameFeatures],
        size: tuple[int, int],
        motion: Mapping[str, np.ndarray] | None = None,
    ) -> Instances:
        """Predict the instances of a key frame.

        Args:
          clip: the features of the 2L + 1 frames around it, as `features` returns them.
          size: (height, width) of the native frame.
          motion: the motion maps of the key frame; None if the network reads none.

        Returns:
          the instances in native pixels, by descending p(actor).
        """
        outputs = self._answer_key_frame(clip, size, motion)
        count = outputs["num_detections"]
        boxes = outputs["boxes"][:count]
        patches = mask_patches(outputs["masks"][:count], boxes, *size)
        has_mask = None
        if self.info.get("boxes_only"):
            has_mask = np.zeros(count, bool)
        fields = {}
        for field in FIELDS:
            if field.name in outputs:
                fields[field.name] = outputs[field.name][:count]
        return Instances(
            boxes=boxes,
            codes=outputs["code"][:count],
            scores=outputs["score"][:count],
            masks=[patch.rle(*size) for patch in patches],
            label_map=outputs["label_map"],
            actor_scores=outputs["actor_scores"][:count],
            action_scores=outputs["action_scores"][:count],
            fields=fields,
            has_mask=has_mask,
        )


def load(
    source: str,
    path: str,
    *,
    checkpoint: str,
    device: str,
    settings: dict[str, Any],
    actors: Sequence[str] = (),
) -> Predictor:
    """Load the predictor that the flags of a command name, and announce the device.

    Args:
      source: flag of the model, such as "saved_model" or "init_rgb".
      path: value of the flag.
      checkpoint: "last" or "best" of a run.
      device: see `devices.prepare`.
      settings: {name: value} of the settings of inference and computing that the user
        set; a SavedModel takes none.
      actors: classes of "init_rgb", see `coco_detector.load`.

    Raises:
      InputError: there is no such model, it is damaged, or the settings are not for it.
    """
    gpus = devices.prepare(device)
    if source == "init_rgb":
        from a2d_tf.runs import coco_detector

        predictor = Predictor.from_run(coco_detector.load(path, settings, actors))
    else:
        predictor = Predictor.load(path, checkpoint=checkpoint, **settings)
    devices.announce(gpus, predictor.info["precision"])
    return predictor
