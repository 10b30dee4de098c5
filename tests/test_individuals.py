"""Individuals: if their number is known, lost ones are linked to their tracks again."""

import collections
import types

import cv2
import numpy as np
import pytest
from test_tracking import CAT, DOG, at, frame, ids, sight

from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D
from a2d_tf.data.mini.plan import plan as plan_videos
from a2d_tf.data.mini.scenes import Scene
from a2d_tf.data.segmentations import encode_mask
from a2d_tf.evaluation.metrics import hota, tracks
from a2d_tf.tracking.groups import Groups
from a2d_tf.tracking.tracked_frames import track_instances
from a2d_tf.tracking.tracker import Tracker
from a2d_tf.video.frames.track_settings import TrackSettings
from a2d_tf.video.predictors import network_predictor
from a2d_tf.video.predictors.predictor import Predictor


@pytest.mark.parametrize("max_tracks, newcomer", [("2", None), (None, 3)])
def test_two_that_cross_keep_their_ids_and_a_newcomer_has_none_or_the_next(
    max_tracks, newcomer
):
    one = [sight(at(5 + 4 * t, 10)) for t in range(12)]
    # both over columns 27 to 47 at t = 5.5
    other = [sight(at(49 - 4 * t, 22)) for t in range(12)]
    frames = [
        frame(a, b) if t % 2 else frame(b, a)
        for t, (a, b) in enumerate(zip(one, other))
    ]
    frames[8] = frame(sight(at(70, 40)), one[8], other[8])
    after = [[newcomer, 2, 1], [2, 1], [1, 2], [2, 1]]
    assert ids(frames, max_tracks) == [[1, 2], [2, 1]] * 4 + after


@pytest.mark.parametrize("missed", [1, 8, 9, 50])
@pytest.mark.parametrize("max_tracks, found", [(None, 3), ("3", 3), ("2", 1)])
def test_after_a_gap_it_is_found_again_elsewhere(missed, max_tracks, found):
    other = sight(at(60))
    frames = [
        frame(sight(at(5)), other),
        *[frame(other)] * missed,
        frame(sight(at(35)), other),
    ]
    assert ids(frames, max_tracks)[-1] == [found, 2]


def test_a_lost_one_takes_no_neighbour_by_the_place_where_it_was():
    """After patience ends, position does not count; another actor crosses it freely."""
    frames = [frame(sight(at(10)), sight(at(60)))]
    frames += [frame(sight(at(60 - 5 * t))) for t in range(1, 11)]
    assert ids(frames, "2", patience=3) == [[1, 2], *[[2]] * 10]
    frames.append(frame(sight(at(10)), sight(at(40, 40))))
    assert ids(frames, "2", patience=3)[-1] == [2, 1]


def test_the_nearest_of_those_that_are_missed_goes_on():
    first = frame(sight(at(5)), sight(at(35)), sight(at(65)))
    assert ids([first, frame(sight(at(65)), sight(at(24, 40)))], "3")[1] == [3, 2]
    assert ids([first, frame(sight(at(60, 40)), sight(at(38, 40)))], "3")[1] == [3, 2]


def test_each_kind_has_its_own_number():
    dog, cat = sight(at(10), DOG), sight(at(60), CAT)
    frames = [frame(dog, cat), frame(dog), frame(sight(at(10), CAT)), frame(cat, cat)]
    frames += [frame(dog, sight(at(35), CAT), sight(at(35, 40), DOG))]
    assert ids(frames, "dog=1,cat=1") == [[1, 2], [1], [None], [2, None], [1, 2, None]]
    assert ids(frames, "dog=1") == [[1, 2], [1], [None], [2, None], [1, 3, None]]


@pytest.mark.parametrize(
    "text", ["0", "two", "dog", "mouse=2", "dog=1,2", "dog=", "=1", "dog=1,dog=2"]
)
def test_what_is_no_number_of_individuals_is_named(text):
    with pytest.raises(InputError, match=f"--max_tracks={text}"):
        TrackSettings(max_tracks=text).groups(A2D)


def clips():
    """Draw ten clips: (codes, {actor: mask} and picture of each frame).

    Each has several actors.
    """
    plans = [plan for plan in plan_videos(60, seed=7) if len(plan.codes) > 1][:10]
    scenes = [(plan, Scene(plan)) for plan in plans]
    return [
        (
            plan.codes,
            list(map(scene.instances, range(plan.frames))),
            [scene.image(i)[..., ::-1] for i in range(plan.frames)],
        )
        for plan, scene in scenes
    ]


def noisy(codes, truth, rng):
    """Make detections that jitter, are missed, are mistaken, and have ghosts.

    They are missed for 1 frame or for 9 to 14.
    """
    gone, haunted = collections.Counter(), collections.Counter()
    for masks in truth:
        rows = []
        for i, inside in masks.items():
            gone[i] -= 1
            haunted[i] -= 1
            if gone[i] < 0 and rng.random() < 0.02:
                gone[i] = int(rng.integers(9, 15))
            if gone[i] >= 0 or rng.random() < 0.1:
                continue
            shift = np.float32(
                [[1, 0, rng.integers(-3, 4)], [0, 1, rng.integers(-3, 4)]]
            )
            moved = cv2.warpAffine(inside.astype(np.uint8), shift, inside.shape[::-1])
            wrong = rng.random() < 0.05
            rows.append(
                (
                    rng.uniform(0.6, 1),
                    rng.choice(A2D.codes) if wrong else codes[i],
                    moved,
                )
            )
            if haunted[i] < 0 and rng.random() < 0.1:
                haunted[i] = int(rng.integers(3, 9))
            if haunted[i] >= 0:  # the upper half, as the same or as any pair
                ghost = inside.astype(np.uint8)
                ghost[int(np.argwhere(inside)[:, 0].mean()) :] = 0
                code = codes[i] if rng.random() < 0.5 else rng.choice(A2D.codes)
                rows.append((rng.uniform(0.3, 0.8), code, ghost))
        rows = sorted((row for row in rows if row[2].any()), key=lambda row: -row[0])
        scores, codes_found, found = zip(*rows) if rows else [()] * 3
        yield detections(np.array(scores), np.array(codes_found, int), found)


