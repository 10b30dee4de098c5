"""A summary of exports for the user, one line for each."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from a2d_tf.annotations.documents.document import Document
from a2d_tf.annotations.matching.video_annotations import VideoAnnotations
from a2d_tf.annotations.readers.exports import ReadExport


class LeftOut(NamedTuple):
    """The numbers of annotated frames of a video that are not used.

    Attributes:
      document: the contents of the first file that annotates the video.
      counts: {reason: the number of frames that are left out for it}.
    """

    document: Document
    counts: collections.Counter[str]


def left_out_of_videos(
    annotations: Mapping[str, VideoAnnotations],
    counts: Mapping[str, collections.Counter[str]],
) -> Iterator[LeftOut]:
    """Yield the counts of the frames that are left out of each video.

    Args:
      annotations: {name of a video: its annotations}.
      counts: {name of a video: {reason: the number of frames that are left out}}.
    """
    for vid, counts_of_video in counts.items():
        yield LeftOut(annotations[vid].documents[0], counts_of_video)


def describe_exports(
    exports: Iterable[ReadExport],
    annotations: Mapping[str, VideoAnnotations],
    left_out: Sequence[LeftOut],
) -> list[str]:
    """Return a line for the user on each export.

    It has the path, the format, the videos with their numbers of frames, the numbering
    of frames, and the frames and shapes that are left out.

    Args:
      exports: the exports with the annotations of each of their files.
      annotations: {name of a video: its annotations that are used}.
      left_out: the numbers of annotated frames that are not used.
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
    """Return in words what is left out of some documents; '' if nothing is.

    For example: 'left out: 3 frames without annotations, 2 frames beyond --max_frames'.

    Args:
      documents: the annotations of some files, with counts of what their readers left
        out.
      later: counts of frames that were left out after reading. Those of other documents
        are ignored.
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
