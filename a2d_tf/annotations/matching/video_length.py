"""Check that a video is as long as the exports say that annotate it."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

from a2d_tf.annotations.documents.document import Document
from a2d_tf.core.errors import InputError


def check_length(count: int, path: pathlib.Path, documents: Sequence[Document]) -> None:
    """Raise InputError if a video is longer or shorter than the annotated one.

    It must not have fewer frames than an export covers. It may have more if the export
    begins later than the video, or if another export continues it.

    Args:
      count: the number of frames of the video that decode.
      path: the path of the video, for the error.
      documents: the documents that annotate the video; those that state no range of
        frames are not checked.
    """
    latest_start = 0
    for document in documents:
        if document.frame_range:
            latest_start = max(latest_start, document.frame_range.start)
    for document in documents:
        frame_range = document.frame_range
        if not frame_range:
            continue
        last = frame_range[-1] + 1
        is_part = frame_range.start > 0 or latest_start >= frame_range.stop
        is_too_long = count >= last + frame_range.step and not is_part
        if count < last or is_too_long:
            raise InputError(
                f"{path}: {count} frames decode, but {document.path} annotates a"
                f" video of {last}; use the video that was annotated, or cut it to"
                " these frames"
            )
