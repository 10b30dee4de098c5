"""Observations that contradict each other, and files that are not read."""

import gzip

import prediction_files
import pytest
from processes import complaint, run_a2d
from test_annotation_formats import open_source, write
from test_coding import ONE, RUN, events, labels, opened

from a2d_tf.annotations.coded_times.coding import Coding
from a2d_tf.annotations.coded_times.readers import bout_files
from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data.sources import source_check


def bout(start, stop, subject="", behaviour="run"):
    """Rows of a state event, as of `events`."""
    return [
        (subject, behaviour, "START", f"{start:.3f}"),
        (subject, behaviour, "STOP", f"{stop:.3f}"),
    ]


@pytest.mark.parametrize("is_one_file", [True, False])
def test_videos_of_one_name_in_two_folders(is_one_file, tmp_path):
    one = events(tmp_path / "a.csv", bout(0, 0.2, "A"), "one", "/dayA/yard.mp4")
    two = events(tmp_path / "b.csv", bout(0, 0.2, "B"), "two", "/dayB/yard.mp4")
    paths = [one, two]
    if is_one_file:
        _, rows = two.read_text().split("Comment\n", 1)
        one.write_text(one.read_text() + rows)
        paths = [one]
    words = "'/dayB/yard' of 'two' is another video than '/dayA/yard' of 'one' in .*a.c"
    with pytest.raises(InputError, match=words):
        opened(tmp_path, ONE, *paths)


def test_videos_of_one_name_in_two_folders_are_not_scored_as_one(tmp_path):
    for name in ("A", "B"):
        path = tmp_path / f"{name}.csv"
        events(path, bout(0, 0.2, name), name, f"/day{name}/clip.mp4")
    lines = (tmp_path / "B.csv").read_text().split("Comment\n", 1)[1]
    both = tmp_path / "A.csv"
    both.write_text(both.read_text() + lines)
    library = tmp_path / "library"
    prediction_files.write(library / "clip", overlay=0)
    done = run_a2d(
        "score",
        "bouts",
        f"--truth={both}",
        f"--predicted={library}",
        f"--output={tmp_path}/out.json",
    )
    assert "'/dayB/clip' of 'B' is another video than '/dayA/clip'" in complaint(done)


def test_two_coders_of_one_observation_id_are_not_added_up(tmp_path):
    paths = [events(tmp_path / f"{name}.csv", RUN) for name in ("me", "you")]
    words = (
        r"observations 'day 1' and 'day 1' both code '' in 'yard'; pass one of them, or"
        r" .*you.csv and .*me.csv"
    )
    with pytest.raises(InputError, match=words):
        opened(tmp_path, ONE, *paths)


def test_one_coder_in_two_halves_of_a_film(tmp_path):
    one = events(tmp_path / "a.csv", bout(0, 0.2, behaviour="rest"), "first half")
    two = events(tmp_path / "b.csv", bout(0.2, 0.4), "second half")
    expected = {1: "mouse-rest", 2: "mouse-rest", 3: "mouse-run", 4: "mouse-run"}
    assert labels(opened(tmp_path, ONE, one, two)) == {
        frame: [name] for frame, name in expected.items()
    }


def test_a_bout_before_the_video(tmp_path):
    path = events(tmp_path / "e.csv", [*bout(-2, -1), *RUN])
    words = r"line 5: -2.000 to -1.000 s is before the video begins; correct the times"
    with pytest.raises(InputError, match=words):
        opened(tmp_path, ONE, path)
    # As of an observation whose offset is a little off.
    path = events(tmp_path / "e.csv", bout(-0.05, 0.2))
    assert list(labels(opened(tmp_path, ONE, path))) == [1, 2]


def test_a_behaviour_that_the_ethogram_lacks(tmp_path):
    observation = {
        "file": {"1": ["/lab/yard.mp4"]},
        "events": [[0.2, "", "run", "", ""], [0.5, "", "run", "", ""]],
    }
    project = {
        "behaviors_conf": {"0": {"code": "rest", "type": "State event"}},
        "observations": {"day 1": observation},
    }
    write(tmp_path, {"own.boris": project})
    words = r"own.boris: .*'day 1'.events\[0\]: the project's ethogram has no .*'run'"
    with pytest.raises(InputError, match=words):
        bout_files.read(tmp_path / "own.boris")


@pytest.mark.parametrize(
    ("observation", "media", "video"),
    [
        ("yard.mp4", "Not found", "yard"),
        ("YARD.MTS", "", "YARD"),
        ("day.1", "", "day.1"),
        ("x", "/home/me/yard.v2.mp4", "yard.v2"),
    ],
)
def test_the_video_of_an_observation(observation, media, video, tmp_path):
    path = events(tmp_path / "e.csv", RUN, observation, media)
    (read,) = bout_files.read(path)
    assert read.video == video


