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
from a2d_tf.training.doctor import examination, report

pytestmark = pytest.mark.slow

CONFIG = Config(learning=LearningConfig(batch_size=8, steps=1800, validate_every=500))
STEPS = examination.Steps(
    batch=4,
    wanted=8,
    out_of_memory=[8],
    first=20.0,
    seconds=0.5,
    memory=3 * 2**30,
    ops=90,
    unknown=[],
    on_host=["CombinedNonMaxSuppression"],
    racy=[],
    roi_align=("crop_and_resize", "segments"),
    variables=40,
    differing=0,
)
A100 = Devices((Gpu("NVIDIA A100", 80 * 2**30, (8, 0)),))


def test_the_hours_of_a_run():
    # 8 clips take 1 s; 1800 of those half an hour; 4 validations of 90 clips at 2 s, 12 minutes.
    whole = examination.estimate(CONFIG, STEPS, rate=100.0, clips=90, seconds=2.0)
    assert whole == examination.Estimate(1.0, 0.5, pytest.approx(0.2), 4, 90)
    assert whole.hours == pytest.approx(0.7)
    # 4 clips/s come in: a step waits 2 s for its 8.
    assert examination.estimate(CONFIG, STEPS, 4.0, 0, seconds=0.0) == examination.Estimate(
        2.0, 1.0, 0.0, 0, 0
    )


def advice(config=CONFIG, found=A100, rate=100.0, clips=0, **changed):
    steps = dataclasses.replace(STEPS, **changed)
    whole = examination.estimate(config, steps, rate, clips, seconds=2.0)
    return " | ".join(report.advice(config, found, steps, rate, whole=whole))


def test_devices_that_share_a_batch():
    # Two devices take 4 clips each, of 8, in half a second.
    whole = examination.estimate(CONFIG, STEPS, 100.0, 90, seconds=2.0, sharing=2)
    assert whole == examination.Estimate(0.5, 0.25, pytest.approx(0.2), 4, 90)
    steps = dataclasses.replace(STEPS, batch=2, wanted=4, out_of_memory=[4])
    said = " | ".join(report.advice(CONFIG, A100, steps, 100.0, whole=whole, sharing=2))
    assert "--batch_size=8 does not fit, 4 does" in said and "strategy" not in said


def test_what_to_change():
    said = advice()
    for words in (
        "--batch_size=8 does not fit, 4 does",
        "mixed_bfloat16 may be faster",
        "--nodeterministic",
        "more than half of the GPU's memory is free",
    ):
        assert words in said
    assert "validation" not in said and "input" not in said
    assert "take 8 clips/s" in advice(rate=4.0)
    assert "validation is 29 % of the run: raise --validate_every=500" in advice(clips=90)
    assert "steps differ" in advice(differing=3)
    assert "Foo: no kernel here" in advice(unknown=["Foo"])
    quick = Config(
        learning=dataclasses.replace(CONFIG.learning, deterministic=False),
        compute=ComputeConfig("mixed_bfloat16"),
    )
    assert advice(quick, out_of_memory=[], memory=60 * 2**30, differing=3) == ""
    assert "this wants a GPU" in advice(found=Devices(), seconds=500.0)
    assert advice(found=Devices(), out_of_memory=[]) == ""


def test_steps_in_words():
    lines = "\n".join(report.of_steps(STEPS, deterministic=True))
    assert "90 kinds of operations in a step, all with a kernel" in lines
    assert "on the host, as ever: CombinedNonMaxSuppression" in lines
    assert "crop_and_resize, its gradient segments" in lines
    assert "all 40 variables equal to the bit" in lines
    assert "step: 500 ms, of 4 clips, for 8 do not fit the memory; the first 20 s, 3.0 GB" in lines
    other = dataclasses.replace(STEPS, unknown=["Foo"], differing=2, roi_align=("auto", None))
    lines = "\n".join(report.of_steps(other, deterministic=True))
    assert "all but Foo with a kernel" in lines and "2 of 40 variables differ" in lines
    assert "gradient that of the operation" in lines


@pytest.fixture
def trials(monkeypatch, mini_records):
    """Examines a machine whose memory holds so many clips; returns (Steps, batches tried)."""

    def train(gpus, fits, first=1.0, sharing=1):
        tried = []

        def step(network, config, manifest, batch, out_of_memory):
            tried.append(batch)
            if batch > fits:
                raise tf.errors.ResourceExhaustedError(None, None, "no memory")
            return dataclasses.replace(
                STEPS, batch=batch, out_of_memory=list(out_of_memory), first=first, memory=None
            )

        class Network:
            def __init__(self, *_):
                self.set_phase = str

        monkeypatch.setattr(examination, "_try", step)
        monkeypatch.setattr(examination, "Network", Network)
        monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: gpus)
        return examination.train(CONFIG, mini_records, sharing)[0], tried

    return train


def test_the_batch_is_what_the_machine_bears(trials):
    steps, tried = trials(["GPU:0"], fits=3)
    assert tried == [8, 4, 2] and steps.batch == 2 and steps.out_of_memory == [8, 4]
    assert trials(["GPU:0"], fits=8)[1] == [8]
    assert trials(["GPU:0"] * 4, fits=8, sharing=4)[1] == [2]
    with pytest.raises(InputError, match="one clip"):
        trials(["GPU:0"], fits=0)
    assert trials([], fits=8)[1] == [1, 8]
    assert trials([], fits=8, first=50.0)[1] == [1]  # and four steps of 4 s


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
    assert steps["batch"] == 1 and steps["seconds"] > 0 and steps["ops"] > 50
    assert steps["unknown"] == steps["on_host"] == [] and steps["differing"] == 0
    assert steps["roi_align"] == ["crop_and_resize", "sparse"]
    assert steps["variables"] > 100 and steps["memory"] > 2**28
    assert run["validations"] == 2 and run["clips"] == 6
    assert run["validation"] == pytest.approx(12 * report["validation_seconds_per_clip"] / 3600)
    assert run["training"] == pytest.approx(max(steps["seconds"], 1 / report["clips_per_second"]))
    lines = done.stdout.splitlines()
    assert lines[0] == report["device"] and lines[0].startswith("device: CPU, ")
    assert [line.split(":")[0] for line in lines[2:9]] == [
        "clips",
        "kernels",
        "RoIAlign",
        "determinism",
        "step",
        "input",
        "validation",
    ]
