"""Running a network over a split: native pixels, files that score.py repeats, the threshold."""

import dataclasses
import itertools
import json
import types

import cv2
import numpy as np
import pytest
import tensorflow as tf
from processes import run_tool
from pycocotools import mask as rle_tools

from a2d_tf.core.errors import InputError
from a2d_tf.data import records
from a2d_tf.evaluation import box_data
from a2d_tf.evaluation import evaluator as evaluators
from a2d_tf.evaluation.frames import Collected
from a2d_tf.evaluation.metrics import segmentation


@pytest.fixture(scope="module")
def evaluator(loaded_run, mini_records):
    return evaluators.Evaluator(loaded_run.network, loaded_run.config, mini_records)


@pytest.fixture(scope="module")
def frames(evaluator):
    """The frames of the test split."""
    return [clip() for clip in evaluator.clips("test")]


@pytest.fixture(scope="module")
def evaluated(evaluator, tmp_path_factory):
    output = tmp_path_factory.mktemp("evaluation") / "test"
    return evaluator.evaluate("test", 0.3, str(output)), output


def test_a_device_takes_so_many_clips_at_once(evaluator, monkeypatch):
    seen, run = [], evaluator.run
    monkeypatch.setattr("a2d_tf.core.config.EVALUATION_BATCH", 1)
    monkeypatch.setattr(evaluator, "run", lambda x: seen.append(len(x["rgb"])) or run(x))
    assert evaluator.config.learning.batch_size > 1
    next(evaluator.clips("test"))
    assert seen == [1]


def test_frames_come_in_the_records_order_and_native_pixels(frames, mini_records):
    assert len(frames) == mini_records.counts["test"]["records"]
    assert len({frame.name for frame in frames}) == len(frames)
    for frame in frames:
        height, width = frame.truth.native_size
        assert frame.rgb.shape == (*frame.truth.size, 3)
        assert frame.table["boxes"].dtype == np.float32
        assert (frame.table["boxes"].max(axis=(0, 1)) <= [height, width, height, width]).all()
    # The native frame is five times as large as the stored one, and so are the boxes.
    assert max(frame.table["boxes"][..., 2].max() for frame in frames) > 200


def flat(values):
    """The figures of nested dictionaries and lists, by their paths."""
    inner = dict(enumerate(values)) if isinstance(values, list) else values
    if not isinstance(inner, dict):
        return {(): values}
    return {
        (name, *path): figure
        for name, value in inner.items()
        for path, figure in flat(value).items()
    }


def test_score_py_repeats_the_figures(evaluated, tmp_path):
    metrics, output = evaluated
    assert json.loads((output / "metrics.json").read_text()) == metrics
    assert "over_time" not in metrics  # the records of a release have no identities
    for command, truth, predicted in (
        ("segmentation", "label_truth", "label_maps"),
        ("detection", "truth.json", "detections.npz"),
        ("detection", "truth.json", "instances.json"),
    ):
        target = tmp_path / f"{command}.json"
        done = run_tool(
            "score",
            command,
            f"--truth={output / truth}",
            f"--predicted={output / predicted}",
            f"--output={target}",
        )
        assert done.returncode == 0, done.stderr
        scored = json.loads(target.read_text())
        if predicted == "instances.json":  # fewer than all RoIs, which the other figures are of
            assert set(scored["coco"]) == {"box", "mask"}
            scored = {name: scored[name] for name in ("coco",)}
        for name, value in scored.items():
            assert flat(value) == pytest.approx(flat(metrics[name]), abs=1e-4), name


def test_instances_are_what_is_painted(evaluated, evaluator, frames):
    _, output = evaluated
    truth = box_data.Truth.load(output / "truth.json", evaluator.labels, with_masks=True)
    results = box_data.Results.load(output / "instances.json", truth, evaluator.labels)
    assert len(results.codes) == sum(len(frame.instances["code"]) for frame in frames) > 0
    for i, frame in enumerate(frames):
        own = np.flatnonzero(results.box_frame == i)
        best = own[np.argsort(results.scores[own], kind="stable")]
        painted = np.zeros(frame.truth.native_size, np.uint8)
        for index in best:  # the best one last, on top
            painted[rle_tools.decode(results.masks[index]) > 0] = results.codes[index]
        np.testing.assert_array_equal(painted, evaluator.label_map(frame, evaluators.FLOOR))
        boxes = frame.instances["boxes"][:, [1, 0, 3, 2]]
        np.testing.assert_allclose(results.boxes[own], boxes, atol=0.02)
        for folder, expected in (
            ("label_maps", evaluator.label_map(frame, 0.3)),
            ("label_truth", frame.truth.label_map),
        ):
            path = str(output / folder / f"{frame.name}.png")
            np.testing.assert_array_equal(cv2.imread(path, cv2.IMREAD_UNCHANGED), expected)
        # The truth has masks, too.
        assert (truth.frames[i], truth.sizes[i]) == (frame.name, frame.truth.native_size)
        masks = [truth.masks[index] for index in np.flatnonzero(truth.box_frame == i)]
        np.testing.assert_array_equal(rle_tools.decode(masks), rle_tools.decode(frame.truth.rles))


