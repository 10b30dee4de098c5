"""Tracks: who is who from frame to frame, and what they are said to do."""

import numpy as np
import pytest
from a2d_files import mask

from a2d_tf.core.labels import A2D
from a2d_tf.data.segmentations import encode_mask
from a2d_tf.tracking.tracked_frames import track_instances
from a2d_tf.tracking.tracker import Tracker
from a2d_tf.video.frames.instances import Instances
from a2d_tf.video.frames.track_settings import TrackSettings

ADULT, BALL, CAT, DOG = 1, 3, 6, 7
CLIMBING, ROLLING, RUNNING, WALKING, NONE = 1, 6, 7, 8, 9


def sight(box, actor=ADULT, action=RUNNING, p_actor=0.8, p_action=0.6, empty=False):
    """Make an instance: a box full of mask, what it is and does, and how surely."""
    actors, actions = (
        np.zeros(7, np.float32),
        np.full(9, (1 - p_action) / 8, np.float32),
    )
    actors[actor - 1], actions[action - 1] = p_actor, p_action
    inside = mask(64, 96, *([0] * 4 if empty else box))
    return (
        box,
        10 * actor + action,
        p_actor * p_action,
        actors,
        actions,
        encode_mask(inside),
    )


def frame(*sights):
    """The Instances of a frame, with RLEs."""
    boxes, codes, scores, actors, actions, masks = zip(*sights) if sights else [[]] * 6
    boxes = np.array(boxes).reshape(-1, 4)
    scores = [np.array(x) for x in (scores, actors, actions)]
    return Instances(boxes, np.array(codes, int), scores[0], masks, None, *scores[1:])


def ids(frames, max_tracks=None, **options):
    groups = TrackSettings(max_tracks=max_tracks).groups(A2D)
    tracker = Tracker(A2D, groups, **options)
    tracks = [tracker.add(found).tracks for found in frames]
    return [[track and track.id for track in frame_tracks] for frame_tracks in tracks]


def labels(frames, window):
    """(codes, scores) of the first instance of each frame."""
    tracked = list(track_instances(enumerate(frames), A2D, window=window))
    assert [answer.frame for answer in tracked] == list(range(len(frames)))
    codes = [answer.codes[0] for answer in tracked]
    scores = [answer.scores[0] for answer in tracked]
    return codes, scores


def at(x, y=10, size=20):
    return [y, x, y + size, x + size]


@pytest.mark.parametrize("missed, expected", [(1, 1), (8, 1), (9, 3)])
def test_an_id_survives_eight_missed_frames(missed, expected):
    other = sight(at(60))  # is there all the time
    frames = [
        frame(sight(at(10)), other),
        *[frame(other)] * missed,
        frame(sight(at(12)), other),
    ]
    assert ids(frames) == [[1, 2], *[[2]] * missed, [expected, 2]]


@pytest.mark.parametrize("first", [DOG, CAT])
def test_an_instance_goes_on_as_its_own_kind_before_another_kind_that_overlaps_more(
    first,
):
    kinds = [first, DOG + CAT - first]
    frames = [frame(*(sight(at(10 + 12 * i), kind) for i, kind in enumerate(kinds)))]
    # 6 columns from the track of its kind, IoU 14 / 26, and on the place of the other.
    frames.append(frame(sight(at(16), DOG), sight(at(40), CAT)))
    assert ids(frames)[1][0] == 1 + kinds.index(DOG)


@pytest.mark.parametrize("shift, expected", [(9, 1), (10, 2)])
def test_a_fast_actor_is_tracked_over_a_third_of_its_diagonal(shift, expected):
    """0.35 of its diagonal, 28.2, are 9.9 pixels; its 8 rows leave where they were."""
    frames = [
        frame(sight([10, 10, 18, 37])),
        frame(sight([10 + shift, 10, 18 + shift, 37])),
    ]
    assert ids(frames) == [[1], [expected]]


def test_only_a_sure_instance_begins_a_track_and_background_is_all_that_counts():
    for p_actor, expected in ((0.8, 1), (0.79, None)):
        assert ids([frame(sight(at(10), p_actor=p_actor))]) == [[expected]]
    frames = [frame(sight(at(10), p_actor=p)) for p in (0.5, 0.9, 0.3, 0.3)]
    assert ids(frames) == [[None], [1], [1], [1]]
    box, code, score, actors, actions, inside = sight(at(10), p_actor=0.41)
    actors[DOG - 1] = 0.4  # an adult or a dog, but something
    assert ids([frame((box, code, score, actors, actions, inside))]) == [[1]]


@pytest.mark.parametrize(
    "kind, box, expected",
    [
        (ADULT, at(10, 20), None),  # half of it on the other, as of its own kind
        (ADULT, at(10, 21), 2),
        (CAT, at(10, 18), None),  # IoU 12 / 28
        (CAT, at(10, 19), 2),  # 11 / 29
        (ADULT, [12, 12, 18, 18], None),  # a part
        (CAT, [12, 12, 18, 18], 2),  # what an adult holds
    ],
)
def test_instances_that_lie_on_one_another_are_one_track(kind, box, expected):
    surer, other = sight(at(10), p_actor=0.9), sight(box, kind)
    for max_tracks in (None, "2"):
        assert ids([frame(surer, other)] * 4, max_tracks) == [[1, expected]] * 4


