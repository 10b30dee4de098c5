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
import statistics
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.core.machine import devices
from a2d_tf.core.settings.config import (
    ComputeConfig,
    InferenceConfig,
    ModelConfig,
    TrainingConfig,
)
from a2d_tf.model.inference import infer
from a2d_tf.model.network import Network
from a2d_tf.serving.folding import fold_norms
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


class _Side(NamedTuple):
    """Whose network is measured, and in which precision."""

    library: str
    precision: str = "float32"


_OURS = _Side("ours")
_OURS_IN_16_BITS = _Side("ours", "mixed_bfloat16")
_TORCHVISION = _Side("torchvision")


def run(options: measure.Options) -> measure.Report:
    """Measure inference and training of our network and of torchvision's, in all cases.

    Args:
      options: the options; `small` takes the smallest network, and small counts.
    """
    devices.prepare()
    tf.keras.utils.set_random_seed(0)  # how many boxes random weights propose is chance
    model = _SMALL if options.small else _MODEL
    counts = _SMALL_COUNTS if options.small else _COUNTS
    labels = LabelSpace.from_fields({"actors": [*A2D.actors], "actions": ["one"]})
    # As many instances as there shall be positive RoIs: random weights propose none.
    batches = {}
    for sample in counts.samples:
        batches[sample.positives] = setups.batch(model, 1, sample.positives)
    peak_name = "peak"
    candidates: dict[Any, Callable[[], float]] = {
        peak_name: measure.peak(options.small)
    }
    for side in (_OURS, _OURS_IN_16_BITS):
        network = Network(model, labels, ComputeConfig(side.precision))
        for case in _ours(network, batches, counts):
            candidates[side, case.name] = measure.stopwatch(case.call)
    if peers.available():
        for case in _torchvision(model, batches, counts):
            call = peers.waiting(case.call)
            candidates[_TORCHVISION, case.name] = measure.stopwatch(call)
    seconds = measure.alternate(options.rounds, candidates)
    peak = seconds.pop(peak_name)  # GFLOP/s
    work = _work(network, counts)
    rows = []
    for name, gflop in work.items():
        rates = [gflop / s for s in seconds[_OURS, name]]
        of_peak = f"{name}, of the peak"
        rows.append(
            measure.compare(of_peak, "GFLOP/s", rates, peak, higher_is_better=True)
        )
        for side in (_OURS, _OURS_IN_16_BITS):
            row_name = name
            if side is _OURS_IN_16_BITS:
                row_name = f"{name}, bfloat16"
            ours = _ms(seconds[side, name])
            if (_TORCHVISION, name) in seconds:
                peer = _ms(seconds[_TORCHVISION, name])
                rows.append(measure.compare(row_name, "ms", ours, peer))
            else:
                rows.append(measure.Row(row_name, "ms", statistics.median(ours)))
    return measure.Report(rows, {"gflop": work, "peak": peak, **peers.versions()})


def _work(network, counts):
    """Return the GFLOP of each case, by its name."""
    work = {}
    for number in counts.detections:
        gflop = setups.gflop(network, rois=counts.proposals, masks=number)
        work[_inference_name(number)] = gflop
    for sample in counts.samples:
        gflop = setups.gflop(network, rois=sample.rois, masks=sample.positives)
        work[sample.name] = 3 * gflop  # the backward pass counts twice
    return work


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
    served = fold_norms(network)
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
    """Yield the cases of torchvision's network, as `_ours` does.

    Each case has a network of its own, with the same weights.
    """
    pixels = next(iter(batches.values()))["rgb"].numpy()[0].astype(np.float32) / 255
    images = [peers.maps(pixels)[0].contiguous()]
    for number in counts.detections:
        yield _torchvision_inference(config, images, number, counts.proposals)
    for sample in counts.samples:
        truth = [peers.truth(batches[sample.positives], 0)]
        yield _torchvision_training(config, images, truth, sample, counts.proposals)


def _torchvision_network(config, proposals, **inference):
    """Return torchvision's network with so many proposals of a frame."""
    peers.torch.manual_seed(0)
    network = peers.mask_rcnn(
        config,
        TrainingConfig(
            train_proposals=proposals, train_proposals_before_nms=_PER_LEVEL
        ),
        InferenceConfig(
            test_proposals=proposals,
            proposals_before_nms=_PER_LEVEL,
            nms_threshold=_NMS,
            **inference,
        ),
        len(A2D.actors),
    )
    network.transform.postprocess = lambda result, *_: result
    return network


def _torchvision_inference(config, images, number, proposals):
    """Return the case of so many detections."""
    network = _torchvision_network(
        config, proposals, max_detections=number, score_threshold=0.0
    ).eval()
    last_call = peers.watch(network)

    def detect():
        with peers.torch.inference_mode():
            return network(images)

    detect()
    # Ours suppresses among the best ten per detection; so shall torchvision.
    threshold = peers.score_at(last_call["logits"], rank=10 * number)
    network.roi_heads.score_thresh = threshold
    (detections,) = detect()
    _require("torchvision: proposals", last_call["rois"], proposals)
    _require("torchvision: detections", len(detections["boxes"]), number)
    return _Case(_inference_name(number), detect)


def _torchvision_training(config, images, truth, sample, proposals):
    """Return the case of a training step."""
    network = _torchvision_network(config, proposals).train()
    sampler = network.roi_heads.fg_bg_sampler
    sampler.batch_size_per_image = sample.rois
    # It rounds the number of positives down.
    sampler.positive_fraction = (sample.positives + 0.5) / sample.rois
    last_call = peers.watch(network)
    optimizer = peers.torch.optim.SGD(
        network.parameters(), lr=0.0, momentum=0.9, weight_decay=1e-4
    )

    def learn():
        optimizer.zero_grad(set_to_none=True)
        losses = network(images, truth)
        sum(losses.values()).backward()
        optimizer.step()

    learn()
    _require("torchvision: RoIs", last_call["rois"], sample.rois)
    _require("torchvision: masks", last_call["masks"], sample.positives)
    return _Case(sample.name, learn)
