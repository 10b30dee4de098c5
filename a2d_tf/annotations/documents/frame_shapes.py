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
    """The shape of an instance in pixels of the video.

    Attributes:
      box: float32 [4], (y1, x1, y2, x2). It is the annotated box, or if there is none,
        the box around the mask.
      mask: bool [H, W], whether each pixel of the frame shows the instance; None if
        only a box was annotated.
    """

    box: np.ndarray
    mask: np.ndarray | None


def check_size(
    frame: AnnotatedFrame, size: tuple[int, int], path: str | os.PathLike
) -> None:
    """Raise InputError if an annotation states another frame size than its video has.

    Args:
      frame: the annotated frame, which may state the size of its image.
      size: (height, width) of the video's frames, in pixels.
      path: the path of the video, for the error.
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
    """Decode the mask and the box of an instance, scaled to the size of the video.

    Args:
      instance: the annotated instance.
      frame: the annotated frame with the instance, whose size its coordinates refer to.
      size: (height, width) of the video's frames in pixels; `check_size` must have
        accepted it.

    Raises:
      InputError: the shape is malformed, empty, or outside the frame. The message does
        not name the file.
    """
    annotated_size = frame.size or size
    mask = None
    if instance.parts:
        mask = decode_parts(instance.parts, annotated_size, size)
    if instance.box is not None:
        return DecodedShape(decode_box(instance.box, annotated_size, size), mask)
    assert mask is not None  # an instance has parts, a box, or both
    return DecodedShape(box_of(mask), mask)
