"""The shapes of an annotated frame, in pixels of its video."""

from __future__ import annotations

import os
from typing import NamedTuple

import numpy as np

from a2d_tf.annotations.documents.document import AnnotatedFrame
from a2d_tf.annotations.documents.instance import Instance
from a2d_tf.core.errors import InputError
from a2d_tf.data.segmentations import box_of, decode_box, decode_parts


class DecodedShape(NamedTuple):
    """The shape of an instance.

    Attributes:
      box: float32 [4], y1, x1, y2, x2, as annotated, else around the mask.
      mask: bool [H, W]; None if only the box is annotated.
    """

    box: np.ndarray
    mask: np.ndarray | None


def check_size(
    frame: AnnotatedFrame, size: tuple[int, int], path: str | os.PathLike
) -> None:
    """Raise InputError if the size that an annotation states is not that of its video.

    Args:
      size: (height, width) of the video's frames.
      path: path of the video, for messages.
    """
    if frame.fits(size):
        return
    kind = "shape" if frame.scaled else "size"
    height, width = frame.size or size
    raise InputError(
        f"{frame.where}: 'width' and 'height' say {width}x{height}, but the frames of"
        f" {path} are {size[1]}x{size[0]}; annotate them at that {kind}"
    )


def decode_shape(
    instance: Instance, frame: AnnotatedFrame, size: tuple[int, int]
) -> DecodedShape:
    """Decode the shape of an instance of a frame.

    Args:
      size: (height, width) of the video's frames, which `check_size` has accepted.

    Raises:
      InputError: malformed, empty, or outside the frame; names no file.
    """
    annotated_size = frame.size or size
    mask = None
    if instance.parts:
        mask = decode_parts(instance.parts, annotated_size, size)
    if instance.box is not None:
        return DecodedShape(decode_box(instance.box, annotated_size, size), mask)
    assert mask is not None  # an instance has parts, a box, or both
    return DecodedShape(box_of(mask), mask)
