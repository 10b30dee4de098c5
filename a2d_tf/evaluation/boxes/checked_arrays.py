"""Checks and conversions of arrays of boxes, which come from a caller or a file."""

from __future__ import annotations

import collections
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from a2d_tf.core import files
from a2d_tf.core.errors import InputError, quoted


class Fields(NamedTuple):
    """Checks and converts the fields of a table of boxes; each is an array or a list.

    An argument `name` is the name of the field in messages. A length in an argument
    `shape` may be None, which stands for any length.

    Attributes:
      source: what messages call the table: the path of its file, or such as "truth".
    """

    source: str

    def frames(self, frames: Any) -> np.ndarray:
        """Return the names of frames as an array of strings [F].

        Args:
          frames: F names, each `<VID>/<frame>`: the name of a video and a number.

        Raises:
          InputError: a name has not the form `<VID>/<frame>`, or is listed twice.
        """
        frames = _array(frames, "U")
        if frames.ndim != 1 or frames.dtype.kind != "U":
            raise self._wrong("frames", "strings of shape [any]", frames)
        for frame, count in collections.Counter(frames.tolist()).items():
            if count > 1 or not files.is_frame_name(frame):
                raise InputError(
                    f"{self.source}: field 'frames': {quoted(frame)} is listed twice,"
                    " or not VID/frame"
                )
        return frames

    def frame_indices(self, name: str, indices: Any, frames: np.ndarray) -> np.ndarray:
        """Return indices of frames as int64 [N].

        Args:
          name: the name of the field.
          indices: N integers, indices into `frames`.
          frames: [F], the names of the frames.

        Raises:
          InputError: they are no integers, or one is not an index into `frames`.
        """
        indices = _array(indices, "i")
        if indices.ndim != 1 or indices.dtype.kind not in "iu":
            raise self._wrong(name, "integers of shape [any]", indices)
        indices = indices.astype(np.int64, copy=False)
        if not np.isin(indices, np.arange(len(frames))).all():
            raise InputError(
                f"{self.source}: field '{name}' must index the {len(frames)} frames"
            )
        return indices

    def scores(self, name: str, scores: Any, shape: tuple) -> np.ndarray:
        """Return scores as an array of 32-bit floats or wider ones.

        Args:
          name: the name of the field.
          scores: numbers.
          shape: the shape that they must have.

        Raises:
          InputError: they are no finite numbers of that shape.
        """
        scores = _array(scores, "f")
        if not _are_finite(scores, shape):
            raise self._wrong(name, f"finite numbers {_of_shape(shape)}", scores)
        return scores.astype(np.result_type(scores.dtype, np.float32), copy=False)

    def boxes(self, name: str, boxes: Any, shape: tuple) -> np.ndarray:
        """Return boxes as float32 [..., 4].

        Args:
          name: the name of the field.
          boxes: numbers, (y1, x1, y2, x2) in the last dimension.
          shape: the shape that they must have.

        Raises:
          InputError: they are no finite numbers of that shape, or a second edge lies
            before the first, such as x2 < x1.
        """
        boxes = _array(boxes, "f")
        if not _are_finite(boxes, shape) or (boxes[..., 2:] < boxes[..., :2]).any():
            expected = f"finite numbers {_of_shape(shape)} (x1 <= x2 and y1 <= y2)"
            raise self._wrong(name, expected, boxes)
        return boxes.astype(np.float32, copy=False)

    def _wrong(self, name: str, expected: str, values: Any) -> InputError:
        """Return the error of a field that has another type, shape or content."""
        return InputError(
            f"{self.source}: field '{name}' must be {expected}; got {values.dtype}"
            f" {list(values.shape)}"
        )


def _array(values: Any, empty_dtype: Any) -> np.ndarray:
    """Return values as an array; NumPy does not know the type of an empty list."""
    values = np.asarray(values)
    return values if values.size else values.astype(empty_dtype)


def _are_finite(values: Any, shape: Sequence) -> bool:
    """Return whether values are finite numbers of a shape."""
    if values.ndim != len(shape) or values.dtype.kind not in "fiu":
        return False
    for expected, length in zip(shape, values.shape):
        if expected not in (None, length):
            return False
    return bool(np.isfinite(values).all())


def _of_shape(shape: Sequence) -> str:
    """Say a shape in a message."""
    lengths = ", ".join("any" if n is None else str(n) for n in shape)
    return f"of shape [{lengths}]"