def test_records_of_every_frame_are_scored_over_time(evaluator, frames, monkeypatch, tmp_path):
    numbers, read = itertools.count(1), records.read_truth

    def followed(serialized):
        """The truth as that of one video, each instance with an identity."""
        truth = read(serialized)
        tracks = np.arange(len(truth.codes))
        return dataclasses.replace(truth, video="v", frame=next(numbers), tracks=tracks)

    monkeypatch.setattr(records, "read_truth", followed)
    found = evaluator.evaluate("test", 0.0, str(tmp_path / "test"))["over_time"]
    assert (found["videos"], found["frames"]) == (1, len(frames))
    # With a threshold that nothing reaches.
    nothing = evaluator.evaluate("test", 1.1, str(tmp_path / "test"))["over_time"]
    assert nothing["any"]["hota"] == nothing["any"]["tube_ap"] == 0


def test_a_zero_shot_run_has_its_figures(evaluated, evaluator, monkeypatch, tmp_path):
    metrics, _ = evaluated
    assert "zero_shot" not in metrics
    learning = dataclasses.replace(evaluator.config.learning, zero_shot_actor="ball")
    config = dataclasses.replace(evaluator.config, learning=learning)
    monkeypatch.setattr(evaluator, "config", config)
    ours = evaluator.evaluate("test", 0.3, str(tmp_path / "test"))
    figures = ours.pop("zero_shot")
    assert ours == metrics
    assert figures["actor"] == "ball" and 0 <= figures["chance"] <= 100
    assert figures["ap"] == metrics["zero_shot_actor_ap"]["3"]


@pytest.mark.parametrize(
    "mode, joint",
    [
        ("decoupled", ()),
        ("hierarchical", ("joint_scores",)),
        ("cartesian", ("joint_scores", "joint_boxes")),
    ],
)
def test_detections_carry_joint_arrays_where_labels_are_joint(mode, joint):
    boxes = np.array([1.0, 2, 3, 4])  # y1, x1, y2, x2
    tables = [
        {
            "boxes": np.tile(boxes, (rois, 7, 1)),
            "actor_scores": np.full((rois, 7), 0.1),
            "action_scores": np.full((rois, 9), 0.2),
            "joint_scores": np.full((rois, 7, 9), 0.3),
            "joint_boxes": np.tile(boxes, (rois, 7, 9, 1)),
        }
        for rois in (2, 0, 1)
    ]
    collected = Collected(mode)
    collected.tables = tables
    collected.truths = [types.SimpleNamespace(name=name) for name in ("v/1", "v/2", "w/1")]
    found = collected.detections()
    assert found.roi_frame.tolist() == [0, 0, 2]
    assert found.boxes[2, 6].tolist() == [2, 1, 4, 3]
    assert [
        name for name in ("joint_scores", "joint_boxes") if getattr(found, name) is not None
    ] == list(joint)
    if mode == "cartesian":
        assert found.joint_boxes[2, 6, 8].tolist() == [2, 1, 4, 3]


def test_validation_scores_as_evaluation_does_at_the_best_threshold(evaluator, evaluated, frames):
    metrics, _ = evaluated
    found, scores = evaluator.validate("test", 1), {}
    for name in ("detection", "per_pair_ap", "per_actor_ap", "per_action_ap"):
        assert found.metrics[name] == metrics[name]
    assert found.confusion.metrics() == found.metrics["segmentation"]
    for candidate in evaluators.THRESHOLDS:
        confusion = segmentation.Confusion(evaluator.labels)
        for frame in frames:
            confusion.update(frame.truth.label_map, evaluator.label_map(frame, candidate))
        scores[candidate] = confusion.metrics()["joint"]["miou"]
    best = found.metrics["segmentation"]["joint"]["miou"]
    assert scores[found.threshold] == max(scores.values()) == best


