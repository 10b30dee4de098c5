"""The benchmark runs, and its file has the promised form; figures are not judged."""

import json

import pytest
import tensorflow as tf
from processes import run_tool, succeeded

from tools.benchmarks import peers, setups


def test_work_of_a_roi_is_counted_where_their_number_is_open():
    rois = tf.keras.Input([None, 4])
    model = tf.keras.Model(rois, tf.keras.layers.Dense(8)(rois))
    assert setups.model_gflop(model) == pytest.approx((2 * 4 * 8 + 8) / 1e9)


@pytest.mark.slow
@pytest.mark.parametrize(
    "suite, with_ratio, with_peer",
    [
        (
            "detector",
            {"inference, 10 detections, of the peak"},
            {"training, 8 RoIs, 2 masks"},
        ),
        ("learning", set(), {"box AP", "mask AP", "training"}),
        ("prediction", {"a clip of a library"}, set()),
    ],
)
def test_small_suite(suite, with_ratio, with_peer, mini_records, saved_model, tmp_path):
    words = [
        f"--suite={suite}",
        f"--output={tmp_path}/report.json",
        "--small",
        "--rounds=1",
    ]
    words += [f"--saved_model={saved_model}", f"--records={mini_records.directory}"]
    said = succeeded(run_tool("benchmark", *words))
    report = json.loads((tmp_path / "report.json").read_text())
    assert (
        set(report) == {"suite", "machine", "rows", "details"}
        and report["suite"] == suite
    )
    assert report["machine"]["peak_gflops"] > 0
    for row in report["rows"]:
        assert f"{row['name']}, {row['unit']} " in said and row["ours"] > 0
        if row["ratio"] is not None:
            quotients = [row["ours"] / row["peer"], row["peer"] / row["ours"]]
            assert row["ratio"] in [pytest.approx(quotient) for quotient in quotients]
    with_ratio |= with_peer if peers.available() else set()
    assert with_ratio <= {row["name"] for row in report["rows"] if row["ratio"]}
