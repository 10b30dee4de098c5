"""Coded times: BORIS' tables and projects as it writes them, and labels from them."""

import csv
import json

import cv2
import numpy as np
import pytest
from a2d_files import encode_video, moving_frames
from test_annotation_formats import coco, drawn, image, open_source, write

from a2d_tf.annotations.coded_times import bout_frames, coding
from a2d_tf.annotations.coded_times.observations import CodedBout, Observation
from a2d_tf.annotations.coded_times.readers import bout_files
from a2d_tf.annotations.selection.spread import far_apart, spread
from a2d_tf.core.errors import InputError

TABULAR = (
    *("Observation id", "Observation date", "Description", "Observation duration"),
    *(
        "Observation type",
        "Source",
        "Time offset (s)",
        "Media duration (s)",
        "FPS",
        "Subject",
    ),
    *("Behavior", "Behavioral category", "Modifier #1", "Behavior type", "Time"),
    *("Media file name", "Image index", "Image file path", "Comment"),
)
FRAMES = moving_frames(10, 48, 64, step=3)
TIMES = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.6]  # of frames, seconds


def events(
    path,
    rows,
    observation="day 1",
    media="/home/me/yard.mp4",
    offset="0.0",
    length="2.400",
    fps="10.000",
):
    """Write (subject, behaviour, type, time) as BORIS writes tabular events.

    `length` and `fps` are those of the media, by default of `opened`.
    """
    with open(path, "w", newline="") as file:
        table = csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",")
        table.writerow(TABULAR)
        for who, what, kind, time in rows:
            first = (
                observation,
                "2026-01-02 10:00:00",
                "two\nlines",
                9.0,
                "Media file(s)",
            )
            second = (
                f"player #1:{media}",
                offset,
                length,
                fps,
                who or "No focal subject",
            )
            third = (
                what,
                "",
                "slow" if kind == "POINT" else "",
                kind,
                time,
                media,
                "NA",
                "NA",
                "",
            )
            table.writerow((*first, *second, *third))
    return path


def annotations(boxes):
    """COCO without actions, of (frame, label, track, name)."""
    numbers = sorted({frame for frame, *_ in boxes})
    labels = sorted({label for _, label, *_ in boxes})
    shapes = []
    for i, (frame, label, track, name) in enumerate(boxes):
        known = {
            k: v for k, v in (("track_id", track), ("name", name)) if v is not None
        }
        fields = {"id": i, "bbox": [4 + 8 * i % 40, 6, 9, 9], "attributes": known}
        shapes.append(drawn(labels.index(label), [], frame, **fields))
    classes = [{"id": i, "name": label} for i, label in enumerate(labels)]
    return coco(
        [image(f"yard/{n:05d}.png", n, (48, 64)) for n in numbers], shapes, classes
    )


def opened(folder, boxes, *paths, **fields):
    if not (folder / "videos").exists():
        encode_video(folder / "videos" / "yard.mp4", FRAMES, "libx264", TIMES)
    observations = [each for path in paths for each in bout_files.read(path)]
    export = write(folder, {"own.json": annotations(boxes)}) / "own.json"
    return open_source(
        export, folder / "videos", coding=coding.Coding(observations, **fields)
    )


def labels(source):
    """{frame: names of its pairs}"""
    return {
        frame: [
            source.label_space.name(c)
            for c in source.read_annotation("yard", frame).codes
        ]
        for frame in source.annotated_frames("yard")
    }


ONE = [(frame, "mouse", None, None) for frame in range(1, 11)]
RUN = [("", "run", "START", "0.200"), ("", "run", "STOP", "0.500")]
TWO = [(f, *of) for f in (1, 2, 3) for of in (("mouse", 4, "Ann"), ("mouse", 7, "Bea"))]


def test_state_and_point_events_label_the_frames_that_were_shown(tmp_path):
    rows = [*RUN, ("", "rest", "START", ".5"), ("", "jump", "POINT", ".85")]
    rows.append(("", "rest", "STOP", ".7"))
    source = opened(tmp_path, ONE, events(tmp_path / "e.tsv", rows))
    expected = {n: ["mouse-run"] for n in (3, 4, 5)} | {
        n: ["mouse-rest"] for n in (6, 7)
    }
    assert labels(source) == {**expected, 9: ["mouse-jump"]}
    assert "4 frames between coded times" in source.summary()[0]
    assert (
        source.summary()[1]
        == "coded times of yard give 6 instances their actions; ignored: modifiers of 1"
        " events"
    )


