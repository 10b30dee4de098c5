"""Clips on the canvas: resized with all their parts, and padded."""

import numpy as np
import pytest
from scenes import NOTHING, box_around, clip_of

from a2d_tf.data.batches import padding


def pad(clip, **sizes):
    return padding.pad({**clip, "annotated": True}, frames=3, base=10, **sizes)


def test_resizing_scales_all_parts_to_the_canvas():
    made = padding.resize(clip_of(), (16, 40))
    assert made["rgb"].shape == (3, 16, 24, 3)
    assert made["boxes"].numpy().tolist() == [[4, 6, 10, 15]]
    assert box_around(made["masks"][0].numpy()) == [4, 6, 10, 15]
    np.testing.assert_allclose(made["flow"][0, 7, 10], [1, -0.5], atol=1e-5)
    assert box_around(made["rgb"][0, ..., 0].numpy() > 127) == [4, 6, 10, 15]


def test_padding_keeps_the_largest_instances_first():
    boxes = np.float32([[0, 0, 4, 4], [0, 0, 10, 10], [0, 0, 6, 6]])
    masks = np.stack([np.full((32, 48), i, np.uint8) for i in (1, 2, 3)])
    clip = clip_of(boxes=boxes, masks=masks, codes=np.int32([11, 43, 79]))
    made = pad(clip, canvas=(40, 50), max_instances=2)
    assert made["boxes"].numpy().tolist() == [[0, 0, 10, 10], [0, 0, 6, 6]]
    assert made["actors"].numpy().tolist() == [3, 6]
    assert made["actions"].numpy().tolist() == [2, 8]
    assert made["masks"][:, 0, 0].numpy().tolist() == [2, 3]
    assert made["present"].numpy().tolist() == [True, True]


def test_padding_fills_the_canvas_and_keeps_the_sizes():
    made = pad(clip_of(), canvas=(40, 50), max_instances=2)
    assert made["rgb"].shape == (3, 40, 50, 3) and made["flow"].shape == (3, 40, 50, 2)
    assert made["size"].numpy().tolist() == [32, 48]
    assert made["native_size"].numpy().tolist() == [320, 480]


@pytest.mark.parametrize(
    "instances, count",
    [pytest.param({}, 1, id="one"), pytest.param(NOTHING, 0, id="none")],
)
def test_absent_rows_are_zero(instances, count):
    made = pad(clip_of(**instances), canvas=(32, 48), max_instances=3)
    assert made["present"].numpy().tolist() == [i < count for i in range(3)]
    present = [[8, 12, 20, 30]] * count
    assert made["boxes"].numpy().tolist() == present + [[0] * 4] * (3 - count)
    assert made["masks"].shape == (3, 32, 48)
    assert not made["masks"][count:].numpy().any()
