"""Where a step's time goes: the parts by name, the sums by hand, and one run."""

import json

import pytest
import tiny_network
from processes import run_tool
from test_mains import TINY

from a2d_tf.training import trace

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "name, part",
    [
        ("losses/features/towers/rgb_resnet_stem/Conv2D", ("towers", False)),
        ("losses/features/rpn/rpn_conv_3/Relu", ("rpn", False)),
        ("gradient_tape/losses/features/towers/flow_fpn_p2/Conv2DBackpropFilter", ("towers", True)),
        ("losses/roi_heads/roi_align_an/crop_2/CropAndResize", ("RoIAlign", False)),
        ("losses/mask_head_1/mask_conv1/Conv2D", ("mask head", False)),
        ("losses/targets_2/Select", ("sampling, targets", False)),
        ("losses/proposals/TopKV2", ("proposals", False)),
        ("gradient_tape/losses/mul/Mul", ("losses", True)),
        ("optimizer/AdamW/AdamW/update/ResourceApplyAdam", ("optimizer", False)),
        ("SequenceMask/Less", ("other", False)),
    ],
)
def test_an_operation_belongs_to_the_part_that_its_scopes_name(name, part):
    assert trace.part_of(name) == part


def test_what_an_operation_called_is_not_its_own_time():
    # A caller of 100 with two calls, of which the first has one of its own; and one that follows.
    events = [(20, 50), (0, 100), (60, 70), (25, 30), (100, 140)]
    assert trace.self_times(events) == [25, 60, 10, 5, 40]


def test_sums_by_part_and_by_type():
    found = [
        ("losses/features/towers/a/Conv2D", "Conv2D", 6.0),
        ("gradient_tape/losses/features/towers/a/Conv2D", "Conv2D", 8.0),
        ("losses/features/towers/b/Relu", "Relu", 2.0),
        ("optimizer/Sum", "Sum", 4.0),
    ]
    parts, types = trace.tables(found, steps=2)
    assert parts == [
        {"part": "towers", "forward_ms": 4.0, "backward_ms": 4.0, "percent": 80.0},
        {"part": "optimizer", "forward_ms": 2.0, "backward_ms": 0.0, "percent": 20.0},
    ]
    assert types == [
        {"type": "Conv2D", "ms": 7.0, "calls": 1.0, "percent": 70.0},
        {"type": "Sum", "ms": 2.0, "calls": 0.5, "percent": 20.0},
        {"type": "Relu", "ms": 1.0, "calls": 0.5, "percent": 10.0},
    ]


def test_a_profile_of_a_small_network(mini_records, tmp_path):
    output = tmp_path / "profile"
    done = run_tool(
        "profile_step",
        *TINY,
        "--traced_steps=2",
        "--device=cpu",
        f"--records={mini_records.directory}",
        f"--output={output}",
    )
    assert done.returncode == 0, done.stderr
    report = json.loads((output / "profile.json").read_text())
    parts = {row["part"]: row for row in report["parts"]}
    assert set(parts) - {"other"} == {*trace.PARTS.values()} - {"refiner"}
    for name in ("towers", "context", "rpn", "RoIAlign", "heads", "mask head"):
        assert parts[name]["forward_ms"] > 0 < parts[name]["backward_ms"], name
    for name in ("proposals", "sampling, targets", "optimizer"):
        assert parts[name]["forward_ms"] > 0 == parts[name]["backward_ms"], name
    calls = {row["type"]: row["calls"] for row in report["types"]}
    backward = calls["Conv2DBackpropInput"]
    forward = sum(calls.get(name, 0) for name in ("Conv2D", "Conv2DWithBias"))
    assert forward - backward == 2  # no gradient reaches the pixels and the flow
    assert calls["ResourceApplyKerasMomentum"] == len(tiny_network.make().variables)
    for rows in (report["parts"], report["types"]):
        assert sum(row["percent"] for row in rows) == pytest.approx(100)
        assert rows[0]["part" if "part" in rows[0] else "type"] in done.stdout
    assert report["step_ms"] > 0 and report["data_wait_ms"] >= 0 and report["batch_size"] == 2
    assert list(output.glob("plugins/profile/*/*.xplane.pb"))
