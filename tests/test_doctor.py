"""The doctor: estimates by hand, a batch that does not fit, and one examination."""

import types

import pytest
import tensorflow as tf
import tiny_network
from processes import run_a2d, succeeded
from test_mains import TINY

from a2d_tf.commands import doctor
from a2d_tf.core.errors import InputError
from a2d_tf.core.settings.config import Config, TrainingConfig
from a2d_tf.training import step_timing

pytestmark = pytest.mark.slow


def test_the_hours_of_a_run():
    training = TrainingConfig(batch_size=8, steps=1800, validate_every=700)
    # 8 clips take 1 s; 1800 of those half an hour, and three validations another.
    line = doctor.hours(
        training, seconds_per_clip=0.125, clips_per_second=100.0, validation=600.0
    )
    assert "3 validations of 600 s take 1.0 h" in line
    # 4 clips/s come in: a step waits 2 s for its 8.
    line = doctor.hours(
        training, seconds_per_clip=0.125, clips_per_second=4.0, validation=0.0
    )
    assert "at 2000 ms" in line


def test_a_batch_that_does_not_fit(mini_records, monkeypatch):
    def step(*_):
        raise tf.errors.ResourceExhaustedError(None, None, "no memory")

    monkeypatch.setattr(step_timing, "make_train_step", lambda *_: step)
    config = Config(tiny_network.config(), training=tiny_network.LEARNING)
    with pytest.raises(InputError, match="--batch_size"):
        doctor.time_training(config, mini_records, on_gpu=False)


def test_steps_are_timed_from_the_third_on_for_ten_seconds(mini_records, monkeypatch):
    """They end at 5, 7, 13 and 19 seconds; the first one compiles."""
    clock = iter([0.0, 5.0, 7.0, 13.0, 19.0])
    steps = []

    def train_step(batch, number):
        steps.append((batch, number))
        return {"total": tf.constant(1.0)}

    monkeypatch.setattr(step_timing.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(step_timing, "set_phase", lambda *_: None)
    monkeypatch.setattr(step_timing.TrainState, "create", lambda *_: None)
    monkeypatch.setattr(step_timing, "make_train_step", lambda *_: train_step)
    monkeypatch.setattr(
        step_timing.replicas, "batches", lambda *_, start_step: iter("abcde")
    )
    speed = step_timing.time_steps(None, mini_records, Config())
    assert speed == (5.0, 6.0)
    assert steps == [("a", 0), ("b", 1), ("c", 2), ("d", 3)]


def test_a_validation_takes_as_long_as_its_frames(monkeypatch):
    """Of 24 frames asked for there may be four; these take two seconds."""
    clock = iter([0.0, 30.0, 30.0, 32.0])  # the first validation compiles
    monkeypatch.setattr(doctor.time, "perf_counter", lambda: next(clock))
    evaluator = types.SimpleNamespace(
        validate=lambda split, most: types.SimpleNamespace(frames=min(4, most))
    )
    assert doctor.time_validation(evaluator, most=24) == 0.5


def test_a_machine_is_examined(mini_records):
    words = (f"--records={mini_records.directory}", "--batch_size=1", "--steps=3600")
    lines = succeeded(run_a2d("doctor", *TINY, *words)).splitlines()
    assert lines[0].startswith("device: CPU, ")
    assert [line.split(":")[0] for line in lines[2:]] == ["step", "input", "training"]
