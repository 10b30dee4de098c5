"""A library of videos: its plan, one process, several tasks, earlier predictions."""

import csv
import dataclasses
import errno
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import time
from concurrent import futures

import pytest
from a2d_files import coloured_frames, write_images, write_video
from processes import ROOT, run_a2d

from a2d_tf.behaviour import prediction_folder
from a2d_tf.core.errors import InputError
from a2d_tf.core.machine.tasks import Task
from a2d_tf.runs import model_source
from a2d_tf.video import video_prediction
from a2d_tf.video.frames.track_settings import TrackSettings
from a2d_tf.video.library import (
    library_prediction,
    library_request,
    library_tables,
    library_videos,
)
from a2d_tf.video.library.library_videos import Job
from a2d_tf.video.outputs import prediction_writer
from a2d_tf.video.reading import video_reader

OWN = ["index.html", "summary.csv", "sums.csv", "time_budget.csv", "videos.csv"]
# Of a video of a library.
LIBRARY = (prediction_folder.RECORD_FILE, prediction_folder.PART_FILE)
MODEL = {"model": "full", "model_sha256": "0" * 64}


def empty(folder, *names):
    """A folder of empty files; names that end with / are folders."""
    for name in names:
        path = folder / name
        (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            path.touch()
    return folder


def plan(video=None, videos=None):
    jobs = library_videos.plan(video and str(video), videos and str(videos), "out")
    return jobs and [(os.path.basename(job.path), job.output) for job in jobs]


@pytest.mark.parametrize(
    "names, pattern, expected",
    [
        (
            "b.mp4 a.b.MOV no.txt .hidden.mp4 c.d/1.jpg empty/ x/y/z.mp4",
            "",
            "a.b.MOV b.mp4 c.d",
        ),
        (
            "a.mp4 out/a/overlay.mp4 out/a/video.json b/video.json b/label_maps/1.png",
            "*",
            "a.mp4",
        ),
        ("x/b.mp4 x/c.mkv y/a.mp4 y/notes.txt", "*/*.mp4", "b.mp4 a.mp4"),
        ("x/b.mp4 y/z/d.mp4 out/b/overlay.mp4 out/b/video.json", "**", "b.mp4 d.mp4"),
        ("a.mp4 1/overlay.mp4 1/video.json 1/label_maps/00001.png", "**", "a.mp4"),
    ],
)
def test_videos_of_a_folder_or_a_glob(tmp_path, names, pattern, expected):
    videos = empty(tmp_path, *names.split()) / pattern
    assert [name for name, _ in plan(videos)] == expected.split()


def test_a_list(tmp_path, monkeypatch):
    empty(tmp_path, "lists/b.dat", "images/1.png", "nothing/")
    (tmp_path / "a.mp4").symlink_to(
        empty(tmp_path, "elsewhere/x.mp4") / "elsewhere/x.mp4"
    )
    file = tmp_path / "lists" / "list.txt"
    file.write_text("\ufeffb.dat\n\n  a.mp4\r\nimages\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    expected = [("b.dat", "out/b"), ("a.mp4", "out/a"), ("images", "out/images")]
    assert plan(videos="lists/list.txt") == expected
    for text, message in (
        (b"a.mp4\n\nc.mp4", ", line 3: 'c.mp4'"),
        (b"images/1.png", ", line 1: 'images/1.png'"),
        (b"\xff", ", line 1: "),
        (b"\n", ": lists no videos"),
    ):
        file.write_bytes(text)
        with pytest.raises(InputError, match=f"--videos={file}{message}"):
            plan(videos=file)


@pytest.mark.parametrize(
    "names, message",
    [
        (
            ["a.mp4", "a.avi"],
            "a.mp4: its results cannot be named 'a', like those of .*a.avi;",
        ),
        (["a.mp4", "1.png"], r"has images \(1.png\) and videos \(a.mp4\)"),
        (["a\n.mp4"], "its results cannot be named 'a"),
    ],
)
def test_folders_that_are_no_library(tmp_path, names, message):
    empty(tmp_path / "videos", *names)
    for video in (tmp_path / "videos", tmp_path / "videos" / "*"):
        with pytest.raises(InputError, match=message):
            plan(video)


def test_no_file_of_the_users_own_is_replaced(tmp_path):
    videos = str(empty(tmp_path, "site/a.mp4", "site/index.html") / "site")
    with pytest.raises(InputError, match="site/index.html: .*--output"):
        library_videos.plan(videos, None, videos)
    assert library_videos.plan(videos, None, str(tmp_path / "out"))
    empty(tmp_path, "site/a/prediction.json")
    assert library_videos.plan(videos, None, videos)
    empty(tmp_path, "out/overlay/overlay.mp4", "videos/1.png")
    for video, output in (("out/overlay/*", "out"), ("vid*", ".")):
        with pytest.raises(
            InputError, match="would be overwritten; use another --output"
        ):
            library_videos.plan(str(tmp_path / video), None, str(tmp_path / output))


def test_a_model_is_known_by_its_weights(tmp_path):
    files = {
        "a2d_tf.json": "{}",
        "saved_model.pb": "graph",
        "variables/variables.index": "sums",
    }
    for folder in ("one", "same", "other"):
        for name, text in files.items():
            (tmp_path / folder / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / folder / name).write_text(text)
    (tmp_path / "other/variables/variables.index").write_text("other sums")
    (tmp_path / "same/events").write_text("no part of the model")
    one, same, other = (
        model_source.identity(str(tmp_path / n)) for n in ("one", "same", "other")
    )
    assert one["model_sha256"] == same["model_sha256"] != other["model_sha256"]
    assert one["model"] == "one"


def finish(job, request, **changes):
    """Write the files of a finished prediction."""
    os.makedirs(job.output)
    record = {**request.record(job), "frames": 1, **changes}
    pathlib.Path(job.output, prediction_folder.RECORD_FILE).write_text(
        json.dumps(record)
    )
    for kind in request.kinds:
        pathlib.Path(job.output, prediction_folder.RESULT_FILES[kind]).touch()


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"every": 2}, "with --every=1, not 2"),
        (
            {"track_settings": TrackSettings(max_tracks="m=2")},
            "with --max_tracks=None, not m=2",
        ),
        (
            {"track_settings": TrackSettings(min_bout=0.5)},
            "with --min_bout=None, not 0.5",
        ),
        ({"settings": {"max_detections": 7}}, "with --max_detections=None, not 7"),
        ({"model": {**MODEL, "model_sha256": "1"}}, r"another model .*\(full\)"),
    ],
)
def test_other_settings_are_named(tmp_path, changes, message):
    job = Job(str(empty(tmp_path, "a.mp4") / "a.mp4"), str(tmp_path / "out/a"))
    request = library_request.Request(model=MODEL)
    assert not request.is_finished(job)
    finish(job, request)
    assert request.is_finished(job)
    other = library_request.Request(**{"model": MODEL, **changes})
    with pytest.raises(InputError, match=f"out/a: finished .*{message}; .*--overwrite"):
        other.is_finished(job)
    # since the videos were compared
    with pytest.raises(InputError, match="out/a: finished "):
        library_prediction.predict_video(lambda: None, job, other)
    assert not dataclasses.replace(other, overwrite=True).is_finished(job)


