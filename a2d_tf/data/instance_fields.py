"""Labels of an instance beside its class, box and mask: points, numbers or a category.

An entry of FIELDS takes a field from files in this project's own format through records
and augmentation to the heads (`BatchTruth.fields`) and metrics (`ClipTruth.fields`). A
head that computes a result of the same name for each instance puts it into exports,
metrics and `detections.json`.
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
      name: its key in annotation files, records and results.
      shape: of one instance's value.
      dtype: of the values.
      missing: the value of what is not annotated.
    """

    name: str
    shape: tuple[int, ...] = ()
    dtype: ClassVar[type[np.generic]] = np.float32
    missing: ClassVar[float] = np.nan

    @abc.abstractmethod
    def read(self, value: Any, ratio: np.ndarray) -> np.ndarray:
        """Return the value [*shape] of an annotation, given as in files, or None.

        `ratio` [2] is the frame's size over the annotated size, both (height, width).

        Raises:
          InputError: the value is of another kind.
        """

    @abc.abstractmethod
    def written(self, value: np.ndarray) -> Any:
        """Return the value of an instance as in files."""

    def scaled(self, values: Any, ratio: Any) -> Any:
        """Return values [..., *shape] for frames that are resized by `ratio`.

        `ratio` [..., 2] has the axes of the values before `shape`, or some that
        broadcast to them.
        """
        return values

    def all_missing(self, count: int) -> np.ndarray:
        """Return the values of `count` instances, none of them annotated."""
        return np.full((count, *self.shape), self.missing, self.dtype)


@dataclasses.dataclass(frozen=True)
class Numbers(Field):
    """Numbers, float32, NaN where they are not annotated."""

    name: str
    shape: tuple[int, ...] = ()

    def read(self, value: Any, ratio: np.ndarray) -> np.ndarray:
        """Return the numbers of an annotation."""
        return self._numbers(value).astype(np.float32)

    def written(self, value: np.ndarray) -> Any:
        """Return numbers with six decimals."""
        return np.round(value, 6).tolist()

    def _numbers(self, value: Any) -> np.ndarray:
        """Return the numbers of an annotation as they are; NaN where it has none."""
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

    They are resized, cropped and mirrored with the frame. NaN is not annotated.
    """

    shape: tuple[int, ...] = (2,)

    def read(self, value: Any, ratio: np.ndarray) -> np.ndarray:
        """Return the points of an annotation, in pixels of the frame."""
        points = self._numbers(value)[..., ::-1]
        return self.scaled(points, ratio).astype(np.float32)

    def written(self, value: np.ndarray) -> Any:
        """Return points with two decimals."""
        return np.round(value[..., ::-1], 2).tolist()

    def scaled(self, values: Any, ratio: Any) -> Any:
        """Return points [..., *shape] for frames that are resized by `ratio`."""
        axes_of_points = [None] * (len(self.shape) - 1)
        return values * ratio[(..., *axes_of_points, slice(None))]


@dataclasses.dataclass(frozen=True)
class Category(Field):
    """One of several categories, such as the sex or the pose of an animal.

    Files have the category's name, arrays its index in `categories`, int32; -1 is not
    annotated.
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
        """Return the category's name; None where it is missing."""
        index = int(value)
        return None if index == self.missing else self.categories[index]


FIELDS: tuple[Field, ...] = ()
"""The fields of this package's networks: none. CONTRIBUTING adds one with its head."""


def scale_fields(results: dict[str, Any], ratio: Any) -> dict[str, Any]:
    """Return the results of heads by name, with those that are FIELDS scaled."""
    scaled = dict(results)
    for field in FIELDS:
        if field.name in results:
            scaled[field.name] = field.scaled(results[field.name], ratio)
    return scaled
