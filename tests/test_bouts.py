"""Bouts as read from tracks.json; their tables and plots."""

import collections
import csv
import json
import re

import pytest
from prediction_files import TRACKS, track, write
from processes import complaint, run_a2d

from a2d_tf.behaviour import action_colours, boris, bouts, plots, time_budget
from a2d_tf.behaviour.bouts import Bout
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import write_csv
from a2d_tf.video.pages import video_page

BUDGET = """\
video,video_seconds,fps,individual,actor,action,seconds,share,bouts,first_second,mean_bout_seconds
clip,6.0,10.0,clip_1,dog,walking,3.3,0.825,2,0.0,1.65
clip,6.0,10.0,clip_1,dog,running,0.5,0.125,1,1.0,0.5
clip,6.0,10.0,clip_1,cat,running,0.2,0.05,1,1.5,0.2
clip,6.0,10.0,clip_2,dog,running,1.0,1.0,1,1.0,1.0
clip,6.0,10.0,clip_3,ball,rolling,1.0,0.5556,1,2.0,1.0
clip,6.0,10.0,clip_3,ball,flying,0.8,0.4444,1,3.0,0.8
"""
RUNS = [1.0, "dog 1", "running", "", ""]


@pytest.fixture
def library(tmp_path):
    """Predictions of two videos, whose folders are in one."""
    write(tmp_path / "library/clip", overlay=0, frames=60)
    made = [track(1, ("=ant", "-digs$", 1, 5, 0.5), ("=ant", "_waits", 6, 8, 0.5))]
    write(tmp_path / "library/other", made, overlay=0)
    return tmp_path / "library"


def test_tracks_are_read_in_the_order_of_their_starts(tmp_path):
    tracks = bouts.read(write(tmp_path, overlay=0))
    found = [(t.number, t.actor, t.bouts[0].start, t.bouts[-1].end) for t in tracks]
    assert found == [(1, "dog", 0, 4), (2, "dog", 1, 2), (3, "ball", 2, 3.8)]
    assert tracks[0].bouts[2] == bouts.Bout("cat", "running", 1.5, 1.7, 0.5)


def test_a_file_with_a_track_a_line_is_whole_or_damaged(tmp_path):
    folder = write(tmp_path, overlay=0)
    expected = bouts.read(folder)
    lines = ",\n".join(map(json.dumps, TRACKS))
    for end in ("]\n", "]\n\n"):
        (folder / "tracks.json").write_text(f"[\n{lines}\n{end}")
        assert bouts.read(folder) == expected
    damaged = [f"[\n{lines}\n", f"[\n{lines[:-9]}\n]\n", f"[\n{lines},\n"]
    for text in (*damaged, "[{", "[" * 100000, "\xff"):
        (folder / "tracks.json").write_text(text, encoding="latin-1")
        with pytest.raises(InputError, match="tracks.json: "):
            bouts.read(folder)
    (folder / "tracks.json").write_text(json.dumps([{**TRACKS[0], "actions": []}]))
    with pytest.raises(InputError, match="tracks.json: track 2 has no actions"):
        bouts.read(folder)


def test_the_time_budget_of_each_individual(library, tmp_path):
    found = bouts.read_all([library / "clip"])
    write_csv(tmp_path / "budget.csv", [time_budget.COLUMNS, *time_budget.rows(found)])
    assert (tmp_path / "budget.csv").read_text() == BUDGET
    # all have 0.5
    assert bouts.read_all([library / "clip"], min_score=0.51)[0].tracks == []
    write(tmp_path / "clip", overlay=0)
    with pytest.raises(InputError, match="library/clip"):
        bouts.read_all([library / "clip", tmp_path / "clip"])


def test_the_score_of_moments_is_their_mean():
    moments = (Bout("dog", "running", 2, 2, 0.9), Bout("dog", "running", 3, 3, 0.6))
    totals = bouts.total_by_pair([bouts.TrackBouts(1, "dog", 0.75, moments)])
    assert totals == {("dog", "running"): (2, 0, 2, pytest.approx(0.75))}


