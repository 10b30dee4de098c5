"""Suite `detector`: boxes, actors and masks of one frame, against torchvision's Mask
R-CNN.

Both have the same anchors and layers, work on as many proposals and RoIs, and detect as
  much: that
is checked. What only one of them does stays out: torchvision's resizing of the input
and pasting of masks into the image; our actions (a label space with one action,
cartesian, has no head for it).
"""

from __future__ import annotations

import dataclasses
import functools

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
_PER_LEVEL = 1000  # best anchors of a level that torchvision suppresses


@dataclasses.dataclass(frozen=True)
class _Counts:
    """What must be equal: proposals, detections, and (RoIs a frame, positive ones)."""

    proposals: int = 1000
    detections: tuple[int, ...] = (100, 10)
    # the authors', torchvision's
    samples: tuple[tuple[int, int], ...] = ((64, 22), (512, 128))


def run(options: dict) -> tuple[list[dict], dict]:
    """Return rows and details; `small`: the smallest network, 20 proposals, 10
    detections.
    """
    devices.prepare()
    tf.keras.utils.set_random_seed(0)  # how many boxes random weights propose is chance
    small = options["small"]
    model = _SMALL if small else _MODEL
    counts = _Counts(20, (10,), ((8, 2),)) if small else _Counts()
    labels = LabelSpace.from_fields({"actors": [*A2D.actors], "actions": ["one"]})
    # As many instances as there shall be positive RoIs: random weights propose none.
    batches = {n: setups.batch(model, 1, n) for _, n in counts.samples}
    candidates = {"peak": measure.peak(small)}
    for suffix, precision in (("", "float32"), (_HALF, "mixed_bfloat16")):
        network = Network(model, labels, ComputeConfig(precision))
        for name, call in _ours(network, batches, counts):
            candidates["ours", name + suffix] = measure.stopwatch(call)
    if peers.available():
        for name, call in _torchvisions(model, batches, counts):
            candidates["torchvision", name] = measure.stopwatch(peers.waiting(call))
    results = measure.alternate(options["rounds"], candidates)

    work = {
        f"inference, {n} detections": setups.gflop(network, counts.proposals, n)
        for n in counts.detections
    }
    for rois, masks in counts.samples:
        work[f"training, {rois} RoIs, {masks} masks"] = 3 * setups.gflop(
            network, rois, masks
        )
    rows = []
    for name, gflop in work.items():
        seconds, peer = results["ours", name], results.get(("torchvision", name))
        rates, up = [gflop / s for s in seconds], {"higher_is_better": True}
        rows.append(
            measure.row(f"{name}, of the peak", "GFLOP/s", rates, results["peak"], **up)
        )
        for suffix in ("", _HALF):
            ours, theirs = _ms(results["ours", name + suffix]), peer and _ms(peer)
            rows.append(measure.row(name + suffix, "ms", ours, theirs))
    return rows, {"gflop": work, "peak": results["peak"], **peers.versions()}


def _ms(seconds):
    return [1e3 * s for s in seconds]


def _require(what, found, wanted):
    if found != wanted:
        raise RuntimeError(
            f"{what}: {found} instead of {wanted}, so that no ratio would mean much"
        )


def _ours(network, batches, counts):
    """Yield (name, call), checked to work on what it should."""
    used, batch = folded(network), next(iter(batches.values()))
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
            functools.partial(infer, used, settings=settings), autograph=False
        )
        outputs = detect(frame)
        _require(
            "proposals", int(tf.math.count_nonzero(outputs.valid)), counts.proposals
        )
        _require("detections", int(outputs.detections.number[0]), number)
        yield f"inference, {number} detections", lambda detect=detect: detect(frame)
    for number, positives in counts.samples:
        # A rate of zero: the update is computed, and the next call works on the same
        # weights.
        training = TrainingConfig(
            roi_samples=number,
            positive_fraction=positives / number,
            train_proposals=counts.proposals,
            learning_rate=0.0,
            warmup_steps=0,
        )
        step, batch = setups.make_step(network, training), batches[positives]
        _require("positive RoIs", round(float(step(batch, 0)["positives"])), positives)
        name = f"training, {number} RoIs, {positives} masks"
        yield name, lambda step=step, batch=batch: step(batch, 0)


def _torchvisions(config, batches, counts):
    """Yield (name, call), likewise."""
    torch = peers.torch
    pixels = next(iter(batches.values()))["rgb"].numpy()[0].astype(np.float32) / 255
    images = [peers.maps(pixels)[0].contiguous()]
    targets = {
        positives: [peers.truth(batch, 0)] for positives, batch in batches.items()
    }
    torch.manual_seed(0)
    # One model, whose other settings are those of the call.
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
    heads, seen = model.roi_heads, peers.watch(model)

    def detect(number, score_threshold):
        model.eval()
        heads.detections_per_img, heads.score_thresh = number, score_threshold
        with torch.inference_mode():
            return model(images)

    for number in counts.detections:
        detect(number, 0.0)
        # Ours suppresses the best ten per wanted detection; so shall it.
        threshold = peers.score_of(seen["logits"], 10 * number)
        found = detect(number, threshold)
        _require("torchvision: proposals", seen["rois"], counts.proposals)
        _require("torchvision: detections", len(found[0]["boxes"]), number)
        call = lambda number=number, threshold=threshold: detect(number, threshold)  # noqa: E731
        yield f"inference, {number} detections", call

    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.0, momentum=0.9, weight_decay=1e-4
    )

    def learn(number, positives):
        model.train()
        heads.fg_bg_sampler.batch_size_per_image = number
        # it rounds down
        heads.fg_bg_sampler.positive_fraction = (positives + 0.5) / number
        optimizer.zero_grad(set_to_none=True)
        sum(model(images, targets[positives]).values()).backward()
        optimizer.step()

    for number, positives in counts.samples:
        learn(number, positives)
        _require("torchvision: RoIs", seen["rois"], number)
        _require("torchvision: masks", seen["masks"], positives)
        call = lambda number=number, positives=positives: learn(number, positives)  # noqa: E731
        yield f"training, {number} RoIs, {positives} masks", call
