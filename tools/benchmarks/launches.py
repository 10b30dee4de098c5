"""Suite `launches`: the kernels and copies of a training step of configs/a2d.flags on a GPU.

Counted without one (`a2d_tf/training/doctor/launches.py`), in frames of 64 pixels: the counts do
not depend on it. Batch, frames, levels, RoIs and the network are those of the flagfile. The peer is
the same step before its small operations were joined. No figure is a measured time, so the machine
may be busy.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
from collections.abc import Iterator
from typing import NamedTuple
from unittest import mock

import tensorflow as tf

from a2d_tf.core import devices
from a2d_tf.core.labels import A2D
from a2d_tf.model import flavours, fpn
from a2d_tf.model.network import Network
from a2d_tf.ops import anchors
from a2d_tf.training.doctor import kernels, launches
from tools.benchmarks import inputs, measure, setups

_BEFORE = {"launches": 9705, "copies": 876}
_GOAL = 2.0  # times fewer
_SIDE = 64
_BUS = 12e9  # bytes a second: PCI Express 3.0 with 16 lanes in practice


def run(options: dict) -> tuple[list[dict], dict]:
    """Rows and details; `small`: a network of the smallest size."""
    devices.prepare("cpu", deterministic=True)
    small = options["small"]
    counts = {"": step(small)}
    rows, details = [], {}
    for suffix, made in counts.items():
        for kind, number in zip(("launches", "copies"), made):
            total, before = sum(number.values()), None if small else _BEFORE[kind]
            rows.append(
                measure.row(
                    f"{kind} of a step{suffix}",
                    kind,
                    float(total),
                    before,
                    higher_is_better=False,
                    goal=None if small else _GOAL,
                )
            )
        for part, number in launches.by_part(made).items():
            rows.append(measure.row(f"{part}{suffix}", "launches", float(number)))
        details[suffix or "step"] = _details(made)
    for name, (count, made) in suppressions(small).items():
        for way, number in made._asdict().items():
            rows.append(measure.row(f"{name}, bytes {way.replace('_', ' ')}", "kB", number / 1e3))
        seconds = sum(made) / _BUS
        rows.append(measure.row(f"{name}, copied at {_BUS / 1e9:.0f} GB/s", "us", 1e6 * seconds))
        details[name] = {"clips": count, **made._asdict()}
    return rows, details


def step(small: bool = False) -> launches.Counts:
    """Counts of a step as on a GPU, under op determinism."""
    config = setups.read("a2d", small)
    side = {} if small else {"image_height": _SIDE, "image_width": _SIDE}
    model = dataclasses.replace(config.model, **side)
    with as_on_gpu():
        network = Network(model, A2D, config.compute)
        size = model.image_height, model.image_width
        clips, instances = config.learning.batch_size, config.learning.max_instances
        batch = inputs.labelled(clips, model.frames, *size, instances=instances)
        call = setups.make_step(network, config.learning)[1]
        return launches.count(call, batch, tf.constant(0, tf.int64))


@contextlib.contextmanager
def as_on_gpu() -> Iterator[None]:
    """Inside, graphs are traced as where there is a GPU."""
    with mock.patch.object(devices, "on_gpu", lambda: True):
        yield


class Bytes(NamedTuple):
    """What one call copies between host and device."""

    to_the_host: int
    to_the_device: int


def suppressions(small: bool = False) -> dict[str, tuple[int, Bytes]]:
    """{call: (clips, bytes)} that the NMS of proposals copies, by the shapes of its graph.

    Unlike the launches they depend on the frames' size, which is the flagfile's.
    """
    config = setups.read("a2d", small)
    learning, inference = config.learning, config.inference
    return {
        "NMS of a training step": (
            learning.batch_size,
            _suppression(
                config.model, learning.batch_size, learning.before_nms, learning.train_proposals
            ),
        ),
        "NMS of an inference frame": (
            1,
            _suppression(config.model, 1, inference.proposals_before_nms, inference.test_proposals),
        ),
    }


def _suppression(model, clips, before_nms, after_nms):
    """Bytes of the NMS of some clips."""
    size = model.image_height, model.image_width
    shapes = [[-(-side // stride) for side in size] for stride in anchors.STRIDES]
    boxes = anchors.generate(shapes, anchors.STRIDES, model.anchors)
    coder = flavours.for_stream(model, "rgb").rpn_coder

    def propose(logits, deltas, size):
        numbers = {"before_nms": before_nms, "after_nms": after_nms}
        return fpn.propose(logits, deltas, boxes, size, coder=coder, **numbers)

    given = [
        tf.TensorSpec([clips, len(boxes)]),
        tf.TensorSpec([clips, len(boxes), 4]),
        tf.TensorSpec([clips, 2], tf.int32),
    ]
    graph = tf.function(propose, autograph=False).get_concrete_function(*given).graph
    (op,) = (op for op in graph.get_operations() if op.type in kernels.ON_HOST)
    read = [x for x in op.inputs if x.op.type != "Const"]
    used = [x for x in op.outputs if x.consumers()]
    return Bytes(*(sum(x.shape.num_elements() * x.dtype.size for x in xs) for xs in (read, used)))


def _details(counts):
    """For JSON: launches by part and op, copies by direction and the ops at both ends."""
    parts: dict = collections.defaultdict(dict)
    for (part, op), number in counts.launches.most_common():
        parts[part][op] = number
    copies = [
        {"direction": way, "from": source, "to": reader, "number": number}
        for (way, source, reader), number in counts.copies.most_common()
        if number
    ]
    return {"launches": parts, "copies": copies}
