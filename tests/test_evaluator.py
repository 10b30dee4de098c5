"""Running a network over a split: native pixels, repeatable files, the threshold."""

import contextlib
import dataclasses
import itertools
import json
import os
import types

import cv2
import numpy as np
import pytest
from processes import run_a2d, succeeded
from pycocotools import mask as rle_tools

import a2d_tf
from a2d_tf.core import folders
from a2d_tf.core.errors import InputError
from a2d_tf.data import clip_records
from a2d_tf.evaluation import evaluator as evaluators
from a2d_tf.evaluation.boxes import instance_tables
from a2d_tf.evaluation.frames import painted_maps
from a2d_tf.evaluation.frames.collected_frames import Collected
from a2d_tf.evaluation.metrics import segmentation
from a2d_tf.model import label_modes
from a2d_tf.runs import chosen_threshold


@pytest.fixture(scope="module")
def frames(evaluator):
    """The frames of the test split."""
    return [make_frame() for make_frame in evaluator.network_frames.makers("test")]


def test_frames_come_in_the_records_order_and_native_pixels(frames, mini_records):
    assert len(frames) == mini_records.counts["test"]["records"]
    assert len({frame.truth.name for frame in frames}) == len(frames)
    for frame in frames:
        height, width = frame.truth.native_size
        assert frame.rgb.shape == (*frame.truth.size, 3)
        assert frame.table.boxes.dtype == np.float32
        assert (
            frame.table.boxes.max(axis=(0, 1)) <= [height, width, height, width]
        ).all()
    # The native frame is five times as large as the stored one, and so are the boxes.
    assert max(frame.table.boxes[..., 2].max() for frame in frames) > 200


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
        paths = f"--truth={output / truth}", f"--predicted={output / predicted}"
        succeeded(
            run_a2d("score", command, *paths, f"--output={tmp_path / 'scores.json'}")
        )
        scored = json.loads((tmp_path / "scores.json").read_text())
        # fewer than all RoIs, which the other figures are of
        if predicted == "instances.json":
            assert set(scored["coco"]) == {"box", "mask"}
            scored = {"coco": scored["coco"]}
        for name, value in scored.items():
            assert flat(value) == pytest.approx(flat(metrics[name]), abs=1e-4), name


def test_networks_compare_at_the_default_threshold(evaluated, evaluator, frames):
    metrics, _ = evaluated
    truths = []
    predictions = []
    for frame in frames:
        painted = painted_maps.label_map(frame, 0.7, evaluator.labels)
        truths.append(frame.truth.label_map.ravel())
        predictions.append(painted.ravel())
    truth = np.concatenate(truths)
    prediction = np.concatenate(predictions)
    ious = []
    for code in np.unique(truth):
        union = (truth == code) | (prediction == code)
        ious.append(((truth == code) & (prediction == code)).sum() / union.sum())
    assert metrics["score_threshold"] == 0.3
    assert metrics["joint_miou_at_default"] == pytest.approx(100 * np.mean(ious))


def test_instances_are_what_is_painted(evaluated, evaluator, frames):
    _, output = evaluated
    truth = instance_tables.Truth.load(output / "truth.json", evaluator.labels)
    results = instance_tables.Results.load(
        output / "instances.json", truth, evaluator.labels
    )
    assert len(results.codes) == sum(len(frame.instances.code) for frame in frames) > 0
    for i, frame in enumerate(frames):
        own = np.flatnonzero(results.box_frame == i)
        best = own[np.argsort(results.scores[own], kind="stable")]
        painted = np.zeros(frame.truth.native_size, np.uint8)
        for index in best:  # the best one last, on top
            painted[rle_tools.decode(results.masks[index]) > 0] = results.codes[index]
        np.testing.assert_array_equal(
            painted, painted_maps.label_map(frame, evaluators.FLOOR, evaluator.labels)
        )
        np.testing.assert_allclose(results.boxes[own], frame.instances.boxes, atol=0.02)
        for folder, expected in (
            ("label_maps", painted_maps.label_map(frame, 0.3, evaluator.labels)),
            ("label_truth", frame.truth.label_map),
        ):
            path = str(output / folder / f"{frame.truth.name}.png")
            np.testing.assert_array_equal(
                cv2.imread(path, cv2.IMREAD_UNCHANGED), expected
            )
        # The truth has masks, too.
        assert (truth.frames[i], truth.sizes[i]) == (
            frame.truth.name,
            frame.truth.native_size,
        )
        masks = [truth.masks[index] for index in np.flatnonzero(truth.box_frame == i)]
        np.testing.assert_array_equal(
            rle_tools.decode(masks), rle_tools.decode(frame.truth.rles)
        )


