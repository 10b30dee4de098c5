"""Subjects of coded times: whose actions they are, and who is left out."""

import json

import pytest
from a2d_files import encode_video
from test_annotation_formats import open_source, write, xml
from test_coding import FRAMES, TIMES, events, labels, opened

from a2d_tf.annotations.coded_times import coding
from a2d_tf.annotations.coded_times.readers import bout_files
from a2d_tf.annotations.coded_times.subjects import load_subjects
from a2d_tf.core.errors import InputError


def state(subject, behaviour, start=0, stop=0.2):
    """Rows of a state event, as of `events`."""
    return [
        (subject, behaviour, "START", f"{start:.3f}"),
        (subject, behaviour, "STOP", f"{stop:.3f}"),
    ]


def cvat_track(number, left, frames=(0, 1, 2), name=None, label="mouse"):
    """A track of boxes as CVAT exports it; frames count from 0."""
    attribute = ""
    if name is not None:
        attribute = f'<attribute name="name">{name}</attribute>'
    boxes = "".join(
        f'<box frame="{frame}" keyframe="1" outside="0" occluded="0" xtl="{left}"'
        f' ytl="6" xbr="{left + 9}" ybr="15">{attribute}</box>'
        for frame in frames
    )
    return f'<track id="{number}" label="{label}">{boxes}</track>'


def task_of_yard(*tracks, **task):
    """Return CVAT's XML of a task of the video yard, of ten frames."""
    text = xml(*tracks, source="yard.mp4", **{"size": 10, "start": 0, **task})
    return text.replace("<width>32</width><height>24", SIZE)


def open_cvat(folder, exports, rows, **fields):
    """Open CVAT's XML files {name: tracks} with coded rows."""
    if not (folder / "videos").exists():
        encode_video(folder / "videos" / "yard.mp4", FRAMES, "libx264", TIMES)
    texts = {}
    for task, (name, tracks) in enumerate(exports.items()):
        texts[name] = task_of_yard(*tracks, task=task)
    write(folder, texts)
    observations = bout_files.read(events(folder / "e.csv", rows))
    return open_source(
        folder, folder / "videos", coding=coding.Coding(observations, **fields)
    )


SIZE = "<width>64</width><height>48"


@pytest.mark.parametrize("subject", ["1", "mouse 1", "2", "mouse 7"])
def test_numbers_that_cvat_chose_are_nobodys_names(subject, tmp_path):
    tracks = [cvat_track(0, 4), cvat_track(1, 20), cvat_track(2, 40)]
    with pytest.raises(InputError) as caught:
        open_cvat(tmp_path, {"own.xml": tracks}, state(subject, "run"))
    message = str(caught.value)
    assert "e.csv, line 5: " in message
    assert f"'{subject}' (0.2 s) is no name in the annotations of 'yard'" in message
    assert "own.xml: 0 (mouse, from frame 1), 1 (mouse, from frame 1)" in message
    assert f'{{"{subject}": "track id or name"}}' in message


def test_the_user_says_which_track_of_cvat_a_subject_is(tmp_path):
    tracks = [cvat_track(0, 4), cvat_track(1, 20)]
    rows = [*state("1", "run"), *state("2", "rest")]
    source = open_cvat(
        tmp_path, {"own.xml": tracks}, rows, subjects={"1": "0", "2": "1"}
    )
    assert labels(source) == dict.fromkeys((1, 2), ["mouse-run", "mouse-rest"])


def test_a_name_wins_over_a_number_of_the_tool(tmp_path):
    tracks = [cvat_track(0, 4, name="1"), cvat_track(1, 20, name="2")]
    rows = [*state("1", "run"), *state("mouse 2", "rest")]
    source = open_cvat(tmp_path, {"own.xml": tracks}, rows)
    assert labels(source) == dict.fromkeys((1, 2), ["mouse-run", "mouse-rest"])
    swapped = open_cvat(
        tmp_path, {"own.xml": tracks}, rows, subjects={"1": "2", "mouse 2": "1"}
    )
    assert labels(swapped) == dict.fromkeys((1, 2), ["mouse-rest", "mouse-run"])


def test_a_number_is_one_individual_where_its_actor_changes(tmp_path):
    tracks = [
        cvat_track(0, 4, frames=(0,), name="3"),
        cvat_track(1, 4, frames=(1,), name="3", label="rat"),
    ]
    source = open_cvat(tmp_path, {"own.xml": tracks}, state("mouse 3", "run"))
    assert labels(source) == {1: ["mouse-run"], 2: ["rat-run"]}
    rows = [*state("mouse 3", "run"), *state("rat 3", "rest")]
    source = open_cvat(tmp_path, {"own.xml": tracks}, rows)
    assert labels(source) == {1: ["mouse-run"], 2: ["rat-rest"]}
    tracks[1] = cvat_track(1, 20, name="3", label="rat")  # beside the mouse
    with pytest.raises(InputError, match="nobody coded 3"):
        labels(open_cvat(tmp_path, {"own.xml": tracks}, state("mouse 3", "run")))


