"""Prediction of given tracks: what the model says of them, in every file."""

import csv
import json

import numpy as np
import pytest
from a2d_files import coloured_frames, write_video
from processes import complaint, run_a2d, succeeded

from a2d_tf.annotations.tracks.video_tracks import GivenInstances
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data.segmentations import encode_mask
from a2d_tf.ops.visualize import overlay_masks
from a2d_tf.video.predictors import labelled_boxes

pytestmark = pytest.mark.slow
# Three individuals in seven frames of 96 x 144; 9 is gone in frames 3 and 4.
PATHS = {
    2: [(frame, 5 + 3 * frame, 10, 40, 50) for frame in range(1, 8)],
    9: [(frame, 60, 20 + 2 * frame, 30, 30) for frame in (1, 2, 5, 6, 7)],
    4: [(frame, 100 - 4 * frame, 40, 40, 45) for frame in range(2, 6)],
}


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("film") / "film.mp4", coloured_frames(7))


def write_mot(path, tracks=PATHS):
    rows = [
        f"{frame},{number},{x},{y},{width},{height},1,-1,-1,-1"
        for number, places in tracks.items()
        for frame, x, y, width, height in places
    ]
    path.write_text("\n".join(rows) + "\n")
    return path


def predicted(*words):
    return succeeded(run_a2d("predict", *words))


def detections(folder):
    """{(frame, track): the detection}."""
    entries = json.loads((folder / "detections.json").read_text())
    return {(entry["image_id"], entry["track_id"]): entry for entry in entries}


@pytest.fixture(scope="module")
def labelled(saved_model, film, tmp_path_factory):
    """The folder of a prediction of the film's tracks, without smoothing."""
    folder = tmp_path_factory.mktemp("labelled")
    tracks = write_mot(folder / "film.txt")
    words = (f"--saved_model={saved_model}", f"--video={film}", f"--tracks={tracks}")
    said = predicted(*words, f"--output={folder / 'out'}", "--window=1")
    assert "given tracks: 7 frames" in said
    return folder / "out"


def test_boxes_numbers_and_gaps_are_as_given(labelled):
    found = detections(labelled)
    expected = {
        (frame, number): [x, y, width, height]
        for number, places in PATHS.items()
        for frame, x, y, width, height in places
    }
    assert found.keys() == expected.keys()
    for key, box in expected.items():
        assert found[key]["bbox"] == box
    tracks = json.loads((labelled / "tracks.json").read_text())
    frames = {t["track_id"]: [row["frame"] for row in t["frames"]] for t in tracks}
    assert frames == {n: [place[0] for place in PATHS[n]] for n in PATHS}
    with open(labelled / "summary.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    covered = {number: set() for number in PATHS}
    for row in rows:
        span = range(int(row["start_frame"]), int(row["end_frame"]) + 1)
        covered[int(row["track_id"])].update(span)
    assert covered == {n: {place[0] for place in PATHS[n]} for n in PATHS}
    assert json.loads((labelled / "video.json").read_text())["given_tracks"] is True


def test_what_was_labelled_is_labelled_alike_from_its_own_export(
    labelled, saved_model, film, tmp_path
):
    """The first export has the masks of the network; the second has them as given."""
    folder = labelled
    for name in ("first", "second"):
        export = tmp_path / name / "film.zip"
        export.parent.mkdir()
        words = (f"--prediction={folder}", "--shapes=masks", "--every=1")
        succeeded(run_a2d("export-annotations", *words, f"--output={export}"))
        before = detections(folder)
        folder = tmp_path / name / "out"
        words = (f"--saved_model={saved_model}", f"--video={film}", "--window=1")
        predicted(*words, f"--tracks={export}", f"--output={folder}")
    after = detections(folder)
    assert before.keys() == after.keys() <= detections(labelled).keys()
    assert {track for _, track in after} == set(PATHS)
    for key, entry in before.items():
        assert after[key]["segmentation"] == entry["segmentation"]
        assert after[key]["category_id"] == entry["category_id"]
        assert after[key]["score"] == pytest.approx(entry["score"], abs=0.02)


def test_a_part_of_the_frames_has_the_labels_of_all(
    labelled, saved_model, film, tmp_path
):
    tracks = write_mot(tmp_path / "film.txt")
    words = (f"--saved_model={saved_model}", f"--video={film}", f"--tracks={tracks}")
    output = tmp_path / "out"
    predicted(*words, f"--output={output}", "--every=3", "--window=1")
    whole = detections(labelled)
    part = detections(output)
    assert part.keys() == {key for key in whole if key[0] in (1, 4, 7)}
    for key, entry in part.items():
        assert entry["category_id"] == whole[key]["category_id"]
        assert entry["score"] == pytest.approx(whole[key]["score"], abs=1e-4)


def test_a_library_needs_tracks_of_each_video(saved_model, film, tmp_path):
    videos = tmp_path / "videos"
    videos.mkdir()
    for name in ("one", "two"):
        (videos / f"{name}.mp4").write_bytes(film.read_bytes())
    mot = tmp_path / "mot"
    mot.mkdir()
    write_mot(mot / "one.txt")
    words = (f"--saved_model={saved_model}", f"--video={videos}", f"--tracks={mot}")
    output = tmp_path / "out"
    line = complaint(run_a2d("predict", *words, f"--output={output}"))
    assert "no tracks of two; add them" in line
    assert not output.exists() or not list(output.iterdir())
    write_mot(mot / "two.txt", {5: PATHS[2]})
    predicted(*words, f"--output={output}")
    with open(output / "summary.csv", newline="") as file:
        individuals = {row["individual"] for row in csv.DictReader(file)}
    assert individuals == {"one_2", "one_4", "one_9", "two_5"}
    assert "2 finished before" in predicted(*words, f"--output={output}")
    write_mot(mot / "two.txt", {6: PATHS[2]})
    line = complaint(run_a2d("predict", *words, f"--output={output}"))
    assert "finished with --tracks=" in line


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (["--patience=3"], "--patience has nothing to do"),
        (["--max_tracks=3"], "--max_tracks has nothing to do"),
        (["--score_threshold=.5"], "--score_threshold has nothing to do"),
    ],
)
def test_flags_of_finding_have_nothing_to_do(
    saved_model, film, tmp_path, flags, problem
):
    tracks = write_mot(tmp_path / "film.txt")
    words = (f"--saved_model={saved_model}", f"--video={film}", f"--tracks={tracks}")
    output = tmp_path / "out"
    line = complaint(run_a2d("predict", *words, f"--output={output}", *flags))
    assert problem in line and not output.exists()