def test_tables_page_plot_and_boris_say_the_same(tmp_path):
    """A dog that is taken for a vehicle for a while has no bout that no pair has."""
    rows = [("dog", "walking", 1, 10, 0.8), ("vehicle", "driving", 11, 14, 0.4)]
    made = [
        track(1, *rows, ("dog", "running", 15, 17, 0.6)),
        track(2, ("dog", "running", 3, 9, 1)),
    ]
    each = bouts.read_all([write(tmp_path / "clip", made, overlay=0)])
    video_page.write_page(tmp_path / "clip")
    budget = time_budget.rows(each)
    boris.write_events(tmp_path / "events.tsv", each)
    expected = {
        ("dog", "walking"): 1.0,
        ("vehicle", "driving"): 0.4,
        ("dog", "running"): 1.0,
    }
    found = bouts.total_by_pair(each[0].tracks)
    assert {pair: own.seconds for pair, own in found.items()} == pytest.approx(expected)
    sums = collections.Counter()
    for row in (dict(zip(time_budget.COLUMNS, row)) for row in budget):
        sums[row["actor"], row["action"]] += row["seconds"]
    assert sums == pytest.approx(expected)
    sums.clear()
    for row in csv.DictReader((tmp_path / "events.tsv").open(), delimiter="\t"):
        sign = 1 if row["Behavior type"] == "STOP" else -1
        sums[row["Subject"], row["Behavior"]] += sign * float(row["Time"])
    assert sums == pytest.approx(
        {
            ("dog 1", "walking"): 1.0,
            ("dog 1", "driving"): 0.4,
            ("dog 1", "running"): 0.3,
            ("dog 2", "running"): 0.7,
        }
    )
    page = (tmp_path / "clip/index.html").read_text()
    cells = re.findall(
        "<td>all</td><td>(.*?)</td><td>(.*?)</td><td.*?<td.*?>(.*?)</td>", page
    )
    assert {pair: float(s) for *pair, s in cells for pair in [tuple(pair)]} == expected
    shades = action_colours.colours(["walking", "driving", "running"])
    bars = plots.time_budget(each[0].tracks, shades).axes[0].patches
    widths = sorted(filter(None, (bar.get_width() for bar in bars)))
    assert widths == [50, 50, 100]  # percent: of the dog's; the vehicle's


def test_transitions_along_a_track(library):
    """A dog that runs as a cat has not changed what it does."""
    actions = ["flying", "rolling", "running", "walking"]
    counts = bouts.transitions(bouts.read_all([library / "clip"]), actions)
    assert counts == [[0, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]]


BORIS_COLUMNS = [
    "Observation id",
    "Observation date",
    "Description",
    "Observation duration",
    "Observation type",
    "Source",
    "Time offset (s)",
    "Media duration (s)",
    "FPS",
    "Subject",
    "Behavior",
    "Behavioral category",
    "Behavior type",
    "Time",
    "Media file name",
    "Image index",
    "Image file path",
    "Comment",
]
BORIS_CLIP = {
    "Observation id": "clip",
    "Observation date": "",
    "Description": "",
    "Observation duration": "6.000",
    "Observation type": "Media file(s)",
    "Source": "player #1:clip.mp4",
    "Time offset (s)": "0",
    "Media duration (s)": "6.000",
    "FPS": "10.000",
    "Behavioral category": "",
    "Media file name": "clip.mp4",
    "Image index": "NA",
    "Image file path": "NA",
    "Comment": "",
}


def export_to_boris(library, output):
    words = (f"--prediction={library}", "--format=boris", f"--output={output}")
    return run_a2d("export-annotations", *words)


