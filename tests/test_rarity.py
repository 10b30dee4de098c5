"""Labels that are rare or absent, the motion of instances, and the learning curve, in literals."""

import numpy as np
import pytest

from a2d_tf.core.labels import LabelSpace
from a2d_tf.data.inspection import learning_curve, motion, rarity
from a2d_tf.data.inspection.rarity import Presence
from a2d_tf.data.inspection.summary import Summary

SPACE = LabelSpace(("box", "disc"), ("bounce", "slide"), (11, 12, 21, 22))


def summary(codes):
    """A Summary of {code: (instances, videos)}."""
    made = Summary()
    for code, (instances, videos) in codes.items():
        made.pairs[code] = instances
        made.pair_videos[code] = {f"v{i}" for i in range(videos)}
    return made


def found(test=None):
    splits = {"train": summary({11: (40, 8), 12: (12, 2), 21: (9, 5)})}
    if test:
        splits["test"] = summary(test)
    return rarity.presences(splits, SPACE)


def test_labels_are_counted_with_the_videos_that_they_share():
    assert found({11: (3, 1), 21: (1, 1)}) == [
        Presence("actor", "box", 52, 8, 3),
        Presence("actor", "disc", 9, 5, 1),
        Presence("action", "bounce", 49, 8, 4),
        Presence("action", "slide", 12, 2, 0),
        Presence("pair", "box-bounce", 40, 8, 3),
        Presence("pair", "box-slide", 12, 2, 0),
        Presence("pair", "disc-bounce", 9, 5, 1),
        Presence("pair", "disc-slide", 0, 0, 0),
    ]


def test_the_text_says_what_is_rare_absent_and_unscored():
    lines = rarity.text(found({11: (3, 1), 21: (1, 1)}), tested=True)
    assert lines == [
        "too rare to learn, actors in fewer than 3 training videos or with fewer than 10 "
        "instances: disc (9 in 5 videos)",
        "too rare to learn, actions in fewer than 3 training videos or with fewer than 10 "
        "instances: slide (12 in 2 videos)",
        "not measured, actions without an instance in the test split, each an AP of 0 in the mAP: "
        "slide",
        "too rare to learn, pairs in fewer than 3 training videos or with fewer than 10 "
        "instances: box-slide (12 in 2 videos), disc-bounce (9 in 5 videos)",
        "never learned, pairs without an instance in training: disc-slide; annotate some, or leave "
        "them out of the labels",
        "not measured, pairs without an instance in the test split, each an AP of 0 in the mAP: "
        "box-slide",
    ]


def test_without_a_test_split_nothing_is_listed_as_unscored():
    lines = rarity.text(found(), tested=False)
    assert lines[-1] == "no test split: nothing will say how well it works"
    assert not any(line.startswith("not measured") for line in lines)


def test_many_names_are_cut():
    names = [Presence("pair", f"p{i}", 0, 0, 1) for i in range(14)]
    (line,) = rarity.text(names, tested=True)
    assert "p0, p1, " in line and ", p11 and 2 more;" in line


def test_speeds_are_means_over_the_masks():
    flow = np.zeros((2, 3, 2))
    flow[0, 0], flow[0, 1] = [3, 4], [0, 1]
    masks = np.zeros((3, 2, 3), np.uint8)
    masks[0, 0, :2] = masks[1, 1, 2] = 1
    assert motion.speeds(flow, masks) == [3.0, 0.0]


@pytest.mark.parametrize(
    "speeds, stride, expected",
    [
        ([0.3], 1, 2),
        ([0.2, 0.2, 9.0], 1, 3),
        ([0.06], 1, 4),
        ([2.0], 1, 1),
        ([2.0], 3, 3),
        ([0.01], 1, 1),
        ([], 2, 2),
    ],
)
def test_the_stride_moves_the_median_instance_half_a_pixel(speeds, stride, expected):
    assert motion.clip_stride(speeds, stride) == expected


def test_the_curve_is_read_between_its_points():
    curve = {8: 0.0, 32: 20.0, 128: 30.0}
    expected = [learning_curve.expected(n, curve) for n in (2, 8, 16, 32, 64, 128, 1000)]
    np.testing.assert_allclose(expected, [0, 0, 10, 20, 25, 30, 30])
    assert learning_curve.enough(curve) == 128
    assert learning_curve.enough({8: 0.0, 32: 27.0, 128: 30.0}) == 32


def test_frames_are_judged_by_the_pair():
    curve = {43: 10.0, 430: 30.0}
    few, many = (learning_curve.text(frames, 4, curve) for frames in (4, 40))
    assert few.startswith("4 annotated frames for 4 pairs are likely to be too few: ")
    assert "was about 10 %; with the most tried, 40 frames for 4 pairs, 30 %; nine" in few
    assert many.startswith("40 annotated frames for 4 pairs are likely to be enough: ")
