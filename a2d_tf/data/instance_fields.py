"""What is annotated of instances beside label, box and mask: points, or numbers.

An entry of FIELDS takes a field from files in this project's own format through records
and augmentation to the heads (`BatchTruth.fields`) and metrics (`ClipTruth.fields`). A
result of the same name that a head computes of instances goes to exports, metrics and
`detections.json`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from a2d_tf.core.errors import InputError, quoted

_LARGEST = 1e38  # of float32


class Field(NamedTuple):
    """A field of instances, float32 [N, *shape], NaN where it is not annotated.

    Attributes:
      shape: of one instance.
      moves: whether it holds points, (y, x) in pixels of the frame on the last axis,
        which are resized, cropped and mirrored with it. In files points are (x, y).
    """

    name: str
    shape: tuple[int, ...] = ()
    moves: bool = False

    def read(self, value: Any, ratio: np.ndarray) -> np.ndarray:
        """Return the value of an annotation; `ratio` [2] is frame size over annotated
        size.

        Raises:
          InputError: it is not numbers of this shape.
        """
        if value is None:
            return np.full(self.shape, np.nan, np.float32)
        try:
            values = np.array(value)
        except ValueError:  # lists of different lengths
            values = np.zeros(0)
        numbers = values.dtype.kind in "iuf" and (np.abs(values) < _LARGEST).all()
        if values.shape != self.shape or not numbers:
            raise InputError(
                f"'{self.name}' {quoted(value)} is not finite numbers of shape"
                f" {[*self.shape]}"
            )
        values = self.scaled(values[..., ::-1], ratio) if self.moves else values
        return values.astype(np.float32)

    def scaled(self, values: Any, ratio: Any) -> Any:
        """Return values [..., *shape] for frames that are resized by `ratio`.

        `ratio` [..., 2] has the axes of the values before `shape`, or some that
        broadcast to them.
        """
        if not self.moves:
            return values
        return values * ratio[(..., *[None] * (len(self.shape) - 1), slice(None))]

    def written(self, values: np.ndarray) -> Any:
        """Return the values of an instance as in files."""
        if self.moves:
            return np.round(values[..., ::-1], 2).tolist()
        return np.round(values, 6).tolist()


FIELDS: tuple[Field, ...] = ()


def scaled(results: dict[str, Any], ratio: Any) -> dict[str, Any]:
    """Return results of heads by name, of which those that are FIELDS are scaled."""
    fields = {field.name: field for field in FIELDS}
    return {
        k: fields[k].scaled(v, ratio) if k in fields else v for k, v in results.items()
    }
