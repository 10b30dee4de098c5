"""Replicas that share a step's batch do what one device does on the whole of it.

Devices are settled once a process, so each training is one of its own.
"""

import event_files
import numpy as np
import pytest
import tiny_network
from processes import run_a2d, succeeded

from a2d_tf.core.errors import InputError
from a2d_tf.core.settings.config import Config, TrainingConfig
from a2d_tf.training.step import replicas

pytestmark = pytest.mark.slow

STEPS = 4
LEARNING = {
    **dict(
        batch_size=4, steps=STEPS, optimizer="sgd", learning_rate=0.02, warmup_steps=0
    ),
    **dict(
        weight_decay=0.1, clip_norm=1.0, roi_samples=8, rpn_samples=16, max_instances=4
    ),
    **dict(
        train_proposals=30, train_proposals_before_nms=60, val_fraction=0.0, log_every=1
    ),
    **dict(checkpoint_every=2, validate_every=100, average_decay=0.9, shuffle_buffer=4),
}


def train(records, workdir, *more):
    """Train the tiny network, whose settings are beside its run folder."""
    config = Config(
        tiny_network.config(norm="group_norm", use_flow=False, temporal_layers=0),
        training=TrainingConfig(**LEARNING),
    )
    path = workdir.with_suffix(".flags")
    config.write(path)
    flags = [
        f"--flagfile={path}",
        f"--records={records.directory}",
        f"--workdir={workdir}",
    ]
    succeeded(run_a2d("train", *flags, "--pictures=0", *more))


def weights(workdir):
    """{name: array} of a run's checkpoint, without counters."""
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(workdir / "checkpoints" / f"ckpt-{STEPS}"))
    names = reader.get_variable_to_shape_map()
    return {
        name: reader.get_tensor(name)
        for name in names
        if name.startswith(("network", "averages", "optimizer"))
        and "VARIABLE_VALUE" in name
    }


def losses(workdir):
    found = event_files.points(workdir / "tensorboard" / "train")
    return {key: value for key, value in found.items() if key[0] <= STEPS}


def test_two_logical_devices_do_what_one_does(mini_records, tmp_path):
    """Losses, clipping, decay, slots and averaged weights."""
    one, two = tmp_path / "one", tmp_path / "two"
    train(mini_records, one)
    train(mini_records, two, "--strategy=mirrored", "--replicas=2")
    expected, found = losses(one), losses(two)
    assert found.keys() == expected.keys() and len(expected) >= 8 * STEPS
    for key, value in expected.items():
        assert found[key] == pytest.approx(value, rel=1e-4, abs=1e-7), key
    expected, found = weights(one), weights(two)
    assert found.keys() == expected.keys()
    assert {name.split("/")[0] for name in expected} == {
        "network",
        "averages",
        "optimizer",
    }
    for name, value in expected.items():
        # Two devices add up in another order, which on some CPUs moves a weight by
        # several 1e-6.
        np.testing.assert_allclose(
            found[name], value, rtol=1e-4, atol=1e-5, err_msg=name
        )


def test_more_replicas_than_gpus_are_refused(monkeypatch):
    monkeypatch.setattr(
        replicas.tf.config, "get_visible_devices", lambda kind: ["GPU:0"] * 4
    )
    with pytest.raises(InputError, match="--replicas=5"):
        replicas.make("mirrored", 5)
