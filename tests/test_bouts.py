"""What is read from tracks.json: bouts, the time budget, transitions; and their plots."""

import copy
import csv
import json
import re

import pytest
from prediction_files import TRACKS, track, write
from processes import complaint, run_tool

from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.video.views import bouts


def test_tracks_are_read_in_the_order_of_their_starts(tmp_path):
    tracks = bouts.read(write(tmp_path, overlay=0))
    assert [(t.number, t.actor, t.start, t.end) for t in tracks] == [
        (1, "dog", 0, 4),
        (2, "dog", 1, 2),
        (3, "ball", 2, 3.8),
    ]
    assert tracks[0].bouts[2] == bouts.Bout("cat", "running", 1.5, 1.7, 0.5)


def test_a_file_with_a_track_a_line_is_whole_or_damaged(tmp_path):
    folder = write(tmp_path, overlay=0)
    expected = bouts.read(folder)
    lines = ",\n".join(map(json.dumps, TRACKS))
    (folder / "tracks.json").write_text(f"[\n{lines}\n]\n")
    assert bouts.read(folder) == expected
    damaged = [f"[\n{lines}\n", f"[\n{lines[:-9]}\n]\n", f"[\n{lines},\n"]
    for text in (*damaged, "[{", "[" * 100000, "\xff"):
        (folder / "tracks.json").write_text(text, encoding="latin-1")
        with pytest.raises(InputError, match="tracks.json: "):
            bouts.read(folder)


def test_the_time_budget_in_seconds_and_transitions_along_a_track(tmp_path):
    """A dog that runs as a cat has not changed what it does."""
    tracks = bouts.read(write(tmp_path, overlay=0))
    budget = bouts.time_budget(tracks)
    assert {pair: round(seconds, 6) for pair, seconds in budget.items()} == {
        ("ball", "flying"): 0.8,
        ("ball", "rolling"): 1.0,
        ("cat", "running"): 0.2,
        ("dog", "running"): 1.5,
        ("dog", "walking"): 3.3,
    }
    actions = ["flying", "rolling", "running", "walking"]
    counts = bouts.transitions(tracks, actions).tolist()
    assert counts == [[0, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]]
    dog, cat = (bouts.transitions(tracks, actions, actor) for actor in ("dog", "cat"))
    assert dog.tolist()[3] == [0, 0, 1, 0] and dog.sum() == 1
    assert cat.tolist()[2] == [0, 0, 0, 1]


@pytest.mark.parametrize(
    "field, value, message",
    [
        (None, 3, r"\[0\]: content: 3"),
        ("track_id", 0, r"\[0\]: track_id: 0"),
        ("actor", "a\nb", r"\[0\]: actor: 'a\\nb'"),
        ("actions", [], r"\[0\]: actions"),
        ("action", 7, r"\[0\]: actions\[0\].action: 7"),
        ("mean_score", 1.5, "mean_score: 1.5"),
        ("end_second", 0.5, "end_second: 0.5"),
        ("start_second", 10**400, "start_second"),
    ],
)
def test_a_malformed_field_is_named(tmp_path, field, value, message):
    path = write(tmp_path, overlay=0) / "tracks.json"
    own = copy.deepcopy(TRACKS[0])
    (own if field in ("track_id", "actor", "actions") else own["actions"][0])[field] = value
    path.write_text(json.dumps([own if field else value]))
    with pytest.raises(InputError, match=f"^{re.escape(str(path))}: .*{message}"):
        bouts.read(tmp_path)


def test_an_action_has_its_colour_whatever_else_occurs():
    few, more = (bouts.colours(x, A2D) for x in (["running"], ["running", "climbing"]))
    assert list(more) == ["climbing", "running"] and few["running"] == more["running"]
    own = LabelSpace(("ant",), ("waits", "digs", "none"), (11, 12, 13), "none")
    assert list(bouts.colours(["none", "digs", "waits"], own)) == ["waits", "digs", "none"]
    many = bouts.colours(f"action {i}" for i in range(60))
    assert len(set(many.values())) == 60
    assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in many.values())


def test_plots_are_written_as_pictures_and_numbers(tmp_path):
    one, other = write(tmp_path / "one", overlay=0), tmp_path / "$x_1$ <b>"
    write(other, [track(1, ("_ant$", "digs", 1, 5, 0.5), ("_ant$", "_waits", 6, 8, 0.5))], 0)
    plots = tmp_path / "plots"
    done = run_tool("plot_tracks", f"--prediction={one},{other}", f"--output={plots}")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("4 tracks, 9 bouts -> ")
    names = ("time_budget", "transitions", "timeline_1", "timeline_2")
    expected = {f"{name}{kind}" for name in names for kind in (".png", ".svg")}
    expected |= {"time_budget.csv", "transitions.csv"}
    assert {path.name for path in plots.iterdir()} == expected
    for name in names:
        assert (plots / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    drawn = (plots / "timeline_2.svg").read_text()
    assert "#1 _ant$</text>" in drawn and "$x_1$ &lt;b&gt;</text>" in drawn
    assert "_waits</text>" in drawn
    rows = list(csv.reader((plots / "time_budget.csv").open()))
    assert rows[0] == ["actor", "action", "seconds"] and ["dog", "walking", "3.3"] in rows
    rows = list(csv.reader((plots / "transitions.csv").open()))
    assert rows[0] == ["from \\ to", "flying", "rolling", "running", "walking", "_waits", "digs"]
    assert ["digs", "0", "0", "0", "0", "1", "0"] in rows
    (plots / "timeline_of_mine.png").touch()
    run_tool("plot_tracks", f"--prediction={one}", f"--output={plots}")
    kept = {"timeline.png", "timeline.svg", "timeline_of_mine.png"}
    assert {path.name for path in plots.iterdir() if "timeline" in path.name} == kept


def test_plots_of_nobody_are_drawn(tmp_path):
    folder = write(tmp_path, [], overlay=0)
    done = run_tool("plot_tracks", f"--prediction={folder}", f"--output={folder / 'plots'}")
    assert (done.returncode, done.stderr) == (0, "")
    assert (folder / "plots" / "timeline.svg").is_file()
    assert "no transitions" in (folder / "plots" / "transitions.svg").read_text()
    done = run_tool("plot_tracks", f"--prediction={folder},{folder}/", f"--output={tmp_path}")
    assert "--prediction" in complaint(done)