def test_whole_videos_are_scored_over_time_and_a_zero_shot_run_has_its_figures(
    evaluator, evaluated, frames, monkeypatch, tmp_path
):
    metrics, _ = evaluated
    numbers, read = itertools.count(1), clip_records.read_truth

    def followed(serialized):
        """The truth as that of one video, each instance with an identity."""
        truth = read(serialized)
        tracks = np.arange(len(truth.codes))
        return dataclasses.replace(truth, video="v", frame=next(numbers), tracks=tracks)

    training = dataclasses.replace(evaluator.config.training, zero_shot_actor="ball")
    config = dataclasses.replace(evaluator.config, training=training)
    monkeypatch.setattr(evaluator, "config", config)
    monkeypatch.setattr(clip_records, "read_truth", followed)
    for threshold in (0.0, 1.1):  # nothing reaches the latter
        ours = evaluator.evaluate("test", threshold, str(tmp_path / "test"))
        over_time, zero_shot = ours["over_time"], ours["zero_shot"]
        assert (over_time["videos"], over_time["frames"]) == (1, len(frames))
        assert zero_shot["actor"] == "ball" and 0 <= zero_shot["chance"] <= 100
        assert zero_shot["ap"] == metrics["zero_shot_actor_ap"]["3"]
        assert ours["detection"] == metrics["detection"] and "zero_shot" not in metrics
    assert over_time["any"]["hota"] == 0


@pytest.mark.parametrize(
    "mode, joint",
    [
        (label_modes.Decoupled, ()),
        (label_modes.Hierarchical, ("joint_scores",)),
        (label_modes.Cartesian, ("joint_scores", "joint_boxes")),
    ],
)
def test_detections_carry_joint_arrays_where_labels_are_joint(mode, joint, tmp_path):
    boxes = np.array([1.0, 2, 3, 4])  # y1, x1, y2, x2
    collected = Collected(mode.columns)
    for rois in (2, 0, 1):
        table = {
            "boxes": np.tile(boxes, (rois, 7, 1)),
            "actor_scores": np.full((rois, 7), 0.1),
            "action_scores": np.full((rois, 9), 0.2),
            "joint_scores": np.full((rois, 7, 9), 0.3),
            "joint_boxes": np.tile(boxes, (rois, 7, 9, 1)),
        }
        collected.tables.append(table)
    collected.truths = [
        types.SimpleNamespace(name=name) for name in ("v/1", "v/2", "w/1")
    ]
    found = collected.rois()
    assert found.roi_frame.tolist() == [0, 0, 2]
    assert found.boxes[2, 6].tolist() == [1, 2, 3, 4]
    names = ("joint_scores", "joint_boxes")
    assert [name for name in names if getattr(found, name) is not None] == list(joint)
    found.save(tmp_path / "detections.npz")
    with np.load(tmp_path / "detections.npz") as stored:  # x1, y1, x2, y2
        assert stored["boxes"][2, 6].tolist() == [2, 1, 4, 3]
        assert sorted(name for name in stored if name.startswith("joint")) == sorted(
            joint
        )


