"""The network as it is served: a SavedModel that takes clips of any size, and its reader.

The folder is a SavedModel with `a2d_tf.json` beside `saved_model.pb`: what is not in the graph,
that is the label space, how flow is made and how far clip frames lie apart. A run and its export
answer through the same `tf.Module`, so that they cannot differ.
"""

import dataclasses
import json
import os
import shutil
import tempfile

import numpy as np
import tensorflow as tf

from a2d_tf.errors import InputError
from a2d_tf.files import write_json
from a2d_tf.labels import LabelSpace
from a2d_tf.ops import canvas as canvas_ops
from a2d_tf.ops import masks as mask_ops

FACTS = "a2d_tf.json"
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


class ServedNetwork(tf.Module):
    """The network behind resizing and padding, in and out in pixels of the input.

    Args:
      network: a Network.
      settings: an InferenceConfig with its score_threshold resolved.

    Attributes:
      serve: tf.function (rgb, flow) -> dict; see INPUTS and OUTPUTS. Fails with a clear message on
        a clip of fewer than 2L + 1 frames, or flow of another shape than the frames.
    """

    def __init__(self, network, settings):
        super().__init__(name="a2d_tf")
        model = network.inference(settings)
        labels, canvas = network.labels, network.image_size
        frames, use_flow = network.config.frames, network.config.use_flow

        def serve(rgb, flow):
            batch, length, height, width = tf.unstack(tf.shape(rgb)[:4])
            needed = f"a clip needs at least {frames} frames, the network's temporal field"
            same = "rgb [B, T, H, W, 3] and flow [B, T, H, W, 2] must agree in B, T, H and W"
            checks = [
                tf.debugging.assert_greater_equal(length, frames, needed),
                tf.debugging.assert_equal(tf.shape(rgb)[:4], tf.shape(flow)[:4], same),
            ]
            first = length // 2 - frames // 2
            with tf.control_dependencies(checks):
                field = [clip[:, first : first + frames] for clip in (rgb, flow)]
            folded = [tf.reshape(x, [-1, height, width, x.shape[-1]]) for x in field]
            placed, vectors, size = canvas_ops.place(*folded, canvas)
            inputs = {
                "rgb": tf.reshape(placed, [-1, frames, *canvas, 3]),
                "size": tf.tile(size[None], [batch, 1]),
            }
            if use_flow:
                inputs["flow"] = tf.reshape(vectors, [-1, frames, *canvas, 2])
            found = model(inputs, training=False)["detections"]
            ratio = tf.cast(tf.stack([height, width]), tf.float32) / tf.cast(size, tf.float32)
            outputs = {name: found[name] for name in OUTPUTS if name in found}
            outputs["boxes"] = found["boxes"] * tf.tile(ratio, [2])
            painted = mask_ops.paint(
                found["masks"], outputs["boxes"], found["score"], found["code"], height, width,
                settings.paint == "pixel",
            )  # fmt: skip
            outputs["label_map"] = tf.cast(painted, tf.as_dtype(labels.code_dtype))
            return outputs

        # The weights alone, not the Keras models: those would be saved a second time, as layers.
        self.weights = model.variables
        self.serve = tf.function(
            serve,
            input_signature=[
                tf.TensorSpec([None, None, None, None, 3], tf.uint8, "rgb"),
                tf.TensorSpec([None, None, None, None, 2], tf.float32, "flow"),
            ],
        )


@dataclasses.dataclass(frozen=True)
class Instances:
    """What was found in a frame, in its native pixels.

    Attributes:
      boxes: float32 [N, 4], y1, x1, y2, x2.
      codes: int32 [N].
      scores: float32 [N], of the pair.
      masks: N bool [H, W].
      label_map: codes [H, W], in the label space's dtype.
    """

    boxes: np.ndarray
    codes: np.ndarray
    scores: np.ndarray
    masks: list
    label_map: np.ndarray