def open_two_tasks(folder, rows, names, subjects):
    """Open two tasks of a video, whose tracks 0 and 1 are other animals.

    The first animal is on the left in frames 1 and 2, and on the right in 3 and 4.
    """
    frames = {"a.xml": (0, 1), "b.xml": (2, 3)}
    lefts = {"a.xml": (4, 20), "b.xml": (20, 4)}
    texts = {}
    for name in frames:
        tracks = []
        for track, left in enumerate(lefts[name]):
            own_name = str(track + 1) if names else None
            tracks.append(cvat_track(track, left, frames[name], own_name))
        start = frames[name][0]
        text = xml(*tracks, source="yard.mp4", size=2, start=start, task=5)
        texts[f"own/{name}"] = text.replace("<width>32</width><height>24", SIZE)
    encode_video(folder / "videos" / "yard.mp4", FRAMES[:4], "libx264", TIMES[:4])
    write(folder, texts)
    observations = bout_files.read(events(folder / "e.csv", rows, length="0.400"))
    return open_source(
        folder / "own",
        folder / "videos",
        coding=coding.Coding(observations, subjects=subjects),
    )


LEFT_FIRST = ["mouse-run", "mouse-rest"]
RIGHT_FIRST = ["mouse-rest", "mouse-run"]


def test_a_track_id_of_two_tasks_of_a_video_is_two_individuals(tmp_path):
    rows = [*state("Ann", "run", 0, 0.4), *state("Bea", "rest", 0, 0.4)]
    subjects = {"Ann": "0", "Bea": "1"}
    with pytest.raises(
        InputError, match=r"'Ann': track 0 of 'yard' is in .*a.xml.*b.x"
    ):
        open_two_tasks(tmp_path, rows, False, subjects)
    subjects = {"Ann": ["a.xml:0", "b.xml:1"], "Bea": ["a.xml:1", "b.xml:0"]}
    source = open_two_tasks(tmp_path, rows, False, subjects)
    assert labels(source) == {
        1: LEFT_FIRST,
        2: LEFT_FIRST,
        3: RIGHT_FIRST,
        4: RIGHT_FIRST,
    }


def test_a_number_of_two_exports_of_a_video_may_be_two_individuals(tmp_path):
    """As of two predictions of it, which number their tracks apart."""
    rows = [*state("mouse 1", "run", 0, 0.4), *state("mouse 2", "rest", 0, 0.4)]
    with pytest.raises(
        InputError, match=r"line 5: 'mouse 1': track 1 .*a.xml.*b.xml:1"
    ):
        open_two_tasks(tmp_path, rows, True, {})
    as_one = open_two_tasks(tmp_path, rows, True, {"mouse 1": "1", "mouse 2": "2"})
    assert labels(as_one) == dict.fromkeys((1, 2, 3, 4), LEFT_FIRST)
    subjects = {"mouse 1": ["a.xml:1", "b.xml:2"], "mouse 2": ["a.xml:2", "b.xml:1"]}
    apart = open_two_tasks(tmp_path, rows, True, subjects)
    assert labels(apart) == {
        1: LEFT_FIRST,
        2: LEFT_FIRST,
        3: RIGHT_FIRST,
        4: RIGHT_FIRST,
    }


THREE = []
for frame in (1, 2, 3):
    for name in ("Ann", "Bea", "Cid"):
        THREE.append((frame, "mouse", None, name))


def test_a_subject_that_nobody_fits_is_an_error_by_name_and_seconds(tmp_path):
    rows = [*state("Ann", "run"), *state("Beo", "rest"), *state("Cid", "rest", 0, 0.1)]
    path = events(tmp_path / "e.csv", rows)
    words = (
        r"e.csv, line 9: no annotated individual of 'yard' is called 'Beo'; they are"
        r" called ann, bea, cid, mouse; coded: 'Beo' 0.2 s;.*\{\"Beo\": null\}"
    )
    for outside in (None, "none"):
        with pytest.raises(InputError, match=words):
            opened(tmp_path, THREE, path, outside=outside)


def test_an_unknown_target_of_a_subject_is_named(tmp_path):
    path = events(tmp_path / "e.csv", [*state("Ann", "run"), *state("Beo", "rest")])
    words = (
        r"'yard' is called 'Beo'; they are called ann, bea, cid, mouse; --subjects has"
        r" 'Bee' for 'Beo', also unknown; coded: 'Beo' 0.2 s; map each"
    )
    subjects = load_subjects('{"Beo": {"yard": "Bee"}}')
    with pytest.raises(InputError, match=words):
        opened(tmp_path, THREE, path, subjects=subjects)


