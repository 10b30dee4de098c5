"""Short gaps are filled and short bouts go, in all files of a prediction alike."""

import csv
import json

import numpy as np
import pytest
from a2d_files import coloured_frames, write_video
from test_outputs import BOX, OTHER, frame, reader

from a2d_tf.behaviour import bouts
from a2d_tf.core.labels import A2D
from a2d_tf.tracking.bout_lengths import BoutLengths, LabelledSpan, fill_gaps, tidy
from a2d_tf.video import video_prediction
from a2d_tf.video.frames.tidy_frames import tidy_frames
from a2d_tf.video.frames.track_settings import TrackSettings
from a2d_tf.video.outputs import output_folder
from a2d_tf.video.reading import video_reader

RUN, WALK, FLY = 17, 18, 34
CAT_RUNS = 67
KINDS = ("detections", "tracks", "summary", "frames")


def spans(*values):
    return [LabelledSpan(*value) for value in values]


@pytest.mark.parametrize(
    "merge_gap, expected",
    [
        (0, [("a", 0, 1), ("b", 1, 1.2), ("a", 1.2, 2), ("a", 2.3, 3)]),
        (0.2, [("a", 0, 1), ("b", 1, 1.2), ("a", 1.2, 2), ("a", 2.3, 3)]),
        (0.25, [("a", 0, 2), ("a", 2.3, 3)]),
        (0.301, [("a", 0, 3)]),
    ],
)
def test_gaps_that_are_shorter_are_filled(merge_gap, expected):
    given = spans(("a", 0, 1), ("b", 1, 1.2), ("a", 1.2, 2), ("a", 2.3, 3))
    assert fill_gaps(given, merge_gap) == spans(*expected)


def test_gaps_are_filled_from_the_first_bout_on():
    given = spans(("a", 0, 1), ("b", 1, 2), ("a", 2, 3), ("b", 3, 9), ("a", 9, 10))
    assert fill_gaps(given, 1.5) == spans(("a", 0, 3), ("b", 3, 9), ("a", 9, 10))
    # The first gap is too long, the second one is not.
    given = spans(("a", 0, 1), ("b", 1, 4), ("c", 4, 4.5), ("b", 4.5, 5), ("a", 5, 6))
    expected = spans(("a", 0, 1), ("b", 1, 5), ("a", 5, 6))
    assert fill_gaps(given, 1.5) == expected


def test_bouts_that_are_still_short_go():
    pieces = spans(("a", 0, 0.4), ("b", 0.4, 0.5), ("a", 0.5, 0.9), ("b", 0.9, 1.2))
    assert tidy(pieces, BoutLengths(0.5, 0)) == []
    assert tidy(pieces, BoutLengths(0.5, 0.2)) == spans(("a", 0, 0.9))
    assert tidy(pieces, BoutLengths(0.3, 0)) == spans(
        ("a", 0, 0.4), ("a", 0.5, 0.9), ("b", 0.9, 1.2)
    )
    # 1.2 - 0.9 is below 0.3 in floating point.
    assert tidy(pieces[3:], BoutLengths(0.3, 0)) == pieces[3:]


def write(folder, frames, lengths):
    """A prediction of frames; returns how many of them were held at most."""
    taken = 0

    def source():
        nonlocal taken
        for each in frames:
            taken += 1
            yield each

    most = 0
    with output_folder.open_outputs(str(folder), reader(), kinds=KINDS) as files:
        for number, each in enumerate(tidy_frames(source(), lengths, A2D), 1):
            files.add(each, A2D)
            most = max(most, taken - number)
    return most