def test_pictures_are_three_native_frames_wide(evaluator):
    images = evaluator.pictures("test", 0.3, 2)
    assert len(images) == 2
    for image in images.values():
        assert image.shape == (320, 3 * 400, 3) and image.dtype == np.uint8
    found = evaluator.validate("test", 2)
    assert found.pictures.keys() == images.keys()
    again = evaluator.pictures("test", found.threshold, 2)
    for tag, image in found.pictures.items():
        np.testing.assert_array_equal(image, again[tag])


def test_only_scores_make_way_for_scores_and_an_empty_split_has_none(
    evaluator, tmp_path, monkeypatch
):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.json").touch()  # a packed model has one too
    with pytest.raises(InputError, match="run: is there already"):
        evaluator.evaluate("test", 0.3, str(tmp_path / "run"))
    for _ in range(2):
        evaluator.evaluate("test", 0.3, f"{tmp_path / 'scores'}/")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "scores"]
    before = (tmp_path / "scores" / "metrics.json").stat()
    monkeypatch.setattr(evaluator, "clips", lambda *_: iter(()))
    with pytest.raises(InputError, match="no record in split 'val'"):
        evaluator.evaluate("val", 0.3, str(tmp_path / "scores"))
    assert (tmp_path / "scores" / "metrics.json").stat() == before
    assert evaluator.validate() is None


def test_validation_measures_in_the_pass_that_scores(evaluator, monkeypatch):
    monkeypatch.setattr("a2d_tf.core.config.EVALUATION_BATCH", 4)
    seen = []

    def measure(batch, features):
        seen.append(sorted(features))
        return {"clips": tf.shape(batch["boxes"])[0], "level": tf.reduce_mean(features["actor"][0])}

    parts = evaluator.network, evaluator.config, evaluator.manifest
    measuring = evaluators.Evaluator(*parts, measure)
    found, plain = measuring.validate("test"), evaluator.validate("test")
    assert found.metrics == plain.metrics and not plain.losses
    # Six clips in batches of the evaluation's size, each batch weighing alike.
    size = evaluator.config.learning.evaluation_batch
    batches = [min(size, 6 - first) for first in range(0, 6, size)]
    assert found.losses["clips"] == np.mean(batches) and np.isfinite(found.losses["level"])
    # Traced once, for batches of every size.
    assert len(set(batches)) > 1 and seen == [["action", "actor", "rpn_deltas", "rpn_logits"]]


@pytest.mark.parametrize("paint", ["instance", "pixel"])
def test_label_maps_of_all_thresholds_are_those_of_each(evaluator, frames, monkeypatch, paint):
    inference = dataclasses.replace(evaluator.config.inference, paint=paint)
    config = dataclasses.replace(evaluator.config, inference=inference)
    monkeypatch.setattr(evaluator, "config", config)
    numbers = set()
    for frame in frames[:3]:
        maps = {t: x.copy() for thresholds, x in evaluator.label_maps(frame) for t in thresholds}
        assert sorted(maps) == list(evaluators.THRESHOLDS)
        for threshold, label_map in maps.items():
            numbers.add(np.count_nonzero(frame.instances["class_score"] >= threshold))
            expected = evaluator.label_map(frame, threshold)
            assert label_map.dtype == expected.dtype
            np.testing.assert_array_equal(label_map, expected)
    assert len(numbers) > 3


def test_frames_are_scored_in_order(evaluator, frames):
    scored = list(evaluator.scored((lambda frame=frame: frame) for frame in frames))
    assert [frame for frame, _ in scored] == frames
    for frame, pairs in scored:
        assert list(pairs) == sorted(evaluators.THRESHOLDS, reverse=True)
        expected = segmentation.pairs(frame.truth.label_map, evaluator.label_map(frame, 0.3))
        for found, array in zip(pairs[0.3], expected):
            np.testing.assert_array_equal(found, array)


def test_what_fails_in_a_thread_is_raised(evaluator, monkeypatch, tmp_path):
    def fail(*_):
        raise InputError("no paint")

    monkeypatch.setattr(evaluator, "label_maps", fail)
    for score in (evaluator.validate, lambda s: evaluator.evaluate(s, 0.3, str(tmp_path / s))):
        with pytest.raises(InputError, match="no paint"):
            score("test")
