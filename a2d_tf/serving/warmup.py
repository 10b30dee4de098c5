"""Warm-up requests, which TensorFlow Serving answers before it offers a model to clients.

They lie in the SavedModel as a TFRecord of `PredictionLog` protos (tensorflow_serving/apis). The
package tensorflow-serving-api, which defines these protos, requires another TensorFlow. A request
has five fields, which are encoded here as number, length and bytes (protobuf's wire type 2):

  PredictionLog.predict_log = 6        PredictLog.request = 1
  PredictRequest.model_spec = 1        ModelSpec.signature_name = 3
  PredictRequest.inputs = 2            map entry: key = 1, value = 2 (a TensorProto)
"""

from __future__ import annotations

import os

import tensorflow as tf

PLACE = os.path.join("assets.extra", "tf_serving_warmup_requests")


def write(folder: str, signatures: dict, frames: int, size: tuple[int, int]) -> None:
    """Write one request per signature into a SavedModel's folder.

    Args:
      folder: of the SavedModel.
      signatures: {name: concrete function}, inputs as in `serving.SIGNATURES`.
      frames: T of a clip.
      size: (height, width) of the frames.
    """
    path = os.path.join(folder, PLACE)
    os.makedirs(os.path.dirname(path))
    with tf.io.TFRecordWriter(path) as writer:
        for name, function in signatures.items():
            specs = function.structured_input_signature
            specs = {spec.name: spec for spec in tf.nest.flatten(specs)}
            writer.write(request(name, {k: _value(s, frames, size) for k, s in specs.items()}))


def request(signature: str, inputs: dict) -> bytes:
    """Serialise a PredictionLog.

    Args:
      signature: name.
      inputs: {name: TensorProto}.
    """
    parts = [_field(1, _field(3, signature.encode()))]
    for name, value in inputs.items():
        parts.append(_field(2, _field(1, name.encode()) + _field(2, value.SerializeToString())))
    return _field(6, _field(1, b"".join(parts)))


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
