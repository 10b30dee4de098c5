"""The network as it is served: behind resizing and padding, on frames of any size.

It answers on clips, of pixels or of encoded images, or on the frames of a video one by one: `frame`
sends a frame through the backbones, `key_frame` answers from what it made of 2L + 1 of them, and
`stream` does both and hands the caller what it must remember. All are the first two in other
wrappings, so that the ways cannot differ; nor can a run and its export, by the same `tf.Module`.
"""

import tensorflow as tf

from a2d_tf.core.limits import MAX_FLOW, MAX_PIXELS
from a2d_tf.ops import canvas as canvas_ops
from a2d_tf.ops import masks as mask_ops
from a2d_tf.serving.folding import folded

SIGNATURE = "serving_default"
INPUTS = {
    "rgb": "uint8 [B, T, H, W, 3], any H and W, T >= 2L + 1; the key frame is T // 2",
    "flow": "float32 [B, T, H, W, 2], (u, v), u right and v down, pixels of these frames, from the "
    "previous source frame to each; zero for the first frame and where a neighbour is missing",
}
OUTPUTS = {
    "boxes": "float32 [B, N, 4], y1, x1, y2, x2, pixels of the input, 0-based half-open",
    "actor": "int32 [B, N], 1-based; 0 in unused rows, as in action and code",
    "action": "int32 [B, N], 1-based",
    "code": "int32 [B, N], base * actor + action",
    "score": "float32 [B, N], of the pair",
    "actor_scores": "float32 [B, N, |X|], p(actor)",
    "action_scores": "float32 [B, N, |Y|], p(action)",
    "masks": "float32 [B, N, 28, 28], probabilities inside the box",
    "num_detections": "int32 [B], rows in use, the first ones",
    "label_map": "codes [B, H, W], uint8, or uint16 where codes need it; 0 is background",
}
SIGNATURES = {
    SIGNATURE: "rgb and flow of a clip -> the outputs",
    "encoded": "images, string [B, T], JPEG or PNG, decoded without regard to EXIF, and flow as "
    "above or, one vector for a whole frame, [B, T, 1, 1, 2]; where flow cannot be had send zeros: "
    "actors, boxes and masks do not depend on it, actions are then those of a still scene",
    "stream": "rgb [B, H, W, 3] and flow [B, H, W, 2] of the next frame of B videos, size as for "
    "key_frame, and every state_* of the answer before (zeros to begin a video) -> state_* for the "
    "next call, the outputs, and number, int32 [B]: of which frame they are, from 1 on; below 1 "
    "they are zeros. It lags by L * clip_stride frames: after the last frame of a video repeat it "
    "so often with a flow of zeros",
    "frame": "rgb [B, H, W, 3] and flow [B, H, W, 2] of one frame of B videos -> what key_frame "
    "needs of it: flow_p2 ... flow_p5 are of the flow, all else is of the image",
    "key_frame": "the outputs of frame for the 2L + 1 frames of a clip, each stacked on axis 1, "
    "and size, int32 [2], the height and width in whose pixels to answer -> the outputs; for a "
    "missing neighbour take the nearest frame, with the flow_p* of a frame whose flow is zero",
}


