"""Labels of an instance beside its class, box and mask: points, numbers or a category.

If a field is listed in FIELDS, it is read from annotations in this project's own
format, stored in records, augmented, and passed to heads (`BatchTruth.fields`) and
metrics (`ClipTruth.fields`). If a head computes a result of the same name for each
instance, exports, metrics and `detections.json` have that result.
"""

from __future__ import annotations

import abc
import dataclasses
from typing import Any, ClassVar

import numpy as np

from a2d_tf.core.errors import InputError, join_names, quoted

_LARGEST = 1e38  # of float32


class Field(abc.ABC):
    """A label of instances, an array [N, *shape] of `dtype`.

    Attributes:
      name: key of the field in annotation files, records and results.
      shape: shape of the value of one instance.
      dtype: type of the values.
      missing: number that stands for values that are not annotated.
    """

    name: str
    shape: tuple[int, ...] = ()
    dtype: ClassVar[type[np.generic]] = np.float32
    missing: ClassVar[float] = np.nan

    @abc.abstractmethod
    def read(self, value: Any, ratio: np.ndarray) -> np.ndarray:
        """Convert a value from an annotation file to an array [*shape].

        Args:
          value: the value in the file; None if the instance has none.
          ratio: size of the frame divided by the annotated size, (height, width) [2].

        Raises:
          InputError: the value is of another kind.
        """

    @abc.abstractmethod
    def written(self, value: np.ndarray) -> Any:
        """Convert the value of an instance, [*shape], to a value for JSON files."""

    def scaled(self, values: Any, ratio: Any) -> Any:
        """Return values for frames that are resized by `ratio`.

        Args:
          values: values of instances, [..., *shape].
          ratio: new size divided by old size, (height, width) [..., 2]; its other axes
            broadcast to those of the values before `shape`.
        """
        return values

    def all_missing(self, count: int) -> np.ndarray:
        """Return the values of `count` instances, none of them annotated."""
        return np.full((count, *self.shape), self.missing, self.dtype)


@dataclasses.dataclass(frozen=True)
class Numbers(Field):
    """Numbers, float32; NaN if they are not annotated."""

    name: str
    shape: tuple[int, ...] = ()

    def read(self, value: Any, ratio: np.ndarray) -> np.ndarray:
        """Return the numbers of an annotation."""
        return self._numbers(value).astype(np.float32)

    def written(self, value: np.ndarray) -> Any:
        """Round numbers to six decimals."""
        return np.round(value, 6).tolist()

    def _numbers(self, value: Any) -> np.ndarray:
        """Return the numbers of an annotation, [*shape]; NaN if it has none."""
        if value is None:
            return np.full(self.shape, np.nan)
        try:
            numbers = np.array(value)
        except ValueError:  # lists of different lengths
            numbers = np.zeros(0)
        is_numeric = numbers.dtype.kind in "iuf"
        is_finite = is_numeric and (np.abs(numbers) < _LARGEST).all()
        if numbers.shape != self.shape or not is_finite:
            raise InputError(
                f"'{self.name}' {quoted(value)} is not finite numbers of shape"
                f" {[*self.shape]}"
            )
        return numbers


@dataclasses.dataclass(frozen=True)
class Points(Numbers):
    """Points of the frame, float32 [..., 2], (y, x) in pixels; (x, y) in files.

    Points are resized, cropped and mirrored with the frame. A point that is not
    annotated is NaN.
    """

    shape: tuple[int, ...] = (2,)

    def read(self, value: Any, ratio: np.ndarray) -> np.ndarray:
        """Return the points of an annotation, in pixels of the frame."""
        points = self._numbers(value)[..., ::-1]
        return self.scaled(points, ratio).astype(np.float32)

    def written(self, value: np.ndarray) -> Any:
        """Round points to two decimals, (x, y)."""
        return np.round(value[..., ::-1], 2).tolist()

    def scaled(self, values: Any, ratio: Any) -> Any:
        """Return points [..., *shape] for frames that are resized by `ratio`."""
        axes_of_points = [None] * (len(self.shape) - 1)
        return values * ratio[(..., *axes_of_points, slice(None))]


@dataclasses.dataclass(frozen=True)
class Category(Field):
    """One of several categories, such as the sex or the pose of an animal.

    Files hold the name of the category. Arrays hold its index in `categories`, int32,
    or -1 if it is not annotated.
    """

    name: str
    categories: tuple[str, ...]

    dtype: ClassVar[type[np.generic]] = np.int32
    missing: ClassVar[float] = -1

    def read(self, value: Any, ratio: np.ndarray) -> np.ndarray:
        """Return the index of an annotation's category."""
        if value is None:
            return np.array(self.missing, np.int32)
        if value not in self.categories:
            raise InputError(
                f"'{self.name}' {quoted(value)} is not a category; use one of"
                f" {join_names(self.categories)}"
            )
        return np.array(self.categories.index(value), np.int32)

    def written(self, value: np.ndarray) -> Any:
        """Return the name of a category; None if it is not annotated."""
        index = int(value)
        return None if index == self.missing else self.categories[index]


FIELDS: tuple[Field, ...] = ()
"""The fields of this package's networks: none. CONTRIBUTING adds one with its head."""


def scale_fields(results: dict[str, Any], ratio: Any) -> dict[str, Any]:
    """Scale those results of heads that are FIELDS.

    Args:
      results: {name: result} of the heads.
      ratio: new size of the frame divided by its old size, see `Field.scaled`.

    Returns:
      all results, {name: result}.
    """
    scaled = dict(results)
    for field in FIELDS:
        if field.name in results:
            scaled[field.name] = field.scaled(results[field.name], ratio)
    return scaled
