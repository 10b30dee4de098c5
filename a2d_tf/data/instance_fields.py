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
        """Convert a value from an annotation file to an array [*shape] of `dtype`.

        Args:
          value: the value of one instance as JSON has it; None if the instance has
            none, which becomes `missing`.
          ratio: size of the frame divided by the size that the annotation's coordinates
            refer to, (height, width) [2]; only points depend on it.

        Raises:
          InputError: the value does not have the type or shape that the field needs.
        """

    @abc.abstractmethod
    def written(self, value: np.ndarray) -> Any:
        """Convert the value of one instance for a JSON file, the inverse of `read`.

        Args:
          value: the instance's value, [*shape], points in pixels of the frame.

        Returns:
          a number, text, (nested) list or None.
        """

    def scaled(self, values: Any, ratio: Any) -> Any:
        """Return the values that instances have after their frames were resized.

        Only points change; any other value is returned as it is.

        Args:
          values: values of instances, [..., *shape], NumPy's or TensorFlow's.
          ratio: new size of the frame divided by its old size, (height, width) [...,
            2]; its leading axes broadcast to those that the values have before `shape`.
        """
        return values

    def all_missing(self, count: int) -> np.ndarray:
        """Return the values of instances that are not annotated.

        Args:
          count: number of the instances, N.

        Returns:
          `missing` N times, [N, *shape] of `dtype`.
        """
        return np.full((count, *self.shape), self.missing, self.dtype)


@dataclasses.dataclass(frozen=True)
class Numbers(Field):
    """Numbers, float32; NaN if they are not annotated."""

    name: str
    shape: tuple[int, ...] = ()

    def read(self, value: Any, ratio: np.ndarray) -> np.ndarray:
        """Convert numbers of an annotation file to float32 [*shape]; None becomes NaN.

        Args:
          value: a number, or nested lists of the field's shape; None if not annotated.
          ratio: unused, because these numbers do not depend on the frame's size.

        Raises:
          InputError: the value is not finite numbers of the field's shape.
        """
        return self._numbers(value).astype(np.float32)

    def written(self, value: np.ndarray) -> Any:
        """Return an instance's numbers [*shape] as a list with six decimals."""
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
        """Convert points of an annotation file to pixels of the frame.

        Args:
          value: nested lists whose innermost ones are (x, y) in pixels of the annotated
            image; None if not annotated.
          ratio: size of the frame divided by that of the annotated image, (height,
            width).

        Returns:
          float32 [*shape], (y, x) in pixels of the frame; NaN if not annotated.

        Raises:
          InputError: the value is not finite numbers of the field's shape.
        """
        points = self._numbers(value)[..., ::-1]
        return self.scaled(points, ratio).astype(np.float32)

    def written(self, value: np.ndarray) -> Any:
        """Return an instance's points (y, x), [*shape], as lists (x, y) in pixels.

        They are rounded to two decimals; points that are not annotated are NaN.
        """
        return np.round(value[..., ::-1], 2).tolist()

    def scaled(self, values: Any, ratio: Any) -> Any:
        """Multiply points (y, x) by the ratio of the frames' sizes.

        Args:
          values: points, [..., *shape], in pixels of the old frame.
          ratio: new size divided by old size, (height, width) [..., 2].

        Returns:
          points [..., *shape] in pixels of the resized frame.
        """
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
        """Convert a category's name to its index.

        Args:
          value: one of `categories`; None if not annotated.
          ratio: unused, because a category does not depend on the frame's size.

        Returns:
          int32 scalar, the index in `categories`; -1 if not annotated.

        Raises:
          InputError: the value is no category.
        """
        if value is None:
            return np.array(self.missing, np.int32)
        if value not in self.categories:
            raise InputError(
                f"'{self.name}' {quoted(value)} is not a category; use one of"
                f" {join_names(self.categories)}"
            )
        return np.array(self.categories.index(value), np.int32)

    def written(self, value: np.ndarray) -> Any:
        """Return the name of an instance's category.

        Args:
          value: index in `categories`, an int32 scalar; -1 if not annotated.

        Returns:
          the name; None if not annotated.
        """
        index = int(value)
        return None if index == self.missing else self.categories[index]


FIELDS: tuple[Field, ...] = ()
"""The fields of this package's networks: none. CONTRIBUTING adds one with its head."""


def scale_fields(results: dict[str, Any], ratio: Any) -> dict[str, Any]:
    """Scale the heads' results that are FIELDS, after their frame was resized.

    Args:
      results: {name: values of instances, [..., *shape]}, the results of all heads.
      ratio: new size of the frame divided by its old size, (height, width) [..., 2].

    Returns:
      {name: values}: all results; those that are not FIELDS are unchanged.
    """
    scaled = dict(results)
    for field in FIELDS:
        if field.name in results:
            scaled[field.name] = field.scaled(results[field.name], ratio)
    return scaled
