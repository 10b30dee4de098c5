"""Scores over time of records that hold every frame of a video."""

import dataclasses
import types

import numpy as np
import pytest
from a2d_files import mask
from test_inspection import truth

from a2d_tf.core.labels import A2D
from a2d_tf.data.segmentations import encode_mask
from a2d_tf.evaluation.metrics import Split
from a2d_tf.evaluation.metrics.over_time import OverTime

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
    instances = types.SimpleNamespace(
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        code=np.array(codes, np.int32),
        class_scores=np.array(scores),
        score=0.5 * np.array(scores),
        actor_scores=actors,
        action_scores=actions,
    )
    return instances, [encode_mask(mask(*SIZE, *box)) for box in boxes]


def show(metric, truth, instances, rles):
    """Update a metric with a frame."""
    metric.update(types.SimpleNamespace(truth=truth, instances=instances, rles=rles))


RIGHT, LOW = (17, 0.9, BOX), (17, 0.2, OTHER)


def test_recorded_videos_are_followed():
    metric = OverTime(Split(A2D, 0.3))
    # Out of order, and with an instance below the threshold.
    for number in (4, 2, 3):
        show(metric, clip(number, [5]), *found(RIGHT, LOW))
    show(metric, clip(5, []), *found())
    for number, tracks, video in ((1, [5], "gap"), (3, [5], "gap"), (1, [-1], "u"), (2, [5], "u")):
        show(metric, clip(number, tracks, video), *found(RIGHT))  # do not count
    figures = metric.result()["over_time"]
    assert (figures["videos"], figures["frames"]) == (1, 4)
    assert figures["joint"]["hota"] == figures["any"]["idf1"] == 100
    # A second one, which is not found.
    show(metric, clip(1, [5], "w"), *found())
    show(metric, clip(2, [5], "w"), *found())
    figures = metric.result()["over_time"]
    assert figures["videos"] == 2 and figures["any"]["idr"] == pytest.approx(60)
    # A third one, which shows nothing: what is found there is wrong.
    precision = figures["any"]["idp"]
    for number in (1, 2):
        show(metric, clip(number, [], "x"), *found(RIGHT))
    figures = metric.result()["over_time"]
    assert (figures["videos"], precision) == (3, 100)
    assert figures["any"]["idp"] == pytest.approx(60) == figures["any"]["idr"]
