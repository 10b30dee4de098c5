"""Find the instances in frames by the network of a run or of an export.

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
    """A network of a run or an export that finds the instances in frames.

    `load` and `from_run` make one. To predict a whole video, call `video`.
    """

    SIGNATURES: ClassVar[FrameSignatures] = VIDEO_SIGNATURES
    """The names of the signatures for features, instances and motion maps."""

    @classmethod
    def from_run(cls, run: Run) -> Predictor:
        """Make the predictor of a loaded run, without exporting the network.

        Args:
          run: the run with its network and weights.
        """
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
          path: path of a video file or of a folder of images, or the index of a camera,
            such as "0".
          start: time from which frames are answered, in seconds.
          end: time before which answered frames begin, in seconds; None for the end of
            the video.
          every: N to predict only each Nth frame; flow still comes from neighbouring
            frames.
          **track_settings: `window`, `patience`, `max_tracks`, `min_bout` and
            `merge_gap` of `TrackSettings`.

        Yields:
          a VideoFrame for each answered frame, in order, once the next one is answered.

        Raises:
          InputError: the video or a frame cannot be read, or `max_tracks` does not fit
            the labels.
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
        """Find the instances in a key frame by the features of its clip.

        Args:
          clip: the features of the 2L + 1 frames around the key frame, in order, as
            `features` returns them.
          size: (height, width) of the frame in the video, pixels.
          motion: motion maps of the key frame, the motion in each part of it: {name:
            float32 [h, w, C]}; None if the network reads none.

        Returns:
          the instances in pixels of the video, by descending p(actor).
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
    """Load the model that the flags of a command name; print the device that computes.

    Args:
      source: name of the flag of the model, such as "saved_model" or "init_rgb".
      path: value of that flag.
      checkpoint: weights of a run, "last" or "best".
      device: 'cpu', 'gpu' or 'auto', see `devices.prepare`.
      settings: {name: value} of the settings of inference and computing that the user
        set; a SavedModel takes none.
      actors: the words of --actors, CLASS or NAME=CLASS each, for "init_rgb": the
        classes of COCO to find. Without words, all classes.

    Raises:
      InputError: there is no such model, it is damaged, or it cannot take the settings.
    """
    gpus = devices.prepare(device)
    if source == "init_rgb":
        from a2d_tf.runs import coco_detector

        predictor = Predictor.from_run(coco_detector.load(path, settings, actors))
    else:
        predictor = Predictor.load(path, checkpoint=checkpoint, **settings)
    devices.announce(gpus, predictor.info["precision"])
    return predictor