def test_what_else_may_be_in_the_place_of_a_prediction(tmp_path):
    job = Job(
        str(empty(tmp_path, "a.mp4", "out/a/") / "a.mp4"), str(tmp_path / "out/a")
    )
    request, place = library_request.Request(model=MODEL), tmp_path / "out/a"
    assert not request.is_finished(job)  # an empty folder
    place.rmdir()
    finish(job, request)
    (place / "tracks.json").unlink()
    assert not request.is_finished(job)  # not whole
    (place / "mine.txt").touch()
    with pytest.raises(InputError, match="mine.txt"):
        request.is_finished(job)
    (place / "mine.txt").unlink()
    (
        place / f"{prediction_folder.PART_FILE}.7-a.tmp"
    ).touch()  # of a process that was killed
    (place / prediction_folder.RECORD_FILE).write_text("{")
    with pytest.raises(InputError, match="prediction.json: "):
        request.is_finished(job)
    assert not dataclasses.replace(request, overwrite=True).is_finished(job)
    shutil.rmtree(place)
    (tmp_path / "a.mp4").write_bytes(b"another")
    finish(job, request, bytes=3, digest="1")
    with pytest.raises(InputError, match="finished for another a.mp4, of 3 bytes"):
        request.is_finished(job)
    shutil.rmtree(place)
    finish(job, request)
    (tmp_path / "a.mp4").write_bytes(b"Another")  # of the same size
    with pytest.raises(InputError, match="finished for another a.mp4, of 7 bytes"):
        request.is_finished(job)


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """A folder of three videos and a folder of images, of 2 to 5 frames."""
    folder = tmp_path_factory.mktemp("films") / "films"
    for number, name in enumerate(("a", "b", "c"), 2):
        write_video(folder / f"{name}.mp4", coloured_frames(number, seed=number))
    write_images(folder / "d", coloured_frames(5, seed=5))
    return folder


