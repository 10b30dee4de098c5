"""The served network: frames of any size in, answers in their pixels out.

It has six signatures, for clips of pixels or of encoded images and for the frames of a
video one by one. `frame` computes the backbones' features of a frame, and `key_frame`
the answer from the features of 2L + 1 frames, or `boxes` that in boxes which are given;
the other three are built from the first two, so that all give the same answers. A run
and its export use this same `tf.Module`.

A network that reads motion maps has `block` for those of an action backbone, and no
`stream`: its state would be a block of frames.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from a2d_tf.core.config import InferenceConfig
from a2d_tf.core.limits import MAX_PIXELS, MAX_SERVED_FLOW
from a2d_tf.data.instance_fields import scale_fields
from a2d_tf.model.frozen_norms import FROZEN
from a2d_tf.model.heads.readout import LEVELS
from a2d_tf.model.inference import infer_boxes, infer_key_frames
from a2d_tf.model.layers import ConvNorm
from a2d_tf.model.network import Network
from a2d_tf.model.structures import BatchInstances, Features
from a2d_tf.ops import canvas as canvas_ops
from a2d_tf.ops import masks as mask_ops
from a2d_tf.ops.motion_maps import BLOCK, FLOW_HISTOGRAMS
from a2d_tf.serving import served_motion

SIGNATURE = "serving_default"
INPUTS = {
    "rgb": "uint8 [B, T, H, W, 3], any H and W, T >= 2L + 1; the key frame is T // 2",
    "flow": (
        "float32 [B, T, H, W, 2], (u, v), u right and v down, pixels of these frames:"
        " how far each pixel has moved since the previous source frame (computed back"
        " in time, and negated); zero for the first frame and where a neighbour is"
        " missing"
    ),
}
OUTPUTS = {
    "boxes": (
        "float32 [B, N, 4], y1, x1, y2, x2, pixels of the input, 0-based half-open"
    ),
    "actor": "int32 [B, N], 1-based; 0 in unused rows, as in action and code",
    "action": "int32 [B, N], 1-based",
    "code": "int32 [B, N], base * actor + action",
    "score": "float32 [B, N], of the pair",
    "actor_scores": "float32 [B, N, |X|], p(actor)",
    "action_scores": "float32 [B, N, |Y|], p(action)",
    "masks": "float32 [B, N, 28, 28], probabilities inside the box",
    "num_detections": "int32 [B], rows in use, the first ones",
    "label_map": (
        "codes [B, H, W], uint8, or uint16 where codes need it; 0 is background"
    ),
}
SIGNATURES = {
    SIGNATURE: "rgb and flow of a clip -> the outputs",
    "encoded": (
        "images, string [B, T], JPEG or PNG, decoded without regard to EXIF, and flow"
        " as above or, one vector for a whole frame, [B, T, 1, 1, 2]; where flow cannot"
        " be had send zeros: actors, boxes and masks do not depend on it, actions are"
        " then those of a still scene"
    ),
    "stream": (
        "rgb [B, H, W, 3] and flow [B, H, W, 2] of the next frame of B videos, size as"
        " for key_frame, and every state_* of the answer before (zeros to begin a"
        " video) -> state_* for the next call, the outputs, and number, int32 [B]: of"
        " which frame they are, from 1 on; below 1 they are zeros. It lags by L *"
        " clip_stride frames: after the last frame of a video repeat it so often with a"
        " flow of zeros"
    ),
    "frame": (
        "rgb [B, H, W, 3] and flow [B, H, W, 2] of one frame of B videos -> what"
        " key_frame needs of it: flow_p2 ... flow_p5 are of the flow, all else is of"
        " the image"
    ),
    "key_frame": (
        "the outputs of frame for the 2L + 1 frames of a clip, each stacked on axis 1,"
        " and size, int32 [2], the height and width in whose pixels to answer -> the"
        " outputs; for a missing neighbour take the nearest frame, with the flow_p* of"
        " a frame whose flow is zero"
    ),
    "boxes": (
        "what key_frame takes, and boxes, float32 [B, N, 4], y1, x1, y2, x2, pixels of"
        " size, and num_boxes, int32 [B], how many of them count, the first ones; N is"
        " at least 1 -> the outputs, a row for each box in the order of the boxes."
        " Each is taken for an instance: background has no share in p(actor) and"
        " p(action), and no threshold holds"
    ),
}
_MOTION_INPUTS = {
    "rgb": (
        "uint8 [B, T, H, W, 3], any H and W, T >= 2L + 1; the key frame is T // 2. The"
        " clip is taken as a whole video, and only the 2L + 1 frames in the middle are"
        " seen but for motion, which is seen in the frames up to T // 2 - 16 and T // 2"
        " + 16 and in those of their blocks of 32 frames"
    ),
}
_MOTION_SIGNATURES = {
    "block": (
        "rgb, uint8 [B, 32, h, w, 3], the frames 32 b to 32 b + 31 of B videos, resized"
        " so that the shorter side has 160 pixels, and the longer one a multiple of 32"
        " next to the aspect, at most 416; copies of its last frame fill up the last"
        " block of a video -> mixed_4f [B, 8, h / 16, w / 16, C], each map of 4 frames,"
        " and mixed_5c [B, 4, h / 32, w / 32, C], each of 8 frames"
    ),
    "histograms": (
        "flow [B, h, w, 2] of frames resized as for block, from the frame before ->"
        " flow_histograms [B, h / 8, w / 8, 27]"
    ),
    "key_frame": (
        SIGNATURES["key_frame"] + "; and motion_size, int32 [B, 2], the h and w of"
        " block; and each map of block, averaged over those whose middle is at most 16"
        " frames before or after the key frame, maps of padding alone left out; and"
        " flow_histograms, averaged over the pairs of frames (2 j, 2 j + 1) whose"
        " middle is at most 6 frames away, zeros without any. There is no stream"
    ),
}


def descriptions(network: Network) -> dict[str, dict[str, str]]:
    """Describe the inputs, outputs and signatures of a served network."""
    inputs = INPUTS
    signatures = SIGNATURES
    if network.motion_readout is not None:
        inputs = {**INPUTS, **_MOTION_INPUTS}
        signatures = {**SIGNATURES, **_MOTION_SIGNATURES}
        del signatures["stream"]
        if network.action_backbone is None:
            del signatures["block"]
        if not network.model_config.flow_histograms:
            del signatures["histograms"]
    return {"inputs": inputs, "outputs": OUTPUTS, "signatures": signatures}


def folded(network: Network) -> Network:
    """Return a network that computes the same with fewer variables and operations.

    kernel * gamma / sqrt(variance + epsilon) is computed once, not at every call. In a
    mixed precision the weights are rounded once, too, and take half the memory. Group
    norms stay.

    Returns:
      a Network of norm 'none' in place of batch norms, not for training; `network`
      itself if nothing changes.
    """
    model = network.model_config
    folded_norms: dict[str, Any] = {}
    for field in ("norm", "flow_norm"):
        if getattr(model, field) in FROZEN:
            folded_norms[field] = "none"
    precision = network.compute.precision.replace("mixed_", "")
    if not folded_norms and precision == "float32":
        return network
    result = Network(
        dataclasses.replace(model, **folded_norms),
        network.labels,
        dataclasses.replace(network.compute, precision=precision),
        network.label_mode,
    )
    for part, folded_part in zip(network.parts().values(), result.parts().values()):
        for folded_layer in folded_part.layers:
            if folded_layer.weights:
                _assign_folded(folded_layer, part.get_layer(folded_layer.name))
    return result


def _assign_folded(folded_layer, layer):
    """Assign a layer's weights, in which a frozen norm is folded into the kernel."""
    values = layer.weights
    if isinstance(layer, ConvNorm) and layer.norm in FROZEN:
        values = layer.folded()
    for variable, value in zip(folded_layer.weights, values):
        variable.assign(tf.cast(value, variable.dtype))


