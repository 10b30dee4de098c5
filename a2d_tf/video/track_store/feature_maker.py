"""Compute the features of given tracks' instances, as a network would read them."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from a2d_tf.annotations.tracks.video_tracks import VideoTracks
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data.preparation.motion_stream import MotionStream
from a2d_tf.ops import canvas as canvas_ops
from a2d_tf.ops.motion_maps import frame_size
from a2d_tf.pretrained.action_features import ActionFeatures
from a2d_tf.runs.loading import Run
from a2d_tf.serving import model_info
from a2d_tf.training import pooled_features
from a2d_tf.training.given_tracks.track_features import TrackFeatures
from a2d_tf.video.frames.answers import clips_of_span, needed_frames
from a2d_tf.video.frames.clips import Clip
from a2d_tf.video.frames.feature_network import FrameFeatures
from a2d_tf.video.reading.reader import Reader
from a2d_tf.video.reading.span import Span


class FeatureMaker:
    """A maker of the features of given instances, from which labels are fitted.

    It passes frames on as pixels in place of features, because the features that it
    pools depend on the boxes.

    Args:
      run: the network that computes the features, as `LabellingNetwork.build` returns
        it.

    Attributes:
      info: the description of the network, as in `a2d_tf.json`.
      labels: the label space of the network.
    """

    def __init__(self, run: Run) -> None:
        self._network = run.network
        self._pool = pooled_features.make_pooling(run.network)
        self._block_function = None
        if run.motion is not None and run.motion.action_backbone:
            self._block_function = ActionFeatures.get(run.motion.action_backbone)
        self.info = model_info.of_run(run)
        self.labels: LabelSpace = run.network.labels

    def features(self, rgb: np.ndarray, flow: np.ndarray) -> FrameFeatures:
        """Place a frame on the network's canvas, and return the pixels as its features.

        The canvas is an image of fixed size, in which the network sees each frame.

        Args:
          rgb: the frame, RGB uint8 [h, w, 3], scaled as the frames in the records.
          flow: float32 [h, w, 2], which no feature depends on.

        Returns:
          {"rgb": the canvas, "inside": [1, 2], (height, width) of the frame in it}.
        """
        placed = canvas_ops.place(
            tf.constant(rgb[None]), tf.constant(flow[None]), self._network.image_size
        )
        return {"rgb": placed.rgb, "inside": placed.size[None]}

    def motion_stream(self) -> MotionStream:
        """Return a new stream that computes the motion maps of one video."""
        return MotionStream(
            self._block_function, self.info["motion"]["flow_histograms"]
        )

    def make(
        self, reader: Reader, tracks: VideoTracks, every: int, digest: str
    ) -> TrackFeatures:
        """Compute the features of the instances in every Nth frame of a video.

        Args:
          reader: the reader of the video, which has just been opened.
          tracks: the given tracks of the video.
          every: N to compute the features in each Nth frame.
          digest: digest of the video, its tracks and the settings, to be kept with the
            features: by it a later call sees whether they are up to date.

        Returns:
          the features of all instances, by frame and track.

        Raises:
          InputError: a frame cannot be read, a shape lies outside the frame, or a track
            goes on after the end of the video.
        """
        numbers: list[int] = []
        numbers_of_tracks: list[np.ndarray] = []
        parts: dict[str, list[np.ndarray]] = {}

        span = Span(every=every)
        frames = needed_frames(reader, span, self.info)
        for clip in clips_of_span(self, frames, span):
            number = clip.key + 1
            given = tracks.instances(number, clip.size)
            if not len(given.boxes):
                continue
            order = np.argsort(given.tracks)
            numbers += [number] * len(order)
            numbers_of_tracks.append(given.tracks[order])
            for name, values in self._pooled(clip, given.boxes[order]).items():
                parts.setdefault(name, []).append(values)
        if reader.length is not None:
            tracks.check_length(reader.length)
        groups = {name: np.concatenate(values) for name, values in parts.items()}
        return TrackFeatures(
            digest=digest,
            seconds=every / reader.fps,
            numbers=np.array(numbers, np.int32),
            tracks=np.concatenate([np.zeros(0, np.int64), *numbers_of_tracks]),
            groups=groups,
        )

    def _pooled(self, clip: Clip, boxes: np.ndarray) -> dict[str, np.ndarray]:
        """Return the features of boxes [N, 4] of a clip's key frame, float16."""
        (frame,) = clip.features
        inside = frame["inside"]
        size = tf.constant(clip.size, tf.float32)
        ratio = size / tf.cast(inside[0], tf.float32)
        batch = {
            "rgb": frame["rgb"][:, None],
            "size": inside,
            "motion_size": tf.constant([frame_size(*clip.size)], tf.int32),
        }
        assert clip.motion is not None
        for name, values in clip.motion.items():
            batch[name] = tf.constant(values[None])
        # A few shapes of boxes only, each of which is traced.
        padded = np.zeros((1, -(-len(boxes) // 4) * 4, 4), np.float32)
        padded[0, : len(boxes)] = boxes
        pooled = self._pool(batch, tf.constant(padded) / tf.tile(ratio, [2]))
        return {
            name: values.numpy()[0, : len(boxes)].astype(np.float16)
            for name, values in pooled.items()
        }
