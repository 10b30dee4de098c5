"""Small tensors joined into one vector, so that one operation serves all of them.

A network has hundreds of small variables, and to start an operation takes longer than
to compute it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import tensorflow as tf

_CPU_LIMIT = 2**12
# To launch a GPU's kernel takes as long as to copy some megabytes.
_GPU_LIMIT = 2**22


def limit_for(on_gpu: bool) -> int:
    """Return the most elements of a tensor that is joined with others."""
    return _GPU_LIMIT if on_gpu else _CPU_LIMIT


def is_small(tensor: tf.Tensor | tf.Variable, limit: int) -> bool:
    """Return whether a tensor is joined with others."""
    return tensor.shape.num_elements() <= limit


def join(tensors: Sequence[tf.Tensor], limit: int) -> list[tf.Tensor]:
    """Join the small tensors, all of one type.

    Returns:
      the vector of all small tensors, if there are any; then the others as they are.
    """
    small = []
    large = []
    for tensor in tensors:
        if is_small(tensor, limit):
            small.append(_reshaped(tensor, [tensor.shape.num_elements()]))
        else:
            large.append(tensor)
    if not small:
        return large
    return [tf.concat(small, axis=0), *large]


def join_values(variables: Sequence[tf.Variable], limit: int) -> list[tf.Tensor]:
    """Join the values that variables have now, as `join` does."""
    return join([variable.read_value() for variable in variables], limit)


def split(
    joined: Sequence[tf.Tensor], like: Sequence[tf.Tensor], limit: int
) -> list[tf.Tensor]:
    """Invert `join`.

    Args:
      joined: the result of `join`, or tensors of its shapes.
      like: tensors of the shapes that were given to `join`.
    """
    remaining = iter(joined)
    sizes = [tensor.shape.num_elements() for tensor in like if is_small(tensor, limit)]
    pieces: Iterator[tf.Tensor] = iter([])
    if sizes:
        pieces = iter(tf.split(next(remaining), sizes))
    tensors = []
    for tensor in like:
        if is_small(tensor, limit):
            tensors.append(_reshaped(next(pieces), tensor.shape))
        else:
            tensors.append(next(remaining))
    return tensors


def approach(
    variables: Sequence[tf.Variable],
    aims: Sequence[tf.Tensor],
    rate: tf.Tensor | float,
    limit: int,
) -> None:
    """Move variables by a share of the way to their aims.

    Args:
      variables: of this replica.
      aims: the values to move to, as returned by `join`.
      rate: the share.
      limit: with which the aims were joined.
    """
    values = join_values(variables, limit)
    moved = [value - rate * (value - aim) for value, aim in zip(values, aims)]
    assign(variables, moved, limit)


def assign(
    variables: Sequence[tf.Variable], joined: Sequence[tf.Tensor], limit: int
) -> None:
    """Assign values that `join` has joined to their variables."""
    for variable, value in zip(variables, split(joined, variables, limit)):
        variable.assign(value)


def _reshaped(tensor, shape):
    """Reshape a tensor of another shape; each operation takes time to trace."""
    if tensor.shape == shape:
        return tensor
    return tf.reshape(tensor, shape)
