"""Small tensors joined into one vector, so that one operation serves all of them.

A network has hundreds of small variables, and to start an operation takes longer than
to compute it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Joiner:
    """Joins tensors of up to `limit` elements; larger ones stay alone."""

    limit: int

    def is_small(self, tensor: tf.Tensor | tf.Variable) -> bool:
        """Return whether a tensor is joined with others."""
        return tensor.shape.num_elements() <= self.limit

    def join(self, tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Join the small tensors, all of one type.

        Returns:
          the vector of all small tensors, if there are any; then the others as they
          are.
        """
        small = []
        large = []
        for tensor in tensors:
            if self.is_small(tensor):
                small.append(_reshaped(tensor, [tensor.shape.num_elements()]))
            else:
                large.append(tensor)
        if not small:
            return large
        return [tf.concat(small, axis=0), *large]

    def join_values(self, variables: Sequence[tf.Variable]) -> list[tf.Tensor]:
        """Join the values that variables have now, as `join` does."""
        return self.join([variable.read_value() for variable in variables])

    def split(
        self, joined: Sequence[tf.Tensor], like: Sequence[tf.Tensor]
    ) -> list[tf.Tensor]:
        """Invert `join`.

        Args:
          joined: the result of `join`, or tensors of its shapes.
          like: tensors of the shapes that were given to `join`.
        """
        remaining = iter(joined)
        sizes = [x.shape.num_elements() for x in like if self.is_small(x)]
        pieces: Iterator[tf.Tensor] = iter([])
        if sizes:
            pieces = iter(tf.split(next(remaining), sizes))
        tensors = []
        for tensor in like:
            if self.is_small(tensor):
                tensors.append(_reshaped(next(pieces), tensor.shape))
            else:
                tensors.append(next(remaining))
        return tensors

    def approach(
        self,
        variables: Sequence[tf.Variable],
        aims: Sequence[tf.Tensor],
        rate: tf.Tensor | float,
    ) -> None:
        """Move variables by a share of the way to their aims.

        Args:
          variables: of this replica.
          aims: the values to move to, as returned by `join`.
          rate: the share.
        """
        values = self.join_values(variables)
        moved = [value - rate * (value - aim) for value, aim in zip(values, aims)]
        self.assign(variables, moved)

    def assign(
        self, variables: Sequence[tf.Variable], joined: Sequence[tf.Tensor]
    ) -> None:
        """Assign values that `join` has joined to their variables."""
        for variable, value in zip(variables, self.split(joined, variables)):
            variable.assign(value)


ON_CPU = Joiner(2**12)
# So that a GPU has few kernels to launch. The limit was not measured on one.
ON_GPU = Joiner(2**22)


def _reshaped(tensor: tf.Tensor, shape: Any) -> tf.Tensor:
    """Reshape a tensor of another shape; each operation takes time to trace."""
    if tensor.shape == shape:
        return tensor
    return tf.reshape(tensor, shape)