def test_an_actor_that_was_apart_stays_itself_beside_its_like():
    """As in play; but for no longer than it was apart, here 12 frames to column 27."""
    frames = [
        frame(sight(at(10)), sight([12, x, 22, x + 10]))
        for x in [60, *range(57, 18, -3)]
    ]
    frames += [frame(sight(at(10)), sight([12, 18, 22, 28]))] * 11
    assert ids(frames) == [[1, 2]] * 24 + [[1, None]]


@pytest.mark.parametrize("size, expected", [(14, 1), (9, 2)])
def test_another_kind_goes_on_with_a_near_track_of_about_its_size(size, expected):
    fast = sight([10, 28, 10 + size, 28 + size], CAT)
    frames = [frame(sight(at(18), DOG)), frame(fast)]
    assert ids(frames) == [[1], [expected]]


def test_of_two_kinds_in_one_place_the_track_takes_its_own():
    dog, cat = sight(at(10), DOG, p_actor=0.9), sight(at(10), CAT)
    frames = [frame(dog, cat), frame(cat, dog), frame(cat), frame(dog), frame(dog, cat)]
    assert ids(frames) == [[1, None], [None, 1], [1], [1], [1, None]]


def test_instances_without_a_mask_are_linked_by_their_boxes():
    frames = [
        frame(sight(at(10), empty=True)),
        frame(sight(at(12))),
        frame(sight(at(60))),
    ]
    assert ids(frames) == [[1], [1], [2]]


def test_an_actor_that_is_mistaken_for_a_moment_stays_what_it_is():
    kinds = [DOG, DOG, CAT, DOG, DOG, CAT, CAT, DOG, DOG]
    frames = [frame(sight(at(10), kind)) for kind in kinds]
    assert ids(frames) == [[1]] * 9
    assert labels(frames, 5)[0] == [77] * 9
    assert labels(frames, 1)[0] == [77, 77, 67, 77, 77, 67, 67, 77, 77]


def test_an_action_is_read_of_the_frames_around():
    actions = [RUNNING, RUNNING, WALKING, RUNNING, RUNNING, RUNNING]
    frames = [frame(sight(at(10), action=action)) for action in actions]
    codes, scores = labels(frames, 3)
    assert codes == [17] * 6
    # 0.8 times 0.6 where it runs, 0.8 times 0.05 where it seems to walk.
    expected = [0.48, (2 * 0.48 + 0.04) / 3, 1 / 3, (2 * 0.48 + 0.04) / 3, 0.48, 0.48]
    assert scores == pytest.approx(expected)
    codes, scores = labels(frames, 1)
    assert codes == [17, 17, 18, 17, 17, 17] and scores == pytest.approx([0.48] * 6)


def test_an_action_begins_where_it_begins():
    frames = [
        frame(sight(at(10), action=WALKING if t < 8 else CLIMBING)) for t in range(16)
    ]
    # In the window of frame 8 five of nine climb: not 1.5 times as many. In that of 9
    # six do.
    assert labels(frames, 9)[0] == [18] * 9 + [11] * 7
    assert labels(frames, 1)[0] == [18] * 8 + [11] * 8


def test_an_action_that_another_actor_does_is_out_of_question():
    # Taken for an adult that walks, twice; the ball's own best action is that of the
    # third sight.
    frames = [
        frame(sight(at(10), BALL, ROLLING, 0.9, 0.5)),
        frame(sight(at(10), ADULT, WALKING, 0.3)),
        frame(sight(at(10), ADULT, WALKING, 0.3)),
    ]
    tracked = list(track_instances(enumerate(frames), A2D, window=5))
    codes = [answer.codes.tolist() for answer in tracked]
    assert codes == [[36]] * 3 and 38 not in A2D.codes
    assert tracked[0].scores == pytest.approx([(0 + 0 + 0.9 * 0.5) / 3])


def test_actions_of_joint_labels_count_as_if_they_summed_to_one():
    one, two = sight(at(10), action=RUNNING), sight(at(10), action=RUNNING)
    tenth = (*one[:4], one[4] * np.float32(0.1), one[5])
    pairs = zip("ab", [frame(tenth), frame(two)])
    tracked = list(track_instances(pairs, A2D, window=3, joint_scores=True))
    assert [int(answer.codes[0]) for answer in tracked] == [17, 17]
    scores = [float(answer.scores[0]) for answer in tracked]
    assert scores == pytest.approx([0.48, 0.48])


def test_what_is_taken_for_background_says_little_of_its_action():
    # Background has .95 of the walker's actions; the runner is sure.
    walks, runs = (
        sight(at(10), action=WALKING, p_action=0.9),
        sight(at(10), action=RUNNING),
    )
    vague = (*walks[:4], walks[4] * np.float32(0.05), walks[5])
    codes, scores = labels([frame(runs), frame(vague), frame(vague)], 5)
    assert codes == [17, 17, 17]
    expected = 0.8 * (0.6 + 2 * 0.05 * 0.0125) / 3
    assert scores == pytest.approx([expected] * 3)


def test_answers_wait_for_half_a_window_and_no_longer():
    read = 0

    def endless():
        nonlocal read
        while True:
            read += 1
            yield read, frame(sight(at(10)))

    tracked = track_instances(endless(), A2D)
    for count in range(1, 100):
        assert next(tracked).frame == count and read == count + 4


def test_memory_is_that_of_the_window():
    tracker = Tracker(A2D)
    for t in range(300):
        flicker = sight(at(40 + 25 * (t % 2), 5 + 12 * (t % 3), 10))
        tracks = tracker.add(frame(sight(at(5)), flicker)).tracks
        assert len(tracks[0].detections) <= 9 and len(tracker._tracks) <= 12
    assert tracks[0].id == 1