def test_a_subject_is_left_out_on_purpose(tmp_path):
    rows = [*state("Ann", "run"), *state("Beo", "rest")]
    path = events(tmp_path / "e.csv", rows)
    (tmp_path / "names.json").write_text(json.dumps({"Beo": None}))
    subjects = load_subjects(tmp_path / "names.json")
    assert load_subjects('{"Beo": null}') == subjects
    with pytest.raises(InputError, match=r'--subjects=\{"Beo": 3\}: .Beo.: 3 is'):
        load_subjects('{"Beo": 3}')
    boxes = [box for box in THREE if box[3] == "Ann"]
    assert labels(opened(tmp_path, boxes, path, subjects=subjects)) == {
        1: ["mouse-run"],
        2: ["mouse-run"],
    }


def test_outside_is_no_action_of_animals_that_nobody_coded(tmp_path):
    """As in focal sampling, which follows one animal."""
    path = events(tmp_path / "e.csv", state("Ann", "run"))
    boxes = [box for box in THREE if box[3] == "Ann" or box[0] == 2]
    source = opened(tmp_path, boxes, path, outside="none")
    assert labels(source) == {1: ["mouse-run"], 3: ["mouse-none"]}
    assert "1 frames with an individual that is not coded" in source.summary()[0]


@pytest.mark.parametrize(
    ("track", "name", "subject"),
    [(None, "Ann", "Bea"), (1, None, "2"), (1, None, "mouse 2")],
)
def test_the_only_individual_has_not_another_name(track, name, subject, tmp_path):
    boxes = [(frame, "mouse", track, name) for frame in (1, 2, 3)]
    path = events(tmp_path / "e.csv", state(subject, "run"))
    with pytest.raises(InputError, match=f"is called '{subject}'"):
        opened(tmp_path, boxes, path)


def test_an_actor_of_two_individuals_is_nobody_even_where_one_is_shown(tmp_path):
    boxes = [(1, "mouse", 4, None), (3, "mouse", 4, None), (3, "mouse", 7, None)]
    path = events(tmp_path / "e.csv", state("mouse", "run", 0, 0.1))
    with pytest.raises(InputError, match="'mouse' fits 2 individuals of frame 3 of"):
        opened(tmp_path, boxes, path)


def test_what_no_annotated_frame_shows_is_an_error_by_name_and_seconds(tmp_path):
    boxes = [(frame, "mouse", None, None) for frame in (1, 2, 3)]
    rows = [*state("", "run"), *state("", "groom", 0.5, 0.8)]
    path = events(tmp_path / "e.csv", rows)
    words = (
        r"line 9: no annotated frame is within the coded times of behaviour 'groom'"
        r" \(0.3 s\); annotate one from second 0.5 to 0.8 of 'yard', or leave.*null"
    )
    with pytest.raises(InputError, match=words):
        opened(tmp_path, boxes, path)
    source = opened(tmp_path, boxes, path, subjects={"groom": None})
    assert labels(source) == {1: ["mouse-run"], 2: ["mouse-run"]}


def test_an_animal_is_not_idle_while_it_does_what_is_left_out(tmp_path):
    boxes = [(frame, "mouse", None, None) for frame in range(1, 7)]
    rows = [*state("", "run"), *state("", "groom", 0.3, 0.5)]
    path = events(tmp_path / "e.csv", rows)
    source = opened(tmp_path, boxes, path, outside="none", subjects={"groom": None})
    expected = {1: ["mouse-run"], 2: ["mouse-run"], 3: ["mouse-none"]}
    assert labels(source) == {**expected, 6: ["mouse-none"]}


def test_a_name_that_is_a_subject_and_a_behaviour_is_not_left_out(tmp_path):
    boxes = [(frame, "mouse", None, None) for frame in (1, 2, 3)]
    path = events(tmp_path / "e.csv", [*state("run", "rest"), *state("run", "run")])
    for target in (None, {"yard": None}):
        with pytest.raises(InputError, match="'run' is a subject and a behaviour"):
            opened(tmp_path, boxes, path, subjects={"run": target})


def test_a_number_that_is_also_an_actor_may_be_either(tmp_path):
    boxes = [(1, "3", 4, None), (2, "mouse", 3, None)]
    path = events(tmp_path / "e.csv", [*state("3", "run"), *state("3 4", "rest")])
    with pytest.raises(InputError, match="'3' is an actor and the number of another"):
        opened(tmp_path, boxes, path)


def test_accents_may_be_composed_otherwise(tmp_path):
    """As macOS decomposes them, and people type them."""
    boxes = [(1, "mouse-tr\u00e4gt", None, "B\u00e4r"), (2, "mouse", None, "B\u00e4r")]
    path = events(tmp_path / "e.csv", state("Ba\u0308r", "tra\u0308gt"))
    assert labels(opened(tmp_path, boxes, path)) == {
        1: ["mouse-tr\u00e4gt"],
        2: ["mouse-tr\u00e4gt"],
    }


