"""RoIAlign, suppression, anchors and box coder against torchvision's."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from a2d_tf.model import fpn
from a2d_tf.ops import anchors, roi_align
from a2d_tf.ops.boxes import BoxCoder
from tools.benchmarks import inputs, peers
from tools.parities.comparison import RELATIVE, Comparison, relative

_XY = [1, 0, 3, 2]
_IMAGE = (256, 320)
_KEPT, _IOU = 300, 0.7


def compare() -> Iterator[Comparison]:
    """Yield the rows; they need torchvision."""
    for name in roi_align.IMPLEMENTATIONS:
        stage = f"RoIAlign 7x7, four levels, `{name}`"
        yield _row(stage, "torchvision, aligned", lambda name=name: _roi_align(name), 5e-5)
    yield _row("suppression of proposals", "torchvision", _suppression, 0, "boxes that differ")
    yield _row("anchors", "torchvision, which rounds to pixels", _anchors, 0.5, "pixels")
    for stage, function in (("deltas of boxes", _encoding), ("boxes of deltas", _decoding)):
        yield _row(stage, "torchvision", function, 1e-5)


def _row(stage, oracle, function, bound, unit=RELATIVE):
    difference = function() if peers.torch is not None else None
    return Comparison(stage, oracle, difference, bound, unit)


def _boxes(count, seed=0):
    return inputs.boxes(count, *_IMAGE, least=6, most=250, seed=seed)


def _roi_align(implementation):
    rng = np.random.default_rng(0)
    pyramid = [
        rng.normal(size=(1, _IMAGE[0] // stride, _IMAGE[1] // stride, 8)).astype(np.float32)
        for stride in anchors.STRIDES[:4]
    ]
    rois = tf.constant(_boxes(200))
    levels = roi_align.assign_levels(rois, 4).numpy()
    ours = roi_align.roi_align(
        [tf.constant(x) for x in pyramid],
        rois[None],
        size=7,
        flavour="aligned",
        image_size=_IMAGE,
        implementation=implementation,
    ).numpy()[0]
    theirs = np.zeros_like(ours)
    for level, feature in enumerate(pyramid):
        here = levels == level
        cells = peers.torchvision.ops.roi_align(
            peers.maps(feature).contiguous(),
            [peers.torch.from_numpy(rois.numpy()[here][:, _XY])],
            7,
            0.25 / 2**level,
            sampling_ratio=2,
            aligned=True,
        )
        theirs[here] = cells.numpy().transpose(0, 2, 3, 1)
    return relative([ours], [theirs])


def _suppression():
    """Boxes among the best that only one of the two keeps."""
    coder, given = BoxCoder((1.0, 1.0, 1.0, 1.0)), _boxes(2000)
    scores = np.random.default_rng(1).normal(size=len(given)).astype(np.float32)
    rois, valid = fpn.propose(
        tf.constant(scores[None]),
        tf.zeros([1, len(given), 4]),
        given,
        tf.constant([_IMAGE]),
        coder=coder,
        before_nms=len(given),
        after_nms=_KEPT,
        iou_threshold=_IOU,
    )
    ours = rois.numpy()[0][valid.numpy()[0]]
    theirs = given[peers.numpy_nms(given[:, _XY], scores, _IOU)[:_KEPT]]
    count = min(len(ours), len(theirs))
    different = np.abs(ours[:count] - theirs[:count]).max(axis=1) > 1e-3
    return float(different.sum() + abs(len(ours) - len(theirs)))


def _anchors():
    """Ours in torchvision's order: level, row, column, ratio, width before height."""
    sizes = (16, 32, 64, 128, 256)
    shapes = [(-(-_IMAGE[0] // s), -(-_IMAGE[1] // s)) for s in anchors.STRIDES]
    ours = anchors.generate(shapes, anchors.STRIDES, sizes)
    # Their ratio is height / width.
    ratios = tuple(1 / ratio for ratio in anchors.RATIOS)
    generator = peers.AnchorGenerator([(side,) for side in sizes], [ratios] * 5)
    images = peers.torchvision.models.detection.image_list.ImageList(
        peers.torch.zeros(1, 3, *_IMAGE), [_IMAGE]
    )
    maps = [peers.torch.zeros(1, 1, *shape) for shape in shapes]
    theirs = generator(images, maps)[0].numpy()[:, _XY]
    return float(np.abs(ours - theirs).max())


def _encoding():
    boxes, references = _boxes(300), _boxes(300, seed=1)
    weights = (10.0, 10.0, 5.0, 5.0)
    ours = BoxCoder(weights).encode(tf.constant(boxes), tf.constant(references)).numpy()
    tensors = [peers.torch.from_numpy(x[:, _XY].copy()) for x in (boxes, references)]
    theirs = peers.BoxCoder(weights).encode_single(*tensors).numpy()[:, _XY]
    return relative([ours], [theirs])


def _decoding():
    references, weights = _boxes(300), (10.0, 10.0, 5.0, 5.0)
    # Some beyond the largest scale, which both bound.
    deltas = np.random.default_rng(2).normal(0, 6, (300, 4)).astype(np.float32)
    ours = BoxCoder(weights).decode(tf.constant(deltas), tf.constant(references)).numpy()
    tensors = [peers.torch.from_numpy(x[:, _XY].copy()) for x in (deltas, references)]
    theirs = peers.BoxCoder(weights).decode_single(*tensors).numpy()[:, _XY]
    return relative([ours], [theirs])