def test_a_track_that_is_not_in_the_video_leaves_nothing(saved_model, film, tmp_path):
    words = (f"--saved_model={saved_model}", f"--video={film}")
    output = tmp_path / "out"
    for tracks, problem in (
        ({1: [(3, 200, 10, 20, 20)]}, "in a frame of 144x96"),
        ({1: [(1, 20, 10, 20, 20), (900, 20, 10, 20, 20)]}, "which has"),
        ({1: [(1, 20, 10, 20, 20), (8, 20, 10, 20, 20)]}, "which has 7 frames"),
    ):
        path = write_mot(tmp_path / "film.txt", tracks)
        flags = (f"--tracks={path}", f"--output={output}")
        assert problem in complaint(run_a2d("predict", *words, *flags))
        assert not output.exists() or not list(output.iterdir())
    line = complaint(run_a2d("predict", *words, "--actor=cat", f"--output={output}"))
    assert "--actor says how --tracks is read, which is missing" in line


def test_masks_as_given_are_painted(saved_model, film, tmp_path):
    import cv2

    masks = tmp_path / "masks" / "film"
    masks.mkdir(parents=True)
    for index in range(7):
        image = np.zeros((96, 144), np.uint8)
        image[20:60, 10 + index : 50 + index] = 3
        cv2.imwrite(str(masks / f"{index:05}.png"), image)
    (tmp_path / "masks" / "objects.csv").write_text(
        "video,object,actor,action\nfilm,3,dog,\n"
    )
    words = (f"--saved_model={saved_model}", f"--video={film}")
    output = tmp_path / "out"
    predicted(*words, f"--tracks={tmp_path / 'masks'}", f"--output={output}")
    for number in range(1, 8):
        label_map = cv2.imread(str(output / f"label_maps/{number:05}.png"), -1)
        expected = cv2.imread(str(masks / f"{number - 1:05}.png"), -1) == 3
        np.testing.assert_array_equal(label_map > 0, expected)
        assert set(np.unique(label_map[expected]) // 10) == {7}  # A2D's dog


def test_a_box_without_a_mask_is_drawn_as_an_outline():
    mask = np.zeros((8, 10), np.uint8)
    mask[2:4, 3:6] = 1
    given = GivenInstances(
        boxes=np.float32([[1, 1, 7, 9], [2, 3, 4, 6]]),
        masks=[None, encode_mask(mask)],
        tracks=np.array([1, 2]),
        actors=np.array([0, 0]),
    )
    answer = labelled_boxes.label_boxes(
        given,
        labelled_boxes.complete_masks(given, np.ones((2, 28, 28), np.float32), (8, 10)),
        LabelSpace(("mouse",), ("rest", "run"), (11, 12)),
        actor_scores=np.ones((2, 1), np.float32),
        action_scores=np.float32([[0.2, 0.8], [0.7, 0.3]]),
        draws_masks=False,
    )
    assert answer.has_mask.tolist() == [False, True]
    grey = np.full((8, 10, 3), 100, np.uint8)
    image = overlay_masks(grey, [None, mask], np.uint8([[0, 0, 0], [200, 0, 100]]))
    assert (image != grey).any(axis=2).tolist() == mask.astype(bool).tolist()
    np.testing.assert_array_equal(image[2, 3], [150, 50, 100])
