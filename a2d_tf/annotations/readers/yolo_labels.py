"""The text files of YOLO: a line for each instance of an image.

A line is the class of an instance with its polygon x1 y1 x2 y2 ..., or with the centre,
width and height of its box. Coordinates are shares of the image's width and height. The
track may follow; for a box, the confidence may stand before the track.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from a2d_tf.annotations.documents.document import ToolLabel
from a2d_tf.annotations.documents.instance import (
    Instance,
    Segmentation,
    check_tracks_differ,
)
from a2d_tf.annotations.readers.container import File
from a2d_tf.core.errors import quoted

_OF_CVAT = re.compile(r"(.*/)?frame_[0-9]{6,9}")
_ROUNDING = 1e-4  # of shares of the image, which have six digits


def is_named_by_cvat(stem: str) -> bool:
    """Return whether CVAT may have named an image: 'frame_000005', counted from 0.

    Args:
      stem: the path of the image or of its text file, without suffix.
    """
    return _OF_CVAT.fullmatch(stem) is not None


def read_instances(
    file: File, label_of_class: Callable[[str], ToolLabel]
) -> tuple[Instance, ...]:
    """Return the instances of an image, one for each line of its text file.

    Coordinates are shares of the image's width and height.

    Args:
      file: the text file.
      label_of_class: a function that takes the number of a class, as text, and returns
        its label.

    Raises:
      InputError: a line is broken, or two lines have one track.
    """
    instances = []
    for i, line in enumerate(file.text().splitlines(), 1):
        if not line.strip():
            continue
        class_number, *words = line.split()
        with file.at(f"line {i}"):
            numbers = [float(word) for word in words]
            track = None
            if _end_with_track(words, numbers):
                track = int(words[-1])
                numbers.pop()
                if len(numbers) == 5:  # the last is a box's confidence
                    numbers.pop()
            label = label_of_class(class_number)
            if len(numbers) < 4 or len(numbers) % 2:
                raise ValueError(
                    f"{quoted(line)} is not a class with a box or a polygon"
                )
        parts: tuple[Segmentation, ...] = ()
        box = None
        if len(numbers) == 4:
            x, y, width, height = numbers
            box = [x - width / 2, y - height / 2, width, height]
        else:
            parts = ([numbers],)
        instance = Instance(
            label=label.label,
            action=label.action,
            parts=parts,
            where=file.place(f"line {i}"),
            track=track,
            box=box,
        )
        instances.append(instance)
    check_tracks_differ(instances)
    return tuple(instances)


def _end_with_track(words: Sequence[str], numbers: Sequence[float]) -> bool:
    """Return whether the last word of a line is a track.

    CVAT's "Ultralytics YOLO Detection Track" and `yolo track` end a line with it. With
    save_conf, the confidence stands before it. Six words are a box with both if the box
    is inside the image, and otherwise a triangle.

    Args:
      words: the words of the line behind the class.
      numbers: the words as numbers.

    Raises:
      ValueError: a polygon has a confidence and a track, which could be another corner.
    """
    if not words or not words[-1].isdecimal():
        return False
    if len(words) % 2:
        return True
    if len(words) > 6 and int(words[-1]) > 1:
        raise ValueError(
            "a polygon ends with a confidence and a track; track without save_conf"
        )
    return len(words) == 6 and words[-1] != "0" and _is_in_image(*numbers[:4])


def _is_in_image(x: float, y: float, width: float, height: float) -> bool:
    """Return whether a box is inside the image.

    Args:
      x, y: its centre, as shares of the image's width and height.
      width, height: its size, likewise.
    """
    limit = 1 + _ROUNDING
    return 2 * abs(x - 0.5) + width <= limit and 2 * abs(y - 0.5) + height <= limit
