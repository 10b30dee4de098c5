"""Predictions of videos scored over time: the files of both sides, and what does not fit."""

import dataclasses
import json
import types

import numpy as np
import pytest
from a2d_files import mask
from processes import run_tool
from test_inspection import truth
from test_outputs import BOX, FILM, OTHER, SIZE, write

from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.data.segmentations import encode_mask
from a2d_tf.evaluation.metrics import Split
from a2d_tf.evaluation.metrics.over_time import OverTime
from a2d_tf.video import scoring

CATEGORIES = [{"id": code, "name": A2D.name(code)} for code in A2D.codes]


def predict(folder, film=FILM, name="clip1.mp4", every=1, count=6, images=None):
    write(folder, film, every=every, name=name, images=images, length=count, count=count)
    return folder


def truth_of(folder, film=FILM, name="clip1", size=SIZE, **fields):
    """A YouTube-VIS file of {frame: [(track, code, _, box), ...]}; `fields` of its video."""
    path, numbers = folder / f"{name}.json", sorted(film)
    annotations = {}
    for k, number in enumerate(numbers):
        for track, code, _, box in film[number]:
            rows = annotations.setdefault((track, code), [None] * len(numbers))
            rows[k] = encode_mask(mask(*SIZE, *box))
    video = {"id": 1, "height": size[0], "width": size[1], "length": len(numbers)}
    video["file_names"] = [f"{name}/{number - 1:05d}.jpg" for number in numbers]
    rows = [
        {"video_id": 1, "track_id": track, "category_id": code, "segmentations": masks}
        for (track, code), masks in annotations.items()
    ]
    content = {"videos": [{**video, **fields}], "categories": CATEGORIES, "annotations": rows}
    path.write_text(json.dumps(content))
    return path


def read(truth, *predicted, labels=None):
    return scoring.read(truth, predicted, labels)


def complaint(*arguments, **options):
    with pytest.raises(InputError) as caught:
        read(*arguments, **options)
    return str(caught.value)


