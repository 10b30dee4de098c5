"""Metrics files and tables."""

import json

import pytest

from a2d_tf.core.errors import InputError
from a2d_tf.core.files import write_file
from a2d_tf.evaluation.reports.tables import KINDS, over_time, table, write_metrics

METRICS = {
    "segmentation": {
        kind: {"ave": 10.0 * i + 0.11, "glo": 10.0 * i + 0.22, "miou": 10.0 * i + 0.33}
        for i, kind in enumerate(KINDS, 1)
    },
    "detection": {"joint": 3.0, "actor": 1.0, "action": 2.0},
}


def row(text, label, nth=0):
    return [line for line in text.splitlines() if line.startswith(label)][nth][22:].split()


def test_published_rows_and_ours():
    text = table(METRICS)
    assert row(text, "Ji et al., full") == "79.1 94.5 66.4 62.9 92.6 46.3 51.4 92.5 36.9".split()
    assert row(text, "Trilayer") == "45.7 74.6 - 47.0 74.6 - 25.4 76.2 -".split()
    assert row(text, "ours") == "10.1 10.2 10.3 20.1 20.2 20.3 30.1 30.2 30.3".split()
    assert "own test split" in text


def test_detection_rows():
    lines = table(METRICS, name="mini run").split("Table 2")[1].splitlines()
    assert lines[1].split() == list(KINDS)
    assert [line.split()[-3:] for line in lines[2:7]] == [
        ["67.2", "60.2", "49.2"],
        ["67.9", "59.6", "49.6"],
        ["68.3", "60.0", "48.9"],
        ["77.2", "62.4", "55.5"],
        ["1.0", "2.0", "3.0"],
    ]
    assert lines[6].startswith("mini run")


def test_absent_parts_are_dashes():
    text = table({"detection": METRICS["detection"]})
    assert row(text, "ours") == ["-"] * 9
    assert table({}).count(" -") == table(METRICS).count(" -") + 12


def test_zero_shot_figures_follow_where_there_are_any():
    assert "zero-shot" not in table(METRICS)
    figures = {"actor": "cat", "ap": 12.34, "chance": 5.0}
    lines = table({"zero_shot": figures}).split("Figure 4")[1].splitlines()
    assert "'cat'" in lines[0]
    assert lines[1].split() == ["AP", "chance", "full", "model", "r_zs"]
    assert lines[2].split() == ["ours", "12.3", "5.0", "-", "-"]
    figures.update(full_ap=24.68, ratio=0.5)
    assert "24.7         50.0" in table({"zero_shot": figures})
    assert "0.0            -" in table({"zero_shot": {**figures, "full_ap": 0, "ratio": None}})


def test_coco_figures_follow_where_there_are_any():
    box, mask = ({"ap": i + 0.1, "ap50": i + 0.2, "ap_small": i, "ap_large": None} for i in (1, 2))
    assert "COCO" not in table({**METRICS, "coco": {}})
    lines = table({"coco": {"box": box, "mask": mask}}).split("COCO's")[1].splitlines()
    assert lines[1].split() == "AP AP50 AP75 AP small AP medium AP large".split()
    assert lines[2].split() == "box 1.1 1.2 - 1.0 - -".split()
    assert lines[3].split() == "mask 2.1 2.2 - 2.0 - -".split()
    assert "\nmask" not in table({"coco": {"box": box}}).split("COCO's")[1]


def test_further_figures_follow_where_there_are_any():
    masks = dict(zip(("p50", "p60", "p70", "p80", "p90", "overall_iou", "mean_iou"), range(1, 8)))
    lines = table({"best_masks": masks}).split("best mask")[1].splitlines()
    assert lines[1].split()[:5] == ["P@0.5", "P@0.6", "P@0.7", "P@0.8", "P@0.9"]
    assert lines[2].split() == "ours 1.0 2.0 3.0 4.0 5.0 6.0 7.0".split()
    errors = {"actor": {"ece": 5.04}, "action": {"ece": None}}
    lines = table({"calibration": errors}, name="run").split("ECE")[1].splitlines()
    assert (lines[1].split(), lines[2].split()) == (["p(actor)", "p(action)"], ["run", "5.0", "-"])
    row = {"hota": 50.0, "tube_ap": None, "label_changes": 1.25}
    figures = {"videos": 2, "frames": 9, "any": {}, "actor": row, "action": row, "joint": row}
    lines = over_time(figures).splitlines()
    assert "2 videos with 9 frames" in lines[0] and len(lines) == 6
    assert lines[1].split()[0] == "HOTA" and lines[1].split()[-1] == "changes"
    assert lines[2].split() == ["any", *"-" * 13]
    assert lines[5].split() == ["joint", "50.0", *"-" * 11, "1.2"]
    assert "\n".join(lines[1:]) in table({"over_time": figures})


def test_metrics_file_is_sorted_json_and_replaced_whole(tmp_path):
    path = tmp_path / "new" / "metrics.json"
    write_metrics({"b": 1.0}, path)
    write_metrics(METRICS, path)
    assert json.loads(path.read_text()) == METRICS
    assert list(json.loads(path.read_text())["detection"]) == ["action", "actor", "joint"]
    assert [p.name for p in path.parent.iterdir()] == ["metrics.json"]


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "metrics.json"
    path.write_text("old")

    def fail(file):
        file.write(b"half")
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        write_file(path, fail)
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 1
    with pytest.raises(ValueError):
        write_metrics({"ave": float("nan")}, path)
    assert path.read_text() == "old"


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_metrics({}, tmp_path / "file" / "metrics.json")
