"""The folder of an exported network: a SavedModel with `a2d_tf.json` in it.

`a2d_tf.json` holds what is not in the graph: the label space, the method of the flow and the
distance between the frames of a clip.

Warm-up requests, which TensorFlow Serving answers before it offers a model to clients, are a
TFRecord of `PredictionLog` protos (tensorflow_serving/apis). The package tensorflow-serving-api,
which defines these protos, requires another TensorFlow. A request has five fields, which are
encoded here as number, length and bytes (protobuf's wire type 2):

  PredictionLog.predict_log = 6        PredictLog.request = 1
  PredictRequest.model_spec = 1        ModelSpec.signature_name = 3
  PredictRequest.inputs = 2            map entry: key = 1, value = 2 (a TensorProto)
"""

from __future__ import annotations

import json
import os
from typing import Any

import tensorflow as tf

from a2d_tf.core.errors import InputError
from a2d_tf.core.files import check_place, whole_folder, write_json
from a2d_tf.serving.exported import FACTS, SAVED_MODEL
from a2d_tf.serving.served_network import INPUTS, OUTPUTS, SIGNATURES, ServedNetwork
from a2d_tf.training.run_folder import Run


def facts(run: Run) -> dict[str, Any]:
    """Return the contents of `a2d_tf.json`."""
    model, inference = run.config.model, run.config.inference
    boxes_alone = not (model.use_mask or model.use_refiner)
    return {
        "labels": json.loads(run.network.labels.to_json()),
        "base": run.network.labels.base,
        **run.records,
        "frames": model.frames,
        "use_flow": model.use_flow,
        "label_mode": model.label_mode,
        "canvas": list(run.network.image_size),
        "score_threshold": inference.score_threshold,
        "paint": inference.paint,
        "precision": run.config.compute.precision,
        "checkpoint": os.path.basename(run.checkpoint),
        "inputs": INPUTS,
        "outputs": OUTPUTS,
        "signatures": SIGNATURES,
        **({"boxes_alone": True} if boxes_alone else {}),  # masks fill their boxes
    }


def place_of(output: str, version: int | None = None) -> str:
    """Return the folder of an export: `output`, or that of a version in it.

    Raises:
      InputError: it is neither new nor empty nor an older export, or `output` is an export itself.
    """
    if version and os.path.isfile(os.path.join(output, SAVED_MODEL)):
        raise InputError(
            f"{output}: is a SavedModel itself; for --version give another --output, of which "
            "each version is a subfolder"
        )
    place = os.path.join(output, str(version)) if version else output
    check_place(place, (SAVED_MODEL, FACTS), "export")
    return place


def export(
    run: Run, output: str, warm_up: bool = False
) -> dict[str, tf.types.experimental.ConcreteFunction]:
    """Write a run as a SavedModel folder, whole or not at all; an older export is replaced.

    Args:
      run: the loaded run.
      output: the folder.
      warm_up: whether to add `assets.extra/tf_serving_warmup_requests`.

    Returns:
      {name: concrete function} of the signatures.

    Raises:
      InputError: something else is at `output`, or the folder cannot be written.
    """
    place_of(output)
    served = ServedNetwork(run.network, run.config.inference, run.records["clip_stride"])
    signatures = served.signatures()
    try:
        with whole_folder(output) as new:
            tf.saved_model.save(served, new, signatures=signatures)
            write_json(os.path.join(new, FACTS), facts(run))
            if warm_up:
                size = run.records["image_height"], run.records["image_width"]
                _write_warmup(new, signatures, run.config.model.frames, size)
    except tf.errors.OpError as error:
        raise InputError(f"{output}: cannot be written ({error})") from error
    return signatures


def _write_warmup(folder, signatures, frames, size):
    """Write one request per signature for clips of so many frames of (height, width)."""
    path = os.path.join(folder, "assets.extra", "tf_serving_warmup_requests")
    os.makedirs(os.path.dirname(path))
    with tf.io.TFRecordWriter(path) as writer:
        for name, function in signatures.items():
            parts = [_field(1, _field(3, name.encode()))]
            for spec in tf.nest.flatten(function.structured_input_signature):
                value = _value(spec, frames, size).SerializeToString()
                parts.append(_field(2, _field(1, spec.name.encode()) + _field(2, value)))
            writer.write(_field(6, _field(1, b"".join(parts))))


def _field(number, data):
    length, rest = b"", len(data)
    while rest > 127:
        length, rest = length + bytes([rest & 127 | 128]), rest >> 7
    return bytes([number << 3 | 2]) + length + bytes([rest]) + data


def _value(spec, frames, size):
    """A black clip, the state before a video, or `size` itself, as a TensorProto of few bytes."""
    shape = spec.shape.as_list()
    free = {2: [1, frames], 4: [1, *size], 5: [1, frames, *size]} if None in shape[1:] else {}
    free = iter(free.get(len(shape), [1]))
    shape = [next(free) if side is None else side for side in shape]
    # A proto without values is all zeros, and its last value holds to the end.
    value = tf.make_tensor_proto([], spec.dtype, [0])
    value.tensor_shape.CopyFrom(tf.TensorShape(shape).as_proto())
    if spec.name == "size":
        value.int_val.extend(size)
    if spec.dtype == tf.string:
        black = tf.io.encode_jpeg(tf.zeros([*size, 3], tf.uint8))
        value.string_val.append(black.numpy())
    return value
