"""Predicted bouts beside those of BORIS' events."""

import json

import prediction_files
import pytest
from processes import complaint, run_a2d

from a2d_tf.annotations.coded_times.readers import bout_files

HEAD = (
    "Observation id",
    "Media file name",
    "Subject",
    "Behavior",
    "Behavior type",
    "Start (s)",
)
HEAD += ("Stop (s)", "Comment stop")


def write_events(path, *rows, sep="\t", more=()):
    """Events (observation, media, behaviour, type, start, stop) as BORIS writes them.

    `more` are (column, value) of all rows.
    """
    names, values = zip(*more) if more else ((), ())
    lines = [
        (obs, media, "A", what, kind, start, stop, "", *values)
        for obs, media, what, kind, start, stop in rows
    ]
    lines = [(*HEAD, *names), *lines]
    path.write_text(
        "\ufeff" + "".join(sep.join(map(str, row)) + "\r\n" for row in lines)
    )
    return path


def score(folder, events, *more):
    words = (
        f"--truth={events}",
        f"--predicted={folder}/library",
        f"--output={folder}/out.json",
    )
    return run_a2d("score", "bouts", *words, *more)


def spans(observation):
    """{behaviour: (start, stop) of its bouts} of an observation."""
    result = {}
    for bout in observation.bouts:
        result.setdefault(bout.action, []).append((bout.start, bout.end))
    return result


@pytest.fixture
def library(tmp_path):
    """Write a prediction of `clip` with tracks of dogs and of two balls.

    Dogs walk at 0-1 s and 1.7-4 s, and run at 1-1.7 s and 1-2 s.
    """
    prediction_files.write(tmp_path / "library/clip", overlay=0)
    return tmp_path


@pytest.mark.parametrize(
    "media", ["C:\\videos\\clip.mp4", "player #1:/data/clip.avi", "clip"]
)
def test_bouts_of_all_individuals_are_compared_by_action(library, media):
    rows = [
        ("day 1", media, "walking", "STATE", 0.5, 1.0),
        ("day 1", media, "walking", "STATE", 2.0, 9.0),  # the prediction ends at 4 s
        ("day 1", media, "running", "STATE", 0.9, 2.1),
        ("day 1", media, "running", "POINT", 3.0, "NA"),
        ("day 1", media, "grooming", "STATE", 3.0, 4.0),
    ]
    done = score(library, write_events(library / "events.tsv", *rows))
    assert done.returncode == 0, done.stderr
    assert "not actions of the network: grooming" in done.stdout
    found = json.loads((library / "out.json").read_text())
    walking = {"coded_seconds": 2.5, "predicted_seconds": 3.3, "agreed_seconds": 2.5}
    walking |= {"f1_seconds": 100 * 5 / 5.8, "coded_bouts": 2, "predicted_bouts": 2}
    walking |= {"agreed_bouts": 2, "f1_bouts": 100}
    assert found["actions"]["walking"] == pytest.approx(walking)
    running = {"coded_seconds": 1.2, "predicted_seconds": 1.7, "agreed_seconds": 1.0}
    # A dog that is taken for a cat meanwhile goes on running.
    running |= {"coded_bouts": 1, "predicted_bouts": 2, "agreed_bouts": 1}
    running |= {"f1_seconds": 100 * 2 / 2.9, "f1_bouts": 200 / 3}
    assert found["actions"]["running"] == pytest.approx(running)
    # the coder may not have looked
    assert found["actions"]["rolling"]["f1_seconds"] is None
    assert found["not_coded"] == ["flying", "rolling"]
    assert "not coded in BORIS: flying, rolling" in done.stdout
    assert (found["videos"], found["left_out"]) == (["clip"], ["grooming"])


def test_the_time_offset_is_no_time_of_the_video(tmp_path):
    row = ("day 1", "Not found", "walking", "STATE", 60.5, 61.75)
    more = (("Source", "player #1:/data/clip.mp4"), ("Time offset (s)", 60))
    path = write_events(tmp_path / "events.tsv", row, more=more)
    (observation,) = bout_files.read(path)
    assert observation.video == "clip"
    assert spans(observation) == {"walking": [(0.5, 1.75)]}


@pytest.mark.parametrize("sep", [",", ";"])
def test_only_a_line_feed_or_a_carriage_return_ends_a_row(tmp_path, sep):
    path = write_events(
        tmp_path / "e.csv", ("1\u2028\x0b2", "a\tb", "eat", "STATE", 1, 2), sep=sep
    )
    (observation,) = bout_files.read(path)
    assert observation.video == "a\tb"
    assert spans(observation) == {"eat": [(1.0, 2.0)]}


@pytest.mark.parametrize("end", [4.9, 5.1])  # the video lasts 4 s
def test_bouts_behind_the_end_of_the_video_are_told(library, end):
    row = ("day 1", "clip.mp4", "walking", "STATE", 3.0, end)
    done = score(library, write_events(library / "events.tsv", row))
    assert done.returncode == 0, done.stderr
    warning = "'clip' lasts 4.0 s, but was coded until 5.1 s"
    assert (warning in done.stderr + done.stdout) == (end == 5.1)
    figures = json.loads((library / "out.json").read_text())["actions"]["walking"]
    assert figures["coded_seconds"] == 1.0


def test_what_cannot_be_compared(library):
    path = library / "events.csv"
    good = ("day 1", "clip.mp4", "walking", "STATE", 0.5, 1.0)
    for rows, told in [
        ([("day 1", "other.mp4", *good[2:])], "other"),
        ([(*good[:2], "sniffing", *good[3:])], "sniffing"),
        ([(*good[:5], "NA")], "line 2: Stop (s): 'NA' is not a time"),
        (
            [(*good[:4], 2.0, 1.0)],
            "line 2: stops at 1.000 s, before it starts at 2.000 s",
        ),
        ([(*good[:4], "0,5", 1.0)], "line 2: more cells than columns"),
        ([good, ("day 1", '"clip.mp4', *good[2:]), good], "unexpected end of data"),
        ([good, ("day 1", "second.mp4", *good[2:])], "line 3"),
        (
            [good, ("day 2", *good[1:])],
            (
                "observations 'day 1' and 'day 2' both code 'A' in 'clip'; pass one of"
                " them"
            ),
        ),
        ([], "events.csv: no events"),
    ]:
        assert told in complaint(score(library, write_events(path, *rows, sep=",")))
    path.write_text("")
    assert "events.csv: no events" in complaint(score(library, path))
    path.write_text("a,b", encoding="utf-16")
    assert "events.csv: not UTF-8 text" in complaint(score(library, path))


def test_a_coded_video_of_another_length_is_told(library):
    """Where nobody knows how long the predicted one is, nothing is compared."""
    row = ("day 1", "clip", "walking", "STATE", 0.5, 1.0)
    more = (("Media duration (s)", "8.000"), ("FPS", "10"))
    events = write_events(library / "events.tsv", row, more=more)
    assert score(library, events).returncode == 0
    prediction_files.write(library / "library/clip", frames=40)
    assert (
        f"{events}: 'day 1' was coded in a video of 8.0 s with 10 frames a second, but"
        " clip.mp4 lasts 4.0 s with 10, so its times may be those of other frames; pass"
        " the video that was coded, or code this one;"
    ) in complaint(score(library, events))
    more = (("Media duration (s)", "4.5"),)
    events = write_events(library / "events.tsv", row, more=more)
    assert score(library, events).returncode == 0
