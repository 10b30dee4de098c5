"""A row of the tables by one command: its phases in order, once each, and what users see."""

import json
import math

import pytest
from processes import run_tool
from test_mains import TINY

from a2d_tf.commands import processes
from a2d_tf.core.config import Config
from a2d_tf.core.errors import InputError

pytestmark = pytest.mark.slow


def run(records, workdir, *words):
    """`tools/run_experiment.py` over a tiny network."""
    base = workdir / "tiny.flags"
    base.write_text("\n".join([*TINY, "--refiner_size=32", "--refiner_channels=8"]))
    where = [f"--base={base}", f"--records={records.directory}", f"--workdir={workdir}"]
    return run_tool("run_experiment", *words[:1], *where, *words[1:])


def test_two_phases_and_their_score(mini_records, tmp_path, tiny_run):
    flags = f"--steps=2 --seed=3 --pictures=0 --init_checkpoint={tiny_run}".split()
    flags.append("--refiner_backbone=resnet14")
    scale = ["--pixel_scale=0.015625", "--flow_scale=0.5"]
    result = run(mini_records, tmp_path, "no_mask", "--", *flags, *scale)
    assert result.returncode == 0, result.stderr
    first, second = tmp_path / "no_mask", tmp_path / "no_mask_refiner"
    for folder, phase in ((first, "joint"), (second, "refiner")):
        learning = Config.read(folder / "flags.txt").learning
        assert (learning.train_phase, learning.steps, learning.seed) == (phase, 2, 3)
    # Pretrained weights start the first phase; they must not stand in the way of the second.
    assert Config.read(first / "flags.txt").learning.init_checkpoint == str(tiny_run)
    assert (learning.init_run, learning.init_checkpoint) == (str(first), "")
    metrics = json.loads((second / "evaluation" / "test" / "metrics.json").read_text())
    for values in metrics["segmentation"].values():
        assert all(0 <= value <= 100 and math.isfinite(value) for value in values.values())
    assert not (first / "evaluation").exists()


@pytest.mark.parametrize(
    "words, named",
    [
        (["no_such"], "'no_such'"),
        (["full", "no_flow"], "'no_flow'"),
        (["full", "--", "--backbone=resnet15"], "a2d_tf.train ended with status 1"),
    ],
)
def test_mistakes(mini_records, tmp_path, words, named):
    done = run(mini_records, tmp_path, *words)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert named in done.stderr.splitlines()[-1]  # a training has said its own before


def test_a_training_imports_the_package_from_where_its_command_does(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    with pytest.raises(InputError, match="manifest.json"):
        processes.call_main(["train", "--records=none", "--workdir=run"])
