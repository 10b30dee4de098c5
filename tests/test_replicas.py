"""Replicas that share a step's batch do what one device does on the whole of it.

Devices are settled once a process, so each training is one of its own.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import event_files
import numpy as np
import pytest
import tiny_network
from processes import ROOT

from a2d_tf.core.config import ComputeConfig, Config, LearningConfig
from a2d_tf.core.errors import InputError
from a2d_tf.training import replicas

pytestmark = pytest.mark.slow

STEPS = 4
LEARNING = dict(
    batch_size=4,
    steps=STEPS,
    optimizer="sgd",
    learning_rate=0.02,
    warmup_steps=0,
    weight_decay=0.1,
    clip_norm=1.0,
    roi_samples=8,
    train_proposals=30,
    train_proposals_before_nms=0,
    rpn_samples=16,
    max_instances=4,
    val_fraction=0.0,
    checkpoint_every=2,
    log_every=1,
    validate_every=100,
    average_decay=0.9,
    shuffle_buffer=4,
    keep_checkpoints=1000,
)


def train(records, workdir, *more, worker=None):
    """A process that trains the tiny network, whose settings are beside its run folder."""
    config = Config(
        tiny_network.config(norm="group_norm", use_flow=False, temporal_layers=0),
        compute=ComputeConfig(roi_align_impl="sparse"),
        learning=LearningConfig(**LEARNING),
    )
    path = workdir.with_suffix(".flags")
    config.write(path)
    flags = [f"--flagfile={path}", f"--records={records.directory}", f"--workdir={workdir}"]
    return start("-m", "a2d_tf.train", *flags, "--pictures=0", *more, worker=worker)


def start(*words, worker=None):
    """A Python process; `worker` is (index, ports) of a cluster on the loopback."""
    environment = dict(os.environ, PYTHONPATH=f"{ROOT}{os.pathsep}{ROOT / 'tests'}")
    if worker:
        cluster = {"worker": [f"127.0.0.1:{port}" for port in worker[1]]}
        task = {"type": "worker", "index": worker[0]}
        environment["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
    return subprocess.Popen(
        [sys.executable, *map(str, words)],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def finish(process):
    output = process.communicate(timeout=300)[0]
    assert process.returncode == 0, output
    return output


def free_ports(number):
    sockets = [socket.socket() for _ in range(number)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def weights(workdir):
    """{name: array} of a run's checkpoint, without counters."""
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(workdir / "checkpoints" / f"ckpt-{STEPS}"))
    names = reader.get_variable_to_shape_map()
    return {
        name: reader.get_tensor(name)
        for name in names
        if name.startswith(("network", "averages", "optimizer")) and "VARIABLE_VALUE" in name
    }


def losses(workdir):
    found = event_files.points(workdir / "tensorboard" / "train")
    return {key: value for key, value in found.items() if key[0] <= STEPS}


def assert_same(one, other):
    expected, found = losses(one), losses(other)
    assert found.keys() == expected.keys() and len(expected) >= 8 * STEPS
    for key, value in expected.items():
        assert found[key] == pytest.approx(value, rel=1e-4, abs=1e-7), key
    expected, found = weights(one), weights(other)
    assert found.keys() == expected.keys()
    assert {name.split("/")[0] for name in expected} == {"network", "averages", "optimizer"}
    for name, value in expected.items():
        # Two devices add up in another order, which on some CPUs moves a weight by several 1e-6.
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.fixture(scope="module")
def one(mini_records, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("one")
    finish(train(mini_records, workdir))
    return workdir


def test_two_logical_devices_do_what_one_does(mini_records, one, tmp_path):
    """Losses, clipping, decay, slots and averaged weights."""
    finish(train(mini_records, tmp_path, "--strategy=mirrored", "--replicas=2"))
    assert_same(one, tmp_path)


def test_two_workers_do_what_one_does_and_go_on_when_one_was_killed(mini_records, one, tmp_path):
    def both():
        ports, flags = free_ports(2), ("--strategy=multi_worker", "--steps=100000")
        return [train(mini_records, tmp_path, *flags, worker=(i, ports)) for i in range(2)]

    workers = both()
    path, deadline = tmp_path / "checkpoints" / "ckpt-6.index", time.monotonic() + 400
    while not path.exists() and time.monotonic() < deadline:
        assert all(worker.poll() is None for worker in workers), workers[0].communicate()[0]
        time.sleep(0.1)
    workers[1].send_signal(signal.SIGKILL)
    assert workers[0].wait(timeout=120) not in (0, None)
    assert_same(one, tmp_path)
    workers = both()
    later = f"ckpt-{max(int(p.stem[5:]) for p in path.parent.glob('*.index')) + 4}.index"
    while not (path.parent / later).exists() and time.monotonic() < deadline:
        assert all(worker.poll() is None for worker in workers), workers[0].communicate()[0]
        time.sleep(0.1)
    # One is asked to stop: all keep the step in hand and end.
    workers[1].send_signal(signal.SIGTERM)
    outputs = [worker.communicate(timeout=120)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [130, 130], outputs


def cluster(workers, index):
    return json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}})


@pytest.mark.parametrize("text", ["", '{"cluster": {"worker": ["a:1"]}}', cluster(["a:1"], 1)])
def test_a_cluster_that_is_none_is_refused(text, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(InputError, match="TF_CONFIG"):
        replicas.make("multi_worker")


def test_the_devices_that_share_a_batch(monkeypatch):
    assert replicas.count("none") == replicas.count("mirrored", 2) == (1, 1)  # parts of one CPU
    monkeypatch.setenv("TF_CONFIG", cluster(["a:1", "b:1"], 1))
    assert replicas.count("multi_worker") == (2, 1)
    monkeypatch.setattr(replicas.tf.config, "get_visible_devices", lambda kind: ["GPU:0"] * 4)
    counts = [replicas.count("none"), replicas.count("mirrored"), replicas.count("mirrored", 3)]
    assert [*counts, replicas.count("multi_worker")] == [(1, 1), (1, 4), (1, 3), (2, 4)]
    with pytest.raises(InputError, match="--replicas=5"):
        replicas.count("mirrored", 5)
