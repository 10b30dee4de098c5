"""The images of a folder that show a coded bout.

BORIS sorts names as texts, 10.png before 2.png. Frames are in the order of the numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

from a2d_tf.annotations.coded_times.observations import CodedBout
from a2d_tf.core.errors import InputError


class CodedImages:
    """Finds the images of a folder that show a coded bout, by their indices or names.

    BORIS and the folder may have the images in different orders.

    Args:
      names: the file names of the images, in the order of their numbers.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = list(names)
        self._positions = {name: i for i, name in enumerate(self._names, 1)}
        self._in_order_of_texts = sorted(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def of_bout(self, bout: CodedBout) -> range:
        """Return the 1-based numbers of the images that show a bout.

        Args:
          bout: a bout whose start and end are indices of images. The end is the first
            image without the action; a point event has one image.

        Raises:
          InputError: the folder has no such images, or BORIS showed them in another
            order.
        """
        first = self._position(bout.start, bout.start_image, bout.where)
        end = self._position(bout.end, bout.end_image, bout.where)
        numbers = range(first, max(end, first + 1))
        if not self._is_sorted_alike() and bout.end > bout.start:
            seen = self._in_order_of_texts[int(bout.start) - 1 : int(bout.end) - 1]
            if set(seen) != set(self._names[numbers.start - 1 : numbers.stop - 1]):
                first_name, second_name = self._in_order_of_texts[:2]
                raise InputError(
                    f"{bout.where}: BORIS sorts names as texts, and showed"
                    f" {second_name} after {first_name}, so that these are not the"
                    " images between two numbers; give the numbers in the names leading"
                    " zeros, and code the folder again"
                )
        return numbers

    def _is_sorted_alike(self) -> bool:
        """Return whether names sorted as texts are in the order of the numbers."""
        return self._in_order_of_texts == self._names

    def _position(self, index: float, name: str | None, where: str) -> int:
        """Return the 1-based position of an image in the order of the numbers.

        Args:
          index: the image's index as BORIS counts it.
          name: the image's file name; None if the file does not say.
          where: the file and the place in it, for errors.

        Raises:
          InputError: the folder has no such image, or the index may mean another one.
        """
        if name in self._positions:
            return self._positions[name]
        problem = f"image {index:g} ({name}) is not in the folder of the video"
        if name is None:
            if index == len(self._names) + 1:
                return len(self._names) + 1
            if index <= len(self._names) and self._is_sorted_alike():
                return int(index)
            problem = (
                f"image {index:g} may be another one of the {len(self._names)} images"
            )
        raise InputError(f"{where}: {problem}; pass the folder that was coded")
