"""Tables of a profiler's trace of training steps: time by part and by type of operation."""

from __future__ import annotations

import collections
import glob
import os
import re
from collections.abc import Iterable, Iterator
from typing import Any

# Parts of the step by the scope of operations, inner scopes first.
PARTS = {
    "roi_align_ar": "RoIAlign",
    "roi_align_an": "RoIAlign",
    "roi_align_mask": "RoIAlign",
    "roi_align": "RoIAlign",
    "towers": "towers",
    "context": "context",
    "rpn": "rpn",
    "roi_heads": "heads",
    "mask_head": "mask head",
    "refiner": "refiner",
    "proposals": "proposals",
    "targets": "sampling, targets",
    "optimizer": "optimizer",
    "losses": "losses",
}
OTHER = "other"
_BACKWARD = "gradient_tape"


def part_of(name: str) -> tuple[str, bool]:
    """Return the part that an operation belongs to, and whether it is of the gradient."""
    scopes = [re.sub(r"_\d+$", "", scope) for scope in name.split("/")]
    part = next((title for scope, title in PARTS.items() if scope in scopes), OTHER)
    return part, _BACKWARD in scopes


def read(folder: str) -> Any:
    """Return the newest trace of TensorFlow's profiler in a folder, an XSpace."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    traces = glob.glob(os.path.join(glob.escape(folder), "plugins", "profile", "*", "*.xplane.pb"))
    space = xplane_pb2.XSpace()
    with open(max(traces, key=os.path.getmtime), "rb") as file:
        space.ParseFromString(file.read())
    return space


def self_times(events: list[tuple[int, int]]) -> list[int]:
    """Return the duration of each event (start, end) of one thread without the events inside it."""
    times = [end - start for start, end in events]
    open_events: list[int] = []
    for index in sorted(range(len(events)), key=lambda i: (events[i][0], -events[i][1])):
        start, end = events[index]
        while open_events and events[open_events[-1]][1] <= start:
            open_events.pop()
        if open_events:
            times[open_events[-1]] -= end - start
        open_events.append(index)
    return times


def operations(space: Any) -> Iterator[tuple[str, str, float]]:
    """Yield (name, type, self time in ms) of every operation on the CPU.

    Args:
      space: an XSpace.
    """
    for plane in space.planes:
        if not plane.name.startswith("/host:CPU"):
            continue
        for line in plane.lines:
            named = []
            for event in line.events:
                kind = plane.event_metadata[event.metadata_id].display_name
                name = plane.event_metadata[event.metadata_id].name
                if kind and name.endswith(f":{kind}"):
                    named.append((name[: -len(kind) - 1], kind, event))
            spans = [(e.offset_ps, e.offset_ps + e.duration_ps) for _, _, e in named]
            for (name, kind, _), picoseconds in zip(named, self_times(spans)):
                # oneDNN kernels have names of their own.
                yield name, re.sub("^_Mkl(Native)?", "", kind), picoseconds / 1e9


def tables(
    operations: Iterable[tuple[str, str, float]], steps: int
) -> tuple[list[dict], list[dict]]:
    """Sum the operations of some steps by part and by type, slowest first, in ms per step.

    Args:
      operations: (name, type, ms) of `operations`.
      steps: number of steps in the trace.

    Returns:
      ([{part, forward_ms, backward_ms, percent}], [{type, ms, calls, percent}]).
    """
    parts: dict[str, list] = collections.defaultdict(lambda: [0.0, 0.0])
    types: dict[str, list] = collections.defaultdict(lambda: [0.0, 0])
    for name, kind, milliseconds in operations:
        part, backward = part_of(name)
        parts[part][backward] += milliseconds / steps
        types[kind][0] += milliseconds / steps
        types[kind][1] += 1
    whole = sum(map(sum, parts.values())) or 1.0
    by_part = [
        {
            "part": part,
            "forward_ms": forward,
            "backward_ms": backward,
            "percent": 100 * (forward + backward) / whole,
        }
        for part, (forward, backward) in sorted(parts.items(), key=lambda item: -sum(item[1]))
    ]
    by_type = [
        {"type": kind, "ms": spent, "calls": calls / steps, "percent": 100 * spent / whole}
        for kind, (spent, calls) in sorted(types.items(), key=lambda item: -item[1][0])
    ]
    return by_part, by_type


def text(report: dict) -> str:
    """Format the report as a table."""
    lines = [
        f"a step takes {report['step_ms']:.1f} ms, and waits {report['data_wait_ms']:.1f} ms for "
        f"its batch of {report['batch_size']} (medians of {report['steps']})",
        "operations, ms of one thread a step; threads work at the same time:",
        f"  {'part':20s} {'forward':>9s} {'backward':>9s} {'percent':>8s}",
    ]
    lines += [
        f"  {row['part']:20s} {row['forward_ms']:9.1f} {row['backward_ms']:9.1f} "
        f"{row['percent']:8.1f}"
        for row in report["parts"]
    ]
    lines.append(f"  {'type':34s} {'ms':>9s} {'calls':>6s} {'percent':>8s}")
    lines += [
        f"  {row['type']:34s} {row['ms']:9.1f} {row['calls']:6.0f} {row['percent']:8.1f}"
        for row in report["types"][:15]
    ]
    return "\n".join(lines)
