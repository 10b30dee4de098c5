"""What exports hold, in words: a line for each."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from a2d_tf.annotations.document import Document
from a2d_tf.annotations.exports import ReadExport
from a2d_tf.annotations.video_annotations import VideoAnnotations


class LeftOut(NamedTuple):
    """What is not used of a video, though its files have it.

    Attributes:
      document: the first one of the video.
      counts: {reason: number of frames}.
    """

    document: Document
    counts: collections.Counter[str]


def left_out_of_videos(
    annotations: Mapping[str, VideoAnnotations],
    counts: Mapping[str, collections.Counter[str]],
) -> Iterator[LeftOut]:
    """Yield what is left out of each video, {video: {reason: number of frames}}."""
    for vid, counts_of_video in counts.items():
        yield LeftOut(annotations[vid].documents[0], counts_of_video)


def describe_exports(
    exports: Iterable[ReadExport],
    annotations: Mapping[str, VideoAnnotations],
    left_out: Sequence[LeftOut],
) -> list[str]:
    """Return a line for each export.

    It tells the format, the videos, how frames are numbered, and what is left out.

    Args:
      annotations: {video: its annotations}, those that are used.
      left_out: what these lack of the documents.
    """
    lines = []
    for export, documents in exports:
        formats = dict.fromkeys(document.format for document in documents)
        counts = _frame_counts(documents, annotations)
        counted_videos = [f"{vid} ({count})" for vid, count in counts.items()]
        parts = [
            f"{export.path}: {', '.join(formats)}",
            f"annotated frames of {', '.join(counted_videos) or 'none'}",
            *_numberings(documents),
        ]
        text = left_out_text(documents, left_out)
        if text:
            parts.append(text)
        lines.append("; ".join(parts))
    return lines


def left_out_text(documents: Sequence[Document], later: Sequence[LeftOut] = ()) -> str:
    """Return what is left out of documents, as a text; '' if that is nothing.

    `later` is what was left out after they were read, also of other documents.
    """
    total = collections.Counter[str]()
    for document in documents:
        total += document.left_out
        for left_out in later:
            if left_out.document is document:
                total += left_out.counts
    if not total:
        return ""
    counts = ", ".join(f"{count} {reason}" for reason, count in total.items())
    return f"left out: {counts}"


def _frame_counts(
    documents: Sequence[Document], annotations: Mapping[str, VideoAnnotations]
) -> collections.Counter[str]:
    """Return {video: number of its annotated frames} in some documents."""
    paths = {document.path for document in documents}
    counts = collections.Counter[str]()
    for vid, video_annotations in annotations.items():
        for frame in video_annotations.frames.values():
            if frame.path in paths:
                counts[vid] += 1
    return counts


def _numberings(documents: Sequence[Document]) -> list[str]:
    """Return how the frames of documents are numbered, each way once."""
    explanations: dict[str, None] = {}
    for document in documents:
        for frame in document.frames:
            explanations[frame.numbering.explanation] = None
    return list(explanations)
