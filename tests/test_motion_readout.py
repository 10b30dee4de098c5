"""Actions read from motion maps: pooled in boxes, in the answer, not trained."""

import numpy as np
import pytest
import tensorflow as tf
import tiny_network
from test_inference import softmax

from a2d_tf.core.labels import A2D
from a2d_tf.model.inference import infer
from a2d_tf.model.readout import readout as readouts
from a2d_tf.model.readout.box_halves import average_motion_map
from a2d_tf.ops import motion_maps
from a2d_tf.training.step import phases

MOTION = dict(action_backbone="i3d", flow_histograms=True)
SIZES = np.int32([[160, 224], [160, 192]])
"""Of the motion frames of a batch of two."""


def made(**model):
    return tiny_network.make(readout=True, use_flow=False, temporal_layers=0, **model)


def random_maps(sizes=SIZES, seed=0):
    """Positive maps of a batch, padded with a value that must not be read."""
    rng = np.random.default_rng(seed)
    maps = {}
    for motion_map in (*motion_maps.BACKBONE_MAPS["i3d"], motion_maps.FLOW_HISTOGRAMS):
        heights, widths = (sizes // motion_map.stride).T
        shape = (len(sizes), heights.max(), widths.max(), motion_map.channels)
        values = rng.random(shape, np.float32)
        for row, (height, width) in enumerate(zip(heights, widths)):
            values[row, height:] = 9.0
            values[row, :, width:] = 9.0
        maps[motion_map.name] = values
    return maps


def bilinear(values, y, x):
    """A value between cells; the outer cells also hold beyond their centres."""
    height, width = values.shape[:2]
    y = min(max(y, 0), height - 1)
    x = min(max(x, 0), width - 1)
    top, left = int(y), int(x)
    down, right = min(top + 1, height - 1), min(left + 1, width - 1)
    upper = values[top, left] * (left + 1 - x) + values[top, right] * (x - left)
    lower = values[down, left] * (left + 1 - x) + values[down, right] * (x - left)
    return upper * (top + 1 - y) + lower * (y - top)


def slow_pool(values, box, inside, stride):
    """Means over the upper and the lower half of a box, at 8 x 8 points, [2, C].

    Args:
      values: of the frame alone, [h, w, C].
    """
    height, width = np.array(values.shape[:2])
    corners = box / np.tile(inside, 2) * np.array([height, width] * 2) - 0.5
    corners = np.clip(corners, 0, [height - 1, width - 1] * 2)
    points = []
    for y in np.linspace(corners[0], corners[2], 8):
        points.append(
            [bilinear(values, y, x) for x in np.linspace(corners[1], corners[3], 8)]
        )
    return np.reshape(points, [2, 32, -1]).mean(axis=1)


def pooled_by_hand(maps, name, boxes, inside, sizes=SIZES):
    """The features that the readout takes of a map, [B, N, 2, C]."""
    kinds = (*motion_maps.BACKBONE_MAPS["i3d"], motion_maps.FLOW_HISTOGRAMS)
    stride = {kind.name: kind.stride for kind in kinds}[name]
    rows = []
    for values, size, own_boxes, frame in zip(maps[name], sizes, boxes, inside):
        values = values[: size[0] // stride, : size[1] // stride].astype(float)
        halves = [slow_pool(values, box, frame, stride) for box in own_boxes]
        if name == "flow_histograms":
            heights = (own_boxes[:, 2] - own_boxes[:, 0]) / frame[0]
            heights = np.maximum(heights, 1e-3)  # of rows without an instance
            halves = np.sqrt(halves / heights[:, None, None])
        rows.append(halves)
    return np.array(rows)


def test_a_motion_map_is_averaged_over_halves_of_boxes_where_its_frame_is():
    """Whatever the canvas, its padding and that of the maps."""
    maps = random_maps()
    inside = np.int32([[64, 90], [60, 72]])
    boxes = np.float32(
        [[[8, 10, 40, 50], [0, 0, 64, 90]], [[30, 60, 60, 72], [2, 3, 4, 5]]]
    )
    groups = motion_maps.groups("i3d", flow_histograms=True)
    head = readouts.Readout(A2D, tiny_network.CANVAS, groups)
    assert [x.name for x in head.motion_maps] == [*maps]
    for motion_map in head.motion_maps:
        pooled = average_motion_map(
            motion_map,
            tf.constant(maps[motion_map.name]),
            tf.constant(boxes),
            inside=tf.constant(inside),
            size=tf.constant(SIZES),
        )
        expected = pooled_by_hand(maps, motion_map.name, boxes, inside)
        np.testing.assert_allclose(pooled, expected, rtol=1e-4)


def test_the_histograms_of_a_movement_do_not_depend_on_the_distance():
    """An actor of half the height moves half as many pixels."""
    groups = motion_maps.groups("", flow_histograms=True)
    (motion_map,) = groups["flow_histograms"]
    values = np.full((1, 20, 28, 27), 0.5, np.float32)
    values[:, :, 14:] = 0.25
    boxes = np.float32([[[0, 0, 32, 32], [8, 64, 24, 80], [9, 9, 9, 9]]])
    near, far, empty = average_motion_map(
        motion_map, values, boxes, inside=np.int32([[64, 96]]), size=SIZES[:1]
    )[0].numpy()
    np.testing.assert_allclose(near, np.ones((2, 27)), rtol=1e-6)
    np.testing.assert_allclose(far, np.ones((2, 27)), rtol=1e-6)
    assert np.isfinite(empty).all()  # of a row without an instance


@pytest.mark.slow
def test_actions_are_linear_in_what_is_read_of_motion_maps():
    network = made(**MOTION)
    maps = random_maps()
    clip = tiny_network.clip(2, 1)
    clip.update(maps, motion_size=SIZES, size=np.int32([[64, 90], [60, 72]]))
    answer = tf.function(lambda: infer(network, clip, tiny_network.INFERENCE))
    before = answer().table

    rng = np.random.default_rng(0)
    kernels = {}
    for motion_map in network.readout.motion_maps:
        scale = 1 / motion_map.channels
        kernels[motion_map.name] = rng.normal(0, scale, (2 * motion_map.channels, 9))
    network.motion_readout.assign(kernels)
    found = answer()
    number = found.valid.numpy().sum(axis=1)
    assert number.min() >= 2
    boxes = found.rois.numpy()
    logits = 0.0
    for name, kernel in kernels.items():
        pooled = pooled_by_hand(maps, name, boxes, clip["size"])
        features = pooled.reshape(*boxes.shape[:2], -1)  # upper half, then lower
        logits = logits + features @ kernel
    # The order of instances is that of their actors, which motion says nothing of.
    np.testing.assert_array_equal(found.table.actor_scores, before.actor_scores)
    for b, count in enumerate(number):
        usual = np.log(before.action_scores[b, :count].numpy())
        actions = found.table.action_scores[b, :count].numpy()
        moved = softmax(usual + logits[b, :count])
        shares = actions / actions.sum(axis=1)[:, None]
        np.testing.assert_allclose(shares, moved, rtol=2e-3)
        assert abs(actions - np.exp(usual)).max() > 0.01


@pytest.mark.slow
def test_the_parts_for_motion_come_last_and_do_not_train():
    usual = made()
    network = made(**MOTION)
    assert [*usual.parts(), "action_backbone", "motion_readout"] == [*network.parts()]
    for name, part in usual.parts().items():
        for old, new in zip(part.weights, network.parts()[name].weights):
            np.testing.assert_array_equal(old, new)
    phases.set_phase(usual, "joint")
    phases.set_phase(network, "joint")
    names = [variable.name for variable in network.trainable_weights]
    assert names == [variable.name for variable in usual.trainable_weights]
    alone = made(flow_histograms=True)
    assert alone.action_backbone is None
    assert [*alone.parts()] == [*usual.parts(), "motion_readout"]
    assert alone.clip_fields == ["rgb", "flow_histograms", "motion_size"]


@pytest.mark.slow
def test_the_action_backbone_makes_the_maps_that_are_read():
    network = made(**MOTION)
    frames = np.zeros((1, 32, 64, 96, 3), np.uint8)
    shapes = {}
    for motion_map in motion_maps.BACKBONE_MAPS["i3d"]:
        stride, channels = motion_map.stride, motion_map.channels
        shape = (1, 32 // motion_map.frames, 64 // stride, 96 // stride, channels)
        shapes[motion_map.name] = shape
    maps = network.action_backbone(frames)
    assert {name: tuple(values.shape) for name, values in maps.items()} == shapes
    logits = network.motion_readout(maps)
    assert {name: tuple(values.shape) for name, values in logits.items()} == {
        name: (*shape[:-1], 18) for name, shape in shapes.items()
    }


@pytest.mark.slow
def test_motion_is_read_in_float32_in_any_precision():
    """So that what is fitted and what records hold is what is read."""
    rng = np.random.default_rng(0)
    values = {"mixed_4f": rng.random((1, 2, 3, 832), np.float32)}
    frames = rng.integers(0, 256, (1, 8, 32, 32, 3), np.uint8)
    kernel = rng.normal(size=(2 * 832, 9))
    logits = []
    features = []
    for precision in ("float32", "mixed_bfloat16"):
        network = made(precision=precision, **MOTION)
        network.motion_readout.assign({"mixed_4f": kernel})
        logits.append(network.motion_readout(values)["mixed_4f"])
        features.append(network.action_backbone(frames)["mixed_5c"])
    for usual, mixed in (logits, features):
        assert mixed.dtype == tf.float32
        np.testing.assert_array_equal(usual, mixed)