def test_times_are_those_of_the_video_less_the_offset_of_the_observation(tmp_path):
    shifted = [(*row[:3], f"{float(row[3]) + 60:.3f}") for row in RUN]
    path = events(tmp_path / "e.csv", shifted, offset="60.0", media="C:\\lab\\yard.mp4")
    outside = labels(opened(tmp_path, ONE, path, outside="none"))
    assert outside == {
        n: ["mouse-run" if n in (3, 4, 5) else "mouse-none"] for n in range(1, 11)
    }
    assert [*labels(opened(tmp_path, ONE, path))] == [3, 4, 5]


@pytest.mark.parametrize(
    "names", [("Ann", "Bea"), ("4", "7"), ("Mouse 4", "mouse 7"), ("A", "B")]
)
def test_subjects_are_individuals_by_name_track_or_list(names, tmp_path):
    rows = [
        (who, what, kind, time)
        for who, what in zip(names, ("run", "rest"))
        for kind, time in (("START", "0"), ("STOP", ".2"))
    ]
    path = events(tmp_path / "e.csv", rows)
    boxes = [
        (f, who, None if "Ann" in names else track, name) for f, who, track, name in TWO
    ]
    source = opened(tmp_path, boxes, path, subjects={"A": "ann", "B": {"yard": "7"}})
    assert labels(source) == {n: ["mouse-run", "mouse-rest"] for n in (1, 2)}


def test_other_files_of_bouts(tmp_path):
    kinds = {"run": "State event", "jump": "Point event"}.items()
    coded = [
        [10.2, "", "run", "", ""],
        [10.3, "", "jump", "", "", 3],
        [10.5, "", "run", "", ""],
    ]
    day = {
        "file": {"1": ["/lab/yard.mp4"], "2": []},
        "time offset": 10.0,
        "events": coded,
    }
    files = {
        "own.boris": {
            "behaviors_conf": {
                str(i): {"code": k, "type": v} for i, (k, v) in enumerate(kinds)
            },
            "observations": {"day 1": day},
        },
        "aggregated.csv": (
            "Observation id,Subject,Behavior,Behavior type,Media file name,Start"
            " (s),Stop (s)\nday 1,No focal subject,jump,POINT,yard.mp4,0.3,0.3\nday"
            " 1,No focal subject,run,STATE,yard.mp4,0.2,0.5\n"
        ),
        "summary.csv": (
            "video,track_id,action,start_second,end_second\nyard,,jump,.3,.3\nyard,,run,.2,.5\n"
        ),
        # As of a single prediction.
        "one/summary.csv": (
            "track_id,action,start_second,end_second\n,jump,.3,.3\n,run,.2,.5\n"
        ),
    }
    write(tmp_path, {**files, "one/video.json": {"name": "yard.mp4", "images": None}})
    for name in files:
        (own,) = bout_files.read(tmp_path / name)
        found = [
            (b.subject, b.action, round(b.start, 9), round(b.end, 9)) for b in own.bouts
        ]
        assert own.video == "yard" and found == [
            ("", "jump", 0.3, 0.3),
            ("", "run", 0.2, 0.5),
        ]
        source = opened(tmp_path, ONE, tmp_path / name)
        # two at once in frame 4
        assert labels(source) == {3: ["mouse-run"], 5: ["mouse-run"]}
        assert "1 frames with two coded actions" in source.summary()[0]


def test_only_missing_actions_are_given_unless_bouts_win(tmp_path):
    boxes = [(frame, "mouse-rest", None, None) for frame in range(1, 7)]
    path = events(tmp_path / "e.csv", RUN)
    assert labels(opened(tmp_path, boxes, path)) == {
        n: ["mouse-rest"] for n in range(1, 7)
    }
    assert labels(opened(tmp_path, boxes, path, wins=True)) == {
        n: ["mouse-run"] for n in (3, 4, 5)
    }


TOO_LONG = [("", "run", "START", "0"), ("", "run", "STOP", "9")]
NO_TIME = [("", "run", "START", "soon")]