def detections(scores, codes, masks):
    boxes = [cv2.boundingRect(inside) for inside in masks]
    boxes = np.float32([[y, x, y + h, x + w] for x, y, w, h in boxes]).reshape(-1, 4)
    actors, actions = np.full((len(codes), 7), 0.05), np.full((len(codes), 9), 0.05)
    for row, (score, code) in enumerate(zip(scores, codes)):
        actors[row, code // 10 - 1], actions[row, code % 10 - 1] = score, 0.6
    return types.SimpleNamespace(
        **{
            "boxes": boxes,
            "codes": codes,
            "scores": 0.6 * scores,
            "actor_scores": actors,
        },
        **{
            "action_scores": actions,
            "masks": [encode_mask(inside) for inside in masks],
        },
    )


def followed(truth, found, max_tracks):
    """The `tracks.ComparedFrame`s of a clip."""
    frames = []
    groups = TrackSettings(max_tracks=max_tracks).groups(A2D)
    for masks, instances, own, codes, scores, *_ in track_instances(
        zip(truth, found), A2D, groups
    ):
        rles, kept = (
            [encode_mask(inside) for inside in masks.values()],
            np.flatnonzero(own),
        )
        true = tracks.Objects(
            np.array([*masks]), np.full(len(rles), 11), rles, np.ones(len(rles))
        )
        seen = own[kept], codes[kept], [instances.masks[i] for i in kept], scores[kept]
        frames.append(tracks.ComparedFrame(true, tracks.Objects(*seen)))
    return frames


def kinds(codes):
    """As in "dog=2,cat=1"."""
    counts = collections.Counter(A2D.actors[code // 10 - 1] for code in codes)
    return ",".join(f"{actor}={count}" for actor, count in counts.items())


def table(made):
    """Return {how the number is given: (IDF1, HOTA, tracks)} over clips.

    `made`: (codes, truth, found) of each.
    """
    rows = {}
    for name, given in (
        ("none", lambda codes: None),
        ("all", lambda c: str(len(c))),
        ("kinds", kinds),
    ):
        videos = [followed(truth, found, given(codes)) for codes, truth, found in made]
        figures = hota.figures_by_class(videos, "any", A2D)[1]
        count = sum(
            len({t for f in video for t in f.predicted.tracks.tolist()})
            for video in videos
        )
        rows[name] = figures["idf1"], figures["hota"], count
        print("{:6} IDF1 {:.1f} HOTA {:.1f} tracks {}".format(name, *rows[name]))
    return rows


def test_known_numbers_keep_identities_in_noisy_detections():
    """`pytest -s` prints a table of figures, here and in the next test."""
    made = clips()
    assert sum(len(codes) for codes, *_ in made) == 25
    rows = table(
        [
            (codes, truth, list(noisy(codes, truth, np.random.default_rng(i))))
            for i, (codes, truth, _) in enumerate(made)
        ]
    )
    assert rows["all"][2] == 25
    assert (
        rows["all"][0] > rows["none"][0] + 8 and rows["kinds"][0] > rows["none"][0] + 4
    )
    assert rows["all"][1] > rows["none"][1] + 3 and rows["kinds"][1] > rows["none"][1]


@pytest.mark.slow
def test_known_numbers_keep_identities_in_what_the_packed_model_finds():
    model = Predictor.load("mini")
    made = []
    for codes, truth, images in clips():
        found = [
            instances
            for _, instances in network_predictor.find_instances(model, images)
        ]
        made.append((codes, truth, found))
    rows = table(made)
    assert rows["all"][2] <= sum(len(codes) for codes, *_ in made) < rows["none"][2]
    assert rows["all"][0] > rows["none"][0] and rows["all"][1] > rows["none"][1]


def test_what_is_beyond_the_number_is_counted_where_it_is_sure():
    far = [sight(at(x), p_actor=p) for x, p in ((5, 0.9), (35, 0.8), (65, 0.79))]
    tracker = Tracker(A2D, Groups.from_counts(A2D, {}, 1))
    assert [tracker.add(frame(*far[:n])).extra for n in (1, 2, 3)] == [0, 1, 1]
    # found elsewhere, with a ghost
    linked = tracker.add(frame(sight(at(70, 40)), sight([42, 72, 58, 88])))
    assert linked.extra == 0


def test_a_lost_track_rests_where_the_number_is_known_and_else_ends():
    """Its frame is the first beyond patience; a track is told of once."""
    nothing = frame()
    for numbers, resting, ended in (({"adult": 1}, (1,), ()), ({}, (), (1,))):
        tracker = Tracker(A2D, Groups.from_counts(A2D, numbers), patience=2)
        tracker.add(frame(sight(at(5))))
        for index in range(1, 6):
            linked = tracker.add(nothing)
            expected = (resting, ended) if index == 4 else ((), ())
            assert (tuple(linked.resting), tuple(linked.ended)) == expected
