"""The size of flow beside that of RGB, in figures and on records."""

import numpy as np
import pytest
import tensorflow as tf

from a2d_tf.data import records
from a2d_tf.data.inspection.input_scale import InputScale


def test_literals():
    scale = InputScale()
    # RGB deviates by 30 about 40 in every channel; u by 6, v by 0: together by the root of 18.
    scale.add(np.full((1, 2, 3), 10), np.array([[[6.0, 1], [-6, 1]]]))
    scale.add(np.full((1, 2, 3), 70), np.array([[[6.0, 1], [-6, 1]]]))
    assert scale.deviation("rgb") == pytest.approx(30)
    assert scale.deviation("flow") == pytest.approx(18**0.5)
    assert scale.ratio() == pytest.approx(18**0.5 / 30)
    assert scale.ratio(flow_scale=2.0, rgb_std=128.0) == pytest.approx(256 * 18**0.5 / 30)
    assert scale.text({"a and b": 1.0, "c": 128.0}) == [
        "inputs: standard deviation 30.0 of RGB, 4.24 px of flow",
        "  their ratio at --flow_scale=1, as weights want RGB: 0.141 (a and b), 18.1 (c)",
    ]


def test_nothing_to_compare_is_no_line():
    scale = InputScale()
    assert scale.text({"a": 1.0}) == []
    scale.add(np.zeros((2, 2, 3)), np.zeros((2, 2, 2)))
    assert scale.text({"a": 1.0}) == []
    scale.add(np.ones((2, 2, 3)), np.zeros((2, 2, 2)))
    assert scale.text({"a": 1.0}) == []


def test_of_records_it_is_that_of_all_pixels(mini_records):
    scale, rgb, flow = InputScale(), [], []
    for shard in mini_records.shards("train"):
        for serialized in records.read_shard(shard):
            fields = records.parse(tf.constant(serialized))
            middle = len(fields["rgb"]) // 2
            rgb.append(fields["rgb"][middle].numpy().reshape(-1, 3))
            flow.append(fields["flow"][middle].numpy().reshape(-1, 2))
            scale.add(fields["rgb"][middle].numpy(), fields["flow"][middle].numpy())
    for name, values in (("rgb", rgb), ("flow", flow)):
        expected = np.concatenate(values).astype(np.float64).var(axis=0).mean() ** 0.5
        assert scale.deviation(name) == pytest.approx(expected, rel=1e-6) and expected > 0
