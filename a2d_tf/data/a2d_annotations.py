"""Reader of A2D's HDF5 annotations, the ground truth of single frames.

There are two forms of the same arrays: the release's `.mat` (MATLAB v7.3, Xu et al., CVPR 2015),
and the `.h5` with instance numbers of the sentence annotations (Gavrilyuk et al., CVPR 2018). HDF5
holds every MATLAB array transposed, without a last dimension of one.

The known faults of published files can be repaired only where the file numbers its instances (field
`instance`); `Annotation.note` then describes the repair:
  - masks, boxes and ids beyond the numbered instances are dropped;
  - of instances with the same number only the first is kept;
  - a missing `reS_id` is painted from the masks, smaller over larger.
"""

from __future__ import annotations

import dataclasses
import math
import pathlib
from collections.abc import Sequence

import h5py
import numpy as np

from a2d_tf.core.errors import MAX_INSTANCES, MAX_MASK_PIXELS, InputError
from a2d_tf.core.files import UNREADABLE
from a2d_tf.core.labels import LabelSpace


@dataclasses.dataclass(frozen=True)
class Annotation:
    """The ground truth of one frame, at the size of the video.

    Attributes:
      label_map: codes [H, W], in the label space's `code_dtype`; 0 is background.
      masks: bool [N, H, W], one mask per instance; they may overlap.
      codes: int32 [N].
      boxes: float32 [N, 4], y1, x1, y2, x2, pixels, 0-based half-open, inside the frame.
      note: description of repairs, '' if there were none.
      tracks: int64 [N], the identity of each instance in its video, -1 where unknown; None where
        the source has none.
    """

    label_map: np.ndarray
    masks: np.ndarray
    codes: np.ndarray
    boxes: np.ndarray
    note: str = ""
    tracks: np.ndarray | None = None


def read_hdf5(path: pathlib.Path, size: tuple[int, int], label_space: LabelSpace) -> Annotation:
    """Read a `.mat` or `.h5` file.

    Args:
      path: the file.
      size: (height, width) of the frame.
      label_space: label space of its codes.

    Raises:
      InputError: the file is missing or broken; names file and field.
    """
    try:
        with h5py.File(path, "r") as file:
            return _Hdf5(path, file, size).annotation(label_space)
    except InputError:
        raise
    except UNREADABLE as error:
        raise InputError(
            f"{path}: not a readable HDF5 file ({error}); restore it, or save it with -v7.3"
        ) from error


def paint(masks: np.ndarray, codes: Sequence[int] | np.ndarray, dtype: type) -> np.ndarray:
    """Paint a label map from masks, smaller ones over larger ones.

    Args:
      masks: bool [N, H, W].
      codes: integers [N].
      dtype: dtype of the label map.

    Returns:
      codes [H, W], 0 outside of all masks.
    """
    label_map: np.ndarray = np.zeros(masks.shape[1:], dtype)
    for i in np.argsort(-masks.sum(axis=(1, 2)), kind="stable"):
        label_map[masks[i]] = codes[i]
    return label_map


