"""Suite `nms`: from the proposal network's output to regions of interest.

What is timed is the best anchors' choice, their boxes and the suppression, as in the network. The
peers do the same but for the last step. A frame is one stream's backbone, less than any network.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from a2d_tf.core import devices
from a2d_tf.core.labels import A2D
from a2d_tf.model import fpn
from a2d_tf.model.network import Network
from tools.benchmarks import backbone, inputs, measure, peers

_KEPT = 1000
_IOU = 0.7
_SHARE = 0.01  # of a frame
_BOXES = 2000, 10000  # the second is the default of inference


def run(options: dict) -> tuple[list[dict], dict]:
    """Rows and details; `small`: 50 and 100 boxes, a network of the smallest size."""
    devices.prepare()
    config = backbone.SMALL if options["small"] else backbone.ONE_STREAM
    network = Network(config, A2D)
    size = config.image_height, config.image_width
    rng = np.random.default_rng(0)
    count = len(network.anchors)
    outputs = (
        tf.constant(rng.normal(size=(1, count)), tf.float32),
        tf.constant(rng.normal(0, 0.1, (1, count, 4)), tf.float32),
    )
    candidates = {
        "peak": measure.peak(options["small"]),
        "frame": measure.stopwatch(
            backbone.forward(network.towers, tf.constant(inputs.frames(1, *size)))
        ),
    }
    numbers, counts = (50, 100) if options["small"] else _BOXES, {}
    for number in numbers:
        ways = _ways(network, outputs, number)
        counts[number] = {name: call() for name, call in ways.items()}
        for name, call in ways.items():
            candidates[name, number] = measure.stopwatch(call, 7)
    results = measure.alternate(options["rounds"], candidates)

    work = measure.gflop(network.towers)
    rows = [measure.peak_row("a frame", work, results["frame"], results["peak"])]
    for number in numbers:
        seconds, limit = results["ours", number], [_SHARE * s for s in results["frame"]]
        label = f"top-k and NMS of {number} boxes"
        rows.append(measure.time_row(f"{label}, 1 % of a frame", seconds, limit, 1.0))
        for name in ("tf.image.non_max_suppression", "torchvision"):
            if (name, number) in results:
                rows.append(measure.time_row(f"{label}, {name}", seconds, results[name, number]))
    return rows, {"kept": counts, "peak": results["peak"], **peers.versions()}


def _ways(network, outputs, number):
    """{name: call without arguments that returns how many boxes are kept}."""
    logits, deltas = outputs
    size = tf.constant([network.image_size])
    ours = tf.function(
        lambda: fpn.propose(
            logits,
            deltas,
            network.anchors,
            size,
            coder=network.rpn_coder,
            before_nms=number,
            after_nms=_KEPT,
            iou_threshold=_IOU,
        )
    )

    @tf.function
    def best():
        scores, index = tf.math.top_k(logits[0], number)
        boxes = network.rpn_coder.decode(
            tf.gather(deltas[0], index), tf.gather(network.anchors, index)
        )
        return tf.clip_by_value(boxes, 0.0, tf.cast(tf.tile(size, [1, 2]), tf.float32)), scores

    @tf.function
    def single():
        return tf.image.non_max_suppression(*best(), _KEPT, _IOU)

    ways = {
        "ours": lambda: int(tf.math.count_nonzero(ours()[1])),
        "tf.image.non_max_suppression": lambda: len(single()),
    }
    if peers.available():
        ways["torchvision"] = peers.waiting(_torchvision(network, outputs, number))
    return ways


def _torchvision(network, outputs, number):
    torch, device = peers.torch, peers.device()
    logits, deltas = (torch.from_numpy(x.numpy()[0]).to(device) for x in outputs)
    y1, x1, y2, x2 = np.asarray(network.anchors).T
    anchors = torch.from_numpy(np.stack([x1, y1, x2, y2], axis=1)).to(device)
    # Its coder has the order dx, dy, dw, dh.
    deltas = deltas[:, [1, 0, 3, 2]]
    coder = peers.BoxCoder(network.rpn_coder.weights)

    def call():
        with torch.inference_mode():
            scores, index = logits.topk(number)
            boxes = coder.decode_single(deltas[index], anchors[index])
            boxes = peers.torchvision.ops.clip_boxes_to_image(boxes, network.image_size)
            return len(peers.torchvision.ops.nms(boxes, scores, _IOU)[:_KEPT])

    return call
