"""Detection metrics: corner cases by hand, a slow independent oracle, and files."""

import json

import numpy as np
import pytest
from a2d_files import mask
from plain_detection import MANY, SMALL, flatten, random_case, slow_ap, slow_metrics_of

from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.data.segmentations import encode_mask
from a2d_tf.evaluation.boxes import average_precision
from a2d_tf.evaluation.boxes.instance_tables import Results, Truth
from a2d_tf.evaluation.boxes.scored_rois import ScoredRois
from a2d_tf.evaluation.metrics import zero_shot
from a2d_tf.evaluation.metrics.detection import voc_aps, voc_aps_of_results

OVERRIDES = ("joint_scores", "joint_boxes")


@pytest.mark.parametrize(
    "space, overrides, rois, digits",
    [
        (SMALL, (), 60, None),
        (SMALL, OVERRIDES[1:], 60, None),
        (MANY, OVERRIDES[:1], 60, None),
        (A2D, OVERRIDES, 60, None),
        # Crowded frames; with few digits, scores tie.
        (SMALL, (), 400, 1),
        (SMALL, OVERRIDES, 400, 1),
    ],
)
def test_agrees_with_slow_loops(space, overrides, rois, digits, monkeypatch):
    # Frames of unequal length, some at a time.
    monkeypatch.setattr(average_precision, "_BOXES", 64)
    detections, truth = random_case(space, 7, overrides, rois, digits)
    assert len(set(np.bincount(detections.roi_frame))) > 1
    ours, slow = (
        voc_aps(detections, truth, space),
        slow_metrics_of(detections, truth, space),
    )
    assert flatten(ours) == pytest.approx(flatten(slow))
    assert 0 < ours["detection"]["joint"] < 100
    pairs = slow["per_pair_ap"]
    for actor, ap in zero_shot.actor_aps(ours["per_pair_ap"], space).items():
        own = [
            pairs[str(code)] for code in space.codes if code // space.base == int(actor)
        ]
        assert ap == pytest.approx(sum(own) / len(own))


def random_results(seed):
    """Instances around a random truth, with ties among their scores, and that truth."""
    rng = np.random.default_rng(seed)
    detections, truth = random_case(A2D, seed, rois=300)
    source = rng.integers(0, 12, 300)
    codes, frame = truth.codes[source], truth.box_frame[source]
    boxes, lost = truth.boxes[source], rng.random(300) < 0.7
    boxes[lost] = detections.boxes[lost, 0]
    codes[:20] = 12  # no valid pair
    scores = rng.random(300).round(2)
    return Results(truth.frames, frame, boxes, codes, scores=scores), truth


def test_instances_agree_with_slow_loops():
    results, truth = random_results(3)
    metrics = voc_aps_of_results(results, truth, A2D)
    names, expected = truth.frames.tolist(), {}
    for code in A2D.codes:
        found, wanted = {}, {}
        for i in np.flatnonzero(results.codes == code):
            place = found.setdefault(names[results.box_frame[i]], [])
            place.append((results.scores[i], results.boxes[i].tolist()))
        for i in np.flatnonzero(truth.codes == code):
            wanted.setdefault(names[truth.box_frame[i]], []).append(
                truth.boxes[i].tolist()
            )
        expected[str(code)] = slow_ap(names, found, wanted)
    assert metrics["per_pair_ap"] == pytest.approx(expected)
    assert metrics["detection"] == {"joint": pytest.approx(sum(expected.values()) / 43)}
    assert 0 < metrics["detection"]["joint"] < 100


# ---- by hand


def one_actor(boxes, scores, targets):
    """Actor AP of boxes of 'man' in one frame."""
    frames, target_frames = np.zeros(len(scores), int), np.zeros(len(targets), int)
    names = ["v/00001"]
    rois = np.zeros((len(scores), 2, 4))
    rois[:, 0] = np.array(boxes).reshape(-1, 4)
    actor_scores = np.zeros((len(scores), 2))
    actor_scores[:, 0] = scores
    detections = ScoredRois(
        names, frames, rois, actor_scores, np.ones((len(scores), 3))
    )
    truth = Truth(names, target_frames, targets, [11] * len(targets))
    return voc_aps(detections, truth, SMALL)["per_actor_ap"]["1"]


GT = [0, 0, 10, 10]
FAR = [50, 50, 60, 60]
POINT = [3, 3, 3, 3]
HALVES = [[0, 0, 10, 5], [0, 5, 10, 10]]
# IoU 30/100 and 31/99
TARGET, AT, ABOVE = [0, 0, 65, 10], [35, 0, 100, 10], [34, 0, 99, 10]
A, B, C = [0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]  # each overlaps the next


