"""Running a network over a split: native pixels, files that score.py repeats, the threshold."""

import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

from a2d_tf.errors import InputError
from a2d_tf.evaluation import runner


@pytest.fixture(scope="module")
def evaluator(loaded_run, mini_records):
    return runner.Evaluator(loaded_run.network, loaded_run.config, mini_records)


@pytest.fixture(scope="module")
def evaluated(evaluator, tmp_path_factory):
    output = tmp_path_factory.mktemp("evaluation") / "test"
    return evaluator.evaluate("test", 0.3, str(output)), output


def test_frames_come_in_the_records_order_and_native_pixels(evaluator, mini_records):
    frames = list(evaluator.frames("test"))
    assert len(frames) == mini_records.counts["test"]["records"]
    names = [(frame.truth.video, frame.truth.frame) for frame in frames]
    assert len(set(names)) == len(names)
    for frame in frames:
        height, width = frame.truth.native_size
        assert frame.rgb.shape == (*frame.truth.size, 3)
        assert frame.table["boxes"].dtype == np.float32
        assert (frame.table["boxes"].max(axis=(0, 1)) <= [height, width, height, width]).all()
    # The native frame is five times as large as the stored one, and so are the boxes.
    assert max(frame.table["boxes"][..., 2].max() for frame in frames) > 200


def flat(values):
    """A nested dictionary of figures, one level deep."""
    return {
        (name, inner): figure
        for name, value in values.items()
        for inner, figure in (value.items() if isinstance(value, dict) else [("", value)])
    }


def test_score_py_repeats_the_figures(evaluated, tmp_path):
    metrics, output = evaluated
    assert json.loads((output / "metrics.json").read_text()) == metrics
    tool = os.path.join(os.path.dirname(__file__), "..", "tools", "score.py")
    for command, truth, predicted in (
        ("segmentation", "label_truth", "label_maps"),
        ("detection", "truth.json", "detections.npz"),
    ):
        target = tmp_path / f"{command}.json"
        subprocess.run(
            [sys.executable, tool, command, f"--truth={output / truth}",
             f"--predicted={output / predicted}", f"--output={target}"],
            check=True, capture_output=True,
        )  # fmt: skip
        for name, value in json.loads(target.read_text()).items():
            assert flat(value) == pytest.approx(flat(metrics[name]), abs=1e-4), name


def test_label_maps_are_codes_at_native_size(evaluated, evaluator):
    _, output = evaluated
    for frame in evaluator.frames("test"):
        name = f"{frame.truth.video}/{frame.truth.frame:05d}.png"
        truth = cv2.imread(str(output / "label_truth" / name), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(truth, frame.truth.label_map)
        painted = cv2.imread(str(output / "label_maps" / name), cv2.IMREAD_UNCHANGED)
        assert painted.shape == frame.truth.native_size and painted.dtype == np.uint8
        np.testing.assert_array_equal(painted, evaluator.label_map(frame, 0.3))


def test_a_higher_threshold_paints_no_more(evaluator):
    frame = next(evaluator.frames("test"))
    painted = [np.count_nonzero(evaluator.label_map(frame, t)) for t in (0.0, 0.3, 0.9, 1.0)]
    assert painted == sorted(painted, reverse=True) and painted[0] > painted[-1] == 0


def test_threshold_is_the_best_of_the_grid(evaluator):
    threshold, metrics = evaluator.choose_threshold("test")
    scores = {}
    for candidate in runner.THRESHOLDS:
        confusion = runner.segmentation.Confusion(evaluator.labels)
        for frame in evaluator.frames("test"):
            confusion.update(frame.truth.label_map, evaluator.label_map(frame, candidate))
        scores[candidate] = confusion.metrics()["joint"]["miou"]
    assert scores[threshold] == max(scores.values()) == metrics["segmentation"]["joint"]["miou"]


def test_pictures_are_three_native_frames_wide(evaluator):
    images = evaluator.pictures("test", 0.3, 2)
    assert len(images) == 2
    for image in images.values():
        assert image.shape == (1, 320, 3 * 400, 3) and image.dtype == np.uint8


def test_an_empty_split_is_one_clear_error(evaluator, monkeypatch, tmp_path):
    monkeypatch.setattr(evaluator, "frames", lambda split: iter(()))
    with pytest.raises(InputError, match="no record in split 'val'"):
        evaluator.evaluate("val", 0.3, str(tmp_path / "val"))
    assert evaluator.choose_threshold() == (None, {})
