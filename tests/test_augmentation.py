"""Augmentation: one map for all parts of a clip, and what it drops."""

import numpy as np
import pytest
import tensorflow as tf
from scenes import NOTHING, box_around, clip_of, rectangle

from a2d_tf.core.settings.config import TrainingConfig
from a2d_tf.data.batches import augmentation
from a2d_tf.data.batches.augmentation import Tint, View

NO_TINT = Tint(0.0, 0.0)


def view(window, is_mirrored=False, size=(32, 48)):
    return View(
        tf.constant(size, tf.float32),
        tf.constant(window, tf.float32),
        tf.constant(is_mirrored),
    )


def shown(clip, view):
    """The parts of a clip in a view."""
    return {
        "rgb": view.frames(clip["rgb"]).numpy(),
        "flow": view.flow(clip["flow"]).numpy(),
        "boxes": view.boxes(clip["boxes"]).numpy(),
        "masks": view.masks(clip["masks"]).numpy(),
    }


def augment(clip, seed, **changes):
    off = dict(flip=False, scale_jitter=0.0, colour_jitter=0.0)
    training = TrainingConfig(**{**off, **changes})
    return augmentation.augment(clip, tf.constant(seed, tf.int64), training)


def random_clip():
    rng = np.random.default_rng(0)
    return {
        "rgb": rng.integers(0, 256, (3, 20, 31, 3), np.uint8),
        "flow": rng.normal(0, 5, (3, 20, 31, 2)).astype(np.float32),
        "boxes": np.float32([[1, 2, 7.5, 9]]),
        "masks": rng.integers(0, 2, (1, 20, 31), np.uint8),
    }


def assert_same_parts(made, expected):
    for name, part in expected.items():
        np.testing.assert_allclose(made[name], part, atol=2e-5)
        assert made[name].dtype == part.dtype


def test_the_whole_frame_is_the_identity():
    clip = random_clip()
    assert_same_parts(shown(clip, view([0, 0, 20, 31], size=(20, 31))), clip)


def test_the_whole_frame_mirrored_is_its_mirror():
    clip = random_clip()
    mirrored = {
        "rgb": clip["rgb"][:, :, ::-1],
        "flow": clip["flow"][:, :, ::-1] * np.float32([-1, 1]),
        "boxes": np.float32([[1, 22, 7.5, 29]]),
        "masks": clip["masks"][:, :, ::-1],
    }
    whole = view([0, 0, 20, 31], is_mirrored=True, size=(20, 31))
    assert_same_parts(shown(clip, whole), mirrored)


@pytest.mark.parametrize(
    "window, is_mirrored, box, vector",
    [
        pytest.param(
            [4, 8, 16, 24], False, [8, 8, 32, 44], [4, -2], id="twice as large"
        ),
        pytest.param([4, 8, 16, 24], True, [8, 4, 32, 40], [-4, -2], id="mirrored"),
        pytest.param(
            [8, 12, 8, 24], False, [0, 0, 48, 36], [4, -4], id="4 times taller"
        ),
    ],
)
def test_a_window_enlarges_all_parts(window, is_mirrored, box, vector):
    made = shown(rectangle(), view(window, is_mirrored))
    np.testing.assert_allclose(made["boxes"], [box], atol=1e-4)
    visible = [*box[:2], min(box[2], 32), box[3]]
    assert box_around(made["masks"][0]) == visible
    assert box_around(made["rgb"][1, ..., 0] > 127) == visible
    np.testing.assert_allclose(made["flow"][1, 20, 24], vector, atol=1e-4)


def test_half_of_the_clips_are_mirrored():
    clip = clip_of()
    left_edges = []
    for i in range(30):
        left_edges.append(float(augment(clip, [1, i], flip=True)["boxes"][0, 1]))
    assert set(left_edges) == {12.0, 18.0}
    assert 8 <= left_edges.count(12.0) <= 22


def test_instances_cut_away_are_dropped_with_all_their_parts():
    boxes = np.float32(
        [
            [2, 2, 10, 10],  # whole
            [20, 30, 30, 40],  # outside
            [15, 4, 31, 20],  # one sixteenth is left, too little
            [12, 4, 32, 20],  # a fifth is left
            [4, 23.5, 8, 24.5],  # half is left, but one pixel wide after the zoom
        ]
    )
    masks = np.zeros((5, 32, 48), np.uint8)
    for mask, (y1, x1, y2, x2) in zip(masks, np.round(boxes).astype(int)):
        mask[y1:y2, x1:x2] = 1
    clip = clip_of(boxes=boxes, masks=masks, codes=np.int32([11, 21, 34, 43, 54]))
    made = augmentation.change(clip, view([0, 0, 16, 24]), NO_TINT)
    assert made["codes"].numpy().tolist() == [11, 43]
    left = [[4, 4, 20, 20], [24, 8, 32, 40]]
    np.testing.assert_allclose(made["boxes"], left, atol=1e-4)
    assert [box_around(mask) for mask in made["masks"].numpy()] == left


@pytest.mark.parametrize(
    "instances, window, annotated",
    [
        pytest.param({}, [0, 0, 32, 48], True, id="in sight"),
        pytest.param(NOTHING, [0, 0, 32, 48], True, id="none, as the record says"),
        pytest.param({}, [24, 36, 8, 12], False, id="out of sight: a part may be seen"),
    ],
)
def test_background_is_known_where_all_instances_are(instances, window, annotated):
    made = augmentation.change(clip_of(**instances), view(window), NO_TINT)
    assert made["annotated"].numpy() == annotated


def test_a_tint_leaves_what_lies_outside_the_frame():
    clip = clip_of(rgb=np.full((3, 32, 48, 3), 100, np.uint8))
    inside = np.zeros((32, 48), bool)
    inside[8:24, 12:36] = True
    tint = Tint(contrast=0.1, brightness=-0.05)
    made = augmentation.change(clip, view([-16, -24, 64, 96]), tint)
    rgb = made["rgb"].numpy()
    assert not rgb[:, ~inside].any()
    assert (rgb[:, inside] == 104).all()  # 100 * 1.1 - 128 * 0.05, rounded


def test_each_clip_has_a_tint_of_its_own():
    clip = clip_of(rgb=np.full((3, 32, 48, 3), 100, np.uint8))
    tints = set()
    for i in range(6):
        rgb = augment(clip, [0, i], colour_jitter=0.2)["rgb"].numpy()
        tints.add(int(rgb[0, 16, 24, 0]))
        assert (rgb == rgb[0, 16, 24, 0]).all()
    assert len(tints) > 4
