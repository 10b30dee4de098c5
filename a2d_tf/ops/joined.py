"""Many small tensors as one vector: one operation on all of them rather than one on each.

To launch a kernel on a GPU takes as long as to copy some megabytes there.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from a2d_tf.core import devices

_ON_CPU, _ON_GPU = 2**12, 2**22
"""Most elements of a tensor that is worth joining to others."""


def join(tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Return one vector of all small tensors, of one type, and the large ones as they are."""
    small = [_shaped(x, [x.shape.num_elements()]) for x in tensors if is_small(x)]
    large = [x for x in tensors if not is_small(x)]
    return [tf.concat(small, axis=0), *large] if small else large


def split(groups: Sequence[tf.Tensor], like: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Invert `join`, which was given tensors like these."""
    small, large = [x for x in like if is_small(x)], list(groups)
    parts = tf.split(large.pop(0), [x.shape.num_elements() for x in small]) if small else []
    rest, parts = iter(large), iter(parts)
    return [_shaped(next(parts), x.shape) if is_small(x) else next(rest) for x in like]


def _shaped(x, shape):
    """Reshape a tensor that has another shape: each operation takes time to trace."""
    return x if x.shape == shape else tf.reshape(x, shape)


def is_small(x: tf.Tensor | tf.Variable) -> bool:
    """Return whether a tensor is worth joining to others."""
    return x.shape.num_elements() <= (_ON_GPU if devices.on_gpu() else _ON_CPU)