@pytest.mark.parametrize(
    ("boxes", "rows", "words"),
    [
        (TWO, [("Cid", "run", "POINT", ".1")], "is called 'Cid'; .*bea.*--subjects"),
        (TWO, [("mouse", "run", "POINT", ".1")], "fits 2 individuals of frame 2"),
        (ONE, TOO_LONG, "0.000 to 9.000 s is behind"),
        (ONE, [("", "run", "START", "0")], "line 3: 'run' of '' does not stop; check"),
        (ONE, [("", "run", "STOP", "0")], "STOP without the other"),
        (ONE, NO_TIME, r"e.csv, line 3: Time: 'soon' is not a time"),
    ],
)
def test_what_does_not_fit_is_one_clear_error(boxes, rows, words, tmp_path):
    with pytest.raises(InputError, match=words):
        opened(tmp_path, boxes, events(tmp_path / "e.csv", rows))


def test_two_coders_of_a_video_are_not_added_up(tmp_path):
    paths = [events(tmp_path / f"{n}.csv", RUN, observation=n) for n in ("me", "you")]
    with pytest.raises(
        InputError, match="'me' and 'you' both code '' in 'yard'; pass one"
    ):
        opened(tmp_path, ONE, *paths)


def test_spread_takes_as_many_of_each_pair_and_video_apart_in_time():
    shown = {
        "rest": {"a": range(1, 101), "b": range(1, 101)},
        "run": {"a": range(200, 203)},
    }
    expected = {"a": (1, 33, 65, 200, 201, 202), "b": (1, 33, 65)}
    assert spread(shown, 9) == {
        (vid, n) for vid, numbers in expected.items() for n in numbers
    }
    assert len(spread(shown, 1000)) == 203
    assert far_apart([0, 1, 2, 3]) == [0, 2, 1, 3]


def times_of(observation, video, fps=None):
    """Return {action: numbers of its frames} of a video."""
    frames = {}
    for bout, numbers in video.of_observation(observation, fps):
        frames[bout.action] = list(numbers)
    return frames


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "videos" / "yard"
    folder.mkdir(parents=True)
    for number in range(1, 13):
        cv2.imwrite(str(folder / f"{number}.png"), np.zeros((48, 64, 3), np.uint8))
    return folder


def test_a_summary_keeps_its_own_rate_of_images(images, tmp_path):
    info = {"name": "yard", "images": ["1.png"], "fps": 10, "fps_is_assumed": False}
    rows = "track_id,actor,action,start_second,end_second\n1,mouse,run,0.0,0.6\n"
    files = {"one/video.json": json.dumps(info), "one/summary.csv": rows}
    write(tmp_path, files)
    (observation,) = bout_files.read(tmp_path / "one/summary.csv")
    video = bout_frames.BoutFrames(images, "mend it")
    assert times_of(observation, video, fps=5) == {"run": [1, 2, 3, 4, 5, 6]}


def test_two_rates_of_one_folder_of_images_are_an_error(images):
    video = bout_frames.BoutFrames(images, "mend it")
    bout = CodedBout("", "run", 0.0, 0.3, "here")
    one = Observation("day 1", "yard", file="a.tsv", fps=10.0, bouts=[bout])
    other = Observation("day 2", "yard", file="b.tsv", fps=20.0, bouts=[bout])
    assert times_of(one, video) == {"run": [1, 2, 3]}
    with pytest.raises(InputError, match="b.tsv: 'day 2' has 20 images.* another"):
        video.check_rates([one, other], None)
    video.check_rates([one, other], 10.0)
    assert times_of(other, video, 10) == {"run": [1, 2, 3]}


def test_images_that_boris_showed_in_another_order_are_an_error(images):
    video = bout_frames.BoutFrames(images, "mend it")
    # BORIS shows 1.png, 10.png, 11.png, 12.png, 2.png
    bout = CodedBout("", "run", 1, 3, "e.tsv, line 3", "1.png", "11.png")
    shuffled = Observation("day 1", "yard", counts_images=True, bouts=[bout])
    with pytest.raises(InputError, match="e.tsv, line 3: BORIS sorts names as texts"):
        times_of(shuffled, video)
    in_order = bout._replace(start=2, end=4, start_image="10.png", end_image="12.png")
    shuffled.bouts = [in_order]
    assert times_of(shuffled, video) == {"run": [10, 11]}


def test_a_gap_in_a_folder_of_images_is_named(images):
    (images / "7.png").unlink()
    video = bout_frames.BoutFrames(images, "mend it")
    bout = CodedBout("", "run", 0.0, 0.3, "here")
    observation = Observation("day 1", "yard", fps=10.0, bouts=[bout])
    with pytest.raises(InputError, match="after 6.png the image 7 is missing; mend it"):
        times_of(observation, video)


