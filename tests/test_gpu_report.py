"""The report of a GPU ends, goes on where it was, and judges what it has seen."""

import json
import os
import select

import pytest
from processes import run_tool, succeeded
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from tools.benchmarks import processes, trace, verdicts


@pytest.mark.slow
def test_without_a_gpu(tmp_path):
    """Too short a limit is named; a larger one tries again, as does a call after a
    failure.
    """

    def rows(*further):
        succeeded(
            run_tool("gpu_report", f"--output={tmp_path}", "--only=profile", *further)
        )
        return json.loads((tmp_path / "report.json").read_text())

    assert [row["reason"] for row in rows("--limit_s=1")] == [
        "took more than --limit_s=1"
    ] * 2
    assert "tensorflow==" in rows()[0]["values"]["packages"]
    assert "means nothing here: no GPU" in (tmp_path / "report.html").read_text()
    (tmp_path / "rows/machine.json").write_text(
        '{"row": "machine", "values": {"gpus": ["old"]}}'
    )
    (tmp_path / "rows/profile.json").write_text('{"row": "profile", "reason": "other"}')
    machine, profile = rows()
    assert machine["values"]["gpus"] == [] and profile["reason"] == "needs a GPU"
    (tmp_path / "rows/profile.json").write_text(
        '{"row": "profile", "values": {"launches": 3}}'
    )
    assert rows()[1]["values"] == {"launches": 3}


def test_a_command_that_hangs_ends_with_its_children_and_one_that_crashes_says_why():
    reader, writer = os.pipe()
    ended = processes.run(
        ["sh", "-c", "sleep 60 & echo begun; wait"], 1, pass_fds=[writer]
    )
    os.close(writer)
    assert ended.status is None and ended.stdout == "begun\n"
    assert select.select([reader], [], [], 20)[0], "a child holds the pipe"
    os.close(reader)
    crash = processes.Ended(-11, "", "Fatal Python error: Aborted" + 3000 * ",", 1.0)
    assert crash.cause.startswith("status -11: Fatal Python error: Aborted,")
    assert processes.Ended(1, "", "error: one\nerror: two\nlog", 1.0).cause == "two"


def test_profile():
    """Two steps; milliseconds 1 to 3 and 4 to 5 on one stream, 2 to 6 and 9 to 10 on
    another.
    """
    space, ms = xplane_pb2.XSpace(), 10**9
    gpu, host = (
        space.planes.add(name="/device:GPU:0"),
        space.planes.add(name="/host:CPU"),
    )
    names = [
        "tf_op",
        "losses/features/backbones/c1/Conv2D:Conv2D",
        "cond/optimizer/mul:Mul",
    ]
    for key, name in enumerate([*names, "conv", "update", "MemcpyD2H"], 1):
        gpu.stat_metadata[key].name = gpu.event_metadata[key].name = name
    host.event_metadata[1].name = "losses/nms:CombinedNonMaxSuppression:"
    for line, name, op, start, end in (
        ("Stream #1", 4, 2, 1, 3),
        ("Stream #1", 5, 3, 4, 5),
        ("Stream #2", 4, 2, 2, 6),
        ("Stream #2", 6, 1, 9, 10),
        ("TensorFlow Ops", 4, 2, 0, 99),
    ):
        event = gpu.lines.add(name=line).events.add(
            metadata_id=name, offset_ps=start * ms
        )
        event.duration_ps = (end - start) * ms
        event.stats.add(metadata_id=1, ref_value=op)
    host.lines.add().events.add(metadata_id=1, offset_ps=5 * ms, duration_ps=3 * ms)
    assert trace.summary(space, 2) == {
        **{
            "launches": 1.5,
            "copies to the host": 0.5,
            "traced ms": 4.5,
            "idle ms": 1.5,
        },
        "idle by NMS ms": 1.0,
        "ms by scope": {"backbones": 3.0, "optimizer": 0.5, "others": 0.5},
        "ms by kernel": {"conv": 3.0, "update": 0.5, "MemcpyD2H": 0.5},
    }


def test_verdicts():
    machine = {"gpus": ["NVIDIA H100 80GB HBM3"], "computes": True, "small": False}
    rows = {
        "machine": machine,
        "cpu": {"losses": [2.0, 1.0]},
        "off": {"losses": [2.0, 1.01]},
    }
    step = {
        "step ms": 90.0,
        "allocated GB": 8.5,
        "nvidia-smi GB": None,
        "weights": "ab",
    }
    judged, memory = (
        verdicts.expected("float32"),
        "allocated GB as expected (7.7 to 9.8)",
    )
    assert judged(step, rows) == f"step ms above expected (60 to 85); {memory}"
    assert judged(step, {"machine": {**machine, "gpus": ["NVIDIA L4"]}}) == memory
    same = [
        verdicts.same_weights("one")(step, {"one": {"weights": x}})
        for x in ("ab", "cd")
    ]
    assert same == ["equal", "differs"]
    for curve, said in (
        ([2, 1.02], "agrees: at most 2 "),
        ([2, "NaN"], "differs: at most nan "),
    ):
        assert verdicts.close_losses("cpu", "off")({"losses": curve}, rows).startswith(
            said
        )
    with pytest.raises(LookupError):  # a curve that was cut is not judged
        verdicts.close_losses("cpu", "off")({"losses": [2]}, rows)
    assert verdicts.close_losses("cpu", "cpu")(rows["cpu"], rows).startswith(
        "agrees: at most 0 "
    )
    part = {"float32": 2e-6, "floor, float32": 1e-6, "TF32": 1e-2, "floor, TF32": 5e-3}
    parts = {"relative difference": {"rpn": part, "heads": {**part, "TF32": 0.1}}}
    right, wrong = (
        "agrees: at most 2 times the floor (rpn)",
        "differs: at most 20 times the floor",
    )
    assert (
        verdicts.close_gradients(parts, rows)
        == f"float32 {right}; TF32 {wrong} (heads)"
    )
    assert verdicts.nothing({**machine, "computes": False}) and not verdicts.nothing(
        machine
    )