class ServedNetwork(tf.Module):
    """The network behind resizing and padding, in and out in pixels of the input.

    Its batch norms are folded (see `folded`).

    Args:
      network: what is served; later changes of its weights have no effect here.
      settings: an InferenceConfig with its score_threshold resolved.
      stride: frames from one of a clip to the next, for `stream`.

    Attributes:
      serve: tf.function (rgb, flow) -> dict; see INPUTS and OUTPUTS. Fails with a clear
        message on a clip of fewer than 2L + 1 frames, or flow of another shape than the
        frames.
      encoded, stream, frame, key_frame, boxes: tf.functions; see SIGNATURES. Tensors
        of `stream`'s state are [B, 2 L stride, ...], those of `key_frame`'s frames [B,
        2L + 1, ...].
      block, histograms: likewise; absent without the motion maps that they make, with
        which `stream` is.
      reads_motion: whether `key_frame` also takes motion maps.
    """

    def __init__(
        self, network: Network, settings: InferenceConfig, stride: int = 1
    ) -> None:
        super().__init__(name="a2d_tf")
        network = folded(network)
        # The weights alone, not the Keras models: those would be saved a second time,
        # as layers.
        self.weights = network.variables
        self._clip_frames = network.model_config.frames
        self._stride = stride
        frame_rgb = _spec("rgb", [None, None, 3], tf.uint8)
        frame_flow = _spec("flow", [None, None, 2])
        clip_rgb = _spec("rgb", [None, None, None, 3], tf.uint8)
        clip_flow = _spec("flow", [None, None, None, 2])
        clip_images = _spec("images", [None], tf.string)
        answer_size = tf.TensorSpec([2], tf.int32, "size")
        motion_specs = served_motion.input_specs(network)
        self.reads_motion = bool(motion_specs)

        # Closures, not attributes: a SavedModel would track the Keras models in the
        # network.
        def frame(rgb: tf.Tensor, flow: tf.Tensor) -> dict[str, tf.Tensor]:
            return _features(network, rgb, flow)

        def key_frame(
            frames: dict[str, tf.Tensor], size: tf.Tensor
        ) -> dict[str, tf.Tensor]:
            return _answer(network, settings, frames, size)

        def key_frame_in_motion(
            frames: dict[str, tf.Tensor], size: tf.Tensor, motion: dict[str, tf.Tensor]
        ) -> dict[str, tf.Tensor]:
            return _answer(network, settings, frames, size, motion)

        def boxes(
            frames: dict[str, tf.Tensor],
            size: tf.Tensor,
            boxes: tf.Tensor,
            num_boxes: tf.Tensor,
            motion: dict[str, tf.Tensor] | None = None,
        ) -> dict[str, tf.Tensor]:
            return _answer_boxes(network, frames, size, boxes, num_boxes, motion)

        def block(rgb: tf.Tensor) -> dict[str, tf.Tensor]:
            return served_motion.block_logits(network, rgb)

        def maps_of_clips(rgb: tf.Tensor, flow: tf.Tensor) -> dict[str, tf.Tensor]:
            return served_motion.maps_of_clips(network, rgb, flow)

        self.frame = tf.function(frame, [frame_rgb, frame_flow])
        features = self.frame.get_concrete_function().structured_outputs
        clip_features = _stacked(features, self._clip_frames)
        self._maps_of_clips = maps_of_clips
        box_specs = [
            clip_features,
            answer_size,
            _spec("boxes", [None, 4]),
            _spec("num_boxes", [], tf.int32),
        ]
        if motion_specs:
            self.key_frame = tf.function(
                key_frame_in_motion, [clip_features, answer_size, motion_specs]
            )
            box_specs.append(motion_specs)
        else:
            self.key_frame = tf.function(key_frame, [clip_features, answer_size])
        self.boxes = tf.function(boxes, box_specs)
        self.serve = tf.function(self._serve, [clip_rgb, clip_flow])
        self.encoded = tf.function(self._encoded, [clip_images, clip_flow])
        if network.action_backbone is not None:
            block_rgb = _spec("rgb", [BLOCK, None, None, 3], tf.uint8)
            self.block = tf.function(block, [block_rgb])
        if FLOW_HISTOGRAMS.name in motion_specs:
            self.histograms = tf.function(served_motion.histograms, [frame_flow])
        if not self.reads_motion:
            state = _stacked(features, 2 * self._reach, prefix="state_")
            state["state_count"] = _spec("state_count", [], tf.int32)
            self.stream = tf.function(
                self._stream, [frame_rgb, frame_flow, answer_size, state]
            )

    @property
    def _reach(self) -> int:
        """Frames of the video on either side that a key frame's answer depends on."""
        return self._clip_frames // 2 * self._stride

    def signatures(
        self, names: Collection[str] | None = None
    ) -> dict[str, tf.types.experimental.ConcreteFunction]:
        """Return {name in the SavedModel: concrete function}.

        Args:
          names: of those that are wanted, `block` apart, which is always among them;
            None for all.
        """
        functions = {
            SIGNATURE: self.serve,
            "encoded": self.encoded,
            "boxes": self.boxes,
            "stream": getattr(self, "stream", None),
            "histograms": getattr(self, "histograms", None),
            "frame": self.frame,
            "key_frame": self.key_frame,
            "block": getattr(self, "block", None),
        }
        signatures = {}
        for name, function in functions.items():
            is_wanted = names is None or name in names or name == "block"
            if function is not None and is_wanted:
                signatures[name] = function.get_concrete_function()
        return signatures

    def _serve(self, rgb, flow):
        """Return the outputs for the key frames of clips; see INPUTS and OUTPUTS."""
        clip_frames = self._clip_frames
        length, height, width = tf.unstack(tf.shape(rgb)[1:4])
        message = (
            f"a clip needs at least {clip_frames} frames, the network's temporal field"
        )
        long_enough = tf.debugging.assert_greater_equal(length, clip_frames, message)
        first = length // 2 - clip_frames // 2
        motion = {}
        with tf.control_dependencies([long_enough, *_shape_checks(rgb, flow)]):
            if self.reads_motion:
                motion = self._maps_of_clips(rgb, flow)
            rgb = rgb[:, first : first + clip_frames]
            flow = flow[:, first : first + clip_frames]
        # Time is folded into the batch.
        rgb = tf.reshape(rgb, [-1, height, width, 3])
        flow = tf.reshape(flow, [-1, height, width, 2])
        frames = {}
        for name, features in self.frame(rgb, flow).items():
            frames[name] = tf.reshape(features, [-1, clip_frames, *features.shape[1:]])
        size = tf.stack([height, width])
        if self.reads_motion:
            return self.key_frame(frames, size, motion)
        return self.key_frame(frames, size)

    def _encoded(self, images, flow):
        """Return the outputs of `_serve` for JPEG or PNG images, string [B, T]."""
        clip_frames = self._clip_frames
        message = "images and flow must agree in their first two axes, [B, T]"
        check = tf.debugging.assert_equal(tf.shape(images), tf.shape(flow)[:2], message)
        # Only the frames that `serve` looks at; a clip too short stays so.
        first = tf.maximum(tf.shape(images)[1] // 2 - clip_frames // 2, 0)
        with tf.control_dependencies([check]):
            if self.reads_motion:  # in all frames
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

    def _stream(self, rgb, flow, size, state):
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


def _pyramid_levels(network):
    """Return {pyramid of a frame: its levels}."""
    names = set(network.backbones.output)
    if network.model_config.action_topdown == "shared":
        names.discard("rgb")  # the action branch's appearance is the actor's
    levels: dict[str, Sequence[int]] = {}
    for name in sorted(names):
        levels[name] = range(2, 6)
        if name == "labels":
            levels[name] = LEVELS
    return levels


def _features(network, rgb, flow):
    """Compute the signature `frame`.

    Args:
      rgb: uint8 [B, H, W, 3].
      flow: float32 [B, H, W, 2].

    Returns:
      {name: tensor}, what `key_frame` needs of each frame.
    """
    backbones = network.backbones
    finite = tf.debugging.assert_all_finite(flow, "flow must be finite")
    with tf.control_dependencies([finite, *_shape_checks(rgb, flow)]):
        flow = tf.clip_by_value(flow, -MAX_SERVED_FLOW, MAX_SERVED_FLOW)
        placed = canvas_ops.place(rgb, flow, network.image_size)
    inputs = {"rgb": placed.rgb, "flow": placed.flow}
    pyramids = backbones(
        {name: inputs[name] for name in backbones.input}, training=False
    )
    outputs = {}
    for name, levels in _pyramid_levels(network).items():
        for level, features in zip(levels, pyramids[name]):
            outputs[f"{name}_p{level}"] = features
    outputs["inside"] = tf.tile(placed.size[None], [tf.shape(rgb)[0], 1])
    if network.needs_image:
        outputs["image"] = placed.rgb
    return outputs


def _answer(network, settings, frames, size, motion=None):
    """Compute the signature `key_frame`.

    Args:
      frames: features of the signature `frame`, each [B, 2L + 1, ...].
      size: int32 [2], height and width in whose pixels to answer.
      motion: those of `served_motion.input_specs`; None without any.

    Returns:
      the outputs.
    """
    key = _key_features(network, frames, motion)
    detections = infer_key_frames(
        network, key.features, key.inside, settings, frames.get("image")
    ).detections
    return _outputs(network, detections, key.ratio(size), size)


def _answer_boxes(network, frames, size, boxes, num_boxes, motion):
    """Compute the signature `boxes`.

    Args:
      frames, size, motion: as of `_answer`.
      boxes: float32 [B, N, 4], in pixels of `size`.
      num_boxes: int32 [B].

    Returns:
      the outputs.
    """
    key = _key_features(network, frames, motion)
    ratio = key.ratio(size)
    detections = infer_boxes(
        network,
        key.features,
        boxes / tf.tile(ratio, [1, 2])[:, None],
        num_boxes,
        key.inside,
        frames.get("image"),
    ).detections
    return _outputs(network, detections, ratio, size)


class _KeyFeatures(NamedTuple):
    """What is known of the key frames of clips.

    Attributes:
      inside: int32 [B, 2], height and width of the frames inside the canvas.
    """

    features: Features
    inside: tf.Tensor

    def ratio(self, size: tf.Tensor) -> tf.Tensor:
        """Return pixels of an answer by pixels of the canvas, [B, 2]; check `size`."""
        with tf.control_dependencies([_size_check(size[0], size[1])]):
            return tf.cast(size, tf.float32) / tf.cast(self.inside, tf.float32)


def _key_features(network, frames, motion):
    """Fuse the features of frames; the arguments are those of `_answer`."""
    pyramids = {}
    for name, levels in _pyramid_levels(network).items():
        pyramids[name] = [frames[f"{name}_p{level}"] for level in levels]
    inside = frames["inside"][:, network.model_config.frames // 2]
    features = network.fuse(pyramids)
    if motion is not None:
        features = features._replace(motion=served_motion.features(motion))
    return _KeyFeatures(features, inside)


def _outputs(
    network: Network, detections: BatchInstances, ratio: tf.Tensor, size: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Return OUTPUTS in pixels of `size`, of instances in pixels of the canvas."""
    answers = detections._asdict()
    answers.update(scale_fields(detections.more, ratio[:, None]))
    answers["num_detections"] = detections.number
    outputs = {name: answers[name] for name in OUTPUTS if name in answers}
    outputs["boxes"] = detections.boxes * tf.tile(ratio, [1, 2])[:, None]
    label_map = mask_ops.paint_label_map(
        outputs["masks"],
        outputs["boxes"],
        outputs["score"],
        outputs["code"],
        height=size[0],
        width=size[1],
    )
    outputs["label_map"] = tf.cast(label_map, tf.as_dtype(network.labels.code_dtype))
    return outputs


def _spec(name, shape, dtype=tf.float32):
    """Return a TensorSpec [B, *shape]."""
    return tf.TensorSpec([None, *shape], dtype, name)


def _stacked(features, length, prefix=""):
    """Return specs of the features of `length` frames, stacked on axis 1.

    Args:
      features: {name: TensorSpec of a frame}.
      prefix: of the names.
    """
    specs = {}
    for name, spec in features.items():
        shape = [length, *spec.shape[1:]]
        specs[f"{prefix}{name}"] = _spec(f"{prefix}{name}", shape, spec.dtype)
    return specs


def _size_check(height, width):
    """Return an assertion on the size of a frame, int32 scalars."""
    message = "a frame needs at least one pixel, and at most: "
    pixels = tf.cast(height, tf.int64) * tf.cast(width, tf.int64)
    allowed = (height > 0) & (width > 0) & (pixels <= MAX_PIXELS)
    return tf.debugging.Assert(allowed, [message, tf.constant(MAX_PIXELS)])


def _shape_checks(rgb, flow):
    """Return assertions that frames have an allowed size, and flow has the same."""
    message = (
        "rgb [..., H, W, 3] and flow [..., H, W, 2] must agree in all but the last axis"
    )
    agree = tf.debugging.assert_equal(tf.shape(rgb)[:-1], tf.shape(flow)[:-1], message)
    height, width = tf.unstack(tf.shape(rgb)[-3:-1])
    return [agree, _size_check(height, width)]
