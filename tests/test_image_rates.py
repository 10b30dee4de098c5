"""Folders of images in seconds: rates that somebody gave, and indices of images."""

import json

import cv2
import numpy as np
import prediction_files
import pytest
from a2d_files import grey_frames, write_images
from processes import complaint, run_a2d, succeeded
from test_annotation_formats import coco, drawn, image, open_source, write
from test_coding import TABULAR, labels

from a2d_tf.annotations.coded_times import coding
from a2d_tf.annotations.coded_times.readers import bout_files
from a2d_tf.behaviour import boris, bouts
from a2d_tf.core.errors import InputError
from a2d_tf.video.library.library_request import Request
from a2d_tf.video.library.library_videos import Job
from a2d_tf.video.reading import video_reader

FRAME_COUNT = 60
AGGREGATED = (
    "Observation id,Observation type,Source,Time offset (s),FPS (frame/s),Subject,"
    "Behavior,Behavior type,Start (s),Stop (s),Media file name,Image index start,"
    "Image index stop,Image file path start,Image file path stop"
)


def open_folder(folder, *paths, first=1, **fields):
    """Open a folder of images, of which each has a box, with coded times."""
    images = folder / "videos/yard"
    if not images.exists():
        write_images(images, grey_frames(FRAME_COUNT, 48, 64))
        for path in sorted(images.iterdir(), reverse=first > 1):
            path.rename(images / f"{int(path.stem) - 1 + first:05d}.png")
    numbers = range(first, first + FRAME_COUNT)
    export = coco(
        [image(f"yard/{n:05d}.png", n, (48, 64)) for n in numbers],
        [drawn(0, [], n, id=n, bbox=[4, 6, 9, 9]) for n in numbers],
        [{"id": 0, "name": "mouse"}],
    )
    write(folder, {"own.json": export})
    observations = []
    for path in paths:
        observations += bout_files.read(path)
    return open_source(
        folder / "own.json",
        folder / "videos",
        coding=coding.Coding(observations, **fields),
    )


def write_rows(path, *rows, **cells):
    """Write START and STOP rows {column: cell} as BORIS writes tabular events."""
    lines = [",".join(TABULAR)]
    for row in rows:
        usual = {"Observation id": "yard", "Behavior": "run", "Time offset (s)": "0"}
        filled = {**dict.fromkeys(TABULAR, ""), **usual, **cells, **row}
        lines.append(",".join(str(filled[column]) for column in TABULAR))
    path.write_text("\n".join(lines) + "\n")
    return path


def coded_film(path, fps="30.000"):
    """A film's bout from 0.5 to 1.5 s."""
    return write_rows(
        path,
        {"Behavior type": "START", "Time": "0.500"},
        {"Behavior type": "STOP", "Time": "1.500"},
        **{"Observation type": "Media file(s)", "FPS": fps},
        **{"Media file name": "/home/me/yard.mp4", "Image index": "15"},
    )


def runs(source):
    """The first and the last frame that has an action."""
    frames = sorted(labels(source))
    assert frames == list(range(frames[0], frames[-1] + 1))
    return frames[0], frames[-1]


def test_the_rate_of_a_folder_is_that_of_boris_or_of_the_flag(tmp_path):
    path = coded_film(tmp_path / "e.csv")
    assert runs(open_folder(tmp_path, path)) == (16, 45)
    assert runs(open_folder(tmp_path, path, fps=20)) == (11, 30)
    path = coded_film(tmp_path / "e.csv", fps="NA")
    with pytest.raises(
        InputError, match="e.csv: 'yard' has seconds, but .*; pass --fp"
    ):
        open_folder(tmp_path, path)
    assert runs(open_folder(tmp_path, path, fps=30)) == (16, 45)


