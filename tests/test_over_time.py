"""Scores over time: literals, TrackEval's figures, records with every frame."""

import dataclasses
import itertools
import types

import numpy as np
import pytest
import track_cases
from a2d_files import mask
from test_inspection import truth
from track_cases import square, video

from a2d_tf.core.labels import A2D
from a2d_tf.data.segmentations import encode_mask
from a2d_tf.evaluation.metrics import hota
from a2d_tf.evaluation.metrics.hota import NAMES, assign
from a2d_tf.evaluation.metrics.metric import SplitData
from a2d_tf.evaluation.metrics.over_time import OverTime
from a2d_tf.evaluation.metrics.tracks import TRACK_KINDS
from a2d_tf.model.structures import BatchInstances

ADULT_EATING, ADULT_RUNNING, CAT_EATING = 13, 17, 63
A, B = square(0, 0), square(12, 16)  # apart


def test_assignments_are_the_best_of_all():
    """Every row or every column is paired, also at a loss."""
    rng = np.random.default_rng(0)
    for _ in range(60):
        scores = rng.normal(size=rng.integers(1, 6, 2)).round(1)
        rows, columns = (side.tolist() for side in assign(scores))
        count, wide = (
            min(scores.shape),
            scores if len(scores) <= len(scores.T) else scores.T,
        )
        places = itertools.permutations(range(max(scores.shape)), count)
        best = max(wide[range(count), place].sum() for place in places)
        assert len({*rows}) == len({*columns}) == len(rows) == count
        assert scores[rows, columns].sum() == pytest.approx(best)
    assert len(assign(np.zeros((0, 3)))[0]) == 0


def test_hota_of_a_track_that_changes_its_number():
    """Four frames; the prediction is right, but its second half has another number."""
    frames = [([(1, 11, A)], [(5 if t < 2 else 6, 11, A)]) for t in range(4)]
    figures = hota.tracking_scores([video(*frames)], A2D)["any"]
    # Of 4 frames of the true track, 2 are with each predicted one: 2 / 4 for each
    # match.
    assert figures["det_a"] == figures["loc_a"] == 100 and figures["ass_a"] == 50
    assert figures["hota"] == pytest.approx(100 * 0.5**0.5)
    assert (figures["idf1"], figures["idp"], figures["idr"]) == (50, 50, 50)


# By TrackEval 1.0.0 (with SciPy 1.17.1), in the order of NAMES.
TRACKEVAL = {
    (0, "any"): (
        32.640065,
        25.937588,
        47.792109,
        70.879184,
        26.415094,
        25.925926,
        26.923077,
    ),
    (3, "any"): (
        22.073806,
        21.283473,
        24.000654,
        65.655261,
        11.320755,
        12.5,
        10.344828,
    ),
    (4, "any"): (
        30.290734,
        29.818117,
        31.260069,
        70.697092,
        36.0,
        39.130435,
        33.333333,
    ),
    (6, "any"): (
        23.288882,
        30.691246,
        19.476332,
        69.131075,
        22.727273,
        22.727273,
        22.727273,
    ),
    (0, "actor"): (
        21.831052,
        14.446462,
        43.51462,
        68.74005,
        9.090909,
        7.692308,
        11.111111,
    ),
    (2, "actor"): (
        24.11685,
        16.948028,
        34.781398,
        74.877712,
        14.285714,
        11.764706,
        18.181818,
    ),
    (6, "actor"): (
        24.491729,
        23.508772,
        25.847953,
        70.883596,
        33.333333,
        28.571429,
        40.0,
    ),
    (9, "actor"): (
        21.130196,
        10.701754,
        42.105263,
        71.410838,
        18.181818,
        12.5,
        33.333333,
    ),
}
"""{(seed of random videos, kind of classes): figures of all objects, or of adults}."""


@pytest.mark.parametrize("seed, kind", TRACKEVAL)
def test_hota_and_idf1_are_those_of_trackeval(seed, kind):
    figures = hota.figures_by_class(track_cases.random_videos(seed), kind, A2D)[1]
    found = [figures[name] for name in NAMES]
    assert found == pytest.approx(TRACKEVAL[seed, kind], abs=1e-6)


