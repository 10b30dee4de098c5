"""The doctor: estimates by hand, a batch that does not fit, and one examination."""

import pytest
import tensorflow as tf
from processes import run_tool
from test_mains import TINY

from a2d_tf.core.config import Config, LearningConfig
from a2d_tf.core.errors import InputError
from a2d_tf.training import doctor

pytestmark = pytest.mark.slow

CONFIG = Config(learning=LearningConfig(batch_size=8, steps=1800, validate_every=500))
STEPS = doctor.Steps(batch=4, out_of_memory=[8], first=20.0, seconds=0.5, memory=3 * 2**30)


def test_the_hours_of_a_run():
    def line(**options):
        return doctor.report(CONFIG, STEPS, **options)[-1]

    # 8 clips take 1 s; 1800 of those half an hour.
    assert "at 1000 ms take 0.5 h" in line(rate=100.0)
    # 4 clips/s come in: a step waits 2 s for its 8.
    assert "at 2000 ms take 1.0 h" in line(rate=4.0)


@pytest.fixture
def trials(monkeypatch, mini_records):
    """Examines a machine whose memory holds so many clips; returns (Steps, batches tried)."""

    def train(gpus, fits):
        tried = []

        def measure(network, config, manifest, batch):
            tried.append(batch)
            if batch > fits:
                raise tf.errors.ResourceExhaustedError(None, None, "no memory")
            return 1.0, 0.5, None

        class Network:
            def __init__(self, *_):
                self.set_phase = lambda *_: None

        monkeypatch.setattr(doctor, "_measure", measure)
        monkeypatch.setattr(doctor, "Network", Network)
        monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: gpus)
        return doctor.train(CONFIG, mini_records), tried

    return train


def test_the_batch_is_what_the_machine_bears(trials):
    steps, tried = trials(["GPU:0"], fits=3)
    assert tried == [8, 4, 2] and steps.batch == 2 and steps.out_of_memory == [8, 4]
    assert trials(["GPU:0"], fits=8)[1] == [8]
    with pytest.raises(InputError, match="one clip"):
        trials(["GPU:0"], fits=0)
    assert trials([], fits=8)[1] == [1]


def test_a_machine_is_examined(mini_records):
    words = (f"--records={mini_records.directory}", "--batch_size=1", "--steps=3600")
    done = run_tool("doctor", *TINY, *words)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("device: CPU, ")
    assert [line.split(":")[0] for line in lines[2:]] == ["step", "input", "a run"]
