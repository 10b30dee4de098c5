"""Scores over time: literals, and tubes against slow loops from their definition."""

import collections

import numpy as np
import pytest
import track_cases
from track_cases import square, video

from a2d_tf.core.labels import A2D
from a2d_tf.evaluation import tracks as hota
from a2d_tf.evaluation.metrics import over_time as metrics
from a2d_tf.evaluation.tracks import KINDS, Frame, Objects, assign, of_class

ADULT_EATING, ADULT_RUNNING, CAT_EATING = 13, 17, 63
A, B = square(0, 0), square(12, 16)  # apart


@pytest.mark.parametrize(
    "scores, pairs",
    [
        ([[4, 5, 0], [3, 5, 0]], {(0, 0), (1, 1)}),  # 9, greedily 8
        ([[1], [3], [2]], {(1, 0)}),
        ([[-1, -2], [-1, -4]], {(0, 1), (1, 0)}),  # all are paired, also at a loss
        (np.zeros((0, 3)), set()),
    ],
)
def test_assignments_by_hand(scores, pairs):
    assert {*zip(*(side.tolist() for side in assign(np.array(scores, float))))} == pairs


def test_overlaps():
    large, small = square(0, 0, 10), square(0, 0, 4)
    truth = track_cases.objects((7, 11, large), (3, 12, small))
    predicted = track_cases.objects((1, 11, small, 0.5), (2, 12, large, 0.5), (4, 13, B, 0.9))
    frame = Frame(truth, predicted)
    assert frame.truth.areas.tolist() == [100, 16] and frame.found.areas.tolist() == [16, 100, 64]
    assert frame.overlaps.tolist() == [[16, 100, 0], [16, 16, 0]]
    assert frame.iou[0].tolist() == [0.16, 1, 0]
    assert Frame(Objects.none(), Objects.none()).overlaps.shape == (0, 0)


def test_the_objects_of_a_class():
    frames = [
        ([(5, ADULT_EATING, A), (6, CAT_EATING, B)], [(1, ADULT_EATING, A)]),
        ([(6, CAT_EATING, B)], []),
        ([(9, ADULT_EATING, A), (5, ADULT_RUNNING, B)], [(4, CAT_EATING, A), (8, 19, B)]),
    ]
    first, last = of_class(video(*frames), "actor", 1, A2D)
    assert (first.rows.tolist(), first.columns.tolist(), first.iou.tolist()) == ([0], [0], [[1]])
    assert (last.rows.tolist(), last.columns.tolist()) == ([1, 0], [1])
    assert last.iou.tolist() == [[0], [1]]


def half(mask):
    """The upper half of a square."""
    cut = mask.copy()
    cut[np.flatnonzero(mask.any(axis=1))[0] + 4 :] = False
    return cut


def test_hota_of_a_track_that_changes_its_number():
    """Four frames; the prediction is right, but its second half has another number."""
    frames = [([(1, 11, A)], [(5 if t < 2 else 6, 11, A)]) for t in range(4)]
    figures = metrics.metrics_of([video(*frames)], A2D)["any"]
    # Of 4 frames of the true track, 2 are with each predicted one: 2 / 4 for each match.
    assert figures["det_a"] == figures["loc_a"] == 100 and figures["ass_a"] == 50
    assert figures["hota"] == pytest.approx(100 * 0.5**0.5)
    assert (figures["idf1"], figures["idp"], figures["idr"]) == (50, 50, 50)
    # Tubes cover half of the true one, at IoU .5 a hit; the best is as good as the other.
    assert figures["tube_ap50"] == pytest.approx(100) and figures["tube_ap"] == pytest.approx(10)


def test_hota_of_masks_that_are_half_right():
    frames = [([(1, 11, A)], [(5, 11, half(A))]), ([], [(5, 11, A)]), ([(1, 11, B)], [])]
    matches = of_class(video(*frames), "any", 1, A2D)
    matched, missed, extra, *_ = hota.count(matches)
    reached = hota.ALPHAS <= 0.5  # IoU .5
    assert reached.sum() == 10
    assert matched.tolist() == reached.tolist() and missed[0] == extra[0] == 1
    assert missed[-1] == extra[-1] == 2
    figures = hota.class_figures([matches])
    assert figures["det_a"] == pytest.approx(100 * 10 / 19 / 3)
    assert figures["ass_a"] == pytest.approx(100 * 10 / 19 / 3)
    assert figures["loc_a"] == pytest.approx(100 * (10 * 0.5 + 9) / 19)  # 1 where none is matched
    nothing = {"hota": 0, "det_a": 0, "ass_a": 0, "loc_a": 100, "idf1": 0, "idp": 0, "idr": 0}
    assert hota.class_figures([]) == nothing


