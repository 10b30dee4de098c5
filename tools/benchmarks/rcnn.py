"""Suite `rcnn`: the detector (boxes, actors, masks of one frame) against torchvision's Mask R-CNN.

Both have the same anchors and layers, work on as many proposals and RoIs, and detect as much: that
is checked. What only one of them does stays out: torchvision's resizing of the input and pasting
of masks into the image; our actions (a label space with one action, cartesian, has no head for it).
"""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from a2d_tf.core import devices
from a2d_tf.core.config import ComputeConfig, InferenceConfig, LearningConfig, ModelConfig
from a2d_tf.core.labels import A2D
from a2d_tf.model.network import Network
from a2d_tf.pretrained import coco_classes
from a2d_tf.serving.folding import folded
from tools.benchmarks import inputs, measure, peers, setups

_SIZES = (32, 64, 128, 256, 512)  # of torchvision's anchors
_FULL = ModelConfig(
    image_height=320,
    image_width=576,
    use_flow=False,
    temporal_layers=0,
    label_mode="cartesian",
    rpn_channels=256,
    anchor_sizes=",".join(map(str, _SIZES)),
)
_SMALL = dataclasses.replace(
    _FULL,
    image_height=64,
    image_width=96,
    backbone="resnet14",
    width_multiplier=0.125,
)
_PER_LEVEL = 1000  # best anchors of each level that torchvision suppresses
_DETECTIONS = {100: 1.8, 10: 1.35}  # how many -> goal
_SAMPLES = {64: 22, 512: 128}  # RoIs a frame -> positives: the authors', torchvision's
_TRAINING_GOAL = 1.3
_HALF = ", bfloat16"
_HALF_GOAL = 2.4
_NMS = 0.5


@dataclasses.dataclass(frozen=True)
class _Counts:
    """What must be equal."""

    proposals: int
    detections: tuple = tuple(_DETECTIONS)
    samples: tuple = tuple(_SAMPLES.items())


def run(options: dict) -> tuple[list[dict], dict]:
    """Rows and details; `small`: a network of the smallest size, 20 proposals, 10 detections."""
    devices.prepare()
    tf.keras.utils.set_random_seed(0)  # how many boxes random weights propose is chance
    small = options["small"]
    config = _SMALL if small else _FULL
    counts = _Counts(20, (10,), ((8, 2),)) if small else _Counts(1000)
    labels = coco_classes.label_space(A2D.actors, "one")
    networks = {
        suffix: Network(config, labels, ComputeConfig(precision, "auto"))
        for suffix, precision in (("", "float32"), (_HALF, "mixed_bfloat16"))
    }
    # As many instances as there shall be positive RoIs: random weights propose none.
    batches = {
        positives: inputs.labelled(
            1, 1, config.image_height, config.image_width, instances=positives
        )
        for _, positives in counts.samples
    }

    candidates = {"peak": measure.peak(small)}
    for suffix, network in networks.items():
        candidates.update(_ours(network, suffix, batches, counts))
    if peers.available():
        candidates.update(_peers(config, batches, counts, small))
    results = measure.alternate(options["rounds"], candidates)

    rows, done, peaks = [], {}, results["peak"]
    network = networks[""]
    for number in counts.detections:
        done[f"inference, {number} detections"] = (
            _gflop(network, counts.proposals, number),
            _DETECTIONS[number],
        )
    for number, positives in counts.samples:
        name = f"training, {number} RoIs, {positives} masks"
        done[name] = 3 * _gflop(network, number, positives), _TRAINING_GOAL
    for name, (gflop, goal) in done.items():
        seconds = results["ours", name]
        rows.append(measure.peak_row(name, gflop, seconds, peaks))
        peer = results.get(("torchvision", name))
        rows.append(measure.time_row(name, seconds, peer, goal))
        rows.append(measure.time_row(name + _HALF, results["ours", name + _HALF], peer, _HALF_GOAL))
    details = {name: gflop for name, (gflop, _) in done.items()}
    return rows, {"gflop": details, "peak": peaks, **peers.versions()}