def test_boris_has_a_row_where_a_bout_starts_and_one_where_it_stops(library, tmp_path):
    done = export_to_boris(library, tmp_path / "events.tsv")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    with open(tmp_path / "events.tsv", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert list(rows[0]) == BORIS_COLUMNS
    event = {"Subject": "dog 1", "Behavior": "walking"}
    start = {"Behavior type": "START", "Time": "0.000"}
    assert rows[0] == {**BORIS_CLIP, **event, **start}
    events = []
    for row in rows:
        events.append(
            (row["Subject"], row["Behavior"], row["Behavior type"], row["Time"])
        )
    assert events[1:5] == [
        ("dog 1", "walking", "STOP", "1.000"),
        ("dog 1", "running", "START", "1.000"),
        ("dog 2", "running", "START", "1.000"),
        ("dog 1", "running", "STOP", "1.500"),
    ]
    assert len(rows) == 2 * 9
    assert events[5:7] == [  # as a cat
        ("dog 1", "running", "START", "1.500"),
        ("dog 1", "running", "STOP", "1.700"),
    ]
    assert events[-1] == ("=ant 1", "_waits", "STOP", "0.800")
    assert rows[-1]["Behavioral category"] == ""


def test_a_boris_project_has_the_behaviours_and_the_events(library, tmp_path):
    boris.write_project(tmp_path / "own.boris", bouts.read_all([library / "clip"]))
    project = json.loads((tmp_path / "own.boris").read_text())
    behaviours = [(b["code"], b["type"]) for b in project["behaviors_conf"].values()]
    assert behaviours[1:3] == [("rolling", "State event"), ("running", "State event")]
    observation = project["observations"]["clip"]
    assert observation["file"] == {"1": ["clip.mp4"]}
    assert (observation["date"], project["project_date"]) == ("", "")
    assert observation["events"][1:3] == [[1.0, "dog 1", "walking", "", ""], RUNS]


def test_boris_reads_no_zip(library, tmp_path):
    done = export_to_boris(library, tmp_path / "events.zip")
    assert "--output" in complaint(done)


def test_a_timeline_has_a_bar_for_each_bout(library):
    (clip,) = bouts.read_all([library / "clip"])
    shades = dict.fromkeys(("flying", "rolling", "running", "walking"), "#ff0000")
    # one for all: it is drawn at once
    (bars,) = plots.timeline(clip, shades).axes[0].collections
    corners = [path.vertices[:4].tolist() for path in bars.get_paths()]
    assert len(corners) == 7 and corners[1] == [
        [1, -0.38],
        [1, 0.38],
        [1.5, 0.38],
        [1.5, -0.38],
    ]
    edges = [tuple(edge) for edge in bars.get_edgecolors()]
    assert len(edges) == 7 and len(set(edges[:4])) == 2  # of the dog and of the cat
    assert {edge[3] for edge in edges} == {0, 1}  # others have none


def test_plots_of_libraries_and_predictions(library, tmp_path):
    alone = write(tmp_path / "alone", [], overlay=0)
    words = (
        f"--prediction={library}",
        f"--prediction={alone}",
        f"--output={tmp_path / 'plots'}",
    )
    done = run_a2d("plot-tracks", *words)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"{library / 'clip'}: clip, 6.0 s, 3 tracks",
        f"{library / 'other'}: other, 0.8 s, 1 tracks",
        f"{alone}: alone, 0.0 s, 0 tracks",
        f"3 predictions -> {tmp_path / 'plots'}",
    ]
    videos = ["alone", "clip", "other"]
    drawn = [
        f"{kind}_{name}" for kind in ("time_budget", "timeline") for name in videos
    ]
    drawn = ["time_budget", *drawn, "transitions"]
    assert sorted(path.stem for path in (tmp_path / "plots").glob("*.png")) == drawn
    budget = (tmp_path / "plots/time_budget.csv").read_text()
    assert (
        budget.startswith(BUDGET)
        and "\nother,0.8,10.0,other_1,=ant,-digs$,0.5," in budget
    )
    rows = list(csv.reader((tmp_path / "plots/transitions.csv").open()))
    assert ["-digs$", "0", "0", "0", "0", "0", "1"] in rows
    done = run_a2d("plot-tracks", f"--prediction={tmp_path / 'plots'}", words[2])
    assert "plots: neither" in complaint(done)
    assert "--min_score=50" in complaint(
        run_a2d("plot-tracks", *words, "--min_score=50")
    )


def test_a_bout_without_length_stops_after_its_own_start(library, tmp_path):
    """Above 1000 images a second, milliseconds swallow a bout of a frame."""
    (clip,) = bouts.read_all([library / "clip"])
    walks = bouts.Bout("dog", "walking", 0.0, 1.0, 0.5)
    waits = bouts.Bout("dog", "waiting", 1.0, 1.0, 0.5)
    runs = bouts.Bout("dog", "running", 1.0, 2.0, 0.5)
    track_of_dog = bouts.TrackBouts(1, "dog", 0.5, (walks, waits, runs))
    boris.write_events(tmp_path / "e.csv", [clip._replace(tracks=[track_of_dog])])
    with open(tmp_path / "e.csv", newline="") as file:
        rows = [(row["Behavior"], row["Behavior type"]) for row in csv.DictReader(file)]
    assert rows == [
        ("walking", "START"),
        ("walking", "STOP"),
        ("waiting", "START"),
        ("waiting", "STOP"),
        ("running", "START"),
        ("running", "STOP"),
    ]