class ServedNetwork(tf.Module):
    """The network behind resizing and padding, in and out in pixels of the input.

    Its batch norms are folded (see `serving.folding`).

    Args:
      network: a Network; what becomes of its weights later does not matter here.
      settings: an InferenceConfig with its score_threshold resolved.
      stride: frames from one of a clip to the next, for `stream`.

    Attributes:
      serve: tf.function (rgb, flow) -> dict; see INPUTS and OUTPUTS. Fails with a clear message on
        a clip of fewer than 2L + 1 frames, or flow of another shape than the frames.
      encoded, stream, frame, key_frame: tf.functions; see SIGNATURES. Tensors of `stream`'s state
        are [B, 2 L stride, ...], those of `key_frame`'s frames [B, 2L + 1, ...].
    """

    def __init__(self, network, settings, stride=1):
        super().__init__(name="a2d_tf")
        network = folded(network)
        towers, config = network.towers, network.config
        labels, canvas, field = network.labels, network.image_size, config.frames
        reach = field // 2 * stride
        # The action branch's appearance is the actor's, unless its top-down is its own.
        shared = ["rgb"] if config.action_topdown == "shared" else []
        names = sorted(set(towers.output) - set(shared))

        def flat(pyramids):
            return {f"{n}_p{level}": x for n in names for level, x in enumerate(pyramids[n], 2)}

        def sound(height, width):
            sides = "a frame needs at least one pixel, and at most so many: "
            pixels = tf.cast(height, tf.int64) * tf.cast(width, tf.int64)
            allowed = (height > 0) & (width > 0) & (pixels <= MAX_PIXELS)
            return tf.debugging.Assert(allowed, [sides, tf.constant(MAX_PIXELS)])

        def agree(rgb, flow):
            same = "rgb [..., H, W, 3] and flow [..., H, W, 2] must agree in all but the last axis"
            check = tf.debugging.assert_equal(tf.shape(rgb)[:-1], tf.shape(flow)[:-1], same)
            return tf.control_dependencies([check, sound(*tf.unstack(tf.shape(rgb)[-3:-1]))])

        def frame(rgb, flow):
            finite = tf.debugging.assert_all_finite(flow, "flow must be finite")
            with agree(rgb, flow), tf.control_dependencies([finite]):
                flow = tf.clip_by_value(flow, -MAX_FLOW, MAX_FLOW)
                placed, vectors, inside = canvas_ops.place(rgb, flow, canvas)
            inputs = {"rgb": placed, "flow": vectors}
            made = towers({name: inputs[name] for name in towers.input}, training=False)
            outputs = {**flat(made), "inside": tf.tile(inside[None], [tf.shape(rgb)[0], 1])}
            if config.use_refiner:
                outputs["image"] = placed
            return outputs

        def key_frame(frames, size):
            pyramids = {n: [frames[f"{n}_p{level}"] for level in range(2, 6)] for n in names}
            inside = frames["inside"][:, field // 2]
            found = network.key_frame(pyramids, inside, settings, frames.get("image"))
            with tf.control_dependencies([sound(size[0], size[1])]):
                ratio = tf.cast(size, tf.float32) / tf.cast(inside, tf.float32)
            outputs = {name: found[name] for name in OUTPUTS if name in found}
            outputs["boxes"] = found["boxes"] * tf.tile(ratio, [1, 2])[:, None]
            painted = mask_ops.paint(
                found["masks"],
                outputs["boxes"],
                found["score"],
                found["code"],
                height=size[0],
                width=size[1],
                per_pixel=settings.paint == "pixel",
            )
            outputs["label_map"] = tf.cast(painted, tf.as_dtype(labels.code_dtype))
            return outputs

        def serve(rgb, flow):
            length, height, width = tf.unstack(tf.shape(rgb)[1:4])
            needed = f"a clip needs at least {field} frames, the network's temporal field"
            enough = tf.debugging.assert_greater_equal(length, field, needed)
            first = length // 2 - field // 2
            with tf.control_dependencies([enough]), agree(rgb, flow):
                clip = [x[:, first : first + field] for x in (rgb, flow)]
            # Time is folded into the batch.
            folded = [tf.reshape(x, [-1, height, width, x.shape[-1]]) for x in clip]
            frames = {
                name: tf.reshape(x, [-1, field, *x.shape[1:]])
                for name, x in self.frame(*folded).items()
            }
            return self.key_frame(frames, tf.stack([height, width]))

        def encoded(images, flow):
            same = "images and flow must agree in their first two axes, [B, T]"
            check = tf.debugging.assert_equal(tf.shape(images), tf.shape(flow)[:2], same)
            length = tf.shape(images)[1]
            # No more than the frames that `serve` looks at; a clip too short stays so.
            first = tf.maximum(length // 2 - field // 2, 0)
            with tf.control_dependencies([check]):
                images, flow = (x[:, first : first + field] for x in (images, flow))

            def decode(image):
                with tf.control_dependencies([sound(*tf.unstack(_claimed_size(image)))]):
                    # It knows a PNG when it sees one.
                    return tf.io.decode_jpeg(image, 3, dct_method=canvas_ops.DCT_METHOD)

            rgb = tf.map_fn(
                decode,
                tf.reshape(images, [-1]),
                fn_output_signature=tf.TensorSpec([None, None, 3], tf.uint8),
            )
            rgb = tf.reshape(rgb, tf.concat([tf.shape(images), tf.shape(rgb)[1:]], axis=0))
            whole = tf.reduce_all(tf.shape(flow)[2:4] == 1)
            times = tf.where(whole, tf.shape(rgb)[2:4], 1)
            return self.serve(rgb, tf.tile(flow, tf.concat([[1, 1], times, [1]], axis=0)))

        def stream(rgb, flow, size, state):
            count, ring = state["state_count"], {}
            for name, x in self.frame(rgb, flow).items():
                # The first frame of a video is its own neighbour.
                begins = tf.reshape(count == 0, [-1] + [1] * len(x.shape))
                before = tf.where(begins, x[:, None], state[f"state_{name}"])
                ring[name] = tf.concat([before, x[:, None]], axis=1)
            found = self.key_frame({name: x[:, ::stride] for name, x in ring.items()}, size)
            number = count + 1 - reach
            for name, x in found.items():
                there = tf.reshape(number >= 1, [-1] + [1] * (len(x.shape) - 1))
                found[name] = tf.where(there, x, tf.zeros([], x.dtype))
            state = {f"state_{name}": x[:, 1:] for name, x in ring.items()}
            return {**found, "number": number, **state, "state_count": count + 1}

        def spec(name, *shape, dtype=tf.float32):
            return tf.TensorSpec([None, *shape], dtype, name)

        pixels = spec("rgb", None, None, 3, dtype=tf.uint8), spec("flow", None, None, 2)
        clips = spec("rgb", None, None, None, 3, dtype=tf.uint8), spec("flow", *[None] * 3, 2)
        images = spec("images", None, dtype=tf.string), clips[1]
        made = {key: (x.shape[1:], x.dtype) for key, x in flat(towers.output).items()}
        made["inside"] = [2], tf.int32
        if config.use_refiner:
            made["image"] = [*canvas, 3], tf.uint8
        frames = {k: spec(k, field, *shape, dtype=dtype) for k, (shape, dtype) in made.items()}
        state = {
            f"state_{k}": spec(f"state_{k}", 2 * reach, *shape, dtype=dtype)
            for k, (shape, dtype) in made.items()
        }
        state["state_count"] = spec("state_count", dtype=tf.int32)
        size = tf.TensorSpec([2], tf.int32, "size")
        # The weights alone, not the Keras models: those would be saved a second time, as layers.
        self.weights = network.variables
        self.frame = tf.function(frame, pixels)
        self.key_frame = tf.function(key_frame, [frames, size])
        self.serve = tf.function(serve, clips)
        self.encoded = tf.function(encoded, images)
        self.stream = tf.function(stream, [*pixels, size, state])

    def signatures(self):
        """Name in the SavedModel -> concrete function."""
        functions = {SIGNATURE: self.serve}
        functions = {name: functions.get(name) or getattr(self, name) for name in SIGNATURES}
        return {name: function.get_concrete_function() for name, function in functions.items()}


def _claimed_size(image):
    """int32 [2], height and width, that the header of a JPEG or PNG claims; of a string scalar."""
    is_jpeg = tf.strings.substr(image, 0, 3) == b"\xff\xd8\xff"
    size = tf.cond(
        is_jpeg,
        lambda: tf.io.extract_jpeg_shape(image)[:2],
        lambda: canvas_ops.claimed_png_size(image),
    )
    return tf.ensure_shape(size, [2])
