"""Prediction on video: the files it writes, and how it ends."""

import csv
import json
import os
import signal

import av
import cv2
import numpy as np
import pytest
from a2d_files import coloured_frames, encode_video, write_images, write_video
from processes import complaint, run_a2d, succeeded
from pycocotools import mask as rle_tools
from test_library import empty

from a2d_tf.behaviour import prediction_folder
from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D
from a2d_tf.ops import visualize
from a2d_tf.video import video_prediction
from a2d_tf.video.frames.track_settings import TrackSettings
from a2d_tf.video.outputs import track_rows
from a2d_tf.video.predictors import network_predictor
from a2d_tf.video.reading import video_reader
from a2d_tf.video.reading.span import Span

pytestmark = pytest.mark.slow
OWN = TrackSettings(window=1)  # the network's own answer


def read_back(path):
    capture = cv2.VideoCapture(str(path))
    frames = []
    while capture.grab():
        frames.append(capture.retrieve()[1])
    return frames, capture.get(cv2.CAP_PROP_FPS), int(capture.get(cv2.CAP_PROP_FOURCC))


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("film") / "film.mp4", coloured_frames(7))


def test_overlay_plays_with_the_frames_size_and_rate_of_the_film_and_files_agree(
    predictor, film, tmp_path
):
    done = video_prediction.predict(
        lambda: predictor, video_reader.open_video(film), str(tmp_path)
    )
    assert done == (predictor, 7, False)
    frames, fps, fourcc = read_back(tmp_path / "overlay.mp4")
    assert len(frames) == 7 and frames[0].shape == (384, 576, 3) and fps == 24
    assert fourcc.to_bytes(4, "little").lower() in (b"avc1", b"h264")
    results = json.loads((tmp_path / "detections.json").read_text())
    tracks = json.loads((tmp_path / "tracks.json").read_text())
    steady = {(t["track_id"], row["frame"]): row for t in tracks for row in t["frames"]}
    results = [
        {**r, **steady[r["track_id"], r["image_id"]]} for r in results if r["track_id"]
    ]
    for number, frame in enumerate(read_back(film)[0], 1):
        own = sorted(
            (r for r in results if r["image_id"] == number), key=lambda r: r["score"]
        )
        boxes = [[y, x, y + h, x + w] for x, y, w, h in (r["bbox"] for r in own)]
        drawn = visualize.draw_instances(
            frame[..., ::-1],
            visualize.DrawnInstances(
                boxes,
                [r["category_id"] for r in own],
                [rle_tools.decode(r["segmentation"]) for r in own],
                scores=[r["score"] for r in own],
                ids=[r["track_id"] for r in own],
            ),
            A2D,
            stamp=f"{(number - 1) / 24:.2f} s",
            times=4,
        )
        frame = cv2.resize(frame, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
        shown = np.int32(frames[number - 1])
        loss = np.abs(shown - drawn[..., ::-1]).mean()  # of the codec
        assert own and 2 * loss < np.abs(shown - frame).mean()
    assert check_agreement(tmp_path, range(1, 8), (96, 144)) > 0


def check_agreement(folder, numbers, size, raw=False):
    """Check that all files agree on the frames `numbers`; return their instances.

    Labels of tracks are those of the detections where both are `raw`.
    """
    maps = sorted((folder / "label_maps").iterdir())
    assert [path.name for path in maps] == [f"{i:05d}.png" for i in numbers]
    assert len(read_back(folder / "overlay.mp4")[0]) == len(maps)
    results = json.loads((folder / "detections.json").read_text())
    assert {r["image_id"] for r in results} <= set(numbers)
    for number, path in zip(numbers, maps):
        label_map = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert label_map.shape == size and label_map.dtype == np.uint8
        expected = np.zeros_like(label_map)
        own = [r for r in results if r["image_id"] == number]
        for result in sorted(own, key=lambda r: r["score"]):
            mask = rle_tools.decode(result["segmentation"])
            expected[mask == 1] = result["category_id"]
        np.testing.assert_array_equal(label_map, expected)
    tracks = json.loads((folder / "tracks.json").read_text())
    names = ["bbox", *["category_id", "score"] * raw]
    assert {
        (track["track_id"], row["frame"]): [row[name] for name in names]
        for track in tracks
        for row in track["frames"]
    } == {
        (r["track_id"], r["image_id"]): [r[name] for name in names]
        for r in results
        if r["track_id"]
    }
    rows = csv.DictReader((folder / "summary.csv").open())
    rows = sorted(rows, key=lambda row: int(row["track_id"]))
    actions = [(track, action) for track in tracks for action in track["actions"]]
    assert rows == [
        {"track_id": str(track["track_id"])}
        | {n: str(action[n]) for n in track_rows.COLUMNS[1:]}
        for track, action in sorted(actions, key=lambda pair: pair[0]["track_id"])
    ]
    for track in tracks:
        for row in track["frames"]:
            (action,) = (
                a
                for a in track["actions"]
                if a["start_frame"] <= row["frame"] <= a["end_frame"]
            )
            assert action["category_id"] == row["category_id"]
            assert (
                A2D.name(row["category_id"]) == f"{action['actor']}-{action['action']}"
            )
    rows = csv.DictReader((folder / "frames.csv").open())
    scores = {}
    for row in rows:
        code = A2D.encode(
            A2D.actors.index(row["actor"]), A2D.actions.index(row["action"])
        )
        key = (int(row["track_id"]), int(row["frame"]))
        scores[key] = (code, float(row[row["action"]]))
    assert scores == {
        (track["track_id"], row["frame"]): (row["category_id"], row["score"])
        for track in tracks
        for row in track["frames"]
    }
    return len(results)


def predict(predictor, reader, folder, *span, **options):
    """(frames written, the COCO results)."""
    outcome = video_prediction.predict(
        lambda: predictor, reader, str(folder), *span, **options
    )
    assert not outcome.is_interrupted
    return outcome.frames, json.loads((folder / "detections.json").read_text())


def test_a_window_of_one_is_the_networks_own_answer(predictor, film, tmp_path):
    own = list(
        network_predictor.find_instances(
            predictor, video_reader.open_video(film).frames()
        )
    )
    _, results = predict(
        predictor, video_reader.open_video(film), tmp_path, track_settings=OWN
    )
    count = sum(len(f.codes) for _, f in own)
    assert check_agreement(tmp_path, range(1, 8), (96, 144), True) == count
    assert [r["category_id"] for r in results] == [
        code for _, f in own for code in f.codes
    ]
    scores = [float(score) for _, f in own for score in f.scores]
    np.testing.assert_allclose([r["score"] for r in results], scores, atol=1e-6)
    for number, (_, found) in enumerate(own, 1):
        label_map = cv2.imread(str(tmp_path / f"label_maps/{number:05d}.png"), -1)
        np.testing.assert_array_equal(label_map, found.label_map)


def test_seconds_are_a_players_at_a_varying_rate(predictor, tmp_path):
    times = np.cumsum([0, *[0.02, 0.1, 0.04, 0.3] * 3])
    film = encode_video(
        tmp_path / "film.mp4", coloured_frames(13), "libx264", times, g="4"
    )
    reader = video_reader.open_video(film)
    span = Span.of_seconds(reader, 0.5, 1.2)
    first, last = np.searchsorted(times, (0.5, 1.2))
    assert (span.first, span.end) == (first, last)
    count, _ = predict(predictor, reader, tmp_path / "out", span, track_settings=OWN)
    assert (
        check_agreement(tmp_path / "out", range(first + 1, last + 1), (96, 144))
        and count > 3
    )
    with pytest.raises(
        InputError, match="no frame of the video lies between --start and --end"
    ):
        predict(predictor, reader, tmp_path / "none", Span(17, 19))
    assert not os.listdir(tmp_path / "none")
    with av.open(str(tmp_path / "out/overlay.mp4")) as overlay:
        shown = [frame.time for frame in overlay.decode()]
    np.testing.assert_allclose(shown, times[first:last] - times[first], atol=1e-3)
    for track in json.loads((tmp_path / "out/tracks.json").read_text()):
        for stretch in (track, *track["actions"]):
            assert stretch["start_second"] == pytest.approx(
                times[stretch["start_frame"] - 1], abs=1e-3
            )
            assert stretch["end_second"] == pytest.approx(
                times[stretch["end_frame"]], abs=1e-3
            )


def test_command_line_of_part_of_a_folder_of_images(
    saved_model, predictor, film, tmp_path
):
    """25 frames a second: frames 3 to 6 begin between 0.08 and 0.24 s."""
    images = write_images(tmp_path / "images", coloured_frames(7))
    (images / "notes.txt").write_text("no frame")
    output = tmp_path / "new" / "output"
    options = ["--start=0.08", "--end=0.24", "--every=2", "--window=3"]
    words = (
        f"--saved_model={saved_model}",
        f"--video={images}",
        f"--output={output}",
        *options,
    )
    succeeded(run_a2d("predict", *words))
    assert sorted(p.name for p in output.iterdir()) == sorted(prediction_folder.RESULTS)
    check_agreement(output, (3, 5), (96, 144))
    rows = [
        row.split(",") for row in (output / "summary.csv").read_text().splitlines()[1:]
    ]
    # Frame 3 lasts until 5 begins, and 5 to the end of the span.
    assert rows and all(row[4] == {"3": "0.16", "5": "0.24"}[row[6]] for row in rows)
    reader, span = video_reader.open_video(images), Span(2, 6, 2)
    _, own = predict(
        predictor, reader, tmp_path / "own", span, track_settings=TrackSettings(3)
    )
    found = json.loads((output / "detections.json").read_text())
    names = ("image_id", "category_id", "track_id")
    assert found and [[r[n] for n in names] for r in found] == [
        [r[n] for n in names] for r in own
    ]
    info = prediction_folder.read_video_info(output)
    assert (info.fps, info.fps_is_assumed) == (25, True)
    reader = video_reader.open_video(images, fps=50)
    predict(predictor, reader, tmp_path / "stated", span)
    info = prediction_folder.read_video_info(tmp_path / "stated")
    assert (info.fps, info.fps_is_assumed, info.span) == (50, False, (0.04, 0.12))


def test_only_the_chosen_results_are_written(predictor, film, tmp_path):
    for kinds in (("overlay", "tracks"), ("label_maps", "detections", "summary")):
        reader = video_reader.open_video(film)
        video_prediction.predict(lambda: predictor, reader, str(tmp_path), kinds=kinds)
        names = {
            prediction_folder.VIDEO_FILE,
            *(prediction_folder.RESULT_FILES[kind] for kind in kinds),
        }
        # none is of the run before
        assert {path.name for path in tmp_path.iterdir()} == names
    assert len(list((tmp_path / "label_maps").iterdir())) == 7
    assert json.loads((tmp_path / "detections.json").read_text())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_whole_files_of_the_frames_so_far(
    predictor, film, tmp_path, number
):
    class Interrupted:
        info, labels, features, calls = predictor.info, A2D, predictor.features, 0

        def instances(self, clip, size, motion):
            self.calls += 1
            if self.calls == 3:
                os.kill(os.getpid(), number)
            return predictor.instances(clip, size, motion)

    handler = signal.getsignal(number)
    outcome = video_prediction.predict(
        Interrupted, video_reader.open_video(film), str(tmp_path)
    )
    # The frame in hand is the last, which on a busy machine may be a later one than the
    # third.
    count = outcome.frames
    assert outcome.is_interrupted and 2 <= count < 7
    assert signal.getsignal(number) is handler
    assert len(read_back(tmp_path / "overlay.mp4")[0]) == count
    assert len(list((tmp_path / "label_maps").iterdir())) == count
    results = json.loads((tmp_path / "detections.json").read_text())
    assert {result["image_id"] for result in results} <= set(range(1, count + 1))


def test_bad_command_lines_end_with_one_clear_line(tmp_path, film):
    run = (
        empty(tmp_path, "empty.mp4", "file", "model/saved_model.pb", "run/flags.txt")
        / "run"
    )
    model, output = (
        f"--saved_model={tmp_path / 'model'}",
        f"--output={tmp_path / 'out'}",
    )
    video = f"--video={film}"
    cases = [
        ([video, output], "--saved_model, --workdir, --model or --init_rgb"),
        ([model, video, output, "--max_detections=7"], "no settings (max_detections)"),
        ([model, video, output, "--start=2", "--end=2"], "--end=2"),
        ([model, video, output, "--start=nan"], "--start=nan"),
        ([model, video, output, "--end=inf"], "--end=inf"),
        (["--workdir=nowhere", video, output], "--workdir=nowhere: no such folder"),
        ([f"--workdir={tmp_path / 'model'}", video, output], "--workdir"),
        (
            [f"--saved_model={run}", video, output],
            f"--saved_model={run}: no saved_model",
        ),
        (
            [f"--saved_model={tmp_path}", video, output],
            f"the output of a2d start; use --saved_model={tmp_path / 'model'}",
        ),
        ([model, "--video=nothing.mp4", output], "nothing.mp4: no such video"),
        (
            [model, f"--video={tmp_path / 'empty.mp4'}", output],
            "empty.mp4: cannot be decoded",
        ),
        ([model, video, f"--output={tmp_path / 'file'}"], "--output"),
        ([model, video, output], "a2d_tf.json"),
        ([model, video, output, "--actors=person"], "it needs --init_rgb=coco"),
        (
            ["--init_rgb=coco", model, video, output],
            "use one of --saved_model, --workdir",
        ),
        ([model, video, output, "--task=1/2"], "a single video"),
        ([model, video, f"--videos={film}", output], "--videos"),
    ]
    for words, named in cases:
        assert named in complaint(run_a2d("predict", *words))