class Predictor:
    """Answers on one clip at a time.

    Args:
      serve: callable (rgb, flow) -> the OUTPUTS.
      facts: the contents of `a2d_tf.json`.

    Attributes:
      labels: the LabelSpace.
      facts: as given.
    """

    def __init__(self, serve, facts):
        self._serve, self.facts = serve, facts
        self.labels = LabelSpace.from_fields(facts["labels"])

    @classmethod
    def from_run(cls, run):
        """The predictor of a `runs.Run`."""
        served = ServedNetwork(run.network, run.config.inference)
        predictor = cls(lambda rgb, flow: served.serve(rgb=rgb, flow=flow), facts(run))
        return predictor

    @classmethod
    def from_saved_model(cls, folder):
        """The predictor of an exported folder.

        Raises:
          InputError: no such folder, one that a2d_tf.export did not make, or a damaged one.
        """
        check_folder(folder)
        try:
            with open(os.path.join(folder, FACTS), encoding="utf-8") as file:
                known = json.load(file)
            loaded = tf.saved_model.load(folder)
            signature = loaded.signatures[SIGNATURE]

            def serve(rgb, flow):
                # A signature does not keep its variables alive; the loaded object does.
                assert loaded is not None
                return signature(rgb=tf.constant(rgb), flow=tf.constant(flow))

            return cls(serve, known)
        except (OSError, KeyError, TypeError, ValueError, tf.errors.OpError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"{folder}: damaged ({reason}); export the run again") from error

    def __call__(self, rgb, flow, size):
        """Find the instances of a clip's key frame.

        Args:
          rgb: uint8 [T, h, w, 3]; flow: float32 [T, h, w, 2], at the records' size.
          size: (height, width) of the native frame.

        Returns:
          `Instances`, in native pixels, best first by p(actor).
        """
        found = {name: x.numpy()[0] for name, x in self._serve(rgb[None], flow[None]).items()}
        height, width = size
        ratio = np.array([height, width], np.float32) / np.array(rgb.shape[1:3], np.float32)
        number = found["num_detections"]
        boxes = found["boxes"][:number] * np.tile(ratio, 2)
        scores, codes, small = (found[name][:number] for name in ("score", "code", "masks"))
        # One by one: the masks of a full frame in float32 would be the largest thing in memory.
        masks = [
            _paste(small[i : i + 1], boxes[i : i + 1], height, width).numpy() for i in range(number)
        ]
        painted = mask_ops.paint_one(
            small, boxes, scores, codes, height, width, self.facts["paint"] == "pixel"
        )
        label_map = painted.numpy().astype(self.labels.code_dtype)
        return Instances(boxes, codes, scores, masks, label_map)


_SIDE = tf.TensorSpec([], tf.int32)


@tf.function(
    input_signature=[tf.TensorSpec([1, 28, 28]), tf.TensorSpec([1, 4]), _SIDE, _SIDE]
)  # fmt: skip
def _paste(mask, box, height, width):
    return mask_ops.paste(mask, box, height, width)[0] >= 0.5


def facts(run):
    """What a user of the graph must know and the graph does not say: a dict, ready for JSON."""
    model, inference = run.config.model, run.config.inference
    return {
        "labels": json.loads(run.network.labels.to_json()),
        "base": run.network.labels.base,
        **run.records,
        "frames": model.frames,
        "use_flow": model.use_flow,
        "canvas": list(run.network.image_size),
        "score_threshold": inference.score_threshold,
        "paint": inference.paint,
        "checkpoint": os.path.basename(run.checkpoint),
        "inputs": INPUTS,
        "outputs": OUTPUTS,
    }


def check_folder(folder):
    """InputError unless the folder is one that `export` made."""
    if not os.path.isdir(folder):
        raise InputError(f"{folder}: no such folder; a2d_tf.export makes one from a run")
    for name in ("saved_model.pb", FACTS):
        if not os.path.isfile(os.path.join(folder, name)):
            raise InputError(f"{folder}: no {name} there, so not a SavedModel of a2d_tf.export")


def check_output(output):
    """InputError unless `output` is new, empty, or an older export that may be replaced."""
    if os.path.isdir(output) and not os.listdir(output):
        return
    if os.path.lexists(output):
        try:
            check_folder(output)
        except InputError as error:
            raise InputError(
                f"{output}: is there already and is no export; delete it or give another --output"
            ) from error


def export(run, output):
    """Write a run as a SavedModel folder, whole or not at all; an older export is replaced.

    Args:
      run: a `runs.Run`.
      output: the folder.

    Returns:
      the concrete function that was saved as the signature.

    Raises:
      InputError: something else is there, or the folder cannot be written.
    """
    check_output(output)
    parent = os.path.dirname(os.path.abspath(output))
    served = ServedNetwork(run.network, run.config.inference)
    function = served.serve.get_concrete_function()
    try:
        os.makedirs(parent, exist_ok=True)
        partial = tempfile.mkdtemp(prefix=".partial-", dir=parent)
        try:
            new, old = os.path.join(partial, "new"), os.path.join(partial, "old")
            tf.saved_model.save(served, new, signatures={SIGNATURE: function})
            write_json(os.path.join(new, FACTS), facts(run))
            if os.path.isdir(output):
                os.replace(output, old)
            os.replace(new, output)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except (OSError, tf.errors.OpError) as error:
        raise InputError(f"{output}: cannot be written ({error})") from error
    return function