def contents(folder):
    """{path: bytes} of all files but the library's page, which names the folder."""
    page = folder / "index.html"
    files = [path for path in folder.rglob("*") if path.is_file() and path != page]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def run(
    films, output, predictor, request=None, task="1/1", on_error="fail", overwrite=False
):
    """Predict a library in this process; its failures, and whether it is complete."""
    request, task = request or library_request.Request(model=MODEL), Task.parse(task)
    request = dataclasses.replace(request, overwrite=overwrite)
    jobs = library_videos.plan(str(films), None, str(output))
    missing = [job for job in jobs if not request.is_finished(job)]
    todo = [job for job in task.share(jobs) if job in missing]
    failures = library_prediction.predict(lambda: predictor, todo, request, on_error)
    list(map(pathlib.Path.unlink, output.glob("index.html")))
    library_tables.conclude(str(output), jobs, request, failures, task)
    return failures, (output / "index.html").exists()


@pytest.fixture(scope="module")
def predicted(films, predictor, tmp_path_factory):
    output = tmp_path_factory.mktemp("predicted") / "out"
    assert run(films, output, predictor) == ({}, True)
    return output


@pytest.mark.slow
def test_a_library_has_a_prediction_of_each_as_alone_and_a_summary_of_all(
    films, predicted, predictor, tmp_path
):
    assert sorted(os.listdir(predicted)) == ["a", "b", "c", "d", *OWN]
    rows = []
    for number, name in enumerate("abcd", 2):
        assert sorted(os.listdir(predicted / name)) == sorted(
            [*prediction_folder.RESULTS, *LIBRARY]
        )
        record = json.loads(
            (predicted / name / prediction_folder.RECORD_FILE).read_text()
        )
        assert record["frames"] == number
        assert len(os.listdir(predicted / name / "label_maps")) == number
        for row in csv.DictReader((predicted / name / "summary.csv").open()):
            fps = 25.0 if name == "d" else 24.0
            video = {
                "video": name,
                "video_seconds": str(round(number / fps, 3)),
                "fps": str(fps),
            }
            individual = f"{name}_{row['track_id']}"
            rows.append(
                {**video, "individual": individual, **row, "unsure": "", "split": ""}
            )
    assert (
        list(csv.DictReader((predicted / "summary.csv").open())) == rows
        and len(rows) > 4
    )
    video_prediction.predict(
        lambda: predictor,
        video_reader.open_video(films / "c.mp4"),
        str(tmp_path / "alone"),
    )
    there = contents(predicted / "c")
    alone = {name: there[name] for name in there.keys() - {*LIBRARY}}
    assert contents(tmp_path / "alone") == alone


@pytest.mark.slow
def test_tables_are_of_whole_files_and_list_the_videos_that_are_there(
    films, predicted, predictor, tmp_path
):
    films, output = shutil.copytree(films, tmp_path / "f"), tmp_path / "out"
    shutil.copytree(predicted, output)
    summary = output / "c" / "summary.csv"
    whole = summary.read_bytes()
    for part in (whole[:-9], whole[: whole[:-1].rindex(b"\n") + 1], b""):
        summary.write_bytes(part)
        with pytest.raises(
            InputError, match="out/c/summary.csv: truncated; remove it, and"
        ):
            run(films, output, predictor)
    summary.write_bytes(whole.partition(b"\n")[0] + b"\n")
    (output / "c" / "tracks.json").write_text("[]")
    assert run(films, output, predictor)[1]
    assert (output / "videos.csv").read_text().splitlines() == [
        "video,video_seconds,fps,split",
        *("a,0.083,24.0,", "b,0.125,24.0,", "c,0.167,24.0,", "d,0.2,25.0,"),
    ]
    (films / "a.mp4").rename(films / "e.mp4")
    assert run(films, output, predictor)[1] and (output / "a").exists()
    assert [folder.name for folder in prediction_folder.folders_of([output])] == [
        "b",
        "c",
        "d",
        "e",
    ]


@pytest.fixture
def broken(films, tmp_path):
    folder = shutil.copytree(films, tmp_path / "films")
    (folder / "b.mp4").write_bytes(b"no video")
    (folder / "d/00004.png").write_bytes(b"no image")
    return folder


def videos_of(path):
    with path.open(newline="") as file:
        return [row["video"] for row in csv.DictReader(file)]


