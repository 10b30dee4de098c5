"""The printed tables."""

from a2d_tf.evaluation.metrics import KINDS, table

METRICS = {
    "segmentation": {
        kind: {"ave": 10.0 * i + 0.11, "glo": 10.0 * i + 0.22, "miou": 10.0 * i + 0.33}
        for i, kind in enumerate(KINDS, 1)
    },
    "detection": {"joint": 3.0, "actor": 1.0, "action": 2.0},
}


def row(text, label):
    return next(line for line in text.splitlines() if line.startswith(label))[22:].split()


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