def test_identity_takes_one_track_for_each_object():
    frames = [([(1, 11, A)], [(2, 11, A)])] * 3 + [([(1, 11, A)], [(3, 11, A)])]
    frames += [([(1, 11, A)], [])] * 2
    figures = metrics.metrics_of([video(*frames)], A2D)["any"]
    assert figures["idr"] == pytest.approx(100 * 3 / 6) and figures["idp"] == 100 * 3 / 4
    assert figures["idf1"] == pytest.approx(100 * 6 / 10)


def slow_tube_ap(frames_of_videos, kind, threshold):
    """COCO's AP of tubes at an IoU by plain loops, percent."""

    def number(code):
        return {"any": 1, "actor": code // 10, "action": code % 10, "joint": code}[kind]

    true, found = (collections.defaultdict(lambda: ([], [])) for _ in range(2))
    for i, frames in enumerate(frames_of_videos):
        for t, sides in enumerate(frames):
            for tubes_of, side in zip((true, found), sides):
                for track, code, mask, *score in side:
                    if mask.any():
                        pixels, scores = tubes_of[number(code), i, track]
                        pixels += [(t, *place) for place in np.argwhere(mask).tolist()]
                        scores += score
    aps = []
    for label in {key[0] for key in true}:
        left = {key: set(value[0]) for key, value in true.items() if key[0] == label}
        count, ranked = len(left), []
        for key, (pixels, scores) in found.items():
            if key[0] == label:
                ranked.append((np.mean(scores), key[1], set(pixels)))
        hits = []
        for _, place, pixels in sorted(ranked, key=lambda row: -row[0]):
            ious = {
                key: len(other & pixels) / len(other | pixels)
                for key, other in left.items()
                if key[1] == place
            }
            best = max(ious, key=ious.get, default=None)
            hits.append(best is not None and ious[best] >= threshold)
            if hits[-1]:
                del left[best]
        recall = np.cumsum(hits) / count
        precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
        levels = [precision[recall >= level] for level in np.linspace(0, 1, 101)]
        aps.append(np.mean([part.max() if len(part) else 0 for part in levels]))
    return 100 * np.mean(aps)


@pytest.mark.parametrize("kind", KINDS)
def test_ap_of_tubes_agrees_with_loops(kind):
    above = 0
    for seed in range(2):
        videos, frames = track_cases.random_videos(seed, count=3)
        figures = metrics.tube_aps(videos, kind, A2D)
        each = [slow_tube_ap(frames, kind, t) for t in np.linspace(0.5, 0.95, 10)]
        assert figures == pytest.approx({"ap": np.mean(each), "ap50": each[0]}, abs=1e-6)
        above += each[0] > 0
    assert above


def test_tubes_by_hand():
    """A sure tube on the wrong object stands before the right one; another class is apart."""
    frame = ([(1, 11, A)], [(1, 11, B, 0.9), (2, 11, A, 0.4), (3, 61, B, 1.0)])
    other = ([(1, 11, A)], [(1, 11, B, 0.9), (2, 11, A, 0.8)])
    figures = metrics.tube_aps([video(frame, other)], "joint", A2D)
    assert figures == pytest.approx({"ap": 50, "ap50": 50})
    assert metrics.tube_aps([video(([], [(1, 11, A)]))], "any", A2D) == {"ap": None, "ap50": None}


def test_all_figures_of_a_perfect_prediction_and_of_none():
    frames = [
        ([(1, ADULT_EATING, A), (2, CAT_EATING, B)], [(8, ADULT_EATING, A), (4, CAT_EATING, B)])
        for _ in range(3)
    ]
    figures = metrics.metrics_of([video(*frames)], A2D)
    assert figures.pop("videos") == 1 and figures.pop("frames") == 3
    assert list(figures) == list(KINDS)
    for values in figures.values():
        assert values == pytest.approx(dict.fromkeys(values, 100)) and len(values) == 9
    nothing = metrics.metrics_of([video(([], []))], A2D)["joint"]
    assert set(nothing.values()) == {None}
    missed = metrics.metrics_of([video(([(1, 13, A)], []))], A2D)["joint"]
    assert (missed["hota"], missed["idf1"], missed["tube_ap"]) == (0, 0, 0)


def test_classes_without_truth_do_not_count():
    frame = ([(1, ADULT_EATING, A)], [(1, ADULT_EATING, A), (2, CAT_EATING, B)])
    figures = metrics.metrics_of([video(frame)], A2D)
    assert figures["actor"]["hota"] == figures["joint"]["idf1"] == 100
    assert figures["any"]["idp"] == figures["action"]["idp"] == 50
