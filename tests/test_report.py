"""The printed tables."""

from a2d_tf.evaluation.metrics import KINDS, table

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


def test_absent_figures_are_dashes_and_absent_parts_are_left_out():
    text = table({"detection": {"joint": 3.0}})
    assert row(text, "ours") == ["-", "-", "3.0"] and "Table 1" not in text
    assert table({}) == ""


def test_what_the_paper_does_not_have_follows_where_there_is_any():
    assert "zero-shot" not in table(METRICS) and "COCO" not in table({**METRICS, "coco": {}})
    figures = {"actor": "cat", "ap": 12.34, "chance": 5.0}
    title, heads, ours = table({"zero_shot": figures}).splitlines()
    assert "Figure 4" in title and "'cat'" in title
    assert heads.split() == ["AP", "chance", "full", "model", "r_zs"]
    assert ours.split() == ["ours", "12.3", "5.0", "-", "-"]
    for full, ratio, shown in ((24.68, 0.5, ["24.7", "50.0"]), (0, None, ["0.0", "-"])):
        text = table({"zero_shot": {**figures, "full_ap": full, "ratio": ratio}})
        assert text.splitlines()[2].split()[-2:] == shown

    box, mask = ({"ap": i + 0.1, "ap50": i + 0.2, "ap_small": i, "ap_large": None} for i in (1, 2))
    title, heads, *rows = table({"coco": {"box": box, "mask": mask}}).splitlines()
    assert "COCO's" in title and heads.split() == "AP AP50 AP75 AP small AP medium AP large".split()
    assert [row.split() for row in rows] == [
        "box 1.1 1.2 - 1.0 - -".split(),
        "mask 2.1 2.2 - 2.0 - -".split(),
    ]

    row = {"hota": 50.0, "tube_ap": None, "tube_ap50": 1.25}
    figures = {"videos": 2, "frames": 9, "any": {}, "actor": row, "action": row, "joint": row}
    title, heads, *rows = table({"over_time": figures}).splitlines()
    assert "2 videos with 9 frames" in title and len(rows) == 4
    assert (heads.split()[0], heads.split()[-1]) == ("HOTA", "AP50")
    assert rows[0].split() == ["any", *"-" * 9]
    assert rows[3].split() == ["joint", "50.0", *"-" * 7, "1.2"]
