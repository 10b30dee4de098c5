"""A row of the tables by one command: its phases in order, once each, and what users see."""

import json
import pathlib

import pytest
from processes import run_tool
from test_mains import TINY

from a2d_tf.commands import processes
from a2d_tf.core.config import Config
from a2d_tf.training import experiments

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


def test_initial_weights_go_to_the_first_phase_and_to_the_streams_that_it_has(
    monkeypatch, tmp_path
):
    calls = []
    monkeypatch.setattr(processes, "call_main", calls.append)
    weights, other = ["--init_rgb=coco.h5", "--init_flow=imagenet.h5"], "--seed=1"
    weights.append("--class_map=map.json")
    for name in ("no_joint", "no_flow", "mask_rcnn_baseline", "full"):
        for phase in experiments.phases(name):  # so that nothing is left to be scored
            place = tmp_path / phase / "evaluation" / "test"
            place.mkdir(parents=True)
            (tmp_path / phase / "finished.json").write_text("{}")
            (place / "metrics.json").write_text("{}")
        processes.train_and_score(name, "base.flags", "records", tmp_path, extra=[*weights, other])
    assert all(call[0] == "train" and other in call for call in calls)
    # The last of a flag counts.
    last = [dict(flag.split("=", 1) for flag in call if "=" in flag) for call in calls]
    coco, imagenet = ([call[name] for call in last] for name in ("--init_rgb", "--init_flow"))
    assert coco == ["coco.h5", "", "coco.h5", "coco.h5", "coco.h5"]
    assert imagenet == ["imagenet.h5", "", "", "", "imagenet.h5"]
    assert [bool(call["--class_map"]) for call in last] == [bool(file) for file in coco]
