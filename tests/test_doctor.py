"""The doctor: estimates and advice by hand, a batch that does not fit, and one examination."""

import dataclasses
import json

import pytest
import tensorflow as tf
from processes import run_tool
from test_mains import TINY

from a2d_tf.core.config import ComputeConfig, Config, LearningConfig
from a2d_tf.core.devices import Devices, Gpu
from a2d_tf.core.errors import InputError
from a2d_tf.training import doctor

pytestmark = pytest.mark.slow

CONFIG = Config(learning=LearningConfig(batch_size=8, steps=1800, validate_every=500))
STEPS = doctor.Steps(
    batch=4,
    out_of_memory=[8],
    first=20.0,
    seconds=0.5,
    memory=3 * 2**30,
    variables=40,
    differing=0,
)
A100 = Devices((Gpu("NVIDIA A100", 80 * 2**30, (8, 0)),))


def test_the_hours_of_a_run():
    # 8 clips take 1 s; 1800 of those half an hour; 4 validations of 90 clips at 2 s, 12 minutes.
    whole = doctor.estimate(CONFIG, STEPS, rate=100.0, clips=90, seconds=2.0)
    hours = pytest.approx
    assert whole == doctor.Estimate(100.0, 1.0, 0.5, hours(0.2), hours(0.7))
    # 4 clips/s come in: a step waits 2 s for its 8.
    slow = doctor.estimate(CONFIG, STEPS, 4.0, 0, seconds=0.0)
    assert slow == doctor.Estimate(4.0, 2.0, 1.0, 0.0, 1.0)
    # Two devices take 4 clips each, of 8, in half a second.
    shared = doctor.estimate(CONFIG, STEPS, 100.0, 90, seconds=2.0, sharing=2)
    assert shared == doctor.Estimate(100.0, 0.5, 0.25, hours(0.2), hours(0.45))


def advice(config=CONFIG, found=A100, rate=100.0, clips=0, sharing=1, **changed):
    steps = dataclasses.replace(STEPS, **changed)
    whole = doctor.estimate(config, steps, rate, clips, seconds=2.0, sharing=sharing)
    return " | ".join(doctor.advise(config, found, steps, whole, sharing))


def test_what_to_change():
    said = advice()
    for words in ("--batch_size=8", "--strategy=mirrored", "mixed_bfloat16", "--nodeterministic"):
        assert words in said
    shared = advice(sharing=2, batch=2)
    assert "--batch_size=8" in shared and "--strategy" not in shared
    assert "8 clips/s" in advice(rate=4.0) and "8 clips/s" not in said
    assert "--validate_every=500" in advice(clips=90) and "--validate_every" not in said
    assert "steps differ" in advice(differing=3)
    quick = Config(
        learning=dataclasses.replace(CONFIG.learning, deterministic=False),
        compute=ComputeConfig("mixed_bfloat16"),
    )
    assert advice(quick, out_of_memory=[], memory=60 * 2**30, differing=3) == ""
    assert "this wants a GPU" in advice(found=Devices(), seconds=500.0)
    assert advice(found=Devices(), out_of_memory=[]) == ""


@pytest.fixture
def trials(monkeypatch, mini_records):
    """Examines a machine whose memory holds so many clips; returns (Steps, batches tried)."""

    def train(gpus, fits, sharing=1):
        tried = []

        def measure(network, config, manifest, batch):
            tried.append(batch)
            if batch > fits:
                raise tf.errors.ResourceExhaustedError(None, None, "no memory")
            return 1.0, 0.5, None, 40, 0

        class Network:
            def __init__(self, *_):
                self.set_phase = str

        monkeypatch.setattr(doctor, "_measure", measure)
        monkeypatch.setattr(doctor, "Network", Network)
        monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: gpus)
        return doctor.train(CONFIG, mini_records, sharing)[0], tried

    return train


def test_the_batch_is_what_the_machine_bears(trials):
    steps, tried = trials(["GPU:0"], fits=3)
    assert tried == [8, 4, 2] and steps.batch == 2 and steps.out_of_memory == [8, 4]
    assert trials(["GPU:0"], fits=8)[1] == [8]
    assert trials(["GPU:0"] * 4, fits=8, sharing=4)[1] == [2]
    with pytest.raises(InputError, match="one clip"):
        trials(["GPU:0"], fits=0)
    assert trials([], fits=8)[1] == [1]


def test_a_machine_is_examined(mini_records, tmp_path):
    path = tmp_path / "report.json"
    done = run_tool(
        "doctor",
        "--flagfile=",
        *TINY,
        f"--records={mini_records.directory}",
        "--batch_size=1",
        "--steps=3600",
        "--validate_every=1800",
        "--val_fraction=0.5",
        f"--json={path}",
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(path.read_text())
    steps, run = report["steps"], report["run"]
    assert steps["batch"] == 1 and steps["seconds"] > 0 and steps["differing"] == 0
    assert steps["variables"] > 40 and steps["memory"] > 2**28
    assert run["validation"] == pytest.approx(12 * report["validation_seconds_per_clip"] / 3600)
    assert run["training"] == pytest.approx(max(steps["seconds"], 1 / run["rate"]))
    lines = done.stdout.splitlines()
    assert lines[0] == report["device"] and lines[0].startswith("device: CPU, ")
    names = [line.split(":")[0] for line in lines[2:6]]
    assert names == ["determinism", "step", "input", "a run"]
