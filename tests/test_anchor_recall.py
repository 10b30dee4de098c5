"""Recall of anchors over the boxes of records, and its lines."""

import numpy as np

from a2d_tf.data.inspection import anchor_recall
from a2d_tf.data.records import ClipTruth

SIZES = ((8, 16), (32,), (64,), (128,), (256,))


def boxes_of(*corners, native=(128, 256)):
    """Boxes on a canvas of 128 x 128 of a frame of `native`, given in native pixels."""
    boxes = anchor_recall.Boxes((128, 128))
    corners = np.float32(corners).reshape(-1, 4)
    codes, label_map = np.full(len(corners), 11, np.int32), np.zeros(native, np.uint8)
    boxes.add(
        ClipTruth("v", 1, "train", np.array([1]), native, (1, 1), corners, codes, [], label_map)
    )
    return boxes


def test_boxes_are_those_of_the_canvas():
    boxes = boxes_of([0, 0, 32, 32], [64, 100, 96, 132])
    np.testing.assert_allclose(boxes.sides(), [16, 16])
    # The second is centred at (40, 58) of the canvas, two pixels from the anchor there; the first
    # at (8, 8), where an anchor is.
    np.testing.assert_allclose(boxes.overlaps(SIZES), [1, 14 / 18])


def test_no_anchor_is_centred_in_the_padding():
    # The frame fills the canvas's upper half: the last centres are at 60 of 64 pixels.
    boxes = boxes_of([112, 0, 128, 16])
    np.testing.assert_allclose(boxes.overlaps(SIZES), [1])
    boxes = boxes_of([120, 4, 128, 12])  # 4 x 4 at (60..64, 2..6): within the anchor of 8
    np.testing.assert_allclose(boxes.overlaps(SIZES), [16 / 64])


def test_the_text_has_the_recall_by_size():
    boxes = boxes_of([0, 0, 32, 32], [64, 100, 96, 132], [64, 64, 72, 72], native=(128, 256))
    assert anchor_recall.text(boxes, {"8+16": SIZES, "16": ((16,), *SIZES[1:])}) == [
        "anchors 8+16: 7164 on 128x128",
        "  side, pixels      boxes   IoU >= 0.5   IoU >= 0.7",
        "  all                   3       66.7 %       66.7 %",
        "  0 to 8                1        0.0 %        0.0 %",
        "  16 to 32              2      100.0 %      100.0 %",
    ] + [
        "anchors 16: 4092 on 128x128",
        "  side, pixels      boxes   IoU >= 0.5   IoU >= 0.7",
        "  all                   3       66.7 %       66.7 %",
        "  0 to 8                1        0.0 %        0.0 %",
        "  16 to 32              2      100.0 %      100.0 %",
    ]


def test_no_boxes_and_no_anchors():
    assert anchor_recall.text(boxes_of(), {}) == []
    assert len(anchor_recall.text(boxes_of(), {"8+16": SIZES})) == 2
