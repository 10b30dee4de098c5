"""The pyramid, the proposal head's order, and proposals against a plain suppression."""

import numpy as np
import pytest
import tensorflow as tf
from plain_detection import slow_iou
from tiny_network import normal

from a2d_tf.model import fpn
from a2d_tf.model.heads.proposals import Proposals
from a2d_tf.model.structures import Features
from a2d_tf.ops import anchors as anchor_ops
from a2d_tf.ops.boxes import BoxCoder

SHAPES = [(16, 24), (8, 12), (4, 6), (2, 3)]
UNIT = BoxCoder((1.0, 1.0, 1.0, 1.0))


def test_upsample_gathers_the_gradient_of_its_four_copies():
    x, weight = tf.constant(normal(2, 3, 4, 5)), normal(2, 6, 8, 5, seed=1)
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(fpn.upsample(x) * weight)
    expected = weight.reshape(2, 3, 2, 4, 2, 5).sum(axis=(2, 4))
    np.testing.assert_allclose(tape.gradient(total, x), expected, rtol=1e-5, atol=1e-5)


def test_pyramid_against_a_plain_composition():
    tf.keras.utils.set_random_seed(0)
    inputs = [tf.keras.Input([*shape, 4 * 2**i]) for i, shape in enumerate(SHAPES)]
    model = tf.keras.Model(inputs, fpn.fpn(inputs, 8, "net"))
    maps = [normal(2, *x.shape[1:], seed=i) for i, x in enumerate(inputs)]
    made = model(maps)
    assert [tuple(p.shape) for p in made] == [(2, *shape, 8) for shape in SHAPES]
    top = 0.0
    for level in (3, 2, 1, 0):
        lateral, output = (
            model.get_layer(f"net_{name}{level + 2}")
            for name in (f"c{level + 2}p", "p")
        )
        top = top + np.einsum("bhwi,io->bhwo", maps[level], lateral.kernel[0, 0])
        expected = tf.nn.conv2d(tf.constant(top, tf.float32), output.kernel, 1, "SAME")
        np.testing.assert_allclose(made[level], expected, atol=2e-4)
        top = top.repeat(2, axis=1).repeat(2, axis=2)


def test_proposal_head_is_in_the_order_of_the_anchors_and_shares_the_largest():
    """The fine level has two sizes; the coarse level has the outputs of the larger."""
    tf.keras.utils.set_random_seed(0)
    shapes, strides, sizes = [(3, 4), (2, 2)], (4, 8), [(8, 16), (32,)]
    inputs = [tf.keras.Input([*shape, 6]) for shape in shapes]
    anchors = anchor_ops.generate(shapes, strides, sizes)
    model = tf.keras.Model(
        inputs, Proposals(anchors, sizes, UNIT).build_layers(inputs, 8)
    )
    maps = [normal(2, *shape, 6, seed=i) for i, shape in enumerate(shapes)]
    logits, deltas = model(maps)
    assert logits.shape == (2, 12 * 6 + 4 * 3) and deltas.shape == (*logits.shape, 4)
    centres, sides = (
        (anchors[:, :2] + anchors[:, 2:]) / 2,
        anchors[:, 2:] - anchors[:, :2],
    )
    for level, (x, stride) in enumerate(zip(maps, strides)):
        hidden = model.get_layer("rpn_conv")(tf.constant(x))
        one = model.get_layer("rpn_logits")(hidden).numpy()
        four = model.get_layer("rpn_deltas")(hidden).numpy()
        own = [(size, ratio) for size in sizes[level] for ratio in (0.5, 1, 2)]
        for row, column in np.ndindex(*shapes[level]):
            for channel, (size, ratio) in enumerate(own, 6 - len(own)):
                # The anchor of that level, cell and shape is at the place where its
                # output is.
                wanted = np.float32([size / np.sqrt(ratio), size * np.sqrt(ratio)])
                near = np.abs(centres - [row * stride, column * stride]).max(1) < 1e-3
                near &= np.abs(sides - wanted).max(1) < 1e-3
                index, box = (
                    int(np.flatnonzero(near)[0]),
                    slice(4 * channel, 4 * channel + 4),
                )
                expected = one[:, row, column, channel], four[:, row, column, box]
                np.testing.assert_allclose(logits[:, index], expected[0], atol=1e-6)
                np.testing.assert_allclose(deltas[:, index], expected[1], atol=1e-6)


def plain_proposals(logits, deltas, anchors, size, before, after, threshold):
    """Faster R-CNN's proposals of one frame in numpy, box by box."""
    kept = []
    for index in np.argsort(-logits, kind="stable")[:before]:
        y1, x1, y2, x2 = anchors[index]
        dy, dx, dh, dw = deltas[index]
        cy, cx = (y1 + y2) / 2 + dy * (y2 - y1), (x1 + x2) / 2 + dx * (x2 - x1)
        h, w = (y2 - y1) * np.exp(dh), (x2 - x1) * np.exp(dw)
        y1, x1, y2, x2 = cy - h / 2, cx - w / 2, cy + h / 2, cx + w / 2
        y1, y2 = np.clip([y1, y2], 0, size[0])
        x1, x2 = np.clip([x1, x2], 0, size[1])
        if y2 - y1 < 1 or x2 - x1 < 1:
            continue
        if all(slow_iou((y1, x1, y2, x2), box) <= threshold for box in kept):
            kept.append((y1, x1, y2, x2))
    return kept[:after]


@pytest.mark.parametrize("before, after", [(400, 30), (25, 30), (400, 400)])
def test_proposals_against_a_plain_suppression(before, after):
    rng = np.random.default_rng(1)
    corners = rng.uniform(0, 80, (400, 2))
    anchors = np.concatenate(
        [corners, corners + rng.uniform(8, 40, (400, 2))], 1
    ).astype("f")
    logits, deltas = normal(2, 400), 0.2 * normal(2, 400, 4, seed=2)
    size = np.int32([[90, 100], [60, 50]])
    features = Features([], [], tf.constant(logits), tf.constant(deltas))
    head = Proposals(anchors, ((8.0,),), UNIT)
    rois, valid = head.decode(features, tf.constant(size), before, after)
    assert rois.shape == (2, after, 4) and valid.shape == (2, after)
    for b in range(2):
        expected = plain_proposals(
            logits[b], deltas[b], anchors, size[b], before, after, 0.7
        )
        assert 5 < len(expected)
        assert valid[b].numpy().tolist() == [i < len(expected) for i in range(after)]
        np.testing.assert_allclose(rois[b, : len(expected)], expected, atol=1e-3)
        assert not rois[b, len(expected) :].numpy().any()
        assert (rois[b].numpy() <= np.tile(size[b], 2)).all() and (
            rois[b].numpy() >= 0
        ).all()


def test_no_gradient_passes_the_proposals():
    logits, deltas = tf.constant(normal(1, 6)), tf.constant(normal(1, 6, 4))
    head = Proposals(np.float32([[0.0, 0, 9, 9]] * 6), ((8.0,),), UNIT)
    with tf.GradientTape() as tape:
        tape.watch([logits, deltas])
        features = Features([], [], logits, deltas)
        rois, _ = head.decode(features, tf.constant([[40, 40]]), 6, 3)
        total = tf.reduce_sum(rois)
    assert tape.gradient(total, [logits, deltas]) == [None, None]