@pytest.mark.parametrize(
    "boxes, scores, targets, ap",
    [
        (HALVES[:1], [0.9], [GT], 100),  # a match begins at IoU 1/2
        ([[0, 0, 10, 4.5]], [0.9], [GT], 0),
        ([AT, TARGET], [0.9, 0.8], [TARGET], 50),  # suppression begins above 3/10
        ([ABOVE, TARGET], [0.9, 0.8], [TARGET], 0),
        # what is suppressed suppresses nothing
        ([A, B, C], [0.9, 0.8, 0.7], [A, C], 100),
        ([B, A, C], [0.9, 0.8, 0.7], [A, C], 0),
        # A box on two targets counts once: one of two found, precision 1.
        ([GT], [0.9], [[0, 0, 10, 8], [0, 2, 10, 10]], 100 * 6 / 11),
        # Only the first box on a target is true.
        ([*HALVES, FAR], [0.9, 0.8, 0.7], [GT, FAR], 100 * (6 * 1 + 5 * 2 / 3) / 11),
        # Boxes without area match and suppress nothing.
        ([POINT, POINT, GT], [0.9, 0.8, 0.7], [GT], 100 / 3),
        ([POINT], [0.9], [POINT], 0),
        ([], [], [GT], 0),
        ([GT], [0.9], [], 0),
        ([], [], [], 0),
    ],
)
def test_boxes_of_a_frame(boxes, scores, targets, ap):
    assert one_actor(boxes, scores, targets) == pytest.approx(ap)


@pytest.mark.parametrize("hits, levels", [(2, 3), (3, 3), (6, 7), (7, 8), (10, 11)])
def test_levels_of_recall_are_those_of_matlab(hits, levels):
    """Of ten true boxes: of the levels, only .3 is above its tenth."""
    counts = np.arange(1, hits + 1)
    curve = average_precision.Curve(true=counts, detections=counts, positives=10)
    ap = average_precision.average_precision(curve)
    assert ap == pytest.approx(levels / 11)


def test_means_and_what_they_leave_out():
    # A perfect dog-run and man-none; man-run and dog-eat have no truth.
    names = ["v/00001", "v/00002"]
    boxes = np.tile(np.array(GT, float), (2, 2, 1))
    detections = ScoredRois(
        names, [0, 1], boxes, np.array([[0.1, 0.9], [0.8, 0.2]]), np.eye(3)[[0, 2]]
    )
    metrics = voc_aps(detections, Truth(names, [0, 1], [GT, GT], [21, 13]), SMALL)
    assert metrics == {
        "per_pair_ap": pytest.approx({"11": 0, "13": 100, "21": 100, "22": 0}),
        "per_actor_ap": pytest.approx({"1": 100, "2": 100}),
        "per_action_ap": pytest.approx({"1": 100, "2": 0, "3": 100}),
        "detection": pytest.approx({"actor": 100, "action": 50, "joint": 50}),
    }


# ---- what belongs together


def test_frames_outside_the_truth_and_other_label_spaces_are_refused():
    detections, truth = random_case(SMALL, 0)
    fewer = Truth(truth.frames[:1], [0], [GT], [11])
    with pytest.raises(InputError, match="'frames'"):
        voc_aps(detections, fewer, SMALL)
    with pytest.raises(
        InputError, match="'actor_scores' has 2 columns, but the label space has 7"
    ):
        voc_aps(detections, truth, A2D)
    # A listed frame without RoIs may lie outside.
    listed = ScoredRois(["v/1", "w/1"], [0], [[GT, GT]], [[1.0, 0]], np.ones((1, 3)))
    metrics = voc_aps(listed, Truth(["v/1"], [0], [GT], [11]), SMALL)
    assert metrics["per_actor_ap"]["1"] == pytest.approx(100)


# ---- files


@pytest.mark.parametrize("overrides, rois", [((), 0), (OVERRIDES, 60)])
def test_detections_survive_a_file(tmp_path, overrides, rois):
    detections, truth = random_case(SMALL, 1, overrides, rois)
    path = tmp_path / "detections.npz"
    detections.save(path)
    loaded = ScoredRois.load(path)
    for name in (
        "frames",
        "roi_frame",
        "boxes",
        "actor_scores",
        "action_scores",
        *overrides,
    ):
        assert np.array_equal(getattr(loaded, name), getattr(detections, name)), name
    assert (loaded.joint_scores is None) == (not overrides)
    assert voc_aps(loaded, truth, SMALL) == voc_aps(detections, truth, SMALL)


@pytest.mark.parametrize(
    "field, value",
    [
        ("frames", np.array(["v/00001", "v/00001"])),
        ("roi_frame", np.array([1])),
        ("roi_frame", np.array([0.0])),
        ("boxes", np.zeros((2, 2, 4))),
        ("boxes", np.array([[[0, 0, 1, np.nan]] * 2])),
        ("boxes", np.array([[[5, 0, 1, 1]] * 2])),
        ("action_scores", np.array([["a", "b", "c"]])),
        ("joint_scores", np.zeros((1, 2, 2))),
        ("joint_boxes", np.zeros((1, 2, 3))),
        ("action_scores", None),
    ],
)
def test_malformed_and_missing_fields_are_named(tmp_path, field, value):
    path = tmp_path / "bad.npz"
    boxes, actors, actions = (np.zeros(shape) for shape in ((1, 2, 4), (1, 2), (1, 3)))
    fields = {"boxes": boxes, "actor_scores": actors, "action_scores": actions}
    fields = {
        "frames": np.array(["v/00001"]),
        "roi_frame": np.array([0]),
        **fields,
        field: value,
    }
    np.savez(
        path, **{name: array for name, array in fields.items() if array is not None}
    )
    with pytest.raises(InputError, match=rf"bad\.npz.*'{field}'") as error:
        ScoredRois.load(path)
    assert ("x1 <= x2" in str(error.value)) == field.endswith("boxes")


