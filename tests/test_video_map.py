"""frame-mAP and video-mAP: literals, and plain loops from their definitions."""

import numpy as np
import pytest
from test_over_time import ADULT_EATING, ADULT_RUNNING, BOX, clip, found, show

from a2d_tf.core.labels import A2D
from a2d_tf.evaluation.boxes.instance_tables import Truth
from a2d_tf.evaluation.boxes.scored_rois import ScoredRois
from a2d_tf.evaluation.metrics import registry, summaries, video_map
from a2d_tf.evaluation.metrics.metric import SplitData
from a2d_tf.evaluation.metrics.over_time import OverTime
from a2d_tf.evaluation.metrics.tracks import ComparedFrame, Objects


def objects(*rows):
    """Objects of (track, code, x, score): boxes 10 wide from x on, without masks."""
    tracks, codes, lefts, scores = zip(*rows) if rows else ((),) * 4
    boxes = np.array([[x, 0, x + 10, 10] for x in lefts], float).reshape(-1, 4)
    return Objects(
        np.array(tracks, int), np.array(codes, int), [], np.array(scores, float), boxes
    )


def video(*frames):
    return [ComparedFrame(objects(*true), objects(*seen)) for true, seen in frames]


def test_tubes_of_actors_and_of_none_by_hand():
    """The tube's IoU is (1/3 + 1) / 2 = .67; the other one, which is surer, has 1/9."""
    true = (1, ADULT_EATING, 0, 1)
    videos = [
        video(
            ([true], [(7, ADULT_EATING, 5, 0.5)]), ([true], [(7, ADULT_EATING, 0, 0.9)])
        ),
        video(([(1, ADULT_RUNNING, 0, 1)], [(1, ADULT_RUNNING, 8, 1.0)])),
    ]
    figures = video_map.video_maps(videos, A2D)
    assert (figures["videos"], figures["frames"]) == (2, 3)
    # one of two pairs; of one actor it is second
    assert figures["joint"]["video_map50"] == 50
    assert figures["actor"] == pytest.approx({"video_map20": 25, "video_map50": 25})
    nothing = video_map.video_maps([video(([], []))], A2D)
    assert {*nothing["actor"].values(), *nothing["joint"].values()} == {None}


def test_a_box_may_have_the_mean_score_of_its_track():
    """7 with .8 twice, a hit in the second frame; 8 with .6, a hit in the first one."""
    true, code = (1, ADULT_EATING, 0, 1), ADULT_EATING
    one = video(
        ([true], [(7, code, 40, 0.9), (8, code, 0, 0.6)]),
        ([true], [(7, code, 0, 0.7)]),
        ([true], []),
    )
    # Precision 1/2 and 2/3 at the hits, or 2/3 from either on, of three true boxes.
    expected = 100 * (2 / 3 + 2 / 3) / 3
    figures = video_map.video_maps([one], A2D)["joint"]
    assert figures["frame_map50_tracks"] == pytest.approx(expected)


def plain_video_map(frames_of_videos, threshold):
    """video-mAP of pairs by loops; frames are lists of (track, code, x, score)."""
    aps = []
    for label in {
        row[1] for frames in frames_of_videos for true, _ in frames for row in true
    }:
        tubes = ({}, {})
        for v, frames in enumerate(frames_of_videos):
            for t, sides in enumerate(frames):
                for side, rows in zip(tubes, sides):
                    for track, code, x, score in rows:
                        if code == label:
                            side.setdefault((v, track), {})[t] = (x, score)
        left, precision, recall, right = dict(tubes[0]), [], [], 0
        ranked = sorted(
            tubes[1].items(), key=lambda t: -np.mean([s for _, s in t[1].values()])
        )
        for n, ((v, _), tube) in enumerate(ranked, 1):
            best, best_iou = None, 0
            for key, other in left.items():
                total = 0
                for t in range(20):
                    if t in tube and t in other:
                        overlap = max(0, 10 - abs(tube[t][0] - other[t][0]))
                        total += overlap / (20 - overlap)
                iou = total / len({*tube, *other})
                if key[0] == v and iou > best_iou:
                    best, best_iou = key, iou
            if best_iou >= threshold:
                right += 1
                del left[best]
            precision.append(right / n)
            recall.append(right / len(tubes[0]))
        steps = np.diff([0, *recall])
        aps.append(sum(step * max(precision[i:]) for i, step in enumerate(steps)))
    return 100 * np.mean(aps)


def test_video_map_agrees_with_loops():
    seen = set()
    for seed in range(6):
        rng = np.random.default_rng(seed)
        cases = []
        for _ in range(4):
            true = [
                (i, int(rng.choice((11, 18, 61)))) for i in range(rng.integers(1, 4))
            ]
            frames = []
            for _ in range(6):
                sides = [
                    [
                        (
                            i,
                            code,
                            15 * i + int(rng.integers(-shift, shift + 1)),
                            rng.random(),
                        )
                        for i, code in true
                        if rng.random() < 0.8
                    ]
                    for shift in (1, 6)
                ]
                frames.append((sides[0], [*sides[1], (9, 11, 0, rng.random())]))
            cases.append(frames)
        videos = [video(*frames) for frames in cases]
        figures = video_map.video_maps(videos, A2D)["joint"]
        expected = {f"video_map{t}": plain_video_map(cases, t / 100) for t in (20, 50)}
        assert {name: figures[name] for name in expected} == pytest.approx(expected)
        seen |= {round(value) for value in expected.values()}
    assert len(seen) > 8


def test_frame_map_is_the_area_under_the_curve():
    """Two frames of one pair: the second best of three boxes is wrong."""
    names, box = ["v/00001", "v/00002"], [0, 0, 10, 10]
    truth = Truth(names, [0, 1], [box, box], [ADULT_EATING, ADULT_EATING])
    boxes = np.zeros((3, 7, 4))
    boxes[:] = np.array([box, [50, 50, 60, 60], box])[:, None]
    actors, actions = np.zeros((3, 7)), np.zeros((3, 9))
    actors[:, 0], actions[:, 2] = (0.9, 0.8, 0.7), 0.5
    detections = ScoredRois(names, [0, 0, 1], boxes, actors, actions)
    assert video_map.frame_map(detections, truth, A2D) == pytest.approx(
        100 * (1 + 2 / 3) / 2
    )


def test_recorded_videos_of_boxes_only_have_a_video_map():
    """A track is a tube of each class: that of the second best action is found, too."""
    metric = OverTime(A2D)
    for number in (2, 3):
        instances, rles = found((17, 0.9, BOX))
        instances.action_scores[0, 2] = 0.4  # eating
        truth = clip(number, [5])
        truth.has_mask[:], truth.codes[:] = False, ADULT_EATING
        truth.rles[:] = [{**rle, "counts": b"0"} for rle in truth.rles]
        show(metric, truth, instances, rles)
    figures = registry.results([metric], SplitData(0.3))
    assert set(figures) == {"video_map"} and figures["video_map"]["frames"] == 2
    assert set(figures["video_map"]["joint"].values()) == {100}
    assert "video-mAP .5" in summaries.table(figures)