def files(folder):
    def load(name):
        return json.loads((folder / name).read_text())

    with open(folder / "frames.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return load("tracks.json"), load("detections.json"), rows


def film(*codes):
    """Frames of 0.1 s with one track, which has a code or is missed."""
    frames = []
    for number, code in enumerate(codes, 1):
        instances = [(1, code, 0.5, BOX)] if code else []
        frames.append(frame(number, *instances))
    return frames


def test_a_filled_gap_has_the_label_around_it_in_all_files(tmp_path):
    frames = film(*[RUN] * 4, WALK, *[RUN] * 3, *[WALK] * 2)
    write(tmp_path, frames, BoutLengths(0.3, 0.2))
    ((track,), detections, rows) = files(tmp_path)
    (action,) = track["actions"]
    assert (action["start_second"], action["end_second"]) == (0, 0.8)
    # What the network says of the gap: p(running) is 0.
    assert [row["score"] for row in track["frames"]] == [*[0.5] * 4, 0, *[0.5] * 3]
    assert {row["category_id"] for row in track["frames"]} == {RUN}
    assert [row["action"] for row in rows] == ["running"] * 8
    ids = [detection["track_id"] for detection in detections]
    assert ids == [*[1] * 8, 0, 0]
    codes = [detection["category_id"] for detection in detections]
    assert codes == [*[RUN] * 4, WALK, *[RUN] * 3, WALK, WALK]
    (summary,) = (tmp_path / "summary.csv").read_text().splitlines()[1:]
    assert summary == "1,adult,running,0.0,0.8,1,8,0.4375"


def test_a_bout_that_goes_leaves_two_of_one_action(tmp_path):
    write(tmp_path, film(*[RUN] * 3, WALK, *[RUN] * 3), BoutLengths(0.2, 0))
    summary = (tmp_path / "summary.csv").read_text().splitlines()[1:]
    assert summary == [
        "1,adult,running,0.0,0.3,1,3,0.5",
        "1,adult,running,0.4,0.7,5,7,0.5",
    ]


def test_a_bout_goes_on_where_the_actor_alone_changes(tmp_path):
    """The pieces keep their actors, and are as long as they are together."""
    codes = [*[RUN] * 2, CAT_RUNS, *[RUN] * 2, WALK, *[CAT_RUNS] * 2, WALK]
    write(tmp_path / "short", film(*codes), BoutLengths(0.5, 0))
    rows = (tmp_path / "short/summary.csv").read_text().splitlines()[1:]
    assert rows == [
        "1,adult,running,0.0,0.2,1,2,0.5",
        "1,cat,running,0.2,0.3,3,3,0.5",
        "1,adult,running,0.3,0.5,4,5,0.5",
    ]
    write(tmp_path / "gap", film(*codes), BoutLengths(0.2, 0.2))
    rows = (tmp_path / "gap/summary.csv").read_text().splitlines()[1:]
    assert rows == [
        "1,adult,running,0.0,0.2,1,2,0.5",
        "1,cat,running,0.2,0.3,3,3,0.5",
        "1,adult,running,0.3,0.6,4,6,0.333333",
        "1,cat,running,0.6,0.8,7,8,0.5",
    ]
    write(tmp_path / "raw", film(*codes), BoutLengths())
    (prediction,) = bouts.read_all([tmp_path / "raw"])
    (track,) = prediction.tracks
    assert bouts.spans_of_actions(track, BoutLengths()) == spans(
        ("running", 0, 0.5),
        ("walking", 0.5, 0.6),
        ("running", 0.6, 0.8),
        ("walking", 0.8, 0.9),
    )
    assert bouts.spans_of_actions(track, BoutLengths(0.2, 0.2)) == spans(
        ("running", 0, 0.8)
    )


def test_a_track_of_short_bouts_is_in_no_file(tmp_path):
    frames = film(RUN, WALK, None, None)
    frames.append(frame(5, (2, RUN, 0.5, BOX), ended=[1]))
    frames.append(frame(6, (2, RUN, 0.5, BOX)))
    write(tmp_path, frames, BoutLengths(0.2, 0))
    ((track,), detections, rows) = files(tmp_path)
    assert track["track_id"] == 2 and len(track["frames"]) == len(rows) == 2
    assert [detection["track_id"] for detection in detections] == [0, 0, 2, 2]


def test_frames_wait_only_where_bouts_are_not_known(tmp_path):
    assert write(tmp_path / "a", film(*[RUN] * 60), BoutLengths(0.5, 0.3)) == 4
    assert write(tmp_path / "b", film(*[RUN] * 60), BoutLengths()) == 0


def random_film(draw):
    """Frames with two tracks that change, are missed, rest and end."""
    frames = []
    codes = {1: RUN, 2: WALK}
    missed = {1: 9, 2: 9}  # in a row
    for number in range(1, 121):
        instances = []
        resting = []
        ended = []
        for track, box in ((1, BOX), (2, OTHER)):
            if missed[track] == 4 and track == 1:
                resting.append(track)
            if track == 2 and number == 100:
                ended.append(track)
            if draw.random() < 0.25:
                codes[track] = int(draw.choice([RUN, WALK, FLY, CAT_RUNS]))
            is_seen = draw.random() < (0.85 if missed[track] == 0 else 0.3)
            is_over = track == 2 and number >= 96
            missed[track] = 0 if is_seen else missed[track] + 1
            if is_seen and not is_over:
                instances.append((track, codes[track], 0.5, box))
        frames.append(frame(number, *instances, resting=resting, ended=ended))
    return frames


@pytest.mark.parametrize("lengths", [(0.3, 0), (0, 0.35), (0.5, 0.2), (0.25, 0.6)])
@pytest.mark.parametrize("seed", range(4))
def test_bouts_are_those_of_all_bouts_at_once(tmp_path, seed, lengths):
    draw = np.random.default_rng(seed)
    frames = random_film(draw)
    write(tmp_path / "raw", frames, BoutLengths())
    write(tmp_path / "tidy", frames, BoutLengths(*lengths))
    (raw,) = bouts.read_all([tmp_path / "raw"])
    (tidied,) = bouts.read_all([tmp_path / "tidy"])
    expected = {}
    for track in raw.tidied(BoutLengths(*lengths)).tracks:
        expected[track.number] = [bout[:4] for bout in track.bouts]
    found = {t.number: [bout[:4] for bout in t.bouts] for t in tidied.tracks}
    assert found == expected != {t.number: [b[:4] for b in t.bouts] for t in raw.tracks}
    # Each row of a track lies in one of its bouts, and has its label.
    tracks, _, rows = files(tmp_path / "tidy")
    assert len(rows) == sum(len(track["frames"]) for track in tracks)
    for row in rows:
        inside = []
        for actor, action, start, end in found[int(row["track_id"])]:
            if start <= float(row["seconds"]) < end:
                inside.append((actor, action))
        assert inside == [(row["actor"], row["action"])]


@pytest.mark.slow
def test_a_prediction_has_the_bouts_of_one_without_lengths(predictor, tmp_path):
    film = write_video(tmp_path / "film.mp4", coloured_frames(20))
    found = {}
    for name, settings in (
        ("raw", TrackSettings(window=1)),
        ("tidy", TrackSettings(window=1, min_bout=0.1, merge_gap=0.1)),
    ):
        video_prediction.predict(
            lambda: predictor,
            video_reader.open_video(film),
            str(tmp_path / name),
            track_settings=settings,
        )
        (found[name],) = bouts.read_all([tmp_path / name])
    expected = found["raw"].tidied(BoutLengths(0.1, 0.1))
    assert expected.tracks != found["raw"].tracks
    for track, other in zip(expected.tracks, found["tidy"].tracks):
        assert track.number == other.number
        assert [bout[:4] for bout in track.bouts] == [bout[:4] for bout in other.bouts]
    assert len(expected.tracks) == len(found["tidy"].tracks) > 0