def test_an_event_within_the_last_frame_is_of_that_frame(images):
    video = bout_frames.BoutFrames(images, "mend it")
    bout = CodedBout("", "run", 1.15, 1.15, "here")
    observation = Observation("day 1", "yard", fps=10.0, bouts=[bout])
    assert times_of(observation, video) == {"run": [12]}


def test_images_of_another_length_than_the_coded_film_are_an_error(images):
    video = bout_frames.BoutFrames(images, "mend it")
    bout = CodedBout("", "run", 0.0, 0.3, "here")
    observation = Observation(
        "day 1", "yard", file="a.tsv", fps=10.0, media_seconds=12.0, bouts=[bout]
    )
    words = "a.tsv: 'day 1' was coded .* of 12.0 s .* but .*yard lasts 1.2 s .* --fps"
    with pytest.raises(InputError, match=words):
        times_of(observation, video)
    assert times_of(observation, video, fps=1.0) == {"run": [1]}
    observation.media_seconds = 1.9
    assert times_of(observation, video) == {"run": [1, 2, 3]}


@pytest.mark.parametrize(
    "length, alike",
    [
        ("2.400", True),
        ("3.300", True),  # with sound, or as another tool counts
        ("4.800", False),  # a version of half the rate
        ("1.200", False),  # of twice the rate
        ("NA", True),
        ("2.400|9.000", True),  # the first of two cameras
    ],
)
def test_times_of_a_video_of_another_length_are_an_error(length, alike, tmp_path):
    path = events(tmp_path / "e.csv", RUN, length=length, fps="5.000")
    if alike:
        assert list(labels(opened(tmp_path, ONE, path))) == [3, 4, 5]
        return
    words = (
        rf"e.csv: 'day 1' was coded in a video of {float(length)} s with 5 frames a"
        r" second, but .*yard.mp4 lasts 2.4 s with 5.6.*; pass the video that was coded"
    )
    with pytest.raises(InputError, match=words):
        opened(tmp_path, ONE, path)


@pytest.mark.parametrize(
    "line, problem",
    [
        ("1,mouse,run,0.0", "line 2: fewer cells than columns"),
        ("1,mouse,run,0.0,0.6,7", "line 2: more cells than columns"),
    ],
)
def test_a_line_has_a_cell_for_each_column(line, problem, tmp_path):
    rows = f"track_id,actor,action,start_second,end_second\n{line}\n"
    write(tmp_path, {"summary.csv": rows})
    with pytest.raises(InputError, match=problem):
        bout_files.read(tmp_path / "summary.csv")


def test_a_spreadsheet_leaves_off_empty_cells_at_the_end_of_a_line(tmp_path):
    head = "Observation id,Behavior,Behavior type,Time,Media file name,Comment\n"
    rows = "day 1,run,START,0.2,yard.mp4\nday 1,run,STOP,0.6,yard.mp4"
    path = tmp_path / "e.csv"
    path.write_text(f"{head}{rows}\n")
    (observation,) = bout_files.read(path)
    (bout,) = observation.bouts
    assert (observation.video, bout.start, bout.end) == ("yard", 0.2, 0.6)
    path.write_text(f"{head}{rows}")  # the end of the last line may be lost
    with pytest.raises(InputError, match="fewer cells than columns"):
        bout_files.read(path)


def test_a_time_offset_that_is_no_number_is_called_so(tmp_path):
    path = events(tmp_path / "e.csv", [("", "run", "POINT", "0.1")], offset="00:10")
    with pytest.raises(InputError, match="time offset: '00:10' is not a time"):
        bout_files.read(path)


def test_a_film_without_a_whole_frame_has_no_times(tmp_path, monkeypatch):
    film = tmp_path / "film.avi"
    film.touch()
    nothing = np.zeros(0)
    monkeypatch.setattr(bout_frames.video_frames, "seconds", lambda *_: nothing)
    monkeypatch.setattr(bout_frames.video_frames, "first_frame_time", lambda *_: 0.0)
    bouts = [CodedBout("", "run", 0.0, 1.0, "o.tsv: line 2")]
    observation = Observation("o", "film", "o.tsv", bouts=bouts, media_seconds=2.0)
    problem = "film.avi: no frame can be decoded; mend it"
    with pytest.raises(InputError, match=problem):
        times_of(observation, bout_frames.BoutFrames(film, "mend it"))