def test_the_rate_of_a_project(tmp_path):
    film = "/home/me/yard.mp4"
    observation = {
        "type": "MEDIA",
        "file": {"1": [film]},
        "media_info": {"fps": {film: 30.0}},
        "events": [[0.5, "", "run", "", ""], [1.5, "", "run", "", ""]],
    }
    project = {
        "behaviors_conf": {"0": {"code": "run", "type": "State event"}},
        "observations": {"day 1": observation},
    }
    write(tmp_path, {"own.boris": project})
    assert runs(open_folder(tmp_path, tmp_path / "own.boris")) == (16, 45)


@pytest.mark.parametrize("time", ["NA", "600.000"])  # without one, or of a time lapse
def test_images_are_read_by_index(time, tmp_path):
    kind = {"Observation type": "From directories of images", "Source": "/a/yard"}
    path = write_rows(
        tmp_path / "e.csv",
        {"Behavior type": "START", "Image index": 11},
        {"Behavior type": "STOP", "Image index": 21.0},
        **kind,
        Time=time,
    )
    assert runs(open_folder(tmp_path, path)) == (11, 20)
    aggregated = tmp_path / "aggregated.csv"
    start = "/a/yard/00011.png"
    row = f"day,From directories of images,/a/yard,0,NA,,run,STATE,{time},{time},NA"
    aggregated.write_text(f"{AGGREGATED}\n{row},11,21,{start},/a/yard/00021.png\n")
    assert runs(open_folder(tmp_path, aggregated)) == (11, 20)
    events = [
        [None, "", "run", "", "", 11, start],
        [None, "", "run", "", "", 21, "/a/yard/00021.png"],
    ]
    observation = {"type": "IMAGES", "file": {}, "directories_list": ["/a/yard"]}
    project = {
        "behaviors_conf": {"0": {"code": "run", "type": "State event"}},
        "observations": {"day": {**observation, "events": events}},
    }
    write(tmp_path, {"own.boris": project})
    assert runs(open_folder(tmp_path, tmp_path / "own.boris")) == (11, 20)


def test_an_image_is_the_one_of_its_name(tmp_path):
    """BORIS sorts names as texts: 10.png comes before 2.png."""
    kind = {"Observation type": "From directories of images", "Source": "/a/yard"}
    paths = {11: "/a/yard/00002.png", 21: "/a/yard/00005.png"}
    rows = []
    for kind_of_event, index in (("START", 11), ("STOP", 21)):
        cells = {"Behavior type": kind_of_event, "Image index": index}
        rows.append({**cells, "Image file path": paths[index]})
    path = write_rows(tmp_path / "e.csv", *rows, **kind, Time="NA")
    assert runs(open_folder(tmp_path, path)) == (2, 4)
    path.write_text(path.read_text().replace("00002", "00082"))
    with pytest.raises(InputError, match=r"line 3: image 11 \(00082.png\) is not in"):
        open_folder(tmp_path, path)


def test_a_folder_that_begins_at_37(tmp_path):
    path = coded_film(tmp_path / "e.csv")
    with pytest.raises(InputError, match="yard: begins with 00037.png; number the ima"):
        open_folder(tmp_path, path, first=37)


def write_prediction(folder, fps=25, **facts):
    """A prediction of 60 images, in which a dog runs in frames 16 to 45."""
    names = [f"{number:05d}.png" for number in range(1, FRAME_COUNT + 1)]
    made = prediction_files.track(1, ("dog", "running", 16, 45, 0.5))
    scale = prediction_files.FPS / fps
    for row in (made, *made["actions"]):
        for name in ("start_second", "end_second"):
            row[name] *= scale
    facts = {"name": "yard", "images": names, "fps": fps, "until": 60 / fps, **facts}
    prediction_files.write(folder, [made], 0, frames=FRAME_COUNT, **facts)
    row = f"1,dog,running,{15 / fps},{45 / fps},16,45,0.5"
    (folder / "summary.csv").write_text(
        "track_id,actor,action,start_second,end_second,start_frame,end_frame,"
        f"mean_score\n{row}\n"
    )
    return folder


