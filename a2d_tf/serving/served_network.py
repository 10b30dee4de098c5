"""The served network: it resizes and pads frames of any size, and answers in their
pixels.

It has five signatures, for clips of pixels or of encoded images and for the frames of a
video one by one. `frame` computes the backbones' features of a frame, and `key_frame`
the answer from the features of 2L + 1 frames; the other three are built from these two,
so that all give the same answers. A run and its export use this same `tf.Module`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow as tf

from a2d_tf.core.config import InferenceConfig
from a2d_tf.core.limits import MAX_PIXELS, MAX_SERVED_FLOW
from a2d_tf.data.instance_fields import scale_fields
from a2d_tf.model.heads.readout import LEVELS
from a2d_tf.model.inference import infer_key_frames
from a2d_tf.model.layers import FROZEN, ConvNorm
from a2d_tf.model.network import Network
from a2d_tf.ops import canvas as canvas_ops
from a2d_tf.ops import masks as mask_ops

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
}


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
    norms: dict[str, Any] = {
        name: "none" for name in ("norm", "flow_norm") if getattr(model, name) in FROZEN
    }
    precision = network.compute.precision.replace("mixed_", "")
    if not norms and precision == "float32":
        return network
    compute = dataclasses.replace(network.compute, precision=precision)
    model = dataclasses.replace(model, **norms)
    result = Network(model, network.labels, compute, network.label_mode)
    for old_part, new_part in zip(network.parts().values(), result.parts().values()):
        for new in new_part.layers:
            if not new.weights:
                continue
            old = old_part.get_layer(new.name)
            frozen = isinstance(old, ConvNorm) and old.norm in FROZEN
            values = old.folded() if frozen else old.weights
            for variable, value in zip(new.weights, values):
                variable.assign(tf.cast(value, variable.dtype))
    return result


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
      encoded, stream, frame, key_frame: tf.functions; see SIGNATURES. Tensors of
        `stream`'s state are [B, 2 L stride, ...], those of `key_frame`'s frames [B, 2L
        + 1, ...].
    """

    def __init__(
        self, network: Network, settings: InferenceConfig, stride: int = 1
    ) -> None:
        super().__init__(name="a2d_tf")
        network = folded(network)
        # The weights alone, not the Keras models: those would be saved a second time,
        # as layers.
        self.weights = network.variables
        self._length, self._stride = network.model_config.frames, stride
        pixels = [
            _spec("rgb", None, None, 3, dtype=tf.uint8),
            _spec("flow", None, None, 2),
        ]
        clips = [
            _spec("rgb", *[None] * 3, 3, dtype=tf.uint8),
            _spec("flow", *[None] * 3, 2),
        ]
        size = tf.TensorSpec([2], tf.int32, "size")

        # Closures, not attributes: a SavedModel would track the Keras models in the
        # network.
        def frame(rgb: tf.Tensor, flow: tf.Tensor) -> dict[str, tf.Tensor]:
            return _features(network, rgb, flow)

        def key_frame(
            frames: dict[str, tf.Tensor], size: tf.Tensor
        ) -> dict[str, tf.Tensor]:
            return _answer(network, settings, frames, size)

        self.frame = tf.function(frame, pixels)
        features = self.frame.get_concrete_function().structured_outputs
        self.key_frame = tf.function(
            key_frame, [_stacked(features, self._length), size]
        )
        self.serve = tf.function(self._serve, clips)
        images = _spec("images", None, dtype=tf.string)
        self.encoded = tf.function(self._encoded, [images, clips[1]])
        state = _stacked(features, 2 * self._reach, "state_")
        state["state_count"] = _spec("state_count", dtype=tf.int32)
        self.stream = tf.function(self._stream, [*pixels, size, state])

    @property
    def _reach(self) -> int:
        """Frames of the video before and after a key frame that its answer depends
        on.
        """
        return self._length // 2 * self._stride

    def signatures(self) -> dict[str, tf.types.experimental.ConcreteFunction]:
        """Return {name in the SavedModel: concrete function}."""
        functions = {
            SIGNATURE: self.serve.get_concrete_function(),
            "encoded": self.encoded.get_concrete_function(),
            "stream": self.stream.get_concrete_function(),
        }
        return {**functions, **self.video_signatures()}

    def video_signatures(self) -> dict[str, tf.types.experimental.ConcreteFunction]:
        """Return those of `signatures` that answer a video frame by frame."""
        return {
            "frame": self.frame.get_concrete_function(),
            "key_frame": self.key_frame.get_concrete_function(),
        }

    def _serve(self, rgb, flow):
        """The outputs for the key frame of each clip; see INPUTS and OUTPUTS."""
        field = self._length
        length, height, width = tf.unstack(tf.shape(rgb)[1:4])
        message = f"a clip needs at least {field} frames, the network's temporal field"
        long_enough = tf.debugging.assert_greater_equal(length, field, message)
        first = length // 2 - field // 2
        with tf.control_dependencies([long_enough, *_shape_checks(rgb, flow)]):
            clip = [x[:, first : first + field] for x in (rgb, flow)]
        # Time is folded into the batch.
        frames = self.frame(
            *(tf.reshape(x, [-1, height, width, x.shape[-1]]) for x in clip)
        )
        frames = {
            name: tf.reshape(x, [-1, field, *x.shape[1:]]) for name, x in frames.items()
        }
        return self.key_frame(frames, tf.stack([height, width]))

    def _encoded(self, images, flow):
        """`_serve` on JPEG or PNG images, string [B, T]."""
        field = self._length
        message = "images and flow must agree in their first two axes, [B, T]"
        check = tf.debugging.assert_equal(tf.shape(images), tf.shape(flow)[:2], message)
        # Only the frames that `serve` looks at; a clip too short stays so.
        first = tf.maximum(tf.shape(images)[1] // 2 - field // 2, 0)
        with tf.control_dependencies([check]):
            images, flow = (x[:, first : first + field] for x in (images, flow))
        rgb = canvas_ops.decode_jpegs(tf.reshape(images, [-1]), channels=3)
        rgb = tf.reshape(rgb, tf.concat([tf.shape(images), tf.shape(rgb)[1:]], axis=0))
        is_vector = tf.reduce_all(tf.shape(flow)[2:4] == 1)
        times = tf.where(is_vector, tf.shape(rgb)[2:4], 1)
        return self.serve(rgb, tf.tile(flow, tf.concat([[1, 1], times, [1]], axis=0)))

    def _stream(self, rgb, flow, size, state):
        """The next frame of each video: the outputs, their frame number and the new
        state.
        """
        count, ring = state["state_count"], {}
        for name, x in self.frame(rgb, flow).items():
            # The first frame of a video is its own neighbour.
            begins = tf.reshape(count == 0, [-1] + [1] * len(x.shape))
            before = tf.where(begins, x[:, None], state[f"state_{name}"])
            ring[name] = tf.concat([before, x[:, None]], axis=1)
        outputs = self.key_frame(
            {name: x[:, :: self._stride] for name, x in ring.items()}, size
        )
        number = count + 1 - self._reach
        for name, x in outputs.items():
            answered = tf.reshape(number >= 1, [-1] + [1] * (len(x.shape) - 1))
            outputs[name] = tf.where(answered, x, tf.zeros([], x.dtype))
        state = {f"state_{name}": x[:, 1:] for name, x in ring.items()}
        return {**outputs, "number": number, **state, "state_count": count + 1}


def _pyramids(network):
    """Return {pyramid of a frame: its levels}."""
    # The action branch's appearance is the actor's, unless its top-down is its own.
    shared = {"rgb"} if network.model_config.action_topdown == "shared" else set()
    names = sorted(set(network.backbones.output) - shared)
    return {name: LEVELS if name == "labels" else range(2, 6) for name in names}


def _features(network, rgb, flow):
    """The signature `frame`: uint8 [B, H, W, 3] and float32 [B, H, W, 2] -> dict."""
    backbones, canvas = network.backbones, network.image_size
    finite = tf.debugging.assert_all_finite(flow, "flow must be finite")
    with tf.control_dependencies([finite, *_shape_checks(rgb, flow)]):
        flow = tf.clip_by_value(flow, -MAX_SERVED_FLOW, MAX_SERVED_FLOW)
        placed, vectors, inside = canvas_ops.place(rgb, flow, canvas)
    inputs = {"rgb": placed, "flow": vectors}
    pyramids = backbones(
        {name: inputs[name] for name in backbones.input}, training=False
    )
    outputs = {
        f"{name}_p{level}": x
        for name, levels in _pyramids(network).items()
        for level, x in zip(levels, pyramids[name])
    }
    outputs["inside"] = tf.tile(inside[None], [tf.shape(rgb)[0], 1])
    if network.needs_image:
        outputs["image"] = placed
    return outputs


def _answer(network, settings, frames, size):
    """The signature `key_frame`: features [B, 2L + 1, ...] and int32 [2] -> the
    outputs.
    """
    pyramids = {
        name: [frames[f"{name}_p{level}"] for level in levels]
        for name, levels in _pyramids(network).items()
    }
    inside = frames["inside"][:, network.model_config.frames // 2]
    features = network.fuse(pyramids)
    found = infer_key_frames(
        network, features, inside, settings, frames.get("image")
    ).detections
    with tf.control_dependencies([_size_check(size[0], size[1])]):
        ratio = tf.cast(size, tf.float32) / tf.cast(inside, tf.float32)
    more = scale_fields(found.more, ratio[:, None])
    detections = {**found._asdict(), **more, "num_detections": found.number}
    outputs = {name: detections[name] for name in OUTPUTS if name in detections}
    outputs["boxes"] = detections["boxes"] * tf.tile(ratio, [1, 2])[:, None]
    rows = (outputs[name] for name in ("masks", "boxes", "score", "code"))
    painted = mask_ops.paint_label_map(*rows, height=size[0], width=size[1])
    outputs["label_map"] = tf.cast(painted, tf.as_dtype(network.labels.code_dtype))
    return outputs


def _spec(name, *shape, dtype=tf.float32):
    """A TensorSpec [B, *shape]."""
    return tf.TensorSpec([None, *shape], dtype, name)


def _stacked(features, length, prefix=""):
    """TensorSpecs of the features of `length` frames, stacked on axis 1."""
    return {
        prefix + name: _spec(prefix + name, length, *spec.shape[1:], dtype=spec.dtype)
        for name, spec in features.items()
    }


def _size_check(height, width):
    """An assertion on the size of a frame, int32 scalars."""
    message = "a frame needs at least one pixel, and at most: "
    pixels = tf.cast(height, tf.int64) * tf.cast(width, tf.int64)
    allowed = (height > 0) & (width > 0) & (pixels <= MAX_PIXELS)
    return tf.debugging.Assert(allowed, [message, tf.constant(MAX_PIXELS)])


def _shape_checks(rgb, flow):
    """Assertions that frames have an allowed size, and their flow the same."""
    message = (
        "rgb [..., H, W, 3] and flow [..., H, W, 2] must agree in all but the last axis"
    )
    agree = tf.debugging.assert_equal(tf.shape(rgb)[:-1], tf.shape(flow)[:-1], message)
    return [agree, _size_check(*tf.unstack(tf.shape(rgb)[-3:-1]))]