def test_a_folder_of_images_is_named_as_a_whole(tmp_path):
    path = events(tmp_path / "e.csv", RUN, media="/lab/day.1")
    text = path.read_text().replace("Media file(s)", "From directories of images")
    text = text.replace("/lab/day.1,NA,NA", "NA,7,/lab/day.1/00007.png")
    path.write_text(text)
    (read,) = bout_files.read(path)
    assert (read.video, read.folder, read.counts_images) == ("day.1", "/lab", True)


def test_why_no_frame_has_a_coded_action(tmp_path):
    path = events(tmp_path / "e.csv", RUN, media="/home/me/garden.mp4")
    words = (
        "no annotated frame has a coded action: coded are garden, annotated are yard"
    )
    with pytest.raises(InputError, match=words):
        opened(tmp_path, ONE, path)
    boxes = []
    for frame in range(1, 11):
        boxes.append((frame, "mouse", None, "Ann"))
        boxes.append((frame, "wheel", None, None))
    path = events(tmp_path / "e.csv", bout(0.2, 0.5, "Ann"))
    words = (
        r"a coded action: 10 frames with an indiv.*nobody coded wheel \(10\); code th"
    )
    with pytest.raises(InputError, match=words):
        opened(tmp_path, boxes, path)
    rows = [*bout(0.2, 0.5), *bout(0.2, 0.5, behaviour="rest")]
    path = events(tmp_path / "e.csv", rows)
    words = "a coded action: .*3 frames with two coded actions of an individual"
    with pytest.raises(InputError, match=words):
        opened(tmp_path, ONE, path)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (
            "a.boris.gz",
            gzip.compress(b"{}", mtime=0),
            "a compressed project; save it as .boris",
        ),
        ("a.xlsx", b"PK\x03\x04", "a spreadsheet; export the events as TSV or CSV"),
        ("a.xls", b"\xd0\xcf\x11\xe0", "a spreadsheet; export the events as TSV"),
        (
            "a.tsv",
            b"Observation id\tday 1\n\nMedia file(s)\nPlayer #1\tyard.mp4\n",
            "head of a table of BORIS 6; open its project in BORIS 7 or newer",
        ),
        (
            "b.tsv",
            b"Observation id\tday 1\t\t\n\t\t\t\nTime\tSubject\tBehavior\tStatus\n",
            "head of a table of BORIS 6; open its project in BORIS 7 or newer",
        ),
    ],
)
def test_files_that_are_to_be_exported_otherwise(name, content, words, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name}.*{words}"):
        bout_files.read(tmp_path / name)


def test_a_misspelled_behaviour_is_named_where_it_was_coded(tmp_path):
    rows = [*bout(0, 0.8), *bout(0.8, 1.6, behaviour="runn")]
    coded = events(tmp_path / "e.csv", rows)
    (doubt,) = opened(tmp_path, ONE, coded).doubts
    assert doubt == (
        f"{coded}, line 9: action 'runn' (instances: 1, first in frame 9 of 'yard'):"
        " did you mean 'run'?"
    )
    labels_of_one = LabelSpace.from_fields(
        {
            "actors": ["mouse"],
            "actions": ["run"],
            "none_action": None,
            "pairs": [["mouse", "run"]],
        }
    )
    observations = bout_files.read(coded)
    words = r"e.csv, line 9: mouse-runn is not in the label space; correct it"
    with pytest.raises(InputError, match=words):
        open_source(
            tmp_path / "own.json",
            tmp_path / "videos",
            label_space=labels_of_one,
            coding=Coding(observations),
        )
    rows = [*bout(0, 0.8), *bout(0.8, 1.6, behaviour="Run")]
    with pytest.raises(InputError, match="e.csv, line 9: 'Run' is 'run' elsewhere"):
        opened(tmp_path, ONE, events(coded, rows))


def test_a_coded_behaviour_without_an_instance_is_named_by_the_check(tmp_path):
    rows = [*bout(0, 0.4), *bout(0.2, 0.3, behaviour="jump")]
    source = opened(tmp_path, ONE, events(tmp_path / "e.csv", rows))
    report, _ = source_check.check(source, workers=1)
    lines = report.splitlines()
    table = lines.index(next(line for line in lines if line.startswith("pair ")))
    assert lines[table + 1].startswith("mouse-run")
    assert lines[table + 2] == "jump, coded for 0.1 s, is the action of no instance"
