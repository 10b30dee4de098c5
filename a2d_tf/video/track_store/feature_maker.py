"""Make the features of the given tracks of a video, as a network would read them."""

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
    """Makes the features of given instances; a `FeatureNetwork` that keeps the pixels.

    Args:
      run: of `LabellingNetwork.build`.
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
        """Place a frame on the canvas; what is computed of it depends on the boxes."""
        placed = canvas_ops.place(
            tf.constant(rgb[None]), tf.constant(flow[None]), self._network.image_size
        )
        return {"rgb": placed.rgb, "inside": placed.size[None]}

    def motion_stream(self) -> MotionStream:
        """See `FeatureNetwork`."""
        return MotionStream(
            self._block_function, self.info["motion"]["flow_histograms"]
        )

    def make(
        self, reader: Reader, tracks: VideoTracks, every: int, digest: str
    ) -> TrackFeatures:
        """Make the features of the instances of every Nth frame.

        Args:
          digest: of what they depend on, to be kept with them.

        Raises:
          InputError: a frame cannot be read, or a shape lies outside the frame.
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
