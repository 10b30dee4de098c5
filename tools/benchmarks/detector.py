"""Suite `detector`: one frame, against torchvision's Mask R-CNN.

Both predict boxes, actors and masks. They have the same anchors and layers, and the
suite checks that they work on the same number of proposals and RoIs and detect the same
number of instances. What only one of them does is left out: torchvision's resizing of
the input and pasting of masks into the image, and our actions (a cartesian label space
with one action has no action head).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from a2d_tf.core import devices
from a2d_tf.core.config import (
    ComputeConfig,
    InferenceConfig,
    ModelConfig,
    TrainingConfig,
)
from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.model.inference import infer
from a2d_tf.model.network import Network
from a2d_tf.serving.served_network import folded
from tools.benchmarks import measure, peers, setups

_MODEL = ModelConfig(
    image_height=320,
    image_width=576,
    use_flow=False,
    temporal_layers=0,
    label_mode="cartesian",
    rpn_channels=256,
    anchor_sizes="32,64,128,256,512",  # torchvision's
)
_SMALL = dataclasses.replace(
    _MODEL, image_height=64, image_width=96, backbone="resnet14", width_multiplier=0.125
)
_HALF = ", bfloat16"
_NMS = 0.5
_PER_LEVEL = 1000  # best anchors of each level, among which torchvision suppresses


class _Sample(NamedTuple):
    """The RoIs that a training step samples from a frame; each positive has a mask."""

    rois: int
    positives: int

    @property
    def name(self):
        return f"training, {self.rois} RoIs, {self.positives} masks"


@dataclasses.dataclass(frozen=True)
class _Counts:
    """The numbers that must be equal on both sides.

    Attributes:
      proposals: of a frame.
      detections: of a frame; each number is measured.
      samples: of a frame; each is measured.
    """

    proposals: int
    detections: tuple[int, ...]
    samples: tuple[_Sample, ...]


_COUNTS = _Counts(
    proposals=1000,
    detections=(100, 10),
    samples=(
        _Sample(64, positives=22),  # the authors'
        _Sample(512, positives=128),  # torchvision's
    ),
)
_SMALL_COUNTS = _Counts(
    proposals=20, detections=(10,), samples=(_Sample(8, positives=2),)
)


class _Case(NamedTuple):
    """What is measured: a name, and a call that was checked to work on the counts."""

    name: str
    call: Callable[[], Any]


def run(options: dict) -> tuple[list[dict], dict]:
    """Return rows and details; `small`: the smallest network, and small counts."""
    devices.prepare()
    tf.keras.utils.set_random_seed(0)  # how many boxes random weights propose is chance
    small = options["small"]
    model = _SMALL if small else _MODEL
    counts = _SMALL_COUNTS if small else _COUNTS
    labels = LabelSpace.from_fields({"actors": [*A2D.actors], "actions": ["one"]})
    # As many instances as there shall be positive RoIs: random weights propose none.
    batches = {}
    for sample in counts.samples:
        batches[sample.positives] = setups.batch(model, 1, sample.positives)
    candidates: dict[Any, Callable[[], float]] = {"peak": measure.peak(small)}
    for suffix, precision in (("", "float32"), (_HALF, "mixed_bfloat16")):
        network = Network(model, labels, ComputeConfig(precision))
        for case in _ours(network, batches, counts):
            candidates["ours", case.name + suffix] = measure.stopwatch(case.call)
    if peers.available():
        for case in _torchvision(model, batches, counts):
            call = peers.waiting(case.call)
            candidates["torchvision", case.name] = measure.stopwatch(call)
    seconds = measure.alternate(options["rounds"], candidates)
    peak = seconds["peak"]  # GFLOP/s

    work = {}
    for number in counts.detections:
        gflop = setups.gflop(network, rois=counts.proposals, masks=number)
        work[_inference_name(number)] = gflop
    for sample in counts.samples:
        gflop = setups.gflop(network, rois=sample.rois, masks=sample.positives)
        work[sample.name] = 3 * gflop  # the backward pass counts twice
    rows = []
    for name, gflop in work.items():
        rates = [gflop / s for s in seconds["ours", name]]
        rows.append(
            measure.row(
                f"{name}, of the peak", "GFLOP/s", rates, peak, higher_is_better=True
            )
        )
        peer = None
        if ("torchvision", name) in seconds:
            peer = _ms(seconds["torchvision", name])
        for suffix in ("", _HALF):
            ours = _ms(seconds["ours", name + suffix])
            rows.append(measure.row(name + suffix, "ms", ours, peer))
    return rows, {"gflop": work, "peak": peak, **peers.versions()}


def _inference_name(detections):
    return f"inference, {detections} detections"


def _ms(seconds):
    return [1e3 * s for s in seconds]


def _require(what, number, required):
    if number != required:
        raise RuntimeError(
            f"{what}: {number} instead of {required}, so that no ratio would mean much"
        )


def _ours(network, batches, counts):
    """Yield the cases of our network.

    Args:
      batches: {number of instances: a batch of one clip with as many}.
    """
    served = folded(network)
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
        detect = tf.function(
            functools.partial(infer, served, settings=settings), autograph=False
        )
        outputs = detect(frame)
        proposals = int(tf.math.count_nonzero(outputs.valid))
        _require("proposals", proposals, counts.proposals)
        _require("detections", int(outputs.detections.number[0]), number)
        yield _Case(_inference_name(number), functools.partial(detect, frame))
    for sample in counts.samples:
        training = TrainingConfig(
            roi_samples=sample.rois,
            positive_fraction=sample.positives / sample.rois,
            train_proposals=counts.proposals,
            # The update is computed, and the next call works on the same weights.
            learning_rate=0.0,
            warmup_steps=0,
        )
        step = setups.make_step(network, training)
        batch = batches[sample.positives]
        positives = round(float(step(batch, 0)["positives"]))
        _require("positive RoIs", positives, sample.positives)
        yield _Case(sample.name, functools.partial(step, batch, 0))


def _torchvision(config, batches, counts):
    """Yield the cases of torchvision's network, as `_ours` does."""
    torch = peers.torch
    pixels = next(iter(batches.values()))["rgb"].numpy()[0].astype(np.float32) / 255
    images = [peers.maps(pixels)[0].contiguous()]
    targets = {}
    for positives, batch in batches.items():
        targets[positives] = [peers.truth(batch, 0)]
    torch.manual_seed(0)
    # One model; each call sets what differs between the cases.
    model = peers.mask_rcnn(
        config,
        TrainingConfig(
            train_proposals=counts.proposals, train_proposals_before_nms=_PER_LEVEL
        ),
        InferenceConfig(
            test_proposals=counts.proposals,
            proposals_before_nms=_PER_LEVEL,
            nms_threshold=_NMS,
        ),
        len(A2D.actors),
    )
    model.transform.postprocess = lambda result, *_: result
    heads = model.roi_heads
    last_call = peers.watch(model)

    def detect(number, score_threshold):
        model.eval()
        heads.detections_per_img = number
        heads.score_thresh = score_threshold
        with torch.inference_mode():
            return model(images)

    for number in counts.detections:
        detect(number, 0.0)
        # Ours suppresses among the best ten per detection; so shall torchvision.
        threshold = peers.score_at(last_call["logits"], rank=10 * number)
        detections = detect(number, threshold)
        _require("torchvision: proposals", last_call["rois"], counts.proposals)
        _require("torchvision: detections", len(detections[0]["boxes"]), number)
        call = functools.partial(detect, number, threshold)
        yield _Case(_inference_name(number), call)

    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.0, momentum=0.9, weight_decay=1e-4
    )

    def learn(sample):
        model.train()
        sampler = heads.fg_bg_sampler
        sampler.batch_size_per_image = sample.rois
        # It rounds the number of positives down.
        sampler.positive_fraction = (sample.positives + 0.5) / sample.rois
        optimizer.zero_grad(set_to_none=True)
        losses = model(images, targets[sample.positives])
        sum(losses.values()).backward()
        optimizer.step()

    for sample in counts.samples:
        learn(sample)
        _require("torchvision: RoIs", last_call["rois"], sample.rois)
        _require("torchvision: masks", last_call["masks"], sample.positives)
        yield _Case(sample.name, functools.partial(learn, sample))