@pytest.fixture
def truth_file(tmp_path):
    """A file of a truth of two frames, with one instance in the second."""
    path = tmp_path / "truth.json"
    one_instance().save(path, A2D)
    return path


def one_instance():
    masks = [encode_mask(mask(6, 9, 1, 2, 3, 7))]
    return Truth(
        ["v/1", "w/1"],
        [1],
        [[2, 1, 7, 3]],
        [21],
        sizes=[(5, 5), (6, 9)],
        masks=masks,
        image_ids=["a", 7],
    )


def test_truth_survives_a_file(truth_file):
    truth = one_instance()
    loaded = Truth.load(truth_file, A2D)
    assert (loaded.sizes, loaded.masks) == (truth.sizes, truth.masks)
    assert loaded.image_ids == ["a", 7]
    assert loaded.boxes.tolist() == [[2, 1, 7, 3]] and loaded.codes.tolist() == [21]


def test_the_file_of_a_truth_is_cocos(truth_file):
    written = json.loads(truth_file.read_text())
    categories = {c["id"]: c["name"] for c in written["categories"]}
    assert len(categories) == 43 and categories[43] == "bird-eating"
    assert written["images"][1] == {
        "id": 7,
        "file_name": "w/1.png",
        "height": 6,
        "width": 9,
    }
    assert written["annotations"][0]["area"] == 10


def test_a_truth_may_list_the_papers_names_and_pairs_that_nobody_does(truth_file):
    written = json.loads(truth_file.read_text())
    written["categories"] += [
        {"id": 11, "name": "adult-climb"},
        {"id": 14, "name": "adult-flying"},
    ]
    truth_file.write_text(json.dumps(written))
    assert len(Truth.load(truth_file, A2D).codes) == 1


def test_a_truth_of_other_labels_is_refused_by_their_names(truth_file):
    """Their codes may be valid in both."""
    other = LabelSpace(("person", *A2D.actors[1:]), A2D.actions, A2D.codes)
    with pytest.raises(InputError, match=r"truth\.json: categories\[0\]: 11 "):
        Truth.load(truth_file, other)


def test_masks_of_the_truth_are_read_where_there_are_any(tmp_path):
    path = tmp_path / "truth.json"
    square = {"image_id": 7, "category_id": 22, "bbox": [1, 1, 2, 2]}
    polygon = {"segmentation": [[1, 1, 3, 1, 3, 3, 1, 3]]}
    sized = {"id": 7, "file_name": "v/00001.png", "height": 4, "width": 5}
    for image, annotations, count in (
        (sized, [{**square, **polygon}], 1),
        (sized, [{**square, **polygon}, square], 2),
        (sized, [{**square, "segmentation": []}], None),
        ({**sized, "height": None}, [{**square, **polygon}], None),
    ):
        path.write_text(json.dumps({"images": [image], "annotations": annotations}))
        masks = Truth.load(path, SMALL).masks
        assert (masks and len(masks)) == count
    broken = {**square, "segmentation": {"size": [4, 5], "counts": [3]}}
    path.write_text(json.dumps({"images": [sized], "annotations": [broken]}))
    with pytest.raises(
        InputError, match=r"truth\.json: annotations\[0\]\.segmentation: .*add up"
    ):
        Truth.load(path, SMALL)


IMAGE = {"id": 7, "file_name": "v/00001.png"}
BOX = {"image_id": 7, "category_id": 22, "bbox": [1, 2, 3, 4]}


@pytest.mark.parametrize(
    "images, annotations, field",
    [
        ([IMAGE], None, "annotations"),
        ([{**IMAGE, "id": []}], [], r"images\[0\]\.id"),
        ([{**IMAGE, "file_name": "v.jpg"}], [], r"images\[0\]\.file_name"),
        ([IMAGE, {**IMAGE, "file_name": "w/1.png"}], [], r"images\[1\]\.id"),
        ([IMAGE, {**IMAGE, "id": 8}], [], "'v/00001' is listed twice"),
        ([IMAGE], [{**BOX, "bbox": [1, 2, 3]}], r"annotations\[0\]\.bbox"),
        ([IMAGE], [{**BOX, "bbox": [1, 2, -3, 4]}], r"annotations\[0\]\.bbox"),
        ([IMAGE], [{**BOX, "image_id": 9}], r"annotations\[0\]\.image_id: 9"),
        ([IMAGE], [{**BOX, "category_id": 12}], r"annotations\[0\]\.category_id: 12"),
        ([IMAGE], [{**BOX, "iscrowd": 1}], r"annotations\[0\]\.iscrowd"),
    ],
)
def test_malformed_truth_is_named(tmp_path, images, annotations, field):
    path = tmp_path / "truth.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations}))
    with pytest.raises(InputError, match=rf"truth\.json: .*{field}"):
        Truth.load(path, SMALL)
