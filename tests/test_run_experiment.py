"""A row of the tables by one command: its phases in order, once each, and what users see."""

import json
import pathlib

import pytest
from processes import run_tool
from test_mains import TINY

from a2d_tf.commands import processes
from a2d_tf.core.config import Config
from a2d_tf.core.errors import InputError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def arguments(mini_records, tmp_path_factory):
    folder = tmp_path_factory.mktemp("experiment")
    base = folder / "tiny.flags"
    base.write_text("\n".join(TINY))
    return [f"--base={base}", f"--records={mini_records.directory}", f"--workdir={folder}"]


def test_two_phases_and_their_score(arguments, tiny_run):
    workdir = pathlib.Path(arguments[-1].split("=")[1])
    flags = f"--steps=2 --seed=3 --pictures=0 --init_checkpoint={tiny_run}".split()
    result = run_tool(
        "run_experiment",
        "no_joint",
        *arguments,
        "--",
        *flags,
        "--pixel_scale=0.015625",
        "--flow_scale=0.5",
    )
    assert result.returncode == 0, result.stderr
    first, second = workdir / "no_joint_actor", workdir / "no_joint_action"
    for folder, phase in ((first, "actor"), (second, "action")):
        learning = Config.read(folder / "flags.txt").learning
        assert (learning.train_phase, learning.steps, learning.seed) == (phase, 2, 3)
    # Pretrained weights start the first phase; they must not stand in the way of the second.
    assert Config.read(first / "flags.txt").learning.init_checkpoint == str(tiny_run)
    assert (learning.init_run, learning.init_checkpoint) == (str(first), "")
    metrics = second / "evaluation" / "test" / "metrics.json"
    assert json.loads(metrics.read_text())["segmentation"]
    assert not (first / "evaluation").exists()


@pytest.mark.parametrize(
    "words, complaint",
    [
        (["no_such"], "'no_such' is no experiment; there are cartesian, full, hierarchical"),
        (["full", "no_flow"], "unexpected word 'no_flow'"),
        (["full", "--", "--backbone=resnet15"], "a2d_tf.train ended with status 1"),
    ],
)
def test_mistakes(arguments, words, complaint):
    result = run_tool("run_experiment", *words[:1], *arguments, *words[1:])
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert complaint in result.stderr.splitlines()[-1]


def test_a_training_imports_the_package_from_where_its_command_does(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    with pytest.raises(InputError, match="manifest.json"):
        processes.call_main(["train", "--records=none", "--workdir=run"])