def test_a_prediction_agrees_with_itself(tmp_path):
    folder = predict(tmp_path / "out")
    truth = truth_of(tmp_path)
    done = run_tool(
        "score",
        "tracks",
        f"--truth={truth}",
        f"--predicted={folder}",
        f"--output={tmp_path / 'metrics.json'}",
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads((tmp_path / "metrics.json").read_text())["over_time"]
    assert (figures.pop("videos"), figures.pop("frames")) == (1, 6)
    for kind, values in figures.items():
        assert values == pytest.approx(dict.fromkeys(values, 100)), kind
    assert done.stdout.splitlines()[0].startswith("Over time, 1 videos with 6 frames")
    assert done.stdout.splitlines()[5].split() == ["joint", *["100.0"] * 9]
    assert done.stdout.splitlines()[-1].split() == ["joint", "-", *["100.0"] * 2]


def test_frames_are_paired_by_number_and_videos_by_name(tmp_path):
    film = {number: FILM[number] for number in (2, 3, 5)}  # every other frame is not annotated
    other = {2: [(1, 18, 1, OTHER)], 3: [], 5: [(1, 17, 1, BOX)]}
    truth = json.loads(truth_of(tmp_path, film).read_text())
    more = json.loads(truth_of(tmp_path, other, name="clip2").read_text())
    more["videos"][0]["id"] = 2
    for entry in more["annotations"]:
        entry["video_id"] = 2
    for side in ("videos", "annotations"):
        truth[side] += more[side]
    path = tmp_path / "both.json"
    path.write_text(json.dumps(truth))
    library = tmp_path / "library"
    predict(library / "clip2", {2: [(7, 17, 0.5, OTHER)], 3: [(7, 17, 0.25, BOX)]}, "clip2.avi")
    predict(library / "clip1")
    videos, labels, notes = read(path, library)
    assert list(videos) == ["clip1", "clip2"] and labels == A2D
    assert notes == [
        "clip2: 1 of 3 annotated frames were not segmented; all in them counts as missed"
    ]
    first, second = videos.values()
    assert [frame.truth.tracks.tolist() for frame in first] == [[2, 1], [1], [1]]
    assert [frame.truth.codes.tolist() for frame in first] == [[34, 17], [18], [18]]
    assert first[0].found.tracks.tolist() == [1, 2]
    assert first[0].overlaps.tolist() == [[0, 140], [640, 0]]
    assert [frame.found.tracks.tolist() for frame in second] == [[7], [7], []]
    assert second[0].found.scores.tolist() == [0.5]
    assert second[0].found.codes.tolist() == [17]
    _, _, notes = read(path, library / "clip1")
    assert notes == ["1 of 2 annotated videos have no prediction"]
    videos, _, notes = read(truth_of(tmp_path), library)  # which has a video more
    assert list(videos) == ["clip1"] and "'clip2', which" in notes[0]
    assert notes[0].endswith("it has clip1; not scored") and len(notes) == 1


def test_what_does_not_fit_is_said(tmp_path):
    folder, truth = predict(tmp_path / "out"), truth_of(tmp_path)
    assert "none.json" in complaint(tmp_path / "none.json", folder)
    assert f"--predicted={tmp_path / 'none'}" in complaint(truth, tmp_path / "none")
    assert "another prediction of 'clip1'" in complaint(truth, folder, folder)
    message = complaint(truth, predict(tmp_path / "other", name="clip9.mp4"))
    assert "the video 'clip9', which" in message and "it has clip1" in message
    space = LabelSpace(("man",), ("run",), (11,))
    assert "video.json: labels: " in complaint(truth, folder, labels=space)
    twice = {1: [(1, 17, 1, BOX), (1, 18, 1, OTHER)]}
    for made, where in (
        (dict(size=(40, 64)), "videos[0].file_names[0]: is 64x40, but the prediction 64x48"),
        (dict(film={7: FILM[1]}), "is frame 7, but 'clip1' has 6"),
        (dict(film=twice), "annotations[1].segmentations[0]: track 1 is twice in this frame"),
    ):
        assert where in complaint(truth_of(tmp_path, **made), folder)
    content = json.loads(truth_of(tmp_path).read_text())
    content["categories"][0]["name"] = content["categories"][6]["name"] = "cow-running"
    truth.write_text(json.dumps(content))
    assert "no cow-running" in complaint(truth, folder)


@pytest.mark.parametrize(
    "images, listed",
    [
        ([f"{n:05d}.jpg" for n in range(1, 7)], [1, 2, 3, 5]),  # as named: from 1 on
        ([f"{n:05d}.jpg" for n in range(6)], [0, 1, 2, 4]),
        ([f"{n:05d}.jpg" for n in range(0, 30, 5)], [0, 5, 10, 20]),  # YouTube-VIS's own
        ([f"{n:05d}.jpg" for n in range(1, 7)], [0, 1, 2, 4]),  # by place: no image is 00000
        (["a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg", "f.jpg"], [0, 1, 2, 4]),
    ],
)
def test_frames_of_a_folder_of_images_go_by_their_names(tmp_path, images, listed):
    folder = predict(tmp_path / "out", name="clip1", images=images)
    film = {number: FILM[number] for number in (1, 2, 3, 5)}
    names = [f"clip1/{number:05d}.jpg" for number in listed]
    videos, _, notes = read(truth_of(tmp_path, film, file_names=names), folder)
    (video,) = videos.values()
    assert not notes and len(video) == 4
    for frame in video:
        assert sorted(frame.truth.tracks) == sorted(frame.found.tracks)
        assert frame.iou.max(axis=0).tolist() == [1.0] * len(frame.truth.tracks)


# ---- Records that hold every frame of a video


def clip(number, tracks, video="v"):
    """The truth of a record with adults who run in BOX, and then in OTHER."""
    boxes = [BOX, OTHER][: len(tracks)]
    return dataclasses.replace(
        truth(video, boxes, [17] * len(tracks), SIZE),
        frame=number,
        rles=[encode_mask(mask(*SIZE, *box)) for box in boxes],
        tracks=np.array(tracks, np.int64) if tracks else None,
    )


def found(*rows):
    """Instances of (code, p(actor), box), and their RLEs."""
    codes, scores, boxes = zip(*rows) if rows else ((), (), ())
    actors, actions = np.zeros((len(rows), 7)), np.zeros((len(rows), 9))
    for i, (code, score, _) in enumerate(rows):
        actors[i, code // 10 - 1], actions[i, code % 10 - 1] = score, 0.5
    instances = {
        "boxes": np.array(boxes, np.float32).reshape(-1, 4),
        "code": np.array(codes, np.int32),
        "class_score": np.array(scores),
        "score": 0.5 * np.array(scores),
        "actor_scores": actors,
        "action_scores": actions,
    }
    return instances, [encode_mask(mask(*SIZE, *box)) for box in boxes]


def show(metric, truth, instances, rles):
    """Update a metric with a frame."""
    metric.update(types.SimpleNamespace(truth=truth, instances=instances, rles=rles))


RIGHT, LOW = (17, 0.9, BOX), (17, 0.2, OTHER)


def test_recorded_videos_are_followed():
    metric = OverTime(Split(A2D, 0.3))
    # Out of order, and with an instance below the threshold.
    for number in (4, 2, 3):
        show(metric, clip(number, [5]), *found(RIGHT, LOW))
    show(metric, clip(5, []), *found())
    for number, tracks, video in ((1, [5], "gap"), (3, [5], "gap"), (1, [-1], "u"), (2, [5], "u")):
        show(metric, clip(number, tracks, video), *found(RIGHT))  # do not count
    figures = metric.result()["over_time"]
    assert (figures["videos"], figures["frames"]) == (1, 4)
    assert figures["joint"]["hota"] == figures["any"]["idf1"] == 100
    # A second one, which is not found.
    show(metric, clip(1, [5], "w"), *found())
    show(metric, clip(2, [5], "w"), *found())
    figures = metric.result()["over_time"]
    assert figures["videos"] == 2 and figures["any"]["idr"] == pytest.approx(60)
    # A third one, which shows nothing: what is found there is wrong.
    precision = figures["any"]["idp"]
    for number in (1, 2):
        show(metric, clip(number, [], "x"), *found(RIGHT))
    figures = metric.result()["over_time"]
    assert (figures["videos"], precision) == (3, 100)
    assert figures["any"]["idp"] == pytest.approx(60) == figures["any"]["idr"]
