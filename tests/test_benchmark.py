"""The benchmark runs, and its file has the promised form; figures are not judged."""

import json
from typing import NamedTuple

import pytest
import tensorflow as tf
from processes import run_tool, succeeded

from tools.benchmarks import measure, peers, setups


def test_work_of_a_roi_is_counted_where_their_number_is_open():
    rois = tf.keras.Input([None, 4])
    model = tf.keras.Model(rois, tf.keras.layers.Dense(8)(rois))
    assert setups.model_gflop(model) == pytest.approx((2 * 4 * 8 + 8) / 1e9)


def test_a_ratio_says_how_many_times_better_ours_is():
    times = measure.compare("a step", "ms", ours=[2.0, 4.0], peer=[6.0, 4.0])
    assert times == ("a step", "ms", 3.0, 5.0, 2.0)
    scores = measure.compare("AP", "%", ours=[40.0], peer=[20.0], higher_is_better=True)
    assert scores.ratio == 2.0


def test_a_figure_of_zero_stays_zero_and_has_no_ratio():
    row = measure.compare("AP", "%", ours=[0.0], peer=[0.0], higher_is_better=True)
    assert row == ("AP", "%", 0.0, 0.0, None)
    assert measure.table([row]).splitlines()[1].split() == ["AP,", "%", "0", "0"]


class Suite(NamedTuple):
    """A suite, and the names of rows that have a ratio, always or beside a peer."""

    name: str
    with_ratio: set
    with_peer: set


@pytest.mark.slow
@pytest.mark.parametrize(
    "suite",
    [
        Suite(
            "detector",
            with_ratio={"inference, 10 detections, of the peak"},
            with_peer={"training, 8 RoIs, 2 masks"},
        ),
        Suite("learning", with_ratio=set(), with_peer={"training"}),
        Suite("prediction", with_ratio={"a clip of a library"}, with_peer=set()),
    ],
    ids=lambda suite: suite.name,
)
def test_small_suite(suite, mini_records, saved_model, tmp_path):
    done = run_tool(
        "benchmark",
        f"--suite={suite.name}",
        f"--output={tmp_path}/report.json",
        "--small",
        "--rounds=1",
        f"--saved_model={saved_model}",
        f"--records={mini_records.directory}",
    )
    said = succeeded(done)
    report = json.loads((tmp_path / "report.json").read_text())
    assert set(report) == {"suite", "machine", "rows", "details"}
    assert report["suite"] == suite.name
    assert report["machine"]["peak_gflops"] > 0
    for row in report["rows"]:
        assert f"{row['name']}, {row['unit']} " in said
        # Two steps of the smallest network find nothing.
        assert row["ours"] > 0 or row["unit"] == "%"
        if row["ratio"] is not None:
            quotients = [row["ours"] / row["peer"], row["peer"] / row["ours"]]
            assert row["ratio"] in [pytest.approx(quotient) for quotient in quotients]
    with_ratio = set(suite.with_ratio)
    if peers.available():
        with_ratio |= suite.with_peer
    assert with_ratio <= {row["name"] for row in report["rows"] if row["ratio"]}
