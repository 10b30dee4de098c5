"""The benchmark runs and its file has the promised form; its figures are not judged here."""

import importlib.util
import json

import pytest
import tensorflow as tf
from processes import run_tool, succeeded

from tools.benchmarks import measure

pytestmark = pytest.mark.slow

TORCH = all(importlib.util.find_spec(name) for name in ("torch", "torchvision"))
RATIOS = {
    "data": {"mini: training batches"},
    "detector": {"inference, 10 detections, of the peak", "training, 8 RoIs, 2 masks, of the peak"},
    "learning": set(),
    "prediction": {"a clip of a library"},
    "step": {"mini: step, of the peak", "mini: step in bfloat16, by step"},
}
"""Suite -> rows that have a ratio on any machine."""
PEERS = {
    "detector": {"inference, 10 detections", "training, 8 RoIs, 2 masks"},
    "learning": {"box AP", "mask AP", "training"},
}
"""Suite -> rows that have a ratio where torch is installed."""


def test_work_of_a_roi_is_counted_where_their_number_is_open():
    rois = tf.keras.Input([None, 4])
    model = tf.keras.Model(rois, tf.keras.layers.Dense(8)(rois))
    assert measure.gflop(model) == pytest.approx((2 * 4 * 8 + 8) / 1e9)


@pytest.mark.parametrize("suite", RATIOS)
def test_small_suite(suite, request, tmp_path):
    output = tmp_path / "report.json"
    words = f"--suite={suite} --output={output} --small --rounds=1 --workers=1".split()
    if suite == "prediction":
        words.append(f"--saved_model={request.getfixturevalue('saved_model')}")
    said = succeeded(run_tool("benchmark", *words))
    report = json.loads(output.read_text())
    assert set(report) == {"suite", "machine", "rows", "details"} and report["suite"] == suite
    assert report["machine"]["peak_gflops"] > 0
    for row in report["rows"]:
        assert f"{row['name']}, {row['unit']} " in said
        assert row["ours"] > 0 and (row["peer"] is None) == (row["ratio"] is None)
        if row["peer"] is not None:
            quotients = [row["ours"] / row["peer"], row["peer"] / row["ours"]]
            assert row["ratio"] in [pytest.approx(quotient) for quotient in quotients]
    with_ratio = {row["name"] for row in report["rows"] if row["ratio"]}
    assert RATIOS[suite] <= with_ratio
    assert (PEERS.get(suite, set()) <= with_ratio) if TORCH else True