def test_validation_scores_as_evaluation_does_at_the_chosen_threshold(
    evaluator, validated, evaluated, frames
):
    metrics, _ = evaluated
    scores = {}
    for name in ("detection", "per_pair_ap", "per_actor_ap", "per_action_ap"):
        assert validated.metrics[name] == metrics[name]
    for candidate in evaluators.THRESHOLDS:
        confusion = segmentation.Confusion(evaluator.labels)
        for frame in frames:
            confusion.update(
                frame.truth.label_map,
                painted_maps.label_map(frame, candidate, evaluator.labels),
            )
        scores[candidate] = confusion.metrics()["joint"]["miou"]
    assert validated.figures == scores
    assert validated.threshold == chosen_threshold.choose(scores)
    joint = validated.metrics["segmentation"]["joint"]
    assert scores[validated.threshold] == joint["miou"] == validated.score
    assert len(validated.pictures) == 2
    for image in validated.pictures.values():  # three native frames wide
        assert image.shape == (320, 3 * 400, 3) and image.dtype == np.uint8


def test_only_scores_make_way_for_scores_and_an_empty_split_has_none(
    evaluator, tmp_path, monkeypatch
):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.json").touch()  # a packed model has one too
    with pytest.raises(
        InputError, match="run: already exists and is not a folder of scores"
    ):
        evaluator.evaluate("test", 0.3, str(tmp_path / "run"))
    (tmp_path / "run" / "truth.json").touch()
    evaluator.evaluate("test", 0.3, f"{tmp_path / 'run'}/")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    before = (tmp_path / "run" / "metrics.json").stat()
    assert before.st_size
    monkeypatch.setattr(evaluator.network_frames, "makers", lambda *_: iter(()))
    with pytest.raises(InputError, match="no records in split 'val'"):
        evaluator.evaluate("val", 0.3, str(tmp_path / "run"))
    assert (tmp_path / "run" / "metrics.json").stat() == before
    assert evaluator.validate() is None


def test_scores_do_not_depend_on_the_batches(evaluator, validated, monkeypatch):
    """Six clips are a batch of four and one of two: the network is traced only once."""
    monkeypatch.setattr("a2d_tf.core.settings.config.EVALUATION_BATCH", 4)
    monkeypatch.setattr(evaluator.network_frames, "_batches", {})
    traced = evaluator.network_frames._graph.experimental_get_tracing_count()
    assert evaluator.validate("test").metrics == validated.metrics
    assert (
        evaluator.network_frames._graph.experimental_get_tracing_count() == traced > 0
    )


def test_frames_are_scored_in_order_with_the_label_map_of_each_threshold(
    evaluator, frames
):
    scored = list(evaluator.scored((lambda frame=frame: frame) for frame in frames[:3]))
    assert scored == frames[:3]
    numbers = set()
    for frame in scored:
        assert list(frame.pixel_counts) == sorted(evaluators.THRESHOLDS, reverse=True)
        for threshold, found in frame.pixel_counts.items():
            numbers.add(np.count_nonzero(frame.instances.class_scores >= threshold))
            label_map = painted_maps.label_map(frame, threshold, evaluator.labels)
            assert label_map.dtype == np.uint8
            expected = segmentation.count_pixels(frame.truth.label_map, label_map)
            for array, other in zip(found, expected):
                np.testing.assert_array_equal(array, other)
    assert len(numbers) > 3


def test_scores_of_training_videos_are_marked(
    evaluator, loaded_run, mini_records, monkeypatch, tmp_path, caplog
):
    monkeypatch.setattr("a2d_tf.evaluation.evaluator.Evaluator", lambda *_: evaluator)
    known, *_ = videos = sorted(mini_records.videos("test"))
    assert len(videos) == 2 and not mini_records.videos("train") & {*videos}
    run = dataclasses.replace(loaded_run, trained_on=frozenset([known, "another"]))
    published = []

    @contextlib.contextmanager
    def whole_folder(folder):
        with folders.whole_folder(folder) as partial:
            yield partial
            published.extend(os.listdir(partial))

    monkeypatch.setattr(evaluators, "whole_folder", whole_folder)
    scores = a2d_tf.metrics.evaluate(
        run, mini_records, "test", output=str(tmp_path / "scores")
    )
    assert scores["trained_on"] == [known] and known in caplog.text
    # What they were computed from is published with them.
    assert {"metrics.json", "origin.json"} <= set(published)
    origin = json.loads((tmp_path / "scores" / "origin.json").read_text())
    assert (
        origin["records"] == mini_records.source
        and origin["settings"]["score_threshold"] == 0.3
    )
    assert len(origin["weights"]) == 64
