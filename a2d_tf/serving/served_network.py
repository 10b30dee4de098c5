"""The served network: frames of any size in, answers in their pixels out.

Signatures for a video, frame by frame; `FrameGraphs` has their graphs:

    frame        a frame -> the features that the backbones compute of it
    key_frame    the features of 2L + 1 frames -> the answer
    boxes        the same features, and boxes -> the labels of these boxes
    block        a block of frames -> the motion maps of an action backbone
    histograms   flow -> the motion map of flow histograms

Signatures for a whole clip, which call `frame` and `key_frame`, so that every way
gives the same answer:

    serving_default   a clip of pixels -> the answer
    encoded           a clip of encoded images -> the answer
    stream            the next frame and a state -> the next answer and state

`block` and `histograms` exist only if the network reads these maps. A network that
reads motion maps has no `stream`: its state would be a block of frames.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import tensorflow as tf

from a2d_tf.core.settings.config import InferenceConfig
from a2d_tf.model.network import Network
from a2d_tf.ops import canvas as canvas_ops
from a2d_tf.ops.motion_maps import BLOCK, FLOW_HISTOGRAMS
from a2d_tf.serving import motion_graphs
from a2d_tf.serving.folding import fold_norms
from a2d_tf.serving.frame_graphs import NO_MOTION, FrameGraphs, shape_checks
from a2d_tf.serving.signatures import SERVING_DEFAULT


class ServedNetwork(tf.Module):
    """A `tf.Module` with a `tf.function` for each signature of a network.

    Frames are resized and padded on the way in; answers are in pixels of the frames.
    Batch norms are folded into kernels (see `fold_norms`). `descriptions` has the
    shapes of all inputs and outputs.

    Args:
      network: the network to serve; later changes of its weights have no effect here.
      settings: settings of inference; its `score_threshold` is a number from 0 to 1,
        not the -1 that stands for the run's own.
      stride: number of source frames from one frame of a clip to the next, for
        `stream`.

    Attributes:
      weights: all variables.
      serve: (rgb, flow) of clips -> the outputs for their middle frames. It fails with
        a clear message on a clip of fewer than 2L + 1 frames, or flow of another shape
        than the frames.
      encoded: (JPEGs or PNGs, flow) of clips -> the same outputs.
      frame: (rgb, flow) of frames -> the features that `key_frame` takes of them.
      key_frame: the features of 2L + 1 frames, each [B, 2L + 1, ...], the size to
        answer in, and a dict of motion maps, empty if the network reads none -> the
        outputs.
      boxes: likewise with given boxes, which are labelled.
      block: a block of frames -> motion maps of the action backbone; None without an
        action backbone.
      histograms: flow -> motion maps of flow histograms; None if the network reads
        none.
      stream: the next frame and a state -> the outputs for an earlier frame, and the
        new state, whose tensors are [B, 2 L stride, ...]; None if the network reads
        motion maps.
    """

    def __init__(
        self, network: Network, settings: InferenceConfig, stride: int = 1
    ) -> None:
        super().__init__(name="a2d_tf")
        network = fold_norms(network)
        # The weights alone, not the Keras models: those would be saved a second time,
        # as layers.
        self.weights = network.variables
        self._clip_frames = network.model_config.frames
        self._stride = stride
        motion_specs = motion_graphs.input_specs(network)
        self._reads_motion = bool(motion_specs)

        graphs = FrameGraphs(network, settings)
        self._motion_of_clips = graphs.motion_of_clips
        frame_specs = [_spec("rgb", [None, None, 3], tf.uint8), _flow_spec([])]
        self.frame = tf.function(graphs.frame, frame_specs)
        features = self.frame.get_concrete_function().structured_outputs
        clip_features = _stacked(features, self._clip_frames)
        size = tf.TensorSpec([2], tf.int32, "size")
        self.key_frame = tf.function(
            graphs.key_frame, [clip_features, size, motion_specs]
        )
        box_specs = [_spec("boxes", [None, 4]), _spec("num_boxes", [], tf.int32)]
        self.boxes = tf.function(
            graphs.boxes, [clip_features, size, *box_specs, motion_specs]
        )
        clip_rgb = _spec("rgb", [None, None, None, 3], tf.uint8)
        self.serve = tf.function(self._serve, [clip_rgb, _flow_spec([None])])
        images = _spec("images", [None], tf.string)
        self.encoded = tf.function(self._encoded, [images, _flow_spec([None])])
        self.block = None
        if network.action_backbone is not None:
            block_rgb = _spec("rgb", [BLOCK, None, None, 3], tf.uint8)
            self.block = tf.function(graphs.block, [block_rgb])
        self.histograms = None
        if FLOW_HISTOGRAMS.name in motion_specs:
            self.histograms = tf.function(motion_graphs.histograms, [_flow_spec([])])
        self.stream = None
        if not motion_specs:
            state = _stacked(features, 2 * self._reach, prefix="state_")
            state["state_count"] = _spec("state_count", [], tf.int32)
            self.stream = tf.function(self._stream, [*frame_specs, size, state])

    def signatures(
        self, names: Collection[str] | None = None
    ) -> dict[str, tf.types.experimental.ConcreteFunction]:
        """Return the functions that a SavedModel stores.

        Args:
          names: names of the signatures that are wanted; None for all that the network
            has.

        Returns:
          {name of a signature: concrete function}.
        """
        functions = {
            SERVING_DEFAULT: self.serve,
            "encoded": self.encoded,
            "boxes": self.boxes,
            "stream": self.stream,
            "histograms": self.histograms,
            "frame": self.frame,
            "key_frame": self.key_frame,
            "block": self.block,
        }
        signatures = {}
        for name, function in functions.items():
            is_wanted = names is None or name in names
            if function is not None and is_wanted:
                signatures[name] = function.get_concrete_function()
        return signatures

    @property
    def _reach(self) -> int:
        """Frames of the video on either side that a key frame's answer depends on."""
        return self._clip_frames // 2 * self._stride

    def _serve(self, rgb: tf.Tensor, flow: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the outputs for the key frames of clips; see `descriptions`."""
        clip_frames = self._clip_frames
        length, height, width = tf.unstack(tf.shape(rgb)[1:4])
        message = (
            f"a clip needs at least {clip_frames} frames, the network's temporal field"
        )
        long_enough = tf.debugging.assert_greater_equal(length, clip_frames, message)
        first = length // 2 - clip_frames // 2
        motion = NO_MOTION
        with tf.control_dependencies([long_enough, *shape_checks(rgb, flow)]):
            if self._reads_motion:
                motion = self._motion_of_clips(rgb, flow)
            rgb = rgb[:, first : first + clip_frames]
            flow = flow[:, first : first + clip_frames]
        # Time is folded into the batch.
        rgb = tf.reshape(rgb, [-1, height, width, 3])
        flow = tf.reshape(flow, [-1, height, width, 2])
        frames = {}
        for name, features in self.frame(rgb, flow).items():
            frames[name] = tf.reshape(features, [-1, clip_frames, *features.shape[1:]])
        return self.key_frame(frames, tf.stack([height, width]), motion)

    def _encoded(self, images: tf.Tensor, flow: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the outputs of `_serve` for JPEG or PNG images, string [B, T]."""
        clip_frames = self._clip_frames
        message = "images and flow must agree in their first two axes, [B, T]"
        check = tf.debugging.assert_equal(tf.shape(images), tf.shape(flow)[:2], message)
        # Only the frames that `serve` looks at; a clip too short stays so.
        first = tf.maximum(tf.shape(images)[1] // 2 - clip_frames // 2, 0)
        with tf.control_dependencies([check]):
            if self._reads_motion:  # in all frames
                first = 0
                clip_frames = tf.shape(images)[1]
            images = images[:, first : first + clip_frames]
            flow = flow[:, first : first + clip_frames]
        rgb = canvas_ops.decode_jpegs(tf.reshape(images, [-1]), channels=3)
        rgb = tf.reshape(rgb, tf.concat([tf.shape(images), tf.shape(rgb)[1:]], axis=0))
        # One vector for a whole frame is repeated for every pixel.
        is_vector = tf.reduce_all(tf.shape(flow)[2:4] == 1)
        times = tf.where(is_vector, tf.shape(rgb)[2:4], 1)
        flow = tf.tile(flow, tf.concat([[1, 1], times, [1]], axis=0))
        return self.serve(rgb, flow)

    def _stream(
        self,
        rgb: tf.Tensor,
        flow: tf.Tensor,
        size: tf.Tensor,
        state: Mapping[str, tf.Tensor],
    ) -> dict[str, tf.Tensor]:
        """Take the next frame of each video.

        Returns:
          the outputs, `number` of the frame that they are of, and the new state.
        """
        count = state["state_count"]
        windows = {}
        for name, features in self.frame(rgb, flow).items():
            # The first frame of a video is its own neighbour.
            begins = tf.reshape(count == 0, [-1] + [1] * len(features.shape))
            before = tf.where(begins, features[:, None], state[f"state_{name}"])
            windows[name] = tf.concat([before, features[:, None]], axis=1)
        frames = {name: window[:, :: self._stride] for name, window in windows.items()}
        outputs = self.key_frame(frames, size)
        number = count + 1 - self._reach
        for name, values in outputs.items():
            answered = tf.reshape(number >= 1, [-1] + [1] * (len(values.shape) - 1))
            outputs[name] = tf.where(answered, values, tf.zeros([], values.dtype))
        new_state = {f"state_{name}": window[:, 1:] for name, window in windows.items()}
        return {**outputs, "number": number, **new_state, "state_count": count + 1}


def _spec(
    name: str, shape: Sequence[int | None], dtype: tf.DType = tf.float32
) -> tf.TensorSpec:
    """Return a TensorSpec [B, *shape]."""
    return tf.TensorSpec([None, *shape], dtype, name)


def _flow_spec(axes: Sequence[int | None]) -> tf.TensorSpec:
    """Return the TensorSpec of flow [B, *axes, H, W, 2]."""
    return _spec("flow", [*axes, None, None, 2])


def _stacked(
    features: Mapping[str, tf.TensorSpec], length: int, prefix: str = ""
) -> dict[str, tf.TensorSpec]:
    """Return specs of the features of `length` frames, stacked on axis 1.

    Args:
      features: {name: TensorSpec [B, ...] of a frame's features}.
      length: number of frames.
      prefix: text before each name in the result.
    """
    specs = {}
    for name, spec in features.items():
        shape = [length, *spec.shape[1:]]
        specs[f"{prefix}{name}"] = _spec(f"{prefix}{name}", shape, spec.dtype)
    return specs