def test_a_name_in_subjects_that_nobody_coded_is_named(tmp_path):
    boxes = [(frame, "mouse", None, "Ann") for frame in (1, 2, 3)]
    path = events(tmp_path / "e.csv", state("Ann", "run"))
    source = opened(tmp_path, boxes, path, subjects={"Anm": None, "Ann": "Ann"})
    assert "--subjects: nobody coded Anm" in source.summary()[1]


def test_an_error_lists_the_tracks_that_a_subject_may_be(tmp_path):
    tracks = [cvat_track(0, 4), cvat_track(1, 20)]
    words = (
        r"is called 'Ann'; they are called mouse, or have tracks in .*xml: 0 \(mouse"
    )
    with pytest.raises(InputError, match=words):
        open_cvat(tmp_path, {"own.xml": tracks}, state("Ann", "run"))


def test_two_tracks_of_cvat_that_follow_each_other_may_be_two_animals(tmp_path):
    tracks = [cvat_track(0, 4, frames=(0, 1)), cvat_track(1, 40, frames=(3, 4))]
    for subject in ("Ann", ""):
        with pytest.raises(InputError, match="map each in --subjects"):
            open_cvat(tmp_path, {"own.xml": tracks}, state(subject, "run"))
    named = [
        cvat_track(0, 4, frames=(0, 1), name="Ann"),
        cvat_track(1, 40, frames=(2,), name="Ann"),
    ]
    source = open_cvat(tmp_path, {"own.xml": named}, state("", "run"))
    assert labels(source) == dict.fromkeys((1, 2), ["mouse-run"])


def test_a_subject_that_is_an_actor_elsewhere_is_not_the_only_individual(tmp_path):
    encode_video(tmp_path / "videos" / "cage.mp4", FRAMES, "libx264", TIMES)
    wheel = cvat_track(0, 4, label="wheel")
    cage = xml(cvat_track(0, 4), source="cage.mp4", size=10, start=0, task=8)
    write(tmp_path, {"cage.xml": cage.replace("<width>32</width><height>24", SIZE)})
    rows = state("mouse", "run")
    with pytest.raises(InputError, match="individual of 'yard' is called 'mouse'"):
        open_cvat(tmp_path, {"own.xml": [wheel]}, rows)


def test_a_file_that_the_user_names_is_one_file(tmp_path):
    halves = {
        "day1/own.xml": task_of_yard(cvat_track(0, 4, (0, 1)), size=5, task=1),
        "day2/own.xml": task_of_yard(cvat_track(0, 40, (5, 6)), size=5, start=5),
    }
    write(tmp_path, halves)
    rows = state("Ann", "run", stop=0.6)
    with pytest.raises(InputError, match="name the file in --subjects") as caught:
        open_cvat(tmp_path, {}, rows, subjects={"Ann": "own.xml:0"})
    assert "day1/own.xml" in str(caught.value) and "day2/own.xml" in str(caught.value)


@pytest.mark.parametrize("video", ["yard", "yard.mp4", "Yard"])
def test_videos_of_subjects_may_be_spelled_as_elsewhere(video, tmp_path):
    tracks = [cvat_track(0, 4, name="1"), cvat_track(1, 40, name="2")]
    rows = [*state("1", "run"), *state("2", "rest")]
    source = open_cvat(
        tmp_path,
        {"own.xml": tracks},
        rows,
        subjects={"1": {video: "2"}, "2": {video: "1"}},
    )
    assert labels(source) == dict.fromkeys((1, 2), ["mouse-rest", "mouse-run"])


def test_a_video_of_subjects_that_is_not_there_is_an_error(tmp_path):
    tracks = [cvat_track(0, 4, name="Ann")]
    with pytest.raises(InputError, match="--subjects: no video 'jard' in .*videos"):
        open_cvat(
            tmp_path,
            {"own.xml": tracks},
            state("Ann", "run"),
            subjects={"Ann": {"jard": "Ann"}},
        )


def test_a_newer_export_with_corrected_names_is_not_the_same(tmp_path):
    old = task_of_yard(cvat_track(0, 4, name="Ann"))
    new = task_of_yard(cvat_track(0, 4, name="Bea"))
    rows = state("Ann", "run")
    write(tmp_path, {"old.xml": old, "new.xml": new})
    with pytest.raises(InputError, match="remove the older export"):
        open_cvat(tmp_path, {}, rows)
    write(tmp_path, {"new.xml": old})
    source = open_cvat(tmp_path, {}, rows)
    assert labels(source) == dict.fromkeys((1, 2), ["mouse-run"])