class _Hdf5:
    """An open annotation file, of a frame of `size` (height, width)."""

    def __init__(self, path, file, size):
        self._path, self._file, self._size = path, file, size
        self._fields = {}
        self._counter = "instance" if "instance" in file else "id"
        self._count = self._claimed(self._counter)
        self._notes = []

    def annotation(self, label_space: LabelSpace) -> Annotation:
        """Return the file's annotation."""
        numbered = self._counter == "instance"
        rows = self._distinct() if numbered else np.arange(self._count)
        codes = self._column("id")[rows]
        self._check_codes("id", codes, label_space.codes)

        if "reS_id" in self._file or not numbered:
            label_map = self._read("reS_id", self._size[::-1]).T
            self._check_codes("reS_id", label_map, (0, *label_space.codes))

        stored, width_height = self._stored("reMask"), self._size[::-1]
        squeezed = [width_height] if stored == 1 else []
        masks = self._read("reMask", (stored, *width_height), *squeezed)
        masks = masks.reshape(stored, *width_height).transpose(0, 2, 1)[rows] != 0
        for i in np.flatnonzero(~masks.any(axis=(1, 2))):
            raise self._error("reMask", f"the mask of instance {rows[i] + 1} is empty")

        stored = self._stored("reBBox")
        corners = self._read("reBBox", (4, stored), *([(4,)] if stored == 1 else []))
        boxes = self._boxes(corners.reshape(4, stored).T, rows)

        if "reS_id" not in self._file:
            label_map = paint(masks, codes, label_space.code_dtype)
            self._notes.append("'reS_id' is missing: painted from the masks, smaller over larger")
        return Annotation(
            np.ascontiguousarray(label_map, label_space.code_dtype),
            np.ascontiguousarray(masks),
            codes.astype(np.int32),
            boxes,
            "; ".join(self._notes),
        )

    def _error(self, field, problem):
        return InputError(
            f"{self._path}: '{field}': {problem}; mend the file or restore it from the release"
        )

    def _field(self, field):
        """Return (data set, shape) of a numeric array; cached, because h5py is slow."""
        if field not in self._fields:
            data = self._file.get(field)
            if data is None:
                raise self._error(field, "field missing")
            if not isinstance(data, h5py.Dataset) or data.dtype.kind not in "buif":
                raise self._error(field, "not an array of numbers")
            # MATLAB writes an empty array as the list of its dimensions, marked by this attribute.
            self._fields[field] = data, (0,) if data.attrs.get("MATLAB_empty", 0) else data.shape
        return self._fields[field]

    def _claimed(self, field):
        """Return the number of instances by an array's shape, whose axis is dropped if N = 1."""
        _, shape = self._field(field)
        if 0 in shape:
            return 0
        if field in ("reMask", "reBBox"):
            dimensions, axis = (3, 0) if field == "reMask" else (2, 1)
            number = shape[axis] if len(shape) == dimensions else 1
        else:
            number = math.prod(shape)
        most = min(MAX_INSTANCES, MAX_MASK_PIXELS // math.prod(self._size))
        if number > most:
            raise self._error(field, f"claims {number} instances, more than {most}")
        return number

    def _stored(self, field):
        """Return the number of instances to read: the file's, or more if it numbers them."""
        claimed = self._claimed(field)
        if self._counter != "instance" or claimed <= self._count:
            return self._count
        self._notes.append(
            f"'{field}' holds {claimed} instances, 'instance' numbers {self._count}: the surplus "
            "is dropped"
        )
        return claimed

    def _column(self, field):
        """Read an array of one number per instance."""
        stored = self._stored(field)
        return self._read(field, (1, stored), (stored, 1), (stored,)).reshape(stored)

    def _distinct(self):
        """Return the indices of the instances whose number no earlier one has."""
        numbers = self._column("instance")
        _, first = np.unique(numbers, return_index=True)
        for i in sorted(set(range(len(numbers))) - set(first)):
            self._notes.append(
                f"'instance' has number {numbers[i]:g} again: its later instance is dropped"
            )
        return np.sort(first)

    def _read(self, field, *shapes):
        """Read an array if its shape is one of `shapes`, of which the first is the usual one."""
        data, shape = self._field(field)
        if 0 in shapes[0] and 0 in shape:
            return np.zeros(shapes[0])
        if shape not in shapes:
            wanted = f"{shapes[0]}, for {self._count} instances ('{self._counter}')"
            raise self._error(field, f"has HDF5 shape {shape}, not {wanted}")
        return data[()]

    def _check_codes(self, field, codes, known):
        is_known = np.zeros(1 << 16, bool)  # a table: np.isin is as slow as reading the file
        is_known[list(known)] = True
        with np.errstate(invalid="ignore"):
            whole = codes.astype(np.uint16)
        unknown = codes[(whole != codes) | ~is_known[whole]]
        if unknown.size:
            raise self._error(
                field, f"code {unknown.flat[0]:g} is not in the label space (see --labels)"
            )

    def _boxes(self, corners, rows):
        """Convert 1-based inclusive x1, y1, x2, y2 to half-open boxes, clipped to the frame."""
        (height, width), corners = self._size, corners[rows]
        if not np.isfinite(corners).all():
            raise self._error("reBBox", "a corner is not finite")
        x1, y1, x2, y2 = corners.astype(np.float64).T
        boxes = np.stack([y1 - 1, x1 - 1, y2, x2], axis=1)
        boxes = np.clip(boxes, 0, [height, width, height, width]).astype(np.float32)
        for i in np.flatnonzero((boxes[:, 2:] <= boxes[:, :2]).any(axis=1)):
            box = f"box {corners[i].tolist()} (x1, y1, x2, y2) of instance {rows[i] + 1}"
            raise self._error("reBBox", f"{box} is outside the frame, {width}x{height}")
        return boxes