@pytest.mark.slow
def test_a_video_that_fails_ends_a_library(broken, predictor, tmp_path):
    output = tmp_path / "out"
    with pytest.raises(InputError, match="b.mp4: cannot be decoded.*--on_error=skip"):
        run(broken, output, predictor)
    assert sorted(os.listdir(output)) == ["a"]


@pytest.mark.slow
def test_videos_that_fail_are_listed_and_made_when_they_are_mended(
    films, broken, predicted, predictor, tmp_path
):
    output = tmp_path / "out"
    assert run(broken, output, predictor, on_error="skip")[1]
    assert sorted(os.listdir(output)) == ["a", "c", "failed.csv", *OWN]
    with (output / "failed.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["video"] for row in rows] == ["b", "d"]
    assert "b.mp4: cannot be decoded" in rows[0]["reason"]
    assert "00004.png: not an image, truncated, or larger than" in rows[1]["reason"]
    assert set(videos_of(output / "summary.csv")) <= {"a", "c"}

    shutil.rmtree(broken)
    shutil.copytree(films, broken)
    assert run(broken, output, predictor) == ({}, True)
    assert contents(output) == contents(predicted)


@pytest.mark.slow
def test_a_link_to_nothing_is_a_video_that_fails(broken, predictor, tmp_path):
    (broken / "b.mp4").unlink()
    (broken / "b.mp4").symlink_to("gone.mp4")
    failures, complete = run(broken, tmp_path / "out", predictor, on_error="skip")
    assert complete and list(failures) == ["b", "d"]
    assert "b.mp4: no such video" in failures["b"]


@pytest.mark.slow
def test_an_output_that_cannot_be_made_is_no_fault_of_a_video(
    films, predictor, tmp_path
):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        run(films, tmp_path / "file/out", predictor, on_error="skip")


@pytest.mark.slow
def test_a_full_disk_ends_a_library_at_its_first_video(
    films, predictor, tmp_path, monkeypatch
):
    tried = set()

    def add_on_a_full_disk(files, *_):
        tried.add(files)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(prediction_writer.PredictionWriter, "add", add_on_a_full_disk)
    with pytest.raises(InputError, match="No space left"):
        run(films, tmp_path / "full", predictor, on_error="skip")
    assert len(tried) == 1


@pytest.mark.slow
def test_tasks_in_any_order_and_at_once_make_what_one_process_makes(
    films, predicted, predictor, tmp_path
):
    tasks = [f"{i}/3" for i in (1, 2, 3)]
    random.shuffle(tasks)
    completed = [
        run(films, tmp_path / "order", predictor, task=task)[1] for task in tasks
    ]
    assert completed == [False, False, True]
    assert contents(tmp_path / "order") == contents(predicted)
    with futures.ThreadPoolExecutor(4) as pool:  # one task twice
        done = [
            pool.submit(run, films, tmp_path / "once", predictor, task=task)
            for task in (*tasks, tasks[0])
        ]
    assert any(future.result()[1] for future in done)
    assert contents(tmp_path / "once") == contents(predicted)


@pytest.mark.slow
def test_failures_of_all_tasks_are_in_one_list(broken, predictor, tmp_path):
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    run(broken, alone, predictor, on_error="skip")
    first = run(broken, shared, predictor, task="2/2", on_error="skip")
    assert list(first[0]) == ["b", "d"] and not first[1]
    assert sorted(os.listdir(shared)) == ["failed-2-of-2.csv"]
    assert run(broken, shared, predictor, task="1/2", on_error="skip") == ({}, True)
    assert contents(shared) == contents(alone)


@pytest.mark.slow
def test_a_killed_command_given_again_leaves_no_trace(
    films, saved_model, predictor, tmp_path
):
    output = tmp_path / "out"
    words = [f"--saved_model={saved_model}", f"--video={films}", f"--output={output}"]
    killed = subprocess.Popen(
        [sys.executable, "-m", "a2d_tf.predict", *words, "--task=1/2"], cwd=ROOT
    )
    while killed.poll() is None and not list(output.glob(".prediction-*")):
        time.sleep(0.01)
    time.sleep(random.uniform(0, 0.5))
    killed.kill()
    killed.wait()
    request = library_request.Request(model=model_source.identity(str(saved_model)))
    for number in (2, 1):
        run(films, output, predictor, request, task=f"{number}/2")
    assert sorted(os.listdir(output)) == ["a", "b", "c", "d", *OWN]
    done = run_a2d("predict", *words)
    assert "of 4 videos 0 predicted, 4 finished before" in done.stdout, done.stderr
    assert "device:" not in done.stdout  # the network is not even loaded
