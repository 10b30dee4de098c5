"""Rows of the tables as flagfiles: one of each kind trains and is scored.

test_config holds each row to its flags, test_network builds and differentiates their networks.
test_run_experiment does the same with the phases of `no_joint`, test_rehearse with
`mask_rcnn_baseline`.
"""

import json
import math

import pytest
import tensorflow as tf
from processes import ROOT

from a2d_tf.core.config import Config
from a2d_tf.evaluation.runner import Evaluator
from a2d_tf.model.network import Network
from a2d_tf.training import run_folder, run_start
from a2d_tf.training.fit import Validated, fit

pytestmark = pytest.mark.slow

SECOND_PHASES = {"no_mask_refiner": "no_mask"}
ROWS = ["cartesian", *SECOND_PHASES, "zero_shot_cat"]
TINY = (
    "--image_height=64 --image_width=96 --width_multiplier=0.125 --fpn_channels=16 "
    "--rpn_channels=16 --head_units=32 --mask_channels=16 --mask_layers=1 --refiner_size=32 "
    "--refiner_channels=8 --anchor_sizes=8,16,24,32,48 --test_proposals=20 "
    "--train_proposals=50 --max_detections=5 --roi_samples=12 --rpn_samples=32 --max_instances=4 "
    "--batch_size=2 --steps=2 --warmup_steps=1"
).split()


def settings(name, folder, extra):
    """The settings that the mini network, a row over it and further flags come to."""
    files = ["mini", f"ablations/{name}"]
    path = folder / "composed.flags"
    lines = [f"--flagfile={ROOT / 'configs' / file}.flags" for file in files]
    path.write_text("\n".join([*lines, *extra]) + "\n")
    return Config.read(path)


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch):
    """Flagfiles name others from there."""
    monkeypatch.chdir(ROOT)


def train(config, manifest, workdir):
    tf.keras.utils.set_random_seed(config.learning.seed)
    network = Network(config.model, manifest.label_space)
    run_start.initialise(network, config)
    run_folder.create(workdir, config, manifest)
    fit(network, manifest, config, str(workdir), validate=lambda: Validated({}, {}))
    return network


@pytest.mark.parametrize("name", ROWS)
def test_row_trains_and_is_scored(name, mini_records, tmp_path):
    first = SECOND_PHASES.get(name)
    extra = list(TINY)
    if first:
        train(settings(first, tmp_path, TINY), mini_records, tmp_path / "first")
        extra.append(f"--init_run={tmp_path / 'first'}")
    config = settings(name, tmp_path, extra)
    network = train(config, mini_records, tmp_path / "run")
    assert json.loads((tmp_path / "run" / "finished.json").read_text()) == {"steps": 2}

    metrics = Evaluator(network, config, mini_records).evaluate("test", 0.2, tmp_path / "scored")
    parts = {"segmentation", "detection", "per_pair_ap", "per_actor_ap", "per_action_ap"}
    assert parts | {"zero_shot_actor_ap"} <= set(metrics)
    for values in metrics["segmentation"].values():
        assert all(0 <= value <= 100 and math.isfinite(value) for value in values.values())
    assert len(metrics["per_pair_ap"]) == 43