def score(library, truth, *flags):
    return run_a2d(
        "score",
        "bouts",
        f"--truth={truth}",
        f"--predicted={library}",
        f"--output={library}/../out.json",
        *flags,
    )


def f1_seconds(library):
    metrics = json.loads((library / "../out.json").read_text())
    return metrics["actions"]["running"]["f1_seconds"]


def test_bouts_of_images_at_an_assumed_rate_are_scored_at_the_true_one(tmp_path):
    library = tmp_path / "library"
    write_prediction(library / "yard")
    path = coded_film(tmp_path / "e.csv")
    path.write_text(path.read_text().replace("run", "running"))
    succeeded(score(library, path))
    assert f1_seconds(library) == pytest.approx(100)
    path = coded_film(tmp_path / "e.csv", "NA")
    path.write_text(path.read_text().replace("run", "running"))
    message = complaint(score(library, path))
    assert "nothing says how many images a second 'yard' shows" in message
    assert "its prediction took 25; pass --fps" in message
    succeeded(score(library, path, "--fps=30"))
    assert f1_seconds(library) == pytest.approx(100)
    write_prediction(library / "yard", fps=30, fps_is_assumed=False)
    succeeded(score(library, path))
    assert f1_seconds(library) == pytest.approx(100)
    events = tmp_path / "of_images.csv"
    boris.write_events(events, bouts.read_all([library / "yard"]))
    succeeded(score(library, events))
    assert f1_seconds(library) == pytest.approx(100)


def test_a_summary_of_images_finds_its_frames_again_at_any_rate(tmp_path):
    for facts in ({}, {"fps": 30, "fps_is_assumed": False}):
        folder = write_prediction(tmp_path / "out", **facts)
        for fps in (None, 30):
            source = open_folder(tmp_path, folder / "summary.csv", fps=fps)
            assert runs(source) == (16, 45)


def test_events_of_predicted_images_have_indices(tmp_path):
    folder = write_prediction(tmp_path / "out")
    boris.write_events(tmp_path / "e.tsv", bouts.read_all([folder]))
    head, *rows = (tmp_path / "e.tsv").read_text().splitlines()
    columns = head.split("\t")
    cells = [dict(zip(columns, row.split("\t"))) for row in rows]
    assert [row["Image index"] for row in cells] == ["16", "46"]
    assert [row["Image file path"] for row in cells] == [
        "yard/00016.png",
        "yard/00046.png",
    ]
    assert runs(open_folder(tmp_path, tmp_path / "e.tsv", subjects={"dog 1": "mouse"}))


def test_a_reader_of_images_says_whether_its_rate_is_assumed(tmp_path):
    cv2.imwrite(str(tmp_path / "1.png"), np.zeros((4, 6, 3), np.uint8))
    assumed = video_reader.open_video(tmp_path)
    assert (assumed.fps, assumed.fps_is_assumed) == (25, True)
    stated = video_reader.open_video(tmp_path, fps=30)
    assert (stated.fps, stated.fps_is_assumed) == (30, False)
    assert stated.seconds(1) == 1 / 30


def test_a_library_of_another_rate_is_another_prediction(tmp_path):
    cv2.imwrite(str(tmp_path / "1.png"), np.zeros((4, 6, 3), np.uint8))
    job = Job(str(tmp_path), str(tmp_path / "out"))
    assert "fps" not in Request().record(job)["settings"]  # as of earlier versions
    assert Request(fps=30).record(job)["settings"]["fps"] == 30


def test_the_command_line_says_the_rate_of_images(tmp_path):
    cv2.imwrite(str(tmp_path / "1.png"), np.zeros((4, 6, 3), np.uint8))
    words = (f"--video={tmp_path}", f"--output={tmp_path}/out", "--model=none")
    assert "--fps" in complaint(run_a2d("predict", *words, "--fps=0"))
