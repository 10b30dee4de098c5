"""What TensorFlow's profile of training steps says of a GPU: kernels, scopes, idle
time.
"""

from __future__ import annotations

import collections
import re
from collections.abc import Iterable
from typing import Any

from a2d_tf.core.errors import InputError

_PARTS = "backbones|temporal_fusion|rpn|proposals|targets|roi_heads|roi_align|mask_head|optimizer"
_SCOPE = re.compile(rf"(?:^|/)({_PARTS})(?:_\d+)?(?=[/:]|$)")
_NMS = "NonMaxSuppression:"  # is in the name of such an op on the host
_KERNELS, _LONGEST = 10, 80  # kernels that are named; characters of a name


def scope(op: str) -> str:
    """Return the part of the network that an op's name is of, else 'others'."""
    found = _SCOPE.search(op)
    return found[1] if found else "others"


def covered(intervals: Iterable[tuple[int, int]]) -> int:
    """Return the length of the union of intervals (start, end)."""
    total, last = 0, -1
    for start, end in sorted(intervals):
        total += max(0, end - max(start, last))
        last = max(last, end)
    return total


def summary(space: Any, steps: int) -> dict[str, Any]:
    """Summarize the XSpace (`*.xplane.pb`) of some steps on a GPU: {figure: value}, of
    a step.

    Idle is a moment between the first and the last kernel at which none runs; `idle by
    NMS` is the part of it in which the host suppresses proposals. InputError where
    there is no kernel.
    """
    kernels, suppressed = [], []
    for plane in space.planes:
        on_gpu = plane.name.startswith("/device:GPU")
        for line in plane.lines:
            if on_gpu and not line.name.startswith("Stream"):
                continue  # a summary of the same kernels
            for event in line.events:
                start = 1000 * line.timestamp_ns + event.offset_ps
                name, end = (
                    plane.event_metadata[event.metadata_id].name,
                    start + event.duration_ps,
                )
                if on_gpu:
                    kernels.append((start, end, name, scope(_op(plane, event))))
                elif _NMS in name:
                    suppressed.append((start, end))
    if not kernels:
        raise InputError(
            "the profiler saw no kernel: CUPTI is missing, or not permitted"
        )
    times, ms = [kernel[:2] for kernel in kernels], 1e-9 / steps
    first, last, busy = min(times)[0], max(end for _, end in times), covered(times)
    suppressed = [
        (max(a, first), min(b, last)) for a, b in suppressed if a < last and b > first
    ]
    parts, names = collections.Counter(), collections.Counter()
    for start, end, name, part in kernels:
        parts[part] += ms * (end - start)
        names[name[:_LONGEST]] += ms * (end - start)
    return {
        "launches": (
            sum(not name.startswith("Mem") for _, _, name, _ in kernels) / steps
        ),
        "copies to the host": (
            sum("MemcpyD2H" in name for _, _, name, _ in kernels) / steps
        ),
        "traced ms": ms * (last - first),
        "idle ms": ms * (last - first - busy),
        "idle by NMS ms": ms * (covered([*times, *suppressed]) - busy),
        "ms by scope": dict(parts.most_common()),
        "ms by kernel": dict(names.most_common(_KERNELS)),
    }


def _op(plane, event):
    """The name of the op that launched a kernel."""
    names = plane.stat_metadata
    found = [
        stat.ref_value
        for stat in event.stats
        if names[stat.metadata_id].name == "tf_op"
    ]
    return names[found[0]].name if found else ""
