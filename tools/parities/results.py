"""Metrics, streaming, the export and 16 bits, each against the plain way to the same result."""

from __future__ import annotations

import contextlib
import io
import pathlib
import tempfile
from collections.abc import Iterator

import coco_files
import numpy as np
import plain_detection
import tensorflow as tf
import tiny_network
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from a2d_tf.core.config import Config, InferenceConfig, LearningConfig
from a2d_tf.core.labels import A2D
from a2d_tf.evaluation import coco_eval, detection
from a2d_tf.evaluation.box_data import Truth
from a2d_tf.evaluation.coco_results import Results
from a2d_tf.serving import export_folder
from a2d_tf.serving.served_network import ServedNetwork
from a2d_tf.training.run_folder import Run
from tools.parities.comparison import RELATIVE, Comparison, relative

_FACTS = {"flow_method": "dis", "image_height": 64, "image_width": 96, "clip_stride": 1}
_SETTINGS = InferenceConfig(
    test_proposals=30, proposals_before_nms=200, max_detections=8, score_threshold=0.2
)
_LEARNING = LearningConfig(roi_samples=16, train_proposals=20, rpn_samples=32)
_SHARPER = {"actor_logits": 20.0, "action_logits": 4.0, "mask_logits": 30.0}


def compare() -> Iterator[Comparison]:
    """Yield the rows."""
    points = "percentage points"
    yield Comparison("AP of instances", "pycocotools on files", _coco(), 1e-6, points)
    yield Comparison(
        "box metrics, all label modes", "the benchmark's rules in loops", _boxes(), 1e-6, points
    )
    network = _network()
    streamed, exported = _streamed(network), _exported(network)
    stage = "outputs of each frame, streaming"
    yield Comparison(stage, "the network on the frame's clip", streamed, 1e-5, RELATIVE)
    yield Comparison("outputs of a SavedModel", "the network", exported, 1e-4, RELATIVE)
    loss, exact = _gradients("float32")
    for precision in ("mixed_bfloat16", "mixed_float16"):
        near, rounded = _gradients(precision)
        cosine = rounded @ exact / np.linalg.norm(rounded) / np.linalg.norm(exact)
        stage = f"`{precision}`, loss of a step"
        yield Comparison(stage, "float32", abs(near - loss) / loss, 0.02, "of the loss")
        stage = f"`{precision}`, gradient of a step"
        yield Comparison(stage, "float32", float(1 - cosine), 0.01, "1 - cosine")


def _coco():
    largest = 0.0
    for seed in range(3):
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            paths = coco_files.random_files(pathlib.Path(folder), seed)
            truth = Truth.load(paths[0], coco_files.SPACE, with_masks=True)
            ours = coco_eval.metrics_of(Results.load(paths[1], truth, coco_files.SPACE), truth)
            true = COCO(str(paths[0]))
            found = true.loadRes(str(paths[1]))
            for kind, name in (("box", "bbox"), ("mask", "segm")):
                evaluation = COCOeval(true, found, name)
                evaluation.evaluate()
                evaluation.accumulate()
                evaluation.summarize()
                theirs = 100 * evaluation.stats[:3]
                mine = [ours[kind][metric] for metric in ("ap", "ap50", "ap75")]
                largest = max(largest, float(np.abs(theirs - mine).max()))
    return largest


def _boxes():
    largest = 0.0
    overrides = ((), ("joint_scores",), ("joint_scores", "joint_boxes"))
    for seed, names in enumerate(overrides):
        case = plain_detection.random_case(A2D, seed, names)
        ours = plain_detection.flatten(detection.metrics_of(*case, A2D))
        theirs = plain_detection.flatten(plain_detection.slow_metrics_of(*case, A2D))
        largest = max(largest, *(abs(ours[key] - theirs[key]) for key in theirs))
    return largest


def _network():
    """A network of random weights whose outputs differ from frame to frame."""
    network = tiny_network.make(anchor_sizes="24,32,48,56,64")
    for weight in network.variables:
        for name, factor in _SHARPER.items():
            if name in weight.name and "kernel" in weight.name:
                weight.assign(weight * factor)
    return network


def _streamed(network):
    """Differences of a frame's outputs, by its neighbours' features and by its clip."""
    served, length = ServedNetwork(network, _SETTINGS), network.model_config.frames
    clip = {name: tf.constant(x) for name, x in tiny_network.clip(1, 6).items()}
    features = [served.frame(**{name: x[:, t] for name, x in clip.items()}) for t in range(6)]
    largest, size = 0.0, tf.constant(tiny_network.CANVAS)
    for first in range(6 - length + 1):
        window = features[first : first + length]
        stacked = {name: tf.stack([f[name] for f in window], axis=1) for name in window[0]}
        ours = served.key_frame(stacked, size)
        theirs = served.serve(**{name: x[:, first : first + length] for name, x in clip.items()})
        largest = max(largest, _outputs(ours, theirs))
    return largest


def _exported(network):
    """Differences of a SavedModel's outputs from the network's own."""
    config = Config(network.model_config, _SETTINGS)
    clip = {name: tf.constant(x) for name, x in tiny_network.clip(2, 3).items()}
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/saved_model"
        export_folder.export(Run(config, network, _FACTS, "random"), path)
        loaded = tf.saved_model.load(path)
        ours = loaded.signatures["serving_default"](**clip)
    size = tf.constant([tiny_network.CANVAS] * 2)
    theirs = network.inference(_SETTINGS)({**clip, "size": size})["detections"]
    return _outputs(ours, {name: theirs[name] for name in theirs if name in ours})


def _outputs(ours, theirs):
    if not int(tf.reduce_min(theirs["num_detections"])):
        raise RuntimeError("nothing was found, so that nothing is compared")
    return relative((ours[name] for name in theirs), theirs.values())


def _gradients(precision):
    """The loss of one batch and its gradient as one vector."""
    network = tiny_network.make(precision=precision, norm="frozen_bn", flow_norm="group_norm")
    network.set_phase("joint")
    return tiny_network.gradients(network, _LEARNING)