def test_all_figures_of_a_perfect_prediction_and_of_none():
    frames = [
        (
            [(1, ADULT_EATING, A), (2, CAT_EATING, B)],
            [(8, ADULT_EATING, A), (4, CAT_EATING, B)],
        )
        for _ in range(3)
    ]
    figures = hota.tracking_scores([video(*frames)], A2D)
    assert figures.pop("videos") == 1 and figures.pop("frames") == 3
    assert list(figures) == list(TRACK_KINDS)
    for values in figures.values():
        assert values == pytest.approx(dict.fromkeys(NAMES, 100))
    nothing = hota.tracking_scores([video(([], []))], A2D)["joint"]
    assert set(nothing.values()) == {None}
    missed = hota.tracking_scores([video(([(1, 13, A)], []))], A2D)["joint"]
    assert (missed["hota"], missed["idf1"]) == (0, 0)


def test_classes_without_truth_do_not_count():
    frame = ([(1, ADULT_EATING, A)], [(1, ADULT_EATING, A), (2, CAT_EATING, B)])
    figures = hota.tracking_scores([video(frame)], A2D)
    assert figures["actor"]["hota"] == figures["joint"]["idf1"] == 100
    assert figures["any"]["idp"] == figures["action"]["idp"] == 50


SIZE = (48, 64)
BOX, OTHER = [4, 8, 24, 40], [30, 2, 44, 12]


def clip(number, tracks, video="v"):
    """The truth of a record with adults who run in BOX, and then in OTHER."""
    boxes = [BOX, OTHER][: len(tracks)]
    return dataclasses.replace(
        truth(video, boxes, [17] * len(tracks), SIZE),
        frame=number,
        rles=[encode_mask(mask(*SIZE, *box)) for box in boxes],
        tracks=np.array(tracks, np.int64) if tracks else None,
    )


def found(*rows):
    """Instances of (code, p(actor), box), and their RLEs."""
    codes, scores, boxes = zip(*rows) if rows else ((), (), ())
    actors, actions = np.zeros((len(rows), 7)), np.zeros((len(rows), 9))
    for i, (code, score, _) in enumerate(rows):
        actors[i, code // 10 - 1], actions[i, code % 10 - 1] = score, 0.5
    unread = np.zeros(len(rows), np.int32)
    instances = BatchInstances(
        number=np.int32(len(rows)),
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        classes=unread,
        actor=unread,
        action=unread,
        code=np.array(codes, np.int32),
        class_scores=np.array(scores),
        score=0.5 * np.array(scores),
        actor_scores=actors,
        action_scores=actions,
        head_results={},
    )
    return instances, [encode_mask(mask(*SIZE, *box)) for box in boxes]


def show(metric, truth, instances, rles):
    """Update a metric with a frame."""
    metric.update(types.SimpleNamespace(truth=truth, instances=instances, rles=rles))


RIGHT, LOW = (17, 0.9, BOX), (17, 0.2, OTHER)


def test_recorded_videos_are_followed():
    metric = OverTime(A2D)
    split = SplitData(0.3)
    # Out of order, and with an instance below the threshold.
    for number in (4, 2, 3):
        show(metric, clip(number, [5]), *found(RIGHT, LOW))
    show(metric, clip(5, []), *found())
    for number, tracks, name in (
        (1, [5], "gap"),
        (3, [5], "gap"),
        (1, [-1], "u"),
        (2, [5], "u"),
    ):
        show(metric, clip(number, tracks, name), *found(RIGHT))  # do not count
    figures = metric.result(split, {})["over_time"]
    assert (figures["videos"], figures["frames"]) == (1, 4)
    assert figures["joint"]["hota"] == figures["any"]["idf1"] == 100
    # A second one, which is not found.
    show(metric, clip(1, [5], "w"), *found())
    show(metric, clip(2, [5], "w"), *found())
    figures = metric.result(split, {})["over_time"]
    assert figures["videos"] == 2 and figures["any"]["idr"] == pytest.approx(60)
    # A third one, which shows nothing: what is found there is wrong.
    precision = figures["any"]["idp"]
    for number in (1, 2):
        show(metric, clip(number, [], "x"), *found(RIGHT))
    figures = metric.result(split, {})["over_time"]
    assert (figures["videos"], precision) == (3, 100)
    assert figures["any"]["idp"] == pytest.approx(60) == figures["any"]["idr"]
