"""tools/score.py as a program, from another folder and without an installed package."""

import json
import pathlib
import subprocess
import sys

import cv2
import numpy as np
import pytest

from a2d_tf.evaluation.detection import Detections, Truth
from a2d_tf.labels import A2D, LabelSpace

SCRIPT = pathlib.Path(__file__).resolve().parent.parent / "tools" / "score.py"
NAMES = ("-a-bcdefghi/00030", "--bcdefghij/00005")


def run(folder, *args):
    return subprocess.run(
        [sys.executable, str(SCRIPT), *args],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def fails(folder, *args):
    """The one line of a failed run."""
    result = run(folder, *args)
    assert result.returncode == 1, result.stdout + result.stderr
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1, result.stderr
    return result.stderr


def write_maps(folder, maps):
    for name, label_map in zip(NAMES, maps):
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), label_map)


FLAGS = ("--truth", "truth", "--predicted", "predicted", "--output", "out/metrics.json")


def test_segmentation_of_codes_against_colours(tmp_path):
    truth = np.zeros((2, 4, 4), np.uint8)
    truth[0, :2] = 11
    predicted = truth.copy()
    predicted[1, 0] = 14  # no pair; four of the 24 background pixels
    write_maps(tmp_path / "truth", truth)
    write_maps(tmp_path / "predicted", A2D.palette[predicted][..., ::-1])
    result = run(tmp_path, "segmentation", *FLAGS)
    assert result.returncode == 0, result.stderr
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert list(metrics) == ["segmentation"]
    assert metrics["segmentation"]["joint"] == pytest.approx({
        "ave": 100 * (20 / 24 + 1) / 2, "glo": 100 * 28 / 32, "miou": 100 * (20 / 24 + 1) / 2,
    })  # fmt: skip
    assert metrics["segmentation"]["actor"]["miou"] == pytest.approx(100 * (20 / 24 + 8 / 12) / 2)
    assert "Table 1" in result.stdout and "87.5" in result.stdout


def test_detection_with_the_metrics_of_the_contract(tmp_path):
    Truth(NAMES, [0, 1], [[0, 0, 9, 9]] * 2, [11, 39]).save(tmp_path / "truth", A2D)
    scores = np.eye(7)[[0]], np.eye(9)[[0]]
    Detections(NAMES[:1], [0], np.tile([0.0, 0, 9, 9], (1, 7, 1)), *scores).save(
        tmp_path / "predicted"
    )
    result = run(tmp_path, "detection", *FLAGS)
    assert result.returncode == 0, result.stderr
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert set(metrics) == {
        "detection", "per_pair_ap", "per_actor_ap", "per_action_ap", "zero_shot_actor_ap",
    }  # fmt: skip
    assert metrics["detection"] == pytest.approx({
        "actor": 100 / 7, "action": 100 / 8, "joint": 100 / 43,
    })  # fmt: skip
    assert metrics["per_pair_ap"]["11"] == pytest.approx(100)
    assert metrics["zero_shot_actor_ap"]["1"] == pytest.approx(100 / 8)
    assert metrics["zero_shot_actor_ap"]["3"] == 0 and len(metrics["zero_shot_actor_ap"]) == 7
    assert "Table 2" in result.stdout


def test_own_label_space_with_16_bit_codes(tmp_path):
    space = LabelSpace(tuple(f"x{i}" for i in range(30)), ("y", "z"), (11, 302))
    (tmp_path / "labels.json").write_text(space.to_json())
    maps = np.zeros((2, 3, 3), np.uint16)
    maps[1, 1] = 302
    write_maps(tmp_path / "truth", maps)
    write_maps(tmp_path / "predicted", maps)
    assert "code 302" in fails(tmp_path, "segmentation", *FLAGS)
    result = run(tmp_path, "segmentation", *FLAGS, "--labels=labels.json")
    assert result.returncode == 0, result.stderr
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["segmentation"]["joint"] == {"ave": 100, "glo": 100, "miou": 100}


def test_wrong_command_lines(tmp_path):
    assert "first word" in fails(tmp_path)
    assert "first word" in fails(tmp_path, "segment", *FLAGS)
    assert "first word" in fails(tmp_path, "detection", "segmentation", *FLAGS)
    assert "--truth is missing" in fails(tmp_path, "segmentation", *FLAGS[2:])
    assert "--output is missing" in fails(tmp_path, "detection", *FLAGS[:4])
    assert "truth is not a folder" in fails(tmp_path, "segmentation", *FLAGS)
    assert "not readable COCO JSON" in fails(tmp_path, "detection", *FLAGS)


def test_unusable_folders_name_the_file(tmp_path):
    maps = np.zeros((2, 4, 4), np.uint8)
    (tmp_path / "truth").mkdir()
    (tmp_path / "predicted").mkdir()
    assert "holds no label maps" in fails(tmp_path, "segmentation", *FLAGS)
    write_maps(tmp_path / "truth", maps)
    write_maps(tmp_path / "predicted", maps[:1])
    message = fails(tmp_path, "segmentation", *FLAGS)
    assert "predicted/--bcdefghij/00005.png" in message and "1 of the 2" in message
    write_maps(tmp_path / "predicted", maps[:, :3])
    message = fails(tmp_path, "segmentation", *FLAGS)
    assert "--bcdefghij/00005.png" in message and "truth is 4x4, prediction is 3x4" in message
    assert not (tmp_path / "out").exists()
