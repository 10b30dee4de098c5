"""Reader of A2D's HDF5 annotations, the ground truth of single frames.

There are two forms of the same arrays: the release's `.mat` (MATLAB v7.3, Xu et al.,
CVPR 2015), and the `.h5` with instance numbers of the sentence annotations (Gavrilyuk
et al., CVPR 2018). HDF5 holds every MATLAB array transposed, without a last dimension
of one.

The known faults of published files can be repaired only where the file numbers its
instances (field `instance`); `Annotation.note` then describes the repair:
  - masks, boxes and ids beyond the numbered instances are dropped;
  - of instances with the same number only the first is kept;
  - a missing `reS_id` is painted from the masks, smaller over larger.
"""

from __future__ import annotations

import functools
import math
import pathlib
from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np

from a2d_tf.core.errors import InputError
from a2d_tf.core.files import UNREADABLE
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data.sources.annotation import Annotation, paint


def read_hdf5(
    path: pathlib.Path, size: tuple[int, int], label_space: LabelSpace
) -> Annotation:
    """Read the annotation of a frame from a `.mat` or `.h5` file of A2D.

    Args:
      path: the file.
      size: (height, width) of the frame, pixels.
      label_space: the label space of the codes, in which each must be.

    Returns:
      the annotation; its `note` describes repairs.

    Raises:
      InputError: the file is missing or a field is broken; names file and field.
    """
    try:
        with h5py.File(path, "r") as file:
            return _Hdf5(file, size).annotation(label_space)
    except UNREADABLE as error:
        raise InputError(
            f"{path}: {error}; repair the HDF5 file (saved by MATLAB with -v7.3), or"
            " restore it"
        ) from error


class _Hdf5:
    """An open annotation file, of a frame of `size` (height, width)."""

    def __init__(self, file: h5py.File, size: tuple[int, int]) -> None:
        self._file = file
        self._size = size
        self._is_numbered = "instance" in file
        self._notes: list[str] = []

    def annotation(self, label_space: LabelSpace) -> Annotation:
        """Return the file's annotation; raise ValueError if a field is broken."""
        if self._is_numbered:
            indices = self._first_indices(self._read_per_instance("instance"))
        else:
            indices = np.arange(self._count)
        codes = self._read_per_instance("id")[indices]
        _check_codes("id", codes, label_space.codes)
        stored_masks = self._read_per_instance("reMask", self._size[::-1])
        masks = stored_masks.transpose(0, 2, 1)[indices] != 0
        empty = indices[~masks.any(axis=(1, 2))]
        if empty.size:
            raise ValueError(f"'reMask': the mask of instance {empty[0] + 1} is empty")
        corners = self._read_per_instance("reBBox", (4,), axis=1)
        boxes = self._boxes(corners[indices], indices)
        if self._is_numbered and "reS_id" not in self._file:
            label_map = paint(masks, codes, label_space.code_dtype)
            self._notes.append(
                "'reS_id' is missing: painted from the masks, smaller over larger"
            )
        else:
            label_map = self._read("reS_id", [self._size[::-1]]).T
            _check_codes("reS_id", label_map, (0, *label_space.codes))
        return Annotation(
            label_map=np.ascontiguousarray(label_map, label_space.code_dtype),
            masks=np.ascontiguousarray(masks),
            codes=codes.astype(np.int32),
            boxes=boxes,
            note="; ".join(self._notes),
        )

    @functools.cached_property
    def _count(self) -> int:
        """Number of instances, from the field that numbers or lists them."""
        field = "id"
        if self._is_numbered:
            field = "instance"
        return math.prod(self._shape(field))

    def _shape(self, field: str) -> tuple[int, ...]:
        """Return the shape of an array of numbers, () for anything else."""
        data = self._file.get(field)
        if not isinstance(data, h5py.Dataset) or data.dtype.kind not in "buif":
            return ()
        # MATLAB writes an empty array as the list of its dimensions, and sets this
        # attribute.
        if data.attrs.get("MATLAB_empty", 0):
            return (0,)
        return data.shape

    def _read(self, field: str, shapes: Sequence[tuple[int, ...]]) -> np.ndarray:
        """Return an array that must have one of these shapes."""
        shape = self._shape(field)
        if shape not in shapes:
            content = shape or "missing, or not a numeric array"
            raise ValueError(f"'{field}': {content} in HDF5, expected {shapes[0]}")
        return self._file[field][()]

    def _read_per_instance(
        self, field: str, shape: tuple[int, ...] = (), axis: int = 0
    ) -> np.ndarray:
        """Read an array with a value for each instance.

        Args:
          field: name of the array.
          shape: shape of a value.
          axis: the instances' axis in the file, which a file with a single instance may
            lack.

        Returns:
          [N, *shape]. If the file numbers fewer instances than the array has, N is that
          of the array, and a note says that the caller drops the surplus.
        """
        shape_in_file = self._shape(field)
        stored_count = _count_rows(shape_in_file, shape, axis)
        count = self._count
        if self._is_numbered and stored_count > count:
            self._notes.append(
                f"'{field}' has {stored_count} instances, but 'instance' has {count}:"
                " the surplus is dropped"
            )
            count = stored_count
        if count == 0 and 0 in shape_in_file:
            return np.zeros((0, *shape))
        whole = (*shape[:axis], count, *shape[axis:])
        allowed = [whole]
        if not shape:
            allowed += [(1, count), (count, 1)]
        elif count == 1:
            allowed.append(shape)
        return np.moveaxis(self._read(field, allowed).reshape(whole), axis, 0)

    def _first_indices(self, numbers: np.ndarray) -> np.ndarray:
        """Return the indices of instances, without repetitions of a number."""
        _, first = np.unique(numbers, return_index=True)
        for i in sorted(set(range(len(numbers))) - set(first)):
            self._notes.append(
                f"'instance' repeats number {numbers[i]:g}: the later instance is"
                " dropped"
            )
        return np.sort(first)

    def _boxes(self, corners: np.ndarray, indices: np.ndarray) -> np.ndarray:
        """Return half-open boxes, clipped to the frame, float32 [N, 4].

        Args:
          corners: x1, y1, x2, y2 of the outermost pixels, counted from 1, [N, 4].
          indices: index of each instance in the file, [N].
        """
        height, width = self._size
        x1, y1, x2, y2 = corners.astype(np.float64).T
        boxes = np.stack([y1 - 1, x1 - 1, y2, x2], axis=1)
        boxes = np.clip(boxes, 0, [height, width, height, width]).astype(np.float32)
        is_inside = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)  # False for NaN, too
        if not is_inside.all():
            first = is_inside.argmin()
            raise ValueError(
                f"'reBBox': box {corners[first].tolist()} (x1, y1, x2, y2) of instance"
                f" {indices[first] + 1} is outside the frame, {width}x{height}"
            )
        return boxes


def _count_rows(
    shape_in_file: tuple[int, ...], shape: tuple[int, ...], axis: int
) -> int:
    """Return the number of instances in an array; see `_Hdf5._read_per_instance`."""
    size = math.prod(shape_in_file)
    if not shape or not size:
        return size
    if len(shape_in_file) > len(shape):
        return shape_in_file[axis]
    return 1


def _check_codes(field: str, codes: np.ndarray, codes_of_space: Any) -> None:
    """Raise a ValueError if a code is not in the label space."""
    unknown = codes[~np.isin(codes, codes_of_space)]
    if unknown.size:
        raise ValueError(
            f"'{field}': code {unknown[0]:g} is not in the label space (see --labels)"
        )
