"""Arrays of boxes, checked and converted, whether given by a caller or by a file."""

from __future__ import annotations

import collections
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from a2d_tf.core import files
from a2d_tf.core.errors import InputError, quoted


class Fields(NamedTuple):
    """The fields of one source, each an array or lists.

    A length of a shape may be None, which stands for any.

    Attributes:
      source: its name in messages.
    """

    source: str

    def frames(self, frames: Any) -> np.ndarray:
        """Return the names of frames as an array.

        Raises:
          InputError: one is no `<VID>/<frame>`, or is listed twice.
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
        """Return indices of frames as int64 [N]; InputError if one has no frame."""
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
        """Return scores as floats of 32 bits or more; InputError if they are none."""
        scores = _array(scores, "f")
        if not _are_finite(scores, shape):
            raise self._wrong(name, f"finite numbers {_of_shape(shape)}", scores)
        return scores.astype(np.result_type(scores.dtype, np.float32), copy=False)

    def boxes(self, name: str, boxes: Any, shape: tuple) -> np.ndarray:
        """Return boxes as float32.

        Raises:
          InputError: they are no such, or an edge lies before the opposite one.
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
