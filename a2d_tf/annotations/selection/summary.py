"""A summary of exports for the user, one line for each."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from a2d_tf.annotations.documents.document import Document
from a2d_tf.annotations.matching.video_annotations import VideoAnnotations
from a2d_tf.annotations.readers.exports import ReadExport


class LeftOut(NamedTuple):
    """Annotated frames of a video that are not used, and why.

    Attributes:
      document: the first document of the video.
      counts: {reason: number of frames}.
    """

    document: Document
    counts: collections.Counter[str]


def left_out_of_videos(
    annotations: Mapping[str, VideoAnnotations],
    counts: Mapping[str, collections.Counter[str]],
) -> Iterator[LeftOut]:
    """Yield the frames that are left out of each video.

    Args:
      annotations: {video: its annotations}.
      counts: {video: {reason: number of frames that are left out}}.
    """
    for vid, counts_of_video in counts.items():
        yield LeftOut(annotations[vid].documents[0], counts_of_video)


def describe_exports(
    exports: Iterable[ReadExport],
    annotations: Mapping[str, VideoAnnotations],
    left_out: Sequence[LeftOut],
) -> list[str]:
    """Return a line for each export: format, videos, numbering, and what is left out.

    Args:
      exports: the exports with their documents.
      annotations: {video: its annotations that are used}.
      left_out: annotated frames that are not used.
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
    """Describe what is left out of documents; return '' if nothing is.

    Args:
      documents: the documents.
      later: frames that were left out after reading, also of other documents.
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