def _gflop(network, rois, masks):
    return sum(setups.gflop(network, rois, masks).values())


def _require(what, found, wanted):
    if found != wanted:
        raise RuntimeError(f"{what}: {found} instead of {wanted}, so that no ratio would mean much")


def _ours(network, suffix, batches, counts):
    candidates, used = {}, folded(network)
    batch = next(iter(batches.values()))
    frame = {"rgb": batch["rgb"], "size": batch["size"]}
    for number in counts.detections:
        settings = InferenceConfig(
            test_proposals=counts.proposals,
            proposals_before_nms=4 * counts.proposals,
            score_threshold=0,
            nms_threshold=_NMS,
            max_detections=number,
        )
        call = tf.function(used.inference(settings))
        outputs = call(frame)
        _require(
            "proposals", int(tf.reduce_sum(tf.cast(outputs["valid"], tf.int32))), counts.proposals
        )
        _require("detections", int(outputs["detections"]["num_detections"][0]), number)
        candidates["ours", f"inference, {number} detections{suffix}"] = measure.stopwatch(
            lambda call=call: call(frame)
        )
    for number, positives in counts.samples:
        # A rate of zero: the update is computed, and the next call works on the same weights.
        config = LearningConfig(
            roi_samples=number,
            positive_fraction=positives / number,
            train_proposals=counts.proposals,
            learning_rate=0.0,
            warmup_steps=0,
        )
        step = setups.make_step(network, config)[1]
        batch, zero = batches[positives], tf.constant(0, tf.int64)
        _require("positive RoIs", round(float(step(batch, zero)["positives"])), positives)
        name = f"training, {number} RoIs, {positives} masks{suffix}"
        candidates["ours", name] = measure.stopwatch(
            lambda step=step, batch=batch, zero=zero: step(batch, zero)
        )
    return candidates


def _peers(config, batches, counts, small):
    torch = peers.torch
    size = config.image_height, config.image_width
    pixels = next(iter(batches.values()))["rgb"].numpy()[0].astype(np.float32) / 255
    images = [peers.maps(pixels)[0].contiguous()]
    targets = {positives: [peers.targets(batch)] for positives, batch in batches.items()}
    # One model, whose settings are those of the call.
    model = peers.mask_rcnn(
        "resnet18" if small else "resnet101",
        len(A2D.actors),
        _SIZES,
        size,
        per_level=_PER_LEVEL,
        proposals=counts.proposals,
        nms_threshold=_NMS,
    )
    seen = peers.watch(model)
    candidates = {}

    def detect(number):
        peers.detecting(model, number, thresholds[number])
        with torch.inference_mode():
            return model(images)

    thresholds = dict.fromkeys(counts.detections, 0.0)
    model.eval()
    for number in counts.detections:
        detect(number)
        # Ours suppresses the best ten per wanted detection; so shall it.
        thresholds[number] = peers.score_of(seen["logits"], 10 * number)
        found = detect(number)
        _require("torchvision: proposals", seen["rois"], counts.proposals)
        _require("torchvision: detections", len(found[0]["boxes"]), number)
        candidates["torchvision", f"inference, {number} detections"] = measure.stopwatch(
            peers.waiting(lambda number=number: (model.eval(), detect(number)))
        )

    opt = torch.optim.SGD(model.parameters(), lr=0.0, momentum=0.9, weight_decay=1e-4)

    def learn(number, positives):
        model.train()
        peers.sampling(model, number, positives)
        opt.zero_grad(set_to_none=True)
        sum(model(images, targets[positives]).values()).backward()
        opt.step()

    for number, positives in counts.samples:
        learn(number, positives)
        _require("torchvision: RoIs", seen["rois"], number)
        _require("torchvision: masks", seen["masks"], positives)
        name = f"training, {number} RoIs, {positives} masks"
        candidates["torchvision", name] = measure.stopwatch(
            peers.waiting(lambda n=number, p=positives: learn(n, p))
        )
    return candidates
