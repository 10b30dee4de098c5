"""Every row of the tables starts from public weights: what is loaded, what is new."""

import numpy as np
import pytest
import tensorflow as tf
from processes import ROOT

from a2d_tf.core.command import command_line, flagfiles
from a2d_tf.core.labels import A2D
from a2d_tf.core.machine import processes
from a2d_tf.core.settings.config import Config
from a2d_tf.model.network import Network
from a2d_tf.paper import reproduction, table_rows
from a2d_tf.paper.folds import Fold
from a2d_tf.pretrained import cache, layouts, transfer
from a2d_tf.training import initial_weights, run_settings
from tools import make_random_weights

SMALL = layouts.Sizes("resnet14", 1 / 8, pyramid=16, proposals=16, head=32, mask=16)
SMALL_FLAGS = (
    "--image_height=64 --image_width=96 --backbone=resnet14 --width_multiplier=0.125"
    " --fpn_channels=16 --rpn_channels=16 --head_units=32 --mask_channels=16"
    " --refiner_size=32 --refiner_channels=8 --refiner_backbone="
).split()
# The groups of layers that no file fills, as the report's summary names them.
RGB_TIME, FLOW_TIME = (
    {f"{stream}_p{level}" for level in range(2, 6)} for stream in ("rgb", "flow")
)
ACTION = {"action_fc1", "action_fc2", "action_logits"}
FULL = RGB_TIME | FLOW_TIME | ACTION
REFINER = {
    f"refiner_{part}{level}" for part in ("skip", "merge") for level in range(2, 5)
}
REFINER |= {f"refiner_{part}" for part in ("reduce", "fc1", "fc2", "logits")}
# In an order in which rows of the same network are neighbours.
ANEW = {
    "full": FULL,
    "no_joint": FULL,
    "zero_shot_adult": FULL,
    "cartesian": RGB_TIME | FLOW_TIME | {"actor_fc1"},
    "late_fusion": RGB_TIME | FLOW_TIME | {"action_rgb", "action_flow"},
    "mask_rcnn_baseline": set(),
    "no_flow": RGB_TIME | ACTION,
    "no_mask": FULL | REFINER,
    "no_mask_strong": FULL | REFINER,
}
"""All rows but those whose network differs from one of these by the classes or by
layers less.
"""


@pytest.fixture(
    scope="module",
    params=["small", pytest.param("full size", marks=pytest.mark.full_size)],
)
def files(request, tmp_path_factory):
    """Import a COCO and an ImageNet file: (their flags, more flags, their tensors)."""
    folder, flagged, tensors = tmp_path_factory.mktemp("files"), [], {}
    sizes, further = (SMALL, SMALL_FLAGS) if request.param == "small" else (None, [])
    for stream, source in (("rgb", "matterport"), ("flow", "keras_resnet101")):
        public, imported = str(folder / f"{source}.h5"), str(folder / f"{stream}.h5")
        make_random_weights.write(public, make_random_weights.shapes(source, sizes))
        made, _, skipped = layouts.convert(
            source, cache.read_tensors(public), public, sizes=sizes
        )
        assert not skipped
        made.write(imported)
        flagged.append(f"--init_{stream}={imported}")
        tensors[stream] = made.tensors
    return flagged, further, tensors


def trainings(monkeypatch, name, further):
    """Return [settings and given flags] of a row's trainings.

    The network has the paper's size.
    """
    calls = []
    monkeypatch.chdir(ROOT)  # flagfiles name others from there
    monkeypatch.setattr(processes, "call", calls.append)
    plan = reproduction.Plan("configs/a2d.flags", further)
    plan.train_and_score(
        reproduction.Stage(reproduction.SeededRow(Fold("RUNS"), name, seed=0))
    )
    found = []
    for main, *words in calls[:-1]:
        assert main == "train"
        values = command_line.Register()
        Config.define_flags(values)
        for flag in ("records", "workdir", "device"):
            values.define_string(flag, "", "")
        assert flagfiles.parse(["", *words], values) == [""]
        found.append(
            (Config.from_flags(values), Config.named_settings(values, "model"))
        )
    return found


@pytest.fixture(scope="module")
def start():
    """Start a Config: (the network's values before, the values after, the report).

    It keeps the last network.

    Of the paper's size one network is as much as a small machine holds.
    """
    last = {}

    def started(config):
        if config.model not in last:
            last.clear()
            tf.keras.utils.set_random_seed(0)
            network = Network(config.model, A2D)
            named = transfer.variables(network)
            before = {name: variable.numpy() for name, variable in named.items()}
            report = initial_weights.initialise(network, config)
            after = {name: variable.numpy() for name, variable in named.items()}
            last[config.model] = before, after, report
        return last[config.model]

    return started


@pytest.mark.parametrize("name", ANEW)
def test_row_starts_from_public_weights(name, files, start, monkeypatch):
    flagged, further, tensors = files
    first, *later = trainings(monkeypatch, name, [*further, *flagged])
    config = run_settings.resolve_config(*first)
    assert (config.model.rgb_convention, config.training.init_rgb) == (
        "matterport",
        flagged[0][11:],
    )
    before, after, report = start(config)

    assert {*report.loaded, *report.initialised} >= set(after)
    groups = {
        "_".join(key.replace("/", "_").split("_")[:2]) for key in report.initialised
    }
    assert groups == ANEW[name]
    for key, role in report.loaded.items():
        stream = "flow" if key.startswith("flow_resnet") else "rgb"
        if "(" not in role:
            np.testing.assert_array_equal(
                after[key], tensors[stream][role], err_msg=key
            )
    for key in set(report.initialised) & set(after):
        np.testing.assert_array_equal(after[key], before[key], err_msg=key)
    # it goes on with the first one's weights, whatever these are from
    for second, _ in later:
        assert not (second.training.init_rgb or second.training.init_flow)
        assert second.training.init_run.endswith(table_rows.phases(name)[0])
