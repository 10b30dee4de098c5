"""a2d score as a program, from another folder and without an installed package."""

import json

import cv2
import numpy as np
import pytest
from processes import complaint, run_a2d, succeeded

from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.data.segmentations import encode_mask
from a2d_tf.evaluation.boxes import coco_json
from a2d_tf.evaluation.boxes.instance_tables import Truth
from a2d_tf.evaluation.boxes.scored_rois import ScoredRois
from a2d_tf.evaluation.frames import label_maps

OUT = "--output=out/metrics.json"
NAMES = ("-a-bcdefghi/00030", "--bcdefghij/00005")


def fails(folder, *words):
    return complaint(run_a2d("score", *words, cwd=folder))


def scored(folder, *words):
    """(the metrics, what is printed)"""
    said = succeeded(run_a2d("score", *words, OUT, cwd=folder))
    return json.loads((folder / "out/metrics.json").read_text()), said


def write_maps(folder, maps):
    for name, label_map in zip(NAMES, maps):
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), label_map)


FLAGS = ("segmentation", "--truth", "truth", "--predicted", "predicted")


def test_segmentation_of_codes_against_colours(tmp_path):
    truth = np.zeros((2, 4, 4), np.uint8)
    truth[0, :2] = 11
    predicted = truth.copy()
    predicted[1, 0] = 14  # no pair; four of the 24 background pixels
    write_maps(tmp_path / "truth", truth)
    write_maps(tmp_path / "predicted", A2D.palette[predicted][..., ::-1])
    # What copies made on a Mac have.
    (tmp_path / "truth" / NAMES[0]).with_name("._00001.png").write_bytes(b"Mac OS X")
    metrics, said = scored(tmp_path, *FLAGS)
    assert list(metrics) == ["segmentation"]
    assert metrics["segmentation"]["joint"] == pytest.approx(
        {
            "ave": 100 * (20 / 24 + 1) / 2,
            "glo": 100 * 28 / 32,
            "miou": 100 * (20 / 24 + 1) / 2,
        }
    )
    assert metrics["segmentation"]["actor"]["miou"] == pytest.approx(
        100 * (20 / 24 + 8 / 12) / 2
    )
    assert "segmentation, percent" in said and "87.5" in said


def write_detections(folder):
    """Write truth.json, detections.npz and results.json: two cats, one action right."""
    mask = np.zeros((20, 30), bool)
    mask[0:9, 0:9] = True
    rle = encode_mask(mask)
    box = [0, 0, 9, 9]
    Truth(
        NAMES, [0, 1], [box] * 2, [61, 63], sizes=[mask.shape] * 2, masks=[rle] * 2
    ).save(folder / "truth.json", A2D)
    scores = np.eye(7)[[5, 5]], np.eye(9)[[0, 3]]
    ScoredRois(NAMES, [0, 1], np.tile(np.array(box, float), (2, 7, 1)), *scores).save(
        folder / "detections.npz"
    )
    entries = [
        entry
        for frame, code in ((1, 61), (2, 64))
        for entry in coco_json.result_entries(frame, [box], [code], [1.0], masks=[rle])
    ]
    (folder / "results.json").write_text(json.dumps(entries))
    return ("detection", "--truth=truth.json")


def test_colours_of_16_bits_are_an_error(tmp_path):
    path = tmp_path / "00001.png"
    red = np.zeros((4, 4, 3), np.uint16)
    red[..., 2] = 65535
    assert cv2.imwrite(str(path), red)
    with pytest.raises(InputError, match="00001.png: 16 bits a colour; write 8"):
        label_maps.read_label_map(path, A2D)


def test_detections_are_scored_in_all_groups(tmp_path):
    words = (*write_detections(tmp_path), "--predicted=detections.npz")
    metrics, _ = scored(tmp_path, *words)
    assert set(metrics) == {
        "detection",
        "per_pair_ap",
        "per_actor_ap",
        "per_action_ap",
        "zero_shot_actor_ap",
    }
    assert metrics["detection"] == pytest.approx(
        {"actor": 100 / 7, "action": 150 / 8, "joint": 150 / 43}
    )
    assert metrics["per_pair_ap"]["61"] == pytest.approx(100)
    assert metrics["per_pair_ap"]["63"] == pytest.approx(50)  # found among scores of 0
    assert metrics["zero_shot_actor_ap"]["6"] == pytest.approx(150 / 7)


def test_zero_shot_figures_compare_with_a_model_of_all_actors(tmp_path):
    words = (*write_detections(tmp_path), "--predicted=detections.npz")
    words += ("--zero_shot_actor=cat", "--full=detections.npz", "--seed=3")
    metrics, _ = scored(tmp_path, *words)
    figures = metrics["zero_shot"]
    assert figures["actor"] == "cat" and figures["ratio"] == 1
    assert figures["ap"] == figures["full_ap"] == metrics["zero_shot_actor_ap"]["6"]
    assert 0 < figures["chance"] < figures["ap"]


def test_own_label_space_with_16_bit_codes(tmp_path):
    space = LabelSpace(tuple(f"x{i}" for i in range(30)), ("y", "z"), (11, 302))
    (tmp_path / "labels.json").write_text(space.to_json())
    maps = np.zeros((2, 3, 3), np.uint16)
    maps[1, 1] = 302
    write_maps(tmp_path / "truth", maps)
    write_maps(tmp_path / "predicted", maps)
    assert "code 302" in fails(tmp_path, *FLAGS, OUT)
    metrics, _ = scored(tmp_path, *FLAGS, "--labels=labels.json")
    assert metrics["segmentation"]["joint"] == {"ave": 100, "glo": 100, "miou": 100}


DETECTION = ("detection", "--truth=truth.json", "--predicted=detections.npz")


@pytest.mark.parametrize(
    "words, said",
    [
        (
            ("segment", *FLAGS[1:]),
            "expected one argument: segmentation, detection, objects or bouts",
        ),
        ((*FLAGS, "--zero_shot_actor=cat"), "--zero_shot_actor"),
        (FLAGS, "truth contains no label maps"),
        ((*DETECTION, "--zero_shot_actor=cow"), "'cow' is not one of adult"),
        ((*DETECTION, "--full=full.npz"), "--full with it"),
        (
            (*DETECTION, "--predicted=results.json", "--zero_shot_actor=cat"),
            "--full with it",
        ),
    ],
)
def test_wrong_command_lines(tmp_path, words, said):
    write_detections(tmp_path)
    assert said in fails(tmp_path, *words, OUT)
    assert not (tmp_path / "out").exists()


def test_unusable_folders_name_the_file(tmp_path):
    maps = np.zeros((2, 4, 4), np.uint8)
    write_maps(tmp_path / "truth", maps)
    write_maps(tmp_path / "predicted", maps[:1])
    assert "predicted/--bcdefghij/00005.png" in fails(tmp_path, *FLAGS, OUT)
    write_maps(tmp_path / "predicted", maps)
    assert "truth shows an object" in fails(tmp_path, *FLAGS, OUT)
    write_maps(tmp_path / "predicted", maps[:, :3])
    message = fails(tmp_path, *FLAGS, OUT)
    assert (
        "--bcdefghij/00005.png" in message
        and "truth is 4x4, prediction is 3x4" in message
    )
    assert not (tmp_path / "out").exists()
