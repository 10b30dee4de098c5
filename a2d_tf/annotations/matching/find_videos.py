"""Match annotations to the videos of a folder and to their frames."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Sequence

from a2d_tf.annotations.documents.document import Document
from a2d_tf.annotations.matching.conflicts import Conflicts, check_repetition, file_of
from a2d_tf.annotations.matching.frame_numbers import check_numbering, number_in_video
from a2d_tf.annotations.matching.video_annotations import VideoAnnotations
from a2d_tf.annotations.matching.video_folder import VideoFolder
from a2d_tf.annotations.matching.video_matches import (
    VideoMatch,
    match_documents,
    taken_videos,
    videos_of_size,
)
from a2d_tf.annotations.readers.exports import ReadExport
from a2d_tf.core.errors import InputError, join_names


def find_videos(
    exports: Iterable[ReadExport],
    folder: VideoFolder,
    first_frame: int | None = None,
    *,
    flag: str = "annotations",
    wanted: Collection[str] | None = None,
) -> dict[str, VideoAnnotations]:
    """Match annotations to the videos of a folder, and number their frames as these do.

    Args:
      exports: the exports of annotation tools, with their documents: the annotations of
        each file.
      folder: the folder of the user's videos.
      first_frame: 0 or 1, the number of the first frame of a video file in the names of
        images; None for the format's own. In a folder of images the first image's own
        number counts.
      flag: the name of the flag that lists the exports, for errors.
      wanted: names of videos. Once each of them has annotations, documents that fit no
        video are left out. None: each document must fit one.

    Returns:
      {name of a video: its annotations}. A video that a document names need not exist
      in the folder.

    Raises:
      InputError: no video fits a document, documents contradict each other, two files
        or folders have the name of one video, a frame is annotated twice with
        differences, or its number is below 1.
    """
    matches = match_documents(exports, folder)
    conflicts = Conflicts(flag)
    annotations: dict[str, VideoAnnotations] = {}
    unmatched = []
    for match in matches:
        if match.unmatched_names:
            unmatched.append(match.document)
        else:
            _add_document(annotations, match, folder, first_frame, conflicts)
    is_complete = wanted is not None and set(wanted) <= set(annotations)
    if unmatched and not is_complete:
        raise _no_video_error(unmatched, taken_videos(matches), folder, flag)
    for video in annotations:
        _check_single_path(video, folder)
    return annotations


def _add_document(
    annotations: dict[str, VideoAnnotations],
    match: VideoMatch,
    folder: VideoFolder,
    first_frame: int | None,
    conflicts: Conflicts,
) -> None:
    """Add the frames of a document to {video: its annotations}.

    Raises:
      InputError: the document contradicts an earlier one, or a number is no frame's.
    """
    document = match.document
    for video in dict.fromkeys(match.videos.values()):
        check_numbering(document, video, folder)
        conflicts.check_document(document, video, match.is_named)
        video_annotations = annotations.setdefault(video, VideoAnnotations())
        if match.is_of_task:
            video_annotations.notes.append(
                f"{file_of(document)}: taken for annotations of '{video}', by the name"
                " that CVAT gave the file"
            )
    for frame in document.frames:
        video = match.videos[frame.video]
        if not match.is_named:
            conflicts.check_folder(frame, video)
        number = number_in_video(frame, video, folder, first_frame)
        earlier_frame = annotations[video].add(number, frame, document)
        if earlier_frame is not None:
            check_repetition(frame, earlier_frame, video, number)


def _check_single_path(video: str, folder: VideoFolder) -> None:
    """Raise InputError if a video's name is that of several files or folders."""
    files = folder.videos.get(video)
    if files and len(files.paths) > 1:
        names = " and ".join(path.name for path in files.paths)
        raise InputError(
            f"{folder.path}: {names} are both named '{video}', and their frames"
            " may differ; move the one that was not annotated out of this folder"
        )


def _no_video_error(
    documents: Sequence[Document], taken: set[str], folder: VideoFolder, flag: str
) -> InputError:
    """Return the error that documents fit no video, or several.

    Args:
      documents: these documents, at least one.
      taken: the names of the videos that other documents annotate.
      folder: the folder of the user's videos.
      flag: the name of the flag that lists the exports.
    """
    document, *others = documents
    fitting = videos_of_size(document, taken, folder)
    candidates = fitting or sorted(set(folder.videos) - taken)
    likewise = ""
    if others:
        paths = [str(other.path) for other in others]
        likewise = f"; likewise {join_names(paths)}"
    example = candidates[0] if candidates else "VIDEO"
    argument = shlex.quote(f"{example}={file_of(document)}")
    return InputError(
        f"{document.path}: does not name its video, and {len(fitting)} of those in"
        f" {folder.path} have its size and number of frames{likewise}; candidates:"
        f" {join_names(candidates)}; add the video, or name the video of each such"
        f" file, e.g. --{flag}={argument}"
    )
