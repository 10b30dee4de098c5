"""Small tensors, joined into one vector for a single operation.

A network has hundreds of small variables. To start an operation on one of them takes
longer than to compute it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Joiner:
    """Joins small tensors into one vector, and leaves large ones as they are.

    Attributes:
      most_elements: the largest number of elements of a small tensor.
    """

    most_elements: int

    def is_small(self, tensor: tf.Tensor | tf.Variable) -> bool:
        """Return whether a tensor is small enough to be joined with others."""
        return tensor.shape.num_elements() <= self.most_elements

    def join(self, tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Join the small ones of several tensors into one vector.

        Args:
          tensors: tensors of any static shapes, all of one dtype.

        Returns:
          the vector of all small tensors, if there are any; then each large tensor as
          it is.
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

    def join_variables(self, variables: Sequence[tf.Variable]) -> list[tf.Tensor]:
        """Join the current values of variables into one vector, as `join` does."""
        return self.join([variable.read_value() for variable in variables])

    def split(
        self, joined: Sequence[tf.Tensor], like: Sequence[tf.Tensor]
    ) -> list[tf.Tensor]:
        """Split a vector of small tensors into these again, the inverse of `join`.

        Args:
          joined: the result of `join`, or tensors of the same shapes.
          like: tensors of the shapes that `join` was given, in the same order.

        Returns:
          a tensor for each of `like`, of its shape.
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

    def interpolate(
        self,
        variables: Sequence[tf.Variable],
        goals: Sequence[tf.Tensor],
        share: tf.Tensor | float,
    ) -> None:
        """Move variables in place by a share of the way to given values.

        Args:
          variables: the variables, as this replica has them.
          goals: the values to move to, one for each variable, joined by `join`.
          share: 0 to stay, 1 to take the values.
        """
        values = self.join_variables(variables)
        moved = [value - share * (value - goal) for value, goal in zip(values, goals)]
        self.assign(variables, moved)

    def assign(
        self, variables: Sequence[tf.Variable], joined: Sequence[tf.Tensor]
    ) -> None:
        """Assign new values to variables.

        Args:
          variables: the variables, as this replica has them.
          joined: a value for each variable, joined by `join`.
        """
        for variable, value in zip(variables, self.split(joined, variables)):
            variable.assign(value)


CPU_JOINER = Joiner(2**12)
# So that a GPU has few kernels to launch. The number was not measured on one.
GPU_JOINER = Joiner(2**22)


def _reshaped(tensor: tf.Tensor, shape: Any) -> tf.Tensor:
    """Reshape a tensor of another shape; each operation takes time to trace."""
    if tensor.shape == shape:
        return tensor
    return tf.reshape(tensor, shape)
