"""Actions of a track by how long bouts last, and these lengths from coded times."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from pycocotools import mask as rle_tools

from a2d_tf.annotations.coded_times.bout_seconds import mean_bout_seconds
from a2d_tf.annotations.coded_times.coding import Coding
from a2d_tf.annotations.coded_times.observations import CodedBout, Observation
from a2d_tf.core.labels import LabelSpace
from a2d_tf.tracking.bout_model import EVIDENCE, BoutModel, FrameActions
from a2d_tf.tracking.tracked_frames import track_instances
from a2d_tf.video.frames.answers import Answer
from a2d_tf.video.frames.track_settings import TRACK_DEFAULTS
from a2d_tf.video.frames.tracked_answers import keep_tracks
from a2d_tf.video.reading.span import Span

PETS = LabelSpace(("cat", "ball"), ("run", "sit", "roll"), codes=(11, 12, 23))


def by_all_paths(lengths, typical, seen, valid):
    """p(action) in each frame [n, |Y|]: the sum over all sequences of actions."""
    actions = np.flatnonzero(valid)
    count = len(actions)
    share = min(1.0, EVIDENCE / typical)
    sums = np.zeros((len(seen), len(valid)))
    for path in itertools.product(actions, repeat=len(seen)):
        probability = 1.0
        for t, action in enumerate(path):
            probability *= seen[t].actions[action] ** share
            if t == 0:
                continue
            gap = seen[t].frame_index - seen[t - 1].frame_index
            before = path[t - 1]
            decay = np.exp(-gap / lengths[before] * count / (count - 1))
            goes_on = 1 / count + (1 - 1 / count) * decay
            changes = (1 - goes_on) / (count - 1)
            probability *= goes_on if action == before else changes
        for t, action in enumerate(path):
            sums[t, action] += probability
    return sums / sums.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("typical", [3.0, 40.0])
def test_actions_are_those_of_all_paths(typical):
    rng = np.random.default_rng(0)
    lengths = np.array([2.0, 5.0, 30.0, 9.0])
    valid = np.array([True, True, False, True])
    seen = []
    for frame_index in (0, 1, 2, 5, 6):  # a gap before the fourth
        seen.append(FrameActions(frame_index, rng.dirichlet(np.ones(4))))
    model = BoutModel(lengths, typical)
    expected = by_all_paths(lengths, typical, seen, valid)
    followed = None
    for t in range(len(seen)):
        followed = model.forward(followed, seen[t], valid)
        actions = model.smooth(followed, seen[t + 1 :], valid)
        np.testing.assert_allclose(actions, expected[t], rtol=1e-10)
    if model.ahead >= 6:  # else not all of the frames are read
        answers = model.smooth_track(seen, valid)
        np.testing.assert_allclose(answers, expected, rtol=1e-10)
    else:
        first = model.forward(None, seen[0], valid)
        near = model.smooth(first, seen[1:3], valid)  # up to three frames ahead
        np.testing.assert_array_equal(model.smooth_track(seen, valid)[0], near)


def test_lengths_are_of_seconds_and_typical_where_unknown():
    model = BoutModel.of_seconds({"run": 2.0, "sit": 8.0, "fly": 1.0}, PETS, 5.0)
    np.testing.assert_allclose(model.lengths, [10, 40, 20])
    assert model.typical == pytest.approx(20)
    assert model.ahead == 20
    assert BoutModel.of_seconds({"sit": 8.0}, PETS, 25.0).ahead == 32  # in memory
    assert BoutModel.of_seconds({"fly": 1.0}, PETS, 25.0) is None


def test_an_actor_with_a_single_action_has_it():
    model = BoutModel.of_seconds({"run": 1.0}, PETS, 5.0)
    valid = PETS.valid[1]
    followed = model.forward(None, FrameActions(0, np.array([0.9, 0.1, 0.0])), valid)
    np.testing.assert_array_equal(model.smooth(followed, [], valid), [0, 0, 1])
    # The actor has changed: nothing is known of its action.
    followed = model.forward(
        followed, FrameActions(1, np.array([0.6, 0.3, 0])), PETS.valid[0]
    )
    assert followed.actions[0] == pytest.approx(2 / 3)


def instances(run):
    """A cat that stays where it is, with p(run)."""
    code = PETS.encode(0, 0 if run >= 0.5 else 1)
    mask = np.zeros((60, 60), np.uint8)
    mask[10:50, 10:50] = 1
    return SimpleNamespace(
        boxes=np.array([[10.0, 10.0, 50.0, 50.0]]),
        codes=np.array([code]),
        scores=np.array([0.9 * max(run, 1 - run)]),
        masks=[rle_tools.encode(np.asfortranarray(mask))],
        actor_scores=np.array([[0.9, 0.05]]),
        action_scores=np.array([[run, 1 - run, 0.0]]),
    )


def labels_of(runs, **settings):
    """The actions of the cat's track, and how many frames wait at most."""
    answered = []
    waiting = []

    def answers():
        for i, run in enumerate(runs):
            answered.append(i)
            yield i, instances(run)

    codes = []
    for tracked in track_instances(answers(), PETS, **settings):
        waiting.append(len(answered) - tracked.frame)
        codes.append(PETS.indices(int(tracked.codes[0]))[1])
        assert tracked.ids.tolist() == [1]
    return "".join("rs"[action] for action in codes), max(waiting)


def test_long_bouts_need_more_evidence_than_short_ones():
    runs = [0.8] * 20 + [0.3] * 6 + [0.8] * 20
    short = BoutModel.of_seconds({"run": 1.0, "sit": 0.6}, PETS, 10.0)
    long = BoutModel.of_seconds({"run": 30.0, "sit": 30.0}, PETS, 10.0)
    labels, waiting = labels_of(runs, bout_model=short)
    assert labels == "r" * 20 + "s" * 6 + "r" * 20
    assert waiting == short.ahead + 1 == 9
    labels, waiting = labels_of(runs, bout_model=long)
    assert labels == "r" * 46
    assert waiting == 33


def test_without_a_model_or_with_a_window_of_1_labels_are_as_ever():
    runs = [0.8] * 20 + [0.3] * 6 + [0.8] * 20
    long = BoutModel.of_seconds({"run": 30.0}, PETS, 10.0)
    own_answers = "r" * 20 + "s" * 6 + "r" * 20
    assert labels_of(runs, window=1, bout_model=long) == (own_answers, 1)
    assert labels_of(runs) == labels_of(runs, bout_model=None)
    assert labels_of(runs)[1] == 5


@pytest.mark.parametrize("seconds, rests", [(0.6, 6), (30.0, 0)])
def test_given_tracks_are_read_by_the_seconds_that_a_network_knows(seconds, rests):
    def answers():
        for run in [0.8] * 20 + [0.3] * 6 + [0.8] * 20:
            found = instances(run)
            found.tracks = np.array([7])
            yield Answer(None, found)

    info = {"joint": False, "bout_seconds": {"run": seconds, "sit": seconds}}
    network = SimpleNamespace(info=info, labels=PETS)
    reader = SimpleNamespace(fps=20.0, count=None, length=None, seconds=float)
    frames = list(
        keep_tracks(network, answers(), {7: 99}, reader, Span(every=2), TRACK_DEFAULTS)
    )
    assert [frame.number for frame in frames] == list(range(1, 93, 2))
    assert {int(frame.tracks[0]) for frame in frames} == {7}
    codes = [int(frame.codes[0]) for frame in frames]
    assert codes.count(PETS.encode(0, 1)) == rests
    assert codes.count(PETS.encode(0, 0)) == 46 - rests


def observation(*bouts, **fields):
    coded = [CodedBout(*bout, where="f.csv: line 2") for bout in bouts]
    return Observation("o", "film", bouts=coded, **fields)


def test_seconds_of_coded_bouts():
    film = observation(
        ("tom", "run", 1.0, 2.5), ("tom", "sit", 4.0, 14.0), ("tim", "run", 3.0, 3.5),
        ("tom", "blink", 5.0, 5.0), ("tim", "sit", 3.5, 5.5),
    )  # fmt: skip
    coding = Coding([film])
    assert mean_bout_seconds(coding, ["film"]) == {"run": 1.0, "sit": 6.0}
    assert mean_bout_seconds(coding, ["another"]) == {}
    coding = Coding([film], outside="none")
    assert mean_bout_seconds(coding, ["film"]) == {"none": 1.5, "run": 1.0, "sit": 6.0}
    coding = Coding([film], subjects={"tim": None})
    assert mean_bout_seconds(coding, ["film"]) == {"run": 1.5, "sit": 10.0}


def test_seconds_of_images_need_a_rate():
    images = observation(("", "run", 1, 11), counts_images=True)
    assert mean_bout_seconds(Coding([images]), ["film"]) == {}
    assert mean_bout_seconds(Coding([images], fps=5), ["film"]) == {"run": 2.0}
